"""Spectra of others, from DFT or an experiment, to be laid over predicted ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np

from ase_e3dos.analysis.measurement import read_measurement, units_named
from ase_e3dos.errors import MissingUnitError, SpectrumError, UnreadableFileError
from ase_e3dos.export.curves import FrequencyUnit, unit_per_thz
from ase_e3dos.export.json_file import read_json
from ase_e3dos.export.names import told_apart
from ase_e3dos.spectrum.constants import constants
from ase_e3dos.spectrum.density_of_states import DensityOfStates
from ase_e3dos.spectrum.grid import Array
from ase_e3dos.spectrum.serialization import spectrum_from_dict
from ase_e3dos.structures.paths import exists

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
    source : str
        The file, which tells those of one name apart; may be empty.
    """

    name: str
    frequencies: Array
    density: Array
    source: str = ""

    def scaled(
        self, n_modes: float, units: FrequencyUnit, smoothing: float = 0.0
    ) -> tuple[Array, Array]:
        """Frequencies in a unit, and the density in states per unit with so many modes in all.

        Parameters
        ----------
        n_modes : float
            Integral of the density.
        units : {"THz", "cm-1", "meV"}
        smoothing : float
            Standard deviation in cm^-1 of a Gaussian, as that of the curves beside it.

        Returns
        -------
        frequencies, density : ndarray, shape (n,)
            On equal steps and wider by the tails of the Gaussian if smoothed, else as given.
        """
        scale = unit_per_thz(units)
        x, y = self.frequencies, self.density
        if smoothing > 0:
            x, y = _smoothed(x, y, smoothing / constants().thz_to_cm)
        area = float(np.trapezoid(y, x))
        return x * scale, y * (n_modes / area / scale)


def _smoothed(x: Array, y: Array, width: float) -> tuple[Array, Array]:
    """A density on equal steps, finer than those given, with nothing around it, convolved."""
    from scipy.ndimage import gaussian_filter1d

    span = float(x[-1] - x[0]) + 8 * width
    steps = np.diff(x)
    step = max(min(float(np.min(steps[steps > 0])), width / 4), span / 20_000)
    points = np.arange(x[0] - 4 * width, x[-1] + 4 * width + step, step)
    rows = np.interp(points, x, y, left=0.0, right=0.0)
    return points, np.asarray(gaussian_filter1d(rows, width / step, mode="constant"))


def names_apart(overlays: Sequence[Overlay]) -> list[str]:
    """Names that tell overlays apart, with folders or numbers where names repeat.

    Parameters
    ----------
    overlays : sequence of Overlay
        In the order of the legend.

    Returns
    -------
    list of str
        One for each.
    """
    return told_apart([o.name for o in overlays], [o.source for o in overlays])


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
    MissingUnitError
        No unit is given, and the file names none or several.
    SpectrumError
        The columns make no spectrum.
    """
    path = Path(path)
    if path.suffix.lower() == ".json":
        spectrum = spectrum_from_dict(read_json(path), DensityOfStates)
        return _overlay(path, spectrum.frequencies, spectrum.density)
    if path.suffix.lower() == ".dat":
        return _phonopy_columns(path, unit)
    own = _own_table(path)
    if own is not None:
        return own
    return _measured(path, unit)


def _measured(path: Path, unit: FrequencyUnit | None) -> Overlay:
    measured = read_measurement(path, unit)
    return _overlay(path, measured.wavenumbers / constants().thz_to_cm, measured.intensity)


def _overlay(path: Path, frequencies: Array, density: Array, name: str = "") -> Overlay:
    """What a file holds, by its stem unless it has another name, if it can be scaled to an area."""
    if not np.trapezoid(density, frequencies) > 0:
        raise SpectrumError(
            f"{path}: the density of states has no area. Its columns have to be frequency and "
            "density, in this order."
        )
    return Overlay(name or path.stem, frequencies, density, str(path.absolute()))


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
    return _overlay(path, table[:, 0], table[:, 1])


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
            else f"name no unit, and {highest:g} is not a frequency of a crystal in THz"
        )
        raise MissingUnitError(
            f"{path}: its comments {said}. Give the unit of its first column: unit= in Python."
        )
    return cast("FrequencyUnit", found[0]) if found else "THz"


def _phonopy_columns(path: Path, unit: FrequencyUnit | None) -> Overlay:
    try:
        table = np.loadtxt(path, comments="#", ndmin=2)
    except OSError as error:  # NumPy's for a file that is not there has no reason of the system
        reason = error.strerror or ("No such file" if not exists(path) else error)
        raise UnreadableFileError(f"{path}: cannot be read ({reason}).") from error
    except ValueError:  # a header without a sign of comments, or commas between columns
        return _measured(path, unit)
    if table.shape[0] < 5 or table.shape[1] < 2 or not np.isfinite(table).all():
        raise UnreadableFileError(
            f"{path}: holds {table.shape[0]} rows of {table.shape[1]} columns. A density of states "
            "has a column of frequencies, one or more of densities, and at least five finite rows."
        )
    if table.shape[1] > 2 and not _projected(path):  # energy, intensity and error of a measurement
        return _measured(path, unit)
    table = table[np.argsort(table[:, 0], kind="stable")]
    unit = unit or _unit_of_phonopy(path, float(table[-1, 0]))
    density = table[:, 1:].sum(axis=1)  # of all sites in projected_dos.dat
    folder = path.absolute().parent.name  # all of phonopy's have the same name
    name = f"{folder}/{path.name}" if folder else path.name
    return _overlay(path, table[:, 0] / unit_per_thz(unit), density, name)
