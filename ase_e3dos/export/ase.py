"""Spectra as ASE's densities of states."""

from __future__ import annotations

from typing import Any

import numpy as np

from ase_e3dos.export.samples import samples
from ase_e3dos.spectrum.constants import constants
from ase_e3dos.spectrum.density_of_states import DensityOfStates
from ase_e3dos.spectrum.grid import Array


def grid_dos_data(spectrum: DensityOfStates) -> Any:
    """`ase.spectrum.dosdata.GridDOSData`: energies in eV, weights in states/eV.

    Parameters
    ----------
    spectrum : DensityOfStates

    Returns
    -------
    ase.spectrum.dosdata.GridDOSData
        Imaginary modes have negative energies.
    """
    from ase.spectrum.dosdata import GridDOSData

    points = samples(spectrum)
    return _data(GridDOSData, spectrum, points.frequencies, points.density)


def crystal_thermo_arguments(spectrum: DensityOfStates) -> dict[str, Any]:
    """Arguments for `ase.thermochemistry.CrystalThermo`.

    Parameters
    ----------
    spectrum : DensityOfStates

    Returns
    -------
    dict
        phonon_DOS (states/eV) and phonon_energies (eV) above zero; ASE has no
        notion of imaginary modes.

    Examples
    --------
    `CrystalThermo(**crystal_thermo_arguments(spectrum), potentialenergy=e)`
    """
    points = samples(spectrum)
    real = points.frequencies > 0
    ev = constants().thz_to_ev
    return {
        "phonon_DOS": np.asarray(points.density[real] / ev),
        "phonon_energies": np.asarray(points.frequencies[real] * ev),
    }


def _data(
    kind: Any, spectrum: DensityOfStates, frequencies: Array, density: Array, **info: str
) -> Any:
    ev = constants().thz_to_ev
    labels = {"label": spectrum.crystal.name, "normalization": f"per {spectrum.normalization}"}
    if spectrum.model:
        labels["model"] = spectrum.model
    return kind(frequencies * ev, density / ev, info={**labels, **info})
