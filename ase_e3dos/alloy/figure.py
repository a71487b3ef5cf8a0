"""Waterfall of an alloy's spectra, and its thermal properties over composition."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ase_e3dos.alloy.comparison import AlloyComparison
from ase_e3dos.alloy.sweep import CompositionSweep, property_row
from ase_e3dos.analysis.neutron import unit_in_cm
from ase_e3dos.export.curves import interval_name
from ase_e3dos.export.samples import samples
from ase_e3dos.export.writing import save_figure
from ase_e3dos.spectrum.constants import constants
from ase_e3dos.spectrum.uncertainty import INTERVAL_LEVEL

if TYPE_CHECKING:
    from ase_e3dos.phonon_spectrum import PhononSpectrum

#: Wavenumbers and density.
Curve = tuple[NDArray[np.float64], NDArray[np.float64]]

_STYLE: Any = {
    "font.size": 8,
    "axes.linewidth": 0.7,
    "legend.frameon": False,
    "legend.fontsize": 7,
    "xtick.direction": "in",
    "ytick.direction": "in",
    "svg.fonttype": "none",
}
#: Of comparisons, told apart by colour-blind readers too.
_COLOURS = ("#D55E00", "#000000", "#CC79A7", "#009E73", "#56B4E9")
_DASHES = ("--", ":", "-.", (0, (5, 1)), (0, (1, 1)))
#: Curves drawn at most; more are thinned out evenly.
_MAX_CURVES = 21


def plot_sweep(
    sweep: CompositionSweep,
    path: str | Path | None = None,
    *,
    comparisons: Sequence[AlloyComparison] = (),
    temperature: float = 300.0,
    references: Sequence[tuple[float, NDArray[np.float64], NDArray[np.float64], str]] = (),
    paper_labels: bool = False,
    units: str = "cm-1",
) -> Any:
    """Draw the spectra one above the other, and three properties over the composition.

    Parameters
    ----------
    sweep : CompositionSweep
    path : str or Path, optional
        File to write (png, pdf, svg, ...).
    comparisons : sequence of AlloyComparison
        Drawn dashed at their compositions.
    temperature : float
        K, of C_V and S.
    references : sequence of (position, wavenumbers, density, label)
        Curves of others (measured or calculated): position on the axis of compositions,
        cm^-1, states/cm^-1 per atom, name.
    paper_labels : bool
        Draw the spectra as the paper's labels are made (smoothed), to compare with such
        references.
    units : {"cm-1", "THz", "meV"}
        Of the frequency axis.

    Returns
    -------
    matplotlib.figure.Figure
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(6.8, 4.6), layout="constrained")
        FigureCanvasAgg(figure)
        grid = figure.add_gridspec(3, 2, width_ratios=[1.5, 1])
        ax = figure.add_subplot(grid[:, 0])
        _waterfall(ax, sweep, comparisons, references, _label if paper_labels else _curve, units)
        axes = [figure.add_subplot(grid[i, 1]) for i in range(3)]
        _properties(axes, sweep, comparisons, temperature)
        if path is not None:
            save_figure(figure, path)
    return figure


def composition_axis(sweep: CompositionSweep) -> tuple[NDArray[np.float64], str]:
    """Positions of the compositions on an axis, and its label.

    The fraction of the second end member where there are two, else the place in the list.
    """
    if sweep.solution.n_members == 2:
        return sweep.fractions[:, 1], f"fraction of {sweep.solution.members[1].formula}"
    return np.arange(len(sweep), dtype=np.float64), "composition, upwards in (a)"


def _waterfall(
    ax: Any,
    sweep: CompositionSweep,
    comparisons: Sequence[AlloyComparison],
    references: Sequence[tuple[float, NDArray[np.float64], NDArray[np.float64], str]],
    curve: Callable[[PhononSpectrum], Curve],
    units: str,
) -> None:
    import matplotlib as mpl

    unit = unit_in_cm(units)
    positions, label = composition_axis(sweep)
    drawn = np.unique(np.linspace(0, len(sweep) - 1, min(len(sweep), _MAX_CURVES)).astype(int))
    curves = [(x / unit, y) for x, y in (curve(sweep.spectra[i]) for i in drawn)]
    span = float(np.ptp(positions)) or 1.0
    # a peak reaches over about five curves, at most a third of the axis
    scale = span * min(5.0 / len(drawn), 0.35) / max(y.max() for _, y in curves)
    colours = mpl.colormaps["viridis"](np.linspace(0.0, 0.85, len(drawn)))
    for i, (x, y), colour in zip(reversed(drawn), curves[::-1], colours[::-1], strict=True):
        at = float(positions[i])
        ax.fill_between(x, at, at + y * scale, color=colour, alpha=0.15, lw=0)
        ax.plot(x, at + y * scale, color=colour, lw=1.0)
    for k, comparison in enumerate(comparisons):
        name: str | None = comparison.name
        for p, spectrum in _shown(comparison):
            at = _position(sweep, p)
            x, y = curve(spectrum)
            style = {"color": _COLOURS[k % 5], "ls": _DASHES[k % 5], "lw": 0.8, "zorder": 4}
            ax.plot(x / unit, at + y * scale, label=name, **style)
            name = None
    for at, points, values, name in references:
        x, y = np.asarray(points) / unit, at + np.asarray(values) * scale
        ax.plot(x, y, "^-", ms=2.5, lw=0.6, color="0.25", zorder=5)
        place = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points"}
        text = ax.annotate(name, (1.0, at), (-3, 5), **place, ha="right", va="bottom", zorder=6)
        text.set_bbox({"fc": "white", "ec": "none", "pad": 0.8, "alpha": 0.85})
    ranges = [_visible(*drawn_curve) for drawn_curve in curves]
    room = 1.35 if references else 1.0  # for their names
    ax.set_xlim(min(0.0, *(r[0] for r in ranges)), room * max(r[1] for r in ranges))
    axis = "Wavenumber (cm$^{-1}$)" if units == "cm-1" else f"Frequency ({units})"
    ax.set(xlabel=axis, ylabel=f"DoS per atom, shifted by {label}")
    ax.set_title("(a)", loc="left", fontsize=8)
    if sweep.solution.n_members > 2:
        names = [sweep.spectra[i].crystal.formula for i in drawn]
        ax.set_yticks(positions[drawn], names, fontsize=6)
        ax.set_ylabel("DoS per atom")
    if comparisons:  # above the uppermost curve
        low, high = ax.get_ylim()
        ax.set_ylim(low, high + 0.05 * len(comparisons) * (high - low))
        ax.legend(loc="upper right")


def _properties(
    axes: Sequence[Any],
    sweep: CompositionSweep,
    comparisons: Sequence[AlloyComparison],
    temperature: float,
) -> None:
    positions, label = composition_axis(sweep)
    along = sweep.solution.n_members == 2  # else the order on the axis means nothing
    rows = sweep.table(temperature)
    names = {
        "mean_wavenumber": "mean freq.\n(cm$^{-1}$)",
        "heat_capacity": f"$C_V$({temperature:g} K)\n(J K$^{{-1}}$ mol$^{{-1}}$)",
        "entropy": f"$S$({temperature:g} K)\n(J K$^{{-1}}$ mol$^{{-1}}$)",
    }
    for ax, (name, title), letter in zip(axes, names.items(), "bcd", strict=True):
        y = np.array([getattr(row, name) for row in rows])
        style: Any = {"color": "#0072B2", "label": "prediction", "ms": 2.5}
        ax.plot(positions, y, "o-" if along else "o", lw=0.9, **style)
        if all(name in row.intervals for row in rows):
            low, high = np.array([row.intervals[name] for row in rows]).T
            if along:
                bars = ax.fill_between(positions, low, high, color="#0072B2", alpha=0.2, lw=0)
            else:
                bars = ax.vlines(positions, low, high, color="#0072B2", lw=0.7, alpha=0.6)
            if letter == "b":  # of all three alike
                ax.legend([bars], [interval_name(INTERVAL_LEVEL)], loc="best")
        for k, other in enumerate(comparisons):
            at = [_position(sweep, p) for p in other.fractions]
            pairs = zip(other.fractions, other.spectra, strict=True)
            values = [getattr(property_row(p, s, temperature), name) for p, s in pairs]
            line = along and len(at) > 2
            style = {"color": _COLOURS[k % 5], "lw": 0.9, "ms": 3, "label": other.name}
            ax.plot(
                at, values, ls=_DASHES[k % 5] if line else "", marker="" if line else "s", **style
            )
        ax.set_ylabel(title)
        ax.set_title(f"({letter})", loc="left", fontsize=8)
    axes[-1].set_xlabel(label)
    for ax in axes[:-1]:
        ax.tick_params(labelbottom=False)


def _label(spectrum: PhononSpectrum) -> Curve:
    """Wavenumbers, and the smoothed density per atom in states/cm^-1."""
    x = np.arange(0.0, spectrum.wavenumbers[-1], 5.0)
    return x, spectrum.per_atom().as_paper_label(x)


def _curve(spectrum: PhononSpectrum) -> Curve:
    """Wavenumbers, and density per atom in states/cm^-1."""
    thz_to_cm = constants().thz_to_cm
    points = samples(spectrum.per_atom())
    return points.frequencies * thz_to_cm, points.density / thz_to_cm


def _visible(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[float, float]:
    shown = x[y > 5e-3 * y.max()]
    return float(shown[0]), float(shown[-1]) * 1.05


def _shown(comparison: AlloyComparison) -> list[tuple[NDArray[np.float64], PhononSpectrum]]:
    """About five of the spectra, so that the curves below stay visible."""
    n = len(comparison.spectra)
    chosen = np.unique(np.linspace(0, n - 1, min(n, 5)).round().astype(int))
    return [(comparison.fractions[i], comparison.spectra[i]) for i in chosen]


def _position(sweep: CompositionSweep, p: NDArray[np.float64]) -> float:
    """Place of a composition on the axis of `composition_axis`."""
    if sweep.solution.n_members == 2:
        return float(p[1])
    return float(np.argmin(np.linalg.norm(sweep.fractions - p, axis=1)))
