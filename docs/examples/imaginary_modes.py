"""Imaginary modes: errors below and above zero, and how well stable crystals are told apart.

Run: python docs/examples/imaginary_modes.py
Needs the plug-in plugins/e3dos-paper and the DFPT spectra (the folder named by E3DOS_DATA, or
../shared/data beside the repository).
Writes docs/figures/imaginary_errors.png (the paper's figure S7), imaginary_examples.png (S9) and
imaginary_verdicts.png.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from e3dos_paper.stability_figures import figure_s7, figure_s8, verdict_figure

from ase_e3dos.data.labelled_set import read_labelled
from ase_e3dos.evaluation.predictions import evaluate
from ase_e3dos.evaluation.stability import Stability, stability

DOCS = Path(__file__).parents[1]
DATA = Path(os.environ.get("E3DOS_DATA", DOCS.parents[1] / "shared" / "data"))
MODELS = ("imaginary", "default")
ROWS = {
    "MSE_negative": "mean squared error below zero",
    "MSE_negative_of_nothing": "  of a prediction without imaginary modes",
    "MSE_positive": "mean squared error from zero on",
    "n_unstable": "crystals with over 1 % imaginary modes",
    "precision": "precision of the verdict at 1 %",
    "recall": "recall of the verdict at 1 %",
    "roc_area": "area under the ROC curve",
    "roc_low": "  95 % interval from",
    "roc_high": "  95 % interval to",
    "leak": "imaginary share predicted for stable ones",
}
SILENT = "of 10 points below zero, 0 for all crystals"


def main() -> None:
    """Evaluate, print, draw."""
    path = DATA / "dfpt_petretto.parquet"
    if not path.is_file():
        sys.exit(f"no {path.name} in {DATA}: set E3DOS_DATA to the folder of the data")
    labelled = read_labelled(path)
    results: dict[str, Stability] = {}
    silent = 0
    for model in MODELS:
        found = evaluate(model, labelled, "valid").predictions
        assert found is not None
        verdicts = stability(found)
        assert verdicts is not None
        results[model] = verdicts
        if model == "imaginary":
            grid, predicted, _ = found.on_label_grid(imaginary=True)
            silent = int((predicted[:, grid < 0].max(axis=0) <= 0).sum())
    print(f"{len(results['imaginary'].formulas)} validation crystals (DFPT), 61 points")
    print(f"{'':42}" + "".join(f"{name:>12}" for name in MODELS))
    sections = [results[name].section() for name in MODELS]
    for key, text in ROWS.items():
        print(f"{text:42}" + "".join(f"{section[key]:12.4g}" for section in sections))
    print(f"{SILENT:42}{silent:12d}")

    trained = evaluate("imaginary", labelled, "train").predictions
    assert trained is not None
    training = stability(trained)
    assert training is not None
    figures = DOCS / "figures"
    valid = results["imaginary"]
    figure_s7({"train": training, "valid": valid}, figures / "imaginary_errors.png")
    figure_s8(valid, "valid", figures / "imaginary_examples.png")
    verdict_figure(list(results.values()), figures / "imaginary_verdicts.png")


if __name__ == "__main__":
    main()
