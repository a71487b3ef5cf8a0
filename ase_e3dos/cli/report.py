"""`e3dos report`: the output of `e3dos screen` as a page to read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ase_e3dos.cli.output import check_file, check_folder, writing
from ase_e3dos.errors import E3DOSError


def report_command(
    directory: Annotated[
        Path, typer.Argument(metavar="OUT", help="Directory that e3dos screen wrote.")
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="HTML file (report.html unless --plot is given)."),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="DIRECTORY", help="Write the figures as files, too.")
    ] = None,
    plot_format: Annotated[
        str, typer.Option("--plot-format", help="Of these files: png, pdf or svg.")
    ] = "png",
    model: Annotated[
        str | None, typer.Option(help="Whose rows, where there are several models'.")
    ] = None,
    temperature: Annotated[
        float | None,
        typer.Option(
            "--temperature", "-T", help="Which, where there are several; the first by default."
        ),
    ] = None,
    title: Annotated[str, typer.Option(help="Of the page.")] = "Phonon screening",
) -> None:
    """Make one self-contained page of a screening, readable offline."""
    from ase_e3dos.screening.report import read_screen

    if output is None and plot is None:
        output = Path("report.html")
    check_file(output, (".html", ".htm"))
    check_folder(plot, "--plot")
    if plot_format not in ("png", "pdf", "svg"):
        raise E3DOSError(f"--plot-format {plot_format}: choose png, pdf or svg.")
    screened = read_screen(directory, model, temperature)
    if output is not None:
        from ase_e3dos.screening.report.page import write_page

        with writing(output):
            write_page(screened, output, title)
        others = [t for t in screened.about["temperatures_K"] if t != screened.temperature]
        more = ""
        if others:
            more = f"; there are also {', '.join(f'{t:g}' for t in others)} K (--temperature)"
        typer.echo(
            f"{output}: {screened.n_structures} structures at {screened.temperature:g} K{more}"
        )
    if plot is not None:
        from ase_e3dos.screening.report.plots import write_plots

        with writing(plot, "--plot"):
            for path in write_plots(screened, plot, plot_format):
                typer.echo(str(path))
