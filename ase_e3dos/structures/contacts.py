"""Sites that are too close to each other, images included, and cells without a volume."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ase_e3dos.errors import CrystalError

__all__ = [
    "MIN_DISTANCE",
    "MIN_RELATIVE_VOLUME",
    "MIN_VOLUME",
    "close_contact",
    "close_pairs",
    "compact",
    "heights_of",
]

MIN_DISTANCE = 0.3
"""Sites closer than this (Å) are one atom entered twice: refused."""

MIN_VOLUME = 1e-3
"""Å^3; with `MIN_RELATIVE_VOLUME`, of the product of the three lengths: less is no volume."""
MIN_RELATIVE_VOLUME = 1e-9

_FLAT = 1.5  # Å, below the heights of nearly all reduced cells
_MANY, _CROWD = 1000, 60  # sites, and of these in a cube of MIN_DISTANCE at most

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def heights_of(h: Floats, label: object) -> list[float]:
    """Distances between opposite faces of the cell in Å; plain floats, for speed.

    Parameters
    ----------
    h : ndarray, shape (3, 3)
        Lattice vectors in rows, Å.
    label : object
        What messages call the structure.

    Returns
    -------
    list of float
        Å, one for each vector.

    Raises
    ------
    CrystalError
        The cell has no volume.
    """
    (ax, ay, az), (bx, by, bz), (cx, cy, cz) = h.tolist()
    normals = (
        (by * cz - bz * cy, bz * cx - bx * cz, bx * cy - by * cx),
        (cy * az - cz * ay, cz * ax - cx * az, cx * ay - cy * ax),
        (ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx),
    )
    volume = abs(ax * normals[0][0] + ay * normals[0][1] + az * normals[0][2])
    lengths = [(x * x + y * y + z * z) ** 0.5 for x, y, z in h.tolist()]
    if volume < max(MIN_VOLUME, MIN_RELATIVE_VOLUME * lengths[0] * lengths[1] * lengths[2]):
        raise CrystalError(
            f"{label}: the cell has no volume ({volume:.2g} Å^3): it is missing, or its vectors "
            "lie in a plane. Give three independent lattice vectors in Å; molecules and slabs "
            "without a third vector have no phonon density of states of a crystal."
        )
    return [volume / (x * x + y * y + z * z) ** 0.5 for x, y, z in normals]


def close_contact(
    h: Floats, f: Floats, heights: list[float], label: object
) -> tuple[int, int, float] | None:
    """Two sites closer than `MIN_DISTANCE`, images included, or None.

    A vector shorter than d has fractional coordinates up to d / height, so that in a cell
    whose heights all exceed 2 d only the wrapped difference can be that short.

    Parameters
    ----------
    h : ndarray, shape (3, 3)
        Lattice vectors in rows, Å.
    f : ndarray, shape (n_sites, 3)
        Scaled positions within the cell.
    heights : list of float
        Of `heights_of`.
    label : object
        What messages call the structure.

    Returns
    -------
    (i, j, distance) : tuple of int, int and float, or None
        Distance in Å; i = j for a site and its image.

    Raises
    ------
    CrystalError
        The cell is so skewed, or the sites are so crowded, that the pairs cannot be counted.
    """
    if min(heights) <= 2 * MIN_DISTANCE:
        h, f = _reduced(h, f, label)
        lengths = np.linalg.norm(h, axis=1)
        if lengths.min() < MIN_DISTANCE:
            return 0, 0, float(lengths.min())
        heights = heights_of(h, label)
    if len(f) == 1:
        return None
    i, j, distance = _close_pairs(h, f, heights)
    if len(distance) == 0:
        return None
    k = int(distance.argmin())
    return int(i[k]), int(j[k]), float(distance[k])


def close_pairs(
    cell: Floats, scaled_positions: Floats, reach: float = MIN_DISTANCE
) -> tuple[Integers, Integers, Floats]:
    """All pairs of sites that are closer than some distance, in time linear in their number.

    Parameters
    ----------
    cell : array, shape (3, 3)
        Lattice vectors in rows, Å.
    scaled_positions : array, shape (n_sites, 3)
        Wrapped into the cell.
    reach : float
        The distance in Å.

    Returns
    -------
    i, j : array of int, shape (n_pairs,)
    distance : array, shape (n_pairs,)
        Å.
    """
    return _close_pairs(cell, scaled_positions, heights_of(cell, "the structure"), reach)


def compact(h: Floats, f: Floats, label: object) -> tuple[Floats, Floats]:
    """The crystal in a cell that is not flat: the very same, or a reduced one.

    Distances are searched among images up to the distance over the height of the cell, of which
    a skewed cell would have too many.

    Parameters
    ----------
    h : ndarray, shape (3, 3)
        Lattice vectors in rows, Å.
    f : ndarray, shape (n_sites, 3)
        Scaled positions.
    label : object
        What messages call the structure.

    Returns
    -------
    h, f : ndarray
        As given, the sites in their order.

    Raises
    ------
    CrystalError
        The cell is too skewed to be reduced.
    """
    return _reduced(h, f, label) if min(heights_of(h, label)) < _FLAT else (h, f)


def _close_pairs(
    h: Floats, f: Floats, heights: list[float], reach: float = MIN_DISTANCE
) -> tuple[Integers, Integers, Floats]:
    i, j = _candidates(f, heights, reach)
    difference = f[i] - f[j]
    difference -= np.rint(difference)
    if min(heights) > 2 * reach:
        vectors = difference @ h
        square = np.einsum("ij,ij->i", vectors, vectors)
    else:
        n = [int(reach / height + 0.5) for height in heights]
        shifts = itertools.product(*(range(-k, k + 1) for k in n))
        vectors = (difference[:, None, :] + np.array(list(shifts), dtype=np.float64)) @ h
        square = np.einsum("ikj,ikj->ik", vectors, vectors).min(axis=1)
    close = np.flatnonzero(square < reach**2)
    return i[close], j[close], np.sqrt(square[close])


_PAIRS: dict[int, tuple[Any, Any]] = {}


def _candidates(f: Floats, heights: list[float], reach: float) -> tuple[Any, Any]:
    """Pairs of sites that may be close: all of them in small cells."""
    n = len(f)
    if n <= 48:
        if n not in _PAIRS:
            _PAIRS[n] = np.triu_indices(n, 1)
        return _PAIRS[n]
    from scipy.spatial import cKDTree

    box = np.array(heights)
    points = f * box
    points[points >= box] = 0.0
    if n > _MANY:
        _, crowd = np.unique((points / MIN_DISTANCE).astype(np.int64), axis=0, return_counts=True)
        if crowd.max() > _CROWD:
            raise CrystalError(
                f"{crowd.max()} of the {n} sites lie within {MIN_DISTANCE} Å of each other. Check "
                "the cell, whose unit is Å, and the positions."
            )
    tree = cKDTree(points, boxsize=box)
    pairs = tree.query_pairs(reach * (1 + 1e-9), p=np.inf, output_type="ndarray")
    return pairs[:, 0], pairs[:, 1]


def _reduced(h: Floats, f: Floats, label: object) -> tuple[Floats, Floats]:
    """Minkowski-reduced cell and the positions in it."""
    from ase import geometry

    minkowski_reduce: Any = geometry.minkowski_reduce
    try:
        reduced, _ = minkowski_reduce(h)
    except RuntimeError as error:
        raise CrystalError(
            f"{label}: the cell is too skewed to be reduced ({error}). Give a compact cell of "
            "the same lattice, e.g. by ase.build.niggli_reduce."
        ) from error
    new = f @ h @ np.linalg.inv(reduced)
    return reduced, new - np.floor(new)
