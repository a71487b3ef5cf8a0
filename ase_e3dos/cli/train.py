"""`e3dos train`: from a preset or YAML file and a folder of data to weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ase_e3dos.cli.interruption import resumable
from ase_e3dos.cli.options import Device
from ase_e3dos.cli.output import check_figure, check_folder, writing
from ase_e3dos.cli.training_options import (
    DataDirectory,
    DataFiles,
    Overrides,
    Threads,
    configuration,
    fields_to_set,
    set_threads,
)
from ase_e3dos.errors import TrainingError
from ase_e3dos.structures.paths import is_file, is_folder

if TYPE_CHECKING:
    from ase_e3dos.training.config import TrainingConfig


def train_command(
    config: Annotated[
        str,
        typer.Argument(
            help="A preset (paper, imaginary, alloy, default, force-constants; for own data "
            "fine-tune, small), a YAML file, or the folder of a run."
        ),
    ],
    data_dir: DataDirectory = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder of the run; one that is there is continued."),
    ] = None,
    data: DataFiles = None,
    members: Annotated[
        int | None,
        typer.Option(
            min=1, help="Networks in the ensemble; by default one, or what a run began with."
        ),
    ] = None,
    start_from: Annotated[
        str | None,
        typer.Option("--from", help="Fine-tune this model (a name or a weights file)."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of the first member.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Length of the run.")] = None,
    overrides: Overrides = None,
    device: Device = "auto",
    threads: Threads = None,
    export_plugin: Annotated[
        str | None,
        typer.Option(help="Write an installable plug-in package that offers the model by NAME."),
    ] = None,
) -> None:
    """Train a model; stop it at any time, the same command goes on where it was."""
    from ase_e3dos.training.config import read_fields
    from ase_e3dos.training.ensemble import train_ensemble

    set_threads(threads)
    values = fields_to_set(overrides) | {
        key: value
        for key, value in {"start_from": start_from, "seed": seed, "epochs": epochs}.items()
        if value is not None
    }
    former = _force_run(Path(config))
    if former or (
        not is_folder(config) and read_fields(config).get("network") == "force-constants"
    ):
        _train_force_constants(
            config, former, values, output, data_dir,
            {"--data": data, "--members": members, "--epochs": epochs, "--device": device != "auto",
             "--export-plugin": export_plugin},
        )  # fmt: skip
        return
    run, folder = _configuration(config, values, output, data)
    check_folder(folder)
    members = _n_members(members, folder, Path(config))
    if export_plugin is not None:
        _check_export(export_plugin, run, folder)
    path = train_ensemble(run, members, data_dir, folder, device, typer.echo)
    size = path.stat().st_size / 1e6
    typer.echo(f"weights: {path} ({size:.1f} MB); use them with --model {path}")
    _draw_curves(folder)
    if export_plugin is not None:
        _export(export_plugin, path, run, data_dir, folder, device)


def _force_run(folder: Path) -> dict[str, Any] | None:
    """Fields of the configuration of a run of a network of force constants, if it is one."""
    from ase_e3dos.training.force_config import config_of_force_run

    found = config_of_force_run(folder) if is_folder(folder) else None
    return None if found is None else found.model_dump()


def _train_force_constants(
    config: str,
    former: dict[str, Any] | None,
    values: dict[str, Any],
    output: Path | None,
    data_dir: Path | None,
    others: dict[str, Any],
) -> None:
    """Train a network of force constants; what only networks of spectra have is refused."""
    from ase_e3dos.training.config import checked, overridden, read_fields
    from ase_e3dos.training.force_constants import ForceConstantConfig, train_force_constants

    asked = [name for name, value in others.items() if value]
    if asked:
        raise TrainingError(
            f"{', '.join(asked)}: not for a network of force constants, whose lengths and data are "
            "fields of its configuration (--set stages.0.steps=500)."
        )
    fields = read_fields(config) if former is None else former
    run = checked(ForceConstantConfig, overridden(fields, values), config)
    folder = output or (Path("runs") / Path(config).stem if former is None else Path(config))
    check_folder(folder)
    with resumable(f"{folder}, up to the last line above"):
        path = train_force_constants(run, data_dir, folder, typer.echo)
    typer.echo(
        f"weights: {path} ({path.stat().st_size / 1e6:.1f} MB); use them with --model {path}"
    )
    _draw_curves(folder)


def curves_command(
    runs: Annotated[
        list[Path],
        typer.Argument(help="Folders of runs, or folders that hold runs (members)."),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Image to write; the ending is the format.")
    ] = Path("learning-curves.png"),
    against: Annotated[
        str, typer.Option(help="Horizontal axis: epoch, or seconds of training.")
    ] = "epoch",
    measures: Annotated[
        list[str] | None,
        typer.Option("--measure", help="Of validation; several times. R2, MAE and WD without it."),
    ] = None,
) -> None:
    """Draw the learning curves of finished or running trainings in one figure."""
    from ase_e3dos.evaluation.figures import find_histories, learning_curves

    if against not in ("epoch", "seconds"):
        raise TrainingError(f"--against {against}: choose epoch or seconds.")
    check_figure(output, "-o")
    histories = find_histories(runs)
    with writing(output):
        learning_curves(histories, output, measures, against)
    typer.echo(f"{output}: {', '.join(histories)}")


def _n_members(asked: int | None, folder: Path, run: Path) -> int:
    """Networks to train: what is asked for, else what is there already, else one.

    Raises
    ------
    TrainingError
        The folder holds an ensemble and one network is asked for, or the reverse.
    """
    there = len(list(folder.glob("member-*")))
    if asked is None:
        return max(1, there, len(list(run.glob("member-*"))) if is_folder(run) else 0)
    if asked == 1 and there:
        raise TrainingError(
            f"{folder} holds an ensemble of {there}. Leave --members out to go on with it, or "
            "use another --output."
        )
    if asked > 1 and is_file(folder / "checkpoint.pt"):
        raise TrainingError(
            f"{folder} holds the run of one network. Leave --members out to go on with it, or "
            "use another --output."
        )
    return asked


def _check_export(name: str, run: TrainingConfig, folder: Path) -> None:
    """Find out what would stop the export before hours of training, not after."""
    from ase_e3dos.training.plugin_export import encoder_packages, plugin_names

    plugin_names(name, folder, folder / "weights.safetensors")
    encoder_packages(run.encoder)


def _draw_curves(folder: Path) -> None:
    from ase_e3dos.evaluation.figures import find_histories, learning_curves

    learning_curves(find_histories([folder]), folder / "learning-curves.png")
    typer.echo(f"learning curves: {folder / 'learning-curves.png'}")


def _export(
    name: str, path: Path, run: TrainingConfig, data_dir: Path | None, folder: Path, device: str
) -> None:
    from ase_e3dos.data.labelled_file import split_counts
    from ase_e3dos.evaluation.predictions import evaluate
    from ase_e3dos.training.plugin_export import export_plugin
    from ase_e3dos.training.run import data_directory

    where = data_directory(data_dir, run)
    results = []
    for part in run.validation[:1]:
        file, split = where / part.path, part.split or "all"
        results.append(evaluate(path, file, split, device))
        # Validation may have chosen the epoch; a split that took no part says more.
        if split == "valid" and split_counts(file).get("test"):
            results.append(evaluate(path, file, "test", device))
    package = export_plugin(name, path, folder, results=results)
    typer.echo(f"plug-in: {package}; pip install {package}, then --model {name}")


def _configuration(
    config: str, values: dict[str, Any], output: Path | None, data: list[Path] | None
) -> tuple[TrainingConfig, Path]:
    from ase_e3dos.training.config import TrainingConfig, checked, overridden
    from ase_e3dos.training.run import config_of_run

    given = Path(config)
    own = is_file(given / "checkpoint.pt")
    if not own and not is_file(given / "member-0" / "checkpoint.pt"):
        return configuration(config, values, data), output or Path("runs") / given.stem
    if data:
        raise TrainingError(f"{config} is a run, which keeps its data: leave --data out.")
    run = config_of_run(given if own else given / "member-0")
    return checked(TrainingConfig, overridden(run.model_dump(), values), config), output or given
