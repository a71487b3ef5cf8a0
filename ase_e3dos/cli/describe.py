"""`e3dos describe`: descriptors of spectra, for crystals or the rows of a screen."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ase_e3dos.cli.inputs import named_crystals
from ase_e3dos.cli.options import AsJson, Device, Model
from ase_e3dos.cli.output import (
    TABLES,
    check_file,
    print_json,
    print_notes,
    print_table,
    write_table,
)
from ase_e3dos.errors import ScreeningError
from ase_e3dos.structures.paths import is_folder


def describe_command(
    inputs: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE... | SCREEN",
            help="Structures, folders of them, or one screen's directory.",
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Write a .csv, .json or .parquet; a screen needs a .parquet."
        ),
    ] = None,
    as_json: AsJson = False,
    model: Model = "default",
    device: Device = "auto",
) -> None:
    """Edges, gaps, last peak, moments, Debye and Einstein temperatures of spectra."""
    screened = False
    if len(inputs) == 1 and is_folder(inputs[0]):
        from ase_e3dos.screening.descriptors import shards_of

        screened = bool(shards_of(inputs[0]))
    check_file(output, (".parquet",) if screened else TABLES, inputs=inputs)
    if screened:
        if output is None:
            raise ScreeningError(f"{inputs[0]}: say where the columns go, with --output FILE.")
        from ase_e3dos.screening.descriptors import describe_screen

        typer.echo(f"{output}: {describe_screen(inputs[0], output)} rows")
        return
    from ase_e3dos.analysis.descriptors import COLUMNS
    from ase_e3dos.prediction import predict

    names, crystals = named_crystals(inputs)
    spectra = predict(crystals, model=model, device=device)
    rows = [{"file": name, **s.describe()} for name, s in zip(names, spectra, strict=True)]
    if output is not None:
        write_table(output, rows)
    if as_json:
        print_json(rows)
        return
    for row, spectrum in zip(rows, spectra, strict=True):
        cells = [[n, f"{row[n]:.4g}", unit, text] for n, (unit, text) in COLUMNS.items()]
        columns = ("descriptor", "value", "unit", "meaning")
        print_table(columns, cells, left={"descriptor", "unit", "meaning"})
        print_notes(f"{row['file']}: {spectrum.crystal.formula}, model {spectrum.model}")
