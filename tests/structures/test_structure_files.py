"""Files of many formats, with the occupations in them, and files that are none."""

from __future__ import annotations

import json

import numpy as np
import pytest
from ase.build import bulk
from ase.io import write
from pymatgen.core import Lattice, Structure
from pymatgen.io.cif import CifWriter

from ase_e3dos.errors import CrystalError, UnreadableFileError
from ase_e3dos.structures.crystal import Crystal, read_crystals

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

MIXED_CIF = """data_magnesium_antimonide
_cell_length_a 4.6
_cell_length_b 4.6
_cell_length_c 7.3
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 120
_space_group_name_H-M_alt 'P -3 m 1'
_space_group_IT_number 164
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
Mg1 Mg 0 0 0 1
Mg2 Mg 0.3333 0.6667 0.634 1.0
Sb1 Sb3- 0.3333 0.6667 0.228 0.5
Sb2 Sb5+ 0.3333 0.6667 0.228 0.25
Bi1 Bi 0.3333 0.6667 0.228 0.25
"""


def salt():
    return bulk("NaCl", "rocksalt", a=5.6)


@pytest.mark.parametrize(
    "name",
    [
        "POSCAR",
        "salt.vasp",
        "salt.cif",
        "salt.extxyz",
        "salt.traj",
        "salt.json",
        "salt.xsf",
        "salt.cif.gz",
    ],
)
def test_formats_of_ase(tmp_path, name):
    write(tmp_path / name, salt())
    crystal = Crystal.from_any(tmp_path / name)
    assert crystal.formula == "NaCl"
    assert crystal.volume == pytest.approx(5.6**3 / 4, rel=1e-5)
    assert crystal.is_ordered
    assert crystal.name == str(tmp_path / name)


def test_cif_with_symmetry_and_several_labels_on_a_site(tmp_path):
    """Two labels of one element on a site: ASE's reader would keep one of the two."""
    path = tmp_path / "mixed.cif"
    path.write_text(MIXED_CIF)
    crystal = Crystal.from_any(path)
    assert crystal.formula == "Mg3Sb1.5Bi0.5"
    assert crystal.n_sites == 5
    np.testing.assert_allclose(
        np.bincount(crystal.species_site, crystal.species_fraction), 1.0, atol=1e-12
    )


def test_cif_of_ase_with_occupations(tmp_path):
    path = tmp_path / "mixed.cif"
    path.write_text(MIXED_CIF)
    crystal = Crystal.from_any(path)
    write(tmp_path / "again.cif", crystal.to_atoms())
    again = Crystal.from_any(tmp_path / "again.cif")
    assert again.formula == crystal.formula
    np.testing.assert_allclose(again.masses, crystal.masses)


@pytest.mark.parametrize("symprec", [None, 0.01])
def test_cif_of_pymatgen(tmp_path, symprec):
    half = {"Sr2+": 0.5, "Ba2+": 0.5}
    structure = Structure.from_spacegroup(
        "Pm-3m", Lattice.cubic(3.95), [half, "Ti4+", "O2-"], [[0] * 3, [0.5] * 3, [0.5, 0.5, 0]]
    )
    CifWriter(structure, symprec=symprec).write_file(tmp_path / "mixed.cif")
    assert Crystal.from_any(tmp_path / "mixed.cif").formula == "Sr0.5Ba0.5TiO3"


def test_cif_with_deuterium(tmp_path):
    for symbols, mean in [("D 1", 2.014), ("D 0.5\nH2 H 0.5 0.5 0.5 0.5", 1.511)]:
        symbol, rest = symbols.split(" ", 1)
        head = MIXED_CIF.split("Mg1")[0].replace("P -3 m 1", "P 1").replace("164", "1")
        path = tmp_path / "deuteride.cif"
        path.write_text(head + f"Li1 Li 0 0 0 1\nH1 {symbol} 0.5 0.5 0.5 {rest}\n")
        crystal = Crystal.from_any(path)
        assert crystal.formula == "LiH"
        assert crystal.masses[1] == pytest.approx(mean, rel=1e-3)
        assert crystal.has_isotopes


def test_json_of_pymatgen(tmp_path):
    mixed = Structure(Lattice.cubic(3.6), [{"Cu": 0.7, "Au": 0.3}], [[0] * 3])
    path = tmp_path / "structure.json"
    mixed.to(filename=str(path))
    assert Crystal.from_any(path).formula == "Cu0.7Au0.3"
    path.write_text(json.dumps([{"structure": mixed.as_dict()}, mixed.as_dict()]))
    assert [c.name for c in read_crystals(path)] == [f"{path}[0]", f"{path}[1]"]


def test_yaml_of_phonopy_in_the_units_of_its_calculator(tmp_path):
    from phonopy import Phonopy
    from phonopy.structure.atoms import PhonopyAtoms

    for calculator, unit in [(None, 1.0), ("qe", 0.529177)]:
        atoms = salt()
        cell = PhonopyAtoms(
            symbols=atoms.symbols,
            cell=atoms.cell.array / unit,
            scaled_positions=atoms.get_scaled_positions(),
        )
        path = tmp_path / "phonopy_disp.yaml"
        Phonopy(cell, np.eye(3, dtype=int), calculator=calculator).save(path)
        assert Crystal.from_any(path).volume == pytest.approx(5.6**3 / 4, rel=1e-5)


def test_several_structures(tmp_path):
    path = tmp_path / "two.extxyz"
    write(path, [salt(), bulk("Cu")])
    assert [crystal.formula for crystal in read_crystals(str(path))] == ["NaCl", "Cu"]
    with pytest.raises(CrystalError, match="several structures"):
        Crystal.from_any(path)
    cif = tmp_path / "two.cif"
    cif.write_text(MIXED_CIF + "\n" + MIXED_CIF.replace("Bi", "As").replace("data_", "data_2"))
    assert [c.formula for c in read_crystals(cif)] == ["Mg3Sb1.5Bi0.5", "Mg3Sb1.5As0.5"]


def test_a_file_cut_off_gives_what_is_there_and_then_says_so(tmp_path):
    path = tmp_path / "cut.extxyz"
    write(path, [salt()] * 3)
    path.write_text(path.read_text()[:-40])
    crystals = read_crystals(path)
    assert next(crystals).formula == "NaCl"
    with pytest.raises(UnreadableFileError, match=r"cut.extxyz: reading failed after"):
        list(crystals)


def test_a_structure_that_is_no_crystal_names_its_index(tmp_path):
    path = tmp_path / "bad.extxyz"
    crowded = salt()
    crowded.positions[1] = crowded.positions[0] + 0.1
    write(path, [salt(), crowded, salt()])
    crystals = read_crystals(path)
    next(crystals)
    with pytest.raises(CrystalError, match=r"bad.extxyz\[1\]: sites 0 and 1 are 0.173 Å apart"):
        next(crystals)


@pytest.mark.parametrize("name", ["POSCAR", "x.cif", "x.json", "x.extxyz", "x.yaml", "x.bin", "x"])
@pytest.mark.parametrize("content", [b"", b"\x00\xff\x80" * 99, b"no structure\n" * 9, b"{}"])
def test_no_structure_in_the_file(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UnreadableFileError, match=name) as caught:
        Crystal.from_any(path)
    assert isinstance(caught.value, OSError)


def test_no_file(tmp_path):
    with pytest.raises(UnreadableFileError, match="directory"):
        Crystal.from_any(tmp_path)
    with pytest.raises(UnreadableFileError, match="no such file"):
        Crystal.from_any(str(tmp_path / "absent.cif"))


def test_molecules_in_a_file_are_refused_as_such(tmp_path):
    path = tmp_path / "water.xyz"
    path.write_text("3\n\nO 0 0 0\nH 0.76 0.59 0\nH -0.76 0.59 0\n")
    with pytest.raises(CrystalError, match=r"water.xyz: not periodic"):
        Crystal.from_any(path)
