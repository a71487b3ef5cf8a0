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

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ase_e3dos.spectrum.grid import Array, FrequencyGrid

#: Wavenumber in cm^-1 at which the acoustic law has 1/e of the say.
JOIN = 20.0
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
    grid: FrequencyGrid,
    sites: NDArray[np.float32],
    masses: Array,
    volumes: Array,
    n_sites: NDArray[np.int64],
    velocities: Array,
) -> NDArray[np.float32]:
    """Site spectra whose lowest bins follow the acoustic law.

    Parameters
    ----------
    grid : FrequencyGrid
        Bins, none of which crosses zero.
    sites : ndarray, shape (n_sites in all, n)
        Share of each site's modes in each bin, crystal after crystal; rows sum to one.
    masses : ndarray, shape (n_sites in all,)
        amu, those that the spectra are for.
    volumes : ndarray, shape (n_crystals,)
        Å^3.
    n_sites : ndarray of int, shape (n_crystals,)
    velocities : ndarray, shape (n_crystals,)
        km/s; NaN leaves a crystal's spectra as they are.

    Returns
    -------
    ndarray, shape (n_sites in all, n)
        Rows sum to one.
    """
    x = grid.wavenumbers
    low = np.flatnonzero((x > 0) & (x < 3 * JOIN))
    edges = np.append(x[low] - grid.step / 2, x[low[-1]] + grid.step / 2)
    index = np.repeat(np.arange(len(n_sites)), n_sites)
    total = np.bincount(index, masses, len(n_sites))
    # All atoms move alike: a site of N has N m_i / M times the average share.
    heaviness = masses * n_sites[index] / total[index]
    law = acoustic_shares(edges, volumes, n_sites, velocities)[index] * heaviness[:, None]
    say = np.where(np.isfinite(velocities)[index, None], np.exp(-((x[low] / JOIN) ** 2)), 0.0)
    joined = sites.copy()
    joined[:, low] = say * np.nan_to_num(law) + (1 - say) * sites[:, low]
    joined /= joined.sum(axis=1, keepdims=True)
    return joined
