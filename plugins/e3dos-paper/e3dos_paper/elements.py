"""Errors and occurrences by element, as numbers and on a periodic table (figures S12, S13)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from ase.data import chemical_symbols

from ase_e3dos.data.composition import element_counts
from ase_e3dos.evaluation.predictions import Predictions
from ase_e3dos.structures.crystal import Crystal
from e3dos_paper.pictures import save_picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PERIODS = (
    "H" + " ." * 16 + " He",
    "Li Be" + " ." * 10 + " B C N O F Ne",
    "Na Mg" + " ." * 10 + " Al Si P S Cl Ar",
    "K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr",
    "Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe",
    "Cs Ba La Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn",
    "Fr Ra Ac",
    ". . . Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu",
    ". . . Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr",
)


def table_places() -> dict[str, tuple[int, int]]:
    """Row and column of each element in the usual long table, f elements below."""
    return {
        symbol: (row, column)
        for row, line in enumerate(_PERIODS)
        for column, symbol in enumerate(line.split())
        if symbol != "."
    }


def element_errors(found: Predictions) -> dict[str, float]:
    """Mean squared error of the compounds that contain each element."""
    errors = found.squared_errors()
    by_element: dict[str, list[float]] = {}
    for crystal, error in zip(found.labelled.crystals, errors, strict=True):
        for z in set(crystal.species_number.tolist()):
            by_element.setdefault(chemical_symbols[z], []).append(float(error))
    return {symbol: float(np.mean(values)) for symbol, values in by_element.items()}


def occurrences(crystals: list[Crystal]) -> dict[str, int]:
    """Crystals that contain each element."""
    return {chemical_symbols[int(z)]: n for z, n in element_counts(crystals).items()}


def draw_table(ax: Axes, values: Mapping[str, float], label: str) -> None:
    """A periodic table coloured by a value; elements without one stay grey."""
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.patches import Rectangle

    top = max(values.values(), default=1.0)
    scale = Normalize(0.0, float(np.percentile(list(values.values()) or [top], 97)))
    colormap = colormaps["viridis_r"]
    colors = ScalarMappable(scale, colormap)
    for symbol, (row, column) in table_places().items():
        y = row + (0.4 if row > 6 else 0.0)
        known = symbol in values
        face = colormap(scale(values[symbol])) if known else (0.93, 0.93, 0.93, 1.0)
        ax.add_patch(Rectangle((column, y), 0.94, 0.94, facecolor=face, linewidth=0))
        dark = known and sum(face[:3]) < 1.4
        color = "white" if dark else "black" if known else "0.6"
        ax.text(column + 0.47, y + 0.32, symbol, ha="center", va="center", fontsize=8, color=color)
        if known:
            text = f"{values[symbol]:.3f}" if top < 1 else f"{values[symbol]:.0f}"
            ax.text(
                column + 0.47, y + 0.72, text, ha="center", va="center", fontsize=5, color=color
            )
    ax.set(xlim=(0, 18), ylim=(9.4, 0))
    ax.set_axis_off()
    figure = ax.figure
    figure.colorbar(colors, ax=ax, label=label, shrink=0.7, pad=0.01)


def figure_s12(parts: Mapping[str, list[Crystal]], path: str | Path | None = None) -> Figure:
    """How often each element occurs in the data sets.

    Parameters
    ----------
    parts : mapping of str to list of Crystal
        Crystals by the name of the split.
    path : str or Path, optional
        Image to write.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4.6 * len(parts)), layout="constrained")
    axes = figure.subplots(len(parts), 1, squeeze=False)
    for ax, (name, crystals) in zip(axes[:, 0], parts.items(), strict=True):
        draw_table(ax, occurrences(crystals), "compounds")
        ax.set_title(f"{name}: {len(crystals)} compounds", loc="left")
    if path is not None:
        save_picture(figure, path)
    return figure


def figure_s13(
    training: list[Crystal], found: Predictions, path: str | Path | None = None
) -> Figure:
    """Occurrence of the elements in training against the error of their compounds.

    Parameters
    ----------
    training : list of Crystal
        Crystals that the model was trained on.
    found : Predictions
        Predictions for others.
    path : str or Path, optional
        Image to write.
    """
    from matplotlib.figure import Figure

    counts, errors = occurrences(training), element_errors(found)
    symbols = sorted(errors, key=lambda s: -counts.get(s, 0))
    n = np.array([counts.get(s, 0) for s in symbols])
    mse = np.array([errors[s] for s in symbols])
    figure = Figure(figsize=(13, 4.5), layout="constrained")
    ax = figure.subplots()
    places = np.arange(len(symbols))
    ax.bar(places, n, color="#9bb7d4", label="compounds in training")
    ax.set_xticks(places, symbols, fontsize=7)
    ax.set(xlim=(-0.7, len(symbols) - 0.3), ylabel="compounds in training")
    right = ax.twinx()
    right.plot(places, mse, ".", color="#b4472f")
    right.set_ylabel("mean squared error", color="#b4472f")
    # room above for the inset
    ax.set_ylim(0, 1.8 * max(float(n.max(initial=0)), 1.0))
    right.set_ylim(0, 1.8 * float(mse.max(initial=1e-3)))
    inset = ax.inset_axes((0.62, 0.6, 0.3, 0.37))
    inset.scatter(n, mse, s=8, color="#b4472f", linewidths=0)
    inset.set(xscale="symlog", xlabel="compounds", ylabel="MSE")
    if path is not None:
        save_picture(figure, path)
    return figure
