"""Standard atomic masses, and how far from them a mass is still the natural element's."""

from __future__ import annotations

import numpy as np
from ase.data import atomic_masses
from numpy.typing import NDArray

__all__ = ["ISOTOPE_TOLERANCE", "STANDARD_MASSES"]

STANDARD_MASSES: NDArray[np.float64] = np.array(atomic_masses, dtype=np.float64)
"""Standard atomic masses (amu) by atomic number: those of ASE, IUPAC 2016."""
STANDARD_MASSES.setflags(write=False)

ISOTOPE_TOLERANCE = 2e-3
"""Relative difference from the standard mass up to which a mass is the natural element's.

The tables of ASE, pymatgen and phonopy differ by up to 0.1 % for the elements that crystals
are made of (a mass off by 0.2 % moves a frequency by less than 0.1 %).
"""
