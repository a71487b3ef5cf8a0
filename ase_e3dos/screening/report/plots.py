"""The report's figures as files, drawn by Matplotlib."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from ase.data import atomic_numbers

from ase_e3dos.export.writing import save_figure
from ase_e3dos.screening.report.figures import (
    ACCENT,
    GRID,
    INK,
    MUTED,
    WARM,
    WARNED,
    histogram_height,
    visible_range,
)
from ase_e3dos.screening.report.periodic_table import PLACES
from ase_e3dos.screening.report.statistics import HIGH, TOP, ScreenedSet

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_HEAT = r"$C_V$ / J kg$^{-1}$ K$^{-1}$"
_WAVENUMBER = r"wavenumber / cm$^{-1}$"


def write_plots(screened: ScreenedSet, directory: Path, suffix: str = "png") -> list[Path]:
    """Write every figure.

    Parameters
    ----------
    screened : ScreenedSet
        The screening's output.
    directory : Path
        Made if it is not there.
    suffix : str, optional
        Format: png, pdf, svg.

    Returns
    -------
    list of Path
        The files.
    """
    directory.mkdir(parents=True, exist_ok=True)
    made = []
    for name, draw in (
        ("elements", periodic_table),
        ("histogram", histogram),
        ("components", principal_components),
        ("mass", mass_trends),
        ("top", top_spectra),
    ):
        path = directory / f"{name}.{suffix}"
        save_figure(draw(screened), path, dpi=200, tight=True)
        made.append(path)
    return made


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def periodic_table(screened: ScreenedSet) -> Figure:
    """Mean specific heat of the materials that contain each element (figure 5a)."""
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.patches import Rectangle

    figure = _figure(9, 4.6)
    ax = figure.subplots()
    heats = [mean for mean, _ in screened.by_element.values()] or [0.0, 1.0]
    scale = Normalize(min(heats), max(heats))
    colors = colormaps["viridis"]
    for symbol, (row, column) in PLACES.items():
        found = screened.by_element.get(atomic_numbers[symbol])
        face: Any = "#f0f2f4" if found is None else colors(scale(found[0]))
        dark = found is not None and scale(found[0]) < 0.55
        ax.add_patch(Rectangle((column - 0.47, row - 0.47), 0.94, 0.94, facecolor=face))
        ink = MUTED if found is None else ("white" if dark else INK)
        ax.text(column, row, symbol, ha="center", va="center", color=ink, fontsize=9)
    ax.set(xlim=(-0.6, 17.6), ylim=(9.6, -0.6), aspect="equal")
    ax.axis("off")
    figure.colorbar(ScalarMappable(scale, "viridis"), ax=ax, label=_HEAT, shrink=0.7)
    return figure


def histogram(screened: ScreenedSet) -> Figure:
    """Numbers of materials by specific heat, with mean spectra of all and of the highest (5b)."""
    from matplotlib.ticker import MaxNLocator

    figure = _figure(6, 4)
    ax = figure.subplots()
    heat = screened.table["specific_heat"].to_numpy()
    edges = np.arange(0.0, heat.max(initial=HIGH) + 51, 50.0)
    counts, edges = np.histogram(heat, edges)
    colors = [WARM if start >= HIGH else ACCENT for start in edges[:-1]]
    ax.bar((edges[1:] + edges[:-1]) / 2, counts, 47.0, color=colors)
    ax.axvline(HIGH, 0.0, 0.36, color=WARM, lw=1, ls=":")
    share = f"{100 * screened.high_share:.1f} % above {HIGH:,.0f}"
    ax.text(HIGH, 0.32, f" {share}", color=WARM, transform=ax.get_xaxis_transform())
    ax.set(xlabel=_HEAT, ylabel="materials", ylim=(0.0, histogram_height(counts)))
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    inset = ax.inset_axes((0.46, 0.52, 0.52, 0.45))
    found, x = screened.components, screened.wavenumbers
    seen = visible_range(x, found.mean_high)
    means = [(found.mean_all, ACCENT, "mean of all")]
    if screened.has_top:
        means.insert(0, (found.mean_high, WARM, f"mean of the top {TOP}"))
    for y, color, name in means:
        inset.plot(x[seen], y[seen] / max(y.max(), 1e-30), color=color, label=name)
    inset.set(xlabel=_WAVENUMBER, yticks=[])
    inset.legend(fontsize=7, frameon=False)
    _tidy(ax, inset)
    return figure


def principal_components(screened: ScreenedSet) -> Figure:
    """Spectra along their first two principal components, coloured by specific heat (5c)."""
    figure = _figure(6, 5.4)
    top, ax = figure.subplots(2, height_ratios=(1, 3))
    found, x = screened.components, screened.wavenumbers
    _scatter(figure, ax, screened, found.scores[:, 0], found.scores[:, 1], "specific_heat", _HEAT)
    ax.set(xlabel="first principal component", ylabel="second principal component")
    seen = visible_range(x, np.abs(found.axes).max(axis=0))
    for k, color in ((0, INK), (1, WARM)):
        name = f"axis {k + 1} ({100 * found.explained[k]:.0f} %)"
        top.plot(x[seen], found.axes[k][seen], color=color, lw=1.3, label=name)
    top.set(xlabel=_WAVENUMBER, yticks=[])
    _legend_above(top)
    _tidy(ax, top)
    return figure


def mass_trends(screened: ScreenedSet) -> Figure:
    """Mean wavenumber against average mass, with the hyperbolic fit, and mass ratio (S1)."""
    figure = _figure(10, 4)
    left, right = figure.subplots(1, 2)
    shown = screened.table.iloc[screened.shown]
    mass, y = shown["average_mass"].to_numpy(), shown["mean_wavenumber"].to_numpy()
    _scatter(figure, left, screened, mass, y, "specific_heat", _HEAT)
    constant, quality = screened.rigidity
    if screened.has_mass_trend:
        line = np.geomspace(mass.min(), mass.max(), 200)
        label = rf"$C\,\bar m^{{-1/2}}$, $C$ = {constant:,.0f}, $R^2$ = {quality:.2f}"
        left.plot(line, constant / np.sqrt(line), color=INK, label=label)
        _legend_above(left)
    left.set(xlabel=r"average mass $\bar m$ / amu", ylabel=r"mean wavenumber / cm$^{-1}$")
    ratio = (shown["minimum_mass"] / shown["average_mass"]).to_numpy()
    _scatter(figure, right, screened, ratio, y, "average_mass", r"$\bar m$ / amu")
    right.set(xlabel=r"$m_{\mathrm{min}} / \bar m$", ylabel=r"mean wavenumber / cm$^{-1}$")
    _tidy(left, right)
    return figure


def top_spectra(screened: ScreenedSet, n_columns: int = 10) -> Figure:
    """Spectra of the highest specific heats (figure S14)."""
    rows = screened.table.iloc[: min(TOP, len(screened.table))]
    n_lines = max(-(-len(rows) // n_columns), 1)
    figure = _figure(14, 1.15 * n_lines)
    axes = figure.subplots(n_lines, n_columns, squeeze=False, sharex=True).ravel()
    densities, x = screened.densities, screened.wavenumbers
    seen = visible_range(x, densities[: len(rows)].mean(axis=0) if len(rows) else x)
    for k, ax in enumerate(axes):
        if k >= len(rows):
            ax.axis("off")
            continue
        ax.fill_between(x[seen], densities[k][seen], color=ACCENT, alpha=0.2, lw=0)
        ax.plot(x[seen], densities[k][seen], color=ACCENT, lw=0.8)
        row = rows.iloc[k]
        title = f"{row['formula']}  {row['specific_heat']:,.0f}"
        if row["warnings"]:
            title = f"{WARNED} {title}"
        color = WARM if row["warnings"] else INK
        ax.set_title(title, fontsize=7, pad=2, color=color)
        ax.set(yticks=[])
        ax.tick_params(labelsize=6)
        _tidy(ax)
    figure.supxlabel(_WAVENUMBER, fontsize=9)
    return figure


def _scatter(
    figure: Figure, ax: Any, screened: ScreenedSet, x: Any, y: Any, color: str, label: str
) -> None:
    values = screened.table.iloc[screened.shown][color].to_numpy()
    order = np.argsort(values, kind="stable")
    low, high = np.percentile(values, [1, 99]) if len(values) else (0.0, 1.0)
    points = ax.scatter(
        x[order], y[order], c=values[order], s=8, lw=0, vmin=low, vmax=high, rasterized=True
    )
    figure.colorbar(points, ax=ax, label=label)


def _legend_above(ax: Any) -> None:
    ax.legend(
        loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2, fontsize=8, frameon=False,
        borderaxespad=0.2,
    )  # fmt: skip


def _tidy(*axes: Any) -> None:
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
        ax.spines[["left", "bottom"]].set_color(MUTED)
        ax.grid(color=GRID, lw=0.5)
        ax.set_axisbelow(True)
