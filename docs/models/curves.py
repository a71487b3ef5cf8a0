"""Learning curves of the trials for the default model, from the record that they left.

    python docs/models/curves.py

draws docs/figures/default_trials.png and puts the last row of each trial into the table of
default-training.md. The record, docs/models/curves.csv, holds what each run printed of the DFPT
validation set (152 crystals, the measures of `e3dos evaluate`) with its step.
"""

from __future__ import annotations

import csv
from pathlib import Path

import matplotlib.pyplot as plt

DOCS = Path(__file__).resolve().parents[1]
RECORD = DOCS / "models" / "curves.csv"
FIGURE = DOCS / "figures" / "default_trials.png"
PAGE = DOCS / "models" / "default-training.md"
PANELS = {"R2": "R²", "WD": "Wasserstein (cm⁻¹)", "Cv_cell": "$C_V$ (J/K/mol of cells)"}
COLUMNS = ("step", "R2", "MAE", "WD", "Cv_cell", "Cv_atom", "wbar")


def main() -> None:
    """Draw the figure and write the table."""
    with RECORD.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    trials = list(dict.fromkeys(row["trial"] for row in rows))
    figure, axes = plt.subplots(1, len(PANELS), figsize=(9.6, 2.8), layout="constrained")
    for trial in trials:
        mine = [row for row in rows if row["trial"] == trial]
        steps = [float(row["step"]) for row in mine]
        for ax, (name, label) in zip(axes, PANELS.items(), strict=True):
            ax.plot(steps, [float(row[name]) for row in mine], "o-", ms=3, lw=1, label=trial)
            ax.set(xlabel="step", ylabel=label)
    axes[0].legend(fontsize=7)
    figure.savefig(FIGURE, dpi=160)
    lines = ["| trial | " + " | ".join(COLUMNS) + " |", "| --- |" + " ---: |" * len(COLUMNS)]
    for trial in trials:
        last = [row for row in rows if row["trial"] == trial][-1]
        lines.append(f"| {trial} | " + " | ".join(last[c] for c in COLUMNS) + " |")
    page = PAGE.read_text(encoding="utf-8")
    before, rest = page.split("<!-- trials: begin", 1)
    after = rest.split("<!-- trials: end -->", 1)[1]
    mark = "<!-- trials: begin (written by docs/models/curves.py) -->"
    table = "\n\n".join([mark, "\n".join(lines), "<!-- trials: end -->"])
    PAGE.write_text(before + table + after, encoding="utf-8")


if __name__ == "__main__":
    main()
