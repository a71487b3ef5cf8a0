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
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from ase_e3dos.data.composition import element_counts
from ase_e3dos.data.force_sets import ForceSets, marked_ids
from ase_e3dos.data.lock import only_process
from ase_e3dos.encoders import MassOneHot
from ase_e3dos.errors import TrainingError
from ase_e3dos.network.force_constants import ForceConstantNetwork, ForceConstantSettings
from ase_e3dos.network.graph import collate
from ase_e3dos.network.lattice_dynamics import WAVENUMBER
from ase_e3dos.network.springs import CrystalSprings, ForceConstants, crystal_springs
from ase_e3dos.network.weights import GridHeader, WeightsHeader, save_weights
from ase_e3dos.structures.crystal import Crystal
from ase_e3dos.structures.masses import STANDARD_MASSES
from ase_e3dos.training.config import DataConfig
from ase_e3dos.training.force_labels import (
    MatrixEntry,
    SpectrumEntry,
    acoustic_loss,
    entropy_loss,
    matrix_entries,
    matrix_loss,
    rounded_root,
    softening_loss,
)
from ase_e3dos.training.run import Report, data_directory, load_part, quiet
from ase_e3dos.training.selection import select
from ase_e3dos.training.weights_header import (
    METHOD,
    elements_alone,
    filling_range,
    joint_citation,
    joint_licence,
)

__all__ = ["ForceConstantConfig", "Stage", "train_force_constants"]

Array = NDArray[np.float64]

#: Weights of the losses per cm^-1, of Born charges per e, and of dielectric tensors.
_PER_MATRIX, _PER_SPECTRUM = 1 / 20, 1 / 10


class Stage(BaseModel):
    """One stage of a training: a learning rate that rises, and falls to zero along a cosine."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    steps: int = Field(ge=1)
    learning_rate: float = Field(1e-3, gt=0)
    warm_up: int = Field(200, ge=1, description="steps over which the rate rises")
    matrices: int = Field(24, ge=1, description="crystals with force constants in a step")
    points: int = Field(2, ge=1, description="wave vectors of each of them")
    own_dipoles: bool = Field(
        False, description="add the dipoles of predicted charges, not those of the labels"
    )
    near: int = Field(0, ge=0, description="wave vectors near the zone's centre, with own_dipoles")
    entropy: float = Field(
        0.0, ge=0, description="cm^-1 of the loss for an error of k_B a mode, with own_dipoles"
    )
    softening: float = Field(
        0.0, ge=0, description="weight of imaginary modes of stable crystals, with own_dipoles"
    )
    spectra: int = Field(0, ge=0, description="crystals with spectra in a step")
    spectrum_points: float = Field(84.0, gt=0, description="wave vectors times (sites + 2)")


class ForceConstantConfig(BaseModel):
    """A training run of a network of force constants."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    network: Literal["force-constants"]
    settings: dict[str, Any] = Field(default_factory=dict, description="sizes of the network")
    forces: str = Field(description="file of force sets, relative to --data-dir")
    leave_out: str | None = Field(
        None, description="file whose entries marked in_petretto_valid are left out by their id"
    )
    spectra: list[DataConfig] = Field(default_factory=list)
    shares: list[float] = Field(
        default_factory=list, description="share of each file of spectra in what a step draws"
    )
    scale: list[float] = Field(
        default_factory=list, description="factor on the frequencies of each file of spectra"
    )
    dipoles: list[bool] = Field(
        default_factory=list, description="whether the spectra of each file have LO-TO splitting"
    )
    stages: list[Stage] = Field(min_length=1)
    trunk_rate: float = Field(0.5, gt=0, description="learning rate of the trunk over the others'")
    weight_average: float = Field(0.998, ge=0, lt=1)
    start_from: str | None = Field(
        None, description="site model whose trunk is taken to begin with"
    )
    seed: int = Field(0, ge=0)


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
    ) -> None:
        self.config, self.network = config, network
        self.average = deepcopy(network).eval()
        self.matrices, self.validation, self.spectra = matrices, validation, spectra
        self.directory, self.report = directory, report
        self.stage = self.step = 0
        self.history: list[dict[str, float]] = []
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

    @property
    def _checkpoint(self) -> Path:
        return self.directory / "checkpoint.pt"

    def resume(self) -> bool:
        """Take up a run that was stopped; whether there was one."""
        if not self._checkpoint.is_file():
            return False
        state = torch.load(self._checkpoint, weights_only=True)
        if state["config"] != self.config.model_dump(mode="json"):
            raise TrainingError(
                f"{self.directory} holds a run of another configuration. Use another --output."
            )
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.stage, self.step, self.history = state["stage"], state["step"], state["history"]
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
        start, sums = time.perf_counter(), np.zeros(4)
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
            loss = losses[0] * _PER_MATRIX + losses[1] + losses[2] + losses[3] * _PER_SPECTRUM
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
            sums += np.array([float(x) for x in losses])
        names = ("matrices", "born", "dielectric", "spectra")
        row = dict(zip(names, (sums / n_steps).tolist(), strict=True))
        row |= {"stage": self.stage, "step": self.step, "seconds": time.perf_counter() - start}
        if self.validation:
            row |= self.judged()
        self.history.append(row)
        self.report(" ".join(f"{k}={v:.4g}" for k, v in row.items()))
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
        state = {
            "config": self.config.model_dump(mode="json"),
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "stage": self.stage,
            "step": self.step,
            "history": self.history,
        }
        temporary = self._checkpoint.with_suffix(".tmp")
        torch.save(state, temporary)
        temporary.replace(self._checkpoint)

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
        flags = torch.tensor([int(own or e.label.dipoles is not None) for e in entries])
        errors, charges, tensors = [], [], []
        found = _springs(self.network, entries, flags)
        for entry, (springs, root) in zip(entries, found, strict=True):
            label, masses = entry.label, root[:, None] * root
            at = rng.permutation(len(label.q))[: stage.points]
            constants = springs.force_constants()
            matrices = constants.at(_tensor(label.q[at]), dipoles=own) * masses
            target = entry.total if own else entry.target
            error = matrix_loss(matrices, target[at], entry.modes[at])
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


def new_network(config: ForceConstantConfig) -> ForceConstantNetwork:
    """The network of a run, with the trunk of the model that it starts from.

    Raises
    ------
    TrainingError
        A setting is unknown, or the start's trunk has other sizes.
    """
    try:
        settings = ForceConstantSettings(**config.settings)
    except TypeError as error:
        raise TrainingError(f"settings: {error}.") from error
    torch.manual_seed(config.seed)
    masses = torch.tensor(STANDARD_MASSES[1:], dtype=torch.float32)
    network = ForceConstantNetwork(settings, masses)
    if config.start_from is not None:
        from ase_e3dos.network.weights import load_weights
        from ase_e3dos.plugins import get_registry

        spec = get_registry().resolve_model(config.start_from)
        _, members = load_weights(spec.weights_path())
        parts = ("embedding.", "source.", "layers.", "feature_scale", "norm.")
        own = network.state_dict()
        state = {k: v for k, v in members[0].items() if k.startswith(parts)}
        unlike = [k for k, v in state.items() if k not in own or own[k].shape != v.shape]
        if unlike or not state:
            raise TrainingError(
                f"start_from={config.start_from!r} has another trunk: {', '.join(unlike[:3])}. Set "
                "the sizes in settings as its card has them."
            )
        network.load_state_dict({**own, **state})
    return network


def train_force_constants(
    config: ForceConstantConfig,
    data_dir: str | Path | None,
    directory: str | Path,
    report: Report = quiet,
) -> Path:
    """Train a network of force constants, or go on with a run that was stopped.

    Parameters
    ----------
    config : ForceConstantConfig
        The run.
    data_dir : str, Path or None
        Folder of the Parquet files; None for that of E3DOS_DATA.
    directory : str or Path
        Folder of the run: checkpoint, and the weights at the end.
    report : callable, optional
        Gets a line of text after each 250 steps.

    Returns
    -------
    Path
        The weights file.

    Raises
    ------
    TrainingError, DataError
        Configuration, data or checkpoint are not usable.
    """
    folder, where = data_directory(data_dir), Path(directory)
    network = new_network(config)
    sets = ForceSets(folder / config.forces)
    without: frozenset[str] = frozenset()
    if config.leave_out is not None:
        without = marked_ids(folder / config.leave_out)
    near = 4 if any(stage.near for stage in config.stages) else 0
    matrices = matrix_entries(sets, "train", network.cutoff, without, near)
    validation = matrix_entries(sets, "valid", network.cutoff, without)
    if not matrices:
        raise TrainingError(f"{sets.path}: no rows of the split 'train'.")
    parts = [select(load_part(part, folder), part) for part in config.spectra]
    spectra = []
    for k, part in enumerate(parts):
        scale = config.scale[k] if k < len(config.scale) else 1.0
        dipoles = config.dipoles[k] if k < len(config.dipoles) else True
        bins = [np.asarray(b).reshape(-1, np.shape(b)[-1]).mean(0) for b in part.bins]
        spectra.append(
            [
                SpectrumEntry.of(crystal, b, scale, dipoles, network.cutoff)
                for crystal, b in zip(part.crystals, bins, strict=True)
            ]
        )
    sizes = ", ".join([f"{len(matrices)} force sets", *(f"{len(s)} spectra" for s in spectra)])
    report(f"training on {sizes}; {sum(p.numel() for p in network.parameters())} parameters")
    where.mkdir(parents=True, exist_ok=True)
    with only_process(where, folder=True):
        trainer = ForceConstantTrainer(
            config, network, matrices, validation, spectra, where, report
        )
        if trainer.resume():
            report(f"resuming in stage {trainer.stage} after step {trainer.step}")
        trained = trainer.run()
    path = where / "weights.safetensors"
    crystals = [e.label.crystal for e in matrices] + [e.crystal for s in spectra for e in s]
    origins = [("force sets", sets.origin), *((p.source, p.origin) for p in parts)]
    header = WeightsHeader(
        network=ForceConstantNetwork.kind,
        settings=trained.config(),
        members=1,
        grid=GridHeader(-395.0, 10.0, trained.settings.n_bins),
        encoder=MassOneHot.name,
        encoder_version=MassOneHot.version,
        sources=["dfpt", *(f"unused {k}" for k in range(1, trained.settings.sources))],
        elements=element_counts(crystals),
        trust={"filling": list(filling_range(crystals)), "alone": elements_alone(crystals)},
        trained_on={sets.path.name: sets.sha256}
        | {c.path: p.sha256 for c, p in zip(config.spectra, parts, strict=True)},
        licence=joint_licence((name, o.licence) for name, o in origins),
        citation=joint_citation([METHOD, *(o.citation for _, o in origins)]),
        description=f"force constants, {sum(s.steps for s in config.stages)} steps, "
        f"seed {config.seed}",
    )
    save_weights(path, header, [trained.state_dict()])
    return path
