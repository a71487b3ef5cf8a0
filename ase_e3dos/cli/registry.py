"""`e3dos models` and `e3dos plugins`: what is installed."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer

from ase_e3dos.cli.options import AsJson
from ase_e3dos.cli.output import print_json, print_table
from ase_e3dos.errors import E3DOSError

if TYPE_CHECKING:
    from ase_e3dos.plugins import CalculatorSpec, ModelSpec


def models(as_json: AsJson = False) -> None:
    """List the models: where they come from, whether they work, their grids and encoders.

    Each is loaded, so that damaged weights and missing encoders show; only those that a plug-in
    fetches when they are first used are not.
    """
    from ase_e3dos.plugins import get_registry

    registry = get_registry()
    origins = {
        model: row.distribution or f"{row.name} (registered by hand)"
        for row in registry.status()
        for model in row.models
    }
    rows = [_model_row(spec, origins[name]) for name, spec in sorted(registry.models().items())]
    if as_json:
        print_json(rows)
        return
    if not rows:
        typer.echo("no model is installed: the weights are missing from this copy of the package.")
        return
    columns = ("members", "encoder", "licence", "description")
    headings = ("model", "from", "status", "grid (cm^-1)", "networks", *columns[1:])
    lines = []
    for row in rows:
        grid = "" if row["grid"] is None else "{start:g}..{stop:g} / {step:g}".format(**row["grid"])
        cells = (row["name"], row["distribution"], row["status"], grid, *(row[c] for c in columns))
        lines.append(["" if c is None else c for c in cells])
    print_table(headings, lines, left=set(headings))
    for row in rows:
        if row["error"] is not None:
            typer.echo(f"{row['name']} is unusable: {row['error']}")


def plugins(as_json: AsJson = False) -> None:
    """List the plug-ins, what they offer, and those that were skipped."""
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
    calculators = [_calculator_row(spec) for _, spec in sorted(registry.calculators().items())]
    if as_json:
        print_json({"plugins": rows, "encoders": encoders, "calculators": calculators})
        return
    kinds = ("encoders", "models", "commands", "calculators")
    columns = ("plug-in", "distribution", "status", *kinds)
    lines = []
    for row in rows:
        distribution = f"{row['distribution']} {row['version']}".strip()
        names = (", ".join(row[kind]) for kind in kinds)
        lines.append([row["name"], distribution, row["status"], *names])
    print_table(columns, lines, left=set(columns))
    for row in rows:
        if row["error"]:
            typer.echo(f"{row['name']} is {row['status']}: {row['error']}")
    about = ("encoder", "version", "mixed sites", "serves", "description")
    lines = []
    for encoder in encoders:
        mixed = "yes" if encoder["accepts_mixed"] else "no"
        serves = ", ".join(encoder["serves"])
        lines.append([encoder["name"], encoder["version"], mixed, serves, encoder["description"]])
    print_table(about, lines, left=set(about))
    of_calculator = ("name", "status", "devices", "licence", "trained_on")
    headings = ("calculator", *of_calculator[1:4], "trained on")
    cells = [[", ".join(v) if isinstance(v := row[k], list) else v for k in of_calculator]
             for row in calculators]  # fmt: skip
    print_table(headings, cells, left=set(headings))
    for row in calculators:
        if row["error"]:
            typer.echo(f"{row['name']}: {row['error']}")


def _calculator_row(spec: CalculatorSpec) -> dict[str, Any]:
    """A calculator for lists: nothing of it is imported."""
    status, error = "ready", None
    if spec.missing():
        status, error = "not installed", spec.install
    else:
        try:
            spec.weights_path()
        except E3DOSError as problem:
            status, error = "no weights", str(problem)
    return {
        "name": spec.name,
        "status": status,
        "devices": list(spec.devices),
        "licence": spec.licence,
        "trained_on": spec.trained_on,
        "install": spec.install,
        "weights": spec.weights,
        "weights_url": spec.weights_url,
        "description": spec.description,
        "error": error,
    }


def _model_row(spec: ModelSpec, distribution: str) -> dict[str, Any]:
    row: dict[str, Any] = {
        "name": spec.name,
        "distribution": distribution,
        "status": "fetched on first use",
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
    from ase_e3dos.prediction.pipeline import Predictor

    try:
        path = spec.weights_path()
        header = Predictor(spec.name, "cpu").model.header
    except E3DOSError as error:
        return row | {"status": "unusable", "error": str(error)}
    grid = header.grid
    return row | {
        "status": "ready",
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
