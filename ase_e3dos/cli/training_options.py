"""Options that commands about training share, also those of plug-ins."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ase_e3dos.errors import TrainingError

if TYPE_CHECKING:
    from ase_e3dos.training.config import TrainingConfig

__all__ = [
    "DataDirectory",
    "DataFiles",
    "Overrides",
    "Threads",
    "configuration",
    "fields_to_set",
    "set_threads",
]

DataDirectory = Annotated[
    Path | None,
    typer.Option("--data-dir", help="Folder with the Parquet files; default E3DOS_DATA."),
]
DataFiles = Annotated[
    list[Path] | None,
    typer.Option(
        "--data",
        help="Parquet file of your own, instead of those of the configuration; may be given "
        "several times, the model speaks for the first.",
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="Any field as KEY=VALUE, the value in YAML: --set learning_rate=0.001 "
        "--set settings.dropout=0.2 --set patience=null (no early stopping).",
    ),
]
Threads = Annotated[int | None, typer.Option(min=1, help="Of PyTorch on the CPU.")]


def set_threads(threads: int | None) -> None:
    """Let PyTorch use so many threads; None leaves it alone."""
    import torch

    if threads is not None:
        torch.set_num_threads(threads)


def configuration(
    config: str, values: dict[str, Any], data: list[Path] | None = None
) -> TrainingConfig:
    """A preset or YAML file, with fields changed and with data files of the user's own.

    Raises
    ------
    TrainingError
        If no preset or file has this name, or a field is wrong.
    """
    from ase_e3dos.training.config import own_data, read_config

    return read_config(config, values | (own_data(data) if data else {}))


def fields_to_set(overrides: list[str] | None) -> dict[str, Any]:
    """What ``--set KEY=VALUE`` gave; the values are YAML.

    Raises
    ------
    TrainingError
        If a pair has no equals sign, or its value is not valid YAML.
    """
    import yaml

    values: dict[str, Any] = {}
    for pair in overrides or []:
        key, sign, text = pair.partition("=")
        if not sign:
            raise TrainingError(f"--set {pair}: write KEY=VALUE, such as --set epochs=20.")
        try:
            values[key] = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise TrainingError(f"--set {pair}: the value is not valid YAML ({error}).") from error
    return values
