"""Figures about training and trust: learning curves, coverage, strain, and all in one folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ase_e3dos.errors import DataError
from ase_e3dos.evaluation.coverage import Coverage, coverage
from ase_e3dos.evaluation.predictions import Predictions
from ase_e3dos.evaluation.site_response import StrainResponse, strain_response
from ase_e3dos.export.writing import check_figure_name, save_figure, writing
from ase_e3dos.structures.json_text import parse_json
from ase_e3dos.structures.paths import is_file, is_folder

if TYPE_CHECKING:
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure


def read_history(directory: str | Path) -> list[dict[str, float]]:
    """Rows of a run's history, one an epoch.

    Raises
    ------
    DataError
        The folder holds no history, or a line of it is damaged.
    """
    file = Path(directory) / "history.jsonl"
    if not is_file(file):
        raise DataError(f"{file}: no such file; a run writes it after its first epoch.")
    try:
        return [parse_json(line) for line in file.read_text(encoding="utf-8").splitlines()]
    except ValueError as error:
        raise DataError(f"{file}: damaged ({error}).") from error


def find_histories(folders: Sequence[str | Path]) -> dict[str, list[dict[str, float]]]:
    """Histories of all runs in some folders, by the shortest names that tell them apart.

    Raises
    ------
    DataError
        A folder holds no history.
    """
    found: list[Path] = []
    for folder in map(Path, folders):
        files = sorted(folder.rglob("history.jsonl")) if is_folder(folder) else []
        if not files:
            raise DataError(
                f"{folder}: no history.jsonl in it; a run writes it after its first epoch."
            )
        found += [f.parent for f in files if f.parent not in found]
    for depth in range(1, 1 + max(len(f.resolve().parts) for f in found)):
        names = ["/".join(f.resolve().parts[-depth:]) for f in found]
        if len(set(names)) == len(names):
            break
    return {name: read_history(f) for name, f in zip(names, found, strict=True)}


#: Measures of validation sets, as axes name them.
MEASURES = {
    "R2": "R$^2$",
    "MSE": "mean squared error",
    "MAE": "mean absolute error",
    "WD": "Wasserstein distance (cm$^{-1}$)",
    "Cv_atom": "C$_V$ error, J/(K mol) per atom",
    "wbar": "average frequency error (cm$^{-1}$)",
    "within10": "average frequency within 10 %",
}


def learning_curves(
    runs: Mapping[str, Sequence[Mapping[str, float]]],
    path: str | Path | None = None,
    measures: Sequence[str] | None = None,
    against: str = "epoch",
) -> Figure:
    """Training loss and the errors on every validation set, all runs in one figure.

    Parameters
    ----------
    runs : mapping of str to sequence of mapping of str to float
        Histories by the name of the run.
    path : str or Path, optional
        Image to write.
    measures : sequence of str, optional
        Of each validation set, one column each; a row of panels for each set. "valid" is the
        first set of the configuration, others go by their source. R2, MAE and WD if not given,
        for the sets that have them.
    against : str, optional
        "epoch", or "seconds" for the time spent in training.

    Raises
    ------
    DataError
        No run has a measure that is asked for, though it was judged on validation data.
    OutputError
        The image cannot be written, or the ending of its name is not that of one.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    if path is not None:
        check_figure_name(path)
    columns = dict.fromkeys(k for rows in runs.values() for row in rows for k in row)
    there = {k.split("_", 1)[1] for k in columns if k.startswith("valid_")} - {"criterion"}
    if there and (wrong := [m for m in measures or () if m not in there]):
        raise DataError(f"no run knows {', '.join(wrong)}; there are {', '.join(sorted(there))}.")
    measures = measures or ("R2", "MAE", "WD")
    ends = tuple(f"_{m}" for m in measures)
    sets = list(dict.fromkeys(k.rsplit("_", 1)[0] for k in columns if k.endswith(ends)))
    panels = [[(s, m) for m in measures] for s in sets] or [[("", "loss")]]
    if sets:
        panels = [[("", "loss"), *panels[0]], *[[("", ""), *row] for row in panels[1:]]]
    figure = Figure(
        figsize=(3.6 * len(panels[0]) + 0.6, 3.0 * len(panels) + 0.4), layout="constrained"
    )
    axes = figure.subplots(len(panels), len(panels[0]), squeeze=False)
    handles: dict[str, Any] = {}
    for row_of_axes, row_of_panels in zip(axes, panels, strict=True):
        for ax, (name, measure) in zip(row_of_axes, row_of_panels, strict=True):
            column = f"{name}_{measure}" if name else measure
            if not measure:
                ax.set_axis_off()
                continue
            for number, (run, rows) in enumerate(runs.items()):
                known = [(_time(rows, k, against), r[column]) for k, r in _rows(rows, column)]
                if known:
                    (handles[run],) = ax.plot(
                        *np.transpose(known),
                        ".-",
                        color=f"C{number % 10}",
                        linewidth=1.2,
                        markersize=3,
                    )
            ax.set(xlabel="epoch" if against == "epoch" else "hours of training")
            ax.xaxis.set_major_locator(MaxNLocator(5, integer=against == "epoch"))
            ax.set_ylabel(MEASURES.get(measure, measure) if name else "training loss")
            title = "validation" if name == "valid" else f"validation, {name}"
            ax.set_title(title if name else "training", loc="left", fontsize=9)
            ax.grid(alpha=0.25)
            if measure not in ("R2", "within10"):
                plain_log(ax.yaxis)
    figure.legend(
        handles.values(), handles.keys(), loc="outside upper center", ncols=5, frameon=False
    )
    if path is not None:
        with writing(path):
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        save_figure(figure, path, dpi=150)
    return figure


def plain_log(axis: Axis) -> None:
    """Make a y axis logarithmic, with plain numbers, also where it spans less than a decade."""
    from matplotlib.ticker import MaxNLocator

    low, high = axis.get_data_interval()
    axis.axes.set_yscale("log")
    axis.set_major_formatter("{x:.3g}")
    if 0 < high < 10 * low:
        axis.set_minor_locator(MaxNLocator(4))
        axis.set_minor_formatter("{x:.3g}")
    axis.set_tick_params(which="both", labelsize=8)


def _rows(
    rows: Sequence[Mapping[str, float]], column: str
) -> list[tuple[int, Mapping[str, float]]]:
    return [(k, row) for k, row in enumerate(rows) if column in row]


def _time(rows: Sequence[Mapping[str, float]], number: int, against: str) -> float:
    if against == "epoch":
        return rows[number]["epoch"] + 1
    return sum(r.get("seconds", 0.0) for r in rows[: number + 1]) / 3600


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
        save_figure(figure, path, dpi=150)
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
        save_figure(figure, path, dpi=150)
    return figure


def write_figures(found: Predictions, directory: str | Path) -> list[Path]:
    """All figures that the predictions allow, as PNG files.

    Parameters
    ----------
    found : Predictions
        Of one model for one part of a file.
    directory : str or Path
        Folder, made where it is missing.

    Returns
    -------
    list of Path
        The files written: how the spectra follow strain for site spectra; coverage of the
        intervals where the model is calibrated and the labels are raw spectra.
    """
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    if found.labelled.kind == "site":
        written.append(folder / f"{found.model}-strain.png")
        strain_figure(strain_response(found), written[-1])
    elif found.labelled.kind == "raw" and (rows := coverage(found)):
        written.append(folder / f"{found.model}-coverage.png")
        coverage_figure(rows, written[-1])
    return written
