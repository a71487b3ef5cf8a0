"""A density as pieces between knots: what integrals with a function of frequency are taken over.

Each piece has its modes and a slope. On a grid of points, a piece lies between two of them and
the density is a straight line. On a grid of bins (`FrequencyGrid.is_binned`, the default model's)
a piece is a bin: what a histogram knows exactly, the modes in each bin, is kept, and the slope
within is half the difference of its neighbours, no steeper than keeps the density positive
(van Leer, *J. Comput. Phys.* 23, 276 (1977)). The straight line between the centres of two bins
would carry modes from one to the other: where the density grows as w^2, its lowest bins gain up
to a third.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ase_e3dos.spectrum.constants import constants
from ase_e3dos.spectrum.grid import Array, FrequencyGrid, bin_edges

#: Bins from zero on whose slopes thermal properties take into account.
N_SLOPED = 128


class Pieces(NamedTuple):
    """Densities (..., n) as pieces between the knots of their grid.

    Attributes
    ----------
    masses : ndarray, shape (..., n_pieces)
        Modes in each piece.
    slopes : ndarray, shape (..., n_pieces)
        What the modes of a piece would be with the density of its right end, minus those with
        the density of its left end.
    """

    masses: Array
    slopes: Array


@lru_cache(maxsize=128)
def knots_of(grid: FrequencyGrid) -> Array:
    """Ends of the pieces in cm^-1, shape (n_pieces + 1,); zero is one of them where inside."""
    if not grid.is_binned:
        return grid.knots
    x = grid.wavenumbers
    knots = np.concatenate([x[:1], bin_edges(x)[1:-1], x[-1:]])
    knots[grid.zero_knot] = 0.0  # exactly, whatever the rounding
    knots.flags.writeable = False
    return knots


def first_real(grid: FrequencyGrid) -> int:
    """Index of the first piece at or above zero.

    Parameters
    ----------
    grid : FrequencyGrid

    Returns
    -------
    int
    """
    return max(grid.zero_knot, 0)


def pieces_of(grid: FrequencyGrid, densities: Array) -> Pieces:
    """Pieces of densities.

    Parameters
    ----------
    grid : FrequencyGrid
    densities : ndarray, shape (..., n)
        In states/THz.

    Returns
    -------
    Pieces
        Their modes add up to the trapezoid integral of the density; none crosses zero.

    Examples
    --------
    >>> grid = FrequencyGrid.of([-5.0, 5.0, 15.0, 25.0])
    >>> pieces = pieces_of(grid, np.array([0.0, 1.0, 7.0, 19.0]) * constants().thz_to_cm)
    >>> knots_of(grid).tolist()
    [-5.0, 0.0, 10.0, 20.0, 25.0]
    >>> pieces.masses.round(9).tolist()
    [0.0, 10.0, 70.0, 95.0]
    >>> (pieces.slopes.round(9) + 0.0).tolist()
    [0.0, 20.0, 42.5, 0.0]
    """
    if not grid.is_binned:
        left, right, masses = grid.pieces(densities)
        return Pieces(masses, (right - left) * (np.diff(grid.knots) / constants().thz_to_cm))
    masses, zero = densities * grid.trapezoid, grid.zero_knot
    # Zero is a wall: real and imaginary modes do not lean on each other.
    imaginary = -_slopes_from_a_wall(masses[..., zero - 1 :: -1])[..., ::-1]
    real = _slopes_from_a_wall(masses[..., zero:])
    return Pieces(masses, np.concatenate([imaginary, real], axis=-1))


def low_and_high(grid: FrequencyGrid, densities: Array) -> tuple[Pieces, Array]:
    """Real part of densities: pieces, and on a grid of bins the bins beyond the first few.

    Where a bin is narrow against its frequency its slope changes no thermal property by more than
    1e-4, and a batch is several times faster without it.

    Parameters
    ----------
    grid : FrequencyGrid
    densities : ndarray, shape (m, n)
        In states/THz.

    Returns
    -------
    low : Pieces
        From zero on: all pieces, or `N_SLOPED` bins.
    high : ndarray, shape (m, n_high)
        Densities of the bins after these, in states/THz; none on other grids.
    """
    first = first_real(grid)
    if not grid.is_binned or len(grid) <= first + N_SLOPED:
        pieces = pieces_of(grid, densities)
        return Pieces(*(part[:, first:] for part in pieces)), densities[:, len(grid) :]
    end = first + N_SLOPED
    masses = densities[:, first : end + 1] * grid.trapezoid[first : end + 1]
    low = Pieces(masses[:, :-1], _slopes_from_a_wall(masses)[:, :-1])
    return low, densities[:, end:]


def _slopes_from_a_wall(masses: Array) -> Array:
    """Slopes of bins, the first of which begins at zero, where there is nothing."""
    slopes = np.zeros_like(masses)
    slopes[..., 1:-1] = (masses[..., 2:] - masses[..., :-2]) / 2
    if masses.shape[-1] > 1:
        slopes[..., 0] = masses[..., 1] / 2
    limit = 2 * masses
    return np.clip(slopes, -limit, limit, out=slopes)


def last_acoustic(
    masses: Array, allowed: ArrayLike
) -> tuple[np.ndarray[tuple[int], np.dtype[np.int64]], Array]:
    """Where the acoustic law ends: the last piece up to which few enough modes lie.

    Parameters
    ----------
    masses : ndarray, shape (m, n)
        Modes in the real pieces, from zero on.
    allowed : array_like, shape (m,)
        Modes that may lie in the pieces up to the last; the first piece is always among them.

    Returns
    -------
    last : ndarray of int, shape (m,)
        Index of the piece.
    modes : ndarray, shape (m,)
        In the pieces up to it, itself included.
    """
    below = np.cumsum(masses, axis=1)
    count = (below <= np.asarray(allowed)[:, None]).sum(axis=1)
    last = np.clip(count - 1, 0, masses.shape[1] - 1)
    return last, below[np.arange(len(below)), last]
