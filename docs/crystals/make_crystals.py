"""Write the example crystals of this folder from lattice constants measured at room temperature.

The constants are those of textbooks (C. Kittel, Introduction to Solid State Physics; R. W. G.
Wyckoff, Crystal Structures; Landolt-Boernstein); free positions as given there.
Run: python docs/crystals/make_crystals.py
"""

from __future__ import annotations

from pathlib import Path

from ase.io import write
from pymatgen.core import Lattice, Structure
from pymatgen.io.ase import AseAtomsAdaptor
from pymatgen.io.cif import CifWriter

HERE = Path(__file__).parent
#: Origin at -4m2, oxygen at z = 0.2081.
ANATASE = [[0, 0, 0], [0, 0, 0.2081]]


def crystals() -> dict[str, Structure]:
    """File name -> structure (primitive cells of the conventional ones given here)."""
    group = Structure.from_spacegroup
    cubic, hexagonal, tetragonal = Lattice.cubic, Lattice.hexagonal, Lattice.tetragonal
    perovskite = [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0]]
    return {
        "SrTiO3.cif": group("Pm-3m", cubic(3.905), ["Sr", "Ti", "O"], perovskite),
        "BaTiO3.cif": group(
            "P4mm",
            tetragonal(3.994, 4.034),
            ["Ba", "Ti", "O", "O"],
            [[0, 0, 0], [0.5, 0.5, 0.5215], [0.5, 0.5, 0.977], [0.5, 0, 0.489]],
        ),
        "NaCl.cif": group("Fm-3m", cubic(5.6402), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]),
        "MgO.cif": group("Fm-3m", cubic(4.212), ["Mg", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]),
        "GaN.cif": group(
            "P6_3mc",
            hexagonal(3.190, 5.189),
            ["Ga", "N"],
            [[1 / 3, 2 / 3, 0], [1 / 3, 2 / 3, 0.3769]],
        ),
        "Al2O3.cif": group(
            "R-3c",
            hexagonal(4.759, 12.991),
            ["Al", "O"],
            [[0, 0, 0.35216], [0.30624, 0, 0.25]],
        ),
        "TiO2.cif": group(
            "P4_2/mnm", tetragonal(4.5937, 2.9587), ["Ti", "O"], [[0, 0, 0], [0.3048, 0.3048, 0]]
        ),
        "Si0.5Ge0.5.cif": group("Fd-3m", cubic(5.5373), [{"Si": 0.5, "Ge": 0.5}], [[0, 0, 0]]),
        "Si.vasp": group("Fd-3m", cubic(5.4310), ["Si"], [[0, 0, 0]]),
        "Cu.vasp": group("Fm-3m", cubic(3.6149), ["Cu"], [[0, 0, 0]]),
        "GaAs.vasp": group("F-43m", cubic(5.6533), ["Ga", "As"], [[0, 0, 0], [0.25] * 3]),
        "LiH.cif": group("Fm-3m", cubic(4.0834), ["Li", "H"], [[0, 0, 0], [0.5, 0.5, 0.5]]),
        "TiO2_anatase.cif": group("I4_1/amd", tetragonal(3.7845, 9.5143), ["Ti", "O"], ANATASE),
        "TiO2_brookite.cif": group(
            "Pbca",
            Lattice.orthorhombic(9.174, 5.449, 5.138),
            ["Ti", "O", "O"],
            [[0.1289, 0.0972, 0.8628], [0.0095, 0.1491, 0.1835], [0.2314, 0.1110, 0.5366]],
        ),
        "MgO2H2.cif": group(
            "P-3m1",
            hexagonal(3.142, 4.766),
            ["Mg", "O", "H"],
            [[0, 0, 0], [1 / 3, 2 / 3, 0.2203], [1 / 3, 2 / 3, 0.4303]],
        ),
        "Au.vasp": group("Fm-3m", cubic(4.0782), ["Au"], [[0, 0, 0]]),
        "GaP.vasp": group("F-43m", cubic(5.4505), ["Ga", "P"], [[0, 0, 0], [0.25] * 3]),
        "InAs.vasp": group("F-43m", cubic(6.0583), ["In", "As"], [[0, 0, 0], [0.25] * 3]),
        "several.extxyz": group("Fd-3m", cubic(3.5668), ["C"], [[0, 0, 0]]),
    }


def main() -> None:
    """Write all of them."""
    to_atoms = AseAtomsAdaptor.get_atoms
    for name, structure in crystals().items():
        path = HERE / name
        if path.suffix == ".cif":
            CifWriter(structure, symprec=1e-3, significant_figures=6).write_file(path)
            continue
        atoms = to_atoms(structure.get_primitive_structure(), msonable=False)
        if path.suffix == ".vasp":
            write(path, atoms, format="vasp", direct=True)
        else:
            silicon = to_atoms(crystals()["Si.vasp"].get_primitive_structure(), msonable=False)
            write(path, [atoms, silicon], format="extxyz")


if __name__ == "__main__":
    main()
