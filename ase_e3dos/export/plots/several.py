"""Figures of one or many spectra: overlaid, in a waterfall, or side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from ase_e3dos.errors import SpectrumError
from ase_e3dos.export.curves import (
    Curve,
    FrequencyUnit,
    Projection,
    beyond,
    common_range,
    curve,
    formula_in_mathtext,
    names_of,
)
from ase_e3dos.export.overlays import Overlay
from ase_e3dos.export.plots.spectrum import (
    draw_classical_limit,
    draw_curve,
    draw_overlay,
    draw_thermal,
    label_axes,
    label_thermal,
)
from ase_e3dos.export.plots.styles import axes, figure_style, legend_above
from ase_e3dos.export.thermal_curves import (
    SYMBOLS,
    EnergyUnit,
    ascending_temperatures,
    drawn_temperatures,
    thermal_curve,
)
from ase_e3dos.export.writing import save_figure
from ase_e3dos.spectrum.density_of_states import DensityOfStates
from ase_e3dos.spectrum.uncertainty import INTERVAL_LEVEL

Layout = Literal["auto", "overlay", "waterfall", "grid"]
Panel = Literal["dos", "heat_capacity", "entropy", "free_energy", "internal_energy"]
#: More spectra than these are drawn side by side, if no layout is asked for.
MOST_OVERLAID = 6
_WIDTH = 6.8  # inches: two columns of a journal


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
        If there are no spectra, units are unknown or smoothing is not a width.
    """
    new = ax is None
    curves = _curves(spectra, labels, units, None, band, smoothing)
    ax = axes(ax)
    if waterfall:
        _refuse_overlays(curves, overlays)
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
        single spectrum, or of each where they stand side by side.
    stacked : bool
        Parts as areas upon each other instead of lines.
    panels : sequence of {"dos", "heat_capacity", "entropy", "free_energy", "internal_energy"}
    layout : {"auto", "overlay", "waterfall", "grid"}
        Several densities in one panel, one above the other, or each in a panel of its own with
        its heat capacity at 300 K; "auto" is "overlay" for six or fewer.
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
    curves = _curves(chosen, labels, units, projection, band, smoothing)
    kelvin = ascending_temperatures(
        drawn_temperatures(0.0, t_max) if temperatures is None else temperatures
    )
    with figure_style(style):
        figure = Figure(layout="constrained")
        FigureCanvasAgg(figure)
        if grid:
            _grid(figure, chosen, curves, overlays, stacked, energy_units)
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
    known = ("dos", *SYMBOLS)
    if not panels or not set(panels) <= set(known):
        raise SpectrumError(f"panels={tuple(panels)!r} has to be of {', '.join(known)}.")
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
) -> list[Curve]:
    if not spectra:
        raise SpectrumError("There is no spectrum to draw: give one or more.")
    names = names_of(spectra) if labels is None else list(labels)
    if len(names) != len(spectra):
        raise SpectrumError(f"There are {len(names)} labels for {len(spectra)} spectra.")
    return [
        curve(s, units=units, projection=projection, band=band, smoothing=smoothing, name=name)
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
            for spectrum, shown in zip(_per(spectra), curves, strict=True):
                thermal = thermal_curve(
                    spectrum, panel, kelvin, energy_units=energy_units, band=band, name=shown.name
                )
                draw_thermal(ax, thermal)
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
        _refuse_overlays(curves, overlays)
        _waterfall(ax, curves)
    else:
        _overlay(ax, curves, stacked)
    for k, overlay in enumerate(overlays):
        draw_overlay(ax, overlay, curves[0].n_modes, curves[0].unit, k)


def _refuse_overlays(curves: Sequence[Curve], overlays: Sequence[Overlay]) -> None:
    if overlays and len(curves) > 1:
        raise SpectrumError(
            "In a waterfall of several crystals nobody could tell to which of them the spectrum of "
            "others (overlays, --with) belongs: draw one crystal, or choose the layout 'overlay'."
        )


def _collect(ax: Any, handles: dict[str, Any]) -> None:
    """Legend entries, each once, bands in grey as they are of all curves alike."""
    from matplotlib.collections import FillBetweenPolyCollection
    from matplotlib.patches import Patch

    for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
        band = isinstance(handle, FillBetweenPolyCollection) and (handle.get_alpha() or 1) < 0.3
        handles.setdefault(label, Patch(color="0.5", alpha=0.35, lw=0) if band else handle)


def _legend(figure: Any, handles: dict[str, Any], columns: int) -> None:
    if not handles:
        return
    from matplotlib.patches import Patch

    # bands last, after all that is named
    order = sorted(handles, key=lambda n: type(handles[n]) is Patch)
    longest = max(map(len, order))
    figure.legend(
        [handles[n] for n in order],
        order,
        loc="outside upper left",
        ncols=max(1, min(len(order), (110 if columns > 1 else 55) // (longest + 8))),
    )


def _overlay(ax: Any, curves: Sequence[Curve], stacked: bool = False) -> None:
    for shown in curves:
        draw_curve(ax, shown, stacked=stacked, alpha=0.22 if len(curves) < 3 else 0.12)
    label_axes(ax, curves[0])
    _limit(ax, curves)


def _limit(ax: Any, curves: Sequence[Curve]) -> None:
    """Leave out what would stretch the axis, and say so; limits of the user's stay."""
    low, high = common_range(curves)
    said = beyond(curves, high)
    if not said or not ax.get_autoscalex_on():
        return
    ax.set_xlim(min(low, 0.0), high, auto=None)
    ax.annotate(
        "\n".join(said),
        (0.98, 0.97),
        xycoords="axes fraction",
        ha="right",
        va="top",
        fontsize="small",
        color="0.45",
    )


def _waterfall(ax: Any, curves: Sequence[Curve]) -> None:
    """Each curve above the one before; names at the right, where the curves have ended."""
    step = 0.75 * max(float(c.y.max()) for c in curves)
    low, high = common_range(curves)
    for k, shown in enumerate(curves):
        line = draw_curve(ax, shown, offset=k * step, name_band=k == 0)
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
    ax.set_ylabel(f"{ax.get_ylabel()}, each {step:.2g} higher")
    ax.set_yticks([])
    if ax.get_autoscalex_on():
        ax.set_xlim(min(low, 0.0), high, auto=None)


def _grid(
    figure: Any,
    spectra: Sequence[DensityOfStates],
    curves: Sequence[Curve],
    overlays: Sequence[Overlay],
    stacked: bool,
    energy_units: EnergyUnit,
) -> None:
    """Each density in a panel of its own, on one frequency axis."""
    columns = min(4, int(np.ceil(np.sqrt(len(curves)))))
    rows = -(-len(curves) // columns)
    figure.set_size_inches(_WIDTH, 1.25 * rows + 0.5)
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True)
    low, high = common_range(curves)
    handles: dict[str, Any] = {}
    for k, (ax, shown, spectrum) in enumerate(
        zip(axes.ravel(), curves, _per(spectra), strict=False)
    ):
        draw_curve(ax, shown, stacked=stacked, color="C0" if not shown.parts else None)
        for i, overlay in enumerate(overlays):
            draw_overlay(ax, overlay, shown.n_modes, shown.unit, i)
        heat = thermal_curve(spectrum, "heat_capacity", [300.0], energy_units=energy_units)
        ax.set_title(formula_in_mathtext(shown.name), loc="left", fontsize="medium")
        said = [f"$C_V$ {heat.values[0]:.3g}"]
        above = beyond([shown], high)
        if above:
            said.append(above[0].partition(": ")[2].replace(" of the modes", ""))
        ax.annotate(
            "\n".join(said),
            (0.97, 0.95),
            xycoords="axes fraction",
            ha="right",
            va="top",
            fontsize="small",
            color="0.45",
        )
        ax.set_yticks([])
        _collect(ax, {} if k else handles)
    handles.pop(formula_in_mathtext(curves[0].name), None)
    for ax in axes.ravel()[len(curves) :]:
        ax.axis("off")
    axes[0, 0].set_xlim(min(low, 0.0), high)
    unit = {"cm-1": "cm$^{-1}$"}.get(curves[0].unit, curves[0].unit)
    figure.supxlabel(f"{'Wavenumber' if curves[0].unit == 'cm-1' else 'Frequency'} ({unit})",
                     fontsize="medium")  # fmt: skip
    per_kelvin = thermal_curve(_per(spectra)[0], temperatures=[300.0], energy_units=energy_units)
    figure.supylabel(
        f"DoS; $C_V$ at 300 K in {per_kelvin.unit.replace('k_B', '$k_B$')}, per {curves[0].per}",
        fontsize="medium",
    )
    _legend(figure, handles, columns)
