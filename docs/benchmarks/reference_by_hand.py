"""reference_spectrum against phonopy by hand: reference_by_hand.py CALCULATOR [FILE...]

Ten crystals with a potential (a name of `e3dos plugins`, NAME=WEIGHTS, package.module:function),
step by step with phonopy's own classes on one side and `ase_e3dos.reference_spectrum` on the
other: the largest difference of a bin of 10 cm^-1 (in modes), C_V and S at 300 K.
"""

from __future__ import annotations

import sys
import warnings

import numpy as np
from ase import Atoms
from ase.build import bulk
from phonopy import Phonopy
from phonopy.structure.atoms import PhonopyAtoms

from ase_e3dos import Crystal, reference_spectrum
from ase_e3dos.errors import PotentialError
from ase_e3dos.potentials.choice import calculator_of
from ase_e3dos.structures import read

THZ_TO_CM = 33.3564095198
LENGTH, DISPLACEMENT, MESH = 7.0, 0.01, 40.0


def crystals(paths: list[str]) -> list[Crystal]:
    """Those of files, or ten simple ones; fcc metals and alloys of them for EMT."""
    if paths:
        return [c for path in paths for c in read(path)]
    if sys.argv[1] == "emt":
        faces = [[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]
        found = {s: bulk(s) for s in ("Al", "Ni", "Cu", "Pd", "Ag", "Pt", "Au")}
        found["NiAl"] = Atoms("NiAl", [[0, 0, 0], [1.45] * 3], cell=[2.9] * 3, pbc=True)
        for formula, a in (("AuCu3", 3.75), ("PtNi3", 3.65)):
            found[formula] = Atoms(formula, scaled_positions=faces, cell=[a] * 3, pbc=True)
    else:
        rocksalt = {"NaCl": 5.6, "MgO": 4.21, "LiF": 4.0, "KBr": 6.6, "CaO": 4.8}
        zincblende = {"GaAs": 5.65, "ZnS": 5.4, "SiC": 4.36}
        found = {f: bulk(f, "rocksalt", a=a) for f, a in rocksalt.items()}
        found |= {f: bulk(f, "zincblende", a=a) for f, a in zincblende.items()}
        found |= {"Si": bulk("Si"), "Cu": bulk("Cu")}
    return [Crystal.from_any(atoms, name) for name, atoms in found.items()]


def by_hand(crystal: Crystal, calculator: object) -> tuple[np.ndarray, float, float]:
    """Modes in bins from 0 cm^-1 by phonopy's density at 0.1 cm^-1; C_V and S of its mesh."""
    atoms = crystal.to_atoms()
    cell = PhonopyAtoms(
        symbols=atoms.get_chemical_symbols(),
        cell=atoms.cell.array,
        scaled_positions=atoms.get_scaled_positions(),
    )
    heights = 1 / np.linalg.norm(np.linalg.inv(atoms.cell.array), axis=0)
    repeat = np.ceil(LENGTH / heights - 1e-6).astype(int)
    phonon = Phonopy(cell, np.diag(repeat), primitive_matrix=np.eye(3))
    phonon.generate_displacements(distance=DISPLACEMENT)
    forces = []
    for s in phonon.supercells_with_displacements:
        image = Atoms(s.symbols, cell=s.cell, positions=s.positions, pbc=True)
        image.calc = calculator
        f = image.get_forces()
        forces.append(f - f.mean(axis=0))
    phonon.forces = np.array(forces)
    phonon.produce_force_constants()
    phonon.symmetrize_force_constants()
    phonon.run_mesh(MESH)
    points = np.arange(0.05, 1200.0, 0.1)
    phonon.run_total_dos(
        freq_min=points[0] / THZ_TO_CM,
        freq_max=(points[-1] + 0.01) / THZ_TO_CM,
        freq_pitch=0.1 / THZ_TO_CM,
        use_tetrahedron_method=True,
    )
    phonon.run_thermal_properties(temperatures=[300.0])
    known = phonon.thermal_properties
    counts = (phonon.total_dos.dos * 0.1 / THZ_TO_CM).reshape(120, 100).sum(axis=1)
    return counts, float(known.heat_capacity[0]), float(known.entropy[0])


def main() -> None:
    """Compare and print."""
    warnings.simplefilter("ignore")
    try:
        calculator = calculator_of(sys.argv[1])
    except PotentialError as error:
        print(f"skipped: {error}")
        return
    print("crystal   largest difference of a bin (modes)   C_V        S  (J/(K mol), ours/phonopy)")
    worst = np.zeros(3)
    for crystal in crystals(sys.argv[2:]):
        ours = reference_spectrum(
            crystal, calculator, supercell=LENGTH, displacement=DISPLACEMENT, mesh=MESH
        )
        counts, heat, entropy = by_hand(crystal, calculator)
        bins = np.abs(ours.density[40:160] * 10 / THZ_TO_CM - counts).max()
        mine = ours.heat_capacity(300.0), ours.entropy(300.0)
        worst = np.maximum(worst, [bins, abs(mine[0] / heat - 1), abs(mine[1] / entropy - 1)])
        print(
            f"{crystal.name:8s}  {bins:.5f} of {counts.max():.3f}   {mine[0]:.3f}/{heat:.3f}   "
            f"{mine[1]:.3f}/{entropy:.3f}",
            flush=True,
        )
    print(f"worst: {worst[0]:.5f} modes, C_V {worst[1]:.2e}, S {worst[2]:.2e} relative")


if __name__ == "__main__":
    main()
