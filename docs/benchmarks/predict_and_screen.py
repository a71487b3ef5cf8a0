"""Whether `predict` and `screen` say the same of the same crystals.

    python docs/benchmarks/predict_and_screen.py CRYSTALS.parquet -n 2000

CRYSTALS is a Parquet file that `e3dos screen` reads. Printed are the largest deviations of the
columns from what the spectra of `predict` say, and how many rows have other warnings.
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ase_e3dos import PhononSpectrum, predict, screen
from ase_e3dos.errors import E3DOSError
from ase_e3dos.screening.inputs import iter_entries

#: K.
TEMPERATURE = 300.0
#: Column -> what a spectrum says.
COLUMNS = {
    "density": lambda s: s.density,
    "mean_wavenumber": lambda s: s.mean_wavenumber,
    "imaginary_fraction": lambda s: s.imaginary_fraction,
    "heat_capacity_per_cell": lambda s: s.heat_capacity(TEMPERATURE),
    "entropy_per_cell": lambda s: s.entropy(TEMPERATURE),
    "free_energy_per_cell": lambda s: s.free_energy(TEMPERATURE),
    "zero_point_energy_per_cell": lambda s: s.zero_point_energy,
}


def differences(
    rows: Iterable[Mapping[str, Any]], spectra: Iterable[PhononSpectrum]
) -> tuple[dict[str, float], list[str]]:
    """Largest deviation of each column over the largest value, and ids with other warnings."""
    largest = dict.fromkeys(COLUMNS, 0.0)
    warned = []
    for row, spectrum in zip(rows, spectra, strict=True):
        for name, value in COLUMNS.items():
            expected = np.asarray(value(spectrum))
            scale = max(float(np.abs(expected).max()), 1e-3)
            off = float(np.abs(np.asarray(row[name]) - expected).max()) / scale
            largest[name] = max(largest[name], off)
        if row["warnings"] != [f"{type(w).__name__}: {w}" for w in spectrum.warnings]:
            warned.append(row["id"])
    return largest, warned


def main() -> None:
    """Screen a file, predict the same crystals, and compare."""
    import pyarrow.parquet as pq

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("crystals", type=Path)
    parser.add_argument("-n", type=int, default=2000, help="crystals (2000 if not given)")
    parser.add_argument("--model", default="default")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    table = pq.read_table(options.crystals)
    n = min(options.n, len(table))
    table = table.take(np.arange(n) * len(table) // n)
    entries = list(iter_entries(table))
    crystals = {e.id: e.crystal for e in entries if not isinstance(e.crystal, E3DOSError)}
    with tempfile.TemporaryDirectory() as folder:
        screen(table, folder, model=options.model, device="cpu", temperature=TEMPERATURE)
        rows = pq.read_table(folder).to_pylist()
    good = [row for row in rows if row["error"] is None]
    found = predict([crystals[row["id"]] for row in good], options.model, "cpu")
    largest, warned = differences(good, found)
    print(f"{len(rows)} rows, {len(rows) - len(good)} of them errors")
    for name, off in largest.items():
        print(f"{name:28s} differs by {off:.1e} at most")
    several = sum(bool(row["warnings"]) for row in good)
    print(f"{several} rows have warnings; {len(warned)} have others than predict gives")


if __name__ == "__main__":
    main()
