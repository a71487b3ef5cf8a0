"""What figures of spectra draw: curves in the units asked for, with bands and parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from ase.data import chemical_symbols

from ase_e3dos.errors import SpectrumError
from ase_e3dos.export.names import formula_in_mathtext
from ase_e3dos.export.samples import samples
from ase_e3dos.spectrum.constants import constants
from ase_e3dos.spectrum.density_of_states import DensityOfStates
from ase_e3dos.spectrum.grid import Array
from ase_e3dos.spectrum.uncertainty import INTERVAL_LEVEL

FrequencyUnit = Literal["THz", "cm-1", "meV"]
#: "element", "site", "species" (kinds of occupation), or named groups of sites.
Projection = Literal["element", "site", "species"] | Mapping[str, Sequence[int]]

#: Share of the highest density below which a curve is not seen.
_SEEN = 2e-3
#: Share of the highest density within which two lines look like one.
_ON_ONE_ANOTHER = 4e-3
#: Sites that a figure can tell apart; crystals with more are drawn by element.
MOST_SITES = 12
#: A curve ends below high modes of its own, such as O-H stretching ones, if at least this share
#: of its range has no more than that share of its modes, and most are below.
_EMPTY, _NEARLY_NOTHING, _MOST = 0.35, 0.025, 0.7
#: Figures of several leave such modes out if they are few of all, and the range shrinks to this.
_FEW, _SHORTER = 0.2, 0.6


@dataclass(frozen=True, slots=True)
class Curve:
    """A density of states as it is drawn, over the range that holds weight.

    Attributes
    ----------
    name : str
    x : ndarray, shape (n,)
        Frequencies in `unit`.
    y : ndarray, shape (n,)
        States per `unit` and what `per` says.
    low, high : ndarray, shape (n,), or None
        Band around `y`.
    band : str
        What the band is; empty without one.
    parts : tuple of (str, ndarray of shape (n,))
        Names and densities of the projections.
    unit : {"THz", "cm-1", "meV"}
    per : str
        "cell", "atom", ...
    n_modes : float
        Integral of the whole density.
    smoothing : float
        Width in cm^-1 of the Gaussian in the drawing; 0 for the spectrum as it is.
    note : str
        What is drawn otherwise than was asked for; mostly empty.
    """

    name: str
    x: Array
    y: Array
    low: Array | None
    high: Array | None
    band: str
    parts: tuple[tuple[str, Array], ...]
    unit: FrequencyUnit
    per: str
    n_modes: float
    smoothing: float
    note: str = ""

    def lies_on(self, other: Curve) -> bool:
        """Whether both look like one, with the same kind of band.

        Parameters
        ----------
        other : Curve
            Drawn on the same axes.

        Returns
        -------
        bool
        """
        least = _ON_ONE_ANOTHER * float(max(self.y.max(), other.y.max()))
        return self.band == other.band and all(
            bool(np.abs(np.interp(a.x, b.x, b.y, 0.0, 0.0) - a.y).max() < least)
            for a, b in ((self, other), (other, self))
        )

    @property
    def lines(self) -> tuple[tuple[str, Array], ...]:
        """The parts as lines: those that lie on one another are one, "O 2, O 3 (each)"."""
        together: list[tuple[list[str], Array]] = []
        for name, row in self.parts:
            least = _ON_ONE_ANOTHER * float(self.y.max())
            same = next((n for n, other in together if np.abs(row - other).max() < least), None)
            if same is None:
                together.append(([name], row))
            else:
                same.append(name)
        return tuple(
            (names[0] if len(names) == 1 else f"{', '.join(names)} (each)", row)
            for names, row in together
        )


def unit_per_thz(units: str) -> float:
    """How many of a unit one THz is.

    Parameters
    ----------
    units : str
        "THz", "cm-1" or "meV".

    Returns
    -------
    float

    Raises
    ------
    SpectrumError
        If the unit is unknown.
    """
    c = constants()
    scales = {"THz": 1.0, "cm-1": c.thz_to_cm, "meV": c.thz_to_ev * 1000.0}
    if units not in scales:
        raise SpectrumError(f"units={units!r} has to be one of {', '.join(scales)}.")
    return scales[units]


def curve(
    spectrum: DensityOfStates,
    *,
    units: FrequencyUnit = "THz",
    projection: Projection | None = None,
    band: float | None = INTERVAL_LEVEL,
    smoothing: float = 0.0,
    name: str | None = None,
    most_sites: int = MOST_SITES,
) -> Curve:
    """Return the curve of a spectrum.

    Parameters
    ----------
    spectrum : DensityOfStates
    units : {"THz", "cm-1", "meV"}
    projection : {"element", "site", "species"} or mapping, optional
        Parts by element (a mixed site counts for each by its fraction), by site, by kind of
        occupation, or by groups of sites, as in ``{"apical": [3], "planar": [4, 5]}``. More
        sites than `most_sites` are drawn by element, and `Curve.note` says so.
    band : float, optional
        Level of the calibrated interval; None for no band. A model that is not calibrated has
        one standard deviation of its members, and the band's name says so.
    smoothing : float
        Standard deviation in cm^-1 of a Gaussian that everything is drawn with. The band then
        is the interval of single bins, smoothed with it: wider than the interval of a smoothed
        density, in which errors of neighbouring bins partly cancel.
    name : str, optional
        The formula if not given.
    most_sites : int
        Parts that the site projection may have.

    Returns
    -------
    Curve

    Raises
    ------
    SpectrumError
        If units, projection or smoothing are unknown, or the model has no site densities.
    """
    scale = unit_per_thz(units)
    if not isinstance(smoothing, (int, float, np.number)) or not 0 <= smoothing < np.inf:
        raise SpectrumError(
            f"smoothing={smoothing!r} has to be a width in cm^-1; 0 draws the bins as they are."
        )
    width = smoothing / spectrum.grid.step
    points = samples(spectrum)
    note = ""
    n_sites = spectrum.crystal.n_sites
    if isinstance(projection, str) and projection == "site" and n_sites > most_sites:
        projection, note = "element", f"{n_sites} sites, by element"
    y = _smooth(points.density, width)
    rows = _parts(spectrum, points.site_density, projection)
    if len(rows) == 1 and isinstance(projection, str):  # that part is all
        rows = []
    parts = [(part, _smooth(row, width)) for part, row in rows]
    low, high, what = _band(spectrum, band)
    if low is not None and high is not None:
        below, above = (spectrum.density - low, high - spectrum.density)
        halves = [np.interp(points.frequencies, spectrum.frequencies, h) for h in (below, above)]
        below, above = (_smooth(half, width) for half in halves)
        low, high = np.maximum(y - below, 0.0), y + above
    seen = np.flatnonzero(y > _SEEN * y.max())
    at_zero = int(np.searchsorted(points.frequencies, -1e-3))
    first = max(seen[0] - 1, 0) if points.frequencies[seen[0]] < 0 else at_zero
    keep = slice(int(first), int(seen[-1]) + 2)
    return Curve(
        name or spectrum.crystal.formula,
        points.frequencies[keep] * scale,
        y[keep] / scale,
        None if low is None else low[keep] / scale,
        None if high is None else high[keep] / scale,
        f"{what} of each bin, smoothed" if what and smoothing else what,
        tuple((n, row[keep] / scale) for n, row in parts),
        units,
        spectrum.normalization,
        spectrum.n_modes,
        smoothing,
        note,
    )


def _band(spectrum: DensityOfStates, level: float | None) -> tuple[Array | None, Array | None, str]:
    std, calibration = spectrum.density_std, spectrum.calibration
    if level is None or std is None:
        return None, None, ""
    if calibration is not None and "density" in calibration.spreads:
        low, high = spectrum.interval("density", level)
        return low, high, interval_name(level)
    return spectrum.density - std, spectrum.density + std, STD_NAME


#: What the band of a model is whose error bars nobody checked.
STD_NAME = "± one standard deviation of the members (not calibrated)"


def interval_name(level: float) -> str:
    """What a calibrated band is called in legends."""
    return f"{100 * level:g} % interval"


def _smooth(y: Array, width: float) -> Array:
    """Convolve rows with a Gaussian of `width` points."""
    from scipy.ndimage import gaussian_filter1d

    return y if width <= 0 else np.asarray(gaussian_filter1d(y, width, mode="reflect"))


def _parts(
    spectrum: DensityOfStates, rows: Array | None, projection: Projection | None
) -> list[tuple[str, Array]]:
    """Names and densities (states/THz) of the parts."""
    if projection is None:
        return []
    if isinstance(projection, str) and projection not in ("element", "site", "species"):
        raise SpectrumError(
            f"projection={projection!r} has to be 'element', 'site', 'species', groups of sites "
            "such as {'apical': [3], 'planar': [4, 5]}, or None."
        )
    if rows is None:
        raise SpectrumError(
            f"The model {spectrum.model or 'unnamed'!r} gives no site densities to project on. "
            "Draw with projection=None, or use a model that has them, such as 'default'."
        )
    crystal = spectrum.crystal
    if isinstance(projection, Mapping):
        return [(name, _group(rows, sites, name)) for name, sites in projection.items()]
    names = occupations(spectrum)
    if projection == "site":
        return [(f"{name} {i}", row) for i, (name, row) in enumerate(zip(names, rows, strict=True))]
    sums: dict[str, Array] = {}
    if projection == "species":
        for name, row in zip(names, rows, strict=True):
            sums[name] = sums.get(name, 0.0) + row
        return list(sums.items())
    occupied = np.bincount(crystal.species_site, crystal.species_fraction, crystal.n_sites)
    for site, number, fraction in zip(
        crystal.species_site, crystal.species_number, crystal.species_fraction, strict=True
    ):
        symbol = chemical_symbols[number]
        sums[symbol] = sums.get(symbol, 0.0) + rows[site] * (fraction / occupied[site])
    return list(sums.items())


def refuse_no_parts(projection: object, stacked: bool) -> None:
    """Refuse to stack parts where there are none.

    Parameters
    ----------
    projection : object
        None for none.
    stacked : bool

    Raises
    ------
    SpectrumError
        If parts shall be stacked without a projection.
    """
    if stacked and projection is None:
        raise SpectrumError(
            "There are no parts to stack (stacked) without a projection: give 'element', 'site', "
            "'species' or groups of sites."
        )


def _group(rows: Array, sites: Sequence[int], name: str) -> Array:
    chosen = np.asarray(list(sites))
    if (
        not chosen.size
        or chosen.dtype.kind not in "iu"
        or not ((chosen >= 0) & (chosen < len(rows))).all()
    ):
        raise SpectrumError(
            f"The group {name!r} of the projection has to list sites from 0 to {len(rows) - 1}; "
            f"got {list(sites)!r:.200}."
        )
    return np.asarray(rows[np.unique(chosen)].sum(axis=0))


def occupations(spectrum: DensityOfStates) -> list[str]:
    """What occupies each site: "O", or "Si0.5Ge0.5" on a mixed one."""
    crystal = spectrum.crystal
    names = ["" for _ in range(crystal.n_sites)]
    for site, number, fraction in zip(
        crystal.species_site, crystal.species_number, crystal.species_fraction, strict=True
    ):
        share = "" if abs(fraction - 1.0) < 1e-6 else f"{fraction:.3g}"
        names[site] += f"{chemical_symbols[number]}{share}"
    return names


def common_range(curves: Sequence[Curve]) -> tuple[float, float]:
    """Range of frequencies for several curves in one figure.

    It holds all of them, but for high modes of some that lie far above all others (stretching
    modes of hydrogen, say) and would press those into a corner: there it ends where the others
    do, and `beyond` says what lies above.
    """
    low = min(float(c.x[0]) for c in curves)
    high = max(float(c.x[-1]) for c in curves)
    if len(curves) < 2:
        return low, high
    end = max(map(_end_of_most, curves))
    short = end + 0.06 * (end - low)
    above = [np.trapezoid(c.y * (c.x > short), c.x) / np.trapezoid(c.y, c.x) for c in curves]
    if short - low < _SHORTER * (high - low) and np.mean(above) < _FEW:
        high = float(short)
    return low, high


def _end_of_most(c: Curve) -> float:
    """Where a curve ends but for few modes beyond a long stretch that is nearly empty."""
    below = np.concatenate([[0.0], np.cumsum((c.y[1:] + c.y[:-1]) / 2 * np.diff(c.x))])
    below /= below[-1]
    ends = np.searchsorted(below, below + _NEARLY_NOTHING, side="right") - 1
    lengths = c.x[ends] - c.x
    k = int(np.argmax(np.where(below > _MOST, lengths, 0.0)))
    is_long = lengths[k] > _EMPTY * (c.x[-1] - c.x[0]) and below[k] > _MOST
    return float(c.x[k] if is_long else c.x[-1])


def beyond(curves: Sequence[Curve], high: float, *, mathtext: bool = True) -> list[str]:
    """What `common_range` leaves out: names, shares and places of modes above it.

    Parameters
    ----------
    curves : sequence of Curve
    high : float
        End of the range, in their unit.
    mathtext : bool
        Whether Matplotlib sets it; else it is plain text.

    Returns
    -------
    list of str
        A line for each curve that has modes there.
    """
    said = []
    for c in curves:
        above = c.x > high
        share = np.trapezoid(c.y * above, c.x) / max(np.trapezoid(c.y, c.x), 1e-300)
        if share > 5e-3:
            middle = np.trapezoid(c.x * c.y * above, c.x) / np.trapezoid(c.y * above, c.x)
            raised = "cm$^{-1}$" if mathtext else "cm⁻¹"
            unit = {"cm-1": raised}.get(c.unit, c.unit)
            name = formula_in_mathtext(c.name) if mathtext else c.name
            said.append(f"{name}: {100 * share:.0f} % of the modes near {middle:.0f} {unit} →")
    return said
