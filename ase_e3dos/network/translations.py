"""How many sites the primitive cell of a crystal has, whatever cell it is written in."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["primitive_sites"]

#: Distance in Å by which a translated site may miss another: what is counted decides the width of
#: the dipoles' Gaussian, and small displacements in a supercell must not.
_TOLERANCE = 0.5


def primitive_sites(
    cell: NDArray[np.float64], positions: NDArray[np.float64], contents: NDArray[np.float64]
) -> int:
    """Sites of the primitive cell.

    Parameters
    ----------
    cell : ndarray, shape (3, 3)
        Lattice vectors in rows, Å.
    positions : ndarray, shape (n, 3)
        Å.
    contents : ndarray, shape (n, k)
        What tells sites of different content apart.

    Returns
    -------
    int
        `n` where the cell is primitive.
    """
    _, kinds, counts = np.unique(
        np.round(contents, 3), axis=0, return_inverse=True, return_counts=True
    )
    kinds, n = kinds.ravel(), len(positions)
    if math.gcd(*counts.tolist()) == 1:
        return n
    inside = positions @ np.linalg.inv(cell)
    order = np.argsort(kinds, kind="stable")
    inside, kinds = inside[order], kinds[order]
    rarest = np.flatnonzero(kinds == counts.argmin())
    shifts = inside[rarest] - inside[rarest[0]]
    copies = sum(_is_translation(shift, inside, kinds, cell) for shift in shifts)
    return n // copies if n % copies == 0 else n


def _is_translation(
    shift: NDArray[np.float64],
    inside: NDArray[np.float64],
    kinds: NDArray[np.int64],
    cell: NDArray[np.float64],
) -> bool:
    """Whether all sites, moved by a vector, come to lie on sites of their kind."""
    for kind in range(int(kinds[-1]) + 1):
        own = inside[kinds == kind]
        apart = (own + shift)[:, None] - own
        apart = (apart - np.rint(apart)) @ cell
        if ((apart**2).sum(2).min(1) > _TOLERANCE**2).any():
            return False
    return True
