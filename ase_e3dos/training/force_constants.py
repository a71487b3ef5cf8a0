"""A training of force constants from end to end: configuration and data in, weights out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from ase_e3dos.data.composition import element_counts
from ase_e3dos.data.force_sets import ForceSets, marked_ids
from ase_e3dos.data.lock import only_process
from ase_e3dos.encoders import MassOneHot
from ase_e3dos.errors import TrainingError
from ase_e3dos.network.force_constants import ForceConstantNetwork, ForceConstantSettings
from ase_e3dos.network.weights import GridHeader, WeightsHeader, save_weights
from ase_e3dos.structures.masses import STANDARD_MASSES
from ase_e3dos.training.force_config import ForceConstantConfig
from ase_e3dos.training.force_labels import (
    SpectrumEntry,
    matrix_entries,
)
from ase_e3dos.training.force_trainer import ForceConstantTrainer
from ase_e3dos.training.run import Report, data_directory, load_part, quiet
from ase_e3dos.training.selection import select
from ase_e3dos.training.weights_header import (
    METHOD,
    elements_alone,
    filling_range,
    joint_citation,
    joint_licence,
)

__all__ = ["ForceConstantConfig", "ForceConstantTrainer", "train_force_constants"]


def new_network(config: ForceConstantConfig) -> ForceConstantNetwork:
    """The network of a run, with what it takes from the model that it starts from.

    That is all of a model of force constants, and the trunk of one of spectra.

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
        header, members = load_weights(spec.weights_path())
        trunk = ("embedding.", "source.", "layers.", "feature_scale", "norm.")
        whole = header.network == network.kind
        own = network.state_dict()
        state = {k: v for k, v in members[0].items() if whole or k.startswith(trunk)}
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
    matrices = matrix_entries(sets, "train", network.cutoff, without, near, report)
    validation = matrix_entries(sets, "valid", network.cutoff, without, report=report)
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
    trained_on = {sets.path.name: sets.sha256}
    trained_on |= {c.path: p.sha256 for c, p in zip(config.spectra, parts, strict=True)}
    sizes = ", ".join([f"{len(matrices)} force sets", *(f"{len(s)} spectra" for s in spectra)])
    report(f"training on {sizes}; {sum(p.numel() for p in network.parameters())} parameters")
    where.mkdir(parents=True, exist_ok=True)
    with only_process(where, folder=True):
        trainer = ForceConstantTrainer(
            config, network, matrices, validation, spectra, where, report, trained_on
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
        trained_on=trained_on,
        licence=joint_licence((name, o.licence) for name, o in origins),
        citation=joint_citation([METHOD, *(o.citation for _, o in origins)]),
        description=f"force constants, {sum(s.steps for s in config.stages)} steps, "
        f"seed {config.seed}",
    )
    save_weights(path, header, [trained.state_dict()])
    return path
