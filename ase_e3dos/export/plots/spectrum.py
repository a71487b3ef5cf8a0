"""Figures of one quantity: a density of states, or a thermal property, on one pair of axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import ArrayLike

from ase_e3dos.errors import SpectrumError
from ase_e3dos.export.curves import Curve, FrequencyUnit, Projection, curve, refuse_no_parts
from ase_e3dos.export.names import formula_in_mathtext
from ase_e3dos.export.overlays import Overlay, names_apart
from ase_e3dos.export.plots.line_names import tell_apart
from ase_e3dos.export.plots.styles import axes, legend_above
from ase_e3dos.export.thermal_curves import (
    EnergyUnit,
    ThermalCurve,
    ascending_temperatures,
    energy_unit,
    thermal_curve,
)
from ase_e3dos.spectrum.constants import constants
from ase_e3dos.spectrum.density_of_states import DensityOfStates
from ase_e3dos.spectrum.thermal import Quantity
from ase_e3dos.spectrum.uncertainty import INTERVAL_LEVEL

_THERMAL_NAMES = {
    "heat_capacity": "$C_V$",
    "entropy": "$S$",
    "free_energy": "$F$",
    "internal_energy": "$U$",
}
_UNITS_IN_TEX = {
    "cm-1": "cm$^{-1}$",
    "J/(K mol)": r"J K$^{-1}$ mol$^{-1}$",
    "k_B": "$k_B$",
    "k_B K": "$k_B$ K",
}
#: Lines of the second and later rounds of a cycle of colours are told from those of the first.
_DASHES: Any = ("-", (0, (4, 1.5)), (0, (1, 1.2)), (0, (6, 1.2, 1, 1.2)))
#: And those of spectra of others, which have one colour, from each other.
_OTHERS: Any = ("--", ":", "-.", (0, (7, 1.5)), (0, (3, 1.2, 1, 1.2, 1, 1.2)))
#: Units of the lines that were drawn, and per what, so that axes hold one of either.
_DRAWN: WeakKeyDictionary[Any, tuple[str, str]] = WeakKeyDictionary()


def plot_spectrum(
    spectrum: DensityOfStates,
    ax: Any = None,
    *,
    units: FrequencyUnit = "THz",
    projection: Projection | None = None,
    stacked: bool = False,
    band: float | None = INTERVAL_LEVEL,
    smoothing: float = 0.0,
    label: str | None = None,
    color: str | None = None,
    overlays: Sequence[Overlay] = (),
) -> Any:
    """Draw a density of states with the interval that is known for it.

    On axes that are given, nothing but the spectrum and missing labels is added: limits that
    were set stay, others grow with every spectrum, colours go on in the axes' cycle, what the
    bands are is named once for the legend, and spectra of one formula, earlier ones too, are
    named by their files as well.

    Parameters
    ----------
    spectrum : DensityOfStates
    ax : matplotlib.axes.Axes, optional
        A new figure's, with a legend, if not given.
    units : {"THz", "cm-1", "meV"}
        Of the frequency; the density is per that unit.
    projection : {"element", "site", "species"} or mapping, optional
        Draw parts, too: by element (a mixed site counts for each by its fraction), by site, by
        kind of occupation, or by named groups of sites, as in ``{"apical": [3], "rest": [0, 1]}``.
        More than twelve sites are drawn by element, which the name of the total says. Lines
        that lie on one another, such as those of equivalent sites, are one with all their names.
    stacked : bool
        Parts as areas upon each other instead of lines.
    band : float, optional
        Level of the calibrated interval; None for no band.
    smoothing : float
        Standard deviation in cm^-1 of a Gaussian for the drawing, overlays included. The label of
        the axis states it or, where that is yours or says otherwise, the name in the legend. 0,
        the default, draws the spectrum as it is. The band of a smoothed drawing is the interval of
        single bins, smoothed: see `ase_e3dos.export.curves.curve`.
    label, color : str, optional
        Of the total.
    overlays : sequence of Overlay, optional
        Spectra of others (`ase_e3dos.export.overlays.read_overlay`), scaled to the same area.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    SpectrumError
        If units or projection are unknown, smoothing is not a width, the model has no site
        densities, there are no parts to stack, or the axes hold spectra in other units.
    """
    new = ax is None
    refuse_no_parts(projection, stacked)
    shown = curve(
        spectrum, units=units, projection=projection, band=band, smoothing=smoothing, name=label
    )
    ax = axes(ax)
    line = draw_curve(ax, shown, stacked=stacked, color=color, label=label)
    if label is None:
        tell_apart(ax, line, spectrum, shown.name)
    draw_overlays(ax, overlays, shown)
    label_axes(ax, shown)
    if new:
        legend_above(ax)
    return ax


def draw_curve(
    ax: Any,
    shown: Curve,
    *,
    stacked: bool = False,
    color: str | None = None,
    label: str | None = None,
    offset: float = 0.0,
    alpha: float = 0.22,
    turn: int = 0,
) -> Any:
    """Draw a curve with its band and parts; returns the line of the total.

    `turn` is how often the cycle of colours was gone through: lines are dashed from one on.
    """
    _keep_units(ax, shown.unit, shown.per)
    style = {} if color is None else {"color": color}
    label = curve_label(shown, label, _unsaid(ax, shown.smoothing))
    dashes = _DASHES[turn % len(_DASHES)]
    (line,) = ax.plot(shown.x, shown.y + offset, label=label, ls=dashes, zorder=3, **style)
    _DRAWN[line] = (shown.unit, shown.per)
    line.sticky_edges.y.append(offset)
    if shown.x[0] > -1e-6 * shown.x[-1]:
        line.sticky_edges.x.append(0.0)
    color = line.get_color()
    if shown.low is not None and shown.high is not None:
        ax.fill_between(
            shown.x,
            shown.low + offset,
            shown.high + offset,
            color=color,
            alpha=alpha,
            lw=0,
            label=_unnamed(ax, shown.band),
        ).sticky_edges.y.append(offset)
    if stacked and shown.parts:
        areas = ax.stackplot(
            shown.x,
            *(row for _, row in shown.parts),
            labels=[formula_in_mathtext(name) for name, _ in shown.parts],
            lw=0,
            zorder=1,
        )
        for k, area in enumerate(areas):
            area.set_alpha(0.55)
            area.sticky_edges.y.append(0.0)
            if k // colours_in_cycle() % 2:
                area.set(hatch="////", edgecolor=_ground())
    else:
        for k, (name, row) in enumerate(shown.lines):
            dashes = _DASHES[(k + 1) // colours_in_cycle() % len(_DASHES)]
            label = formula_in_mathtext(name)
            ax.plot(shown.x, row + offset, lw=0.9, ls=dashes, label=label, zorder=2)
    if shown.x[0] < -1e-3 * shown.x[-1]:
        ax.axvline(0, color="0.6", lw=0.6, zorder=0)
    return line


def is_curve(line: Any) -> bool:
    """Whether a line is one of ours, of a whole spectrum or property."""
    return line in _DRAWN


def curve_label(shown: Curve, label: str | None = None, smoothing: str = "") -> str:
    """What a legend calls a curve: its name, and what was drawn otherwise than asked for."""
    label = formula_in_mathtext(shown.name) if label is None else label
    said = ", ".join(text for text in (shown.note, smoothing) if text)
    return f"{label} ({said})" if said else label


def _smoothed(smoothing: float) -> str:
    return f"smoothed by {smoothing:g} cm$^{{-1}}$" if smoothing else "not smoothed"


def _unsaid(ax: Any, smoothing: float) -> str:
    """What names in the legend have to say of smoothing, as the label of the axis does not."""
    label = ax.get_ylabel()
    if not label or (not smoothing and "smoothed by" not in label):
        return ""  # `label_axes` will, or there is none
    return "" if _smoothed(smoothing) in label else _smoothed(smoothing)


def colours_in_cycle() -> int:
    """How many colours come before the first of them comes again."""
    import matplotlib as mpl

    return max(len(mpl.rcParams["axes.prop_cycle"]), 1)


def first_colour() -> str:
    """The first of the cycle now; "C0" would be that of the time when a figure is written."""
    from matplotlib.colors import to_hex

    return to_hex("C0")


def _unnamed(ax: Any, band: str) -> str | None:
    """The name of a band for the legend, None if one of the axes has it already."""
    return None if band in ax.get_legend_handles_labels()[1] else band


def _keep_units(ax: Any, unit: str, per: str) -> None:
    """Refuse a curve on axes whose curves, or whose label of ours, are in other units."""
    for line in ax.lines:
        there = _DRAWN.get(line)
        if there is None or there == (unit, per):
            continue
        if there[0] != unit or f" per {there[1]}" in ax.get_ylabel():
            raise SpectrumError(
                f"These axes hold curves in {there[0]} per {there[1]}; one in {unit} per {per} "
                "would be read wrongly on them. Draw all in the same units (units=, "
                "energy_units=, spectrum.per_atom()), or on axes of their own (ax.twinx())."
            )


def draw_overlays(ax: Any, overlays: Sequence[Overlay], shown: Curve) -> list[str]:
    """Draw spectra of others with the area, unit and smoothing of a curve; returns their names."""
    names = overlay_names(overlays, _unsaid(ax, shown.smoothing))
    for k, (overlay, name) in enumerate(zip(overlays, names, strict=True)):
        x, y = overlay.scaled(shown.n_modes, shown.unit, shown.smoothing)
        seen = np.flatnonzero(y > 2e-3 * y.max())
        keep = slice(max(int(seen[0]) - 1, 0), int(seen[-1]) + 2)
        dashes = _OTHERS[k % len(_OTHERS)]
        (line,) = ax.plot(x[keep], y[keep], color=_ink(), lw=1.0, ls=dashes, zorder=4, label=name)
        line.sticky_edges.y.append(0.0)
    return names


def overlay_names(overlays: Sequence[Overlay], smoothing: str = "") -> list[str]:
    """What legends call spectra of others, each otherwise."""
    said = f"same area, {smoothing}" if smoothing else "same area"
    return [f"{formula_in_mathtext(name)} ({said})" for name in names_apart(overlays)]


def _ink() -> Any:
    import matplotlib as mpl

    return mpl.rcParams["text.color"]


def _ground() -> Any:
    import matplotlib as mpl

    return mpl.rcParams["axes.facecolor"]


def label_axes(ax: Any, shown: Curve) -> None:
    """Name the axes of a density of states where they have no names yet."""
    unit = _UNITS_IN_TEX.get(shown.unit, shown.unit)
    if not ax.get_xlabel():
        ax.set_xlabel(f"{'Wavenumber' if shown.unit == 'cm-1' else 'Frequency'} ({unit})")
    if not ax.get_ylabel():
        smooth = f",\n{_smoothed(shown.smoothing)}" if shown.smoothing else ""
        ax.set_ylabel(f"DoS (states/{unit} per {shown.per}{smooth})")


def plot_thermal(
    spectrum: DensityOfStates,
    ax: Any = None,
    *,
    quantity: Quantity = "heat_capacity",
    temperatures: ArrayLike | None = None,
    energy_units: EnergyUnit = "kJ/mol",
    band: float | None = INTERVAL_LEVEL,
    label: str | None = None,
    color: str | None = None,
) -> Any:
    """Draw a thermal property over temperature with its calibrated interval.

    Parameters
    ----------
    spectrum : DensityOfStates
    ax : matplotlib.axes.Axes, optional
        A new figure's, with a legend, if not given.
    quantity : {"heat_capacity", "entropy", "free_energy", "internal_energy"}
    temperatures : array_like, optional
        K, ascending; 0 to 1000 if not given.
    energy_units : {"kJ/mol", "meV", "eV", "kB"}
        "kJ/mol" stands for J/(K mol), too, "meV" for meV/K, "kB" for k_B and k_B K.
    band : float, optional
        Level of the interval; None for no band.
    label, color : str, optional

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    SpectrumError
        If quantity, unit or a temperature are not such, or the axes hold curves in other units.
    """
    new = ax is None
    if temperatures is not None:
        temperatures = ascending_temperatures(temperatures)
    shown = thermal_curve(
        spectrum, quantity, temperatures, energy_units=energy_units, band=band, name=label
    )
    ax = axes(ax)
    line = draw_thermal(ax, shown, color=color, label=label)
    if label is None:
        tell_apart(ax, line, spectrum, shown.name)
    label_thermal(ax, shown)
    if new:
        legend_above(ax)
    return ax


def draw_thermal(
    ax: Any,
    shown: ThermalCurve,
    *,
    color: str | None = None,
    label: str | None = None,
    turn: int = 0,
) -> Any:
    """Draw a thermal property with its band; returns the line."""
    _keep_units(ax, shown.unit, shown.per)
    style: dict[str, Any] = {} if color is None else {"color": color}
    label = formula_in_mathtext(shown.name) if label is None else label
    dashes = _DASHES[turn % len(_DASHES)]
    one = len(shown.temperatures) == 1  # a point with its bar
    if one:
        style |= {"marker": "o", "ms": 3}
    (line,) = ax.plot(shown.temperatures, shown.values, label=label, ls=dashes, zorder=3, **style)
    _DRAWN[line] = (shown.unit, shown.per)
    if not one:
        line.sticky_edges.x.extend([float(shown.temperatures[0]), float(shown.temperatures[-1])])
    if shown.quantity in ("heat_capacity", "entropy"):
        line.sticky_edges.y.append(0.0)
    if shown.low is not None and shown.high is not None:
        ax.fill_between(
            shown.temperatures,
            shown.low,
            shown.high,
            color=line.get_color(),
            alpha=0.22,
            lw=4 if one else 0,
            label=_unnamed(ax, shown.band),
        )
    return line


def label_thermal(ax: Any, shown: ThermalCurve) -> None:
    """Name the axes of a thermal property where they have no names yet."""
    if not ax.get_xlabel():
        ax.set_xlabel("Temperature (K)")
    if not ax.get_ylabel():
        unit = _UNITS_IN_TEX.get(shown.unit, shown.unit)
        ax.set_ylabel(f"{_THERMAL_NAMES[shown.quantity]} ({unit} per {shown.per})")


def draw_classical_limit(ax: Any, energy_units: EnergyUnit) -> None:
    """A line at 3R, the limit of the heat capacity per atom, below its curves."""
    limit = 3 * constants().gas_constant * energy_unit("heat_capacity", energy_units)[1]
    ax.axhline(limit, color="0.5", lw=0.7, ls="--", zorder=1)
    ax.annotate(
        "$3R$" if energy_units == "kJ/mol" else "$3k_B$",
        (0.02, limit),
        xycoords=ax.get_yaxis_transform(),
        va="bottom",
        fontsize="small",
        color="0.5",
    )
    ax.margins(y=0.1)
