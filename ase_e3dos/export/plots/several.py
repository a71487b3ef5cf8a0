"""Densities of several spectra on one pair of axes: overlaid, or in a waterfall."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ase_e3dos.errors import SpectrumError
from ase_e3dos.export.curves import (
    MOST_SITES,
    Curve,
    FrequencyUnit,
    Projection,
    beyond,
    common_range,
    curve,
)
from ase_e3dos.export.names import formula_in_mathtext, names_of
from ase_e3dos.export.overlays import Overlay, refuse_overlays
from ase_e3dos.export.plots.line_names import tell_apart
from ase_e3dos.export.plots.notes import make_room, write_notes
from ase_e3dos.export.plots.spectrum import (
    colours_in_cycle,
    draw_curve,
    draw_overlays,
    is_curve,
    label_axes,
)
from ase_e3dos.export.plots.styles import axes, legend_above
from ase_e3dos.spectrum.density_of_states import DensityOfStates
from ase_e3dos.spectrum.uncertainty import INTERVAL_LEVEL


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

    Spectra that lie on one another are one line with their names, save in a waterfall.

    Parameters
    ----------
    spectra : sequence of DensityOfStates
    ax : matplotlib.axes.Axes, optional
        A new figure's, with a legend, if not given.
    units : {"THz", "cm-1", "meV"}
    waterfall : bool
        Each above the one before, with its name at its end: beside new axes, inside yours.
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
    curves = curves_of(spectra, labels, units=units, band=band, smoothing=smoothing)
    groups = [[k] for k in range(len(curves))]
    if not waterfall:
        curves, groups = together(curves)
    ax = axes(ax)
    before = len(ax.lines)
    notes = draw_densities(ax, curves, waterfall=waterfall, overlays=overlays, inside=not new)
    if labels is None and not waterfall:
        lines = [line for line in ax.lines[before:] if is_curve(line)]
        for line, shown, group in zip(lines, curves, groups, strict=True):
            if len(group) == 1:
                tell_apart(ax, line, spectra[group[0]], shown.name)
    if new and not waterfall:
        legend_above(ax, 3)
    if new and notes:
        ax.figure.draw_without_rendering()
    make_room(ax, notes)
    return ax


def per_atom_if_several(spectra: Sequence[DensityOfStates]) -> list[DensityOfStates]:
    """One as it is; several per atom, so that cells of any size compare."""
    return list(spectra) if len(spectra) == 1 else [s.per_atom() for s in spectra]


def curves_of(
    spectra: Sequence[DensityOfStates],
    labels: Sequence[str] | None = None,
    *,
    units: FrequencyUnit = "THz",
    projection: Projection | None = None,
    band: float | None = INTERVAL_LEVEL,
    smoothing: float = 0.0,
    most_sites: int = MOST_SITES,
) -> list[Curve]:
    """Curves of one spectrum per what it is normalised to, or of several per atom.

    Parameters
    ----------
    spectra : sequence of DensityOfStates
    labels : sequence of str, optional
        As for `plot_spectra`.
    units, projection, band, smoothing, most_sites
        As for `ase_e3dos.export.curves.curve`.

    Returns
    -------
    list of Curve

    Raises
    ------
    SpectrumError
        If there are no spectra, or there is not a label for each.
    """
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
        for s, name in zip(per_atom_if_several(spectra), names, strict=True)
    ]


#: Share of the width of axes that a name inside them may take.
_LONGEST = 0.6
#: More curves than these on one another are counted in their name.
_MOST_TOGETHER = 3


def together(curves: Sequence[Curve]) -> tuple[list[Curve], list[list[int]]]:
    """One curve for those that the eye cannot tell apart, with the names of all.

    Parameters
    ----------
    curves : sequence of Curve

    Returns
    -------
    curves : list of Curve
    groups : list of list of int
        For each of them, which of the curves given it stands for.
    """
    groups: list[list[int]] = []
    for k, shown in enumerate(curves):
        same = next((g for g in groups if shown.lies_on(curves[g[0]])), None)
        if same is None:
            groups.append([k])
        else:
            same.append(k)
    return [_named_together([curves[k] for k in group]) for group in groups], groups


def _named_together(curves: Sequence[Curve]) -> Curve:
    if len(curves) == 1:
        return curves[0]
    names = [c.name for c in curves]
    if len(names) > _MOST_TOGETHER:
        names = [names[0], f"{len(names) - 1} more"]
    return replace(curves[0], name=" and ".join(names), note="each")


def draw_densities(
    ax: Any,
    curves: Sequence[Curve],
    *,
    waterfall: bool = False,
    stacked: bool = False,
    overlays: Sequence[Overlay] = (),
    inside: bool = False,
) -> list[Any]:
    """Draw curves, overlays and labels of axes.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    curves : sequence of Curve
    waterfall, stacked : bool
        As for `plot_spectra` and `plot_spectrum`.
    overlays : sequence of Overlay
    inside : bool
        Names of a waterfall inside the axes, which may have no room beside them.

    Returns
    -------
    list of matplotlib.text.Annotation
        Notes that are to have room (`ase_e3dos.export.plots.notes.make_room`).
    """
    if waterfall:
        refuse_overlays(len(curves), overlays)
        names = _waterfall(ax, curves, stacked, inside)
    else:
        for k, shown in enumerate(curves):
            alpha = 0.22 if len(curves) < 3 else 0.12
            draw_curve(ax, shown, stacked=stacked, alpha=alpha, turn=k // colours_in_cycle())
    draw_overlays(ax, overlays, curves[0])
    label_axes(ax, curves[0])
    if waterfall and len(curves) > 1:
        ax.set_ylabel(f"{ax.get_ylabel()},\neach {_step(curves):.2g} higher")
    notes = _limit(ax, curves)  # when nothing more is drawn, which would move the limits again
    if waterfall and inside:
        _widen(ax, names)
    return notes


def _waterfall(ax: Any, curves: Sequence[Curve], stacked: bool, inside: bool) -> list[Any]:
    """Each curve above the one before; returns their names, which are at the right."""
    step = _step(curves)
    names = []
    for k, shown in enumerate(curves):
        line = draw_curve(ax, shown, stacked=stacked, offset=k * step, turn=k // colours_in_cycle())
        ax.axhline(k * step, color=line.get_color(), lw=0.4, alpha=0.6, zorder=1)
        name = ax.annotate(
            formula_in_mathtext(shown.name),
            (0.985 if inside else 1.01, k * step),
            xycoords=ax.get_yaxis_transform(),
            ha="right" if inside else "left",
            va="bottom",
            fontsize="small",
            color=line.get_color(),
            zorder=5,
        )
        names.append(name)
    if len(curves) > 1:
        ax.set_yticks([k * step for k in range(len(curves))], ["0"] * len(curves))
    return names


def _widen(ax: Any, names: Sequence[Any]) -> None:
    """Let axes go on at the right, where the names are, unless the user has set their limits."""
    frame = ax.get_window_extent()
    for name in names:  # too long for the axes: smaller
        share = name.get_window_extent().width / (_LONGEST * frame.width)
        name.set_fontsize(name.get_fontsize() / max(share, 1.0))
    widest = max(name.get_window_extent().width for name in names) / frame.width
    if not ax.get_autoscalex_on():
        for name in names:  # which may lie on curves
            name.set_bbox({"fc": ax.get_facecolor(), "alpha": 0.75, "lw": 0, "pad": 0.5})
        return
    left, right = ax.get_xlim()
    ax.set_xlim(left, left + (right - left) / (1 - widest - 0.03), auto=None)


def _step(curves: Sequence[Curve]) -> float:
    """How much higher than the one before each curve of a waterfall is."""
    return 0.75 * max(float(c.y.max()) for c in curves)


def _limit(ax: Any, curves: Sequence[Curve]) -> list[Any]:
    """Leave out what would stretch the axis, and say so; limits of the user's stay."""
    low, high = common_range(curves)
    said = beyond(curves, high)
    if not said or not ax.get_autoscalex_on():
        return []
    ax.set_xlim(min(low, 0.0), high, auto=None)
    return write_notes(ax, said)
