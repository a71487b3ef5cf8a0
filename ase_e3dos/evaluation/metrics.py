"""Error measures on a spectrum grid, as the published tables use them.

Definitions follow Kong et al., Nat. Commun. 13, 949 (2022), table 1: spectra divided by their
maximum for R2, MAE and MSE, divided by their sum for the Wasserstein distance, the heat
capacity and the average frequency.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ase_e3dos.spectrum.constants import constants

Array = NDArray[np.float64]


def heat_capacity_per_atom(
    spectra: ArrayLike, wavenumbers: ArrayLike, temperature: float = 300.0
) -> Array:
    """Heat capacity of each spectrum as a sum over its bins, J/(K mol of atoms).

    Bins below zero do not contribute and are not redistributed.

    Parameters
    ----------
    spectra : array_like
        Weights, any scale, shape (n_spectra, n_bins).
    wavenumbers : array_like
        cm^-1, shape (n_bins,).
    temperature : float, optional
        K.

    Returns
    -------
    ndarray
        Shape (n_spectra,).
    """
    weights, grid = np.asarray(spectra, float), np.asarray(wavenumbers, float)
    units = constants()
    half = 0.5 * units.kelvin_per_cm * np.maximum(grid, 1e-6) / temperature
    # Beyond x = 700 sinh overflows; the mode is frozen long before.
    factor = (half / np.sinh(np.minimum(half, 350.0))) ** 2 * (grid >= 0)
    return np.asarray(3 * units.gas_constant * (weights @ factor) / weights.sum(axis=1))


def spectrum_errors(
    predicted: ArrayLike, reference: ArrayLike, n_sites: ArrayLike, wavenumbers: ArrayLike
) -> dict[str, float]:
    """All error measures of a set of spectra.

    Parameters
    ----------
    predicted, reference : array_like
        Spectra on a uniform grid, any scale, shape (n_spectra, n_bins).
    n_sites : array_like
        Sites of each cell, shape (n_spectra,).
    wavenumbers : array_like
        cm^-1, uniform, shape (n_bins,).

    Returns
    -------
    dict
        `n`; `R2`, `MAE`, `MSE`, `MSE_median` of max-normalised spectra; `WD` (cm^-1);
        `Cv_atom`, `Cv_cell` at 300 K (J/(K mol)); `wbar` (cm^-1); `within10` and `within5`,
        the share of materials whose average frequency is that many percent off at most.
    """
    grid = np.asarray(wavenumbers, float)
    p = np.clip(np.asarray(predicted, float), 0, None) + 1e-12
    y = np.asarray(reference, float) + 1e-12
    p_max, y_max = p / p.max(axis=1, keepdims=True), y / y.max(axis=1, keepdims=True)
    p_sum, y_sum = p / p.sum(axis=1, keepdims=True), y / y.sum(axis=1, keepdims=True)
    squared = (p_max - y_max) ** 2
    cv_error = np.abs(heat_capacity_per_atom(p, grid) - heat_capacity_per_atom(y, grid))
    mean_p, mean_y = p_sum @ grid, y_sum @ grid
    relative = np.abs(mean_p - mean_y) / np.abs(mean_y)
    distance = np.abs(np.cumsum(p_sum - y_sum, axis=1)).sum(axis=1) * (grid[1] - grid[0])
    return {
        "n": float(len(p)),
        "R2": float(1 - squared.sum() / ((y_max - y_max.mean()) ** 2).sum()),
        "MAE": float(np.abs(p_max - y_max).mean()),
        "MSE": float(squared.mean()),
        "MSE_median": float(np.median(squared.mean(axis=1))),
        "WD": float(distance.mean()),
        "Cv_atom": float(cv_error.mean()),
        "Cv_cell": float((cv_error * np.asarray(n_sites)).mean()),
        "wbar": float(np.abs(mean_p - mean_y).mean()),
        "within10": float((relative < 0.10).mean()),
        "within5": float((relative < 0.05).mean()),
    }


def format_errors(errors: dict[str, float]) -> str:
    """One line, four significant digits."""
    return " ".join(f"{key}={value:.4g}" for key, value in errors.items())
