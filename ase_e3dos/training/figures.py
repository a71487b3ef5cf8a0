"""Figures about training and trust: learning curves, coverage, strain, and all in one folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ase_e3dos.errors import DataError
from ase_e3dos.training.coverage import Coverage, coverage
from ase_e3dos.training.elements import figure_s12, figure_s13
from ase_e3dos.training.evaluation import Predictions
from ase_e3dos.training.figure_2 import figure_2
from ase_e3dos.training.site_response import StrainResponse, strain_response

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def read_history(directory: str | Path) -> list[dict[str, float]]:
    """Rows of a run's history, one an epoch.

    Raises
    ------
    DataError
        The folder holds no history.
    """
    file = Path(directory) / "history.jsonl"
    if not file.is_file():
        raise DataError(f"{file}: no such file; a run writes it after its first epoch.")
    return [json.loads(line) for line in file.read_text().splitlines()]


def learning_curves(
    runs: Mapping[str, Sequence[Mapping[str, float]]],
    path: str | Path | None = None,
    measures: Sequence[str] = ("loss", "valid_MSE", "valid_WD"),
) -> Figure:
    """Loss and validation errors by epoch.

    Parameters
    ----------
    runs
        Histories by the name of the run.
    path
        Image to write.
    measures
        Columns of the histories, one panel each; those that no run has are left out.
    """
    from matplotlib.figure import Figure

    shown = [m for m in measures if any(m in row for rows in runs.values() for row in rows)]
    figure = Figure(figsize=(4.2 * len(shown), 3.6), layout="constrained")
    axes = figure.subplots(1, len(shown), squeeze=False)[0]
    for ax, measure in zip(axes, shown, strict=True):
        for name, rows in runs.items():
            known = [(row["epoch"], row[measure]) for row in rows if measure in row]
            if known:
                ax.plot(*np.transpose(known), label=name)
        ax.set(xlabel="epoch", ylabel=measure.replace("_", " "), yscale="log")
    axes[0].legend(frameon=False, fontsize=8)
    if path is not None:
        figure.savefig(path, dpi=150)
    return figure


def coverage_figure(rows: Sequence[Coverage], path: str | Path | None = None) -> Figure:
    """Coverage against level, and errors against half widths, for each quantity."""
    from matplotlib.figure import Figure

    quantities = list(dict.fromkeys(r.quantity for r in rows))
    figure = Figure(figsize=(3.4 * len(quantities), 6.2), layout="constrained")
    axes = figure.subplots(2, len(quantities), squeeze=False)
    for k, quantity in enumerate(quantities):
        top, bottom = axes[:, k]
        for row in (r for r in rows if r.quantity == quantity):
            label = f"{row.temperature:g} K" if row.temperature else ""
            (line,) = top.plot(
                list(row.covered), list(row.covered.values()), "o-", ms=4, label=label
            )
            bottom.scatter(
                row.half_widths, row.errors, s=6, alpha=0.5, linewidths=0, color=line.get_color()
            )
        top.axline((0, 0), slope=1, color="0.5", linewidth=0.8)
        top.set(xlim=(0.4, 1), ylim=(0.4, 1), xlabel="level", title=quantity.replace("_", " "))
        bottom.axline((1, 1), slope=1, color="0.5", linewidth=0.8)
        bottom.set(xscale="log", yscale="log", xlabel="half width of the 90 % interval")
    axes[0, 0].set_ylabel("share of the references inside")
    axes[1, 0].set_ylabel("absolute error per atom")
    axes[0, 0].legend(frameon=False)
    if path is not None:
        figure.savefig(path, dpi=150)
    return figure


def strain_figure(response: StrainResponse, path: str | Path | None = None) -> Figure:
    """Predicted against reference change of ln(average frequency) with strain."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.6, 4.2), layout="constrained")
    ax = figure.subplots()
    points = ax.scatter(
        response.reference, response.predicted, s=10, c=100 * response.strain, linewidths=0
    )
    ax.axline((0, 0), slope=1, color="0.5", linewidth=0.8)
    ax.set(xlabel="reference change of ln(average frequency)", ylabel="predicted")
    figure.colorbar(points, ax=ax, label="difference of the strains (%)")
    if path is not None:
        figure.savefig(path, dpi=150)
    return figure


def write_figures(parts: Mapping[str, Predictions], directory: str | Path) -> list[Path]:
    """All figures that the predictions allow, as PNG files.

    Parameters
    ----------
    parts
        Predictions by split, training first, the one that counts last.
    directory
        Folder, made where it is missing.

    Returns
    -------
    list of Path
        The files written.
    """
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    last = list(parts.values())[-1]
    written: list[Path] = []

    def file(name: str) -> Path:
        written.append(folder / f"{last.model}-{name}.png")
        return written[-1]

    if last.labelled.kind == "site":
        strain_figure(strain_response(last), file("strain"))
        return written
    figure_2(parts, file("figure-2"))
    figure_s12({k: v.labelled.crystals for k, v in parts.items()}, file("figure-s12"))
    if len(parts) > 1:
        first = next(iter(parts.values()))
        figure_s13(first.labelled.crystals, last, file("figure-s13"))
    rows = coverage(last) if last.labelled.kind == "raw" else []
    if rows:
        coverage_figure(rows, file("coverage"))
    return written
