"""Figures of one or many spectra: overlaid, in a waterfall, or side by side."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from ase_e3dos.errors import SpectrumError
from ase_e3dos.export.curves import (
    MOST_SITES,
    Curve,
    FrequencyUnit,
    Projection,
    beyond,
    common_range,
    curve,
    formula_in_mathtext,
    names_of,
)
from ase_e3dos.export.overlays import Overlay, refuse_overlays
from ase_e3dos.export.plots.spectrum import (
    colours_in_cycle,
    curve_label,
    draw_classical_limit,
    draw_curve,
    draw_overlay,
    draw_thermal,
    label_axes,
    label_thermal,
    overlay_name,
)
from ase_e3dos.export.plots.styles import axes, capped, figure_style, legend_above
from ase_e3dos.export.thermal_curves import (
    PANELS,
    EnergyUnit,
    Panel,
    ascending_temperatures,
    drawn_temperatures,
    thermal_curve,
)
from ase_e3dos.export.writing import save_figure
from ase_e3dos.spectrum.density_of_states import DensityOfStates
from ase_e3dos.spectrum.uncertainty import INTERVAL_LEVEL

Layout = Literal["auto", "overlay", "waterfall", "grid"]
#: More spectra than these are drawn side by side, if no layout is asked for.
MOST_OVERLAID = 6
_WIDTH = 6.8  # inches: two columns of a journal
#: Sites whose names find room in a panel beside others.
_SITES_BESIDE = 6
_GREY = "0.45"


def plot_spectra(
    spectra: Sequence[DensityOfStates],
    ax: Any = None,
    *,
    units: FrequencyUnit = "THz",
    waterfall: bool = False,
    band: float | None = INTERVAL_LEVEL,
    smoothing: float = 0.0,
    labels: Sequence[str] | None = None,
    overlays: Sequence[Overlay] = (),
) -> Any:
    """Draw densities of states per atom on one pair of axes.

    Parameters
    ----------
    spectra : sequence of DensityOfStates
    ax : matplotlib.axes.Axes, optional
        A new figure's, with a legend, if not given.
    units : {"THz", "cm-1", "meV"}
    waterfall : bool
        Each above the one before, with its name at its end.
    band : float, optional
        Level of the calibrated intervals; None for no bands.
    smoothing : float
        As for `plot_spectrum`.
    labels : sequence of str, optional
        Formulas, with the files' names where they repeat, if not given.
    overlays : sequence of Overlay, optional
        Spectra of others, scaled to the area of one.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    SpectrumError
        If there are no spectra, units are unknown or not those of the axes, smoothing is not a
        width, or a waterfall of several should have overlays.
    """
    new = ax is None
    curves = _curves(spectra, labels, units, None, band, smoothing)
    ax = axes(ax)
    if waterfall:
        refuse_overlays(len(curves), overlays)
        _waterfall(ax, curves)
    else:
        _overlay(ax, curves)
    for k, overlay in enumerate(overlays):
        draw_overlay(ax, overlay, curves[0].n_modes, units, k)
    if new and not waterfall:
        legend_above(ax, 3)
    return ax


def plot_summary(
    spectra: DensityOfStates | Sequence[DensityOfStates],
    path: str | Path | None = None,
    *,
    units: FrequencyUnit = "THz",
    t_max: float = 1000.0,
    temperatures: ArrayLike | None = None,
    projection: Projection | Literal["auto"] | None = "auto",
    stacked: bool = False,
    panels: Sequence[Panel] = ("dos", "heat_capacity"),
    layout: Layout = "auto",
    style: str | None = "publication",
    energy_units: EnergyUnit = "kJ/mol",
    band: float | None = INTERVAL_LEVEL,
    smoothing: float = 0.0,
    labels: Sequence[str] | None = None,
    overlays: Sequence[Overlay] = (),
) -> Any:
    """Figure of densities of states and thermal properties.

    Parameters
    ----------
    spectra : DensityOfStates or sequence of them
        With one, values are per what it is normalised to, and its elements are drawn as well;
        with several, everything is per atom.
    path : str or Path, optional
        File to write (png, pdf, svg, ...).
    units : {"THz", "cm-1", "meV"}
    t_max : float
        Highest temperature in K.
    temperatures : array_like, optional
        Temperatures in K instead, ascending.
    projection : {"auto", "element", "site", "species"}, mapping, or None
        "auto": elements, for a single spectrum with site densities and several elements. Of a
        single spectrum, or of each where they stand side by side. Crystals with more than twelve
        sites (six side by side) are drawn by element where sites are asked for, and the figure
        says so.
    stacked : bool
        Parts as areas upon each other instead of lines.
    panels : sequence of {"dos", "heat_capacity", "entropy", "free_energy", "internal_energy"}
    layout : {"auto", "overlay", "waterfall", "grid"}
        Several densities in one panel, one above the other, or each spectrum by itself: a panel
        of its density with its heat capacity at 300 K, of the one property that `panels` names,
        or a row of several panels. "auto" is "overlay" for six or fewer, else "grid".
    style : str, optional
        "publication", "phonopy", "dark", or a style of Matplotlib's; None leaves yours.
    energy_units : {"kJ/mol", "meV", "eV", "kB"}
        Of thermal properties.
    band : float, optional
        Level of the calibrated intervals; None for no bands.
    smoothing : float
        As for `plot_spectrum`.
    labels : sequence of str, optional
        Formulas, with the files' names where they repeat, if not given.
    overlays : sequence of Overlay, optional
        Spectra of others, scaled to the same area.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    SpectrumError
        If there are no spectra, or an option is not one of those above.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    chosen = [spectra] if isinstance(spectra, DensityOfStates) else list(spectra)
    _check(chosen, panels, layout)
    grid = layout == "grid" or (layout == "auto" and len(chosen) > MOST_OVERLAID)
    if projection == "auto":
        one = len(chosen) == 1 and chosen[0].site_density is not None
        projection = "element" if one and len(set(chosen[0].crystal.numbers)) > 1 else None
    if len(chosen) > 1 and not grid:
        projection = None
    most_sites = _SITES_BESIDE if grid and len(chosen) > 1 else MOST_SITES
    curves = _curves(chosen, labels, units, projection, band, smoothing, most_sites)
    kelvin = ascending_temperatures(
        drawn_temperatures(0.0, t_max) if temperatures is None else temperatures
    )
    with figure_style(style):
        figure = Figure(layout="constrained")
        FigureCanvasAgg(figure)
        if grid:
            _grid(figure, chosen, curves, panels, kelvin, energy_units, band, overlays, stacked)
        else:
            _row(figure, chosen, curves, panels, layout, kelvin, energy_units, band, overlays,
                 stacked)  # fmt: skip
        if path is not None:
            save_figure(figure, path)
    return figure


def _check(spectra: Sequence[DensityOfStates], panels: Sequence[str], layout: str) -> None:
    if not spectra:
        raise SpectrumError("There is no spectrum to draw: give one or more.")
    wrong = next((s for s in spectra if not isinstance(s, DensityOfStates)), None)
    if wrong is not None:
        raise SpectrumError(
            f"Only spectra can be drawn; there is a {type(wrong).__name__} among them ({wrong}). "
            "Leave out what could not be predicted."
        )
    if not panels or not set(panels) <= set(PANELS):
        raise SpectrumError(f"panels={tuple(panels)!r} has to be of {', '.join(PANELS)}.")
    if layout not in ("auto", "overlay", "waterfall", "grid"):
        raise SpectrumError(
            f"layout={layout!r} has to be 'auto', 'overlay', 'waterfall' or 'grid'."
        )


def _per(spectra: Sequence[DensityOfStates]) -> list[DensityOfStates]:
    """One as it is; several per atom, so that cells of any size compare."""
    return list(spectra) if len(spectra) == 1 else [s.per_atom() for s in spectra]


def _curves(
    spectra: Sequence[DensityOfStates],
    labels: Sequence[str] | None,
    units: FrequencyUnit,
    projection: Projection | None,
    band: float | None,
    smoothing: float,
    most_sites: int = MOST_SITES,
) -> list[Curve]:
    if not spectra:
        raise SpectrumError("There is no spectrum to draw: give one or more.")
    names = names_of(spectra) if labels is None else list(labels)
    if len(names) != len(spectra):
        raise SpectrumError(f"There are {len(names)} labels for {len(spectra)} spectra.")
    return [
        curve(
            s,
            units=units,
            projection=projection,
            band=band,
            smoothing=smoothing,
            name=name,
            most_sites=most_sites,
        )
        for s, name in zip(_per(spectra), names, strict=True)
    ]


def _row(
    figure: Any,
    spectra: Sequence[DensityOfStates],
    curves: Sequence[Curve],
    panels: Sequence[Panel],
    layout: str,
    kelvin: Any,
    energy_units: EnergyUnit,
    band: float | None,
    overlays: Sequence[Overlay],
    stacked: bool,
) -> None:
    """Panels beside each other, three in a row at most, under one legend."""
    waterfall = layout == "waterfall"
    rows = -(-len(panels) // 3) if len(panels) > 3 else 1
    columns = -(-len(panels) // rows)
    height = max(2.5 * rows, 0.45 * len(curves) + 1.2 if waterfall else 0.0)
    figure.set_size_inches(_WIDTH if columns > 1 else _WIDTH / 2, height + 0.3)
    ratios = [1.5 if len(panels) == 2 and p == "dos" else 1.0 for p in panels[:columns]]
    axes = figure.subplots(rows, columns, width_ratios=ratios, squeeze=False).ravel()
    handles: dict[str, Any] = {}
    for k, (ax, panel) in enumerate(zip(axes, panels, strict=False)):
        if panel == "dos":
            _dos_panel(ax, curves, waterfall, stacked, overlays)
        else:
            for i, (spectrum, shown) in enumerate(zip(_per(spectra), curves, strict=True)):
                thermal = thermal_curve(
                    spectrum, panel, kelvin, energy_units=energy_units, band=band, name=shown.name
                )
                name = curve_label(shown)
                draw_thermal(ax, thermal, label=name, turn=i // colours_in_cycle())
                label_thermal(ax, thermal)
            if panel == "heat_capacity" and curves[0].per == "atom":
                draw_classical_limit(ax, energy_units)
        if len(panels) > 1:
            ax.set_title(f"({'abcdefgh'[k]})", loc="left", fontsize="medium")
        if not (waterfall and panel == "dos"):
            _collect(ax, handles)
    for ax in axes[len(panels) :]:
        ax.axis("off")
    _legend(figure, handles, columns)


def _dos_panel(
    ax: Any,
    curves: Sequence[Curve],
    waterfall: bool,
    stacked: bool,
    overlays: Sequence[Overlay],
) -> None:
    if waterfall:
        refuse_overlays(len(curves), overlays)
        _waterfall(ax, curves)
    else:
        _overlay(ax, curves, stacked)
    for k, overlay in enumerate(overlays):
        draw_overlay(ax, overlay, curves[0].n_modes, curves[0].unit, k)


def _collect(ax: Any, handles: dict[str, Any]) -> None:
    """Legend entries, each once, bands in grey as they are of all curves alike."""
    from matplotlib.collections import FillBetweenPolyCollection
    from matplotlib.patches import Patch

    for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
        band = isinstance(handle, FillBetweenPolyCollection) and (handle.get_alpha() or 1) < 0.3
        handles.setdefault(label, Patch(color="0.5", alpha=0.35, lw=0) if band else handle)


def _legend(figure: Any, handles: dict[str, Any], columns: int) -> None:
    """A legend above all panels, for which a figure of many grows."""
    if not handles:
        return
    from matplotlib.patches import Patch

    # bands last, after all that is named
    bands = [n for n in handles if type(handles[n]) is Patch]
    named = [n for n in handles if n not in bands]
    entries, names = capped([handles[n] for n in named], named)
    entries, names = entries + [handles[n] for n in bands], names + bands
    ncols = _columns_that_fit(names, 122 if columns > 1 else 60)
    rows = -(-len(names) // ncols)
    if rows > 2:
        figure.set_figheight(figure.get_figheight() + 0.14 * (rows - 2))
    figure.legend(entries, names, loc="outside upper left", ncols=ncols)


def _columns_that_fit(names: Sequence[str], room: int) -> int:
    """Most columns of a legend whose widest names, with their lines, fit into so many letters."""
    widths = np.array([len(re.sub(r"[${}_]", "", name)) + 7 for name in names])
    for ncols in range(min(len(names), 8), 1, -1):
        if sum(int(column.max()) for column in np.array_split(widths, ncols)) <= room:
            return ncols
    return 1


def _overlay(ax: Any, curves: Sequence[Curve], stacked: bool = False) -> None:
    for k, shown in enumerate(curves):
        alpha = 0.22 if len(curves) < 3 else 0.12
        draw_curve(ax, shown, stacked=stacked, alpha=alpha, turn=k // colours_in_cycle())
    label_axes(ax, curves[0])
    _limit(ax, curves)


def _limit(ax: Any, curves: Sequence[Curve]) -> None:
    """Leave out what would stretch the axis, and say so; limits of the user's stay."""
    low, high = common_range(curves)
    said = beyond(curves, high)
    if not said or not ax.get_autoscalex_on():
        return
    ax.set_xlim(min(low, 0.0), high, auto=None)
    _write(ax, said)


def _write(ax: Any, lines: Sequence[str], colours: Sequence[Any] = ()) -> None:
    """Lines of small letters in the upper right corner of axes; the last ones in colours."""
    grey = [_GREY] * (len(lines) - len(colours))
    for k, (line, colour) in enumerate(zip(lines, [*grey, *colours], strict=True)):
        ax.annotate(
            line,
            (0.97, 0.96),
            (0.0, -8.5 * k),
            xycoords="axes fraction",
            textcoords="offset points",
            ha="right",
            va="top",
            fontsize="small",
            color=colour,
        )


def _waterfall(ax: Any, curves: Sequence[Curve]) -> None:
    """Each curve above the one before; names at the right, where the curves have ended."""
    step = 0.75 * max(float(c.y.max()) for c in curves)
    for k, shown in enumerate(curves):
        line = draw_curve(ax, shown, offset=k * step, turn=k // colours_in_cycle())
        ax.axhline(k * step, color=line.get_color(), lw=0.4, alpha=0.6, zorder=1)
        ax.annotate(
            formula_in_mathtext(shown.name),
            (1.01, k * step),
            xycoords=ax.get_yaxis_transform(),
            va="bottom",
            fontsize="small",
            color=line.get_color(),
        )
    label_axes(ax, curves[0])
    ax.set_ylabel(f"{ax.get_ylabel()},\neach {step:.2g} higher")
    ax.set_yticks([k * step for k in range(len(curves))], ["0"] * len(curves))
    _limit(ax, curves)


def _grid(
    figure: Any,
    spectra: Sequence[DensityOfStates],
    curves: Sequence[Curve],
    panels: Sequence[Panel],
    kelvin: Any,
    energy_units: EnergyUnit,
    band: float | None,
    overlays: Sequence[Overlay],
    stacked: bool,
) -> None:
    """Each spectrum in a panel of its own, or in a row of several panels, on common axes."""
    compact = len(panels) == 1 or tuple(panels) == ("dos", "heat_capacity")
    columns = min(4, int(np.ceil(np.sqrt(len(curves))))) if compact else len(panels)
    rows = -(-len(curves) // columns) if compact else len(curves)
    figure.set_size_inches(_WIDTH, (1.25 if compact else 1.4) * rows + 0.5)
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True if compact else "col")
    shown_panels = panels[:1] if compact else panels
    places = iter(axes.ravel())
    named = {c.band for c in curves} | {overlay_name(o) for o in overlays}
    handles: dict[str, Any] = {}
    for k, (spectrum, shown) in enumerate(zip(_per(spectra), curves, strict=True)):
        for panel in shown_panels:
            ax = next(places)
            if panel == "dos":
                said = []
                if len(panels) > len(shown_panels):
                    heat = thermal_curve(spectrum, temperatures=[300.0], energy_units=energy_units)
                    said = [f"$C_V$ {heat.values[0]:.3g}"]
                _dos_cell(ax, shown, curves, overlays, stacked, said)
                label_axes(ax, shown)
            else:
                thermal = thermal_curve(
                    spectrum, panel, kelvin, energy_units=energy_units, band=band, name=shown.name
                )
                draw_thermal(ax, thermal, color="C0")
                label_thermal(ax, thermal)
                named.add(thermal.band)
            if panel == shown_panels[0]:
                ax.set_title(formula_in_mathtext(shown.name), loc="left", fontsize="medium")
            _collect(ax, handles)
            x_label, y_label = ax.get_xlabel(), ax.get_ylabel()
            if compact or k < len(curves) - 1:
                ax.set_xlabel("")
            per = f" per {shown.per}"
            ax.set_ylabel("" if compact else y_label.replace(per, per.replace(" ", "\n", 1)))
    for ax in places:
        ax.axis("off")
    if compact:
        if len(panels) > 1:
            unit = heat.unit.replace("k_B", "$k_B$")
            y_label = f"DoS; $C_V$ at 300 K in {unit}, per {curves[0].per}"
        figure.supxlabel(x_label, fontsize="medium")
        figure.supylabel(y_label, fontsize="medium")
    _legend(figure, {n: h for n, h in handles.items() if n in named}, columns)


def _dos_cell(
    ax: Any,
    shown: Curve,
    curves: Sequence[Curve],
    overlays: Sequence[Overlay],
    stacked: bool,
    said: list[str],
) -> None:
    """One density among others, with what there is to say of it in its corner."""
    low, high = common_range(curves)
    line = draw_curve(ax, shown, stacked=stacked, color=None if shown.parts else "C0")
    for i, overlay in enumerate(overlays):
        draw_overlay(ax, overlay, shown.n_modes, shown.unit, i)
    said = [*said, *([shown.note] if shown.note else [])]
    for line in beyond([shown], high):
        said.append(line.partition(": ")[2].replace(" of the modes", ""))
    names = {formula_in_mathtext(name) for name, _ in shown.parts}
    entries = zip(*ax.get_legend_handles_labels(), strict=True)
    parts = [(h, n) for h, n in entries if n in names and h is not line]
    colours = [h.get_facecolor()[0] if stacked else h.get_color() for h, _ in parts]
    _write(ax, [*said, *(n for _, n in parts)], colours)
    ax.set_xlim(min(low, 0.0), high)
    ax.set_yticks([])
