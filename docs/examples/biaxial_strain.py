"""SrTiO3 under biaxial strain, in the manner of the paper's figure S5, for two models.

The in-plane lattice constants change by -2, 0 and +2 %, and the third follows the measured
elastic constants (zero stress across the film). Writes docs/figures/biaxial_strain.png.
Run: python docs/examples/biaxial_strain.py
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from ase.io import read

from ase_e3dos import predict

DOCS = Path(__file__).resolve().parents[1]
STRAINS = (-0.02, 0.0, 0.02)
#: GPa at room temperature, R. O. Bell and G. Rupprecht, Phys. Rev. 129, 90 (1963).
C11, C12 = 317.6, 102.5

cubic = read(DOCS / "crystals" / "SrTiO3.cif")
films = []
for strain in STRAINS:
    film = cubic.copy()
    across = -2 * C12 / C11 * strain
    film.set_cell(film.cell * (1 + np.array([strain, strain, across])), scale_atoms=True)
    films.append(film)

figure, axes = plt.subplots(3, 1, figsize=(5.4, 6.6), sharex=True, layout="constrained")
for model, colour in (("default", "C0"), ("paper", "C1")):
    spectra = predict(films, model=model)
    free = spectra[1]
    for ax, strain, spectrum in zip(axes, STRAINS, spectra, strict=True):
        spectrum.plot(ax, units="cm-1", label=model, color=colour)
        change = 100 * np.log(spectrum.mean_wavenumber / free.mean_wavenumber)
        print(
            f"{model:8s} strain {100 * strain:+.0f} %: "
            f"average frequency {spectrum.mean_wavenumber:6.1f} cm^-1 ({change:+.1f} %), "
            f"imaginary {100 * spectrum.imaginary_fraction:.1f} %, "
            f"C_V(300 K) {spectrum.heat_capacity(300.0):.1f} J/(K mol)"
        )
for ax, strain in zip(axes, STRAINS, strict=True):
    name = "compressed" if strain < 0 else "stretched" if strain > 0 else "unstrained"
    ax.set(xlim=(-50, 950), ylim=(0, 0.075), xlabel="", ylabel="states/cm$^{-1}$")
    ax.set_title(f"{name}, {100 * strain:+.0f} % in plane", loc="left", fontsize=9)
axes[0].legend(frameon=False)
axes[-1].set_xlabel("wavenumber (cm$^{-1}$)")
figure.savefig(DOCS / "figures" / "biaxial_strain.png", dpi=150)
