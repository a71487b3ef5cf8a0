"""Several models on the same data, on one page: tables, distributions of the errors, examples."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ase_e3dos.errors import DataError
from ase_e3dos.evaluation.predictions import Evaluation, Predictions
from ase_e3dos.export.writing import save_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: What the measures are, for people who have not read the documentation.
MEANINGS = {
    "n": "crystals",
    "R2": "R², spectra divided by their maximum",
    "MAE": "mean absolute error of these",
    "MSE": "mean squared error of these",
    "MSE_median": "median over the crystals of the squared error",
    "WD": "Wasserstein distance, cm⁻¹",
    "Cv_atom": "error of C_V(300 K), J/(K mol) per atom",
    "Cv_cell": "the same per cell",
    "wbar": "error of the average frequency, cm⁻¹",
    "within10": "share with an average frequency within 10 %",
    "within5": "share within 5 %",
}
_HIGHER_IS_BETTER = ("R2", "within10", "within5")
_EXAMPLES = 12
_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:1100px;margin:2em auto;padding:0 1em}"
    "table{border-collapse:collapse;margin:1em 0}td,th{padding:.25em .8em;text-align:right;"
    "border-bottom:1px solid #ddd}td:first-child,th:first-child{text-align:left}"
    ".best{font-weight:600}img{max-width:100%}"
)


def comparison_page(results: Sequence[Evaluation], path: str | Path) -> Path:
    """Write one self-contained HTML page about several models.

    Parameters
    ----------
    results : sequence of Evaluation
        Evaluations of the same split of the same data, with predictions.
    path : str or Path
        File to write.

    Raises
    ------
    DataError
        There is nothing to compare, or the evaluations are not of the same crystals.
    """
    found = _predictions(results)
    first = results[0]
    names = ", ".join(r.model for r in results)
    sections = list(dict.fromkeys(name for r in results for name in r.sections))
    parts = [
        f"<h1>{html.escape(names)}</h1>",
        f"<p>{html.escape(first.data)}, split {html.escape(first.split)}: "
        f"{len(found[0].spectra)} crystals.</p>",
        _table(results, "", MEANINGS),
        _image(comparison_figure(found)),
        "<h2>Examples</h2><p>From the smallest to the largest squared error of the first model, "
        f"{html.escape(first.model)}. Grey: reference.</p>",
        _image(examples_figure(found)),
        *(f"<h2>{html.escape(name)}</h2>{_table(results, name, {})}" for name in sections),
    ]
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    head = f"<meta charset='utf-8'><title>{html.escape(names)}</title><style>{_STYLE}</style>"
    file.write_text(f"<!doctype html>{head}{''.join(parts)}\n", encoding="utf-8")
    return file


def _predictions(results: Sequence[Evaluation]) -> list[Predictions]:
    found = [r.predictions for r in results if r.predictions is not None]
    if not found or len(found) < len(results):
        raise DataError("a comparison needs evaluations with their predictions.")
    if any(p.labelled.ids != found[0].labelled.ids for p in found):
        raise DataError("a comparison needs the same crystals for every model.")
    return found


def comparison_figure(found: Sequence[Predictions], path: str | Path | None = None) -> Figure:
    """Distributions of the errors over the crystals, one line a model.

    Left, the share of crystals with at most a squared error; middle, with at most a relative
    error of the average frequency; right, predicted against reference average frequency.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 3.8), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    for number, p in enumerate(found):
        color = f"C{number}"
        predicted, reference = p.mean_wavenumbers()
        relative = 100 * np.abs(predicted - reference) / np.abs(reference)
        left.ecdf(p.squared_errors(), color=color, label=p.model)
        middle.ecdf(relative, color=color)
        right.scatter(reference, predicted, s=7, alpha=0.6, linewidths=0, color=color)
    left.set(xscale="log", xlabel="squared error of a crystal", ylabel="share of the crystals")
    middle.set(xlim=(0, 30), xlabel="error of the average frequency (%)")
    right.axline((0, 0), slope=1, color="0.5", linewidth=0.8)
    right.set(xlabel="reference average frequency (cm$^{-1}$)", ylabel="predicted (cm$^{-1}$)")
    left.legend(frameon=False)
    if path is not None:
        save_figure(figure, path, dpi=150)
    return figure


def examples_figure(found: Sequence[Predictions], path: str | Path | None = None) -> Figure:
    """The same crystals by every model: from the smallest to the largest error of the first."""
    from matplotlib.figure import Figure

    order = np.argsort(found[0].squared_errors())
    count = min(_EXAMPLES, len(order))
    chosen = order[np.linspace(0, len(order) - 1, count).astype(int)]
    rows = -(-count // 4)
    figure = Figure(figsize=(12, 2.3 * rows + 0.4), layout="constrained")
    axes = figure.subplots(rows, 4, squeeze=False).ravel()
    for ax in axes[count:]:
        ax.set_axis_off()
    for number, p in enumerate(found):
        grid, predicted, reference = p.on_label_grid()
        for ax, i in zip(axes, chosen, strict=False):
            if not number:
                y = reference[i] / reference[i].max()
                ax.fill_between(grid, y, color="0.85", linewidth=0)
                top = grid[np.flatnonzero(y > 0.01)[-1]]
                ax.set(
                    xlim=(min(0.0, grid[0]), min(1.15 * top, grid[-1])), ylim=(0, 1.08), yticks=[]
                )
                ax.set_title(p.labelled.formulas[i], fontsize=9, pad=2)
            ax.plot(grid, predicted[i] / predicted[i].max(), linewidth=1.2, label=p.model)
    axes[0].legend(frameon=False, fontsize=8)
    figure.supxlabel("cm$^{-1}$", fontsize=9)
    if path is not None:
        save_figure(figure, path, dpi=150)
    return figure


def _table(results: Sequence[Evaluation], section: str, meanings: dict[str, str]) -> str:
    """Measures in rows, models in columns; the best of a row is bold where that is known."""
    values = [r.sections.get(section, {}) if section else r.errors for r in results]
    measures = list(dict.fromkeys(k for v in values for k in v))
    lines = ["<tr><th></th>" + "".join(f"<th>{html.escape(r.model)}</th>" for r in results)]
    for measure in measures:
        row = [v.get(measure) for v in values]
        best = _best(measure, row) if measure in meanings and measure != "n" else None
        cells = [
            f"<td{' class=best' if k == best else ''}>{'' if x is None else format(x, '.4g')}</td>"
            for k, x in enumerate(row)
        ]
        lines.append(f"<tr><td>{html.escape(meanings.get(measure, measure))}</td>{''.join(cells)}")
    return f"<table>{''.join(lines)}</table>"


def _best(measure: str, row: Sequence[float | None]) -> int | None:
    known = [(x, k) for k, x in enumerate(row) if x is not None and np.isfinite(x)]
    if len(known) < 2:
        return None
    return (max if measure in _HIGHER_IS_BETTER else min)(known)[1]


def _image(figure: Figure) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130)
    return (
        f"<img alt='' src='data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}'>"
    )
