"""`e3dos train`: from a preset or YAML file and a folder of data to weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ase_e3dos.cli.output import check_figure, check_folder, writing
from ase_e3dos.errors import TrainingError

if TYPE_CHECKING:
    from ase_e3dos.training.config import TrainingConfig


def train_command(
    config: Annotated[
        str,
        typer.Argument(
            help="A preset (paper, imaginary, alloy, default; for data of your own fine-tune, "
            "small), a YAML file, the folder of a run, or cnn (the paper's control network, which "
            "takes no --members, --from or --export-plugin and begins anew each time)."
        ),
    ],
    data_dir: Annotated[
        Path | None,
        typer.Option("--data-dir", help="Folder with the Parquet files; default E3DOS_DATA."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder of the run; one that is there is continued."),
    ] = None,
    data: Annotated[
        list[Path] | None,
        typer.Option(
            "--data",
            help="Parquet file of your own, instead of those of the configuration; may be "
            "given several times, the model speaks for the first.",
        ),
    ] = None,
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
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="Any field as KEY=VALUE, the value in YAML: --set learning_rate=0.001 "
            "--set settings.dropout=0.2 --set patience=null (no early stopping).",
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1.")] = "auto",
    threads: Annotated[int | None, typer.Option(min=1, help="Of PyTorch on the CPU.")] = None,
    export_plugin: Annotated[
        str | None,
        typer.Option(help="Write an installable plug-in package that offers the model by NAME."),
    ] = None,
) -> None:
    """Train a model; stop it at any time, the same command goes on where it was."""
    from ase_e3dos.training.ensemble import train_ensemble

    _set_threads(threads)
    values: dict[str, Any] = _parsed(overrides or [])
    values |= {
        key: value
        for key, value in {"start_from": start_from, "seed": seed, "epochs": epochs}.items()
        if value is not None
    }
    if config == "cnn":
        _refuse_for_control(members, start_from, export_plugin, data or [])
        _train_control(data_dir, values, data or [], output or Path("runs") / "cnn", device)
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


def experiment_command(
    configs: Annotated[
        list[str],
        typer.Argument(help="Presets or YAML files; several are compared in one figure."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the runs.")],
    data_dir: Annotated[
        Path | None,
        typer.Option("--data-dir", help="Folder with the Parquet files; default E3DOS_DATA."),
    ] = None,
    data: Annotated[
        list[Path] | None,
        typer.Option("--data", help="Parquet file to use instead of those of the configuration."),
    ] = None,
    sizes: Annotated[
        str | None, typer.Option(help="Training set sizes: 100,300,1000. Error against size.")
    ] = None,
    hold_out: Annotated[
        str | None,
        typer.Option(help="Elements to hold out: S,Se,Te. Learning them from a few examples."),
    ] = None,
    examples: Annotated[
        str, typer.Option(help="Crystals with the elements held out to learn from.")
    ] = "50,100,500",
    members: Annotated[
        int, typer.Option(min=1, help="Networks in each ensemble of --hold-out.")
    ] = 1,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", help="Any field of the configurations as KEY=VALUE."),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1.")] = "auto",
    threads: Annotated[int | None, typer.Option(min=1, help="Of PyTorch on the CPU.")] = None,
) -> None:
    """Validation error against training set size, or learning a chemistry that was held out.

    Stop it at any time; the same command goes on where it was. Writes results.json and a figure.
    """
    import json

    from ase_e3dos.evaluation.figures import experiment_figure
    from ase_e3dos.training.experiments import data_efficiency, held_out_chemistry

    _set_threads(threads)
    if (sizes is None) == (hold_out is None):
        raise TrainingError("choose one experiment: --sizes 100,300,1000 or --hold-out S,Se,Te.")
    series: dict[str, list[dict[str, float]]] = {}
    for config in configs:
        run = _with_data(config, _parsed(overrides or []), data)
        name, where = Path(config).stem, output / Path(config).stem
        if sizes is not None:
            series[name] = data_efficiency(
                run, _integers(sizes), data_dir, where, device, typer.echo
            )
        elif hold_out is not None:
            elements = [s.strip() for s in hold_out.split(",")]
            found = held_out_chemistry(
                run, elements, _integers(examples), data_dir, where,
                members=members, device=device, report=typer.echo,
            )  # fmt: skip
            series |= {f"{name}, {k}" if len(configs) > 1 else k: v for k, v in found.items()}
        file = output / "results.json"
        file.write_text(json.dumps(series, indent=1) + "\n", encoding="utf-8")
    typer.echo(f"results: {file}")
    experiment_figure(series, output / "errors.png")
    typer.echo(f"figure: {output / 'errors.png'}")


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
) -> None:
    """Draw the learning curves of finished or running trainings in one figure."""
    from ase_e3dos.evaluation.figures import find_histories, learning_curves

    if against not in ("epoch", "seconds"):
        raise TrainingError(f"--against {against}: choose epoch or seconds.")
    check_figure(output, "-o")
    histories = find_histories(runs)
    with writing(output):
        learning_curves(histories, output, against=against)
    typer.echo(f"{output}: {', '.join(histories)}")


def _integers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        raise TrainingError(f"{text!r}: write whole numbers separated by commas.") from error


def _set_threads(threads: int | None) -> None:
    import torch

    if threads is not None:
        torch.set_num_threads(threads)


def _refuse_for_control(
    members: int | None, start_from: str | None, export_plugin: str | None, data: list[Path]
) -> None:
    """Say what the control network has not, before its training."""
    options = {
        "--members": members is not None and members > 1,
        "--from": start_from is not None,
        "--export-plugin": export_plugin is not None,
        "a second --data": len(data) > 1,
    }
    refused = [name for name, given in options.items() if given]
    if refused:
        raise TrainingError(
            f"cnn takes no {', '.join(refused)}: the paper's control is one network on one file, "
            "and no model that predicts. Leave that out, or train the preset paper."
        )


def _train_control(
    data_dir: Path | None, values: dict[str, Any], data: list[Path], folder: Path, device: str
) -> None:
    from ase_e3dos.evaluation.metrics import format_errors
    from ase_e3dos.training.cnn_baseline import PAPER_DATA, CNNSettings, train_cnn
    from ase_e3dos.training.config import checked
    from ase_e3dos.training.folders import new_folders

    settings = checked(CNNSettings, values, "cnn")
    file = str(data[0].expanduser().resolve()) if data else PAPER_DATA
    with new_folders(folder):
        _, errors = train_cnn(data_dir, settings, file, typer.echo, folder, device)
    typer.echo(f"control network of table S3, best epoch: {format_errors(errors)}")


def _n_members(asked: int | None, folder: Path, run: Path) -> int:
    """Networks to train: what is asked for, else what is there already, else one.

    Raises
    ------
    TrainingError
        The folder holds an ensemble and one network is asked for, or the reverse.
    """
    there = len(list(folder.glob("member-*")))
    if asked is None:
        return max(1, there, len(list(run.glob("member-*"))) if run.is_dir() else 0)
    if asked == 1 and there:
        raise TrainingError(
            f"{folder} holds an ensemble of {there}. Leave --members out to go on with it, or "
            "use another --output."
        )
    if asked > 1 and (folder / "checkpoint.pt").is_file():
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


def _with_data(config: str, values: dict[str, Any], data: list[Path] | None) -> TrainingConfig:
    """A preset or YAML file, with data files of the user's own where there are some."""
    from ase_e3dos.training.config import own_data, read_config

    return read_config(config, values | (own_data(data) if data else {}))


def _configuration(
    config: str, values: dict[str, Any], output: Path | None, data: list[Path] | None
) -> tuple[TrainingConfig, Path]:
    from ase_e3dos.training.config import TrainingConfig, checked, overridden
    from ase_e3dos.training.run import config_of_run

    given = Path(config)
    own = (given / "checkpoint.pt").is_file()
    if not own and not (given / "member-0" / "checkpoint.pt").is_file():
        return _with_data(config, values, data), output or Path("runs") / given.stem
    if data:
        raise TrainingError(f"{config} is a run, which keeps its data: leave --data out.")
    run = config_of_run(given if own else given / "member-0")
    return checked(TrainingConfig, overridden(run.model_dump(), values), config), output or given


def _parsed(overrides: list[str]) -> dict[str, Any]:
    """KEY=VALUE pairs; the values are YAML.

    Raises
    ------
    TrainingError
        A pair has no equals sign or its value is no YAML.
    """
    import yaml

    values = {}
    for pair in overrides:
        key, sign, text = pair.partition("=")
        try:
            values[key] = yaml.safe_load(text) if sign else None
        except yaml.YAMLError as error:
            raise TrainingError(f"--set {pair}: the value is no YAML ({error}).") from error
        if not sign:
            raise TrainingError(f"--set {pair}: write KEY=VALUE, such as --set epochs=20.")
    return values
