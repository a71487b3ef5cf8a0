"""Names under which people keep fractions of occupied sites."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

__all__ = ["FRACTION_NAMES", "fractions_under_other_names"]

FRACTION_NAMES = frozenset(
    f"{site}{name}"
    for site in ("", "site_")
    for name in (
        *("occ", "occupancy", "occupancies", "occupation", "occupations", "occupancy_factor"),
        *("fraction", "fractions", "concentration", "concentrations"),
    )
)
"""Of columns and arrays, in small letters. Only "occupancy" is a name that is agreed on."""


def fractions_under_other_names(
    arrays: Mapping[Any, Any], known: frozenset[str] = frozenset(("occupancy",))
) -> str:
    """Name of an array of fractions that nobody would read, or "".

    Parameters
    ----------
    arrays : mapping
        From names to values.
    known : frozenset of str
        Names that are read.

    Returns
    -------
    str
    """
    for name, values in arrays.items():
        lowered = str(name).lower()
        if lowered in FRACTION_NAMES and lowered not in known and values is not None:
            try:
                whole = bool((np.asarray(values, dtype=np.float64) == 1.0).all())
            except (TypeError, ValueError):
                whole = False
            if not whole:
                return str(name)
    return ""
