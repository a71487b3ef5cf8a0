"""A density of states as a list of modes: its quantiles."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ase_e3dos.spectrum.constants import constants
from ase_e3dos.spectrum.grid import Array, FrequencyGrid
from ase_e3dos.spectrum.pieces import first_real, knots_of, last_acoustic, pieces_of
from ase_e3dos.spectrum.thermal import ACOUSTIC_SHARE, Acoustic


def quantile_modes(
    grid: FrequencyGrid, density: Array, levels: ArrayLike, *, acoustic: Acoustic = "debye"
) -> Array:
    """Frequencies below which given shares of the modes of a density lie.

    Parameters
    ----------
    grid : FrequencyGrid
    density : ndarray, shape (n_points,)
        In states/THz.
    levels : array_like, shape (n,)
        Shares between 0 and 1, such as `(np.arange(n) + 0.5) / n` for n modes of equal weight.
    acoustic : {"debye", None}
        Repair of the density near zero, as in `ase_e3dos.spectrum.thermal`.

    Returns
    -------
    ndarray, shape (n,)
        THz, in the order of the levels, imaginary modes negative, never exactly zero.
    """
    pieces, knots, first = pieces_of(grid, density), knots_of(grid), first_real(grid)
    cumulative = np.concatenate([[0.0], np.cumsum(pieces.masses)])
    wanted = np.asarray(levels, dtype=np.float64) * cumulative[-1]
    k = np.clip(np.searchsorted(cumulative, wanted, side="right") - 1, 0, len(knots) - 2)
    # left t + slope/2 t^2 = rest over the place t in the piece, in the form safe for slope -> 0
    slope, rest = pieces.slopes[k], wanted - cumulative[k]
    left = pieces.masses[k] - slope / 2
    root = np.sqrt(np.maximum(left**2 + 2 * slope * rest, 0.0))
    t = np.clip(2 * rest / np.maximum(left + root, 1e-300), 0.0, 1.0)
    modes = knots[k] + t * np.diff(knots)[k]
    if acoustic:
        real = pieces.masses[None, first:]
        last, held = last_acoustic(real, ACOUSTIC_SHARE * real.sum(axis=1))
        end, imaginary = knots[first + last[0] + 1], cumulative[first]
        low = (wanted > imaginary) & (wanted < imaginary + held[0])
        modes[low] = end * np.cbrt((wanted[low] - imaginary) / held[0])
    tiny = np.abs(modes) < 1e-6
    modes[tiny] = 1e-6
    return np.asarray(modes / constants().thz_to_cm)
