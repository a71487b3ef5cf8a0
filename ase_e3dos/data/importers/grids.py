"""Spectra over frequencies in THz, resampled at 1 cm^-1."""

from __future__ import annotations

from typing import Any

import numpy as np

from ase_e3dos.data.labelled_file import Reject
from ase_e3dos.spectrum.constants import constants
from ase_e3dos.spectrum.grid import Array


def on_fine_grid(name: str, frequencies: Any, density: Any) -> tuple[float, Array] | Reject:
    """First wavenumber (cm^-1) and density (states/cm^-1), or why there is none.

    Parameters
    ----------
    name : str
        Of the entry.
    frequencies
        THz, ascending, shape (n,).
    density
        States/THz, shape (n,).
    """
    to_cm = constants().thz_to_cm
    try:
        x = np.asarray(frequencies, dtype=float) * to_cm
        y = np.asarray(density, dtype=float) / to_cm
    except (TypeError, ValueError):
        return Reject(name, "a spectrum that is not made of numbers")
    if x.ndim != 1 or len(x) < 10 or x.shape != y.shape or not (np.diff(x) > 0).all():
        return Reject(name, "frequencies that do not ascend")
    if not -1e4 < x[0] < x[-1] < 1e5:
        return Reject(name, f"frequencies from {x[0]:.3g} to {x[-1]:.3g} cm^-1; are they in THz?")
    grid = np.arange(np.floor(x[0]), np.ceil(x[-1]) + 1.0)
    return float(grid[0]), np.interp(grid, x, y, left=0.0, right=0.0)
