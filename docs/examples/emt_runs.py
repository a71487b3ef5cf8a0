"""Sixty phonopy runs of metals and ordered alloys with ASE's EMT: a stand-in for runs of your own.

    python docs/examples/emt_runs.py runs-of-mine

Writes one folder a crystal with `phonopy_params.yaml` (forces inside), as
`phonopy --sp --include-all` does. For docs/howto/own-data.md.
"""

from __future__ import annotations

import sys
from itertools import permutations
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.filters import FrechetCellFilter
from ase.optimize import FIRE
from phonopy import Phonopy
from phonopy.structure.atoms import PhonopyAtoms

METALS = ("Al", "Ni", "Cu", "Pd", "Ag", "Pt", "Au")
FACES = [[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]


def crystals() -> dict[str, Atoms]:
    """Seven metals, 42 alloys A B3 (L1_2) and eleven A B (L1_0 and B2), with names."""
    found = {s: bulk(s, "fcc") for s in METALS}
    for a, b in permutations(METALS, 2):
        length = (
            0.25 * found[a].cell.lengths()[0] * 2**0.5 + 0.75 * found[b].cell.lengths()[0] * 2**0.5
        )
        found[f"{a}{b}3"] = Atoms([a, b, b, b], scaled_positions=FACES, cell=[length] * 3, pbc=True)
    for a, b in (
        ("Cu", "Au"),
        ("Cu", "Pd"),
        ("Ni", "Pt"),
        ("Al", "Ag"),
        ("Pd", "Ag"),
        ("Al", "Au"),
    ):
        found[f"{a}{b}-L10"] = Atoms(
            [a, b], scaled_positions=[[0, 0, 0], [0.5] * 3], cell=[2.75, 2.75, 3.7], pbc=True
        )
    for a, b in (("Ni", "Al"), ("Cu", "Pd"), ("Al", "Pd"), ("Al", "Pt"), ("Al", "Ni")):
        found[f"{a}{b}-B2"] = Atoms(
            [a, b], scaled_positions=[[0, 0, 0], [0.5] * 3], cell=[2.95] * 3, pbc=True
        )
    return found


def run(atoms: Atoms) -> Phonopy:
    """Relax the cell, displace, calculate the forces."""
    atoms.calc = EMT()
    FIRE(FrechetCellFilter(atoms), logfile=None).run(fmax=1e-3, steps=300)
    cell = PhonopyAtoms(
        numbers=atoms.numbers, cell=atoms.cell.array, scaled_positions=atoms.get_scaled_positions()
    )
    repeat = np.maximum(1, np.ceil(7.0 / atoms.cell.lengths())).astype(int)
    phonon = Phonopy(cell, np.diag(repeat), primitive_matrix=np.eye(3))
    phonon.generate_displacements(distance=0.03)
    forces = []
    for displaced in phonon.supercells_with_displacements:
        image = Atoms(
            numbers=displaced.numbers, cell=displaced.cell, positions=displaced.positions, pbc=True
        )
        image.calc = EMT()
        forces.append(image.get_forces())
    phonon.forces = np.array(forces)
    return phonon


def main(folder: Path) -> None:
    """Write every run that is not there yet."""
    for name, atoms in crystals().items():
        file = folder / name / "phonopy_params.yaml"
        if file.is_file():
            continue
        file.parent.mkdir(parents=True, exist_ok=True)
        run(atoms).save(file, settings={"force_sets": True, "displacements": True})
        print(name, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "runs-of-mine"))
