"""Quasi-harmonic copper and aluminium through phonopy.run_qha, against finite displacements.

Static energies come from ASE's EMT potential in both calculations. The reference takes the phonons
from EMT too, by phonopy's finite displacements; the other takes predicted spectra. What differs is
the phonons alone. (EMT is a simple potential: the reference is for the method, not for the metals.)
"""

import warnings
from pathlib import Path

import numpy as np
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS
from phonopy import Phonopy, run_qha
from phonopy.structure.atoms import PhonopyAtoms

from ase_e3dos import E3DOSPhonopy
from ase_e3dos.errors import E3DOSWarning

SYMBOLS, SUPERCELL, MESH = ("Cu", "Al"), 4, [20, 20, 20]
STRAINS = np.linspace(-0.02, 0.035, 9)  # of the lattice constant
TEMPERATURES = np.arange(0.0, 811.0, 10.0)
EV_TO_J_PER_MOL = 96485.332
EV_PER_A3_TO_GPA = 160.21766
ROWS = {
    "volume (A^3)": lambda r: r.equilibrium_volumes,
    "expansion (1e-6/K)": lambda r: r.thermal_expansion * 1e6,
    "bulk modulus (GPa)": lambda r: r.bulk_moduli * EV_PER_A3_TO_GPA,
    "Grueneisen parameter": lambda r: r.gruneisen_parameters,
    "C_P (J/(K mol))": lambda r: r.heat_capacity_P.heat_capacities * EV_TO_J_PER_MOL,
}


def phonopy_atoms(atoms):
    return PhonopyAtoms(
        atoms.symbols, cell=atoms.cell[:], scaled_positions=atoms.get_scaled_positions()
    )


def finite_displacements(atoms):
    """Phonons of EMT."""
    phonon = Phonopy(phonopy_atoms(atoms), np.eye(3) * SUPERCELL, primitive_matrix=np.eye(3))
    phonon.generate_displacements(distance=0.01)
    forces = []
    for cell in phonon.supercells_with_displacements:
        displaced = atoms.repeat(SUPERCELL)
        displaced.set_cell(cell.cell)
        displaced.set_scaled_positions(cell.scaled_positions)
        displaced.calc = EMT()
        forces.append(displaced.get_forces())
    phonon.forces = forces
    phonon.produce_force_constants()
    return phonon


def predicted(atoms):
    return E3DOSPhonopy(phonopy_atoms(atoms), primitive_matrix=np.eye(3))


def quasi_harmonic(symbol):
    """Results of phonopy.run_qha by both kinds of phonons, and the kinds of warnings."""
    relaxed = bulk(symbol)
    relaxed.calc = EMT()
    BFGS(FrechetCellFilter(relaxed), logfile=None).run(fmax=1e-5)
    cells, energies = [], []
    for strain in STRAINS:
        atoms = relaxed.copy()
        atoms.set_cell(relaxed.cell * (1 + strain), scale_atoms=True)
        atoms.calc = EMT()
        energies.append(atoms.get_potential_energy())
        cells.append(atoms)
    reference = [finite_displacements(atoms) for atoms in cells]
    with warnings.catch_warnings(record=True) as caught:  # one of a kind is enough
        warnings.simplefilter("always", E3DOSWarning)
        ours = [predicted(atoms) for atoms in cells]
        results = [run_qha(p, TEMPERATURES, energies, mesh=MESH) for p in (reference, ours)]
    kinds = {w.category.__name__ for w in caught if issubclass(w.category, E3DOSWarning)}
    return *results, sorted(kinds)


results = {}
print(f"{len(STRAINS)} volumes, EMT energies (volumetric expansion; per atom)")
for symbol in SYMBOLS:
    reference, ours, kinds = quasi_harmonic(symbol)
    results[symbol] = reference, ours
    print(f"{symbol:22}{'T (K)':>8}{'reference':>12}{'predicted':>12}{'difference':>12}")
    for label, value in ROWS.items():
        for t in (100.0, 300.0, 600.0):
            i = int(np.argmin(np.abs(reference.temperatures - t)))
            a, b = value(reference)[i], value(ours)[i]
            print(f"{label:22}{t:8.0f}{a:12.3f}{b:12.3f}{100 * (b / a - 1):11.1f}%")
    print(f"warnings: {', '.join(kinds) or 'none'}")

if __name__ == "__main__":
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 2, figsize=(8, 6), sharex=True, layout="constrained")
    for ax, (label, value) in zip(axes.flat, list(ROWS.items())[1:], strict=True):
        for k, symbol in enumerate(SYMBOLS):
            for r, style, name in zip(
                results[symbol], ("--", "-"), ("reference", "predicted"), strict=True
            ):
                shown = r.temperatures >= 20  # the Grueneisen parameter is 0/0 at zero
                at, y = r.temperatures[shown], value(r)[shown]
                ax.plot(at, y, f"C{k}{style}", label=f"{symbol}, {name}")
        ax.set_ylabel(label)
    for ax in axes[1]:
        ax.set_xlabel("temperature (K)")
    axes[0, 0].legend(frameon=False)
    figure.savefig(Path(__file__).resolve().parents[1] / "figures" / "qha.png", dpi=120)
