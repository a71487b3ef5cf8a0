"""What a file states about its contents, against the crystal that was read from it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from ase.data import atomic_numbers, chemical_symbols
from numpy.typing import NDArray

__all__ = ["Stated", "disagreements", "formula_amounts"]

AMOUNT_TOLERANCE = 0.03
"""Relative difference of an element's amount that is rounding in the file."""
DENSITY_TOLERANCE = 0.04
"""The same for the density, the volume and the weight of a formula unit."""

_LEAST = 0.005
_GRAMS = 1.66053906660  # amu/Å^3 in g/cm^3
#: An element, bracket or comma, and the number behind it (without its estimated error).
_TOKEN = re.compile(r"([A-Z][a-z]?|[()\[\],]|(?=\d))(\d+\.?\d*|\.\d+|)")


@dataclass(frozen=True, slots=True)
class Stated:
    """What a file says besides its sites.

    Attributes
    ----------
    formula : mapping of int to float
        Amount of each element (by atomic number) in a formula unit; empty where not stated.
    text : str
        The formula as it is written.
    units : float or None
        Formula units in the cell, Z.
    density : float or None
        g/cm^3.
    volume : float or None
        Å^3.
    weight : float or None
        Of a formula unit, amu.
    notes : list of str
        What else disagrees, in words.
    """

    formula: Mapping[int, float] = field(default_factory=dict)
    text: str = ""
    units: float | None = None
    density: float | None = None
    volume: float | None = None
    weight: float | None = None
    notes: tuple[str, ...] = ()


@lru_cache(maxsize=4096)
def formula_amounts(text: str) -> dict[int, float]:
    """Amounts of the elements in a formula such as "Ba Ti O2.4 H0.6" or "Ca S O4, 2(H2 O)".

    Deuterium and tritium count as hydrogen. Empty if the amounts are not all stated ("(Mg,Fe)2 Si
    O4", "C60n").

    Parameters
    ----------
    text : str

    Returns
    -------
    dict of int to float
        Amounts by atomic number.
    """
    amounts: dict[int, float] = {}
    plain = re.sub(r"~(\d+\.?\d*)~", r"\1", text)  # subscripts
    plain = re.sub(r"(?<=[\d.])\(\d+\)", "", plain)  # estimated errors
    plain = re.sub(r"\.(?=\s*\d*\s*\(?[HD]2\s*O)", ",", plain)  # the dot of hydrates
    words = plain.split()
    if words and all(re.fullmatch(r"[A-Z]{2}[\d.]*|[A-Z][\d.]*", w) for w in words):
        words = [w[:1] + w[1:].lower() for w in words] if len(words) > 1 else words
    tokens = _TOKEN.findall(" ".join(words))
    if "".join(t for token in tokens for t in token) != "".join(words):
        return {}
    try:
        _add_formula(amounts, tokens)
    except _NoFormulaError:
        return {}
    return amounts


class _NoFormulaError(ValueError):
    """A text that is not a formula with all amounts."""


def _add_formula(amounts: dict[int, float], tokens: list[tuple[str, str]]) -> None:
    """Add the atoms of some tokens; those of brackets and of numbers before them are multiplied."""
    stack: list[tuple[dict[int, float], float]] = [(amounts, 1.0)]
    factor = 1.0  # of all up to the next comma
    new = True  # whether a number may be such a factor
    for name, number in tokens:
        times = float(number) if number not in ("", ".") else 1.0
        if name == "":
            if not new or len(stack) > 1:
                raise _NoFormulaError
            factor, new = times, False
        elif name == ",":
            if len(stack) > 1:
                raise _NoFormulaError
            factor, new = times, not number
        elif name in ("(", "["):
            stack.append(({}, 1.0))
            if number:
                raise _NoFormulaError
            new = False
        elif name in (")", "]"):
            if len(stack) == 1:
                raise _NoFormulaError
            inner, _ = stack.pop()
            scale = times * (factor if len(stack) == 1 else 1.0)
            for z, n in inner.items():
                stack[-1][0][z] = stack[-1][0].get(z, 0.0) + n * scale
        else:
            z = 1 if name in ("D", "T") else int(atomic_numbers.get(name, 0))
            if z == 0:
                raise _NoFormulaError
            scale = times * (factor if len(stack) == 1 else 1.0)
            stack[-1][0][z] = stack[-1][0].get(z, 0.0) + scale
            new = False
    if len(stack) > 1:
        raise _NoFormulaError


def disagreements(
    stated: Stated,
    numbers: NDArray[np.int64],
    fractions: NDArray[np.float64],
    masses: NDArray[np.float64],
    volume: float,
) -> list[str]:
    """What of the statements the cell read does not bear out, in words.

    Parameters
    ----------
    stated : Stated
    numbers : array of int, shape (n,)
        Atomic numbers of all species of the cell.
    fractions : array, shape (n,)
        How much of their sites they occupy.
    masses : array, shape (n,)
        amu.
    volume : float
        Of the cell, Å^3.

    Returns
    -------
    list of str
        Empty if all agrees.
    """
    found = []
    if stated.formula:
        counted = np.bincount(numbers, fractions).tolist()
        found += _composition(stated, {z: n for z, n in enumerate(counted) if n > 0.0})
    if stated.volume and abs(volume / stated.volume - 1.0) > DENSITY_TOLERANCE:
        found.append(f"it states a volume of {stated.volume:g} Å^3, the cell has {volume:.4g}")
    if not stated.formula or stated.units is None:
        # Standard masses: what a file states is of the natural elements, deuterium aside.
        weight = float((fractions * masses).sum())
        density = weight * _GRAMS / volume
        if stated.density and abs(density / stated.density - 1.0) > DENSITY_TOLERANCE:
            found.append(
                f"it states a density of {stated.density:g} g/cm^3, the crystal has {density:.4g}"
            )
        if stated.weight and stated.units:
            unit = weight / stated.units
            if abs(unit / stated.weight - 1.0) > DENSITY_TOLERANCE:
                found.append(
                    f"it states {stated.units:g} formula units of weight {stated.weight:g} each, "
                    f"those read weigh {unit:.5g}"
                )
    return [*found, *stated.notes]


def _composition(stated: Stated, amounts: dict[int, float]) -> list[str]:
    if stated.units:
        factors = [stated.units, *([1.0] if _may_be_of_the_cell(stated) else [])]
    else:
        factors = [sum(amounts.values()) / sum(stated.formula.values())]
    if any(_agree(stated, factor, amounts) for factor in factors):
        return []
    times = f" times Z = {stated.units:g}" if stated.units else ""
    expected = {z: n * factors[0] for z, n in stated.formula.items() if n > 0.0}
    return [
        f"it states {stated.text!r}{times}, that is {_amounts_in_words(expected)}; read were "
        f"{_amounts_in_words(amounts)}"
    ]


def _may_be_of_the_cell(stated: Stated) -> bool:
    """Whether the formula may be that of the cell, as pymatgen writes it: 'Ca6 C6 O18', Z 6."""
    units = stated.units or 1.0
    return all(abs(n / units - round(n / units)) < 1e-6 for n in stated.formula.values())


def _agree(stated: Stated, factor: float, amounts: dict[int, float]) -> bool:
    """Whether some formulas are in the cell, within rounding."""
    expected = {z: n * factor for z, n in stated.formula.items() if n > 0.0}
    return expected.keys() == amounts.keys() and all(
        abs(n - amounts[z]) <= max(AMOUNT_TOLERANCE * n, _LEAST) for z, n in expected.items()
    )


def _amounts_in_words(amounts: Mapping[int, float]) -> str:
    return ", ".join(f"{chemical_symbols[z]} {round(n, 3):g}" for z, n in amounts.items())
