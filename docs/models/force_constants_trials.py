"""Trials of the network of force constants, from the record that they left, as a Markdown table.

    python docs/models/force_constants_trials.py

The record, docs/models/force-constants-trials.csv, holds what each run printed of crystals of
phonondb's `valid` that are stable: the mean over the crystals, and the median, of the error of the
frequencies at commensurate wave vectors, and the share that comes out stable at all of them.
"""

from __future__ import annotations

import csv
from pathlib import Path

RECORD = Path(__file__).with_name("force-constants-trials.csv")
COLUMNS = {
    "crystals": "training crystals",
    "steps": "steps",
    "dipoles": "dipoles of",
    "frequency": "frequency (cm⁻¹)",
    "median": "median (cm⁻¹)",
    "stable": "stable",
}


def main() -> None:
    """Print the table."""
    print("| trial | " + " | ".join(COLUMNS.values()) + " |")
    print("| --- |" + " ---: |" * len(COLUMNS))
    with RECORD.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            print(f"| {row['trial']} | " + " | ".join(row[name] for name in COLUMNS) + " |")


if __name__ == "__main__":
    main()
