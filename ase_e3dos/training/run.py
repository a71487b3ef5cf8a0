"""A training run from end to end: a configuration and a data folder in, a weights file out."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import yaml

from ase_e3dos.data.labelled_set import LabelledSet, append_sampled, read_labelled
from ase_e3dos.data.labels import DEFAULT_GRID, IMAGINARY_GRID, PAPER_GRID
from ase_e3dos.data.lock import only_process
from ase_e3dos.errors import TrainingError
from ase_e3dos.network.device import resolve_device
from ase_e3dos.network.paper import PaperSettings
from ase_e3dos.network.site_trunk import SiteSettings
from ase_e3dos.network.weights import WeightsHeader, save_weights
from ase_e3dos.structures.paths import expanded, is_folder
from ase_e3dos.training.checkpoint import read_checkpoint
from ase_e3dos.training.config import DataConfig, TrainingConfig
from ase_e3dos.training.fit import Trainer
from ase_e3dos.training.new_network import Network, make_network
from ase_e3dos.training.sampler import GraphSet
from ase_e3dos.training.selection import left_out, select, without_compositions
from ase_e3dos.training.start import StartingPoint, starting_point
from ase_e3dos.training.weights_header import make_header

if TYPE_CHECKING:
    from ase_e3dos.encoders import Encoder

Report = Callable[[str], None]
GRIDS = {"paper": PAPER_GRID, "imaginary": IMAGINARY_GRID, "default": DEFAULT_GRID}


def quiet(line: str) -> None:
    """A report that goes nowhere."""


@dataclass(frozen=True)
class RunData:
    """The data of one run.

    Attributes
    ----------
    encoder : Encoder
        What made the features.
    sources : list of str
        Names of the data sources in the order of the network's embedding; the model speaks
        for the first.
    training, validation : list of GraphSet
        Sets with graphs.
    """

    encoder: Encoder
    sources: list[str]
    training: list[GraphSet]
    validation: list[GraphSet]


@dataclass(frozen=True)
class TrainedNetwork:
    """What a run leaves: weights and all that is known about them."""

    header: WeightsHeader
    state: dict[str, Any]
    history: list[dict[str, float]]

    def save(self, path: str | Path) -> Path:
        """Write a weights file and return its path."""
        save_weights(path, self.header, [self.state])
        return Path(path)


def data_directory(given: str | Path | None = None, config: TrainingConfig | None = None) -> Path:
    """Folder with the Parquet files: the one given, else that of E3DOS_DATA.

    Parameters
    ----------
    given : str or Path, optional
        The folder, if it is known.
    config : TrainingConfig, optional
        A configuration whose paths are all absolute needs no folder: the working directory
        stands for it where none is given.

    Raises
    ------
    TrainingError
        Neither is there.
    """
    parts = [] if config is None else [*config.data, *config.validation]
    if given is None and parts and all(Path(p.path).is_absolute() for p in parts):
        return Path.cwd()
    folder = given or os.environ.get("E3DOS_DATA")
    if folder is None:
        raise TrainingError(
            "where are the data? Give --data-dir, or set E3DOS_DATA to the folder with the "
            "Parquet files. `e3dos data import` makes such files."
        )
    path = expanded(folder)
    if not is_folder(path):
        raise TrainingError(f"{path}: no such folder of data.")
    return path


def load_part(part: DataConfig, directory: Path) -> LabelledSet:
    """The whole file of a part; read once a process."""
    whole = _read(str(directory / part.path))
    if part.source is not None:
        whole = replace(whole, source=part.source)
    return whole if part.append is None else append_sampled(whole, directory / part.append)


@lru_cache(maxsize=8)
def _read(path: str) -> LabelledSet:
    return read_labelled(path)


def select_training(config: TrainingConfig, directory: Path) -> list[LabelledSet]:
    """Training entries of each file.

    Where a fold of the first file is left out, its compositions are left out of all files:
    a spectrum of the same compound by another method would give the answer away.
    """
    sets = [select(load_part(part, directory), part) for part in config.data]
    fold = left_out(load_part(config.data[0], directory), config.data[0])
    if fold is None:
        return sets
    return [without_compositions(labelled, fold) for labelled in sets]


def load_data(
    config: TrainingConfig, directory: Path, network: Network, encoder: Encoder, sources: list[str]
) -> RunData:
    """Select the entries and make their graphs."""

    def graphs(labelled: LabelledSet) -> GraphSet:
        if labelled.source not in sources:
            raise TrainingError(
                f"validation data of the source {labelled.source!r}, but training has only "
                f"{', '.join(sources)}."
            )
        number = sources.index(labelled.source)
        return GraphSet.build(labelled, network.cutoff, network.self_edges, encoder, number)

    training = [graphs(s) for s in select_training(config, directory)]
    validation = [graphs(select(load_part(p, directory), p)) for p in config.validation]
    return RunData(encoder, sources, training, validation)


def data_digests(config: TrainingConfig, directory: Path) -> dict[str, str]:
    """SHA-256 of each data file of a run as it was read, by its path in the configuration."""
    digests = {}
    for part in [*config.data, *config.validation]:
        digests[part.path] = _read(str(directory / part.path)).sha256
        if part.append is not None:
            content = (directory / part.append).read_bytes()
            digests[part.append] = hashlib.sha256(content).hexdigest()
    return digests


def source_names(config: TrainingConfig, directory: Path, start: StartingPoint | None) -> list[str]:
    """Sources of the data in the order of the files, then those that the start knows besides."""
    names = [load_part(p, directory).source for p in config.data]
    return list(dict.fromkeys(names + (start.header.sources if start else [])))


def train(
    config: TrainingConfig,
    data_dir: str | Path | None,
    directory: str | Path | None,
    device: str = "auto",
    report: Report = quiet,
) -> TrainedNetwork:
    """Train one network, or go on with a run that was stopped.

    Parameters
    ----------
    config : TrainingConfig
        The run.
    data_dir : str, Path or None
        Folder of the Parquet files; None for that of E3DOS_DATA.
    directory : str, Path or None
        Folder of the run: checkpoint, history and configuration. A run that is there already
        is continued at its last full epoch and gives the same weights as one that was never
        stopped. None keeps nothing.
    device : str, optional
        "auto", "cpu", "cuda", ...
    report : callable, optional
        Gets a line of text after each epoch.

    Raises
    ------
    TrainingError, DataError
        Configuration, data or checkpoint are not usable.
    """
    from ase_e3dos.plugins import get_registry

    folder = data_directory(data_dir, config)
    where = None if directory is None else Path(directory)
    encoder = get_registry().encoder(config.encoder)
    start = starting_point(config)
    sources = source_names(config, folder, start)
    config = completed(config, sources, start)
    torch.manual_seed(config.seed)
    network = make_network(config, encoder)
    if start is not None:
        network.load_state_dict(start.state_for(network, sources))
    data = load_data(config, folder, network, encoder, sources)
    sizes = ", ".join(f"{len(s.labelled)} {s.labelled.source}" for s in data.training)
    report(f"training on {sizes}; {sum(p.numel() for p in network.parameters())} parameters")
    trainer = Trainer(
        config,
        network,
        data.training,
        data.validation,
        where,
        str(resolve_device(device)),
        report,
        data_digests(config, folder),
    )
    with nullcontext() if where is None else only_process(where, folder=True):
        if trainer.resume():
            report(f"resuming after epoch {trainer.epoch - 1} of {config.epochs}")
        if where is not None:
            written = yaml.safe_dump(config.model_dump(), sort_keys=False)
            (where / "config.yaml").write_text(written, encoding="utf-8")
        trained = trainer.run()
    header = make_header(
        config,
        trained,
        encoder,
        data.training,
        sources,
        GRIDS[config.grid],
        [folder / part.append for part in config.data if part.append is not None],
        None if start is None else (start.name, start.header.licence),
    )
    if start is not None:
        header = start.inherited(header)
    return TrainedNetwork(header, trained.state_dict(), trainer.history.rows)


def completed(
    config: TrainingConfig, sources: list[str], start: StartingPoint | None
) -> TrainingConfig:
    """The configuration with the sizes that follow from the data, the grid and the start.

    Raises
    ------
    TrainingError
        The sizes contradict the grid or the starting point.
    """
    settings = dict(config.settings)
    if start is not None:
        settings = {**start.settings, **settings}
        start.check(config, settings)
    defaults = SiteSettings() if config.network == "site" else PaperSettings()
    if len(sources) > settings.get("sources", getattr(defaults, "sources", len(sources))):
        settings["sources"] = len(sources)
    n_points = len(GRIDS[config.grid])
    if "n_bins" not in settings and defaults.n_bins != n_points:
        settings["n_bins"] = n_points
    if start is not None and start.header.grid.n != n_points:
        raise TrainingError(
            f"start_from={config.start_from!r} has {start.header.grid.n} points, the grid "
            f"{config.grid!r} has {n_points}. Set the grid of the start: one of {', '.join(GRIDS)}."
        )
    if settings.get("n_bins", n_points) != n_points:
        raise TrainingError(
            f"settings.n_bins is {settings['n_bins']}, but the grid {config.grid!r} has "
            f"{n_points} points. Leave n_bins out."
        )
    return config.model_copy(update={"settings": settings})


def config_of_run(directory: str | Path) -> TrainingConfig:
    """The configuration that the checkpoint in a run's folder was made with.

    Raises
    ------
    TrainingError
        There is no checkpoint, or it is damaged.
    """
    return read_checkpoint(Path(directory) / "checkpoint.pt")[1]
