"""What crystals are made of: compositions, counts of elements, formulas that are kept out."""

from __future__ import annotations

import hashlib
from collections import Counter
from math import gcd

import numpy as np
from numpy.typing import NDArray

from ase_e3dos.structures.crystal import Crystal


def composition_key(crystal: Crystal) -> tuple[tuple[int, int], ...]:
    """Reduced composition as (atomic number, count) pairs, for comparing between files."""
    numbers, counts = np.unique(crystal.numbers, return_counts=True)
    divisor = gcd(*counts.tolist())
    return tuple((int(z), int(n) // divisor) for z, n in zip(numbers, counts, strict=True))


def element_counts(crystals: list[Crystal]) -> dict[str, int]:
    """Crystals that contain each element, by atomic number as a string."""
    counts: Counter[int] = Counter()
    for crystal in crystals:
        counts.update(set(crystal.species_number.tolist()))
    return {str(z): counts[z] for z in sorted(counts)}


def kept_out(formulas: list[str], share: float) -> NDArray[np.bool_]:
    """Which formulas are kept out of training on strained cells: a share of them, by hash.

    The same formula gets the same answer in every file and on every machine.
    """
    hashes = [hashlib.sha256(f"strain:{f}".encode()).hexdigest()[:8] for f in formulas]
    return np.array([int(h, 16) / 2**32 < share for h in hashes], dtype=bool)
