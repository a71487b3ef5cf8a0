"""Spectra as a neutron instrument would see them, in the manner of figure 3 of the paper.

Columns that you have measured or digitised, as FORMULA.csv in the folder named on the command
line, are drawn and compared. Without a folder Cu and Cu3Au stand beside SYNTHETIC data
(docs/examples/synthetic_measurement.py), which were never measured. Mg3Bi2 is compared with the
computed spectrum that the paper adds to its data, where E3DOS_DATA holds it. The paper's network
had never seen U and Nd; no training data of ours hold Eu, Pu, Am, Cm and Ra.
Writes docs/figures/experiments.png. Run: python docs/examples/experiments.py [FOLDER]
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.spacegroup import crystal

from ase_e3dos import PhononSpectrum, predict
from ase_e3dos.analysis.measurement import Measurement, compare, read_measurement
from ase_e3dos.errors import E3DOSWarning, UnseenElementWarning
from ase_e3dos.export.plots import plot_comparison

DOCS = Path(__file__).resolve().parents[1]
SYNTHETIC = DOCS / "examples" / "synthetic"
FOLDER = Path(sys.argv[1]) if len(sys.argv) > 1 else SYNTHETIC
MG3BI2 = Path(os.environ.get("E3DOS_DATA", DOCS.parent.parent / "shared" / "data")) / "mg3bi2.json"
RESOLUTION = 2.0  # meV, full width at half maximum
CU3AU = [3.75] * 3 + [90] * 3
BAND = {"color": "#D55E00", "alpha": 0.2, "lw": 0}


def fluorite(metal: str, anion: str, a: float) -> Atoms:
    """MX2 in the fluorite structure, primitive cell."""
    sites = [(0, 0, 0), (0.25, 0.25, 0.25)]
    cell = [a] * 3 + [90] * 3
    return crystal([metal, anion], sites, spacegroup=225, cellpar=cell, primitive_cell=True)


def salt(formula: str, a: float) -> Atoms:
    """MX in the rock-salt structure, primitive cell."""
    return bulk(formula, "rocksalt", a=a)


def relative_band(spectrum: PhononSpectrum) -> float:
    """Standard deviation of the ensemble over the density, both integrated."""
    seen = spectrum.neutron_weighted(resolution=RESOLUTION, weighting="none")
    return float(seen.std.sum() / seen.weighted.sum())


def data_of(formula: str) -> tuple[Measurement, str, str] | None:
    """What the spectrum of a formula is drawn beside: data, weighting, and what they are."""
    path = FOLDER / f"{formula}.csv"
    if path.is_file():
        what = "synthetic, not measured" if FOLDER == SYNTHETIC else "measured"
        return read_measurement(path), "neutron", what
    if formula == "Mg3Bi2" and MG3BI2.is_file():
        content = json.loads(MG3BI2.read_text())
        x, y = content["wavenumbers_cm1"], content["dos_max_normalised"]
        return Measurement.of(x, y, unit="cm-1"), "none", "computed (Agne et al.)"
    return None


def draw(ax: plt.Axes, spectrum: PhononSpectrum) -> None:
    """One panel, and what is printed of it."""
    formula = spectrum.crystal.formula
    seen = spectrum.neutron_weighted(resolution=RESOLUTION)
    print(f"{formula}: mean relative band {relative_band(spectrum):.0%}")
    for warning in spectrum.warnings:
        print(f"  {type(warning).__name__}: {warning}")
    data = data_of(formula)
    unseen = any(isinstance(w, UnseenElementWarning) for w in spectrum.warnings)
    title = formula + (" (element never seen)" if unseen else "")
    if data is not None:
        measurement, weighting, what = data
        found = compare(
            spectrum, measurement, resolution=RESOLUTION, unit="meV", weighting=weighting
        )
        plot_comparison(found, ax, unit="meV")
        ax.get_legend().remove()  # one above all panels
        ax.containers[0].set_label(what)
        peaks = [", ".join(f"{p / 8.065544:.1f}" for p in side) for side in found.peaks]
        print(f"  {what}: overlap {found.overlap:.3f}, cosine {found.cosine:.3f}, mean frequency")
        print(f"  {found.mean[0] / 8.065544:.1f} and {found.mean[1] / 8.065544:.1f} meV, ", end="")
        print(f"peaks at {peaks[0]} meV, in the data {peaks[1]} meV")
    else:
        e, y, std = seen.energies("meV"), seen.density("meV"), seen.density_std("meV")
        plain = spectrum.neutron_weighted(resolution=RESOLUTION, weighting="none")
        ax.plot(e, y, color="#D55E00", lw=1.1, label="predicted, neutron-weighted")
        if std is not None:
            band = {**BAND, "label": "± two standard deviations"}
            ax.fill_between(e, np.maximum(y - 2 * std, 0), y + 2 * std, **band)
        ax.plot(plain.energies("meV"), plain.density("meV"), "k--", lw=0.6, label="unweighted")
        ax.set_xlim(0, e[np.cumsum(y) < 0.97 * y.sum()][-1] * 1.25)
    ax.set_title(title, fontsize=8)
    ax.set(xlabel="Energy (meV)", ylabel="", yticks=[])
    ax.set_ylim(bottom=0)


def draw_paper(ax: plt.Axes, atoms: Atoms) -> None:
    """The paper's network, which never saw the metal."""
    (spectrum,) = predict([atoms], model="paper")
    seen = spectrum.neutron_weighted(resolution=RESOLUTION, weighting="none")
    style = {"color": "#0072B2", "lw": 0.8, "label": "paper's network, unweighted"}
    ax.plot(seen.energies("meV"), seen.density("meV"), **style)
    names = ", ".join(type(w).__name__ for w in spectrum.warnings)
    print(f"  the paper's network, without error bars: {names}")


warnings.simplefilter("ignore", E3DOSWarning)  # printed with each crystal
panels = [
    DOCS / "crystals" / "Cu.vasp",
    crystal(
        ["Au", "Cu"], [(0, 0, 0), (0, 0.5, 0.5)], spacegroup=221, cellpar=[3.75] * 3 + [90] * 3
    ),
    DOCS / "crystals" / "Mg3Bi2.cif",
    fluorite("U", "O", 5.47),
    salt("NdN", 5.14),
    salt("EuO", 5.14),
]
figure, axes = plt.subplots(2, 3, figsize=(7.2, 4.4), layout="constrained")
for ax, structure, spectrum in zip(axes.flat, panels, predict(panels), strict=True):
    draw(ax, spectrum)
    if spectrum.crystal.formula in ("UO2", "NdN"):
        draw_paper(ax, structure)
entries = {
    name: handle
    for ax in axes.flat
    for handle, name in zip(*ax.get_legend_handles_labels(), strict=True)
}
figure.legend(
    entries.values(), entries, loc="outside upper center", ncols=4, fontsize=6.5, frameon=False
)
axes[0, 0].set_ylabel("DoS")
axes[1, 0].set_ylabel("DoS")
figure.savefig(DOCS / "figures" / "experiments.png", dpi=200)

print("\nBand over density, elements that no training data hold, and their like that they hold")
groups = {
    "never seen": [
        *(salt(f, a) for f, a in [("EuO", 5.14), ("EuS", 5.97), ("EuN", 5.02), ("PuN", 4.91)]),
        *(salt(f, a) for f, a in [("PuC", 4.97), ("AmN", 4.99), ("CmN", 5.03)]),
        *(fluorite(*f) for f in [("Eu", "F", 5.84), ("Pu", "O", 5.40), ("Ra", "F", 6.37)]),
    ],
    "seen": [
        *(salt(f, a) for f, a in [("SrO", 5.16), ("SrS", 6.02), ("GdN", 4.99), ("UN", 4.89)]),
        *(salt(f, a) for f, a in [("UC", 4.96), ("NdN", 5.14), ("YbO", 4.88)]),
        *(fluorite(*f) for f in [("Sr", "F", 5.80), ("U", "O", 5.47), ("Ba", "F", 6.20)]),
    ],
}
for name, structures in groups.items():
    spectra = predict(structures)
    bands = [relative_band(s) for s in spectra]
    told = sum(any(isinstance(w, UnseenElementWarning) for w in s.warnings) for s in spectra)
    print(f"{name:11s} median {np.median(bands):.0%}; {told} of {len(spectra)} with a warning")
    each = zip(spectra, bands, strict=True)
    print("  " + ", ".join(f"{s.crystal.formula} {b:.0%}" for s, b in each))

command = [
    "compare",
    "docs/crystals/Cu.vasp",
    "docs/examples/synthetic/Cu.csv",
    "--resolution",
    "2",
]
print("\n$ e3dos", *command)
start = [sys.executable, "-c", "from ase_e3dos.cli import main; main()"]
done = subprocess.run(
    [*start, *command], cwd=DOCS.parent, capture_output=True, text=True, check=True
)
print(done.stdout, end="")
