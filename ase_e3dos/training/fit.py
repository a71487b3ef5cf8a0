"""The training loop: batches in, a trained network out; checkpoints resume exactly."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from ase_e3dos.data.labels import DEFAULT_GRID, IMAGINARY_GRID, JARVIS_GRID, PAPER_GRID
from ase_e3dos.errors import TrainingError
from ase_e3dos.evaluation.metrics import format_errors, spectrum_errors
from ase_e3dos.network.paper import PaperNetwork
from ase_e3dos.network.precision import without_autocast
from ase_e3dos.network.site import SiteNetwork
from ase_e3dos.training.checkpoint import (
    CHECKPOINT,
    History,
    no_checkpoint,
    read_checkpoint,
    write_checkpoint,
)
from ase_e3dos.training.config import TrainingConfig, differences
from ase_e3dos.training.loss import LossWeights, SiteLoss, paper_loss
from ase_e3dos.training.new_network import Network
from ase_e3dos.training.predicted_labels import predict_labels
from ase_e3dos.training.sampler import GraphSet, MixedBatch, epoch_batches
from ase_e3dos.training.site_losses import forward_in_bfloat16, site_network_loss

if TYPE_CHECKING:
    from ase_e3dos.network.graph import GraphBatch


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
            self.network.parameters(),
            config.learning_rate,
            weight_decay=config.weight_decay,
            fused=True,
        )
        self._trained = list(self.network.parameters())
        self._averaged = list(self.average.parameters())
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
            nn.utils.clip_grad_norm_(self._trained, self.config.clip)
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
            for kept, new in zip(self._averaged, self._trained, strict=True):
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
            return forward_in_bfloat16(self.network, graph, *source)
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
        if self.directory is not None:
            write_checkpoint(
                self.directory,
                {
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
                },
            )

    def resume(self) -> bool:
        """Continue from the checkpoint in the directory; False where there is none.

        Raises
        ------
        TrainingError
            The checkpoint belongs to another configuration or other data, or is damaged.
        """
        path = self.directory / CHECKPOINT if self.directory else None
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
            raise TrainingError(no_checkpoint(path)) from error
        return True
