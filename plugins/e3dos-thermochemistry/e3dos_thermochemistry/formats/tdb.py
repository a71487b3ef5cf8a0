"""Thermodynamic databases (TDB) of stoichiometric phases, for pycalphad and its kin."""

from __future__ import annotations

import re
from collections.abc import Sequence
from textwrap import wrap

from pymatgen.core import Element

from e3dos_thermochemistry.coefficients import Coefficients, Piece

#: Coefficient -> what it multiplies.
_TERMS = {
    "a": "",
    "b": "*T",
    "c": "*T*LN(T)",
    "d": "*T**2",
    "e": "*T**3",
    "f": "*T**(-1)",
}


def tdb_text(coefficients: Sequence[Coefficients]) -> str:
    """Text of a database: elements, a function and a phase for each solid.

    Energies are in J/mol of formula units, relative to the elements' stable form at 298.15 K
    (H_SER) where enthalpies of formation were given.
    """
    lines = [
        "$ Written by e3dos-thermochemistry from predicted phonons.",
        *[f"$ {line}" for c in coefficients for line in _remarks(c)],
    ]
    elements = sorted({e for c in coefficients for e in c.solid.composition}, key=str)
    for element in elements:
        mass = float(Element(element.symbol).atomic_mass)
        lines.append(f"ELEMENT {element.symbol.upper():2s} SER {mass:.4f} 0.0 0.0 !")
    lines.append("TYPE_DEFINITION % SEQ * !")
    for of_solid in coefficients:
        lines += _phase(of_solid)
    return "\n".join(lines) + "\n"


def _remarks(coefficients: Coefficients) -> list[str]:
    if coefficients.enthalpy_of_formation is None:
        reference = "relative to the solid at 298.15 K: no enthalpy of formation was given"
    else:
        reference = f"enthalpy of formation {coefficients.enthalpy_of_formation:g} kJ/mol"
    kind = "C_V" if coefficients.solid.expansion is None else "C_P"
    model = coefficients.solid.spectrum.model
    return [f"{coefficients.name}: {kind} by the model {model}; {reference}."]


def _phase(coefficients: Coefficients) -> list[str]:
    name = re.sub(r"[^A-Z0-9]", "", coefficients.name.upper())
    amounts = coefficients.solid.composition.get_el_amt_dict()
    sites = " ".join(f"{amount:g}" for amount in amounts.values())
    symbols = ":".join(symbol.upper() for symbol in amounts)
    low, high = coefficients.range
    ranges = [
        f"{_gibbs(piece)}; {piece.high:g} {'N' if piece is coefficients.pieces[-1] else 'Y'}"
        for piece in coefficients.pieces
    ]
    return [
        *_wrapped(f"FUNCTION G{name} {low:g} {' '.join(ranges)} !"),
        f"PHASE {name} % {len(amounts)} {sites} !",
        f"CONSTITUENT {name} :{symbols}: !",
        *_wrapped(f"PARAMETER G({name},{symbols};0) {low:g} +G{name}; {high:g} N !"),
    ]


def _gibbs(piece: Piece) -> str:
    return " ".join(f"{piece.coefficients[n]:+.12G}{factor}" for n, factor in _TERMS.items())


def _wrapped(line: str) -> list[str]:
    """Lines of less than 80 characters, as the format has it."""
    return wrap(line, 76, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
