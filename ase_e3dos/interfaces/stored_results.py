"""What the calculator keeps of a spectrum: its results, and what goes with the atoms into files."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ase_e3dos.errors import E3DOSError
from ase_e3dos.phonon_spectrum import PhononSpectrum
from ase_e3dos.spectrum.uncertainty import INTERVAL_LEVEL

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["UNITS", "StoredValues", "results_of", "store_in_info", "stored_values", "write_row"]

#: Property -> unit; per cell of the atoms given, thermal ones at the temperature set.
UNITS = {
    "phonon_dos": "states/THz per cell",
    "phonon_frequencies": "THz",
    "phonon_wavenumbers": "cm^-1",
    "mean_wavenumber": "cm^-1",
    "imaginary_fraction": "1",
    "heat_capacity": "J/(K mol of cells)",
    "entropy": "J/(K mol of cells)",
    "free_energy_vib": "kJ/(mol of cells)",
}
_ARRAYS = ("phonon_dos", "phonon_frequencies", "phonon_wavenumbers")
_SCALARS = tuple(name for name in UNITS if name not in _ARRAYS)


class StoredValues(NamedTuple):
    """Values under the names that they have in files.

    Attributes
    ----------
    scalars : dict of str to float or str
        Such as "e3dos_heat_capacity".
    arrays : dict of str to ndarray
        Such as "e3dos_phonon_dos".
    """

    scalars: dict[str, Any]
    arrays: dict[str, Any]


def results_of(spectrum: PhononSpectrum, temperature: float) -> dict[str, Any]:
    """Plain numbers and arrays, so that results go into JSON, pickles and databases.

    Parameters
    ----------
    spectrum : PhononSpectrum
        Of the cell.
    temperature : float
        K; of the thermal properties.

    Returns
    -------
    dict
        The properties that `UNITS` names, in its units.
    """
    return {
        "phonon_dos": np.array(spectrum.density),
        "phonon_frequencies": np.array(spectrum.frequencies),
        "phonon_wavenumbers": np.array(spectrum.wavenumbers),
        "mean_wavenumber": spectrum.mean_wavenumber,
        "imaginary_fraction": spectrum.imaginary_fraction,
        "heat_capacity": spectrum.heat_capacity(temperature),
        "entropy": spectrum.entropy(temperature),
        "free_energy_vib": spectrum.free_energy(temperature),
    }


def stored_values(
    spectrum: PhononSpectrum, results: Mapping[str, Any], temperature: float
) -> StoredValues:
    """What goes with the atoms: results, intervals, and where they come from.

    Parameters
    ----------
    spectrum : PhononSpectrum
    results : mapping
        Of `results_of`.
    temperature : float
        K; that of the results.

    Returns
    -------
    StoredValues
    """
    scalars: dict[str, Any] = {f"e3dos_{name}": results[name] for name in _SCALARS}
    scalars |= _bounds(spectrum, temperature)
    scalars |= {"e3dos_temperature": temperature, "e3dos_model": spectrum.model}
    scalars |= {"e3dos_version": spectrum.version, "e3dos_weights": spectrum.weights}
    if spectrum.warnings:  # on one line: extended XYZ has no others
        said = "; ".join(f"{type(w).__name__}: {w}" for w in spectrum.warnings)
        scalars["e3dos_warnings"] = " ".join(said.split())
    arrays = {f"e3dos_{name}": results[name] for name in _ARRAYS}
    relaxation = (spectrum.origin or {}).get("relaxation")
    if relaxation is not None:
        scalars["e3dos_relaxed_with"] = relaxation["calculator"]
        scalars["e3dos_relaxed_volume_change"] = relaxation["volume_change"]
        arrays["e3dos_relaxed_cell"] = np.array(spectrum.crystal.cell)
        arrays["e3dos_relaxed_scaled_positions"] = np.array(spectrum.crystal.scaled_positions)
    if spectrum.density_std is not None:
        arrays["e3dos_phonon_dos_std"] = spectrum.density_std
    return StoredValues(scalars, arrays)


def write_row(db: Any, atoms: Atoms, values: StoredValues, pairs: Mapping[str, Any]) -> int:
    """Write a row of a database: scalars to select by, arrays as data.

    Parameters
    ----------
    db : ase.db database
    atoms : ase.Atoms
    values : StoredValues
    pairs : mapping
        Further key-value pairs of the row.

    Returns
    -------
    int
        The row's id.
    """
    data = {**values.arrays, "e3dos_units": UNITS}
    return int(db.write(atoms, key_value_pairs={**values.scalars, **pairs}, data=data))


def store_in_info(atoms: Atoms, values: StoredValues) -> None:
    """Keep values in ``atoms.info``, and nothing of what was stored there before.

    Parameters
    ----------
    atoms : ase.Atoms
    values : StoredValues
    """
    units = "; ".join(f"{name}: {unit}" for name, unit in UNITS.items())
    # What an earlier call stored goes, so that its error bars never stand beside new values.
    for key in [k for k in atoms.info if str(k).startswith("e3dos_")]:
        del atoms.info[key]
    atoms.info.update({**values.scalars, **values.arrays, "e3dos_units": units})


def _bounds(spectrum: PhononSpectrum, temperature: float) -> dict[str, float]:
    """Ends of the calibrated 90 % intervals, where the model gives them."""
    if spectrum.members is None or spectrum.calibration is None:
        return {}
    names = {
        "heat_capacity": "heat_capacity",
        "entropy": "entropy",
        "free_energy_vib": "free_energy",
        "mean_wavenumber": "mean_wavenumber",
    }
    found: dict[str, float] = {}
    for ours, quantity in names.items():
        with suppress(E3DOSError):  # not calibrated at this temperature
            low, high = spectrum.interval(quantity, INTERVAL_LEVEL, temperature)
            found |= {f"e3dos_{ours}_low": float(low), f"e3dos_{ours}_high": float(high)}
    return found
