"""ASE Atoms with occupations, pymatgen structures and PhonopyAtoms become the same crystals."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.spacegroup import crystal as spacegroup_crystal
from pymatgen.core import DummySpecies, Lattice, Structure
from pymatgen.io.ase import AseAtomsAdaptor
from pymatgen.io.phonopy import get_phonopy_structure

from ase_e3dos.errors import CompositionWarning, CrystalError, PartialOccupationWarning
from ase_e3dos.structures import read
from ase_e3dos.structures.crystal import Crystal
from ase_e3dos.structures.masses import STANDARD_MASSES


def same(a: Crystal, b: Crystal) -> None:
    np.testing.assert_allclose(a.cell, b.cell, atol=1e-8)
    difference = a.scaled_positions - b.scaled_positions
    np.testing.assert_allclose(difference - np.rint(difference), 0, atol=1e-8)
    np.testing.assert_array_equal(a.species_site, b.species_site)
    np.testing.assert_array_equal(a.species_number, b.species_number)
    np.testing.assert_allclose(a.species_fraction, b.species_fraction, atol=1e-12)
    np.testing.assert_allclose(a.species_mass, b.species_mass, rtol=2e-3)


def silicon_germanium(fraction: float = 0.25) -> Structure:
    species = {"Si": 1 - fraction, "Ge": fraction}
    return Structure.from_spacegroup("Fd-3m", Lattice.cubic(5.5), [species], [[0, 0, 0]])


def test_three_libraries_one_crystal():
    structure = Structure.from_spacegroup(
        "Pm-3m", Lattice.cubic(3.9), ["Sr2+", "Ti4+", "O2-"], [[0] * 3, [0.5] * 3, [0.5, 0.5, 0]]
    )
    expected = Crystal.from_any(structure)
    assert expected.formula == "SrTiO3"
    assert not expected.has_isotopes
    same(Crystal.from_any(AseAtomsAdaptor.get_atoms(structure)), expected)
    same(Crystal.from_any(get_phonopy_structure(structure)), expected)


def test_ase_occupations_equal_pymatgens():
    atoms = spacegroup_crystal(
        ["Si", "Ge"],
        [(0, 0, 0)] * 2,
        occupancies=[0.75, 0.25],
        spacegroup=227,
        cellpar=[5.5] * 3 + [90] * 3,
        onduplicates="keep",
    )
    crystal = Crystal.from_any(atoms)
    assert crystal.formula == "Si0.75Ge0.25"
    assert crystal.n_sites == 8
    np.testing.assert_allclose(crystal.masses, Crystal.from_any(silicon_germanium()).masses)
    larger = atoms.repeat((1, 2, 1))
    del larger[[3]]
    assert Crystal.from_any(larger).n_sites == 15
    np.testing.assert_allclose(Crystal.from_any(larger).species_fraction.sum(), 15)


def test_atoms_of_mixed_crystals_come_back():
    crystal = Crystal.from_any(silicon_germanium(0.6))
    same(Crystal.from_any(crystal.to_atoms()), crystal)


def test_occupations_that_contradict_the_atoms_are_refused():
    atoms = Crystal.from_any(silicon_germanium()).to_atoms()
    atoms.symbols[2] = "Sn"
    with pytest.raises(CrystalError, match="atom 2 is Sn"):
        Crystal.from_any(atoms)
    atoms = Crystal.from_any(silicon_germanium()).to_atoms()
    atoms.info["occupancy"].pop("3")
    with pytest.raises(CrystalError, match="no entry for atom 3"):
        Crystal.from_any(atoms)


def test_atoms_substituted_after_reading_a_full_site():
    atoms = bulk("Si")
    atoms.info["occupancy"] = {"0": {"Si": 1.0}}
    atoms.new_array("spacegroup_kinds", np.zeros(2, int))
    atoms.symbols[1] = "Ge"
    assert Crystal.from_any(atoms).formula == "SiGe"


def test_mass_on_a_mixed_site():
    atoms = Crystal.from_any(silicon_germanium(0.5)).to_atoms()
    atoms.set_masses([0.5 * (STANDARD_MASSES[14] + STANDARD_MASSES[32])] * 8)
    assert not Crystal.from_any(atoms).has_isotopes
    atoms.set_masses([40.0] * 8)
    with pytest.raises(CrystalError, match="cannot be divided"):
        Crystal.from_any(atoms)


def test_deuterium_is_heavy_hydrogen():
    structure = Structure(Lattice.cubic(4.1), ["Li", {"D": 0.5, "H": 0.5}], [[0] * 3, [0.5] * 3])
    if len(structure[1].species) == 1:
        pytest.skip("this pymatgen takes D and H on one site for one element")
    if sum(structure[1].species.values()) > 1.5:
        pytest.skip("this pymatgen counts D and H on one site twice each")
    crystal = Crystal.from_any(structure)
    assert crystal.species_number.tolist() == [3, 1, 1]
    np.testing.assert_allclose(crystal.species_mass, [6.94, 1.008, 2.014], rtol=1e-4)
    np.testing.assert_array_equal(crystal.standard_masses[1:], [1.008, 1.008])
    assert crystal.has_isotopes
    assert crystal.formula == "LiH"
    assert Crystal.from_any(Structure(Lattice.cubic(3), ["D+"], [[0] * 3])).masses[0] > 2


def test_mixed_valence_is_one_species():
    structure = Structure(Lattice.cubic(3), [{"Fe2+": 0.4, "Fe3+": 0.6}], [[0] * 3])
    assert Crystal.from_any(structure).is_ordered


def test_vacancies_warn_and_dummies_are_refused():
    structure = Structure(Lattice.cubic(4.2), [{"Fe": 0.9}, "O"], [[0] * 3, [0.5] * 3])
    with pytest.warns(PartialOccupationWarning, match="Fe0.9O"):
        assert Crystal.from_any(structure).n_sites == 2
    structure = Structure(Lattice.cubic(4.2), [DummySpecies("X"), "O"], [[0] * 3, [0.5] * 3])
    with pytest.raises(CrystalError, match="not a chemical element"):
        Crystal.from_any(structure)


def test_split_site_at_one_place_is_merged_and_apart_is_refused():
    def split(offset: float) -> Structure:
        species, sites = [{"Na": 0.5}, {"K": 0.5}, "Cl"], [[0] * 3, [offset, 0, 0], [0.5] * 3]
        return Structure(Lattice.cubic(4.0), species, sites)

    assert Crystal.from_any(split(0.001)).formula == "Na0.5K0.5Cl"
    with pytest.raises(CrystalError, match="disordered site written as several"):
        Crystal.from_any(split(0.02))


def test_phonopy_masses_and_mixtures():
    atoms = pytest.importorskip("phonopy.structure.atoms")
    cell = bulk("Ge", a=6.0).cell.array
    positions = [[0] * 3, [0.25] * 3]
    heavy = atoms.PhonopyAtoms(
        symbols=["Ge", "Ge1"], cell=cell, scaled_positions=positions, masses=[70, 76]
    )
    assert Crystal.from_any(heavy).masses.tolist() == [70, 76]
    assert Crystal.from_any(heavy).has_isotopes
    if not hasattr(atoms.PhonopyAtoms, "has_mixtures"):
        pytest.skip("this phonopy has no mixtures")
    mixture = [[("Ge", 0.5), ("Sn", 0.5)], [("Ge", 1.0)]]
    table, ids = atoms.build_species_table_from_mixtures(mixture)
    arguments = {"cell": cell, "scaled_positions": positions}
    mixed = atoms.PhonopyAtoms(species_table=table, species_ids=ids, **arguments)
    crystal = Crystal.from_any(mixed)
    assert crystal.formula == "Ge1.5Sn0.5"
    assert not crystal.has_isotopes
    np.testing.assert_allclose(crystal.masses, mixed.masses, rtol=2e-3)
    mixed.masses = 1.02 * mixed.masses
    crystal = Crystal.from_any(mixed)
    assert crystal.has_isotopes
    np.testing.assert_allclose(crystal.masses, mixed.masses, rtol=2e-3)


def test_phonopy_weighted_species_are_one_site():
    """Phonopy's other layout of a mixture: co-located atoms with concentrations."""
    atoms = pytest.importorskip("phonopy.structure.atoms")
    if not hasattr(atoms.PhonopyAtoms, "has_weighted_species"):
        pytest.skip("this phonopy has no weighted species")
    species = [
        atoms._Species(symbol="Ge", atomic_number=32, weight=0.25),
        atoms._Species(symbol="Sn", atomic_number=50, weight=0.75),
    ]
    cell = atoms.PhonopyAtoms(
        species_table=species,
        species_ids=[0, 1, 0, 1],
        cell=bulk("Ge", a=6.0).cell.array,
        scaled_positions=[[0] * 3] * 2 + [[0.25] * 3] * 2,
    )
    crystal = Crystal.from_any(cell)
    assert crystal.n_sites == 2
    assert crystal.formula == "Sn0.75Ge0.25"


def test_rows_of_an_ase_database(tmp_path):
    from ase.db import connect

    with connect(tmp_path / "crystals.db") as db:
        db.write(bulk("MgO", "rocksalt", a=4.2))
    row = next(connect(tmp_path / "crystals.db").select())
    assert Crystal.from_any(row).formula == "MgO"
    assert Crystal.from_any(row).name == "row 1"


def test_spglibs_cell_with_symbols_or_types() -> None:
    lattice, places = np.eye(3) * 4.1, [[0, 0, 0], [0.5, 0.5, 0.5]]
    assert Crystal.from_any((lattice, places, ["Cs", "Cl"])).formula == "CsCl"
    for types in ([1, 2], [1, 1]):
        with pytest.raises(CrystalError, match="looks like types"):
            Crystal.from_any((lattice, places, types))
    with pytest.warns(CompositionWarning, match="types"):
        Crystal.from_any(Atoms(numbers=[1, 2], cell=lattice, scaled_positions=places, pbc=True))


def test_molecules_and_incomplete_dictionaries_of_pymatgen() -> None:
    from pymatgen.core import Molecule

    molecule = Molecule(["H", "H"], [[0, 0, 0], [0, 0, 0.74]])
    for given in (molecule, [molecule], molecule.as_dict()):
        with pytest.raises(CrystalError, match="molecule"):
            read(given)
    dictionary = Structure(Lattice.cubic(4.1), ["Cs", "Cl"], [[0] * 3, [0.5] * 3]).as_dict()
    del dictionary["lattice"]
    with pytest.raises(CrystalError, match="without 'lattice'"):
        read(dictionary)


def test_fractions_in_dictionaries_and_arrays_of_ase_are_kept() -> None:
    atoms = bulk("NaCl", "rocksalt", a=5.64)
    atoms.info["occupancy"] = {"0": {"Na": 0.5, "K": 0.5}, "1": {"Cl": 1.0}}
    assert Crystal.from_any(atoms.todict()).formula == Crystal.from_any(atoms).formula
    atoms = bulk("NaCl", "rocksalt", a=5.64)
    atoms.arrays["occupancy"] = np.array([0.5, 1.0])  # of PDB files
    with pytest.warns(PartialOccupationWarning):
        assert Crystal.from_any(atoms).species_fraction.tolist() == [0.5, 1.0]
    atoms.arrays["occupancy"] = np.array([0.0, 1.0])
    with pytest.raises(CrystalError, match="not a fraction"):
        Crystal.from_any(atoms)


def test_columns_that_would_be_passed_over_are_not() -> None:
    own = {"numbers": [11, 17], "cell": np.eye(3) * 5.64, "positions_frac": [[0] * 3, [0.5] * 3]}
    assert Crystal.from_any(own).formula == "NaCl"
    with pytest.raises(CrystalError, match="fractions"):
        Crystal.from_any({**own, "occupancy": [0.5, 1]})
    with pytest.raises(CrystalError, match="types"):
        Crystal.from_any({**own, "numbers": [1, 2]})
    jarvis = {"lattice_mat": np.eye(3) * 5.64, "coords": [[0] * 3, [0.5] * 3],
              "elements": ["Na", "Cl"], "cartesian": "False"}  # fmt: skip
    np.testing.assert_allclose(Crystal.from_any(jarvis).scaled_positions[1], 0.5)
