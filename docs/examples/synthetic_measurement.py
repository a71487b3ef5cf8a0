"""Make files in the form of a measurement, from phonopy and ASE's potentials: NOT measured data.

They show what `e3dos compare` reads, and how sites of two elements are weighted. Every mode counts
with the sum over its sites of share times cross-section over mass, is spread by the instrument
(FWHM 2 meV), and gets noise. Writes docs/examples/synthetic/{Cu,Cu3Au}.csv.
Run: python docs/examples/synthetic_measurement.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import periodictable
from lattice_models import LatticeModel, emt

FOLDER = Path(__file__).parent / "synthetic"
FWHM = 2.0  # meV
CM_PER_MEV = 8.065544


def measured(model: LatticeModel, energies: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Intensities with noise and their errors, in arbitrary units."""
    wavenumbers, shares = model.modes(16)
    nuclei = [periodictable.elements.symbol(s) for s in model.atoms.get_chemical_symbols()]
    sigma = np.array([nucleus.neutron.total for nucleus in nuclei])
    strength = (sigma / model.atoms.get_masses()) @ shares
    width = FWHM / np.sqrt(8 * np.log(2))
    distance = energies[:, None] - wavenumbers / CM_PER_MEV
    exact = np.exp(-0.5 * (distance / width) ** 2) @ strength
    exact *= 100 / exact.max()
    error = np.sqrt(0.5 * exact + 1.0) * 0.4  # counting, and a background taken off
    return exact + error * np.random.default_rng(seed).normal(size=len(exact)), error


for name, model, top, what in (
    ("Cu", emt("Cu"), 40.0, "fcc Cu, effective-medium potential of ASE"),
    ("Cu3Au", emt("Cu3Au L1_2"), 40.0, "ordered Cu3Au, effective-medium potential of ASE"),
):
    e = np.arange(2.0, top, 1.0)
    rows = zip(e, *measured(model, e, len(name)), strict=True)
    lines = [
        f"# SYNTHETIC, NOT MEASURED: phonopy, {what}",
        "# neutron-weighted, resolution 2 meV (FWHM), with noise",
        "energy (meV),intensity,error",
        *(f"{x:.1f},{y:.2f},{s:.2f}" for x, y, s in rows),
    ]
    (FOLDER / f"{name}.csv").write_text("\n".join(lines) + "\n", encoding="ascii")
    print(FOLDER / f"{name}.csv")
