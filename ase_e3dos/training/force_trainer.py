"""Training of a network of force constants: on dynamical matrices, then on spectra as well.

The loss of a matrix is in `ase_e3dos.training.force_labels`; that of a spectrum is the distance of
its quantiles, which is the Wasserstein distance.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ase_e3dos.errors import TrainingError
from ase_e3dos.network.force_constants import ForceConstantNetwork
from ase_e3dos.network.graph import collate
from ase_e3dos.network.lattice_dynamics import WAVENUMBER
from ase_e3dos.network.springs import CrystalSprings, ForceConstants, crystal_springs
from ase_e3dos.structures.crystal import Crystal
from ase_e3dos.structures.paths import is_file
from ase_e3dos.training.checkpoint import CHECKPOINT, History, no_checkpoint, write_checkpoint
from ase_e3dos.training.config import differences
from ase_e3dos.training.force_config import ForceConstantConfig, Stage, read_force_checkpoint
from ase_e3dos.training.force_labels import (
    MatrixEntry,
    SpectrumEntry,
    acoustic_loss,
    entropy_loss,
    matrix_loss,
    rounded_root,
    softening_loss,
)

__all__ = ["ForceConstantTrainer"]

Array = NDArray[np.float64]

#: Weights of the losses per cm^-1, of Born charges per e, and of dielectric tensors.
_PER_MATRIX, _PER_SPECTRUM = 1 / 20, 1 / 10


def _shifted_mesh(crystal: Crystal, n_points: float, rng: np.random.Generator) -> Array:
    """A uniform mesh of about so many points, shifted at random; 1/Å, shape (n, 3)."""
    reciprocal = np.linalg.inv(crystal.cell)
    spans = np.linalg.norm(reciprocal, axis=0)
    numbers = np.rint(spans * (n_points / spans.prod()) ** (1 / 3))
    numbers = np.maximum(1, numbers).astype(int)
    points = (np.indices(tuple(numbers)).reshape(3, -1).T + rng.random(3)) / numbers
    return np.asarray((points - np.rint(points)) @ reciprocal.T)


class ForceConstantTrainer:
    """Trains a network stage by stage; stops and resumes between epochs of `CHECK` steps.

    Parameters
    ----------
    config : ForceConstantConfig
        The run.
    network : ForceConstantNetwork
        To train.
    matrices, validation : list of MatrixEntry
        Crystals with force constants.
    spectra : list of list of SpectrumEntry
        Of each file of spectra.
    directory : Path
        Of the checkpoint.
    report : callable
        Gets a line of text after each epoch.
    digests : dict of str to str, optional
        SHA-256 of each data file by its name, which a checkpoint is held against.
    """

    CHECK = 250

    def __init__(
        self,
        config: ForceConstantConfig,
        network: ForceConstantNetwork,
        matrices: list[MatrixEntry],
        validation: list[MatrixEntry],
        spectra: list[list[SpectrumEntry]],
        directory: Path,
        report: Any = print,
        digests: dict[str, str] | None = None,
    ) -> None:
        self.digests = digests or {}
        self.config, self.network = config, network
        self.average = deepcopy(network).eval()
        self.matrices, self.validation, self.spectra = matrices, validation, spectra
        self.directory, self.report = directory, report
        self.stage = self.step = 0
        self.history = History()
        trunk = {
            name
            for name, _ in network.named_parameters()
            if name.split(".")[0] in ("embedding", "source", "basis", "layers")
        }
        groups = [
            [p for n, p in network.named_parameters() if (n in trunk) == inside]
            for inside in (False, True)
        ]
        self._rates = (1.0, config.trunk_rate)
        self.optimizer = torch.optim.AdamW(
            [{"params": g} for g in groups], lr=1e-3, weight_decay=0.01, betas=(0.9, 0.99)
        )
        self._streams: dict[int, list[int]] = {}

    def resume(self) -> bool:
        """Take up a run that was stopped; whether there was one.

        Raises
        ------
        TrainingError
            The checkpoint is damaged, or of another configuration or other data.
        """
        path = self.directory / CHECKPOINT
        if not is_file(path):
            return False
        state, config = read_force_checkpoint(path)
        if config != self.config:
            raise TrainingError(
                f"{path} was made with another configuration: "
                f"{'; '.join(differences(config, self.config))}. Ask for the same, use another "
                "--output, or delete it to start anew."
            )
        if state.get("digests", self.digests) != self.digests:
            raise TrainingError(
                f"{path} was made with other data: a file changed since. Use another --output, or "
                "delete it to start anew."
            )
        try:
            self.network.load_state_dict(state["network"])
            self.average.load_state_dict(state["average"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.stage, self.step = state["stage"], state["step"]
            self.history = History(state["history"])
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise TrainingError(no_checkpoint(path)) from error
        return True

    def run(self) -> ForceConstantNetwork:
        """Train all stages, and give the network of the averaged weights."""
        while self.stage < len(self.config.stages):
            stage = self.config.stages[self.stage]
            while self.step < stage.steps:
                self._epoch(stage, min(self.CHECK, stage.steps - self.step))
            self.stage, self.step = self.stage + 1, 0
        return self.average

    def _epoch(self, stage: Stage, n_steps: int) -> None:
        start, sums, loss_sum = time.perf_counter(), np.zeros(4), 0.0
        # Draws depend on the place in the run alone, so that a resumed run is the same.
        rng = np.random.default_rng([self.config.seed, self.stage, self.step])
        torch.manual_seed(self.config.seed + 1000 * self.stage + self.step)
        self._streams = {}
        self.network.train()
        for _ in range(n_steps):
            rise = min(1.0, (self.step + 1) / stage.warm_up)
            fall = 0.5 * (1 + math.cos(math.pi * self.step / stage.steps))
            for group, factor in zip(self.optimizer.param_groups, self._rates, strict=True):
                group["lr"] = stage.learning_rate * factor * rise * fall + 1e-6
            losses = self._losses(stage, rng)
            charges = stage.charges * (losses[1] + losses[2])
            loss = losses[0] * _PER_MATRIX + charges + losses[3] * _PER_SPECTRUM
            self.step += 1
            if not bool(torch.isfinite(loss)):
                raise TrainingError(
                    f"the loss is not finite at step {self.step}. Lower the learning rate."
                )
            self.optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(self.network.parameters(), 2.0)
            self.optimizer.step()
            self._follow()
            sums += np.array([float(x.detach()) for x in losses])
            loss_sum += float(loss.detach())
        names = ("matrices", "born", "dielectric", "spectra")
        row = dict(zip(names, (sums / n_steps).tolist(), strict=True))
        row |= {"stage": self.stage, "step": self.step, "seconds": time.perf_counter() - start}
        if self.validation:
            row |= self.judged()
        self.report(" ".join(f"{k}={v:.4g}" for k, v in row.items()))
        place = {"epoch": float(len(self.history.rows)), "loss": loss_sum / n_steps}
        self.history.add(place | row, self.directory / "history.jsonl")
        self._save()

    def _follow(self) -> None:
        done = self.step + sum(s.steps for s in self.config.stages[: self.stage])
        decay = min(self.config.weight_average, (done + 1) / (done + 10))
        with torch.no_grad():
            for ours, theirs in zip(
                self.average.parameters(), self.network.parameters(), strict=True
            ):
                ours.lerp_(theirs, 1 - decay)

    def _save(self) -> None:
        write_checkpoint(
            self.directory,
            {
                "config": self.config.model_dump_json(),
                "digests": self.digests,
                "network": self.network.state_dict(),
                "average": self.average.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "stage": self.stage,
                "step": self.step,
                "history": self.history.rows,
            },
        )

    def _draw(self, which: int, n: int, size: int, rng: np.random.Generator) -> list[int]:
        """The next entries of a set, each once before any comes twice."""
        stream = self._streams.setdefault(which, [])
        while len(stream) < n:
            stream.extend(rng.permutation(size).tolist())
        drawn = stream[:n]
        del stream[:n]
        return drawn

    def _losses(self, stage: Stage, rng: np.random.Generator) -> tuple[Tensor, ...]:
        chosen = self._draw(-1, stage.matrices, len(self.matrices), rng)
        entries = [self.matrices[k] for k in chosen]
        matrices, born, dielectric = self._matrix_losses(entries, stage, rng)
        spectra = matrices.new_zeros(())
        if stage.spectra:
            shares = np.array(self.config.shares or [1.0] * len(self.spectra))
            files = rng.choice(len(self.spectra), stage.spectra, p=shares / shares.sum())
            drawn = [
                self.spectra[f][self._draw(int(f), 1, len(self.spectra[f]), rng)[0]] for f in files
            ]
            spectra = self._spectrum_loss(drawn, stage, rng)
        return matrices, born, dielectric, spectra

    def _matrix_losses(
        self, entries: list[MatrixEntry], stage: Stage, rng: np.random.Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Mean errors of matrices (cm^-1), Born charges (e) and dielectric tensors (relative)."""
        own = stage.own_dipoles
        flags = torch.tensor([int(own or e.label.born is not None) for e in entries])
        errors, charges, tensors = [], [], []
        found = _springs(self.network, entries, flags)
        for entry, (springs, root) in zip(entries, found, strict=True):
            label, masses = entry.label, root[:, None] * root
            at = rng.permutation(len(label.q))[: stage.points]
            constants = springs.force_constants()
            if not own and label.born is not None and label.dielectric is not None:
                constants = constants.with_charges(_tensor(label.born), _tensor(label.dielectric))
            polar = own or label.born is not None
            matrices = constants.at(_tensor(label.q[at]), dipoles=polar) * masses
            error = matrix_loss(matrices, entry.total[at], entry.modes[at])
            if own and stage.near and len(label.near):
                at = rng.permutation(len(label.near))[: stage.near]
                matrices = constants.at(_tensor(label.near[at])) * masses
                near = matrices, entry.near_total[at], entry.near_modes[at]
                error = error + 0.5 * (matrix_loss(*near) + acoustic_loss(*near))
            if own and (stage.entropy or stage.softening) and len(label.q) > 1:
                error = error + self._of_frequencies(stage, entry, constants, masses, rng)
            errors.append(error)
            if label.born is not None and label.dielectric is not None:
                charges.append((springs.born - _tensor(label.born)).abs().mean())
                dielectric = _tensor(label.dielectric)
                difference = (springs.dielectric - dielectric).abs().mean()
                tensors.append(3 * difference / dielectric.trace())
        none = torch.zeros(())
        return (
            torch.stack(errors).mean(),
            torch.stack(charges).mean() if charges else none,
            torch.stack(tensors).mean() if tensors else none,
        )

    def _of_frequencies(
        self,
        stage: Stage,
        entry: MatrixEntry,
        constants: ForceConstants,
        masses: Tensor,
        rng: np.random.Generator,
    ) -> Tensor:
        """Losses of the frequencies themselves, away from the zone's centre."""
        at = 1 + rng.permutation(len(entry.label.q) - 1)[: stage.points]
        matrices = constants.at(_tensor(entry.label.q[at])) * masses
        found = torch.linalg.eigvalsh(matrices) * WAVENUMBER**2
        theirs = entry.wavenumbers[at]
        loss = stage.entropy * entropy_loss(found, _tensor(theirs * np.abs(theirs)))
        if entry.stable:
            loss = loss + stage.softening * softening_loss(found)
        return loss

    def _spectrum_loss(
        self, entries: list[SpectrumEntry], stage: Stage, rng: np.random.Generator
    ) -> Tensor:
        """Mean distance of quantiles, cm^-1."""
        with_dipoles = torch.tensor([int(e.dipoles) for e in entries])
        losses = []
        found = _springs(self.network, entries, with_dipoles)
        for entry, (springs, root) in zip(entries, found, strict=True):
            n = entry.crystal.n_sites
            mesh = _shifted_mesh(entry.crystal, max(4.0, stage.spectrum_points / (n + 2)), rng)
            constants = springs.force_constants().at(_tensor(mesh), entry.dipoles)
            values = torch.linalg.eigvalsh(constants * (root[:, None] * root)) * WAVENUMBER**2
            ours = rounded_root(values).flatten().sort().values
            theirs = entry.quantiles(len(ours))
            losses.append((ours - rounded_root(theirs * theirs.abs())).abs().mean())
        return torch.stack(losses).mean()

    @torch.no_grad()
    def judged(self) -> dict[str, float]:
        """Errors on the validation crystals, at all their points and with predicted dipoles."""
        errors, stable = [], []
        for entry in self.validation:
            ((springs, root),) = _springs(self.average, [entry], torch.ones(1, dtype=torch.int64))
            found = springs.force_constants().at(_tensor(entry.label.q)) * (root[:, None] * root)
            values = torch.linalg.eigvalsh(found).numpy()
            wavenumbers = WAVENUMBER * np.sign(values) * np.sqrt(np.abs(values))
            errors.append(np.abs(wavenumbers - entry.wavenumbers).mean())
            if entry.wavenumbers.min() > -5:
                stable.append(wavenumbers.min() > -5)
        return {
            "valid_frequency": float(np.mean(errors)),
            "valid_frequency_median": float(np.median(errors)),
            "valid_stable": float(np.mean(stable)) if stable else math.nan,
        }


def _tensor(values: Array) -> Tensor:
    return torch.from_numpy(values).float()


def _springs(
    network: ForceConstantNetwork, entries: Sequence[MatrixEntry | SpectrumEntry], dipoles: Tensor
) -> Iterator[tuple[CrystalSprings, Tensor]]:
    """Springs of each crystal, and 1 / sqrt(mass) of its coordinates."""
    batch = collate([e.graph for e in entries], np.concatenate([e.features for e in entries]))
    springs = network.springs(batch, 0, None, dipoles)
    masses = batch.features.sum(1).index_select(0, batch.site_order)
    roots = masses.rsqrt().repeat_interleave(3).split((3 * batch.n_sites).tolist())
    return zip(crystal_springs(springs, batch), roots, strict=True)
