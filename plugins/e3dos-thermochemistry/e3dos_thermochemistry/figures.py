"""Figures of reactions and hulls, on Matplotlib axes that are given."""

from __future__ import annotations

from typing import Any

import numpy as np
from pymatgen.analysis.phase_diagram import PDPlotter
from pymatgen.core import Composition

from ase_e3dos.export.plots import COLOURS
from e3dos_thermochemistry.errors import EntriesError
from e3dos_thermochemistry.hulls import Hulls
from e3dos_thermochemistry.reactions import ReactionResult


def plot_reaction(result: ReactionResult, ax: Any, *, colour: str = COLOURS[0]) -> Any:
    """Draw the Gibbs energy, or without energies the entropy, with its interval.

    Parameters
    ----------
    result : ReactionResult
    ax : matplotlib.axes.Axes
    colour : str

    Returns
    -------
    matplotlib.axes.Axes
    """
    name = "entropy" if result.gibbs is None else "gibbs"
    t, values = result.temperatures, getattr(result, name)
    ax.plot(t, values, color=colour, label=formula_text(str(result.equation)))
    half = result.half_widths.get(name)
    if half is not None:
        ax.fill_between(t, values - half, values + half, color=colour, alpha=0.2, lw=0)
    if result.gibbs is not None:
        ax.axhline(0.0, color="0.5", lw=0.6)
        for crossing in result.equilibrium:
            ax.plot(crossing.temperature, 0.0, "o", ms=3, color=colour)
    unit = r"$\Delta G$ (kJ/mol)" if name == "gibbs" else r"$\Delta S$ (J K$^{-1}$ mol$^{-1}$)"
    ax.set(xlabel="Temperature (K)", ylabel=unit, xlim=(t[0], t[-1]))
    ax.legend(fontsize=6)
    return ax


def plot_decomposition(hulls: Hulls, ax: Any) -> Any:
    """Draw decomposition energies against temperature, of compounds that are stable at one.

    Parameters
    ----------
    hulls : Hulls
    ax : matplotlib.axes.Axes

    Returns
    -------
    matplotlib.axes.Axes
    """
    t, half = hulls.temperatures, hulls.half_widths
    shown = [
        k
        for k in np.flatnonzero(hulls.stable.any(axis=0))
        if not hulls.entries[k].composition.is_element
    ]
    for i, k in enumerate(shown):
        colour, values = COLOURS[i % len(COLOURS)], hulls.decomposition[:, k]
        style = "-" if i < len(COLOURS) else "--"
        ax.plot(t, values, style, color=colour, label=formula_text(hulls.names[k]))
        if half is not None:
            ax.fill_between(
                t, values - half[:, k], values + half[:, k], color=colour, alpha=0.2, lw=0
            )
    ax.axhline(0.0, color="0.5", lw=0.6)
    ax.set(xlabel="Temperature (K)", ylabel="decomposition energy (eV/atom)")
    ax.legend(fontsize=5)
    return ax


def plot_diagram(hulls: Hulls, temperature: float, ax: Any) -> Any:
    """Draw the phase diagram of two or three elements at one of the temperatures.

    Compositions are filled in proportion to their probability to be on the hull.

    Parameters
    ----------
    hulls : Hulls
    temperature : float
        K.
    ax : matplotlib.axes.Axes

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    EntriesError
        If there are other than two or three elements.
    """
    diagram = hulls.at(temperature)
    if diagram.dim not in (2, 3):
        raise EntriesError(
            f"A phase diagram of {diagram.dim} elements cannot be drawn on paper: draw the "
            "decomposition energies (plot_decomposition)."
        )
    probabilities = hulls.formulas(temperature)
    lines, stable, _ = PDPlotter(diagram, backend="matplotlib").pd_plot_data
    for x, y in lines:
        ax.plot(x, y, color="0.4", lw=0.7, zorder=1)
    for (x, y), entry in stable.items():
        p = probabilities.get(Composition(entry.composition).reduced_formula)
        colour = (0.0, 0.447, 0.698, 1.0 if p is None else p)
        ax.scatter(x, y, s=16, facecolor="white", edgecolor="none", zorder=2)
        ax.scatter(x, y, s=16, facecolor=colour, edgecolor=COLOURS[0], lw=0.8, zorder=3)
        formula = formula_text(Composition(entry.composition).reduced_formula)
        ax.annotate(formula, (x, y), xytext=(2, 3), textcoords="offset points", fontsize=6)
    if diagram.dim == 2:
        ax.set(xlabel=f"fraction of {diagram.elements[1]}", ylabel="formation energy (eV/atom)")
    else:
        ax.set_aspect("equal")
        ax.axis("off")
    ax.set_title(f"{temperature:g} K", fontsize=8)
    return ax


def formula_text(text: str) -> str:
    """Formulas with their numbers as indices, in Matplotlib's mathematics."""
    from pymatgen.util.string import latexify

    words = text.split(" ")
    return " ".join(
        {"->": r"$\rightarrow$"}.get(w, latexify(w) if w[:1].isupper() else w) for w in words
    )
