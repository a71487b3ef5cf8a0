"""A screening as the paper draws its own: figures 5a to 5c, S1 and S14."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from ase.data import chemical_symbols

from e3dos_paper.elements import draw_table
from e3dos_paper.known_crystals import KnownCrystals, crystal_of
from e3dos_paper.pictures import save_picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ase_e3dos.screening.report.statistics import ScreenedSet

_SHOWN = 1500.0


def figure_5(screened: ScreenedSet, path: str | Path | None = None) -> Figure:
    """(a) Specific heat by element, (b) its distribution, (c) principal components of spectra.

    Parameters
    ----------
    screened : ScreenedSet
        Rows of a screening, as `ase_e3dos.screening.report.read_screen` gives them.
    path : str or Path, optional
        Image to write; None writes nothing.
    """
    from matplotlib.figure import Figure

    heat = screened.table["specific_heat"].to_numpy()
    parts, x = screened.components, screened.wavenumbers
    figure = Figure(figsize=(9.5, 7.6), layout="constrained")
    axes = figure.subplot_mosaic([["a", "a"], ["b", "c"]], height_ratios=[1.15, 1])
    by_element = {chemical_symbols[z]: mean for z, (mean, _) in screened.by_element.items()}
    draw_table(axes["a"], by_element, "mean $C_V$ of its materials (J kg$^{-1}$ K$^{-1}$)")
    axes["a"].set_title(f"(a) {screened.temperature:g} K", loc="left", fontsize=9)
    ax = axes["b"]
    ax.hist(heat, bins=60, color="#3b6fb6")
    ax.axvline(1000, color="0.5", linewidth=0.8, linestyle=":")
    ax.set(yscale="log", xlabel="$C_V$ (J kg$^{-1}$ K$^{-1}$)", ylabel="materials")
    ax.set_title(f"(b) {100 * screened.high_share:.2f} % above 1000", loc="left", fontsize=9)
    inset = ax.inset_axes((0.47, 0.5, 0.5, 0.44))
    inset.plot(
        x, parts.mean_high / parts.mean_high.max(), color="#b4472f", linewidth=1, label="top 100"
    )
    inset.plot(x, parts.mean_all / parts.mean_all.max(), color="0.4", linewidth=1, label="all")
    inset.set(xlim=(0, _SHOWN), yticks=[])
    inset.legend(frameon=False, fontsize=6)
    inset.tick_params(labelsize=6)
    inset.set_xlabel("cm$^{-1}$, mean spectra", fontsize=6, labelpad=1)
    ax = axes["c"]
    shown = heat[screened.shown]
    order = np.argsort(shown)
    points = ax.scatter(
        *parts.scores[order].T,
        c=shown[order],
        s=5,
        linewidths=0,
        vmax=float(np.percentile(heat, 99)),
    )
    figure.colorbar(points, ax=ax, label="$C_V$ (J kg$^{-1}$ K$^{-1}$)", extend="max")
    first, second = 100 * parts.explained
    ax.set(xlabel=f"first component ({first:.0f} %)", ylabel=f"second ({second:.0f} %)")
    low, high = parts.scores[:, 1].min(), parts.scores[:, 1].max()
    ax.set_ylim(low - 0.1, high + 0.75 * (high - low))
    ax.set_title("(c) principal components", loc="left", fontsize=9)
    inset = ax.inset_axes((0.08, 0.66, 0.6, 0.3))
    for axis, name in zip(parts.axes, ("first", "second"), strict=True):
        inset.plot(x, axis, linewidth=1, label=name)
    inset.axhline(0, color="0.7", linewidth=0.6)
    inset.set(xlim=(0, _SHOWN), yticks=[])
    inset.legend(frameon=False, fontsize=6)
    inset.tick_params(labelsize=6)
    figure.suptitle(f"{len(heat)} crystals, model {screened.about['model']}", fontsize=9)
    return _written(figure, path)


def figure_s1(screened: ScreenedSet, path: str | Path | None = None) -> Figure:
    """Average frequency (a) against the average mass and (b) how uneven the masses are."""
    from matplotlib.figure import Figure

    table = screened.table
    mean, mass = table["mean_wavenumber"].to_numpy(), table["average_mass"].to_numpy()
    ratio = table["minimum_mass"].to_numpy() / mass
    constant, quality = screened.rigidity
    figure = Figure(figsize=(8.5, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    left.scatter(mass, mean, s=4, linewidths=0, alpha=0.5, color="#3b6fb6")
    line = np.linspace(mass.min(), mass.max(), 300)
    label = f"{constant:.0f} cm$^{{-1}}$ / $\\sqrt{{\\bar m}}$, R$^2$ = {quality:.2f}"
    left.plot(line, constant / np.sqrt(line), color="k", linewidth=1, label=label)
    left.set(xlabel="average mass $\\bar m$ (amu)", ylabel="average frequency (cm$^{-1}$)")
    left.set_ylim(0, 1.05 * float(mean.max()))
    left.legend(frameon=False, fontsize=8)
    points = right.scatter(ratio, mean, c=mass, s=4, linewidths=0)
    right.set_xlabel("$m_{min} / \\bar m$")
    figure.colorbar(points, ax=right, label="average mass (amu)")
    for ax, letter in ((left, "a"), (right, "b")):
        ax.set_title(f"({letter})", loc="left", fontsize=9)
    return _written(figure, path)


def figure_s14(screened: ScreenedSet, path: str | Path | None = None) -> Figure:
    """The spectra of the materials with the highest specific heats, a hundred at most."""
    from matplotlib.figure import Figure

    n, x = min(100, len(screened.table)), screened.wavenumbers
    rows = -(-n // 10)
    figure = Figure(figsize=(10, 0.95 * rows + 0.8), layout="constrained")
    axes = figure.subplots(rows, 10, sharex=True, sharey=True, squeeze=False).ravel()
    for ax in axes[n:]:
        ax.set_axis_off()
    for k, ax in enumerate(axes[:n]):
        density = np.asarray(screened.densities[k], dtype=float)
        ax.fill_between(x, density, color="#d9731a", alpha=0.5, linewidth=0)
        formula, heat = screened.table["formula"][k], screened.table["specific_heat"][k]
        ax.set_title(f"{formula}  {heat:.0f}", fontsize=6, pad=1.5)
        beyond = density[x > _SHOWN].sum() / max(density.sum(), 1e-12)
        if beyond > 0.005:
            ax.text(0.97, 0.8, f"{100 * beyond:.0f} % above", fontsize=5, ha="right",
                    transform=ax.transAxes)  # fmt: skip
        ax.set(yticks=[], xlim=(0, _SHOWN), ylim=(0, 1.08))
        ax.tick_params(labelsize=6, length=2)
    figure.suptitle(
        f"The {n} highest specific heats at {screened.temperature:g} K in J/(kg K), model "
        f"{screened.about['model']}; spectra over their maximum",
        fontsize=8,
    )
    figure.supxlabel("wavenumber (cm$^{-1}$)", fontsize=8)
    return _written(figure, path)


def screen_summary(table: Any) -> dict[str, float]:
    """Numbers that the paper gives of its screening, for all rows or some of them.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of `ScreenedSet.table`.

    Returns
    -------
    dict
        `n`; `high`, the share above 1000 J/(kg K); `median` specific heat in J/(kg K); `constant`
        of the mean wavenumber over the root of the average mass, in cm^-1 amu^(1/2), and the
        `quality` (R^2) of that fit.
    """
    heat, y = table["specific_heat"].to_numpy(), table["mean_wavenumber"].to_numpy()
    x = table["average_mass"].to_numpy() ** -0.5
    constant = float(x @ y / (x @ x))
    rest, spread = ((y - constant * x) ** 2).sum(), ((y - y.mean()) ** 2).sum()
    return {
        "n": float(len(heat)),
        "high": float((heat > 1000).mean()),
        "median": float(np.median(heat)),
        "constant": constant,
        "quality": 1.0 - float(rest / spread),
    }


def known_text(screened: ScreenedSet, known: KnownCrystals, structures: Path) -> str:
    """Numbers of a screening, all and without the crystals that the model has met in training.

    Parameters
    ----------
    screened : ScreenedSet
    known : KnownCrystals
        What the model was trained on.
    structures : Path
        Parquet file with the crystals of the screening: id, numbers, cell, positions_frac.
    """
    wanted = set(screened.table["id"])
    table = pq.read_table(structures, columns=["id", "numbers", "cell", "positions_frac"])
    table = table.filter(pc.is_in(table["id"], pa.array(sorted(wanted))))
    composition, structure = set(), set()
    for row in table.to_pylist():
        crystal = crystal_of(row)
        if known.of_composition(crystal):
            composition.add(row["id"])
            if known.matches(crystal):
                structure.add(row["id"])
    ids = screened.table["id"]
    groups = {
        "all": ids.notna(),
        "structure not in training": ~ids.isin(structure),
        "composition not in training": ~ids.isin(composition),
    }
    lines = [
        f"{known.n} training entries; of {len(wanted)} crystals {len(composition)} have the "
        f"composition of one, {len(structure)} its structure",
        f"{'':28} {'n':>5} {'above 1000':>11} {'median C_V':>11} {'C':>6} {'R^2':>6}",
    ]
    for name, rows in groups.items():
        s = screen_summary(screened.table[rows])
        lines.append(
            f"{name:28} {s['n']:5.0f} {100 * s['high']:9.2f} % {s['median']:11.0f} "
            f"{s['constant']:6.0f} {s['quality']:6.3f}"
        )
    return "\n".join(lines)


def _written(figure: Figure, path: str | Path | None) -> Figure:
    if path is not None:
        save_picture(figure, path)
    return figure
