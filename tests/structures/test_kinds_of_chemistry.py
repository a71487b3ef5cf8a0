"""Kinds of chemistry: the same for every cell of a crystal."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, make_supercell
from ase.spacegroup import crystal

from ase_e3dos.structures.chemistry import CHEMISTRY, chemistry_of, like_bonds
from ase_e3dos.structures.crystal import Crystal


def pyrite() -> Atoms:
    """S-S 2.18 Å (S. L. Finklea et al., Acta Cryst. A 32, 529 (1976))."""
    return crystal(
        ["Fe", "S"],
        [(0, 0, 0), (0.385, 0.385, 0.385)],
        spacegroup=205,
        cellpar=[5.418] * 3 + [90] * 3,
    )


def calcium_carbide() -> Atoms:
    """C-C 1.19 Å, one formula unit of tetragonal CaC2 (a 3.89, c 6.38 Å)."""
    half = [[-1.945, 1.945, 3.19], [1.945, -1.945, 3.19], [1.945, 1.945, -3.19]]
    return Atoms("CaC2", [[0, 0, 0], [0, 0, 2.595], [0, 0, 3.785]], cell=half, pbc=True)


def calcite() -> Atoms:
    """C-O 1.28 Å: a complex anion."""
    return crystal(
        ["Ca", "C", "O"],
        [(0, 0, 0), (0, 0, 0.25), (0.257, 0, 0.25)],
        spacegroup=167,
        cellpar=[4.99, 4.99, 17.06, 90, 90, 120],
        primitive_cell=True,
    )


CRYSTALS = {
    "pyrite": (pyrite(), {"S"}),
    "calcium carbide": (calcium_carbide(), {"C"}),
    "diamond": (bulk("C", "diamond", a=3.57), {"C"}),
    "calcite": (calcite(), set()),
    "zincblende": (bulk("ZnS", "zincblende", a=5.41), set()),
    "rock salt": (bulk("TiC", "rocksalt", a=4.33), set()),
    # one atom a cell: its bonds are to its own images
    "simple cubic": (Atoms("Te", cell=[3.0, 3.0, 3.0], pbc=True), {"Te"}),
}


@pytest.mark.parametrize(("atoms", "bonded"), CRYSTALS.values(), ids=list(CRYSTALS))
def test_bonds_between_like_atoms(atoms, bonded):
    assert like_bonds(Crystal.from_any(atoms)) == bonded


@pytest.mark.parametrize("atoms", [a for a, _ in CRYSTALS.values()], ids=list(CRYSTALS))
@pytest.mark.parametrize(
    "cell",
    [
        np.diag([2, 1, 1]),
        [[1, 1, 0], [0, 1, 0], [0, 0, 1]],
        [[1, 0, 0], [5, 1, 0], [0, 3, 1]],
        [[1, 0, 0], [200, 1, 0], [0, 300, 1]],
    ],
)
def test_kinds_do_not_depend_on_the_cell(atoms, cell):
    known, other = chemistry_of([Crystal.from_any(a) for a in (atoms, make_supercell(atoms, cell))])
    np.testing.assert_array_equal(known, other)


def test_kinds_of_known_crystals():
    crystals = [Crystal.from_any(a) for a, _ in CRYSTALS.values()]
    found = [{CHEMISTRY[k] for k in np.flatnonzero(row)} for row in chemistry_of(crystals)]
    iron = "Cr, Mn, Fe, Co, Ni"
    assert found[0] == {"sulfide", "two elements", "other bonds of like atoms", iron}
    assert found[1] == {"carbide", "two elements", "C-C bonds"}
    assert found[2] == {"element", "C-C bonds"}
    assert found[3] == {"oxyanion", "three elements"}
    assert found[5] == {"carbide", "two elements"}


def test_kinds_keep_their_places():
    """Error bars in weights files go by them, without names."""
    first = "oxyanion, mixed anions, hydrogen, fluoride, oxide, chloride, nitride, bromide, iodide"
    assert CHEMISTRY[:9] == tuple(first.split(", "))
    last = ("element", "two elements", "three elements", "B-B bonds", "C-C bonds")
    assert CHEMISTRY[21:26] == last
    assert CHEMISTRY[26:28] == ("other bonds of like atoms", "Cr, Mn, Fe, Co, Ni")
    middle = "sulfide, selenide, carbide, phosphide, arsenide, telluride, antimonide, boride"
    assert CHEMISTRY[9:17] == tuple(middle.split(", "))
    assert CHEMISTRY[17:21] == ("bismuthide", "germanide", "silicide", "intermetallic")
