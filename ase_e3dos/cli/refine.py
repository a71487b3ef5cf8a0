"""`e3dos refine`: rows of a screen again, by finite displacements with a potential."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ase_e3dos.cli.interruption import resumable
from ase_e3dos.cli.options import Relaxation, RelaxationForce, force_after


def refine_command(
    directory: Annotated[
        Path, typer.Argument(metavar="SCREEN", help="Directory that e3dos screen wrote.")
    ],
    calculator: Annotated[
        str,
        typer.Option(
            "--calculator",
            "-c",
            help="A name that `e3dos plugins` lists, NAME=WEIGHTS, or package.module:function.",
        ),
    ],
    top: Annotated[int, typer.Option(min=1, help="Rows to refine.")] = 100,
    by: Annotated[
        str,
        typer.Option(
            help="Column whose largest values come first: specific_heat, heat_capacity_per_atom, "
            "uncertainty, mean_wavenumber, ..."
        ),
    ] = "specific_heat",
    lowest: Annotated[bool, typer.Option("--lowest", help="Smallest values first.")] = False,
    model: Annotated[
        str | None, typer.Option(help="Whose rows, where there are several models'.")
    ] = None,
    relax: Relaxation = "positions",
    fmax: RelaxationForce = None,
    supercell: Annotated[float, typer.Option(min=1.0, help="Least size in Å.")] = 9.0,
    displacement: Annotated[float, typer.Option(min=1e-4, help="Å.")] = 0.01,
    mesh: Annotated[float, typer.Option(min=1.0, help="Mesh density as phonopy's length.")] = 40.0,
    structures: Annotated[
        list[str] | None,
        typer.Option(help="What was screened, for rows whose structure the screen does not hold."),
    ] = None,
    processes: Annotated[
        int,
        typer.Option(
            min=0,
            help="That calculate at a time; a crash of the calculator costs one row. 0: in this "
            "process. With --dask, workers or jobs.",
        ),
    ] = 1,
    dask: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS", help="Dask scheduler (tcp://host:8786 or its file), local, or slurm."
        ),
    ] = None,
    device: Annotated[
        str, typer.Option(help="Of the calculator: cpu, cuda or cuda:1 (where it can), auto.")
    ] = "cpu",
    name: Annotated[
        str | None,
        typer.Option(
            help="Of the file in SCREEN/_refined, so that rows of other settings stand beside "
            "those that are there; the calculator's by default."
        ),
    ] = None,
    retry_errors: Annotated[
        bool, typer.Option("--retry-errors", help="Calculate rows with an error again.")
    ] = False,
) -> None:
    """Refine the rows of a finished screen that matter, or that its error bars doubt.

    Run the same command again after any interruption: it goes on where it stopped. `e3dos report`
    shows the refined values beside the predictions, `e3dos data from-screen` makes labels of them.
    """
    from ase_e3dos.potentials.reference import ReferenceSettings
    from ase_e3dos.screening.refinement import refine

    with resumable(directory / "_refined"):
        summary = refine(
            directory,
            calculator,
            top=top,
            by=by,
            lowest=lowest,
            model=model,
            settings=ReferenceSettings(
                supercell, displacement, mesh, relax, force_after(relax, fmax)
            ),
            structures=structures or None,
            processes=processes,
            dask=dask,
            device=device,
            name=name,
            retry_errors=retry_errors,
            report=typer.echo,
        )
    typer.echo(
        f"{summary.file}: {summary.refined} rows refined, {summary.failed} failed, "
        f"{summary.new} calculated now"
    )
    if summary.failed:
        typer.echo("why: column error_refined; again: --retry-errors")
