"""Spectra of others, from DFT or an experiment, to be laid over predicted ones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ase_e3dos.analysis.measurement import read_measurement
from ase_e3dos.errors import SpectrumError, UnreadableFileError
from ase_e3dos.export.curves import FrequencyUnit, unit_per_thz
from ase_e3dos.export.json_file import read_json
from ase_e3dos.spectrum.constants import constants
from ase_e3dos.spectrum.density_of_states import DensityOfStates
from ase_e3dos.spectrum.grid import Array
from ase_e3dos.spectrum.serialization import spectrum_from_dict


@dataclass(frozen=True, slots=True)
class Overlay:
    """A density of states that is drawn over others, scaled to their area.

    Attributes
    ----------
    name : str
    frequencies : ndarray, shape (n,)
        THz, ascending.
    density : ndarray, shape (n,)
        In any unit.
    """

    name: str
    frequencies: Array
    density: Array

    def scaled(self, n_modes: float, units: FrequencyUnit) -> tuple[Array, Array]:
        """Frequencies in a unit, and the density in states per unit with `n_modes` in all."""
        scale = unit_per_thz(units)
        area = float(np.trapezoid(self.density, self.frequencies))
        return self.frequencies * scale, self.density * (n_modes / area / scale)


def read_overlay(path: str | Path, unit: FrequencyUnit | None = None) -> Overlay:
    """Density of states from a file.

    Parameters
    ----------
    path : str or Path
        phonopy's total_dos.dat (any `*.dat`; THz if no unit is given), a JSON file that
        `PhononSpectrum.write` wrote, or columns of energy and intensity as
        `ase_e3dos.analysis.measurement.read_measurement` takes them.
    unit : {"THz", "cm-1", "meV"}, optional
        Of the energy, where the file does not say it.

    Raises
    ------
    UnreadableFileError
        The file is missing or holds no columns of numbers.
    SpectrumError
        No unit is known, or the columns make no spectrum.
    """
    path = Path(path)
    if path.suffix.lower() == ".json":
        spectrum = spectrum_from_dict(read_json(path), DensityOfStates)
        return Overlay(path.stem, spectrum.frequencies, spectrum.density)
    if path.suffix.lower() == ".dat":
        return _phonopy_columns(path, unit or "THz")
    measured = read_measurement(path, unit)
    return Overlay(path.stem, measured.wavenumbers / constants().thz_to_cm, measured.intensity)


def _phonopy_columns(path: Path, unit: FrequencyUnit) -> Overlay:
    try:
        table = np.loadtxt(path, comments="#", ndmin=2)
    except OSError as error:
        raise UnreadableFileError(f"{path}: cannot be read ({error.strerror or error}).") from error
    except ValueError as error:
        raise UnreadableFileError(
            f"{path}: its lines are not columns of numbers ({error}). Give phonopy's total_dos.dat "
            "or projected_dos.dat, or a text file whose header names the unit."
        ) from error
    if table.shape[0] < 5 or table.shape[1] < 2 or not np.isfinite(table).all():
        raise UnreadableFileError(
            f"{path}: holds {table.shape[0]} rows of {table.shape[1]} columns. A density of states "
            "has a column of frequencies, one or more of densities, and at least five finite rows."
        )
    table = table[np.argsort(table[:, 0], kind="stable")]
    density = table[:, 1:].sum(axis=1)  # of all sites in projected_dos.dat
    frequencies = table[:, 0] / unit_per_thz(unit)
    if not np.trapezoid(density, frequencies) > 0:
        raise SpectrumError(f"{path}: the density of states has no area. Check its columns.")
    folder = path.resolve().parent.name  # all of phonopy's have the same name
    return Overlay(f"{folder}/{path.name}" if folder else path.name, frequencies, density)
