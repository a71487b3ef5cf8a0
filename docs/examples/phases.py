"""Vibrational free-energy differences of polymorphs: predicted against DFPT, on held-out crystals.

Takes the formulas with a crystal in the validation split and another polymorph in the data.
Needs the training data (E3DOS_DATA). Writes docs/figures/phases.png.
Run: python docs/examples/phases.py
"""

from __future__ import annotations

import os
import warnings
from collections import defaultdict
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pyarrow.parquet as pq
from ase import Atoms

from ase_e3dos import predict
from ase_e3dos.errors import E3DOSWarning
from ase_e3dos.phases import compare_phases
from ase_e3dos.spectrum import PhononSpectrum

DOCS = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("E3DOS_DATA", DOCS.parent.parent / "shared" / "data"))
warnings.simplefilter("ignore", E3DOSWarning)

by_formula = defaultdict(list)
for row in pq.read_table(DATA / "dfpt_petretto.parquet").to_pylist():
    if row["helmholtz_300K"] is not None:
        by_formula[row["formula"]].append(row)
groups = {
    f: sorted(rows, key=lambda r: r["split"] != "valid")
    for f, rows in by_formula.items()
    if len(rows) > 1 and any(r["split"] == "valid" for r in rows)
}
rows = [row for group in groups.values() for row in group]
spectra = predict(
    [
        Atoms(
            row["numbers"],
            cell=np.reshape(row["cell"], (3, 3)),
            scaled_positions=np.reshape(row["positions_frac"], (-1, 3)),
            pbc=True,
        )
        for row in rows
    ]
)
ours, theirs, inside, bars = [], [], [], False
at = dict(zip([r["id"] for r in rows], spectra, strict=True))
print("F_vib(300 K) relative to the held-out polymorph, kJ/mol of atoms: predicted, DFPT")
for formula, group in groups.items():
    found = compare_phases([at[r["id"]] for r in group], temperatures=[0.0, 300.0])
    atoms = at[group[0]["id"]].per_formula_unit().n_modes / 3
    reference = [r["helmholtz_300K"] / len(r["numbers"]) for r in group]
    for k in range(1, len(group)):
        a, b = found.vibrational[k, 1] / atoms, reference[k] - reference[0]
        bar = ""
        if found.half_width is not None:
            half, bars = found.half_width[k, 1] / atoms, True
            inside.append(abs(a - b) <= half)
            bar = f" ± {half:.2f}"
        print(f"{formula:8s} {group[k]['id']:10s} - {group[0]['id']:10s} {a:6.2f}{bar}  {b:6.2f}")
        ours.append(a)
        theirs.append(b)
error = np.abs(np.subtract(ours, theirs))
print(
    f"{len(ours)} pairs: MAE {error.mean():.3f} kJ/mol of atoms; "
    f"of no difference at all {np.abs(theirs).mean():.3f}"
)
rest = np.arange(len(ours)) != np.argmax(np.abs(theirs))
print(
    f"without the pair that differs most: MAE {error[rest].mean():.3f}; "
    f"of no difference at all {np.abs(theirs)[rest].mean():.3f}"
)
if bars:
    print(f"inside the 90 % interval: {np.mean(inside):.0%}")

figure, axes = plt.subplots(1, 2, figsize=(6.4, 2.5), layout="constrained")
axes[0].plot(theirs, ours, "o", ms=3)
limit = 1.1 * max(map(abs, [*ours, *theirs]))
axes[0].plot([-limit, limit], [-limit, limit], "k", lw=0.6)
axes[0].set(xlabel=r"DFPT $\Delta F_\mathrm{vib}$ (kJ/mol of atoms)", ylabel="predicted")


def einstein(wavenumber: float, spread: float) -> PhononSpectrum:
    """A made-up element with one frequency, and an ensemble that is not sure of it."""
    from ase_e3dos.crystal import Crystal

    x = np.arange(0.5, 300.0)
    members = [np.exp(-((x - wavenumber * (1 + d)) ** 2)) for d in (-spread, 0.0, spread)]
    element = Crystal(np.eye(3) * 3, [[0, 0, 0]], [0], [50])
    return PhononSpectrum(x, members[1], crystal=element, members=members)


from ase_e3dos.phases import plot_phases  # noqa: E402

made_up = compare_phases(
    [einstein(150.0, 0.01), einstein(110.0, -0.015)],
    [0.0, 0.02],
    temperatures=np.linspace(0, 1200, 241),
    names=["stiff", "soft"],
)
plot_phases(made_up, axes[1])
transition = made_up.transitions[0]
print(f"made-up pair: {transition.temperature:.0f} K, interval {transition.interval}")
figure.savefig(DOCS / "figures" / "phases.png", dpi=200)
