"""Figure 2 of the paper for any model: errors by size and element, average frequency, examples."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ase_e3dos.evaluation.predictions import Predictions
from e3dos_paper.elements import draw_table, element_errors
from e3dos_paper.pictures import save_picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLORS = {"train": "#3b6fb6", "valid": "#e08a2e", "test": "#4f9d4f"}
_EXAMPLES = 5


def figure_2(parts: Mapping[str, Predictions], path: str | Path | None = None) -> Figure:
    """Draw the four panels.

    (a) Squared error against the number of sites, (b) mean squared error of the compounds with
    each element, (c) average frequency against the reference with the distribution of the
    relative error, (d) the distribution of the errors and examples from each quartile.

    Parameters
    ----------
    parts : mapping of str to Predictions
        Predictions by split; elements and examples are those of the last one.
    path : str or Path, optional
        Image to write; None writes nothing.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 12.5), layout="constrained")
    top, bottom = figure.subfigures(2, 1, squeeze=False)[:, 0]
    axes = top.subplot_mosaic([["a", "c"], ["b", "b"]], height_ratios=[1, 1.25])
    draw_error_by_sites(axes["a"], parts)
    last = list(parts.values())[-1]
    draw_table(axes["b"], element_errors(last), "mean squared error")
    axes["b"].set_title("(b) by element", loc="left")
    draw_parity(axes["c"], parts)
    draw_examples(bottom, last)
    figure.suptitle(f"Model {last.model}")
    if path is not None:
        save_picture(figure, path)
    return figure


def draw_error_by_sites(ax: Axes, parts: Mapping[str, Predictions]) -> None:
    """Panel (a): squared error of each material against its number of sites."""
    for name, found in parts.items():
        ax.scatter(
            found.labelled.n_sites,
            found.squared_errors(),
            s=8,
            alpha=0.5,
            linewidths=0,
            color=COLORS.get(name),
            label=f"{name} ({len(found.spectra)})",
        )
    ax.set(xlabel="sites in the cell", ylabel="mean squared error", yscale="log")
    ax.set_title("(a) by size", loc="left")
    ax.legend(frameon=False)


def draw_parity(ax: Axes, parts: Mapping[str, Predictions]) -> None:
    """Panel (c): average frequency against the reference; inset: its relative error."""
    inset = ax.inset_axes((0.58, 0.2, 0.38, 0.3))
    top = 0.0
    for name, found in parts.items():
        predicted, reference = found.mean_wavenumbers()
        color = COLORS.get(name)
        ax.scatter(reference, predicted, s=8, alpha=0.5, linewidths=0, color=color, label=name)
        relative = 100 * np.abs(predicted - reference) / np.abs(reference)
        inset.hist(
            np.minimum(relative, 30.0),
            bins=np.linspace(0, 30, 16).tolist(),
            density=True,
            histtype="step",
            color=color,
        )
        top = max(top, float(predicted.max()), float(reference.max()))
    ax.axline((0, 0), slope=1, color="0.4", linewidth=0.8)
    ax.set(xlim=(0, top * 1.03), ylim=(0, top * 1.03))
    ax.set_xlabel("reference average frequency (cm$^{-1}$)")
    ax.set_ylabel("predicted (cm$^{-1}$)")
    ax.set_title("(c) average frequency", loc="left")
    ax.legend(frameon=False, loc="upper left")
    inset.set_xlabel("error (%)", fontsize=8)
    inset.set_yticks([])
    inset.tick_params(labelsize=8)


def draw_examples(figure: Any, found: Predictions, seed: int = 0) -> None:
    """Panel (d): the distribution of errors, and random examples from each quartile."""
    errors = found.squared_errors()
    quartile = np.searchsorted(np.quantile(errors, [0.25, 0.5, 0.75]), errors)
    grid, predicted, reference = found.on_label_grid()
    predicted = predicted / predicted.max(axis=1, keepdims=True)
    reference = reference / reference.max(axis=1, keepdims=True)
    axes = figure.subplots(4, _EXAMPLES + 1, squeeze=False)
    rng = np.random.default_rng(seed)
    shades = ("#2a7f62", "#7fa650", "#d39b35", "#b4472f")
    for row in range(4):
        members = np.flatnonzero(quartile == row)
        side = axes[row, 0]
        side.hist(errors, bins=30, color="0.85")
        side.hist(
            errors[members], bins=np.linspace(0, errors.max(), 31).tolist(), color=shades[row]
        )
        side.set_yticks([])
        side.set_ylabel(f"quartile {row + 1}", fontsize=8)
        chosen = rng.permutation(members)[:_EXAMPLES]
        for ax, i in zip(
            axes[row, 1:], [*chosen, *[None] * (_EXAMPLES - len(chosen))], strict=True
        ):
            if i is None:
                ax.set_axis_off()
                continue
            ax.fill_between(grid, reference[i], color="0.8", linewidth=0)
            ax.plot(grid, predicted[i], color=shades[row], linewidth=1.2)
            ax.set_title(found.labelled.formulas[i], fontsize=8, pad=2)
            ax.set(yticks=[], xlim=(grid[0], grid[-1]), ylim=(0, 1.08))
            ax.tick_params(labelsize=7)
    axes[0, 0].set_title("(d) MSE", loc="left", fontsize=9)
    axes[3, 1].set_xlabel("cm$^{-1}$; grey: reference", fontsize=8)
