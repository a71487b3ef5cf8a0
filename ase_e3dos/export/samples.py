"""The samples of a spectrum that other packages can take without harm."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ase_e3dos.spectrum.density_of_states import DensityOfStates
from ase_e3dos.spectrum.grid import Array

#: Where a sample at zero frequency is moved to (THz); its density becomes zero.
ZERO_SHIFT = 1e-6

#: Shares of the modes below and above the exported range.
LOW_SHARE, HIGH_SHARE = 1e-4, 1e-6


class Samples(NamedTuple):
    """Samples of a density.

    Attributes
    ----------
    frequencies : ndarray, shape (n,)
        THz, equally spaced to 1e-6 THz, none of them zero.
    density : ndarray, shape (n,)
        states/THz; the trapezoid integral is that of the spectrum.
    site_density : ndarray, shape (n_sites, n), or None
        The same by site.
    std : ndarray, shape (n,), or None
        Standard deviation of the density.
    """

    frequencies: Array
    density: Array
    site_density: Array | None
    std: Array | None


def samples(spectrum: DensityOfStates) -> Samples:
    """Samples over the range that holds weight.

    A point at zero, where the density of a crystal vanishes and thermodynamic
    integrands of other packages are not finite, is moved by 1e-6 THz and its
    density is zero. Empty ends of the grid are left out. What is lost by
    either is made up by a common factor, so that the integral stays.

    Parameters
    ----------
    spectrum : DensityOfStates

    Returns
    -------
    Samples
    """
    density = spectrum.density
    share = np.cumsum(density * spectrum.grid.trapezoid) / spectrum.n_modes
    first = max(int(np.searchsorted(share, LOW_SHARE)) - 2, 0)
    last = min(int(np.searchsorted(share, 1 - HIGH_SHARE)) + 3, len(density))
    if spectrum.imaginary_fraction < LOW_SHARE:
        first = max(first, int(np.searchsorted(spectrum.wavenumbers, 0.0)))
    keep = slice(first, max(last, first + 3))
    frequencies = spectrum.frequencies[keep].copy()
    at_zero = np.abs(frequencies) < ZERO_SHIFT
    frequencies[at_zero] = ZERO_SHIFT
    kept = np.where(at_zero, 0.0, density[keep])
    factor = spectrum.n_modes / float(np.trapezoid(kept, frequencies))

    def same(values: Array | None) -> Array | None:
        return None if values is None else np.where(at_zero, 0.0, values[..., keep]) * factor

    return Samples(
        frequencies, kept * factor, same(spectrum.site_density), same(spectrum.density_std)
    )
