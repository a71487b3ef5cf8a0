"""Free-energy differences of polymorphs: predicted against DFPT; grey and white tin.

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
from ase.build import bulk

from ase_e3dos import predict
from ase_e3dos.analysis.phases import compare_phases
from ase_e3dos.errors import E3DOSWarning
from ase_e3dos.export.plots import plot_phases

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


def unseen_pairs() -> None:
    """Pairs of one formula that no network saw, against their site spectra: do intervals hold?"""
    from ase_e3dos import PhononSpectrum
    from ase_e3dos.data.labels import DEFAULT_GRID
    from ase_e3dos.evaluation.predictions import evaluate

    data = evaluate("default", DATA / "mlip_nequix.parquet", source="nequix").predictions
    assert data is not None
    stable = defaultdict(list)
    for spectrum, bins, formula in zip(
        data.spectra, data.labelled.bins, data.labelled.formulas, strict=True
    ):
        known = PhononSpectrum(DEFAULT_GRID, site_density=bins, crystal=spectrum.crystal)
        if known.imaginary_fraction < 0.002 and spectrum.imaginary_fraction < 0.01:
            stable[formula].append((spectrum, known))
    t = np.array([0.0, 300.0, 1000.0])
    errors, halves, sizes = [], [], []
    for group in stable.values():
        if len(group) < 2:
            continue
        found = compare_phases([p for p, _ in group], temperatures=t)
        exact = compare_phases([k for _, k in group], temperatures=t)
        if found.pair_half_width is None:
            return
        atoms = group[0][0].per_formula_unit().n_modes / 3
        for i, j in zip(*np.triu_indices(len(group), 1), strict=True):
            a, b = (v.vibrational[j] - v.vibrational[i] for v in (found, exact))
            errors.append(np.abs(a - b) / atoms)
            sizes.append(np.abs(b) / atoms)
            halves.append(found.pair_half_width[i, j] / atoms)
    error, size, half = map(np.array, (errors, sizes, halves))
    print(f"{len(error)} pairs of one formula that no network saw, kJ/mol of atoms")
    for k, temperature in enumerate(t):
        print(
            f"{temperature:5g} K: MAE {error[:, k].mean():.3f}; of no difference at all "
            f"{size[:, k].mean():.3f}; half width, median {np.median(half[:, k]):.3f}; "
            f"inside {np.mean(error[:, k] <= half[:, k]):.0%}"
        )


if (DATA / "mlip_nequix.parquet").is_file():
    unseen_pairs()

figure, axes = plt.subplots(1, 2, figsize=(6.4, 2.5), layout="constrained")
axes[0].plot(theirs, ours, "o", ms=3)
limit = 1.1 * max(map(abs, [*ours, *theirs]))
axes[0].plot([-limit, limit], [-limit, limit], "k", lw=0.6)
axes[0].set_title("one of each pair never seen", fontsize=8)
axes[1].set_title("tin; dotted: 286 K, measured", fontsize=8)
axes[0].set(xlabel=r"DFPT $\Delta F_\mathrm{vib}$ (kJ/mol of atoms)", ylabel="predicted")


# Tin: grey below, white above 286 K. Enthalpy of transition at 298 K and entropies as tabulated
# (CRC Handbook of Chemistry and Physics): 2.1 kJ/mol; 44.1 and 51.2 J/(K mol).
ENTHALPY, MEASURED, ROOM = 2.1, (44.1, 51.2), 298.15
grey = bulk("Sn", "diamond", a=6.489)
white = Atoms(
    "Sn2",
    cell=[[5.8316, 0, 0], [0, 5.8316, 0], [5.8316 / 2, 5.8316 / 2, 3.1813 / 2]],
    scaled_positions=[[0, 0, 0], [0.75, 0.25, 0.5]],
    pbc=True,
)
tin = predict([grey, white])
warm = [s.per_atom().internal_energy(ROOM) for s in tin]
energy = (ENTHALPY - (warm[1] - warm[0])) / 96.485  # eV; what is left without vibrations
found = compare_phases(
    tin,
    [0.0, energy],
    per="atom",
    temperatures=np.linspace(0, 1000, 201),
    names=["grey tin", "white tin"],
)
plot_phases(found, axes[1])
axes[1].axvline(286, color="k", lw=0.7, ls=":")
print()
for name, spectrum, known in zip(found.names, tin, MEASURED, strict=True):
    bar = ""
    if spectrum.calibration is not None:
        low, high = (v / 2 for v in spectrum.interval("entropy", 0.9, ROOM))
        bar = f" ({low:.1f} to {high:.1f})"
    value = spectrum.per_atom().entropy(ROOM)
    print(f"{name}: entropy at 298 K {value:.1f}{bar} J/(K mol), tabulated {known}")
for t in found.transitions:
    bar = f" ({t.interval_text})" if t.interval_text else ""
    print(f"{t.low_phase} -> {t.high_phase} at {t.temperature:.0f} K{bar}, measured 286 K;")
    print(f"entropy change {t.entropy:.1f} J/(K mol), tabulated {MEASURED[1] - MEASURED[0]:.1f}")
figure.savefig(DOCS / "figures" / "phases.png", dpi=200)
