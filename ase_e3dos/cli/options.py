"""Options that commands share: their names, help and defaults, and what is made of them."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ase_e3dos.errors import E3DOSError

__all__ = [
    "DEFAULT_TEMPERATURES",
    "AsJson",
    "Device",
    "EncoderName",
    "Model",
    "Per",
    "Plot",
    "TableFile",
    "Temperatures",
    "Uncertainty",
    "Units",
    "kelvin",
    "one_temperature",
]

#: What ``--temperature`` is in every command that is not told otherwise, and its help shows.
DEFAULT_TEMPERATURES = ["300"]

#: A range may not ask for more temperatures than anyone reads.
_MOST = 100_000


class Per(StrEnum):
    """What extensive quantities are per."""

    CELL = "cell"
    FORMULA = "formula"
    ATOM = "atom"


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
        help="In K: 300, or a range such as 0:1000:10 with both ends; repeatable.",
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
        "one answers, several times faster and with slightly other values."
    ),
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
        If a text is neither a temperature nor a range.
    """
    from ase_e3dos.spectrum.thermal import checked_temperatures

    found: list[float] = []
    for text in texts:
        try:
            parts = [float(part) for part in text.split(":")]
        except ValueError:
            parts = []
        if len(parts) == 1:
            found += parts
        elif len(parts) == 3 and parts[2] > 0 and 0 <= (parts[1] - parts[0]) / parts[2] < _MOST:
            start, stop, step = parts
            found += [start + step * k for k in range(int((stop - start) / step + 1e-9) + 1)]
        else:
            raise E3DOSError(
                f"--temperature {text}: give kelvin, such as 300, or a range START:STOP:STEP, such "
                "as 0:1000:10 (both ends count)."
            )
    return list(dict.fromkeys(float(t) for t in checked_temperatures(found)))


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
