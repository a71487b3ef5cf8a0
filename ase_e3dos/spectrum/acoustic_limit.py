"""The limit of low frequencies that the sound velocity fixes, joined to binned spectra.

Near zero all modes are sound. With v the Debye mean of the sound velocities (over directions and
branches, of 1/v^3), a cell of volume V has

    g(w) = 3 V w^2 / (2 pi^2 v^3)

modes per angular frequency (Debye, *Ann. Phys.* 344, 789 (1912)), of which a site takes its share
of the mass, since all atoms move alike. Bins of 10 cm^-1 hold a few thousandths of the modes
there, too few for a network to learn from spectra, and at a few kelvin nothing else matters. What
is joined fades out over `JOIN`: above, the spectrum knows better.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ase_e3dos.spectrum.grid import Array, FrequencyGrid

#: Wavenumber in cm^-1 at which the acoustic law has 1/e of the say; chosen on crystals kept for
#: calibration, by the errors of heat capacities and entropies at 10 and 20 K.
JOIN = 30.0
#: Speed of light in km/s times 1e8: angular frequency of 1 cm^-1 over a velocity in km/s, in 1/Å.
_WAVENUMBER = 2 * np.pi * 299792.458 * 1e-8


def acoustic_shares(
    edges: ArrayLike, volume: ArrayLike, n_sites: ArrayLike, velocity: ArrayLike
) -> Array:
    """Share of a crystal's modes in each bin by the acoustic law.

    Parameters
    ----------
    edges : array_like, shape (n + 1,)
        Ends of the bins in cm^-1, not negative.
    volume : array_like, shape (...)
        Of the cell, Å^3.
    n_sites : array_like, shape (...)
    velocity : array_like, shape (...)
        Debye mean of the sound velocities in km/s.

    Returns
    -------
    ndarray, shape (..., n)
    """
    wave_vectors = _WAVENUMBER * np.asarray(edges, dtype=np.float64)
    modes = np.diff(wave_vectors**3) / (2 * np.pi**2)
    density = np.asarray(volume, dtype=np.float64) / np.asarray(velocity, dtype=np.float64) ** 3
    return np.multiply.outer(density / (3.0 * np.asarray(n_sites)), modes)


def with_acoustic_limit(
    grid: FrequencyGrid, shares: NDArray[np.float32], law: Array, known: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Spectra whose lowest bins follow the acoustic law.

    Parameters
    ----------
    grid : FrequencyGrid
        Bins, none of which crosses zero.
    shares : ndarray, shape (..., m, n)
        Share of the modes in each bin; rows sum to one.
    law : ndarray, shape (m, n_low)
        Shares by the acoustic law in the bins of `low_bins`.
    known : ndarray of bool, shape (m,)
        Where there is a law; other rows stay as they are.

    Returns
    -------
    ndarray
        As `shares`; rows sum to one.
    """
    numbers, _ = low_bins(grid)
    low = slice(numbers[0], numbers[-1] + 1)
    say = np.where(known[:, None], np.exp(-((grid.wavenumbers[low] / JOIN) ** 2)), 0.0)
    change = say * (np.where(known[:, None], law, 0.0) - shares[..., low])
    # Rows sum to one before: what the lowest bins gain is what the sums gain.
    scale = 1.0 / (1.0 + change.sum(axis=-1, keepdims=True))
    joined: NDArray[np.float32] = shares * scale.astype(shares.dtype)
    joined[..., low] = (shares[..., low] + change) * scale
    return joined


@lru_cache(maxsize=16)
def low_bins(grid: FrequencyGrid) -> tuple[NDArray[np.int64], Array]:
    """Bins that the law reaches, shape (n_low,), and their ends in cm^-1, shape (n_low + 1,)."""
    x = grid.wavenumbers
    low = np.flatnonzero((x > 0) & (x < 3 * JOIN))
    ends = np.append(x[low] - grid.step / 2, x[low[-1]] + grid.step / 2)
    low.flags.writeable = ends.flags.writeable = False
    return low, ends
