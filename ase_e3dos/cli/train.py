"""`e3dos train`: from a preset or YAML file and a folder of data to weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ase_e3dos.errors import TrainingError

if TYPE_CHECKING:
    from ase_e3dos.training.config import TrainingConfig


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("train")(train_command)
    app.command("experiment")(experiment_command)


def train_command(
    config: Annotated[
        str,
        typer.Argument(
            help="A preset (paper, imaginary, ...), a YAML file, the folder of a run, "
            "or cnn (the paper's control)."
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
    members: Annotated[int, typer.Option(min=1, help="Networks in the ensemble.")] = 1,
    start_from: Annotated[
        str | None,
        typer.Option("--from", help="Fine-tune this model (a name or a weights file)."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of the first member.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1)] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="Any field as KEY=VALUE, the value in YAML: --set learning_rate=0.001"
        ),
    ] = None,
    device: Annotated[str, typer.Option()] = "auto",
    threads: Annotated[int | None, typer.Option(min=1, help="Of PyTorch on the CPU.")] = None,
    export_plugin: Annotated[
        str | None,
        typer.Option(help="Write an installable plug-in package that offers the model so."),
    ] = None,
) -> None:
    """Train a model; stop it at any time, the same command goes on where it was."""
    from ase_e3dos.training.ensemble import train_ensemble

    _set_threads(threads)
    if config == "cnn":
        _train_control(data_dir, epochs)
        return
    values: dict[str, Any] = _parsed(overrides or [])
    values |= {
        key: value
        for key, value in {"start_from": start_from, "seed": seed, "epochs": epochs}.items()
        if value is not None
    }
    run, folder = _configuration(config, values, output)
    path = train_ensemble(run, members, data_dir, folder, device, typer.echo)
    size = path.stat().st_size / 1e6
    typer.echo(f"weights: {path} ({size:.1f} MB); use them with --model {path}")
    _draw_curves(folder)
    if export_plugin is not None:
        _export(export_plugin, path, run, data_dir, folder, device)


def experiment_command(
    config: Annotated[str, typer.Argument(help="A preset or a YAML file.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the runs.")],
    data_dir: Annotated[Path | None, typer.Option("--data-dir")] = None,
    sizes: Annotated[
        str | None, typer.Option(help="Training set sizes: 100,300,1000. Error against size.")
    ] = None,
    hold_out: Annotated[
        str | None, typer.Option(help="Elements to hold out: S,Se,Te. Fine-tuning on them.")
    ] = None,
    examples: Annotated[str, typer.Option(help="Crystals to fine-tune on.")] = "50,100,500",
    epochs: Annotated[int | None, typer.Option(min=1)] = None,
    device: Annotated[str, typer.Option()] = "auto",
    threads: Annotated[int | None, typer.Option(min=1)] = None,
) -> None:
    """Validation error against training set size, or fine-tuning on a chemistry held out."""
    import json

    from ase_e3dos.training.config import read_config
    from ase_e3dos.training.experiments import data_efficiency, held_out_chemistry

    _set_threads(threads)
    run = read_config(config, {} if epochs is None else {"epochs": epochs})
    if sizes is not None:
        rows = data_efficiency(run, _integers(sizes), data_dir, output, device, typer.echo)
    elif hold_out is not None:
        elements = [s.strip() for s in hold_out.split(",")]
        rows = held_out_chemistry(
            run, elements, _integers(examples), data_dir, output, device=device, report=typer.echo
        )
    else:
        raise TrainingError("choose an experiment: --sizes 100,300,1000 or --hold-out S,Se,Te.")
    file = output / "results.json"
    file.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    typer.echo(f"results: {file}")


def _integers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        raise TrainingError(f"{text!r}: write whole numbers separated by commas.") from error


def _set_threads(threads: int | None) -> None:
    import torch

    if threads is not None:
        torch.set_num_threads(threads)


def _train_control(data_dir: Path | None, epochs: int | None) -> None:
    from ase_e3dos.training.cnn_baseline import CNNSettings, train_cnn
    from ase_e3dos.training.metrics import format_errors

    settings = CNNSettings() if epochs is None else CNNSettings(epochs=epochs)
    _, errors = train_cnn(data_dir, settings, report=typer.echo)
    typer.echo(f"control network of table S3, best epoch: {format_errors(errors)}")


def _draw_curves(folder: Path) -> None:
    from ase_e3dos.training.figures import learning_curves, read_history

    runs = sorted(file.parent for file in folder.rglob("history.jsonl"))
    if runs:
        learning_curves({r.name: read_history(r) for r in runs}, folder / "learning-curves.png")
        typer.echo(f"learning curves: {folder / 'learning-curves.png'}")


def _export(
    name: str, path: Path, run: TrainingConfig, data_dir: Path | None, folder: Path, device: str
) -> None:
    from ase_e3dos.training.evaluation import evaluate
    from ase_e3dos.training.plugin_export import export_plugin
    from ase_e3dos.training.run import data_directory

    where = data_directory(data_dir)
    results = [
        evaluate(path, where / part.path, part.split or "all", device)
        for part in run.validation[:1]
    ]
    package = export_plugin(name, path, folder, results=results)
    typer.echo(f"plug-in: {package}; pip install {package}, then --model {name}")


def _configuration(config: str, values: dict[str, Any], output: Path | None) -> tuple[Any, Path]:
    from ase_e3dos.training.config import TrainingConfig, read_config
    from ase_e3dos.training.run import config_of_run

    given = Path(config)
    if not given.is_dir():
        return read_config(config, values), output or Path("runs") / given.stem
    own = (given / "checkpoint.pt").is_file()
    run = config_of_run(given if own else given / "member-0")
    return TrainingConfig.model_validate(run.model_dump() | values), output or given


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
