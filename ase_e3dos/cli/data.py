"""`e3dos data`: import phonon data, and look at files of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from ase_e3dos.cli.output import check_file
from ase_e3dos.errors import need_pyarrow
from ase_e3dos.structures.json_text import parse_json

SplitBy = Literal["random", "composition", "prototype", "paper"]


data = typer.Typer(help="Import phonon data, and look at files of it.", no_args_is_help=True)


@data.command("import")
def import_command(
    kind: Annotated[str, typer.Argument(help="petretto, jarvis, phonopy, pymatgen or ase-db.")],
    paths: Annotated[list[Path], typer.Argument(help="Files or folders.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Parquet file to write.")],
    source: Annotated[str | None, typer.Option(help="Name of the functional and method.")] = None,
    split: Annotated[SplitBy, typer.Option(help="How to divide.")] = "composition",
    split_file: Annotated[
        Path | None, typer.Option(help="Parquet file with id and split, for --split paper.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the split.")] = 0,
    licence: Annotated[str | None, typer.Option(help="Of the data.")] = None,
    citation: Annotated[str | None, typer.Option(help="Article to cite for the data.")] = None,
) -> None:
    """Turn other people's phonon data into a Parquet file, with an account of what was rejected."""
    from ase_e3dos.data.importers import import_data

    check_file(output, (".parquet",))
    account = import_data(
        kind, paths, output, source=source, by=split, seed=seed,
        split_file=split_file, licence=licence, citation=citation,
        report=lambda line: typer.echo(line, err=True),
    )  # fmt: skip
    typer.echo(account.text())


@data.command("from-screen")
def from_screen_command(
    directory: Annotated[
        Path, typer.Argument(metavar="SCREEN", help="Directory whose rows e3dos refine calculated.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Parquet file to write.")],
    calculator: Annotated[
        str | None,
        typer.Option("--calculator", "-c", help="Whose rows, where several refined the screen."),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(help="Name of the potential or method; the calculator's if not given."),
    ] = None,
    split: Annotated[
        Literal["random", "composition", "prototype"], typer.Option(help="How to divide.")
    ] = "composition",
    seed: Annotated[int, typer.Option(help="Of the split.")] = 0,
    licence: Annotated[str, typer.Option(help="Of the labels.")] = "",
    citation: Annotated[str, typer.Option(help="Article to cite for the labels.")] = "",
) -> None:
    """Make labelled crystals of refined rows, for `e3dos train fine-tune --data FILE`."""
    from ase_e3dos.data.refined import labels_from_screen

    check_file(output, (".parquet",))
    account = labels_from_screen(
        directory, output, calculator=calculator, source=source, by=split, seed=seed,
        licence=licence, citation=citation,
    )  # fmt: skip
    typer.echo(account.text())


@data.command("show")
def show_command(
    file: Annotated[Path, typer.Argument(help="Parquet file of labelled crystals.")],
) -> None:
    """Say what a file holds, and check every entry."""
    from collections import Counter

    need_pyarrow("a file of labelled crystals")
    import pyarrow.parquet as pq

    from ase_e3dos.data.labelled_set import read_labelled

    found = read_labelled(file)
    about = (pq.read_schema(file).metadata or {}).get(b"ase_e3dos")
    elements = {z for c in found.crystals for z in c.numbers.tolist()}
    typer.echo(f"{file}: {len(found)} crystals, {found.kind} labels, source {found.source}")
    parts = Counter(found.splits)
    typer.echo("splits: " + ", ".join(f"{n} {name}" for name, n in sorted(parts.items())))
    typer.echo(
        f"{len(elements)} elements, up to {found.n_sites.max()} sites; sha256 {found.sha256}"
    )
    for key, value in (parse_json(about) if about else {}).items():
        if key not in ("format", "source", "units"):
            typer.echo(f"{key}: {', '.join(value) if isinstance(value, list) else value or '-'}")
