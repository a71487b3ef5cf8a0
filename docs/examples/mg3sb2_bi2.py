"""Phonons of Mg3Sb2(1-p)Bi2p from one five-atom cell per composition (figure 4 of the paper).

Run: python docs/examples/mg3sb2_bi2.py
Writes docs/figures/mg3sb2_bi2.png. Where the data of the project are at hand (the folder named
by E3DOS_DATA, or ../shared/data beside the repository), the end members are compared with
their DFPT spectra.
"""

from __future__ import annotations

import argparse
import json
import os
import warnings
from pathlib import Path

import numpy as np

from ase_e3dos import Crystal, PhononSpectrum, predict
from ase_e3dos.alloy import composition_sweep, linear_mixture, plot_sweep
from ase_e3dos.alloy.comparison import spectral_distance
from ase_e3dos.errors import E3DOSWarning
from ase_e3dos.plugins import get_registry

DOCS = Path(__file__).parents[1]
DATA = Path(os.environ.get("E3DOS_DATA", DOCS.parents[1] / "shared" / "data"))
GRID = np.arange(0.0, 1001.0, 20.0)  # of the paper, cm^-1


def published(name: str) -> tuple[PhononSpectrum, float] | None:
    """DFPT spectrum of an end member and its fraction of Bi, or None where the file is absent."""
    if name == "Mg3Bi2":
        path = DATA / "mg3bi2.json"
        if not path.is_file():
            print(f"no {path.name} in {DATA}: Mg3Bi2 is not compared (set E3DOS_DATA)")
            return None
        row = json.loads(path.read_text())
        x, y = np.array(row["wavenumbers_cm1"]), np.array(row["dos_max_normalised"])
        # the table ends in a constant floor, not in modes
        y = np.where(y > y[-1], y, 0.0)
        return PhononSpectrum(x, y, crystal=crystal(row, name), label_like=True), 1.0
    path = DATA / "dfpt_petretto.parquet"
    if not path.is_file():
        print(f"no {path.name} in {DATA}: Mg3Sb2 is not compared (set E3DOS_DATA)")
        return None
    import pyarrow.parquet as pq

    row = pq.read_table(path, filters=[("formula", "=", name)]).to_pylist()[0]
    y = np.clip(row["dos_per_cm1"], 0.0, None)
    x = row["dos_start_cm1"] + row["dos_step_cm1"] * np.arange(len(y))
    return PhononSpectrum(x, y, crystal=crystal(row, name)), 0.0


def crystal(row: dict, name: str) -> Crystal:
    """Structure of a row of the data."""
    numbers = row["numbers"]
    cell, scaled = (np.reshape(row[key], (-1, 3)) for key in ("cell", "positions_frac"))
    return Crystal(cell, scaled, np.arange(len(numbers)), numbers, name=name)


def compare(reference: PhononSpectrum, model: str) -> None:
    """Print the errors of the prediction for the structure of the data."""
    spectrum = predict(reference.crystal, model=model)[0]
    labels = [s.as_paper_label(GRID) for s in (spectrum, reference)]
    mae = np.abs(labels[0] / labels[0].max() - labels[1] / labels[1].max()).mean()
    cosine = labels[0] @ labels[1] / np.linalg.norm(labels[0]) / np.linalg.norm(labels[1])
    print(
        f"{reference.crystal.name}: MAE {mae:.4f}, cosine similarity {cosine:.3f} (51 points); "
        f"distance {spectral_distance(spectrum, reference):.1f} cm^-1; mean frequency "
        f"{spectrum.mean_wavenumber:.1f} (DFPT {reference.mean_wavenumber:.1f}) cm^-1; C_V(300 K) "
        f"{spectrum.heat_capacity(300.0) / 5:.2f} ({reference.heat_capacity(300.0) / 5:.2f}) "
        "J/(K mol of atoms)"
    )


def main() -> None:
    """Sweep, compare, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", help="the alloy model where it is installed, else the default")
    parser.add_argument("-n", type=int, default=21)
    parser.add_argument("--out", type=Path, default=DOCS / "figures" / "mg3sb2_bi2.png")
    options = parser.parse_args()
    model = options.model or ("alloy" if "alloy" in get_registry().models() else "default")
    warnings.simplefilter("ignore", E3DOSWarning)

    ends = [DOCS / "crystals" / "Mg3Sb2.cif", DOCS / "crystals" / "Mg3Bi2.cif"]
    sweep = composition_sweep(ends, options.n, model=model)
    mixture = linear_mixture(sweep)
    print(f"{len(sweep)} compositions with the model {model!r}; per atom at 300 K")
    print("   p   mean freq.   C_V     S      distance from the linear mixture (cm^-1)")
    for row, distance in zip(sweep.table(), mixture.distances(), strict=True):
        values = f"{row.mean_wavenumber:8.1f} {row.heat_capacity:9.3f} {row.entropy:7.2f}"
        print(f"{row.fractions[1]:5.2f} {values} {distance:8.2f}")
    for warning in sweep.warnings:
        print(f"warning: {warning}")

    curves = []
    for name in ("Mg3Sb2", "Mg3Bi2"):
        found = published(name)
        if found is not None:
            reference, p = found
            compare(reference, model)
            label = reference.as_paper_label(GRID) / reference.crystal.n_sites
            shown = GRID <= 400
            curves.append((p, GRID[shown], label[shown], f"{name} DFPT"))
    options.out.parent.mkdir(exist_ok=True)
    plot_sweep(sweep, options.out, comparisons=[mixture], references=curves, paper_labels=True)
    print(f"wrote {options.out}")


if __name__ == "__main__":
    main()
