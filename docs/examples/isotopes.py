"""Errors of spectra with other masses against the same force constants; needs no weights.

Writes docs/figures/isotopes.png. Run: python docs/examples/isotopes.py
"""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from ase.build import bulk
from lattice_models import emt, silicon_carbide, springs

from ase_e3dos.spectrum.isotopes import stretch, total_factor, with_masses

FIGURE = Path(__file__).resolve().parents[1] / "figures" / "isotopes.png"
LARGE, SMALL = (0.8, 1.25, 2.0), (0.99, 1.01, 1.02)
MODELS = {
    "AgAl, EMT": emt("AgAl L1_0"),
    "PtCu, EMT": emt("PtCu L1_0"),
    "CuAu, EMT": emt("CuAu L1_0"),
    "AlPd, EMT": emt("AlPd B2"),
    "Cu3Au, EMT": emt("Cu3Au L1_2"),
    "NaCl, springs": springs(bulk("NaCl", "rocksalt", a=5.64), [(2.9, 2.0, 0.1), (4.1, 0.5, 0.0)]),
    "GaAs, springs": springs(
        bulk("GaAs", "zincblende", a=5.65), [(2.5, 8.0, 1.0), (4.1, 0.6, 0.0)]
    ),
    "LiH, springs": springs(bulk("LiH", "rocksalt", a=4.08), [(2.1, 1.0, 0.2), (3.0, 0.3, 0.0)]),
    "SiC, Tersoff": silicon_carbide(),
}


def distance(a: np.ndarray, b: np.ndarray, step: float) -> float:
    """Mean distance in cm^-1 between two totals."""
    p, q = a.sum(axis=0), b.sum(axis=0)
    return float(np.abs(np.cumsum(p / p.sum() - q / q.sum())).sum() * step)


print("Shift of the average frequency (cm^-1) and its error; mean distance of the spectra (cm^-1)")
print(f"{'crystal':15s}{'masses x':>12s}{'shift':>8s}{'error':>8s}{'no sites':>9s}", end="")
print(f"{'distance':>10s}{'stretched':>10s}{'unchanged':>10s}")
errors, without_sites, ratios = [], [], []
for name, model in MODELS.items():
    before = model.spectrum(10)
    elements = list(dict.fromkeys(model.atoms.get_chemical_symbols()))
    own = dict(zip(model.atoms.get_chemical_symbols(), model.atoms.get_masses(), strict=True))
    for element in elements:
        for factor in SMALL + LARGE if name in ("AgAl, EMT", "PtCu, EMT") else LARGE:
            after = model.with_masses({element: factor * own[element]}).spectrum(10)
            x, step = before.wavenumbers, before.grid.step
            old, new = before.crystal.masses, after.crystal.masses
            ours, _ = with_masses(before.site_density, x, old, new)
            naive = stretch(before.site_density, x, np.sqrt(old / new))
            exact = model.with_masses({element: factor * own[element]}).modes(10)[0].mean()
            shift = exact - model.modes(10)[0].mean()  # of the modes: bins blur small shifts
            found_mean = ours.sum(axis=0) @ x / ours.sum()
            error = (found_mean - before.site_density.sum(axis=0) @ x / ours.sum()) / shift - 1
            alone = before.mean_wavenumber * (total_factor(old, new) - 1) / shift - 1
            found = [distance(g, after.site_density, step) for g in (ours, naive)]
            moved = distance(before.site_density, after.site_density, step)
            errors.append(abs(error))
            without_sites.append(abs(alone))
            ratios.append([found[0] / moved, found[1] / moved])
            print(
                f"{name:15s}{element:>6s}{factor:6.2f}{shift:8.2f}{error:8.1%}{alone:9.1%}", end=""
            )
            print(f"{found[0]:10.1f}{found[1]:10.1f}{moved:10.1f}")
print(f"largest error of the shift: {max(errors):.1%}; mean {np.mean(errors):.1%}")
print(f"from the total alone: largest {max(without_sites):.0%}; mean {np.mean(without_sites):.0%}")
share, naive_share = np.median(ratios, axis=0)
print(f"distance over the distance moved, median: {share:.2f}; stretched {naive_share:.2f}")

figure, axes = plt.subplots(1, 3, figsize=(7.2, 2.3), layout="constrained")
for ax, (name, change) in zip(
    axes,
    (
        ("NaCl, springs", {"Na": 46.0}),
        ("LiH, springs", {"H": 2.014}),
        ("SiC, Tersoff", {"C": 24.0}),
    ),
    strict=True,
):
    model = MODELS[name]
    before, after = model.spectrum(12), model.with_masses(change).spectrum(12)
    x, old, new = before.wavenumbers, before.crystal.masses, after.crystal.masses
    ours, _ = with_masses(before.site_density, x, old, new)
    naive = stretch(before.site_density, x, np.sqrt(old / new))
    ax.fill_between(x, before.density, color="0.88", lw=0, label="before")
    ax.plot(x, after.density, "k", lw=1.2, label="same force constants")
    ax.plot(x, ours.sum(axis=0), color="#D55E00", lw=1.0, label="with_masses")
    ax.plot(x, naive.sum(axis=0), color="#56B4E9", lw=0.8, ls="--", label="sites stretched")
    ((element, mass),) = change.items()
    ax.set_title(f"{name}: {element} of {mass:g} amu", fontsize=8)
    ax.set(xlim=(0, 1.1 * x[before.density > 0][-1]), xlabel="Wavenumber (cm$^{-1}$)", yticks=[])
    ax.set_ylim(bottom=0)
axes[0].legend(fontsize=6, frameon=False)
axes[0].set_ylabel("DoS")
figure.savefig(FIGURE, dpi=200)
