"""`e3dos models` and `e3dos plugins`: what is installed."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ase_e3dos.errors import E3DOSError

if TYPE_CHECKING:
    from rich.table import Table

    from ase_e3dos.plugins import ModelSpec

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def register(app: typer.Typer) -> None:
    """Add both commands."""
    app.command("models")(models)
    app.command("plugins")(plugins)


def models(as_json: AsJson = False) -> None:
    """List the models: what they were trained on, their grids and encoders."""
    from ase_e3dos.plugins import get_registry

    rows = [_model_row(spec) for _, spec in sorted(get_registry().models().items())]
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    if not rows:
        typer.echo("no model is installed: the weights are missing from this copy of the package.")
        return
    table = _table("model", "grid (cm^-1)", "networks", "encoder", "licence", "description")
    for row in rows:
        grid = "" if row["grid"] is None else "{start:g}..{stop:g} / {step:g}".format(**row["grid"])
        about = row["description"] if row["error"] is None else f"unusable: {row['error']}"
        cells = (row["name"], grid, row["members"], row["encoder"], row["licence"], about)
        table.add_row(*("" if c is None else str(c) for c in cells))
    _show(table)


def plugins(as_json: AsJson = False) -> None:
    """List the plug-ins, their encoders and models, and those that were skipped."""
    import warnings

    from ase_e3dos.errors import PluginWarning
    from ase_e3dos.plugins import get_registry

    registry = get_registry()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PluginWarning)  # the reasons are in the list
        rows = [asdict(row) for row in registry.status()]
    encoders: list[dict[str, Any]] = [
        {
            "name": spec.name,
            "version": spec.version,
            "accepts_mixed": spec.accepts_mixed,
            "serves": list(spec.serves),
            "description": spec.description,
        }
        for _, spec in sorted(registry.encoders().items())
    ]
    if as_json:
        typer.echo(json.dumps({"plugins": rows, "encoders": encoders}, indent=1))
        return
    table = _table("plug-in", "distribution", "status", "encoders", "models")
    for row in rows:
        distribution = f"{row['distribution']} {row['version']}".strip()
        names = (", ".join(row["encoders"]), ", ".join(row["models"]))
        table.add_row(row["name"], distribution, row["status"], *names)
    _show(table)
    for row in rows:
        if row["error"]:
            typer.echo(f"{row['name']} is {row['status']}: {row['error']}")
    table = _table("encoder", "version", "mixed sites", "serves", "description")
    for encoder in encoders:
        mixed = "yes" if encoder["accepts_mixed"] else "no"
        serves = ", ".join(encoder["serves"])
        table.add_row(
            encoder["name"], str(encoder["version"]), mixed, serves, encoder["description"]
        )
    _show(table)


def _model_row(spec: ModelSpec) -> dict[str, Any]:
    row: dict[str, Any] = {
        "name": spec.name,
        "description": spec.description,
        "source": spec.source,
        "licence": spec.licence,
        "citation": spec.citation,
        "encoder": spec.encoder,
        "weights": None,
        "grid": None,
        "members": None,
        "elements": None,
        "calibrated": None,
        "error": None,
    }
    if callable(spec.weights):  # may download: not asked for by a list
        return row
    from ase_e3dos.network.weights import read_header

    try:
        path = spec.weights_path()
        header = read_header(path)
    except E3DOSError as error:
        return row | {"error": str(error)}
    grid = header.grid
    return row | {
        "weights": str(path),
        "encoder": header.encoder,
        "members": header.members,
        "elements": len(header.elements),
        "calibrated": header.calibration is not None,
        "grid": {
            "start": grid.start,
            "stop": float(grid.wavenumbers[-1]),
            "step": grid.step,
            "n": grid.n,
        },
    }


def _table(*headings: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table


def _show(table: Table) -> None:
    import sys

    from rich.console import Console

    Console(width=None if sys.stdout.isatty() else 130, highlight=False, markup=False).print(table)
