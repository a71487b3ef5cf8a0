"""Figures of panels: densities of states and thermal properties of one or many spectra."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

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
    refuse_no_parts,
)
from ase_e3dos.export.names import formula_in_mathtext
from ase_e3dos.export.overlays import Overlay, refuse_overlays
from ase_e3dos.export.plots.legend import FigureLegend
from ase_e3dos.export.plots.notes import make_room, write_notes
from ase_e3dos.export.plots.several import (
    curves_of,
    draw_densities,
    per_atom_if_several,
    together,
)
from ase_e3dos.export.plots.side_labels import fit_side_label
from ase_e3dos.export.plots.spectrum import (
    colours_in_cycle,
    curve_label,
    draw_classical_limit,
    draw_curve,
    draw_overlays,
    draw_thermal,
    first_colour,
    label_axes,
    label_thermal,
)
from ase_e3dos.export.plots.styles import figure_style
from ase_e3dos.export.thermal_curves import (
    EnergyUnit,
    Panel,
    ThermalCurve,
    ascending_temperatures,
    check_panels,
    drawn_temperatures,
    thermal_curve,
)
from ase_e3dos.export.writing import save_figure
from ase_e3dos.spectrum.density_of_states import DensityOfStates
from ase_e3dos.spectrum.grid import Array
from ase_e3dos.spectrum.uncertainty import INTERVAL_LEVEL

Layout = Literal["auto", "overlay", "waterfall", "grid"]
#: More spectra than these are drawn side by side, if no layout is asked for.
MOST_OVERLAID = 6
_WIDTH = 6.8  # inches: two columns of a journal
#: What a figure shows if nothing is asked for.
_PANELS: tuple[Panel, ...] = ("dos", "heat_capacity")
#: Sites whose names find room in a panel beside others.
_SITES_BESIDE = 6


def plot_summary(
    spectra: DensityOfStates | Sequence[DensityOfStates],
    path: str | Path | None = None,
    *,
    units: FrequencyUnit = "THz",
    t_max: float = 1000.0,
    temperatures: ArrayLike | None = None,
    projection: Projection | Literal["auto"] | None = "auto",
    stacked: bool = False,
    panels: Sequence[Panel] | None = None,
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
        "auto": elements, for a single spectrum with site densities and several elements, and
        where they are to be stacked. Several spectra with parts stand side by side. Crystals with
        more than twelve sites (six side by side) are drawn by element where sites are asked for,
        and the figure says so.
    stacked : bool
        Parts as areas upon each other instead of lines.
    panels : sequence of {"dos", "heat_capacity", "entropy", "free_energy", "internal_energy"}
        Each once; the density and the heat capacity if not given.
    layout : {"auto", "overlay", "waterfall", "grid"}
        Several densities in one panel, one above the other, or each spectrum by itself: a panel
        of its density with its heat capacity at 300 K, or what `panels` names: one panel, or a
        row of several. "auto" is "overlay" for six or fewer without parts, else "grid".
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
        If there are no spectra, an option is not one of those above, or does not go with the
        others (see `check_summary`).
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    chosen = [spectra] if isinstance(spectra, DensityOfStates) else list(spectra)
    _check_spectra(chosen)
    shown_panels = _PANELS if panels is None else panels
    check_summary(
        len(chosen),
        projection=projection,
        stacked=stacked,
        panels=shown_panels,
        layout=layout,
        style=style,
        smoothing=smoothing,
        overlays=overlays,
    )
    grid = _side_by_side(len(chosen), layout, _parts_asked(projection, stacked))
    if projection == "auto":
        one = len(chosen) == 1 and chosen[0].site_density is not None
        elements = one and len(set(chosen[0].crystal.numbers)) > 1
        projection = "element" if stacked or elements else None
    curves = curves_of(
        chosen,
        labels,
        units=units,
        projection=projection,
        band=band,
        smoothing=smoothing,
        most_sites=_SITES_BESIDE if grid and len(chosen) > 1 else MOST_SITES,
    )
    shown_spectra = per_atom_if_several(chosen)
    if not grid and layout != "waterfall" and len(chosen) > 1:
        curves, groups = together(curves)
        shown_spectra = [shown_spectra[group[0]] for group in groups]
    kelvin = drawn_temperatures(0.0, t_max) if temperatures is None else temperatures
    content = _Content(
        shown_spectra, curves, shown_panels, ascending_temperatures(kelvin),
        energy_units, band, overlays, stacked, compact=panels is None or len(panels) == 1,
    )  # fmt: skip
    with figure_style(style):
        figure = Figure(layout="constrained")
        FigureCanvasAgg(figure)
        notes = _grid(figure, content) if grid else _row(figure, content, layout == "waterfall")
        if any(notes.values()):
            figure.draw_without_rendering()  # sizes are known from here on
        for ax, lines in notes.items():
            make_room(ax, lines)
        if path is not None:
            save_figure(figure, path)
    return figure


def check_summary(
    n_spectra: int,
    *,
    projection: Projection | Literal["auto"] | None = "auto",
    stacked: bool = False,
    panels: Sequence[str] = _PANELS,
    layout: str = "auto",
    style: str | None = None,
    smoothing: float = 0.0,
    overlays: Sequence[Overlay] = (),
) -> None:
    """Refuse options of `plot_summary` that would have no effect or that no reader could follow.

    Parameters
    ----------
    n_spectra : int
    projection, stacked, panels, layout, style, smoothing, overlays
        As for `plot_summary`.

    Raises
    ------
    SpectrumError
        If panels, layout or style are unknown; parts are to be stacked without a projection, or
        are of several spectra upon one another; overlays are to go with a waterfall of several; or
        options of densities are given without a panel of them.
    """
    check_panels(
        panels, projection=projection, stacked=stacked, layout=layout, smoothing=smoothing,
        overlays=overlays,
    )  # fmt: skip
    if layout not in get_args(Layout):
        raise SpectrumError(f"layout={layout!r} has to be one of {', '.join(get_args(Layout))}.")
    figure_style(style)
    refuse_no_parts(projection, stacked)
    if layout == "waterfall":
        refuse_overlays(n_spectra, overlays)
    together = layout in ("overlay", "waterfall")
    if n_spectra > 1 and together and _parts_asked(projection, stacked):
        raise SpectrumError(
            f"Parts (projection, stacked) of several crystals in the layout {layout!r} could not "
            "be told apart. Choose the layout 'grid', with each crystal by itself, or no parts."
        )


def _parts_asked(projection: object, stacked: bool) -> bool:
    return stacked or projection not in ("auto", None)


def _side_by_side(n_spectra: int, layout: str, with_parts: bool) -> bool:
    if layout == "auto":
        return n_spectra > MOST_OVERLAID or (n_spectra > 1 and with_parts)
    return layout == "grid"


def _check_spectra(spectra: Sequence[object]) -> None:
    if not spectra:
        raise SpectrumError("There is no spectrum to draw: give one or more.")
    wrong = next((s for s in spectra if not isinstance(s, DensityOfStates)), None)
    if wrong is not None:
        raise SpectrumError(
            f"Only spectra can be drawn; there is a {type(wrong).__name__} among them ({wrong}). "
            "Leave out what could not be predicted."
        )


@dataclass(frozen=True)
class _Content:
    """What a figure shows, however it is laid out."""

    spectra: Sequence[DensityOfStates]
    curves: Sequence[Curve]
    panels: Sequence[Panel]
    kelvin: Array
    energy_units: EnergyUnit
    band: float | None
    overlays: Sequence[Overlay]
    stacked: bool
    compact: bool  # in a grid: one panel for each spectrum

    def thermal(self, k: int, panel: Any) -> ThermalCurve:
        """A thermal property of spectrum `k`."""
        return thermal_curve(
            self.spectra[k],
            panel,
            self.kelvin,
            energy_units=self.energy_units,
            band=self.band,
            name=self.curves[k].name,
        )


def _row(figure: Any, content: _Content, waterfall: bool) -> dict[Any, list[Any]]:
    """Panels beside each other, three in a row at most, under one legend; notes by their axes."""
    panels, curves = content.panels, content.curves
    rows = -(-len(panels) // 3) if len(panels) > 3 else 1
    columns = -(-len(panels) // rows)
    height = max(2.5 * rows, 0.45 * len(curves) + 1.2 if waterfall else 0.0)
    figure.set_size_inches(_WIDTH if columns > 1 else _WIDTH / 2, height + 0.3)
    ratios = [1.5 if len(panels) == 2 and p == "dos" else 1.0 for p in panels[:columns]]
    axes = figure.subplots(rows, columns, width_ratios=ratios, squeeze=False).ravel()
    legend = FigureLegend()
    notes: dict[Any, list[Any]] = {}
    for k, (ax, panel) in enumerate(zip(axes, panels, strict=False)):
        bands = {c.band for c in curves}
        if panel == "dos":
            notes[ax] = draw_densities(
                ax,
                curves,
                waterfall=waterfall,
                stacked=content.stacked,
                overlays=content.overlays,
            )
        else:
            bands = _thermal_panel(ax, content, panel)
        if len(panels) > 1:
            ax.set_title(f"({'abcdefgh'[k]})", loc="left", fontsize="medium")
        if not (waterfall and panel == "dos" and len(curves) > 1):  # which names curves itself
            legend.collect(ax, bands)
    for ax in axes[len(panels) :]:
        ax.axis("off")
    legend.draw(figure, columns)
    return notes


def _thermal_panel(ax: Any, content: _Content, panel: Panel) -> set[str]:
    """A thermal property of all spectra; returns what their intervals are called."""
    bands = set()
    for k, shown in enumerate(content.curves):
        thermal = content.thermal(k, panel)
        draw_thermal(ax, thermal, label=curve_label(shown), turn=k // colours_in_cycle())
        label_thermal(ax, thermal)
        bands.add(thermal.band)
    if panel == "heat_capacity" and content.curves[0].per == "atom":
        draw_classical_limit(ax, content.energy_units)
    return bands


def _grid(figure: Any, content: _Content) -> dict[Any, list[Any]]:
    """Each spectrum in a panel of its own, or in a row of several; notes by their axes."""
    panels, curves = content.panels, content.curves
    compact = content.compact
    columns = min(4, int(np.ceil(np.sqrt(len(curves))))) if compact else len(panels)
    rows = -(-len(curves) // columns) if compact else len(curves)
    figure.set_size_inches(_WIDTH, (1.25 if compact else 1.4) * rows + 0.5)
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True if compact else "col")
    shown_panels = panels[:1] if compact else panels
    places = iter(axes.ravel())
    legend = FigureLegend()
    notes: dict[Any, list[Any]] = {}
    for k, shown in enumerate(curves):
        for panel in shown_panels:
            ax = next(places)
            band = shown.band
            named: list[str] = []
            if panel == "dos":
                said = []
                if len(panels) > len(shown_panels):
                    heat = thermal_curve(
                        content.spectra[k], temperatures=[300.0], energy_units=content.energy_units
                    )
                    said = [f"$C_V$ {heat.values[0]:.3g}"]
                notes[ax], named = _density_cell(ax, shown, content, said)
                label_axes(ax, shown)
            else:
                thermal = content.thermal(k, panel)
                draw_thermal(ax, thermal, color=first_colour())
                label_thermal(ax, thermal)
                band = thermal.band
            if panel == shown_panels[0]:
                ax.set_title(formula_in_mathtext(shown.name), loc="left", fontsize="medium")
            legend.collect(ax, {band}, named)
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
            smoothed = y_label.partition(",\n")[2].removesuffix(")")
            y_label = f"DoS; $C_V$ at 300 K in {unit}, per {curves[0].per}"
            y_label += f"\nDoS {smoothed}" if smoothed else ""
        figure.supxlabel(x_label, fontsize="medium")
        side = figure.supylabel(y_label, fontsize="medium")
    legend.draw(figure, columns)
    if compact:
        fit_side_label(figure, side)
    return notes


def _density_cell(
    ax: Any, shown: Curve, content: _Content, said: list[str]
) -> tuple[list[Any], list[str]]:
    """One density among others: notes of what there is to say of it, and names of overlays."""
    low, high = common_range(content.curves)
    colour = None if shown.parts else first_colour()
    line = draw_curve(ax, shown, stacked=content.stacked, color=colour)
    others = draw_overlays(ax, content.overlays, shown)
    said = [*said, *([shown.note] if shown.note else [])]
    for text in beyond([shown], high):
        said.append(text.partition(": ")[2].replace(" of the modes", ""))
    drawn = shown.parts if content.stacked else shown.lines
    names = {formula_in_mathtext(name) for name, _ in drawn}
    entries = zip(*ax.get_legend_handles_labels(), strict=True)
    parts = [(h, n) for h, n in entries if n in names and h is not line]
    colours = [h.get_facecolor()[0][:3] if content.stacked else h.get_color() for h, _ in parts]
    notes = write_notes(ax, [*said, *(n for _, n in parts)], colours)
    ax.set_xlim(min(low, 0.0), high)
    ax.set_yticks([])
    return notes, others
