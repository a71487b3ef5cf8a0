"""Crystal itself: what it accepts, keeps, refuses and says."""

from __future__ import annotations

import pickle
import subprocess
import sys
import warnings

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.neighborlist import neighbor_list
from hypothesis import given, settings
from hypothesis import strategies as st
from vesin import NeighborList

from ase_e3dos.errors import CrystalError, PartialOccupationWarning
from ase_e3dos.structures.crystal import Crystal
from ase_e3dos.structures.formula import _FORMULA_ORDER
from ase_e3dos.structures.masses import STANDARD_MASSES

FIELDS = ("cell", "scaled_positions", "species_site", "species_number", "species_fraction")


def alloy(fraction=0.25, **changes):
    """Mg3(Sb,Bi)2 with its Bi fraction."""
    arguments = {
        "cell": [[4.6, 0, 0], [-2.3, 2.3 * 3**0.5, 0], [0, 0, 7.3]],
        "scaled_positions": [
            [0, 0, 0],
            [1 / 3, 2 / 3, 0.63],
            [2 / 3, 1 / 3, 0.37],
            [1 / 3, 2 / 3, 0.22],
            [2 / 3, 1 / 3, 0.78],
        ],
        "species_site": [0, 1, 2, 3, 3, 4, 4],
        "species_number": [12, 12, 12, 51, 83, 83, 51],
        "species_fraction": [1, 1, 1, 1 - fraction, fraction, fraction, 1 - fraction],
    }
    return Crystal(**{**arguments, **changes})


def test_mixed_sites():
    crystal = alloy()
    assert not crystal.is_ordered
    assert crystal.n_sites == 5
    assert crystal.formula == "Mg3Sb1.5Bi0.5"
    assert crystal.numbers.tolist() == [12, 12, 12, 51, 51]
    assert alloy(0.75).numbers.tolist() == [12, 12, 12, 83, 83]
    assert alloy(0.5).numbers.tolist() == [12, 12, 12, 51, 51]  # the lightest of equals
    mean = 0.75 * STANDARD_MASSES[51] + 0.25 * STANDARD_MASSES[83]
    np.testing.assert_allclose(crystal.masses, [24.305] * 3 + [mean] * 2, rtol=1e-12)
    assert crystal.species_site.tolist() == sorted(crystal.species_site)


def test_equal_species_of_a_site_are_one():
    crystal = Crystal(3 * np.eye(3), [[0, 0, 0]], [0, 0], [26, 26], [0.5, 0.5])
    assert crystal.is_ordered
    assert crystal.formula == "Fe"


def test_formula_order_is_pymatgens_electronegativity():
    from pymatgen.core import Element

    known = [Element.from_Z(z) for z in range(1, 119) if Element.from_Z(z).data.get("X")]
    rank = {symbol: i for i, symbol in enumerate(_FORMULA_ORDER.split())}
    assert len(rank) == 118
    ordered = sorted(known, key=lambda element: rank[element.symbol])
    assert [e.X for e in ordered] == sorted(e.X for e in known)


def test_formula_is_reduced():
    oxygens = [[0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
    crystal = Crystal(3.9 * np.eye(3), [*oxygens, [0.5] * 3, [0] * 3], range(5), [8, 8, 8, 22, 38])
    assert crystal.formula == "SrTiO3"
    assert Crystal.from_any(bulk("Si", cubic=True)).formula == "Si"


def test_formula_is_that_of_the_supercell_too():
    crystal = alloy()
    assert Crystal.from_any(crystal.to_atoms().repeat((2, 1, 3))).formula == crystal.formula


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.booleans())
def test_any_cell_keeps_volume_positions_and_distances(seed, n_sites, left_handed):
    """Skewed and left-handed cells with positions anywhere, against ASE."""
    rng = np.random.default_rng(seed)
    shear = np.tril(rng.integers(-4, 5, size=(3, 3)), -1) + np.eye(3)
    cell = shear @ (4 * np.eye(3) + 0.4 * rng.normal(size=(3, 3)))
    if left_handed:
        cell = cell[[1, 0, 2]]
    corners = np.array([[i >> k & 1 for k in range(3)] for i in range(n_sites)]) / 2
    atoms = Atoms(numbers=rng.integers(1, 90, n_sites), cell=cell, pbc=True)
    scaled = corners @ np.linalg.inv(shear) if not left_handed else corners
    atoms.set_scaled_positions(scaled + rng.integers(-9, 9, size=(n_sites, 3)))
    crystal = Crystal.from_any(atoms)
    assert crystal.volume == pytest.approx(atoms.get_volume())
    assert (crystal.scaled_positions >= 0).all()
    assert (crystal.scaled_positions < 1).all()
    np.testing.assert_array_equal(crystal.numbers, atoms.numbers)
    ours = np.sort(neighbor_list("d", crystal.to_atoms(), 4.5))
    np.testing.assert_allclose(ours, np.sort(neighbor_list("d", atoms, 4.5)), atol=1e-8)


@settings(deadline=None, max_examples=100)
@given(st.integers(0, 2**32 - 1))
def test_close_contacts_are_found_exactly_where_a_neighbour_list_finds_them(seed):
    """Random cells, tiny and skewed ones too, with and without a pair of close sites."""
    rng = np.random.default_rng(seed)
    shear = np.tril(rng.integers(-3, 4, size=(3, 3)), -1) + np.eye(3)
    cell = shear @ (np.diag(rng.uniform(0.2, 3.0, 3)) + 0.1 * rng.normal(size=(3, 3)))
    n_sites = rng.integers(1, 4)
    atoms = Atoms(f"H{n_sites}", scaled_positions=rng.random((n_sites, 3)), cell=cell, pbc=True)
    if rng.random() < 0.5 and n_sites > 1:
        atoms.positions[1] = atoms.positions[0] + rng.normal(size=3) * 0.15 + cell[0] - cell[2]
    if atoms.get_volume() < 2e-3:
        return
    (distances,) = NeighborList(cutoff=0.4, full_list=True).compute(
        atoms.positions, atoms.cell.array, True, "d"
    )
    nearest = distances.min(initial=1.0)
    if abs(nearest - 0.3) < 1e-6:
        return
    if nearest < 0.3:
        with pytest.raises(CrystalError, match="apart"):
            Crystal.from_any(atoms)
    elif atoms.get_volume() < 0.15 * n_sites:
        with pytest.raises(CrystalError, match="as if its lengths were in nm"):
            Crystal.from_any(atoms)
    else:
        Crystal.from_any(atoms)


@pytest.mark.parametrize(("factor", "unit"), [(0.1, "nm"), (100.0, "pm")])
def test_cells_in_another_unit_are_refused_with_its_name(factor: float, unit: str) -> None:
    for atoms in (bulk("Cs"), bulk("NaCl", "rocksalt", a=5.64, cubic=True), bulk("C")):
        atoms.set_cell(atoms.cell * factor, scale_atoms=True)
        with pytest.raises(CrystalError, match=f"as if its lengths were in {unit}"):
            Crystal.from_any(atoms)


def test_close_contact_in_a_large_cell_is_found_across_the_boundary():
    atoms = bulk("Cu", cubic=True).repeat(5)
    Crystal.from_any(atoms)
    moved = atoms + Atoms("Cu", positions=[atoms.positions[0] - [0.1, 0.1, 0.0]])
    with pytest.raises(CrystalError, match=r"Cu501: sites 0 and 500 are 0.141 Å apart"):
        Crystal.from_any(moved)


@pytest.mark.parametrize(
    ("atoms", "says"),
    [
        (Atoms("H2", positions=[[0, 0, 0], [0, 0, 0.74]]), "H2: not periodic"),
        (Atoms("C", cell=[2.5, 2.5, 20], pbc=(True, True, False)), "C: not periodic"),
        (Atoms("C", pbc=True), "C: the cell has no volume"),
        (Atoms("C", cell=[[3, 0, 0], [3, 0, 0], [0, 0, 3]], pbc=True), "no volume"),
        (Atoms("C", cell=[[3, 0, 0], [6, 1e-12, 0], [0, 0, 3]], pbc=True), "no volume"),
        (Atoms(cell=[3, 3, 3], pbc=True), "there are no atoms"),
        (Atoms("XC", [[0] * 3, [1.5] * 3], cell=[3, 3, 3], pbc=True), "atomic number 0"),
        (Atoms("C", [[np.nan, 0, 0]], cell=[3, 3, 3], pbc=True), "not finite"),
        (Atoms("C", cell=[3, np.inf, 3], pbc=True), "not finite"),
        (Atoms("C", cell=[0.2, 4, 4], pbc=True), "its own image"),
        (Atoms("CC", [[0] * 3, [2.9, 0, 0]], cell=[3, 3, 3], pbc=True), "0.100 Å apart"),
        (Atoms("C", cell=[3, 3, 3], pbc=True, masses=[-1.0]), "mass on site 0"),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_refused_with_name_and_reason(atoms, says):
    with pytest.raises(CrystalError, match=says) as caught:
        Crystal.from_any(atoms)
    assert len(str(caught.value).split(". ")) > 1  # what to do about it
    with pytest.raises(CrystalError, match=r"^my crystal: "):
        Crystal.from_any(atoms, "my crystal")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"species_number": [12, 12, 12, 51, 119, 83, 51]}, "atomic number 119"),
        ({"species_fraction": [1, 1, 1, 0.75, 0.5, 0.25, 0.75]}, "site 3 sum to 1.25"),
        ({"species_fraction": [1, 1, 1, 1.25, -0.25, 0.25, 0.75]}, "site 3 is not a positive"),
        ({"species_fraction": [1.0]}, "array of fractions"),
        ({"species_site": [0, 1, 2, 3, 3, 3, 3]}, "site 4 has no species"),
        ({"species_site": [0, 1, 2, 3, 3, 4, 5]}, "a site index is wrong"),
        ({"cell": np.eye(2)}, r"shape \(2, 2\)"),
        ({"scaled_positions": [[0, 0]]}, r"\(n_sites, 3\)"),
        ({"cell": [["a"] * 3] * 3}, "not numbers"),
    ],
)
def test_wrong_arrays_are_refused(changes, says):
    with pytest.raises(CrystalError, match=says):
        alloy(**changes)


def test_other_objects_are_refused_with_a_hint():
    from pymatgen.core import Molecule

    for obj, hint in [
        (3, "Give ASE Atoms"),
        ([bulk("Cu")], "takes lists"),
        (Molecule("H", [[0] * 3]), "periodic"),
    ]:
        with pytest.raises(CrystalError, match=hint):
            Crystal.from_any(obj)


def test_rounded_thirds_are_one_and_vacancies_warn():
    cell, origin = 3 * np.eye(3), [[0, 0, 0]]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        crystal = Crystal(cell, origin, [0] * 3, [24, 27, 28], [0.333] * 3)
    assert crystal.species_fraction.sum() == pytest.approx(1.0, abs=1e-15)
    with pytest.warns(PartialOccupationWarning, match="site"):
        crystal = Crystal(cell, origin, [0], [24], [0.9])
    assert crystal.masses[0] == pytest.approx(0.9 * STANDARD_MASSES[24])
    assert not crystal.is_ordered


def test_isotopes_and_tables_of_masses():
    from phonopy.structure.atoms import PhonopyAtoms
    from pymatgen.core import Element

    numbers = range(1, 84)
    for table in (
        [float(Element.from_Z(z).atomic_mass) for z in numbers],
        [
            PhonopyAtoms(numbers=[z], cell=np.eye(3), scaled_positions=[[0] * 3]).masses[0]
            for z in numbers
        ],
    ):
        for z, mass in zip(numbers, table, strict=True):
            assert not Crystal(3 * np.eye(3), [[0] * 3], [0], [z], None, [mass]).has_isotopes
    silicon = bulk("Si")
    silicon.set_masses([28.0855, 29.9738])
    crystal = Crystal.from_any(silicon)
    assert crystal.has_isotopes
    np.testing.assert_array_equal(crystal.masses, [28.0855, 29.9738])
    np.testing.assert_array_equal(crystal.standard_masses, [28.085, 28.085])
    np.testing.assert_array_equal(crystal.to_atoms().get_masses(), [28.0855, 29.9738])


def test_read_only_pickled_and_not_tied_to_its_source():
    atoms = bulk("NaCl", "rocksalt", a=5.6)
    crystal = Crystal.from_any(atoms)
    copy = pickle.loads(pickle.dumps(crystal))
    for field in (*FIELDS, "species_mass"):
        np.testing.assert_array_equal(getattr(copy, field), getattr(crystal, field))
        assert not getattr(crystal, field).flags.writeable
        assert not getattr(copy, field).flags.writeable
    atoms.positions += 1.0
    atoms.numbers[:] = 3
    atoms.cell[:] = 1.0
    assert crystal.formula == "NaCl"
    assert crystal.volume == pytest.approx(5.6**3 / 4)
    with pytest.raises(AttributeError):
        crystal.name = "other"


def test_constraints_and_calculators_do_not_matter():
    from ase.calculators.emt import EMT
    from ase.constraints import FixAtoms

    atoms = bulk("Cu")
    atoms.set_constraint(FixAtoms([0]))
    atoms.calc = EMT()
    assert Crystal.from_any(atoms).formula == "Cu"


def test_same_crystal_is_returned_unless_renamed():
    crystal = alloy()
    assert Crystal.from_any(crystal) is crystal
    assert Crystal.from_any(crystal, "run 7").name == "run 7"


def test_atoms_need_neither_torch_nor_pymatgen():
    code = (
        "import sys; from ase.build import bulk; from ase_e3dos.structures.crystal import Crystal;"
        "Crystal.from_any(bulk('Cu').repeat(4));"
        "assert not {'torch', 'pymatgen', 'matplotlib'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
