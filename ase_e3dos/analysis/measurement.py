"""Measured spectra: reading them, and comparing predictions with them."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ase_e3dos.analysis.descriptors import peak_positions
from ase_e3dos.analysis.neutron import Resolution, WeightedSpectrum, neutron_weighted, unit_in_cm
from ase_e3dos.errors import (
    MeasurementWarning,
    MissingUnitError,
    SpectrumError,
    UnreadableFileError,
)
from ase_e3dos.spectrum.grid import Array

if TYPE_CHECKING:
    from ase_e3dos.spectrum.density_of_states import DensityOfStates

_UNIT_PATTERNS = {
    "meV": r"(?<![a-z])mev(?![a-z])",
    "THz": r"(?<![a-z])thz(?![a-z])",
    "cm-1": r"cm\s*\^?\s*\{?\(?[-−–]\s*1|cm\s*[⁻]\s*[¹]|1\s*/\s*cm|wave\s*number|kayser",
}
#: Units that say what an intensity is per: 1/meV, (per THz), meV^-1.
_PER_UNIT = (
    r"(\b1\s*/\s*|\bper\s+|\b(states|modes|dos|intensity)\s*/\s*)(mev|thz)\b"
    r"|(mev|thz)\s*\^?\s*\{?\(?[-−–⁻]\s*[1¹]"
)
#: Numbers with their unit, such as Ei = 60 meV, which say nothing of a column.
_SETTING = r"[-+]?\d[\d.]*\s*(mev|thz|cm\^?\{?-1\}?)(?![a-z])"
#: cm^-1 above which no crystal has phonons: the stretching mode of H2 lies at 4161.
HIGHEST_WAVENUMBER = 10_000.0
#: Share of the largest density that a point needs on either side to be counted in the band.
BAND_LEAST = 0.05
#: Share of the predicted modes below which a measured range is hardly the whole spectrum.
COVERED_LEAST = 0.5
#: Columns of numbers, whole or with a decimal comma, that something else than a comma separates.
_DECIMAL_COMMAS = r"[-+]?\d+(,\d+)?([eE][-+]?\d+)?([;\s]+[-+]?\d+(,\d+)?([eE][-+]?\d+)?)+[;\s]*"


@dataclass(frozen=True, slots=True)
class Measurement:
    """A measured density of states or inelastic spectrum.

    Attributes
    ----------
    wavenumbers : ndarray, shape (n,)
        cm^-1, ascending, above zero.
    intensity : ndarray, shape (n,)
        Per energy, in any unit.
    error : ndarray, shape (n,), or None
        Of the intensity.
    unit : str
        Of the file: "meV", "THz" or "cm-1".
    name : str
    """

    wavenumbers: Array
    intensity: Array
    error: Array | None
    unit: str
    name: str = ""

    @classmethod
    def of(
        cls,
        energies: ArrayLike,
        intensity: ArrayLike,
        error: ArrayLike | None = None,
        *,
        unit: str = "meV",
        name: str = "",
    ) -> Measurement:
        """Measurement from columns; points at or below zero energy are left out.

        With a `MeasurementWarning` also those that are not numbers, lie above any phonon
        (`HIGHEST_WAVENUMBER`), or stand for missing values (-999 and its like).

        Parameters
        ----------
        energies, intensity : array_like, shape (n,)
            In `unit`, ascending or not; the intensity in any unit.
        error : array_like, shape (n,), optional
            Standard deviations of the intensity, in its unit.
        unit : {"meV", "THz", "cm-1"}
        name : str
            What messages and legends call it.

        Returns
        -------
        Measurement

        Raises
        ------
        SpectrumError
            Fewer than five points, shapes that differ, values that are not finite, an unknown
            unit.
        """
        x = np.asarray(energies, dtype=np.float64).ravel() * unit_in_cm(unit)
        y = np.asarray(intensity, dtype=np.float64).ravel()
        e = None if error is None else np.asarray(error, dtype=np.float64).ravel()
        label = name or "the measurement"
        if len(x) != len(y) or (e is not None and len(e) != len(x)):
            raise SpectrumError(f"The columns of {label} differ in length: {len(x)}, {len(y)}.")
        usable = _usable(x, y, label)
        order = np.argsort(x, kind="stable")
        keep = order[usable[order]]
        if len(keep) < 5 or len(np.unique(x[keep])) < 5 or y[keep].max(initial=0.0) <= 0:
            raise SpectrumError(
                f"{label} has {len(keep)} finite points above zero energy; a comparison needs at "
                "least five different ones, with positive intensity among them."
            )
        x, y, e = x[keep], y[keep], None if e is None else np.abs(e[keep])
        unique, inverse, counts = np.unique(x, return_inverse=True, return_counts=True)
        if len(unique) < len(x):
            y = np.bincount(inverse, y) / counts
            e = None if e is None else np.sqrt(np.bincount(inverse, e**2)) / counts
        return cls(unique, y, e, unit, name)


def _usable(x: Array, y: Array, label: str) -> NDArray[np.bool_]:
    """Points of a measurement that are such; a warning says how many others there are, and why."""
    numbers = np.isfinite(x) & np.isfinite(y)
    above = numbers & (x > HIGHEST_WAVENUMBER)
    missing = numbers & _stands_for_missing(y)
    found = {
        "no finite numbers": int((~numbers).sum()),
        f"at energies above {HIGHEST_WAVENUMBER:g} cm^-1, where no crystal has phonons (check the "
        "unit)": int(above.sum()),
        "values such as -999 that stand for missing ones": int(missing.sum()),
    }
    said = [f"{n} points that are {what}" for what, n in found.items() if n]
    if said:
        warnings.warn(
            f"{label}: {' and '.join(said)} are left out. Take them out of the file.",
            MeasurementWarning,
            stacklevel=4,
        )
    return numbers & (x > 0) & ~above & ~missing


def _stands_for_missing(y: Array) -> NDArray[np.bool_]:
    """Where an intensity is -99, -999, ... or beyond 1e30, and far from all the others.

    A difference of counts may be -99 by itself: it is taken for a measured one where it is alone
    and smaller than a tenth of the largest intensity.
    """
    nines = np.array([-(10.0**k - 1) for k in range(2, 9)])
    coded = np.isin(y, nines) | (np.abs(y) >= 1e30)
    others = np.abs(y[~coded & np.isfinite(y)])
    top = float(others.max(initial=0.0))
    several = np.array([(y == value).sum() > 1 for value in y])
    few = 2 * coded.sum() < len(y)  # else it is their unit
    return np.asarray(coded & few & ((np.abs(y) > 0.1 * top) | several))


def read_measurement(path: str | PathLike[str], unit: str | None = None) -> Measurement:
    """Measurement from a text file of two or three columns: energy, intensity, error.

    Parameters
    ----------
    path : str or os.PathLike
        Columns separated by commas, semicolons, tabs or blanks; lines that do not begin with a
        number are headers. A column of row numbers that a header leaves without a name (as
        `DataFrame.to_csv` writes) is left out. Beside semicolons, tabs or blanks, commas inside
        numbers are decimal commas (1,5; 0,3).
    unit : {"meV", "THz", "cm-1"}, optional
        Of the energy; found in the header if not given. It counts where it contradicts the
        header, with a `MeasurementWarning`.

    Returns
    -------
    Measurement

    Raises
    ------
    UnreadableFileError
        The file is missing or holds no columns of numbers.
    MissingUnitError
        No unit is given, and the header names none or several.
    SpectrumError
        The columns make no spectrum.
    """
    file = Path(path)
    try:
        lines = file.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    except OSError as error:
        raise UnreadableFileError(f"{file}: cannot be read ({error.strerror or error}).") from error
    header, rows = [], []
    separator, comma = _separators(lines)
    first = 1 if _has_index(lines) else 0
    for line in lines:
        parts = [p.strip("\"' ") for p in re.split(separator, line.strip())]
        parts = [p.replace(",", ".") if comma else p for p in parts if p]
        try:
            rows.append([float(p) for p in parts[first : first + 3]])
        except ValueError:
            header.append(line)
    rows = [r for r in rows if len(r) >= 2]
    if separator != r"[;\s]+" and _commas_only(lines):
        raise UnreadableFileError(
            f"{file}: its lines hold four whole numbers or more between commas (1,5,0,300), as if "
            "commas stood both for the decimal point and between columns. Separate the columns "
            "by semicolons, tabs or blanks, or name each of them in a header."
        )
    if len(rows) < 5:
        raise UnreadableFileError(
            f"{file}: has {len(rows)} lines with two numbers or more. Give columns of energy and "
            "intensity (and error), with at least five points."
        )
    width = min(map(len, rows))
    table = np.array([r[:width] for r in rows])
    if unit is None:
        found = units_named("\n".join(header))
        if len(found) != 1:
            said = "names several units" if found else "names no unit"
            raise MissingUnitError(
                f"{file}: its header {said}. Say --units meV, THz or cm-1 (unit= in Python)."
            )
        unit = found[0]
    elif (stated := _units_in(_without_per_unit("\n".join(header)))) and unit not in stated:
        warnings.warn(
            f"{file}: its header says {' and '.join(stated)}, and its energies are read as {unit}, "
            "which was given. Leave out --units (unit= in Python) unless the header is wrong.",
            MeasurementWarning,
            stacklevel=2,
        )
    bars = table[:, 2] if width > 2 else None
    return Measurement.of(table[:, 0], table[:, 1], bars, unit=unit, name=file.name)


def units_named(header: str) -> list[str]:
    """Units that a header may mean for the energies."""
    text = re.sub(_SETTING, " ", header, flags=re.IGNORECASE)
    return _units_in(_without_per_unit(header)) or _units_in(text)


def _without_per_unit(header: str) -> str:
    """A header without settings of the instrument and what intensities are per."""
    text = re.sub(_SETTING, " ", header, flags=re.IGNORECASE)
    return re.sub(_PER_UNIT, " ", text, flags=re.IGNORECASE)


def _units_in(text: str) -> list[str]:
    return [u for u, p in _UNIT_PATTERNS.items() if re.search(p, text, re.IGNORECASE)]


def _has_index(lines: list[str]) -> bool:
    """Whether the first column is 0, 1, 2, ... under an empty name."""
    named = [k for k, line in enumerate(lines) if re.match(r"\s*(\"\"|'')?\s*[,;\t]", line)]
    if not named:
        return False
    column = [re.split(r"[,;\t]", line)[0].strip("\"' ") for line in lines[named[0] + 1 :] if line]
    return column == [str(k) for k in range(len(column))]


def _commas_only(lines: list[str]) -> bool:
    """Whether commas alone separate whole numbers in pairs: decimal commas between columns."""
    data = [line.strip() for line in lines if re.match(r"\s*[-+]?\d", line)]
    pattern = r"[-+]?\d+,\d+(,[-+]?\d+,\d+)+"
    widths = {line.count(",") for line in data}
    named = any(line.count(",") in widths for line in lines if line.strip() not in data)
    return len(data) > 0 and not named and all(re.fullmatch(pattern, line) for line in data)


def _separators(lines: list[str]) -> tuple[str, bool]:
    """Pattern between columns, and whether commas are decimal ones.

    They are where every line of numbers has a comma between two digits and something else between
    its columns.
    """
    data = [line.strip() for line in lines if re.match(r"[\s\"']*[-+.]?\d", line)]
    decimal = [re.fullmatch(_DECIMAL_COMMAS, line) is not None for line in data]
    with_comma = any("," in line for line in data)
    if data and with_comma and all(decimal):
        return r"[;\s]+", True
    return r"[,;\s]+", False


@dataclass(frozen=True, slots=True)
class MeasurementComparison:
    """A prediction beside a measurement, both on the measured points.

    Attributes
    ----------
    measurement : Measurement
    predicted : WeightedSpectrum
        Weighted and broadened.
    scale : float
        What the measured intensity is multiplied with, so that both have the same area over the
        measured range, in states/THz.
    overlap : float
        Integral of the smaller of the two, areas made one: 1 where they are equal.
    cosine : float
        Cosine similarity.
    wasserstein : float
        Mean distance in cm^-1 by which weight has to move.
    covered : float
        Share of the predicted modes inside the measured range.
    mean, width : tuple of float
        Mean and standard deviation over the measured range in cm^-1: predicted, measured.
    cutoff : tuple of float
        Where 99 % of the area lies below, in cm^-1: predicted, measured.
    peaks : tuple of ndarray
        Positions of the maxima in cm^-1: predicted, measured.
    gaps : tuple of list of tuple
        Ranges (cm^-1) inside the band below 5 % of the maximum: predicted, measured.
    within_band : float or None
        Share of the measured points within two standard deviations of the ensemble, which are
        not calibrated; of those points where either curve has 5 % of its maximum.
    """

    measurement: Measurement
    predicted: WeightedSpectrum
    scale: float
    overlap: float
    cosine: float
    wasserstein: float
    covered: float
    mean: tuple[float, float]
    width: tuple[float, float]
    cutoff: tuple[float, float]
    peaks: tuple[Array, Array]
    gaps: tuple[list[tuple[float, float]], list[tuple[float, float]]]
    within_band: float | None

    def to_dict(self) -> dict[str, Any]:
        """Numbers for JSON, in cm^-1; without the curves."""
        names = ("scale", "overlap", "cosine", "wasserstein", "covered", "within_band")
        values: dict[str, Any] = {name: getattr(self, name) for name in names}
        pairs: dict[str, Any] = {
            "mean": self.mean,
            "width": self.width,
            "cutoff": self.cutoff,
            "peaks": [p.tolist() for p in self.peaks],
            "gaps": self.gaps,
        }
        values |= {
            name: dict(zip(("predicted", "measured"), p, strict=True)) for name, p in pairs.items()
        }
        return values | {"weighting": self.predicted.weighting, "unit": "cm^-1"}


def compare(
    spectrum: DensityOfStates,
    measurement: Measurement,
    *,
    resolution: Resolution | None = None,
    unit: str | None = None,
    weighting: str = "neutron",
) -> MeasurementComparison:
    """Compare a predicted spectrum with a measured one.

    Parameters
    ----------
    spectrum : DensityOfStates
    measurement : Measurement
    resolution, weighting
        As in `ase_e3dos.analysis.neutron.neutron_weighted`.
    unit : {"meV", "THz", "cm-1"}, optional
        Of the resolution; the measurement's if not given.

    Returns
    -------
    MeasurementComparison
        With a `MeasurementWarning` where less than half of the predicted modes (`COVERED_LEAST`)
        lies in the measured range.

    Raises
    ------
    SpectrumError
        The measured range holds nothing of the prediction.
    """
    seen = neutron_weighted(
        spectrum,
        resolution=resolution,
        unit=unit or measurement.unit,  # type: ignore[arg-type]
        weighting=weighting,
    )
    x, top = measurement.wavenumbers, float(measurement.intensity.max())
    raw = measurement.intensity / top  # of order one, so that no square overflows
    model = np.interp(x, seen.wavenumbers, seen.weighted, left=0.0, right=0.0)
    w = np.gradient(x)
    area, measured_area = float(model @ w), float(np.maximum(raw, 0.0) @ w)
    if area <= 0:
        raise SpectrumError(
            f"No predicted mode of {spectrum.crystal.name} lies between {x[0]:.0f} and "
            f"{x[-1]:.0f} cm^-1, where the measurement is. Check its unit ({measurement.unit})."
        )
    scale = area / measured_area
    p, q = model * w / area, np.maximum(raw, 0.0) * w / measured_area
    inside = (seen.wavenumbers >= x[0]) & (seen.wavenumbers <= x[-1])
    covered = float(seen.weighted[inside].sum() / seen.weighted.sum())
    if covered < COVERED_LEAST:
        warnings.warn(
            f"{measurement.name or 'the measurement'}: only {covered:.1%} of the predicted modes "
            f"of {spectrum.crystal.name} lie in its range, {x[0]:.0f} to {x[-1]:.0f} cm^-1, and "
            f"the comparison is of them alone. Check its unit ({measurement.unit}).",
            MeasurementWarning,
            stacklevel=2,
        )
    within = None
    if seen.std is not None:
        std = np.interp(x, seen.wavenumbers, seen.std)
        there = (model >= BAND_LEAST * model.max()) | (raw >= BAND_LEAST * raw.max())
        within = float((np.abs(raw * scale - model) <= 2 * std)[there].mean())
    means = float(p @ x), float(q @ x)
    spreads = (float(np.sqrt(p @ (x - means[0]) ** 2)), float(np.sqrt(q @ (x - means[1]) ** 2)))
    curves = [_uniform(x, values) for values in (model, np.maximum(raw, 0.0))]
    return MeasurementComparison(
        measurement=measurement,
        predicted=seen,
        scale=scale / top,
        overlap=float(np.minimum(p, q).sum()),
        cosine=float((model * raw) @ w / np.sqrt((model**2 @ w) * (raw**2 @ w))),
        wasserstein=float(np.abs(np.cumsum(p - q)[:-1]) @ np.diff(x)),
        covered=covered,
        mean=means,
        width=spreads,
        cutoff=(_below(x, p, 0.99), _below(x, q, 0.99)),
        peaks=(_peaks(*curves[0]), _peaks(*curves[1])),
        gaps=(_gaps(*curves[0]), _gaps(*curves[1])),
        within_band=within,
    )


def _uniform(x: Array, y: Array) -> tuple[Array, Array]:
    """Values at equal steps, as fine as the finest of the points but 2000 at most."""
    n = int(np.clip((x[-1] - x[0]) / max(float(np.diff(x).min()), 1e-9), len(x), 2000))
    grid = np.linspace(x[0], x[-1], n)
    return grid, np.interp(grid, x, y)


def _peaks(x: Array, y: Array) -> Array:
    return peak_positions(x, y, threshold=0.1, prominence=0.08)


def _gaps(x: Array, y: Array) -> list[tuple[float, float]]:
    """Ranges below 5 % of the maximum with higher values on both sides."""
    low = y < 0.05 * y.max()
    steps = np.diff(np.concatenate([[0], low.astype(int), [0]]))
    starts, ends = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1) - 1
    return [
        (float(x[a]), float(x[b]))
        for a, b in zip(starts, ends, strict=True)
        if a > 0 and b < len(x) - 1
    ]


def _below(x: Array, weights: Array, share: float) -> float:
    return float(np.interp(share * weights.sum(), np.cumsum(weights), x))
