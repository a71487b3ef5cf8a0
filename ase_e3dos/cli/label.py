"""`e3dos label`: spectra for structures by finite displacements with any ASE calculator."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ase_e3dos.cli.options import Relaxation, RelaxationForce, force_after
from ase_e3dos.cli.output import check_file
from ase_e3dos.errors import DataError, E3DOSError
from ase_e3dos.structures.json_text import parse_json
from ase_e3dos.structures.paths import is_folder

if TYPE_CHECKING:
    from ase_e3dos.data.labelled_file import Reject
    from ase_e3dos.structures.crystal import Crystal


def label_command(
    structures: Annotated[
        list[Path],
        typer.Argument(help="Structure files, of one or several structures, or folders of them."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Parquet file to write.")],
    calculator: Annotated[
        str,
        typer.Option(
            "--calculator",
            "-c",
            help="A name that `e3dos plugins` lists, NAME=WEIGHTS, or package.module:function.",
        ),
    ] = "emt",
    source: Annotated[
        str | None,
        typer.Option(
            help="Name of the potential or method in the file; the calculator's if not given."
        ),
    ] = None,
    licence: Annotated[str | None, typer.Option(help="Of the labels.")] = None,
    citation: Annotated[str | None, typer.Option(help="Article to cite for the labels.")] = None,
    supercell: Annotated[float, typer.Option(min=1.0, help="Least size in Å.")] = 9.0,
    displacement: Annotated[float, typer.Option(min=1e-4, help="Å.")] = 0.03,
    mesh: Annotated[float, typer.Option(min=1.0, help="Mesh density as phonopy's length.")] = 40.0,
    strains: Annotated[
        str, typer.Option(help="Isotropic strains, separated by commas: -0.01,0,0.01")
    ] = "0",
    relax: Relaxation = "none",
    fmax: RelaxationForce = None,
    workers: Annotated[
        int,
        typer.Option(
            min=0,
            help="Processes; a crash of the calculator costs one row. 0: in this process.",
        ),
    ] = 1,
    split: Annotated[
        Literal["random", "composition", "prototype"],
        typer.Option(help="How to divide into train, valid and test."),
    ] = "composition",
    seed: Annotated[int, typer.Option(help="Of the split.")] = 0,
    retry: Annotated[bool, typer.Option("--retry", help="Try failures again.")] = False,
) -> None:
    """Calculate site-projected spectra; the same command goes on after an interruption.

    Further structures or strains join what the output holds already.
    """
    from ase_e3dos.data.calculated_label import LabelSettings
    from ase_e3dos.data.labelled_file import Reject, counted, split_counts
    from ase_e3dos.data.labelling import label_all
    from ase_e3dos.data.splits import empty_splits
    from ase_e3dos.potentials.choice import check_calculator

    check_file(output, (".parquet",))
    check_calculator(calculator)
    try:
        values = tuple(float(s) for s in strains.split(","))
    except ValueError as error:
        raise DataError(f"--strains {strains}: write numbers separated by commas.") from error
    settings = LabelSettings(supercell, displacement, mesh, values, relax, force_after(relax, fmax))
    for path in structures:
        if is_folder(path) and output.resolve().is_relative_to(path.resolve()):
            raise DataError(
                f"{output} would lie in {path} and be read as structures the next time. Write it "
                "to a place outside that folder."
            )
    crystals = [c for path in structures for c in crystals_of(path)]
    done, failed = label_all(
        crystals,
        calculator,
        output,
        settings,
        source=source,
        licence=licence,
        citation=citation,
        workers=workers,
        retry=retry,
        by=split,
        seed=seed,
        report=typer.echo,
    )
    typer.echo(f"{done} labelled -> {output}; {failed} failed")
    if failed:
        errors = output.with_name(output.name + ".errors.jsonl")
        rows = map(parse_json, errors.read_text(encoding="utf-8").splitlines())
        for line in counted([Reject(row["id"], row["error"]) for row in rows]):
            typer.echo(line)
        typer.echo(f"all of them, with reasons: {errors} (try them again with --retry)")
    if not done:
        raise DataError("nothing could be labelled; the reasons are in the file of errors.")
    for line in empty_splits(split_counts(output), split):
        typer.echo(line)


def crystals_of(path: Path) -> Iterator[Crystal | Reject]:
    """Crystals of a file, folder or pattern; what cannot be read is a row of the errors.

    Raises
    ------
    UnreadableFileError
        The path does not exist, or nothing matches the pattern.
    """
    from ase_e3dos.data.labelled_file import Reject
    from ase_e3dos.structures import read_each

    for reading in read_each(path):
        if isinstance(reading.crystal, E3DOSError):
            yield Reject(reading.id, str(reading.crystal))
            continue
        for warning in reading.crystal.warnings:
            typer.echo(f"warning: {warning}", err=True)
        yield reading.crystal
