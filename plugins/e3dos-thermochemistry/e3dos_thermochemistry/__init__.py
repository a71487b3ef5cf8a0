"""From predicted phonons to what decides: hulls at temperature, reactions, coefficients."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from e3dos_thermochemistry.assembly import hulls_of
    from e3dos_thermochemistry.coefficients import Coefficients, fit
    from e3dos_thermochemistry.descriptor import descriptor_above_hull
    from e3dos_thermochemistry.entries import read_entries
    from e3dos_thermochemistry.equations import Equation, balanced
    from e3dos_thermochemistry.error_bars import JointErrors, joint_errors
    from e3dos_thermochemistry.expansion import ThermalExpansion, thermal_expansion
    from e3dos_thermochemistry.formats import write_coefficients
    from e3dos_thermochemistry.gases import Gas, gas
    from e3dos_thermochemistry.hulls import Hulls
    from e3dos_thermochemistry.reactions import ReactionResult, react
    from e3dos_thermochemistry.solid import Solid

# Public name -> module that defines it, imported on first use: lists of commands stay quick.
_HOMES = {
    "Coefficients": "coefficients",
    "Equation": "equations",
    "Gas": "gases",
    "Hulls": "hulls",
    "JointErrors": "error_bars",
    "ReactionResult": "reactions",
    "Solid": "solid",
    "ThermalExpansion": "expansion",
    "balanced": "equations",
    "descriptor_above_hull": "descriptor",
    "fit": "coefficients",
    "gas": "gases",
    "hulls_of": "assembly",
    "joint_errors": "error_bars",
    "react": "reactions",
    "read_entries": "entries",
    "thermal_expansion": "expansion",
    "write_coefficients": "formats",
}
__all__ = [
    "Coefficients",
    "Equation",
    "Gas",
    "Hulls",
    "JointErrors",
    "ReactionResult",
    "Solid",
    "ThermalExpansion",
    "balanced",
    "descriptor_above_hull",
    "fit",
    "gas",
    "hulls_of",
    "joint_errors",
    "react",
    "read_entries",
    "thermal_expansion",
    "write_coefficients",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
