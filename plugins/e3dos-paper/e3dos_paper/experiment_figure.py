"""Errors of experiments on data against the number of training crystals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ase_e3dos.evaluation.figures import MEASURES, plain_log
from ase_e3dos.export.writing import save_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def experiment_figure(
    series: Mapping[str, Sequence[Mapping[str, float]]], path: str | Path | None = None
) -> Figure:
    """Errors against the number of training crystals, one line a series.

    Parameters
    ----------
    series : mapping of str to sequence of mapping of str to float
        Rows with `n_train` and measures, by the name of the network or of the procedure. A row
        of no training crystals (a model before it is fine-tuned) is drawn as a dashed level.
    path : str or Path, optional
        Image to write.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullLocator

    measures = ("MAE", "WD", "Cv_atom")
    figure = Figure(figsize=(11, 3.6), layout="constrained")
    axes = figure.subplots(1, len(measures))
    for ax, measure in zip(axes, measures, strict=True):
        for number, (name, rows) in enumerate(series.items()):
            known = [(r["n_train"], r[measure]) for r in rows if r["n_train"] > 0]
            if known:
                ax.plot(*np.transpose(known), "o-", color=f"C{number}", label=name)
            for row in rows:
                if not row["n_train"]:
                    ax.axhline(row[measure], color=f"C{number}", linestyle="--", linewidth=1)
        sizes = sorted({r["n_train"] for rows in series.values() for r in rows if r["n_train"]})
        ax.set(xscale="log", xlabel="crystals trained on", ylabel=MEASURES[measure])
        ax.set_xticks(sizes, [f"{n:.0f}" for n in sizes])
        ax.xaxis.set_minor_locator(NullLocator())
        plain_log(ax.yaxis)
        ax.grid(alpha=0.25)
    axes[0].legend(frameon=False)
    if path is not None:
        save_figure(figure, path, dpi=150)
    return figure
