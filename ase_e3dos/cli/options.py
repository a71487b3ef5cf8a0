"""Options that commands share: their names, help and defaults, and what is made of them."""

from __future__ import annotations

import math
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import typer

from ase_e3dos.errors import E3DOSError, SpectrumError

__all__ = [
    "DEFAULT_TEMPERATURES",
    "AsJson",
    "Device",
    "EncoderName",
    "Model",
    "Per",
    "Plot",
    "Relaxation",
    "RelaxationForce",
    "TableFile",
    "Temperatures",
    "Uncertainty",
    "Units",
    "force_after",
    "kelvin",
    "one_temperature",
]

#: What ``--temperature`` is in every command that is not told otherwise, and its help shows.
DEFAULT_TEMPERATURES = ["300"]

#: A range may not ask for more temperatures than anyone reads.
_MOST = 100_000
_FEWER = f"Give at most {_MOST:,}: take a larger step."


class Per(StrEnum):
    """What extensive quantities are per."""

    CELL = "cell"
    FORMULA = "formula"
    ATOM = "atom"


class Grouping(StrEnum):
    """What errors are told apart by."""

    ANION = "anion"
    ELEMENT = "element"


class Units(StrEnum):
    """Units of frequencies and energies."""

    THZ = "THz"
    CM = "cm-1"
    MEV = "meV"


Temperatures = Annotated[
    list[str],
    typer.Option(
        "--temperature",
        "-T",
        metavar="T|START:STOP:STEP",
        help="In K: 300, or a range such as 0:1000:10, whose last is STOP if the steps meet it, "
        "else the one before; repeatable.",
    ),
]
Model = Annotated[str, typer.Option(help="A model's name (see `e3dos models`) or a weights file.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:1.")]
EncoderName = Annotated[
    str | None, typer.Option(help="An encoder's name; chosen by the model if not given.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Uncertainty = Annotated[
    bool,
    typer.Option(
        help="Error bars. Without them `default` gives the same values; of an ensemble of networks "
        "one answers, several times faster, with slightly other values, and no warning "
        "that they disagree."
    ),
]
Relaxation = Annotated[
    Literal["none", "positions", "cell"], typer.Option(help="Before the displacements.")
]
RelaxationForce = Annotated[
    float | None,
    typer.Option("--fmax", min=1e-6, help="Largest force after --relax, eV/Å; 0.001 if not given."),
]
Plot = Annotated[Path | None, typer.Option(help="Write a figure: png, pdf, svg, ...")]
TableFile = Annotated[
    Path | None,
    typer.Option("--output", "-o", help="Write the table, too: .csv, .json or .parquet."),
]


def kelvin(texts: list[str]) -> list[float]:
    """Temperatures that ``--temperature`` gave, in K, ranges spelt out; none twice.

    Raises
    ------
    E3DOSError
        If a text is neither a temperature nor a range, or a limit is passed: which one, the
        message says.
    """
    from ase_e3dos.spectrum.thermal import checked_temperatures

    found: list[float] = []
    for text in texts:
        try:
            found += checked_temperatures(_spelt_out(text)).tolist()
        except SpectrumError as error:
            raise E3DOSError(f"--temperature {text}: {error}") from error
    if len(found) > _MOST:
        raise E3DOSError(f"--temperature: these are {len(found):,} temperatures. {_FEWER}")
    return list(dict.fromkeys(found))


def _spelt_out(text: str) -> list[float]:
    """The temperatures of ``300`` or ``0:1000:10``."""
    try:
        parts = [float(part) for part in text.split(":")]
    except ValueError:
        parts = []
    if len(parts) not in (1, 3):
        raise SpectrumError(
            "give kelvin, such as 300, or a range START:STOP:STEP, such as 0:1000:10 (1000 "
            "counts, too)."
        )
    if len(parts) == 1:
        return parts
    start, stop, step = parts
    if not all(map(math.isfinite, parts)):
        raise SpectrumError("start, stop and step of a range have to be finite.")
    if step <= 0:
        raise SpectrumError(f"the step {step:g} of a range has to be above zero.")
    if stop < start:
        raise SpectrumError(f"the range ends at {stop:g} K, before it begins at {start:g} K.")
    n = (stop - start) / step + 1e-9
    if n >= _MOST:
        raise SpectrumError(f"these are {n:,.0f} temperatures. {_FEWER}")
    return [start + step * k for k in range(int(n) + 1)]


def force_after(relax: str, fmax: float | None) -> float:
    """Largest force in eV/Å after the relaxation that ``--relax`` asks for before displacements.

    Raises
    ------
    E3DOSError
        If one is given, and nothing is relaxed.
    """
    if fmax is not None and relax == "none":
        raise E3DOSError("--fmax ends a relaxation: give --relax positions or cell, too.")
    return 1e-3 if fmax is None else fmax


def one_temperature(texts: list[str]) -> float:
    """The one temperature, in K, of a command that takes no more.

    Raises
    ------
    E3DOSError
        If there are several.
    """
    values = kelvin(texts)
    if len(values) != 1:
        raise E3DOSError(
            f"--temperature: {len(values)} temperatures are given, and this command takes one."
        )
    return values[0]
