"""Values and names that are given for phonopy's arguments."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

__all__ = ["MOST_POINTS", "is_number", "known_options"]

#: Frequency points or temperatures in one table.
MOST_POINTS = 1_000_000


def is_number(value: Any) -> bool:
    """Whether a value that was given for one of phonopy's arguments is a finite number.

    Parameters
    ----------
    value : object

    Returns
    -------
    bool
    """
    return isinstance(value, (int, float, np.number)) and bool(np.isfinite(value))


def known_options(factory: Any, options: dict[str, Any]) -> dict[str, Any]:
    """Options that the installed phonopy knows; those that it may lack are dropped, not typos.

    Parameters
    ----------
    factory : callable
        Class or function of phonopy that the options are for.
    options : dict
        By name.

    Returns
    -------
    dict
        Unknown ones stay, so that phonopy refuses them.
    """
    known = inspect.signature(factory).parameters
    later = {"exclude_gamma_acoustic", "smearing_function", "lang"}
    return {name: value for name, value in options.items() if name in known or name not in later}
