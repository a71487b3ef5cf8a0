"""The hull of Ca-C-O at 0, 1000 and 2000 K, from energies of a potential and predicted phonons.

Energies: the potential Nequix-OAM-1-PFT (T. Koker et al., arXiv 2508.16067, weights CC BY 4.0;
PBE), positions relaxed in the cells of the Materials Project (CC BY 4.0), in
docs/examples/energies/ca_c_o.csv, and molecules in boxes for the ideal gases. Structures:
structures_mp.parquet of the training data (E3DOS_DATA).

Needs the package e3dos-thermochemistry (plugins/). Writes docs/figures/hull_ca_c_o.png.
Run: python docs/examples/hull_at_temperature.py
"""

from __future__ import annotations

import csv
import os
import warnings
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pyarrow.parquet as pq
from e3dos_thermochemistry import descriptor_above_hull, hulls_of
from e3dos_thermochemistry.figures import plot_decomposition, plot_diagram
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from pymatgen.analysis.phase_diagram import PhaseDiagram
from pymatgen.core import Lattice, Structure
from pymatgen.entries.computed_entries import ComputedStructureEntry

from ase_e3dos.errors import E3DOSWarning
from ase_e3dos.export.plots import STYLE

DOCS = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("E3DOS_DATA", DOCS.parent.parent / "shared" / "data"))
#: eV a molecule, by the same potential
GASES = {"O2": -9.9939, "CO2": -22.7169, "CO": -14.4965}
TEMPERATURES = (0.0, 300.0, 600.0, 1000.0, 1500.0, 2000.0)
#: eV per atom: what is further above the hull without vibrations is left out
NEAR = 0.1

with (DOCS / "examples" / "energies" / "ca_c_o.csv").open(encoding="utf-8") as file:
    energies = {row["id"]: float(row["energy_per_atom"]) for row in csv.DictReader(file)}
rows = pq.read_table(DATA / "structures_mp.parquet", filters=[("id", "in", sorted(energies))])
entries = []
for row in rows.to_pylist():
    structure = Structure(
        Lattice(np.reshape(row["cell"], (3, 3))),
        row["numbers"],
        np.reshape(row["positions_frac"], (-1, 3)),
    )
    energy = energies[row["id"]] * len(structure)
    entries.append(ComputedStructureEntry(structure, energy, entry_id=row["id"]))

static = PhaseDiagram(entries)
near = [e for e in entries if static.get_e_above_hull(e) < NEAR]
warnings.simplefilter("ignore", E3DOSWarning)
found = hulls_of(near, TEMPERATURES, gases=GASES)
print(f"{len(entries)} entries, {len(near)} within {NEAR:g} eV/atom of the hull; gases at 1 bar")
print("compositions on the hull with their probabilities, and by pymatgen's descriptor")
for t in TEMPERATURES:
    named = [f if p is None else f"{f} {p:.0%}" for f, p in found.formulas(t).items()]
    print(f"{t:5.0f} K  {', '.join(named)}")
    if 300 <= t <= 2000:
        theirs = np.flatnonzero(descriptor_above_hull(found, t) <= 1e-6)
        on = {found.entries[k].composition.reduced_formula for k in theirs}
        print(f"         {', '.join(sorted(on))}")
print("decomposition energies in meV/atom")
print(" " * 21 + "".join(f"{t:.0f} K".rjust(12) for t in TEMPERATURES))
for k, (name, entry) in enumerate(zip(found.names, found.entries, strict=True)):
    if entry.composition.is_element or not found.stable[:, k].any():
        continue
    cells = []
    for i in range(len(TEMPERATURES)):
        half = "" if found.half_widths is None else f" ±{1000 * found.half_widths[i, k]:.0f}"
        cells.append(f"{1000 * found.decomposition[i, k]:.0f}{half}".rjust(12))
    print(f"{name:21s}" + "".join(cells))

with mpl.rc_context(STYLE):
    figure = Figure(figsize=(6.8, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplot_mosaic([["a", "b", "c"], ["d", "d", "d"]], height_ratios=[1.2, 1])
    for panel, t in zip("abc", (0.0, 1000.0, 2000.0), strict=True):
        plot_diagram(found, t, axes[panel])
    plot_decomposition(found, axes["d"])
    axes["d"].legend(fontsize=6, ncols=3)
    figure.savefig(DOCS / "figures" / "hull_ca_c_o.png", dpi=200)
