"""Imaginary modes in pictures: errors by sign and examples (figures S7 to S10), verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ase_e3dos.evaluation.predictions import Predictions
from ase_e3dos.evaluation.stability import Stability, roc_area, stability, verdict_curves
from ase_e3dos.prediction.trust import IMAGINARY_LIMIT
from e3dos_paper.figure_2 import COLORS
from e3dos_paper.pictures import save_picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: The paper's numbers of the figures of examples.
_EXAMPLES = {"train": "figure-s8", "valid": "figure-s9", "test": "figure-s10"}
#: Rows and columns of the examples.
_ROWS, _COLUMNS = 6, 5
#: Errors below this are drawn at it, on the logarithmic axis.
_SMALLEST = 1e-6


def figure_s7(parts: Mapping[str, Stability], path: str | Path | None = None) -> Figure:
    """Distribution of the squared errors below and above zero, in each split.

    Below zero, only crystals that have weight there, in the reference or as predicted.

    Parameters
    ----------
    parts : mapping of str to Stability
        Results by split, training first.
    path : str or Path, optional
        Image to write; None writes nothing.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 3.2), layout="constrained")
    axes = figure.subplots(1, 2, sharex=True)
    bins = np.logspace(np.log10(_SMALLEST), 0, 19).tolist()
    for side, (ax, title) in enumerate(zip(axes, ("below zero", "from zero on"), strict=True)):
        for name, found in parts.items():
            errors = found.squared_errors()[side]
            errors = np.maximum(errors[errors > 0], _SMALLEST)
            color = COLORS.get(name)
            label = f"{name} ({len(errors)} of {len(found.formulas)})"
            share = np.full(len(errors), 1 / max(len(errors), 1))
            ax.hist(errors, bins, weights=share, histtype="step", color=color, label=label)
            if len(errors):
                ax.axvline(float(np.median(errors)), color=color, linestyle=":", linewidth=1)
        ax.set(xscale="log", xlabel="mean squared error", title=f"({'ab'[side]}) {title}")
        ax.margins(y=0.25)
        ax.legend(frameon=False, fontsize=8, loc="upper left")
    axes[0].set_ylabel("share of these crystals")
    figure.suptitle(f"Model {next(iter(parts.values())).model}; dotted: medians", fontsize=9)
    if path is not None:
        save_picture(figure, path)
    return figure


def figure_s8(found: Stability, split: str, path: str | Path | None = None) -> Figure:
    """Examples, the largest weight below zero first: the upper rows the first, then every nth.

    The paper's figures S8 (training), S9 (validation) and S10 (test) are this for each split.

    Parameters
    ----------
    found : Stability
        Of the split.
    split : str
        Its name, for the title.
    path : str or Path, optional
        Image to write; None writes nothing.
    """
    from matplotlib.figure import Figure

    order = found.order()
    n, first = _ROWS * _COLUMNS, _ROWS * _COLUMNS // 2
    if len(order) > n:  # half of them by weight below zero, half spread over the others
        rest = np.linspace(first, len(order) - 1, n - first).round().astype(int)
        order = np.concatenate([order[:first], order[rest]])
    figure = Figure(figsize=(9.6, 8.4), layout="constrained")
    axes = figure.subplots(_ROWS, _COLUMNS, sharex=True).ravel()
    for ax in axes[len(order) :]:
        ax.set_axis_off()
    for ax, i in zip(axes, order, strict=False):
        ax.axvspan(found.wavenumbers[0], 0, color="0.93", linewidth=0)
        ax.plot(found.wavenumbers, found.reference[i], color="#3b6fb6", linewidth=1.2)
        ax.plot(found.wavenumbers, found.predicted[i], color="#e08a2e", linewidth=1.2)
        share = f"{100 * found.reference_share[i]:.1f} | {100 * found.predicted_share[i]:.1f} %"
        ax.set_title(f"{found.formulas[i]}  {share}", fontsize=7, pad=2)
        ax.set(yticks=[], xlim=(found.wavenumbers[0], found.wavenumbers[-1]), ylim=(0, 1.08))
        ax.tick_params(labelsize=7)
    figure.suptitle(
        f"Model {found.model}, split {split}: reference (blue) and prediction (orange), each over "
        "its maximum.\nTitles: imaginary share in the reference | predicted. Upper half: the "
        "largest weight below zero first; lower half: every nth of the others",
        fontsize=9,
    )
    figure.supxlabel("wavenumber (cm$^{-1}$)", fontsize=9)
    if path is not None:
        save_picture(figure, path)
    return figure


def verdict_figure(results: Sequence[Stability], path: str | Path | None = None) -> Figure:
    """Stable or not, by the imaginary share: ROC, precision against recall, and the shares.

    Parameters
    ----------
    results : sequence of Stability
        One for each model, on the same crystals; models whose crystals are all stable or all
        unstable are left out of the curves.
    path : str or Path, optional
        Image to write; None writes nothing.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.2, 3.4), layout="constrained")
    roc, pr, shares = figure.subplots(1, 3)
    for k, found in enumerate(results):
        color = f"C{k}"
        shares.plot(
            100 * np.maximum(found.reference_share, 1e-4),
            100 * np.maximum(found.predicted_share, 1e-4),
            "o", ms=3, alpha=0.5, mew=0, color=color,
        )  # fmt: skip
        if found.unstable.all() or not found.unstable.any():
            continue
        _draw_curves(roc, pr, found, color)
    roc.axline((0, 0), slope=1, color="0.6", linewidth=0.8)
    roc.set(xlabel="false positive rate", ylabel="recall", title="(a) ROC")
    pr.set(xlabel="recall", ylabel="precision", title="(b) precision and recall")
    for ax in (roc, pr):
        ax.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    roc.legend(frameon=False, fontsize=8, loc="lower right")
    limit = 100 * IMAGINARY_LIMIT
    shares.axvline(limit, color="0.6", linewidth=0.8)
    shares.axhline(limit, color="0.6", linewidth=0.8)
    shares.set(xscale="log", yscale="log", title="(c) imaginary share (%)")
    shares.set(xlabel="reference (less than 0.01: at 0.01)", ylabel="predicted")
    if path is not None:
        save_picture(figure, path)
    return figure


def _draw_curves(roc: Any, pr: Any, found: Stability, color: str) -> None:
    thresholds, alarms, recall, precision = verdict_curves(found.predicted_share, found.unstable)
    area = roc_area(found.predicted_share, found.unstable)
    label = f"{found.model} ({area:.2f})"
    roc.plot([0, *alarms], [0, *recall], color=color, linewidth=1.2, label=label)
    pr.plot(recall, precision, color=color, linewidth=1.2)
    called = np.flatnonzero(thresholds > IMAGINARY_LIMIT)
    if len(called):  # the verdict at 1 %
        at = called[-1]
        roc.plot(alarms[at], recall[at], "o", color=color)
        pr.plot(recall[at], precision[at], "o", color=color)
    if pr.lines and found.unstable.any():
        pr.axhline(float(found.unstable.mean()), color="0.6", linewidth=0.8)


def write_stability_figures(parts: Mapping[str, Predictions], directory: str | Path) -> list[Path]:
    """Figures S7 to S10 and the verdicts of one model, as PNG files.

    Parameters
    ----------
    parts : mapping of str to Predictions
        Predictions by split, training first, the one that counts last.
    directory : str or Path
        Folder, made where it is missing.

    Returns
    -------
    list of Path
        The files written; none for a model without imaginary modes.
    """
    results = {name: found for name, p in parts.items() if (found := stability(p)) is not None}
    if not results:
        return []
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    *_, last = results.values()
    written = [folder / f"{last.model}-figure-s7.png"]
    figure_s7(results, written[0])
    for split, found in results.items():
        written.append(folder / f"{last.model}-{_EXAMPLES.get(split, f'examples-{split}')}.png")
        figure_s8(found, split, written[-1])
    written.append(folder / f"{last.model}-stability.png")
    verdict_figure([last], written[-1])
    return written
