"""Number of modes below a frequency, by linear interpolation in tetrahedra of a mesh.

Phonopy gives the density at points; where a peak is narrower than their spacing its weight comes
out wrong. The number of modes has no peaks: differences of it are the exact weights of bins.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["states_below"]

#: Relative to the largest frequency: corners of a tetrahedron are told apart by at least this.
_APART = 1e-9


def states_below(
    qpoints: ArrayLike, frequencies: ArrayLike, mesh: ArrayLike, edges: ArrayLike
) -> NDArray[np.float64]:
    """Number of modes of a cell with frequencies below some edges.

    Parameters
    ----------
    qpoints : array_like, shape (n_mesh, 3)
        All wave vectors of a uniform mesh, in units of the reciprocal cell, in any order.
    frequencies : array_like, shape (n_mesh, n_bands)
        Bands in rising order at each.
    mesh : array_like of int, shape (3,)
        Divisions along each reciprocal vector.
    edges : array_like, shape (n_edges,)
        In the unit of the frequencies.

    Returns
    -------
    ndarray, shape (n_edges,)
        From 0 to n_bands.

    Notes
    -----
    Source: Blöchl, Jepsen and Andersen, Phys. Rev. B 49, 16223 (1994), equations A1 to A6.
    """
    n = np.asarray(mesh, dtype=np.int64)
    q, values = np.asarray(qpoints), np.asarray(frequencies, dtype=np.float64)
    place = np.rint((q - q[0]) * n).astype(np.int64) % n
    grid = np.empty((*n, values.shape[1]))
    grid[tuple(place.T)] = values
    points = np.asarray(edges, dtype=np.float64)
    total = np.zeros(len(points))
    for order in itertools.permutations(range(3)):  # the six tetrahedra around a diagonal
        corners, corner = [grid], grid
        for axis in order:
            corner = np.roll(corner, -1, axis=axis)
            corners.append(corner)
        total += _share_below(np.stack(corners).reshape(4, -1), points)
    return np.asarray(total / (6 * n.prod()))


def _share_below(corners: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum over tetrahedra, corners of shape (4, n), of the share of each below each edge."""
    apart = _APART * max(float(np.abs(corners).max()), 1.0)
    a, b, c, d = np.sort(corners, axis=0) + apart * np.arange(4)[:, None]
    ab, ac, ad, bc, bd, cd = b - a, c - a, d - a, c - b, d - b, d - c
    total = np.empty(len(edges))
    for k, e in enumerate(edges):
        share = np.where(e >= d, 1.0, 0.0)
        low, middle, high = (e > a) & (e < b), (e >= b) & (e < c), (e >= c) & (e < d)
        share[low] = (e - a[low]) ** 3 / (ab * ac * ad)[low]
        x = e - b[middle]
        cubic = (ac[middle] + bd[middle]) / (bc * bd)[middle]
        share[middle] = ab[middle] ** 2 + 3 * ab[middle] * x + 3 * x**2 - cubic * x**3
        share[middle] /= (ac * ad)[middle]
        share[high] = 1.0 - (d[high] - e) ** 3 / (ad * bd * cd)[high]
        total[k] = share.sum()
    return total
