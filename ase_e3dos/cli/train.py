"""`e3dos train`: from a preset or YAML file and a folder of data to weights."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ase_e3dos.errors import TrainingError


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("train")(train_command)


def train_command(
    config: Annotated[
        str,
        typer.Argument(
            help="A preset (paper, imaginary, ...), a YAML file, or the folder of a run."
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
) -> None:
    """Train a model; stop it at any time, the same command goes on where it was."""
    import torch

    from ase_e3dos.training.ensemble import train_ensemble

    if threads is not None:
        torch.set_num_threads(threads)
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
