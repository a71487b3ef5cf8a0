"""Spectra of many materials, sorted by their error (figures S11 and S16)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ase_e3dos.evaluation.predictions import Predictions
from ase_e3dos.spectrum.grid import Array
from e3dos_paper.pictures import save_picture

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure

#: Materials that figure S11 shows.
N_EXAMPLES = 100


def figure_s11(
    found: Predictions, path: str | Path | None = None, n: int = N_EXAMPLES, seed: int = 0
) -> Figure:
    """Materials chosen at random, the smallest mean squared error first.

    Parameters
    ----------
    found : Predictions
        Of a split that is not for training.
    path : str or Path, optional
        Image to write; None writes nothing.
    n : int, optional
        Materials at most.
    seed : int, optional
        Of the choice.
    """
    grid, predicted, reference = found.on_label_grid()
    title = f"Model {found.model}"
    return examples_by_error(
        grid, predicted, reference, found.labelled.formulas, title, path, n, seed
    )


def examples_by_error(
    grid: Array,
    predicted: Array,
    reference: Array,
    formulas: Sequence[str],
    title: str,
    path: str | Path | None = None,
    n: int = N_EXAMPLES,
    seed: int = 0,
) -> Figure:
    """Predicted and reference spectra, each over its maximum, sorted by mean squared error.

    Parameters
    ----------
    grid : ndarray, shape (n_points,)
        In cm^-1.
    predicted, reference : ndarray, shape (n_materials, n_points)
        In any scale.
    formulas : sequence of str
        Names of the materials.
    title : str
        What predicted.
    path, n, seed
        As for `figure_s11`.
    """
    from matplotlib.figure import Figure

    top = np.maximum(predicted.max(axis=1, keepdims=True), 1e-12)
    predicted, reference = predicted / top, reference / reference.max(axis=1, keepdims=True)
    errors = ((predicted - reference) ** 2).mean(axis=1)
    chosen = np.random.default_rng(seed).permutation(len(errors))[:n]
    order = chosen[np.argsort(errors[chosen])]
    columns = 10 if len(order) > 40 else 6
    rows = -(-len(order) // columns)
    figure = Figure(figsize=(10, 0.95 * rows + 0.8), layout="constrained")
    axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for ax in axes[len(order) :]:
        ax.set_axis_off()
    for ax, i in zip(axes, order, strict=False):
        ax.fill_between(grid, reference[i], color="0.8", linewidth=0)
        ax.plot(grid, predicted[i], color="#d9731a", linewidth=0.9)
        ax.set_title(f"{formulas[i]}  {errors[i]:.3f}", fontsize=6, pad=1.5)
        ax.set(yticks=[], xlim=(grid[0], grid[-1]), ylim=(0, 1.08))
        ax.tick_params(labelsize=6, length=2)
    figure.suptitle(
        f"{title}: predicted (line) and reference (grey), each over its maximum; "
        f"{len(order)} of {len(errors)} materials by mean squared error, the smallest first",
        fontsize=8,
    )
    figure.supxlabel("wavenumber (cm$^{-1}$)", fontsize=8)
    if path is not None:
        save_picture(figure, path)
    return figure
