"""`e3dos describe`: descriptors of spectra, for crystals or the rows of a screen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from ase_e3dos.errors import E3DOSError, ScreeningError


def describe_command(
    inputs: Annotated[
        list[Path],
        typer.Argument(metavar="FILE... | SCREEN", help="Structures, or one screen's directory."),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Parquet file; needed for a screen."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    model: Annotated[str, typer.Option(help="A model's name or a weights file.")] = "default",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:1.")] = "auto",
) -> None:
    """Edges, gaps, last peak, moments, Debye and Einstein temperatures of spectra."""
    if output is not None and not output.parent.is_dir():
        raise E3DOSError(f"--output {output}: there is no folder {output.parent}. Make it first.")
    if len(inputs) == 1 and inputs[0].is_dir():
        if output is None:
            raise ScreeningError(f"{inputs[0]}: say where the columns go, with --output FILE.")
        from ase_e3dos.screening.descriptors import describe_screen

        typer.echo(f"{output}: {describe_screen(inputs[0], output)} rows")
        return
    from ase_e3dos.analysis.descriptors import COLUMNS
    from ase_e3dos.prediction import predict

    spectra = predict([str(f) for f in inputs], model=model, device=device)
    rows = [{"file": str(f), **s.describe()} for f, s in zip(inputs, spectra, strict=True)]
    if output is not None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            pq.write_table(pa.Table.from_pylist(rows), output)
        except OSError as error:
            raise E3DOSError(f"--output {output}: cannot be written ({error}).") from error
    if as_json:
        plain = [{k: None if v != v else v for k, v in row.items()} for row in rows]
        typer.echo(json.dumps(plain, indent=1))
        return
    size = max(map(len, COLUMNS))
    for row, spectrum in zip(rows, spectra, strict=True):
        typer.echo(f"{row['file']}: {spectrum.crystal.formula}, model {spectrum.model}")
        for name, (unit, meaning) in COLUMNS.items():
            typer.echo(f"  {name:{size}s} {row[name]:10.4g} {unit:5s} {meaning}")
