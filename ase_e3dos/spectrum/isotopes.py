"""Site spectra for masses other than the standard ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def stretch(weights: ArrayLike, wavenumbers: ArrayLike, factors: ArrayLike) -> NDArray[np.float64]:
    """Scale the frequencies of spectra, keeping their weight.

    The second moment of a site's spectrum is Tr(Phi_ii) / m_i, exactly, with force constants
    Phi that do not depend on masses. A factor sqrt(m_old / m_new) on all frequencies of the
    site obeys that rule.

    Parameters
    ----------
    weights
        Weight in each bin, shape (n_spectra, n_bins).
    wavenumbers
        Uniform bin centres in cm^-1, shape (n_bins,).
    factors
        Factor on the frequencies of each spectrum, shape (n_spectra,).

    Returns
    -------
    ndarray
        Shape (n_spectra, n_bins). What would leave the grid stays in its last bin.
    """
    rows, grid = np.asarray(weights, float), np.asarray(wavenumbers, float)
    width = grid[1] - grid[0]
    edges = np.concatenate([grid - width / 2, [grid[-1] + width / 2]])
    out = np.empty_like(rows)
    for row, factor, target in zip(rows, np.asarray(factors, float), out, strict=True):
        cumulative = np.concatenate([[0.0], np.cumsum(row)])
        at_edges = np.interp(edges, edges * factor, cumulative)
        at_edges[0], at_edges[-1] = 0.0, cumulative[-1]
        target[:] = np.diff(at_edges)
    return out
