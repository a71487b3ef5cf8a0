"""Spectra as a neutron instrument would see them, in the manner of figure 3 of the paper.

Columns that you have measured or digitised, as FORMULA.csv in the folder named on the command
line, are drawn and compared. The paper had never seen U and Nd; no training data of ours hold Eu.
Writes docs/figures/experiments.png. Run: python docs/examples/experiments.py [FOLDER]
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
from ase.build import bulk
from ase.spacegroup import crystal

from ase_e3dos import predict
from ase_e3dos.errors import E3DOSWarning
from ase_e3dos.measurement import compare, read_measurement
from ase_e3dos.spectrum.descriptors import peak_positions

DOCS = Path(__file__).resolve().parents[1]
MEASURED = Path(sys.argv[1]) if len(sys.argv) > 1 else None
RESOLUTION = 2.0  # meV, full width at half maximum

warnings.simplefilter("ignore", E3DOSWarning)  # printed below
fluorite = {"spacegroup": 225, "basis": [(0, 0, 0), (0.25, 0.25, 0.25)], "primitive_cell": True}
structures = [
    *(DOCS / "crystals" / f for f in ("SrTiO3.cif", "MgO.cif", "TiO2.cif")),
    crystal(["U", "O"], cellpar=[5.47] * 3 + [90] * 3, **fluorite),
    bulk("NdN", "rocksalt", a=5.14),
    bulk("EuO", "rocksalt", a=5.14),
]
figure, axes = plt.subplots(2, 3, figsize=(7.2, 4.0), layout="constrained")
for ax, spectrum in zip(axes.flat, predict(structures), strict=True):
    formula = spectrum.crystal.formula
    seen = spectrum.neutron_weighted(resolution=RESOLUTION)
    e, y, std = seen.energies("meV"), seen.density("meV"), seen.density_std("meV")
    ax.plot(e, y, color="#D55E00", lw=1.1, label="predicted, neutron-weighted")
    if std is not None:
        ax.fill_between(e, y - 2 * std, y + 2 * std, color="#D55E00", alpha=0.2, lw=0)
    plain = spectrum.neutron_weighted(resolution=RESOLUTION, weighting="none")
    ax.plot(plain.energies("meV"), plain.density("meV"), "k--", lw=0.6, label="unweighted")
    peaks = ", ".join(f"{p:.1f}" for p in peak_positions(e, y, 0.1, 0.08))
    band = "" if std is None else f"; mean relative band {std.sum() / y.sum():.0%}"
    print(f"{formula}: peaks at {peaks} meV{band}")
    for warning in spectrum.warnings:
        print(f"  {type(warning).__name__}: {warning}")
    path = MEASURED / f"{formula}.csv" if MEASURED else None
    if path is not None and path.is_file():
        found = compare(spectrum, read_measurement(path), resolution=RESOLUTION, unit="meV")
        m = found.measurement
        ax.plot(m.wavenumbers / 8.06554, m.intensity * found.scale * 241.7989 / 1000, ".", ms=3)
        print(f"  measured: overlap {found.overlap:.3f}, cosine {found.cosine:.3f}")
    unseen = any(type(w).__name__ == "UnseenElementWarning" for w in spectrum.warnings)
    ax.set_title(formula + (" (unseen element)" if unseen else ""), fontsize=8)
    ax.set(xlabel="Energy (meV)", yticks=[])
    ax.set_xlim(0, e[y > 0.01 * y.max()][-1] * 1.05)
    ax.set_ylim(bottom=0)
axes[0, 0].legend(fontsize=6, frameon=False)
figure.savefig(DOCS / "figures" / "experiments.png", dpi=200)
