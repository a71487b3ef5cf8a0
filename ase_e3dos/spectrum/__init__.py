"""Phonon spectra: the grid, the density, thermal properties and uncertainty."""

from __future__ import annotations

from ase_e3dos.spectrum.density_of_states import DensityOfStates
from ase_e3dos.spectrum.grid import FrequencyGrid, named_grid
from ase_e3dos.spectrum.spread_fit import fit_spread
from ase_e3dos.spectrum.uncertainty import Calibration, Spread

__all__ = ["Calibration", "DensityOfStates", "FrequencyGrid", "Spread", "fit_spread", "named_grid"]
