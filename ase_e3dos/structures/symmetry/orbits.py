"""Sites of a cell from those of an asymmetric unit: images, special positions, shared places."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ase_e3dos.structures.symmetry.operations import Operations

__all__ = ["COARSE_ROUNDING", "ROUNDING", "images_of"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

ROUNDING = 7e-4
"""Fractional coordinates this close to a special position are put onto it (0.666 onto 2/3)."""

COARSE_ROUNDING = 6e-3
"""The same for coordinates written with two decimals or fewer (0.33)."""

_CUT_OFF = 7e-3  # 0.66, cut off rather than rounded: only ever to larger numbers
_EXACT = 1e-7
_BINS = 1 << 20
_HASH = np.array([1 << 40, 1 << 20, 1])
_OF_ORBIT = 0x1E3779B97F4A7C15  # odd: different for every orbit, modulo 2^64


def images_of(
    positions: FloatArray, operations: Operations, rounding: FloatArray | float = ROUNDING
) -> tuple[FloatArray, IntArray]:
    """All images of some positions in the cell, each place of an orbit once.

    A position that operations take to within the rounding of itself lies on their special
    position and is moved onto it.

    Parameters
    ----------
    positions : array, shape (n, 3)
        Fractional coordinates.
    operations : Operations
    rounding : float or array, shape (n, 3)
        How far a coordinate may be moved.

    Returns
    -------
    images : array, shape (m, 3)
        Fractional coordinates, not wrapped into the cell.
    source : array of int, shape (m,)
        The position that each is an image of, ascending.
    """
    n, m = len(positions), len(operations)
    if m == 1:
        return positions, np.arange(n)
    matrices = operations.rotations.reshape(-1, 3).T
    images = (positions @ matrices).reshape(n, m, 3) + operations.translations
    limit = np.broadcast_to(np.asarray(rounding, dtype=np.float64), positions.shape)
    near = 3.001 * limit.max(axis=1)[:, None, None]  # rows of W - 1 add up to three at most
    difference = images - positions[:, None]
    difference -= np.rint(difference)
    fixing = _all_within(difference, near)
    count = fixing.sum(axis=1)
    if (count == 1).all():
        return images.reshape(-1, 3), np.repeat(np.arange(n), m)
    if np.abs(difference[fixing]).max() > _EXACT:
        x = _on_special_positions(positions, operations, difference, fixing, near)
        outward = ((x - positions) * np.sign(positions) > 0) & (limit >= COARSE_ROUNDING)
        allowed = np.where(outward, _CUT_OFF, limit)
        moved = (np.abs(x - positions) > allowed).max(axis=1, keepdims=True)
        x = np.where(moved, positions, x)
        images = (x @ matrices).reshape(n, m, 3) + operations.translations
        difference = _differences(x, operations)
        count = _all_within(difference, _EXACT).sum(axis=1)
    first = _firsts(images, int((m // count).sum()))
    return images.reshape(-1, 3)[first], first // m


def _on_special_positions(
    positions: FloatArray,
    operations: Operations,
    difference: FloatArray,
    fixing: NDArray[np.bool_],
    near: FloatArray,
) -> FloatArray:
    """Positions moved to the mean of their images nearby, twice: the first may miss some."""
    x: FloatArray = (
        positions + np.einsum("nki,nk->ni", difference, fixing) / fixing.sum(axis=1)[:, None]
    )
    difference = _differences(x, operations)
    fixing = _all_within(difference, near)
    x += np.einsum("nki,nk->ni", difference, fixing) / fixing.sum(axis=1)[:, None]
    return x


def _all_within(difference: FloatArray, limit: FloatArray | float) -> NDArray[np.bool_]:
    """Where all three components are within a limit, shape (n, m)."""
    within: NDArray[np.bool_] = np.asarray(np.abs(difference) <= limit).min(axis=2)
    return within


def _differences(x: FloatArray, operations: Operations) -> FloatArray:
    """From each position to its nearest translate under each operation, shape (n, m, 3)."""
    images = (x @ operations.rotations.reshape(-1, 3).T).reshape(len(x), -1, 3)
    difference: FloatArray = images + operations.translations - x[:, None]
    difference -= np.rint(difference)
    return difference


def _firsts(images: FloatArray, expected: int) -> IntArray:
    """Flat indices, ascending, of the images that are the first at their place in an orbit."""
    n = len(images)
    for offset in (0.3714, 0.8093, 0.1237):  # no place lies on the boundary of bins for all
        bins = np.floor(images * _BINS + offset).astype(np.int64) % _BINS
        keys = ((bins @ _HASH) + np.arange(n)[:, None] * _OF_ORBIT).ravel()
        order = keys.argsort(kind="stable")
        ordered = keys[order]
        first: IntArray = order[np.concatenate(([True], ordered[1:] != ordered[:-1]))]
        if len(first) == expected:
            first.sort()
            return first
    raise ArithmeticError("the images of a position do not form an orbit")
