"""`e3dos screen`: any number of structures into a directory of Parquet shards."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ase_e3dos.cli.interruption import resumable
from ase_e3dos.cli.options import (
    DEFAULT_TEMPERATURES,
    EncoderName,
    Model,
    Temperatures,
    Uncertainty,
    kelvin,
)
from ase_e3dos.cli.output import check_folder


def screen_command(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...",
            help="Structure files, directories or globs; extended XYZ, trajectories, ase.db, JSON "
            "lines of pymatgen structures, Parquet.",
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Directory for the Parquet shards.")
    ],
    model: Model = "default",
    device: Annotated[
        str,
        typer.Option(help="auto takes every GPU, or the CPU; cpu, cuda:1, cuda:0,cuda:1."),
    ] = "auto",
    encoder: EncoderName = None,
    temperature: Temperatures = DEFAULT_TEMPERATURES,
    uncertainty: Uncertainty = True,
    processes: Annotated[
        int | None,
        typer.Option(help="Worker processes for each device; with --dask, workers or jobs."),
    ] = None,
    dask: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS", help="Dask scheduler (tcp://host:8786 or its file), local, or slurm."
        ),
    ] = None,
    retry_errors: Annotated[
        bool, typer.Option("--retry-errors", help="Compute rows with an error again.")
    ] = False,
    shard_size: Annotated[int, typer.Option(min=1, help="Rows in one shard at most.")] = 10_000,
) -> None:
    """Screen crystals: one row each in a Parquet dataset.

    With several temperatures the thermal columns hold lists.
    Run the same command again after any interruption: it goes on where it stopped.
    """
    from ase_e3dos.screening import screen

    temperatures = kelvin(temperature)
    check_folder(output, allowed=[".parquet"])  # as folders of Parquet files are often called
    with resumable(output):
        summary = screen(
            inputs,
            output,
            model=model,
            device=device,
            encoder=encoder,
            uncertainty=uncertainty,
            temperature=temperatures[0] if len(temperatures) == 1 else temperatures,
            processes=processes,
            dask=dask,
            progress=True,
            retry_errors=retry_errors,
            shard_size=shard_size,
        )
    speed = f" in {summary.seconds:.1f} s ({summary.rate:,.0f}/s)" if summary.new else ""
    replaced = f", {summary.replaced} replaced" if summary.replaced else ""
    failed = f"{summary.failed} failed"
    if summary.failed:
        failed += f" (why: column error, or `e3dos report {summary.output}`)"
    typer.echo(
        f"{summary.output}: {summary.total} structures, {summary.new} new{speed}, "
        f"{summary.skipped} already there{replaced}, {failed}"
    )
