"""Which elements a crystal has next to each other: chemistry that training saw or did not see."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from ase.data import covalent_radii
from numpy.typing import NDArray

from ase_e3dos.network.graph import CrystalGraph, build_graphs
from ase_e3dos.structures.crystal import Crystal

__all__ = [
    "NEAR",
    "NEAR_IN_TRAINING",
    "RADII",
    "bonded",
    "codes_of",
    "elements_of_code",
    "seen_bonds",
]

#: Distance over the sum of the covalent radii up to which two sites are next to each other. What
#: training saw is counted a little further, so that no bond is new for being at the limit.
NEAR, NEAR_IN_TRAINING = 1.15, 1.2
#: Å; further apart than this no two sites are.
CUTOFF = 5.0
_AT_ONCE = 200

#: Covalent radius (Å) by atomic number; those that ASE does not have are its last one.
RADII = np.append(
    covalent_radii, np.full(max(0, 119 - len(covalent_radii)), covalent_radii[-1])
).astype(np.float64)


def codes_of(first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.int64]:
    """One number for each pair of elements, in whichever order they are given.

    Parameters
    ----------
    first, second : ndarray of int, shape (n,)
        Atomic numbers.

    Returns
    -------
    ndarray of int, shape (n,)
        1000 times the smaller one, plus the larger one.
    """
    return np.asarray(1000 * np.minimum(first, second) + np.maximum(first, second))


def elements_of_code(codes: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Atomic numbers of the pairs that `codes_of` made numbers of.

    Parameters
    ----------
    codes : ndarray of int, shape (n,)

    Returns
    -------
    smaller, larger : ndarray of int, shape (n,)
    """
    return codes // 1000, codes % 1000


def bonded(
    first: NDArray[np.int64], second: NDArray[np.int64], length: NDArray[np.float64], near: float
) -> NDArray[np.bool_]:
    """Whether sites are next to each other.

    Parameters
    ----------
    first, second : ndarray of int, shape (n,)
        Atomic numbers of both.
    length : ndarray, shape (n,)
        Distances in Å.
    near : float
        `NEAR` or `NEAR_IN_TRAINING`.

    Returns
    -------
    ndarray of bool, shape (n,)
    """
    return np.asarray((length > 0) & (length < near * (RADII[first] + RADII[second])))


def seen_bonds(crystals: Iterable[Crystal]) -> list[float]:
    """Pairs of elements that crystals have next to each other, for `WeightsHeader.trust`.

    Parameters
    ----------
    crystals : iterable of Crystal
        Those of the training data.

    Returns
    -------
    list of float
        `codes_of` the pairs, ascending.
    """
    every = list(crystals)
    found: set[int] = set()
    for start in range(0, len(every), _AT_ONCE):
        for graph in build_graphs(every[start : start + _AT_ONCE], CUTOFF):
            found |= _codes(graph)
    return [float(code) for code in sorted(found)]


def _codes(graph: CrystalGraph) -> set[int]:
    z = graph.crystal.numbers
    first, second = z[graph.center], z[graph.neighbor]
    near = bonded(first, second, graph.lengths, NEAR_IN_TRAINING)
    return set(codes_of(first[near], second[near]).tolist())
