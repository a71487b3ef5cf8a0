"""U_iso from binned spectra against phonopy, and predicted for some crystals.

Writes docs/figures/displacements.png. Run: python docs/examples/displacements.py
"""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from ase.build import bulk
from lattice_models import emt, springs

from ase_e3dos import predict

DOCS = Path(__file__).resolve().parents[1]
T = np.array([0.0, 100.0, 300.0, 600.0, 900.0])


def of_phonopy(model, n: int) -> np.ndarray:
    """phonopy's thermal displacements averaged over the axes, shape (n_sites, n_temperatures)."""
    model.phonon.run_mesh([n] * 3, with_eigenvectors=True, is_mesh_symmetry=False)
    model.phonon.run_thermal_displacements(temperatures=T, freq_min=0.01)
    found = np.asarray(model.phonon.thermal_displacements.thermal_displacements)
    return found.reshape(len(T), -1, 3).mean(axis=2).T


print("U_iso (Å^2) of the same phonons: phonopy, and the spectrum in bins of 10 cm^-1")
figure, axes = plt.subplots(1, 2, figsize=(6.4, 2.4), layout="constrained")
salt = springs(bulk("NaCl", "rocksalt", a=5.64), [(2.9, 2.0, 0.1), (4.1, 0.5, 0.0)])
worst = 0.0
for name, model in (("Cu", emt("Cu")), ("CuAu", emt("CuAu L1_0")), ("NaCl springs", salt)):
    reference = 2 * of_phonopy(model, 16) - of_phonopy(model, 8)  # the limit of fine meshes
    ours = model.spectrum(24).u_iso(T)
    worst = max(worst, float(np.abs(ours / reference - 1).max()))
    for symbol, a, b in zip(model.atoms.get_chemical_symbols(), reference, ours, strict=True):
        for t, p, q in zip(T, a, b, strict=True):
            print(f"{name:14s}{symbol:3s}{t:6.0f} K  {p:.5f}  {q:.5f}  {q / p - 1:+.1%}")
        axes[0].plot(T, a, "o", ms=3, color="k")
        axes[0].plot(T, b, lw=1, label=f"{symbol} in {name}")
print(f"largest difference {worst:.1%}")
axes[0].set_title("same phonons: phonopy (dots)", fontsize=8)

print("\nPredicted U_iso (Å^2) at 300 K")
t = np.linspace(0, 600, 61)
files = ["Cu.vasp", "Si.vasp", "NaCl.cif", "MgO.cif", "GaAs.vasp"]
for spectrum in predict([DOCS / "crystals" / f for f in files]):
    symbols = spectrum.crystal.to_atoms().get_chemical_symbols()
    many = spectrum.members is not None and len(spectrum.members) > 1
    for symbol in dict.fromkeys(symbols):
        i = symbols.index(symbol)
        bar = f" ± {spectrum.u_iso_std(300.0)[i]:.4f}" if many else ""
        print(f"{symbol:3s} in {spectrum.crystal.formula:6s} {spectrum.u_iso(300.0)[i]:.4f}{bar}")
        axes[1].plot(t, spectrum.u_iso(t)[i], lw=1, label=f"{symbol} in {spectrum.crystal.formula}")
axes[1].set_title("predicted", fontsize=8)
for ax in axes:
    ax.set(xlabel="Temperature (K)", ylabel=r"$U_\mathrm{iso}$ (Å$^2$)")
    ax.set_ylim(bottom=0)
    ax.legend(fontsize=6, frameon=False)
figure.savefig(DOCS / "figures" / "displacements.png", dpi=200)
