"""A density of states as a list of modes: its quantiles."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ase_e3dos.spectrum.constants import constants
from ase_e3dos.spectrum.grid import Array, FrequencyGrid
from ase_e3dos.spectrum.thermal import Acoustic, _acoustic_cut


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
    left, right, masses = grid.pieces(density)
    cumulative = np.concatenate([[0.0], np.cumsum(masses)])
    wanted = np.asarray(levels, dtype=np.float64) * cumulative[-1]
    k = np.clip(np.searchsorted(cumulative, wanted, side="right") - 1, 0, len(masses) - 1)
    widths = np.diff(grid.knots)[k]
    rest = (wanted - cumulative[k]) * (constants().thz_to_cm / widths)
    slope = (right - left)[k]
    # root of slope/2 t^2 + left t = rest in the form that is safe for slope -> 0
    root = np.sqrt(np.maximum(left[k] ** 2 + 2 * slope * rest, 0.0))
    t = np.clip(2 * rest / np.maximum(left[k] + root, 1e-300), 0.0, 1.0)
    modes = grid.knots[k] + t * widths
    if acoustic:
        cut = _acoustic_cut(grid, density[None])
        end, held = grid.wavenumbers[cut.points[0]], cut.modes[0]
        imaginary = cumulative[max(grid.zero_knot, 0)] if grid.knots[0] < 0 else 0.0
        low = (wanted > imaginary) & (wanted < imaginary + held)
        modes[low] = end * np.cbrt((wanted[low] - imaginary) / held)
    tiny = np.abs(modes) < 1e-6
    modes[tiny] = 1e-6
    return np.asarray(modes / constants().thz_to_cm)
