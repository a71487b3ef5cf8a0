"""Learning curves of the trials for the default model, from the record that they left.

    python docs/models/curves.py

draws docs/figures/default_trials.png and prints the last row of each trial as a Markdown table. The
record, docs/models/curves.csv, holds what each run printed of the DFPT validation set (152
crystals, the measures of `e3dos evaluate`) with its step and the minutes since its start; the
runs shared two cores with other work.
"""

from __future__ import annotations

import csv
from pathlib import Path

import matplotlib.pyplot as plt

DOCS = Path(__file__).resolve().parents[1]
RECORD = DOCS / "models" / "curves.csv"
FIGURE = DOCS / "figures" / "default_trials.png"
PANELS = {"R2": "R²", "WD": "Wasserstein (cm⁻¹)", "Cv_cell": "$C_V$ (J/K/mol of cells)"}
COLUMNS = ("step", "R2", "MAE", "WD", "Cv_cell", "Cv_atom", "wbar")


def main() -> None:
    """Draw the figure and print the table."""
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
    print("| trial | " + " | ".join(COLUMNS) + " |")
    print("| --- |" + " ---: |" * len(COLUMNS))
    for trial in trials:
        last = [row for row in rows if row["trial"] == trial][-1]
        print(f"| {trial} | " + " | ".join(last[c] for c in COLUMNS) + " |")


if __name__ == "__main__":
    main()
