"""Labels: spectra on the grids that the networks are trained on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.signal import savgol_filter

Array = NDArray[np.float64]

#: The paper's filter: 101 points of 1 cm^-1, third order.
WINDOW, ORDER = 101, 3

#: 51 points, 0 to 1000 cm^-1.
PAPER_GRID = np.arange(0.0, 1001.0, 20.0)
#: 61 points, -200 to 1000 cm^-1.
IMAGINARY_GRID = np.arange(-200.0, 1001.0, 20.0)
#: 66 points, -300 to 1000 cm^-1: the grid of the JARVIS labels.
JARVIS_GRID = np.arange(-300.0, 1001.0, 20.0)
#: Centres of the default model's bins: none at zero, so that imaginary weight is exact.
DEFAULT_GRID = np.arange(-395.0, 4400.0, 10.0)


def paper_label(start: float, step: float, density: ArrayLike, wavenumbers: ArrayLike) -> Array:
    """Smooth a raw spectrum and sample it, as the paper's labels are made.

    Savitzky-Golay filter (window 101, order 3) on the raw 1 cm^-1 spectrum, linear
    interpolation to the grid, zero outside, clipped at zero (supplement, "Data
    pre-processing").

    Parameters
    ----------
    start, step : float
        First wavenumber and spacing in cm^-1.
    density : array_like
        Raw spectrum, shape (n_raw,).
    wavenumbers : array_like
        Grid in cm^-1, shape (n_bins,).

    Returns
    -------
    ndarray
        Shape (n_bins,), in the units of `density`.
    """
    raw = np.asarray(density, float)
    points = start + step * np.arange(len(raw))
    window = WINDOW if len(raw) >= WINDOW else (len(raw) - 1) // 2 * 2 + 1
    smooth = savgol_filter(raw, window, ORDER) if window > ORDER else raw
    at = np.asarray(wavenumbers, float)
    return np.asarray(np.clip(np.interp(at, points, smooth, left=0.0, right=0.0), 0.0, None))


def bin_weights(start: float, step: float, density: ArrayLike, centers: ArrayLike) -> Array:
    """Weight of a raw spectrum in each bin of a uniform grid, normalised to one.

    What lies outside the grid is counted into the first or last bin, so that nothing is lost.

    Parameters
    ----------
    start, step : float
        First wavenumber and spacing in cm^-1.
    density : array_like
        Raw spectrum, shape (n_raw,); each point stands for an interval of one step around it.
    centers : array_like
        Uniform bin centres in cm^-1, shape (n_bins,).

    Returns
    -------
    ndarray
        Shape (n_bins,), sum 1.
    """
    raw, grid = np.asarray(density, float), np.asarray(centers, float)
    edges = start + step * (np.arange(len(raw) + 1) - 0.5)
    cumulative = np.concatenate([[0.0], np.cumsum(raw)])
    width = grid[1] - grid[0]
    bounds = np.concatenate([grid - width / 2, [grid[-1] + width / 2]])
    at_bounds = np.interp(bounds, edges, cumulative)
    at_bounds[0], at_bounds[-1] = 0.0, cumulative[-1]
    return np.asarray(np.diff(at_bounds) / cumulative[-1])


def paper_label_matrix(
    centers: ArrayLike, wavenumbers: ArrayLike, start: float | None = None
) -> NDArray[np.float32]:
    """`paper_label` before clipping, as a matrix that acts on bin weights.

    Parameters
    ----------
    centers : array_like
        Uniform bin centres in cm^-1, shape (n_bins,).
    wavenumbers : array_like
        Label grid in cm^-1, shape (n_labels,).
    start : float, optional
        Lowest frequency of the raw spectrum in cm^-1. The filter fits a polynomial to the
        first 101 points, so it matters where they begin; None for the grid's lower end.

    Returns
    -------
    ndarray
        Shape (n_labels, n_bins).
    """
    grid = np.asarray(centers, float)
    first = grid[0] if start is None else start
    points = np.arange(first, grid[-1] + 0.5, 1.0)
    rows: list[Array] = []
    width = grid[1] - grid[0]
    for k in range(len(grid)):
        unit = np.zeros(len(grid))
        unit[k] = 1.0 / width
        rows.append(savgol_filter(np.interp(points, grid, unit), WINDOW, ORDER))
    smooth = np.array(rows)
    at = np.asarray(wavenumbers, float)
    label = np.array([np.interp(at, points, row, left=0.0, right=0.0) for row in smooth])
    return label.T.astype(np.float32)


def pair_sum_matrix(centers: ArrayLike, wavenumbers: ArrayLike) -> NDArray[np.float32]:
    """Matrix that collects bin weights into the coarser bins around `wavenumbers`.

    Each fine bin must lie within one coarse bin or outside all of them.

    Returns
    -------
    ndarray
        Shape (n_coarse, n_bins), entries 0 or 1.
    """
    fine, coarse = np.asarray(centers, float), np.asarray(wavenumbers, float)
    half = (coarse[1] - coarse[0]) / 2
    inside: Sequence[NDArray[np.bool_]] = [(fine > w - half) & (fine < w + half) for w in coarse]
    return np.array(inside, dtype=np.float32)
