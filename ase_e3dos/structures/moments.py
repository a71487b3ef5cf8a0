"""Magnetic moments of structures, which the networks do not see."""

from __future__ import annotations

from typing import Any

import numpy as np

from ase_e3dos.errors import MagnetismWarning
from ase_e3dos.structures.sites import Remark

__all__ = ["MOMENTS", "has_moments"]

MOMENTS = Remark(
    MagnetismWarning,
    "the atoms have magnetic moments, which do not enter the prediction: any magnetic order gives "
    "the same spectrum, and it is that of the state which the training calculations happened to "
    "find. Check it with a calculation.",
)
"""What is to be said about a structure with magnetic moments."""


def has_moments(structure: Any) -> bool:
    """Whether ASE Atoms, a pymatgen structure or PhonopyAtoms has a moment that is not zero.

    Parameters
    ----------
    structure : object

    Returns
    -------
    bool
    """
    arrays = getattr(structure, "arrays", None)
    found = [
        arrays.get("initial_magmoms") if isinstance(arrays, dict) else None,
        getattr(structure, "magnetic_moments", None),
    ]
    properties = getattr(structure, "site_properties", None)
    if isinstance(properties, dict):
        found += properties.get("magmom") or []
        found += [
            getattr(species, "spin", None)
            for site in structure
            for species in getattr(site, "species", ())
        ]
    return any(_is_nonzero(getattr(moments, "moment", moments)) for moments in found)


def _is_nonzero(moments: Any) -> bool:
    if moments is None:
        return False
    try:
        return bool(np.any(np.asarray(moments, dtype=np.float64)))
    except (TypeError, ValueError):  # a list with gaps
        return any(_is_nonzero(m) for m in moments) if isinstance(moments, (list, tuple)) else False
