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


def site_dos_collection(spectrum: DensityOfStates) -> Any:
    """`ase.spectrum.doscollection.GridDOSCollection` with one entry for each site.

    Parameters
    ----------
    spectrum : DensityOfStates
        With site densities (`ase_e3dos.export.phonopy.projected_dos` says what to do without).

    Returns
    -------
    ase.spectrum.doscollection.GridDOSCollection
    """
    from ase.data import chemical_symbols
    from ase.spectrum.doscollection import GridDOSCollection
    from ase.spectrum.dosdata import GridDOSData

    from ase_e3dos.export.phonopy import projected_dos

    sites = projected_dos(spectrum)
    return GridDOSCollection(
        [
            _data(
                GridDOSData,
                spectrum,
                sites.frequency_points,
                row,
                symbol=chemical_symbols[number],
                index=str(i),
            )
            for i, (row, number) in enumerate(
                zip(sites.projected_dos, spectrum.crystal.numbers, strict=True)
            )
        ]
    )


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
