"""Input files of Cantera: a phase of fixed stoichiometry for each solid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from e3dos_thermochemistry.coefficients import Coefficients
from e3dos_thermochemistry.constants import CUBIC_ANGSTROM


def cantera_text(coefficients: Sequence[Coefficients]) -> str:
    """Text of an input file with NASA-9 or Shomate polynomials.

    Phases have the names of the species. Enthalpies are relative to the elements at 298.15 K
    where enthalpies of formation were given.
    """
    content = {
        "description": "Written by e3dos-thermochemistry from predicted phonons.",
        "phases": [_phase(c) for c in coefficients],
        "species": [_species(c) for c in coefficients],
    }
    return str(yaml.safe_dump(content, sort_keys=False, default_flow_style=None, width=100))


def _phase(coefficients: Coefficients) -> dict[str, Any]:
    return {
        "name": f"{coefficients.name}(s)",
        "thermo": "fixed-stoichiometry",
        "elements": [e.symbol for e in coefficients.solid.composition],
        "species": [f"{coefficients.name}(s)"],
        "state": {"T": 300.0, "P": 1e5},
    }


def _species(coefficients: Coefficients) -> dict[str, Any]:
    names = coefficients.polynomial.names
    ends = [coefficients.range[0], *(p.high for p in coefficients.pieces)]
    volume = coefficients.solid.volume * CUBIC_ANGSTROM * 1e3  # m^3/kmol
    kind = "C_V" if coefficients.solid.expansion is None else "C_P"
    return {
        "name": f"{coefficients.name}(s)",
        "composition": coefficients.solid.composition.get_el_amt_dict(),
        "thermo": {
            "model": "NASA9" if coefficients.form == "nasa9" else "Shomate",
            "reference-pressure": 1e5,
            "temperature-ranges": ends,
            "data": [[p.coefficients[n] for n in names] for p in coefficients.pieces],
            "note": f"{kind} by the model {coefficients.solid.spectrum.model}",
        },
        "equation-of-state": {"model": "constant-volume", "molar-volume": volume},
    }
