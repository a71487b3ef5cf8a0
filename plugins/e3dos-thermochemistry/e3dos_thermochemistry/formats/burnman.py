"""Parameters of burnman's minerals (Holland and Powell's thermal equation of state, `hp_tmt`)."""

from __future__ import annotations

import json
from collections.abc import Sequence

from e3dos_thermochemistry.coefficients import Coefficients
from e3dos_thermochemistry.constants import CUBIC_ANGSTROM, ROOM
from e3dos_thermochemistry.errors import FitError

#: Pressure derivative of the bulk modulus, where nothing better is known.
_DERIVATIVE = 4.0


def burnman_text(coefficients: Sequence[Coefficients]) -> str:
    """Text of a JSON file: by formula, what `burnman.Mineral(params=...)` takes.

    Raises
    ------
    FitError
        If a solid has no expansion, or its coefficients more than one range or not 298.15 K.
    """
    return json.dumps({c.name: _parameters(c) for c in coefficients}, indent=1) + "\n"


def _parameters(coefficients: Coefficients) -> dict[str, object]:
    expansion = coefficients.solid.expansion
    if expansion is None:
        raise FitError(
            f"burnman needs a bulk modulus and a thermal expansion of {coefficients.name} for its "
            "equation of state: fit it with an expansion (bulk_modulus, --bulk-modulus)."
        )
    low, high = coefficients.range
    if len(coefficients.pieces) > 1 or not low <= ROOM <= high:
        raise FitError(
            f"burnman takes one range of temperature that has {ROOM:g} K in it; the coefficients "
            f"of {coefficients.name} are for {len(coefficients.pieces)} from {low:g} to {high:g} K."
        )
    composition = coefficients.solid.composition
    c = coefficients.pieces[0].coefficients
    modulus = expansion.bulk_modulus * 1e9
    return {
        "name": coefficients.name,
        "formula": composition.get_el_amt_dict(),
        "equation_of_state": "hp_tmt",
        "H_0": float(coefficients.enthalpy(ROOM)) * 1000.0,
        "S_0": float(coefficients.entropy(ROOM)),
        "V_0": coefficients.solid.volume * CUBIC_ANGSTROM,
        "Cp": [c["a"], c["b"], c["c"], 0.0],
        "a_0": float(expansion.coefficient(ROOM)),
        "K_0": modulus,
        "Kprime_0": _DERIVATIVE,
        "Kdprime_0": -_DERIVATIVE / modulus,
        "n": float(composition.num_atoms),
        "molar_mass": float(composition.weight) / 1000.0,
        "T_0": ROOM,
        "P_0": 1e5,
    }
