"""Spectra of others, from DFT or an experiment, to be laid over predicted ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np

from ase_e3dos.analysis.measurement import read_measurement, units_named
from ase_e3dos.errors import SpectrumError, UnreadableFileError
from ase_e3dos.export.curves import FrequencyUnit, unit_per_thz
from ase_e3dos.export.json_file import read_json
from ase_e3dos.spectrum.constants import constants
from ase_e3dos.spectrum.density_of_states import DensityOfStates
from ase_e3dos.spectrum.grid import Array
from ase_e3dos.spectrum.serialization import spectrum_from_dict

#: No crystal has frequencies above this: the stretching mode of H2 lies at 125 THz.
HIGHEST_THZ = 150.0


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
        phonopy's total_dos.dat or projected_dos.dat, whose sites are added (any `*.dat` of two
        columns; THz if comments name no unit), a JSON file
        or dos.csv that `PhononSpectrum.write` wrote, or columns of energy and intensity as
        `ase_e3dos.analysis.measurement.read_measurement` takes them.
    unit : {"THz", "cm-1", "meV"}, optional
        Of the energy, where the file does not say it.

    Returns
    -------
    Overlay

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
        return _phonopy_columns(path, unit)
    own = _own_table(path)
    if own is not None:
        return own
    measured = read_measurement(path, unit)
    return Overlay(path.stem, measured.wavenumbers / constants().thz_to_cm, measured.intensity)


def refuse_overlays(n_spectra: int, overlays: Sequence[Overlay]) -> None:
    """Refuse spectra of others in a waterfall of several crystals.

    Parameters
    ----------
    n_spectra : int
    overlays : sequence of Overlay

    Raises
    ------
    SpectrumError
        If there are both.
    """
    if overlays and n_spectra > 1:
        raise SpectrumError(
            "In a waterfall of several crystals nobody could tell to which of them the spectrum of "
            "others (overlays, --with) belongs: draw one crystal, or choose the layout 'overlay'."
        )


def _own_table(path: Path) -> Overlay | None:
    """The dos.csv that `PhononSpectrum.write` wrote; None if the file is another."""
    try:
        with path.open(encoding="utf-8-sig", errors="replace") as lines:
            names = lines.readline().strip().split(",")
        if names[:3] != ["wavenumber_cm-1", "frequency_THz", "density_states_per_THz"]:
            return None
        table = np.loadtxt(path, delimiter=",", skiprows=1, usecols=(1, 2), ndmin=2)
    except (OSError, ValueError):
        return None  # the reader of all other files says why
    return Overlay(path.stem, table[:, 0], table[:, 1])


def _projected(path: Path) -> bool:
    """Whether columns are of sites: phonopy says how it spread modes, or the name says it."""
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    comments = "\n".join(line for line in text.splitlines() if line.startswith("#"))
    named = path.name.startswith(("projected_dos", "partial_dos"))
    return named or "Sigma" in comments or "Tetrahedron" in comments


def _unit_of_phonopy(path: Path, highest: float) -> FrequencyUnit:
    """Unit that the lines of comments name; else THz, if the frequencies can be such."""
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    found = units_named("\n".join(line for line in text.splitlines() if line.startswith("#")))
    if len(found) > 1 or (not found and highest > HIGHEST_THZ):
        said = (
            f"name several units ({', '.join(found)})"
            if found
            else f"name no unit, and {highest:g} is no frequency of a crystal in THz"
        )
        raise SpectrumError(
            f"{path}: its comments {said}. Give the unit of its first column: unit= in Python."
        )
    return cast("FrequencyUnit", found[0]) if found else "THz"


def _phonopy_columns(path: Path, unit: FrequencyUnit | None) -> Overlay:
    try:
        table = np.loadtxt(path, comments="#", ndmin=2)
    except OSError as error:
        raise UnreadableFileError(f"{path}: cannot be read ({error.strerror or error}).") from error
    except ValueError:  # a header without a sign of comments, or commas between columns
        measured = read_measurement(path, unit)
        return Overlay(path.stem, measured.wavenumbers / constants().thz_to_cm, measured.intensity)
    if table.shape[0] < 5 or table.shape[1] < 2 or not np.isfinite(table).all():
        raise UnreadableFileError(
            f"{path}: holds {table.shape[0]} rows of {table.shape[1]} columns. A density of states "
            "has a column of frequencies, one or more of densities, and at least five finite rows."
        )
    if table.shape[1] > 2 and not _projected(path):  # energy, intensity and error of a measurement
        measured = read_measurement(path, unit)
        return Overlay(path.stem, measured.wavenumbers / constants().thz_to_cm, measured.intensity)
    table = table[np.argsort(table[:, 0], kind="stable")]
    unit = unit or _unit_of_phonopy(path, float(table[-1, 0]))
    density = table[:, 1:].sum(axis=1)  # of all sites in projected_dos.dat
    frequencies = table[:, 0] / unit_per_thz(unit)
    if not np.trapezoid(density, frequencies) > 0:
        raise SpectrumError(f"{path}: the density of states has no area. Check its columns.")
    folder = path.resolve().parent.name  # all of phonopy's have the same name
    return Overlay(f"{folder}/{path.name}" if folder else path.name, frequencies, density)
