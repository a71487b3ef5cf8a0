"""`e3dos evaluate`: the errors of models on a file of labelled crystals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("evaluate")(evaluate_command)


def evaluate_command(
    data: Annotated[Path, typer.Option(help="Parquet file of labelled crystals.")],
    models: Annotated[
        list[str] | None,
        typer.Option("--model", "-m", help="Name or weights file; several are compared."),
    ] = None,
    split: Annotated[str, typer.Option(help="Entries to use, or 'all'.")] = "valid",
    source: Annotated[
        str | None,
        typer.Option(help="Data source to speak for, such as jarvis; default the model's own."),
    ] = None,
    device: Annotated[str, typer.Option()] = "auto",
    machine: Annotated[bool, typer.Option("--json", help="JSON instead of lines.")] = False,
) -> None:
    """Print the error measures of one or several models on one file."""
    from ase_e3dos.training.evaluation import evaluate
    from ase_e3dos.training.metrics import format_errors

    results = []
    for model in models or ["default"]:
        found = evaluate(model, data, None if split == "all" else split, device, source)
        results.append(found)
        if not machine:
            typer.echo(f"{found.model} on {found.data}, split {found.split}")
            typer.echo(format_errors(found.errors))
            for name, section in found.sections.items():
                typer.echo(f"  {name}: {format_errors(section)}")
    if machine:
        typer.echo(json.dumps([r.to_dict() for r in results], indent=1))
