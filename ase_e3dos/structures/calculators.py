"""Units of length in the phonopy files of calculators."""

from __future__ import annotations

__all__ = ["IN_BOHR"]

IN_BOHR = frozenset(
    ("abinit", "qe", "qlm", "wien2k", "elk", "siesta", "abacus", "turbomole", "dftbp", "fleur")
)
"""Calculators whose phonopy files are in Bohr; those of others are in Å."""
