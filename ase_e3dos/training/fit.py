"""The training loop: batches in, a trained network out; checkpoints resume exactly."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from ase_e3dos.data.labelled_set import SLOWEST_SOUND
from ase_e3dos.data.labels import DEFAULT_GRID, IMAGINARY_GRID, JARVIS_GRID, PAPER_GRID
from ase_e3dos.errors import TrainingError
from ase_e3dos.evaluation.metrics import format_errors, spectrum_errors
from ase_e3dos.network.paper import PaperNetwork, PaperSettings, mean_over_sites
from ase_e3dos.network.precision import float32_on, without_autocast
from ase_e3dos.network.site import SiteNetwork, SiteOutput, SiteSettings
from ase_e3dos.structures.masses import STANDARD_MASSES
from ase_e3dos.training.config import TrainingConfig, differences
from ase_e3dos.training.loss import LossWeights, SiteLoss, paper_loss
from ase_e3dos.training.sampler import GraphSet, MixedBatch, epoch_batches, join

if TYPE_CHECKING:
    from ase_e3dos.encoders import Encoder
    from ase_e3dos.network.graph import GraphBatch

Network = PaperNetwork | SiteNetwork


@dataclass
class History:
    """One row of numbers for each epoch, kept as JSON lines beside the checkpoint."""

    rows: list[dict[str, float]] = field(default_factory=list)

    def add(self, row: dict[str, float], path: Path | None) -> None:
        """Append a row, to the file too."""
        self.rows.append(row)
        if path is not None:
            path.write_text("".join(json.dumps(r) + "\n" for r in self.rows))


def make_network(config: TrainingConfig, encoder: Encoder) -> Network:
    """A freshly initialised network of the kind and sizes that the configuration asks for.

    Raises
    ------
    TrainingError
        Settings of which no network can be made.
    """
    settings = {"n_features": encoder.n_features, **config.settings}
    try:
        with float32_on("cpu"):
            if config.network == "paper":
                return PaperNetwork(PaperSettings(**settings))
            masses = (
                torch.tensor(STANDARD_MASSES[1 : encoder.n_features + 1])
                if encoder.name in ("mass_one_hot", "alloy_multi_hot")
                else None
            )
            return SiteNetwork(SiteSettings(**settings), masses)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TrainingError(
            f"no {config.network} network can be made with the settings {settings}. Start from "
            "those of a preset and change one at a time."
        ) from error


@contextmanager
def reproducible(device: torch.device) -> Iterator[None]:
    """Ask PyTorch for the same numbers in every run, as far as it has algorithms for that.

    On a CPU it gives them anyway, with the same number of threads. On a CUDA device sums run in
    any order unless ``torch.use_deterministic_algorithms`` is on and cuBLAS has a workspace of
    fixed size (``CUBLAS_WORKSPACE_CONFIG``, set here to ``:4096:8`` where nobody has); an
    operation without a deterministic form warns and runs all the same.
    """
    if device.type != "cuda":
        yield
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    former = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(former[0], warn_only=former[1])


class Trainer:
    """Trains one network.

    Parameters
    ----------
    config : TrainingConfig
        The run.
    network : Network
        The network to train, as `make_network` or a weights file gives it.
    training, validation : list of GraphSet
        Data sets with their graphs; validation may be empty.
    directory : Path, optional
        Where checkpoints and the history go; None keeps nothing.
    device : str, optional
        A torch device.
    report : callable, optional
        Called with one line of text after each epoch.
    digests : mapping of str to str, optional
        SHA-256 of each data file by its path; a run goes on only with the files it began with.

    Raises
    ------
    TrainingError
        The network of the paper is to learn from, or be judged by, other than raw spectra.
    """

    def __init__(
        self,
        config: TrainingConfig,
        network: Network,
        training: list[GraphSet],
        validation: list[GraphSet],
        directory: Path | None = None,
        device: str = "cpu",
        report: Callable[[str], None] = lambda line: None,
        digests: Mapping[str, str] | None = None,
    ) -> None:
        self.config = config
        self.digests = dict(digests or {})
        self.device = torch.device(device)
        self.network = network.to(self.device)
        self.average = deepcopy(self.network).requires_grad_(False)
        self.training, self.validation = training, validation
        self.directory = directory
        for data in () if isinstance(network, SiteNetwork) else (*training, *validation):
            if data.labelled.kind != "raw":
                raise TrainingError(
                    f"{data.labelled.source}: the paper's network learns from raw spectra, and "
                    f"these are {data.labelled.kind} ones. Use network: site (the presets "
                    "fine-tune and small)."
                )
        self.report = report
        self.loss = SiteLoss(LossWeights(**config.loss)).to(self.device)
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), config.learning_rate, weight_decay=config.weight_decay
        )
        self.epoch = 0
        self.step = 0
        self.best = math.inf
        self.best_epoch = -1
        self.best_state = deepcopy(self.network.state_dict())
        self.history = History()
        per_batch = config.data[0].per_batch
        n_first = len(training[0].labelled)
        self.steps_per_epoch = config.steps_per_epoch or max(1, n_first // per_batch)

    # ---- one run ---------------------------------------------------------------------------

    def run(self) -> Network:
        """Train to the end, or to the early stop.

        Returns
        -------
        Network
            With `patience` and validation data, the network of the epoch with the smallest MSE on
            the first validation set; else the network after the last epoch. Either way its
            averaged weights where `weight_average` is set, those of the last step otherwise.

        Raises
        ------
        TrainingError
            The loss is no longer finite.
        """
        if self.directory is not None:
            self.directory.mkdir(parents=True, exist_ok=True)
        while self.epoch < self.config.epochs and not self._stalled():
            start = time.perf_counter()
            with without_autocast(self.device):
                with reproducible(self.device):
                    loss = self._train_epoch()
                row = {"epoch": float(self.epoch), "loss": loss, **self._validate()}
            row["seconds"] = time.perf_counter() - start
            criterion = row.get("valid_criterion", loss)
            if criterion < self.best:
                self.best, self.best_epoch = criterion, self.epoch
                self.best_state = deepcopy(self._evaluated().state_dict())
            self.epoch += 1
            path = self.directory / "history.jsonl" if self.directory else None
            self.history.add(row, path)
            self.save_checkpoint()
            self.report(format_errors(row))
        network = self._evaluated()
        if self._patience is not None:
            network.load_state_dict(self.best_state)
        return network

    @property
    def _patience(self) -> int | None:
        """Epochs to wait for a gain; None where there is nothing to tell a gain by."""
        return self.config.patience if self.validation else None

    def _stalled(self) -> bool:
        patience = self._patience
        return patience is not None and self.epoch - 1 - self.best_epoch >= patience

    def _evaluated(self) -> Network:
        return self.average if self.config.weight_average else self.network

    def _rate(self) -> float:
        config = self.config
        if config.schedule == "exponential":
            return config.learning_rate * config.decay**self.epoch
        progress = self.step / (config.epochs * self.steps_per_epoch)
        warm = 0.05
        if progress < warm:
            return config.learning_rate * (0.05 + 0.95 * progress / warm)
        return config.learning_rate * (
            0.005 + 0.995 * 0.5 * (1 + math.cos(math.pi * (progress - warm) / (1 - warm)))
        )

    def _train_epoch(self) -> float:
        # Seeded by the epoch, not by what ran before: a resumed run draws the same batches.
        rng = np.random.default_rng([self.config.seed, self.epoch])
        torch.manual_seed(self.config.seed * 100_003 + self.epoch)
        self.network.train()
        total = 0.0
        batches = epoch_batches(
            self.training,
            [d.per_batch for d in self.config.data],
            self.steps_per_epoch,
            rng,
            self.config.noise_by_part(),
        )
        for batch in batches:
            for group in self.optimizer.param_groups:
                group["lr"] = self._rate()
            loss = self._loss(batch, rng)
            if not torch.isfinite(loss):
                raise TrainingError(
                    f"the loss is not finite in epoch {self.epoch}: lower the learning rate, or "
                    "look for a wrong label in the data. The last checkpoint is intact."
                )
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(self.network.parameters(), self.config.clip)
            self.optimizer.step()
            self.step += 1
            self._update_average()
            total += float(loss.detach())
        return total / self.steps_per_epoch

    def _update_average(self) -> None:
        if not self.config.weight_average:
            return
        decay = min(self.config.weight_average, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for kept, new in zip(self.average.parameters(), self.network.parameters(), strict=True):
                kept.lerp_(new, 1 - decay)

    # ---- losses ----------------------------------------------------------------------------

    def _loss(self, batch: MixedBatch, rng: np.random.Generator) -> Tensor:
        if isinstance(self.network, PaperNetwork):
            predicted = self._forward(batch.graph.to(self.device))
            number, index, _ = batch.parts[0]
            return paper_loss(predicted, self._target(self.training[number], index))
        source = batch.source.clone()
        transferred: set[int] = set()
        for number, _index, span in batch.parts:
            # Now and then strained pairs are asked of the main source: only the change with
            # strain is compared then, so that it learns the response of the source that has it.
            data, main = self.training[number], self.training[0].source
            strained = data.labelled.kind == "site" and bool(data.labelled.strain.any())
            if strained and data.source != main and rng.random() < 0.3:
                source[span] = main
                transferred.add(number)
        return site_network_loss(
            self._forward, self.loss, batch, source, self.training, transferred, self.device
        )

    def _forward(self, graph: GraphBatch, *source: Tensor) -> Any:
        """The network's output in float32: a tensor, or a `SiteOutput`."""
        mixed = self.config.precision == "mixed" and self.device.type == "cuda"
        if mixed and isinstance(self.network, SiteNetwork):
            return mixed_forward(self.network, graph, *source)
        return self.network(graph, *source)

    def _target(self, data: GraphSet, index: list[int]) -> Tensor:
        labelled = data.labelled
        values = labelled.label_imaginary if self.config.grid == "imaginary" else labelled.label
        assert values is not None
        return torch.from_numpy(values[index]).to(self.device)

    # ---- validation ------------------------------------------------------------------------

    def _validate(self) -> dict[str, float]:
        row: dict[str, float] = {}
        for number, data in enumerate(self.validation):
            predicted = predict_labels(self._evaluated(), self.loss, data, self.device)
            labelled = data.labelled
            grid, reference = PAPER_GRID, labelled.label
            if self.config.grid == "imaginary":
                grid, reference = IMAGINARY_GRID, labelled.label_imaginary
            elif labelled.kind == "sampled":
                grid = JARVIS_GRID
            if labelled.kind == "site" and self.config.network == "site":
                grid, reference = DEFAULT_GRID, np.array([b.mean(axis=0) for b in labelled.bins])
            assert reference is not None
            errors = spectrum_errors(predicted, reference, labelled.n_sites, grid)
            name = "valid" if number == 0 else labelled.source
            row.update({f"{name}_{k}": v for k, v in errors.items() if k != "n"})
            if number == 0:
                row["valid_criterion"] = errors["MSE"]
        return row

    # ---- checkpoints -----------------------------------------------------------------------

    def save_checkpoint(self) -> None:
        """Write the whole state, replacing the former file only when the new one is complete."""
        if self.directory is None:
            return
        state: dict[str, Any] = {
            "config": self.config.model_dump_json(),
            "digests": self.digests,
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "best_state": self.best_state,
            "best": self.best,
            "best_epoch": self.best_epoch,
            "epoch": self.epoch,
            "step": self.step,
            "history": self.history.rows,
        }
        temporary = self.directory / "checkpoint.tmp"
        torch.save(state, temporary)
        temporary.replace(self.directory / "checkpoint.pt")

    def resume(self) -> bool:
        """Continue from the checkpoint in the directory; False where there is none.

        Raises
        ------
        TrainingError
            The checkpoint belongs to another configuration or other data, or is damaged.
        """
        path = self.directory / "checkpoint.pt" if self.directory else None
        if path is None or not path.is_file():
            return False
        state, config = read_checkpoint(path, self.device)
        if config != self.config:
            raise TrainingError(
                f"{path} was made with another configuration: "
                f"{'; '.join(differences(config, self.config))}. Ask for the same, use another "
                "directory, or delete it to start anew."
            )
        known = state.get("digests", {})  # not in checkpoints of former versions
        changed = [f for f, digest in self.digests.items() if known.get(f, digest) != digest]
        if changed:
            raise TrainingError(
                f"{path} was made with other data: {', '.join(changed)} changed since. Use another "
                "directory, or delete it to start anew."
            )
        try:
            self.network.load_state_dict(state["network"])
            self.average.load_state_dict(state["average"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.best_state = state["best_state"]
            self.best, self.best_epoch = state["best"], state["best_epoch"]
            self.epoch, self.step = state["epoch"], state["step"]
            self.history = History(state["history"])
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise TrainingError(_no_checkpoint(path)) from error
        return True


def read_checkpoint(
    path: Path, device: torch.device | str = "cpu"
) -> tuple[dict[str, Any], TrainingConfig]:
    """The state of a run and the configuration that it was made with.

    Raises
    ------
    TrainingError
        There is no such file, or it is not a checkpoint.
    """
    if not path.is_file():
        raise TrainingError(f"{path}: no such checkpoint, so there is no run to go on with.")
    try:
        state = torch.load(path, map_location=device, weights_only=True)
        return state, TrainingConfig.model_validate_json(state["config"])
    except Exception as error:  # damage shows in many ways
        raise TrainingError(_no_checkpoint(path)) from error


def _no_checkpoint(path: Path) -> str:
    return (
        f"{path}: not a checkpoint that can be read; it is damaged, or another program or version "
        "wrote it. Restore it from a copy, or delete it to start anew."
    )


def mixed_forward(network: SiteNetwork, graph: GraphBatch, source: Tensor) -> SiteOutput:
    """A site network with its layers in bfloat16; edge functions and results are float32."""
    basis = network.edge_functions(graph)
    with torch.autocast(source.device.type, torch.bfloat16):
        output: SiteOutput = network(graph, source, basis)
    sides = (output.log_displacements, output.log_sound, output.log_odds_unstable)
    return SiteOutput(
        output.log_weights.float(), *(None if side is None else side.float() for side in sides)
    )


def site_network_loss(
    network: Callable[..., SiteOutput],
    loss: SiteLoss,
    batch: MixedBatch,
    source: Tensor,
    sets: list[GraphSet],
    transferred: set[int],
    device: torch.device,
) -> Tensor:
    """Sum of the mean losses of the data sets in a batch, each by its number of crystals.

    Where the network has H heads, each learns the spectra of all compositions but one part in H,
    so that they differ on what a part of the data alone tells.
    """
    graph = batch.graph.to(device)
    output = network(graph, source.to(device))
    heads = output.log_weights
    parts = np.concatenate([sets[number].parts[entries] for number, entries, _ in batch.parts])
    total = heads.new_zeros(())
    for head, log_weights in enumerate(heads):
        shares = torch.ones(len(parts))
        if len(heads) > 1:
            kept = torch.from_numpy(parts % len(heads) != head)
            shares = kept.float() / (len(heads) - 1)
        total = total + _spectrum_loss(
            log_weights.exp(),
            loss,
            batch,
            graph,
            sets,
            transferred,
            shares.to(device),
            1 / len(heads),
        )
    total = total + _side_loss(output, loss, batch, graph, sets, transferred)
    mean: Tensor = total / batch.graph.n_crystals
    return mean


def _spectrum_loss(
    site_weights: Tensor,
    loss: SiteLoss,
    batch: MixedBatch,
    graph: GraphBatch,
    sets: list[GraphSet],
    transferred: set[int],
    shares: Tensor,
    of_head: float,
) -> Tensor:
    """Losses of one head's spectra, each crystal's times its share, responses times the head's."""
    device = site_weights.device
    in_order = site_weights.index_select(0, graph.site_order)
    index = torch.repeat_interleave(torch.arange(graph.n_crystals, device=device), graph.n_sites)
    crystal = in_order.new_zeros(graph.n_crystals, in_order.shape[1]).index_add(0, index, in_order)
    crystal = crystal / graph.n_sites.unsqueeze(1)
    total = in_order.new_zeros(())
    for number, entries, span in batch.parts:
        labelled = sets[number].labelled
        p, share = crystal[span], shares[span]
        if labelled.kind == "raw":
            bins = torch.from_numpy(labelled.bins[entries]).to(device)
            assert labelled.label is not None
            label = torch.from_numpy(labelled.label[entries]).to(device)
            part = (share * loss.raw(p, bins, label)).sum()
        elif labelled.kind == "sampled":
            assert labelled.label is not None
            label = torch.from_numpy(labelled.label[entries]).to(device)
            part = (share * loss.sampled(p, label)).sum()
        else:
            sites = [torch.from_numpy(labelled.bins[i]) for i in entries]
            q = torch.stack([s.mean(0) for s in sites]).to(device)
            part = in_order.new_zeros(())
            if number not in transferred:
                rows = in_order[(index >= span.start) & (index < span.stop)]
                per_site = loss.sites(rows, torch.cat(sites).to(device))
                of_site = share / graph.n_sites[span].to(per_site.dtype)
                weights = torch.repeat_interleave(of_site, graph.n_sites[span])
                part = part + (share * loss.raw(p, q, None)).sum() + (per_site * weights).sum()
            pairs = _pairs([labelled.ids[i] for i in entries])
            if len(pairs):
                part = part + of_head * loss.strain(p, q, pairs.to(device)) * len(pairs)
        total = total + part
    return total


def _side_loss(
    output: SiteOutput,
    loss: SiteLoss,
    batch: MixedBatch,
    graph: GraphBatch,
    sets: list[GraphSet],
    transferred: set[int],
) -> Tensor:
    """Losses of displacement tensors and sound velocities, where they are known and predicted."""
    device = output.log_weights.device
    total = output.log_weights.new_zeros(())
    tensors = output.log_displacements
    if tensors is not None:
        tensors = tensors.index_select(0, graph.site_order)
    ends = graph.first_site + graph.n_sites
    for number, entries, span in batch.parts:
        labelled = sets[number].labelled
        if output.log_odds_unstable is not None and labelled.kind != "sampled":
            # Sampled spectra end too near to zero, and are too noisy there, to tell.
            unstable = torch.from_numpy(labelled.unstable[entries]).to(device)
            total = total + loss.stability(output.log_odds_unstable[span], unstable).sum()
        if number in transferred:
            continue
        known = labelled.log_displacements
        if known is not None and tensors is not None:
            for k, i in enumerate(entries, start=span.start):
                if (reference := known[i]) is not None:
                    rows = tensors[int(graph.first_site[k]) : int(ends[k])]
                    there = torch.from_numpy(reference).to(device)
                    total = total + loss.displacements(rows, there).mean()
        if output.log_sound is not None and labelled.sound_velocity is not None:
            velocity = torch.from_numpy(labelled.sound_velocity[entries].astype(np.float32))
            usable = (velocity > SLOWEST_SOUND).to(device)  # NaN is not
            logs = velocity.to(device)[usable].log()
            total = total + loss.sound(output.log_sound[span][usable], logs).sum()
    return total


def _pairs(names: list[str]) -> Tensor:
    """Neighbouring entries of the same crystal, shape (n_pairs, 2)."""
    rows = [(i, i + 1) for i in range(len(names) - 1) if names[i] == names[i + 1]]
    return torch.tensor(rows, dtype=torch.int64).reshape(-1, 2)


@torch.no_grad()
def predict_labels(
    network: Network, loss: SiteLoss, data: GraphSet, device: torch.device, size: int = 64
) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Predictions on the label grid of a data set, shape (n, n_points)."""
    network.eval()
    parts = []
    for start in range(0, len(data.labelled), size):
        index = list(range(start, min(start + size, len(data.labelled))))
        batch = join([(0, data, index)])
        graph = batch.graph.to(device)
        if isinstance(network, PaperNetwork):
            parts.append(network(graph))
            continue
        p = crystal_weights(network, batch, device)
        if data.labelled.kind == "site":
            parts.append(p)
        elif data.labelled.kind == "sampled":
            parts.append(p @ loss.get_buffer("jarvis").T)
        else:
            soft = p[:, loss.get_buffer("grid") < -20].sum(1)
            parts.append(loss.paper_labels(p, soft < 0.01))
    return np.asarray(torch.cat(parts).cpu().numpy())


def crystal_weights(network: SiteNetwork, batch: MixedBatch, device: torch.device) -> Tensor:
    """Bin weights of each crystal, mean over sites and heads, shape (n_crystals, n_bins)."""
    graph = batch.graph.to(device)
    output: SiteOutput = network(graph, batch.source.to(device))
    return mean_over_sites(output.log_weights.exp().mean(0), graph)
