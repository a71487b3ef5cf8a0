"""CIF files: what each kind of statement means, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from cif_texts import (
    CUBE,
    P1,
    ROCK_SALT,
    SALT,
    amounts,
    atoms,
    cell_text,
    kinds,
    loop,
    operations,
    read_cif,
    salt,
)

from ase_e3dos.errors import CrystalError, UnreadableFileError
from ase_e3dos.structures.elements import DEUTERIUM_MASS, TRITIUM_MASS

NACL = {"Na": 4.0, "Cl": 4.0}
F_CENTRING = ("x,y,z", "x,y+1/2,z+1/2", "x+1/2,y,z+1/2", "x+1/2,y+1/2,z")
HEX = (3.2, 3.2, 5.2, 90, 90, 120)
HCP = "_symmetry_space_group_name_H-M 'P 63/m m c'"


# Symmetry ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "symmetry",
    [
        operations(*F_CENTRING),
        operations(*F_CENTRING, tag="_space_group_symop_operation_xyz"),
        operations(*F_CENTRING, tag="_space_group_symop.operation_xyz"),
        operations(*F_CENTRING, tag="_symmetry_equiv.pos_as_xyz"),
        operations(*F_CENTRING, tag="_SYMMETRY_EQUIV_POS_AS_XYZ"),
        operations(*(t.upper() for t in F_CENTRING)),
        operations(*(t.replace(",", " , ") for t in F_CENTRING)),
        operations("+x,+y,+z", "x,.5+y,0.5+z", "1/2+x,y,1/2+z", "x-1/2,-1/2+y,z"),
        operations(*F_CENTRING[1:]),  # the identity goes without saying
        operations(*F_CENTRING, F_CENTRING[1]),
        loop("_symmetry_equiv_pos_site_id _symmetry_equiv_pos_as_xyz",
             [f"{k} '{t}'" for k, t in enumerate(F_CENTRING, 1)]),
        loop("_symmetry_equiv_pos_as_xyz", ["x, y, z", "x, y+1/2, z+1/2", "x+1/2, y, z+1/2",
                                            "x+1/2, y+1/2, z"]),
        loop("_symmetry_equiv_pos_site_id _symmetry_equiv_pos_as_xyz",
             [f"{k} {t.replace(',', ', ')}" for k, t in enumerate(F_CENTRING, 1)]),
        operations("x,y,z,+1", "x,y+1/2,z+1/2,+1", "x+1/2,y,z+1/2,-1", "x+1/2,y+1/2,z,-1",
                   tag="_space_group_symop_magn_operation.xyz"),
        operations("x,y,z,+1", "x,y+1/2,z+1/2,+1", tag="_space_group_symop.magn_operation_xyz")
        + operations("x,y,z,+1", "x+1/2,y,z+1/2,-1", tag="_space_group_symop.magn_centering_xyz"),
        "_space_group_name_Hall '-F 4 2 3'",
        "_symmetry_space_group_name_Hall '-f 4 2 3'",
        "_space_group.name_Hall -F_4_2_3",
        "_space_group_name_H-M_alt 'F m -3 m'",
        "_space_group.name_H-M_alt Fm-3m",
        "_symmetry_space_group_name_H-M FM-3M",
        "_symmetry_space_group_name_H-M F_m_-3_m",
        "_symmetry_space_group_name_H-M F m -3 m",
        "_symmetry_space_group_name_H-M 'F m 3 m'",
        "_symmetry_space_group_name_H-M 'F m -3 m (No. 225)'",
        "_symmetry_space_group_name_H-M 'F m \\bar{3} m'",
        "_symmetry.space_group_name_H-M 'F m -3 m'",
        "_symmetry.pdbx_full_space_group_name_H-M 'F 4/m -3 2/m'",
        "_space_group_name_H-M_full 'F 4/m -3 2/m'",
        "_symmetry_Int_Tables_number 225",
        "_symmetry_Int_Tables_number '225'",
        "_space_group.IT_number 225",
        "_space_group_name_H-M_ref 'F m -3 m'",
        "_symmetry_space_group_name_H-M ?\n_symmetry_Int_Tables_number 225",
        "_symmetry_space_group_name_H-M 'F m -3 m'\n_space_group_name_Hall .",
        "_symmetry_space_group_name_H-M 'F m -3 m'\n_space_group_name_Hall 'F m -3 m'",
        # operations come before names, and a Hall symbol before the others
        operations(*F_CENTRING) + "_symmetry_space_group_name_H-M 'not known'",
        operations(*F_CENTRING) + ROCK_SALT,
        "_space_group_name_Hall '-F 4 2 3'\n_space_group_name_H-M_alt 'unknown to us'",
        "_parent_space_group.name_H-M_alt 'P 1'\n" + operations(*F_CENTRING),
    ],
)  # fmt: skip
def test_spellings_of_one_symmetry(symmetry: str) -> None:
    crystal = read_cif(salt(symmetry + "\n"))
    assert amounts(crystal) == NACL
    assert kinds(crystal) == []
    place = crystal.scaled_positions[crystal.numbers == 11]
    assert sorted(map(tuple, np.round(place, 6).tolist())) == [
        (0, 0, 0), (0, 0.5, 0.5), (0.5, 0, 0.5), (0.5, 0.5, 0)]  # fmt: skip


@pytest.mark.parametrize(
    ("symmetry", "says"),
    [
        ("_symmetry_space_group_name_H-M 'F m q m'", "not known"),
        ("_space_group_name_Hall 'not a symbol'", "Hall"),
        ("_symmetry_Int_Tables_number 0", "no symmetry is known"),
        ("_symmetry_Int_Tables_number 231", "no space group number 231"),
        ("_symmetry_Int_Tables_number -225", "no space group number"),
        ("_symmetry_Int_Tables_number cubic", "no space group number"),
        ("_symmetry_Int_Tables_number 229.7", "no space group number 229.7"),
        ("_cell_setting cubic", "no symmetry is known from _cell_setting"),
        ("_crystal_space_group Fm-3m", "no symmetry is known from _crystal_space_group"),
        (operations(*F_CENTRING, tag="_magnetic_space_group_symop_operation_xyz"), "no symmetry"),
        *((f"_symmetry_Int_Tables_number {n}\n_space_group_IT_coordinate_system_code {code}",
           f"the code {said}") for n, code, said in (
            (14, "b4", "'b4' "), (62, "bac", "'bac' "), (62, "Pnma", "'Pnma' "),
            (62, "'cell choice 2'", "'cell choice 2' "), (62, "'b 2'", "'b 2' "),
            (62, "2abc", "'2abc' "), (225, "2", "'2' "))),
        ("_space_group_name_H-M_alt 'P 1 21/c 1'\n_space_group_IT_coordinate_system_code b2",
         "not the setting of the code 'b2'"),
        ("_symmetry_cell_setting cubic", "no symmetry is known"),
        ("_symmetry_space_group_name_H-M ?", "no symmetry is known"),
        ("_space_group_crystal_system cubic", "no symmetry is known"),
        ("_space_group_name_Schoenflies Oh.5", "no symmetry is known"),
        ("_symmetry_space_group_name_H-M 'P 1'\n_symmetry_Int_Tables_number 225", "contradicts"),
        ("_space_group_name_H-M_alt 'P 1'\n_space_group_name_H-M_full 'F 4/m -3 2/m'", "contrad"),
        ("_space_group_name_Hall 'P 1'\n_symmetry_Int_Tables_number 225", "Hall symbol"),
        ("_space_group_name_Hall 'P 1'\n" + ROCK_SALT, "Hall symbol"),
        ("_symmetry_space_group_name_H-M 'P 63/m m c'", "shape"),
        ("_symmetry_space_group_name_H-M 'R -3 m:H'", "shape"),
        ("_space_group_name_Hall '-P 6c 2c'", "shape"),
        (operations("x,y,z", "-y,x-y,z", "-x+y,-x,z"), "shape of its cell"),
        (operations("x,y,z", "x,y+1/2,z+1/3"), "do not form a group"),
        (operations("x,y,z", "-x,-y,-z", "-x,-y,z"), "do not form a group"),
        (operations("x,y,z", "x,y"), "not a symmetry operation"),
        (operations("x,y,z", "2x,y,z"), "not a symmetry operation"),
        (operations("x,y,z", "x,x,z"), "keep the volume"),
        (operations("x,y,z", "x,y,w"), "not a symmetry operation"),
        (operations("x,y,z", "x/0,y,z"), "not a symmetry operation"),
        (operations(*F_CENTRING) + operations("x,y,z", tag="_space_group_symop_operation_xyz"),
         "two lists"),
        (loop("_symmetry_equiv_pos_as_xyz", ["'x,y,z'", "?"]), "one is not given"),
        (operations("x1,x2,x3,x4", tag="_space_group_symop_ssg_operation_algebraic"), "modulated"),
        ("_cell_modulation_dimension 1\n_space_group_ssg_name 'F m -3 m(00g)'", "modulated"),
        ("_space_group_magn.number_BNS 225.116", "no symmetry is known"),
        *((f"{said}\n{ROCK_SALT}", "modulated") for said in (
            "_space_group_ssg_name 'F m -3 m(00g)'", "_cell_subsystems_number 2",
            "loop_\n_atom_site_displace_Fourier_atom_site_label\nNa1",
            "loop_\n_atom_site_occ_Fourier_atom_site_label\nNa1")),
    ],
)  # fmt: skip
def test_a_symmetry_that_is_not_known_is_refused(symmetry: str, says: str) -> None:
    with pytest.raises(CrystalError, match=says) as caught:
        read_cif(salt(symmetry + "\n"))
    assert len(str(caught.value).split(". ")) > 1  # what to do about it


def test_a_short_name_of_two_groups_needs_the_number() -> None:
    text = f"data_x\n{cell_text(HEX)}_symmetry_space_group_name_H-M 'P -3 m'\n"
    table = atoms("Zn1 Zn 0 0 0.3")
    with pytest.raises(CrystalError, match="may be P -3 1 m or P -3 m 1"):
        read_cif(text + table)
    assert amounts(read_cif(text + "_symmetry_Int_Tables_number 164\n" + table)) == {"Zn": 2.0}


def test_without_a_word_on_symmetry_all_atoms_are_listed_and_that_is_said() -> None:
    crystal = read_cif(salt(""))
    assert amounts(crystal) == {"Na": 1.0, "Cl": 1.0}
    assert kinds(crystal) == ["SymmetryWarning"]


@pytest.mark.parametrize(
    ("name", "cell", "n"),
    [
        ("P 21/n", (5.1, 6.2, 7.3, 90, 95, 90), 4),
        ("P 21/n", (5.1, 6.2, 7.3, 90, 90, 95), 4),
        ("P 21/b", (5.1, 6.2, 7.3, 90, 90, 95), 4),
        ("P 1 1 21/b", (5.1, 6.2, 7.3, 90, 90, 95), 4),
        ("P b n m", (5.1, 6.2, 7.3, 90, 90, 90), 8),
        ("R -3 c", (4.99, 4.99, 17.06, 90, 90, 120), 36),
        ("R -3 c", (6.4, 6.4, 6.4, 46, 46, 46), 12),
        ("R -3 c H", (4.99, 4.99, 17.06, 90, 90, 120), 36),
        ("R 3 :R", (6.4, 6.4, 6.4, 46, 46, 46), 3),
        ("H 3", (4.99, 4.99, 17.06, 90, 90, 120), 9),
        ("C 63/m m c", (9.2, 9.2, 15.2, 90, 90, 120), 24),
        ("C m c e", (5.1, 6.2, 7.3, 90, 90, 90), 16),
        ("P 2(1)/c", (5.1, 6.2, 7.3, 90, 95, 90), 4),
        ("P2_1/c", (5.1, 6.2, 7.3, 90, 95, 90), 4),
        ("P 2 1 / c", (5.1, 6.2, 7.3, 90, 95, 90), 4),
        ("P 21/C", (5.1, 6.2, 7.3, 90, 95, 90), 4),
        ("I 43d", (11.9, 11.9, 11.9, 90, 90, 90), 48),
        ("P 62m", (9.2, 9.2, 15.2, 90, 90, 120), 12),
        ("P421m", (9.2, 9.2, 15.2, 90, 90, 90), 8),
        ("Ia3-d", (11.9, 11.9, 11.9, 90, 90, 90), 96),
        ("I a 3 d", (11.9, 11.9, 11.9, 90, 90, 90), 96),
        ("P a 3", (5.4, 5.4, 5.4, 90, 90, 90), 24),
    ],
)
def test_names_and_the_shape_of_the_cell(name: str, cell: tuple[float, ...], n: int) -> None:
    text = f"data_x\n{cell_text(cell)}_symmetry_space_group_name_H-M '{name}'\n"
    crystal = read_cif(text + atoms("Zn1 Zn 0.1131 0.3077 0.3793"))
    assert amounts(crystal) == {"Zn": n}
    assert kinds(crystal) == []


def test_p21n_is_not_p21c() -> None:
    text = f"data_x\n{cell_text((5.1, 6.2, 7.3, 90, 95, 90))}"
    text += "_symmetry_space_group_name_H-M 'P 21/n'\n" + atoms("Zn1 Zn .12 .21 .33")
    expected = [(0.12, 0.21, 0.33), (0.38, 0.71, 0.17), (0.88, 0.79, 0.67), (0.62, 0.29, 0.83)]
    found = sorted(map(tuple, np.round(read_cif(text).scaled_positions, 6).tolist()))
    assert found == sorted(expected)


DIAMOND = "data_x\n" + cell_text((3.567, 3.567, 3.567, 90, 90, 90))
FD3M = "_symmetry_space_group_name_H-M 'F d -3 m{}'\n"


@pytest.mark.parametrize(
    ("symmetry", "place", "n"),
    [
        (FD3M.format(":1"), "0 0 0", 8),
        (FD3M.format(":2"), "1/8 1/8 1/8", 8),
        (FD3M.format(":2"), "0 0 0", 16),
        (FD3M.format(" S"), "0 0 0", 8),
        (FD3M.format(" Z"), ".125 .125 .125", 8),
        (FD3M.format(" {origin @ centre (-3m)}"), ".125 .125 .125", 8),
        (FD3M.format(" {origin @ -43m}"), "0 0 0", 8),
        (FD3M.format(" (origin choice 2)"), ".125 .125 .125", 8),
        (FD3M.format(", origin 1"), "0 0 0", 8),
        (FD3M.format("") + "_space_group_IT_coordinate_system_code 2\n", ".125 .125 .125", 8),
        ("_space_group_name_Hall '-F 4vw 2vw 3'\n", ".125 .125 .125", 8),
        ("_space_group_name_Hall 'F 4d 2 3 -1d'\n" + FD3M.format(""), "0 0 0", 8),
        # the contents that the file states tell
        (FD3M.format("") + "_chemical_formula_sum C\n_cell_formula_units_Z 8\n", "0 0 0", 8),
        (FD3M.format("") + "_chemical_formula_sum C\n_cell_formula_units_Z 8\n", "1/8 1/8 1/8", 8),
        (FD3M.format("") + "_exptl_crystal_density_diffrn 3.51\n", "1/8 1/8 1/8", 8),
    ],
)
def test_two_origins(symmetry: str, place: str, n: int) -> None:
    crystal = read_cif(DIAMOND + symmetry + atoms(f"C1 C {place}"))
    assert amounts(crystal) == {"C": n}
    assert kinds(crystal) == []


def test_an_origin_is_taken_where_the_other_is_impossible_and_refused_where_both_are_possible():
    for place in ("0 0 0", "1/8 1/8 1/8"):  # carbon atoms 1.26 Å apart: no
        crystal = read_cif(DIAMOND + FD3M.format("") + atoms(f"C1 C {place}"))
        assert amounts(crystal) == {"C": 8.0}
        assert kinds(crystal) == ["SymmetryWarning"]
    text = "data_x\n" + cell_text((4.27, 4.27, 4.27, 90, 90, 90))  # Cu2O, or CuO2
    text += "_space_group_name_H-M_alt 'P n -3 m'\n" + atoms("Cu1 Cu .25 .25 .25", "O1 O 0 0 0")
    with pytest.raises(CrystalError, match="two origins"):
        read_cif(text)


TITANIA = "data_x\n" + cell_text((3.785, 3.785, 9.514, 90, 90, 90))


@pytest.mark.parametrize(
    ("titanium", "oxygen"),
    [("0 0 0", "0 0 .208"), ("0 .75 .125", "0 .25 .0831"), ("0 .25 .375", "0 .25 .167")],
)
def test_short_bonds_are_not_atoms_too_close(titanium: str, oxygen: str) -> None:
    """Anatase, Ti-O 1.93 Å, with either origin; with the other one atoms are 1.4 Å apart."""
    text = TITANIA + "_symmetry_space_group_name_H-M 'I 41/a m d'\n"
    crystal = read_cif(text + atoms(f"Ti1 Ti {titanium}", f"O1 O {oxygen}"))
    assert amounts(crystal) == {"Ti": 4.0, "O": 8.0}
    assert kinds(crystal) == ["SymmetryWarning"]


def test_contents_tell_which_setting_a_glide_plane_e_means() -> None:
    """FeSe below 90 K, C m m e: C m m a, or C m m b, in which there would be two Se for one Fe."""
    text = "data_x\n" + cell_text((5.31, 5.33, 5.48, 90, 90, 90))
    text += "_symmetry_space_group_name_H-M 'C m m e'\n{}"
    text += atoms("Fe1 Fe .25 0 0", "Se1 Se 0 .25 .266")
    crystal = read_cif(text.format("_chemical_formula_sum 'Fe Se'\n"))
    assert amounts(crystal) == {"Fe": 4.0, "Se": 4.0}
    assert kinds(crystal) == []
    with pytest.raises(CrystalError, match=r"several settings \(C m m a and C m m b\)"):
        read_cif(text.format(""))


P21C = operations("x,y,z", "-x,y+1/2,-z+1/2", "-x,-y,-z", "x,-y+1/2,z+1/2")


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (
            "_symmetry_space_group_name_H-M 'P n m a'\n",
            "14, which were taken, and it also says 'P n m a'",
        ),
        ("_symmetry_Int_Tables_number 11\n", "number 11"),
        ("_space_group_name_Hall '-P 2yn'\n", "setting P 1 21/c 1"),
        ("_space_group_name_H-M_alt 'P 1 21/n 1'\n_space_group_name_Hall '-P 2yn'\n", "'P 1 21/n"),
        ("_space_group_name_H-M_alt 'P 21/c'\n_space_group_name_Hall '-P 2ybc'\n", ""),
        ("_space_group_name_H-M_alt P2(1)/c\n", ""),
        ("_space_group_name_Hall '-C 2yc'\n", "'-C 2yc'"),
        ("_space_group_name_H-M_alt 'P 21/c'\n_space_group_IT_number 4\n", "number 4"),
        ("_space_group_name_H-M_alt 'P 21/n'\n_space_group_IT_number 14\n", "setting P 1 21/c 1"),
        ("_space_group_name_H-M_alt 'P 21/b'\n", "'P 21/b'"),
        ("_space_group_name_H-M_alt 'a name of ours'\n", ""),
    ],
)
def test_operations_under_the_name_of_another_group_win_and_that_is_said(
    names: str, said: str
) -> None:
    text = f"data_x\n{cell_text((5.1, 6.2, 7.3, 90, 95, 90))}{P21C}{names}"
    crystal = read_cif(text + atoms("Zn1 Zn .12 .21 .33"))
    assert amounts(crystal) == {"Zn": 4.0}
    assert kinds(crystal) == (["SymmetryWarning"] if said else [])
    assert said in "".join(map(str, crystal.warnings))


def test_names_that_contradict_each_other_beside_operations() -> None:
    names = f"{P1}\n_symmetry_Int_Tables_number 225\n"
    crystal = read_cif(salt(operations("x,y,z") + names))
    assert amounts(crystal) == {"Na": 1.0, "Cl": 1.0}
    assert kinds(crystal) == ["SymmetryWarning"]
    assert "'P 1', number 225 contradict each other" in str(crystal.warnings[0])


@pytest.mark.parametrize(
    "tags",
    ["_cell_setting triclinic", "_cell_setting ?", "_geom_bond_site_symmetry_2 1_555",
     f"{P1}\n_cell_setting cubic"],
)  # fmt: skip
def test_items_that_do_not_tell_a_symmetry_are_passed_over(tags: str) -> None:
    crystal = read_cif(salt(tags))
    assert amounts(crystal) == {"Na": 1.0, "Cl": 1.0}
    assert kinds(crystal) == ([] if P1 in tags else ["SymmetryWarning"])


@pytest.mark.parametrize("symbol", ["C2", "C 2", "P 21", "C m"])
def test_the_unique_axis_is_b_where_all_angles_are_right(symbol: str) -> None:
    text = f"data_x\n{cell_text((7.1, 8.2, 9.3, 90, 90, 90))}_space_group_name_H-M_alt '{symbol}'\n"
    found = read_cif(text + atoms("Zn1 Zn .12 .21 .33")).scaled_positions
    # a twofold axis along b turns x and z, a mirror plane across it y
    turned = (
        [0.12, 0.79, 0.33] if symbol == "C m" else [0.88, 0.71 if "P" in symbol else 0.21, 0.67]
    )
    assert np.isclose(found % 1.0, turned, atol=1e-9).all(axis=1).any()


# Elements ----------------------------------------------------------------------------------


def one_atom(symbol: str, label: str = "A1", more: str = "O9 O .5 .5 .5") -> str:
    rows = [f"{label} {symbol} 0 0 0"] + ([more] if more else [])
    return f"data_x\n{cell_text()}{P1}\n{atoms(*rows)}"


@pytest.mark.parametrize(
    ("symbol", "element"),
    [
        ("Na", "Na"), ("NA", "Na"), ("na", "Na"), ("Na1+", "Na"), ("NA+", "Na"), ("Na1", "Na"),
        ("Fe3+", "Fe"), ("FE+3", "Fe"), ("Fe2.5+", "Fe"), ("Fe3+_1", "Fe"), ("O2-", "O"),
        ("O-2", "O"), ("IN", "In"), ("I", "I"), ("SN2+", "Sn"), ("Cl1-", "Cl"), ("Cval", "C"),
        ("Siva", "Si"), ("H(SDS)", "H"), ("Fe0+", "Fe"), ("U", "U"), ("W", "W"), ("Co", "Co"),
        ("Am", "Am"), ("Fe_up", "Fe"), ("'Na '", "Na"), ("O\N{SUPERSCRIPT TWO}-", "O"),
    ],
)  # fmt: skip
def test_elements_by_their_types(symbol: str, element: str) -> None:
    found = amounts(read_cif(one_atom(symbol)))
    assert found == ({element: 1.0, "O": 1.0} if element != "O" else {"O": 2.0})


@pytest.mark.parametrize(
    "symbol",
    ["OH", "OH-", "H2O", "Wat", "WAT", "SiAl", "Si,Al", "(Si,Al)", "Va", "VA", "Vac", "X", "M",
     "T1", "NH4", "NH4+", "CN", "NO3", "SO4", "PO4", "CO3", "Q", "Lp", "DUM", "Cg", "11", "Xx",
     "CF3", "H3O", "H/D", "H(D)", "Ow", "FeNi", "Al0.5Si0.5", "A"],
)  # fmt: skip
def test_what_is_no_element_is_refused_by_name(symbol: str) -> None:
    with pytest.raises(CrystalError, match="not a chemical element") as caught:
        read_cif(one_atom(f"'{symbol}'"))
    assert repr(symbol) in str(caught.value)


def test_two_letters_in_capitals_among_ordinary_symbols_may_be_a_group() -> None:
    with pytest.raises(CrystalError, match="'CO' is not"):
        read_cif(one_atom("CO", more="Na1 Na .5 .5 .5"))
    assert amounts(read_cif(one_atom("CO", more="N1 N .5 .5 .5"))) == {"N": 1.0, "Co": 1.0}
    known = "_chemical_formula_sum 'Co Na'\n"
    text = one_atom("CO", more="Na1 Na .5 .5 .5").replace("loop_", known + "loop_")
    assert amounts(read_cif(text)) == {"Na": 1.0, "Co": 1.0}


@pytest.mark.parametrize(
    ("labels", "elements", "formula"),
    [
        ("NA1 CL1", "Na Cl", ""), ("Na1 Cl1", "Na Cl", ""), ("IN1 O1", "In O", ""),
        ("Fe3+17b O_a", "Fe O", ""), ("Zn_Zn_301_A_0 S1", "Zn S", ""), ("CaM2 OA1", "Ca O", ""),
        ("SiT1 O2", "Si O", ""), ("C233_a_phe N*1", "C N", ""), ("Na O", "Na O", ""),
        ("MgM1 OB1", "Mg O", "'Mg O'"), ("CA1 O1", "Ca O", "'Ca O'"), ("D1 Li1", "H Li", ""),
        ("W1 O1", "W O", "'W O3'"), ("CO1 O1", "Co O", "'Co O'"), ("W1 O1", "W O", ""),
        ("NA1+ CL1-", "Na Cl", ""), ("Y1 V1", "Y V", ""), ("K1 I1", "K I", ""),
    ],
)  # fmt: skip
def test_elements_by_their_labels(labels: str, elements: str, formula: str) -> None:
    one, other = labels.split()
    rows = atoms(f"{one} 0 0 0", f"{other} .5 .5 .5", tags="label fract_x fract_y fract_z")
    stated = f"_chemical_formula_sum {formula}\n" if formula else ""
    crystal = read_cif(f"data_x\n{cell_text()}{P1}\n{stated}{rows}")
    assert sorted(amounts(crystal)) == sorted(elements.split())


@pytest.mark.parametrize(
    ("label", "formula"),
    [
        ("T1", ""), ("M1", ""), ("OH1", ""), ("OW1", ""), ("Ow1", ""), ("Wat1", ""), ("SiAl1", ""),
        ("AlSi", ""), ("1", ""), ("H2O1", ""), ("A", ""), ("Va1", ""), ("X1", ""), ("OB1", ""),
        ("MgFe1", ""), ("W1", "'Na Cl'"), ("CO1", ""), ("Q1", ""), ("NH4", ""), ("Cg1", ""),
        ("HO1", ""),
    ],
)  # fmt: skip
def test_labels_that_are_no_elements_are_refused_by_name(label: str, formula: str) -> None:
    rows = atoms(f"{label} 0 0 0", "Na1 .5 .5 .5", tags="label fract_x fract_y fract_z")
    stated = f"_chemical_formula_sum {formula}\n" if formula else ""
    with pytest.raises(CrystalError, match=f"'{label}' is not a chemical element"):
        read_cif(f"data_x\n{cell_text()}{P1}\n{stated}{rows}")


def by_labels(labels: str, more: str = "") -> str:
    """A text with these labels alone, an atom for each."""
    names = labels.split()
    rows = [f"{name} {k / len(names):.4f} .1 .2" for k, name in enumerate(names)]
    table = atoms(*rows, tags="label fract_x fract_y fract_z")
    return f"data_x\n{cell_text((30, 9, 9, 90, 90, 90))}{P1}\n{more}{table}"


@pytest.mark.parametrize(
    ("labels", "expected", "warned"),
    [
        ("NA1 CL1", {"Na": 1, "Cl": 1}, False),
        ("CA1 C1 O1 O2 O3", {"Ca": 1, "C": 1, "O": 3}, True),  # calcite, or a molecule
        ("CD1 S1", {"Cd": 1, "S": 1}, False),
        ("SB1 S1", {"Sb": 1, "S": 1}, False),
        ("C1 C2 CL1 H1", {"C": 2, "Cl": 1, "H": 1}, False),  # no carbon is called CL
        ("HG1 HG2 O1", {"Hg": 2, "O": 1}, False),
        ("N1 NA1 CL2", {"N": 1, "Na": 1, "Cl": 1}, True),
        ("C1 CG O1 HA", {"C": 2, "O": 1, "H": 1}, False),
    ],
)
def test_labels_in_capitals_are_read_by_the_standard_and_doubts_are_said(
    labels: str, expected: dict[str, float], warned: bool
) -> None:
    crystal = read_cif(by_labels(labels))
    assert amounts(crystal) == expected
    assert kinds(crystal) == (["CompositionWarning"] if warned else [])


@pytest.mark.parametrize("labels", ["N CA C O CG CD1", "C1 HA HG1", "CG1 CO1"])
def test_capitals_that_name_sites_by_letters_are_no_metals(labels: str) -> None:
    with pytest.raises(CrystalError, match=r"may be (Ca|Cd|Hg|Co|Na|Nb) or (C|H|N)"):
        read_cif(by_labels(labels))


def test_a_formula_tells_what_labels_in_capitals_are() -> None:
    text = by_labels("N CA C O CB", "_chemical_formula_sum 'C3 N O'\n")
    assert amounts(read_cif(text)) == {"C": 3.0, "N": 1.0, "O": 1.0}
    text = by_labels("CA1 C1 O1 O2 O3", "_chemical_formula_sum 'C Ca O3'\n")
    assert amounts(read_cif(text)) == {"Ca": 1.0, "C": 1.0, "O": 3.0}
    assert kinds(read_cif(text)) == []


@pytest.mark.parametrize(
    ("symbol", "label", "formula", "warned"),
    [
        ("K", "Na1", "", True), ("K", "Na1", "'K O'", False), ("K", "Na1", "'Na O'", True),
        ("Na", "K1", "", True), ("O", "W1", "", False), ("Fe", "M1", "", False),
        ("C", "CA", "", False), ("Al", "Y1", "", False), ("O", "OW1", "", False),
        ("Si", "T1", "", False), ("Fe3+", "Fe1", "", False), ("FE", "Fe1", "", False),
        ("H", "D1", "", True), ("D", "H1", "", False), ("H", "D1", "'D2 O'", True),
        ("H", "DUM1", "", True), ("Ti", "B1", "", False),
        ("Zn", "Zn_Zn_301_A_0", "", False), ("Co", "CO1", "", False),
    ],
)  # fmt: skip
def test_a_label_that_names_another_element_than_the_type(
    symbol: str, label: str, formula: str, warned: bool
) -> None:
    stated = f"_chemical_formula_sum {formula}\nloop_" if formula else "loop_"
    crystal = read_cif(one_atom(symbol, label).replace("loop_", stated))
    assert (kinds(crystal) == ["CompositionWarning"]) is warned


def test_a_label_stands_in_where_the_type_is_not_known() -> None:
    crystal = read_cif(salt(P1, (("Na1", "?", "0 0 0"), ("OW1", "O", ".5 .5 .5"))))
    assert amounts(crystal) == {"Na": 1.0, "O": 1.0}


@pytest.mark.parametrize(
    ("symbol", "mass"),
    [("D", DEUTERIUM_MASS), ("D1+", DEUTERIUM_MASS), ("2H", DEUTERIUM_MASS), ("T", TRITIUM_MASS),
     ("d", DEUTERIUM_MASS), ("3H", TRITIUM_MASS)],
)  # fmt: skip
def test_isotopes_of_hydrogen(symbol: str, mass: float) -> None:
    crystal = read_cif(one_atom(symbol, "D1", "Li1 Li .5 .5 .5"))
    assert crystal.formula == "LiH"
    assert crystal.species_mass[crystal.species_number == 1] == [mass]
    assert kinds(crystal) == (["CompositionWarning"] if symbol == "T" else [])


def test_the_type_t_of_a_framework_is_not_tritium() -> None:
    with pytest.raises(CrystalError, match="tetrahedral site"):
        read_cif(one_atom("T", "T1"))
    known = one_atom("T", "T1").replace("loop_", "_chemical_formula_sum 'T O'\nloop_")
    assert kinds(read_cif(known)) == []
    with pytest.raises(CrystalError, match="tetrahedral site"):
        read_cif(known.replace("'T O'", "'Si O2'"))


def test_dummies_are_left_out() -> None:
    rows = ("Na1 Na 0 0 0 d", "Cl1 Cl .5 .5 .5 .", "DUM1 X .25 .25 .25 dum", "Q1 ? .1 .2 .3 DUM")
    table = atoms(*rows, tags="label type_symbol fract_x fract_y fract_z calc_flag")
    assert amounts(read_cif(f"data_x\n{cell_text()}{ROCK_SALT}\n{table}")) == NACL


# Positions and occupancies -----------------------------------------------------------------


@pytest.mark.parametrize(
    "place",
    ["0.333 0.667 0.25", "0.333 0.666 0.25", "0.33 0.66 0.25", "-.66 -.33 .25",
     "0.3333 0.6667 0.25", "0.33333 0.66667 .25", "1/3 2/3 1/4",
     "0.3333(3) 0.6667(3) 0.25", "0.33300 0.66700 0.25000", "0.33 0.67 0.25", "-0.667 -0.333 0.25",
     "1.333 0.667 -0.75", "3.33E-1 6.67E-1 2.5e-1", ".333 .667 .25", "0.333D0 0.667D0 0.25"],
)  # fmt: skip
def test_rounded_coordinates_are_put_onto_special_positions(place: str) -> None:
    crystal = read_cif(f"data_x\n{cell_text(HEX)}{HCP}\n" + atoms(f"Mg1 Mg {place}"))
    assert amounts(crystal) == {"Mg": 2.0}
    expected = np.array([[1 / 3, 2 / 3, 0.25], [2 / 3, 1 / 3, 0.75]])
    order = crystal.scaled_positions[:, 0].argsort()
    np.testing.assert_allclose(crystal.scaled_positions[order], expected, atol=1e-12)


@pytest.mark.parametrize("place", ["0.34 0.67 0.25", "0.3333 0.6667 0.262", "0.335 0.667 0.25"])
def test_near_a_special_position_but_not_on_it_is_refused(place: str) -> None:
    with pytest.raises(CrystalError, match="its own image"):
        read_cif(f"data_x\n{cell_text(HEX)}{HCP}\n" + atoms(f"Mg1 Mg {place}"))


@pytest.mark.parametrize("thirds", [("1/3", "2/3"), ("0.33", "0.67"), ("0.33", "0.66")])
def test_thirds_of_operations_in_two_decimals(thirds: tuple[str, str]) -> None:
    one, two = thirds
    turns = ("x,y,z", "-y,x-y,z", "-x+y,-x,z")
    shifts = (("", "", ""), (f"+{two}", f"+{one}", f"+{one}"), (f"+{one}", f"+{two}", f"+{two}"))
    listed = [
        ",".join(part + shift for part, shift in zip(turn.split(","), by, strict=True))
        for by in shifts
        for turn in turns
    ]
    crystal = read_cif(f"data_x\n{cell_text(HEX)}{operations(*listed)}" + atoms("Mg1 Mg 0 0 .1"))
    heights = sorted(crystal.scaled_positions[:, 2])
    np.testing.assert_allclose(heights, [0.1, 0.1 + 1 / 3, 0.1 + 2 / 3], atol=1e-12)


def test_an_item_that_is_there_twice_with_the_same_number() -> None:
    twice = "_cell_length_a {}\n"
    assert kinds(read_cif(salt(more=twice.format("5.640")))) == []
    with pytest.raises(UnreadableFileError, match="different values"):
        read_cif(salt(more=twice.format("5.641")))


def test_a_general_position_stays_where_it_is() -> None:
    crystal = read_cif(salt(P1, (("Na1", "Na", "0.333 0.667 0.25"), SALT[1])))
    np.testing.assert_allclose(crystal.scaled_positions[0], [0.333, 0.667, 0.25], rtol=1e-12)


OCCUPIED = "label type_symbol fract_x fract_y fract_z occupancy"


def mixed(*rows: str, symmetry: str = ROCK_SALT) -> str:
    return f"data_x\n{cell_text()}{symmetry}\n" + atoms(*rows, tags=OCCUPIED)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (("Na1 Na 0 0 0 0.6", "K1 K 0 0 0 .4", "Cl1 Cl .5 .5 .5 1"), {"Na": 2.4, "K": 1.6}),
        (("Na1 Na 0 0 0 0.6(1)", "K1 K 0 .5 .5 2/5", "Cl1 Cl .5 .5 .5 ?"), {"Na": 2.4, "K": 1.6}),
        (("Fe1 Fe2+ 0 0 0 .5", "Fe2 Fe3+ 0 0 0 .5", "Cl1 Cl .5 .5 .5 ."), {"Fe": 4.0}),
        (("Na1 Na 0 0 0 1.", "K1 K 0 0 0 0.0", "Cl1 Cl .5 .5 .5 1"), {"Na": 4.0}),
        (("A1 Ti 0 0 0 .333", "A2 Zr 0 0 0 .333", "A3 Hf 0 0 0 .333", "Cl1 Cl .5 .5 .5 1"),
         {"Ti": 1.3333, "Zr": 1.3333, "Hf": 1.3333}),
        (("A1 Na 0 0 0 .5", "A2 K 0.0004 0 0 .5", "Cl1 Cl .5 .5 .5 1"), {"Na": 2.0, "K": 2.0}),
    ],
)  # fmt: skip
def test_species_that_share_a_place(rows: tuple[str, ...], expected: dict[str, float]) -> None:
    crystal = read_cif(mixed(*rows))
    found = amounts(crystal)
    assert found.pop("Cl") == 4.0
    assert found == pytest.approx(expected, abs=1e-3)
    assert crystal.n_sites == 8
    assert kinds(crystal) == []


def test_hydrogen_that_shares_a_place_with_oxygen_is_kept() -> None:
    rows = ("O1 O 0 0 0 .8", "H1 H 0 0 0 .1", "D1 D 0 0 0 .1", "Na1 Na .5 .5 .5 1")
    crystal = read_cif(mixed(*rows))
    assert amounts(crystal) == {"H": 0.8, "O": 3.2, "Na": 4.0}
    assert len(crystal.species_number) == 3 * 4 + 4


@pytest.mark.parametrize("occupancies", [("0.5", "0.505"), ("0.51", "0.5"), ("1.009", "")])
def test_sums_a_little_over_one_are_divided_by_with_a_warning(occupancies: tuple[str, str]) -> None:
    rows = [f"A{k} {s} 0 0 0 {p}" for k, (s, p) in
            enumerate(zip(("Ti", "Mg"), occupancies, strict=True)) if p]  # fmt: skip
    crystal = read_cif(mixed(*rows, "N1 N .5 .5 .5 1"))
    assert kinds(crystal) == ["PartialOccupationWarning"]
    assert sum(amounts(crystal).values()) == pytest.approx(8.0)


@pytest.mark.parametrize("occupancies", [("0.5", "0.52"), ("1", "1"), ("0.9", "0.9"), ("1.1", "")])
def test_too_much_on_a_place_is_refused(occupancies: tuple[str, str]) -> None:
    rows = [f"A{k} {s} 0 0 0 {p}" for k, (s, p) in
            enumerate(zip(("Ti", "Mg"), occupancies, strict=True)) if p]  # fmt: skip
    with pytest.raises(CrystalError, match=r"add to|sum to"):
        read_cif(mixed(*rows, "N1 N .5 .5 .5 1"))


def test_vacancies_are_warned_about() -> None:
    crystal = read_cif(mixed("Ti1 Ti 0 0 0 .0208", "N1 N .5 .5 .5 .0208"))
    assert kinds(crystal) == ["PartialOccupationWarning"]
    assert "multiplicities" in str(crystal.warnings[0])
    assert kinds(read_cif(mixed("Ti1 Ti 0 0 0 .9", "N1 N .5 .5 .5 1"))) == [
        "PartialOccupationWarning"
    ]


@pytest.mark.parametrize("value", ["-0.5", "full", "nan", "inf", "1e400", "0.5.0", "(5)"])
def test_an_occupancy_that_is_none_is_refused(value: str) -> None:
    with pytest.raises(CrystalError, match="occupancy of the site Na1"):
        read_cif(mixed(f"Na1 Na 0 0 0 {value}", "Cl1 Cl .5 .5 .5 1"))


@pytest.mark.parametrize(
    "tag", ["_occupation", "_occ", "_site_occupancy", "_site_occupation_factor", "_sof"]
)
def test_fractions_under_another_name_are_refused(tag: str) -> None:
    for rows in (("Ti1 Ti 0 0 0 .5", "Mg1 Mg 0 0 0 .5"), ("Ti1 Ti 0 0 0 .5",)):
        text = mixed(*rows, "N1 N .5 .5 .5 1").replace("_occupancy", tag)
        with pytest.raises(CrystalError, match=f"_atom_site{tag} is not an item"):
            read_cif(text)
    assert amounts(read_cif(text.replace(" .5\n", " 1.0\n"))) == {"Ti": 4.0, "N": 4.0}


def test_different_elements_on_one_place_are_refused() -> None:
    with pytest.raises(CrystalError, match="Ti1 and Mg1 are on one place"):
        read_cif(salt(rows=(("Ti1", "Ti", "0 0 0"), ("Mg1", "Mg", "0 .5 .5"), SALT[1])))


@pytest.mark.parametrize("shift", ["0.03", "0.05"])
def test_mixed_sites_that_are_apart_are_refused(shift: str) -> None:
    with pytest.raises(CrystalError, match="Na1 and K1"):
        read_cif(mixed("Na1 Na 0 0 0 .5", f"K1 K {shift} 0 0 .5", "Cl1 Cl .5 .5 .5 1", symmetry=P1))


def test_a_full_list_besides_the_operations_is_counted_once_and_said() -> None:
    rows = [("Na1", "Na", "0 0 0"), ("Na2", "Na", "0 .5 .5"), ("Na3", "Na", ".5 0 .5"), SALT[1]]
    crystal = read_cif(salt(rows=rows))
    assert amounts(crystal) == NACL
    assert kinds(crystal) == ["CompositionWarning"]


# The cell, other coordinates, the text ------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        ((5.64, "?", 5.64, 90, 90, 90), "lengths"), ((0, 5, 5, 90, 90, 90), "no cell"),
        ((-5, 5, 5, 90, 90, 90), "no cell"), ((5, 5, 5, 90, 90, 0), "no cell"),
        ((5, 5, 5, 60, 60, 120), "no cell"), ((5, 5, 5, 90, 90, 180), "no cell"),
        (("big", 5, 5, 90, 90, 90), "not a number"), ((1e300, 5, 5, 90, 90, 90), "Å"),
    ],
)  # fmt: skip
def test_cells_that_are_none(cell: tuple[object, ...], says: str) -> None:
    with pytest.raises(CrystalError, match=says):
        read_cif(salt(P1, cell=cell))


def test_estimated_errors_and_the_usual_angles() -> None:
    text = salt(P1, cell=("5.64(2)", "5.64(12)", "5.6400(3)", "?", "90.0(1)", "90"))
    assert read_cif(text).volume == pytest.approx(5.64**3)


def test_names_of_mmcif_and_cartesian_coordinates() -> None:
    text = "data_x\n" + cell_text(CUBE, "_cell.{}") + "_symmetry.space_group_name_H-M 'P 1'\n"
    table = loop(
        "_atom_site.group_PDB _atom_site.id _atom_site.type_symbol _atom_site.label_atom_id "
        "_atom_site.Cartn_x _atom_site.Cartn_y _atom_site.Cartn_z _atom_site.occupancy",
        ["HETATM 1 NA NA 0 0 0 1.0", "HETATM 2 CL CL 2.82 2.82 2.82 1.0"],
    )
    crystal = read_cif(text + table)
    assert amounts(crystal) == {"Na": 1.0, "Cl": 1.0}
    np.testing.assert_allclose(crystal.scaled_positions[1], 0.5)
    matrix = "".join(
        f"_atom_sites.fract_tran_matrix[{i}][{j}] {(0.1 if i == j else 0)}\n"
        for i in (1, 2, 3) for j in (1, 2, 3)
    )  # fmt: skip
    moved = read_cif(text + matrix + table)
    np.testing.assert_allclose(moved.scaled_positions[1], 0.282)


def test_one_atom_without_a_loop() -> None:
    text = f"data_x\n{cell_text((2.5, 2.5, 2.5, 90, 90, 90))}"
    text += "_symmetry_space_group_name_H-M 'I m -3 m'\n_symmetry_equiv_pos_as_xyz ?\n"
    text += "_atom_site_label Fe1\n_atom_site_fract_x 0\n_atom_site_fract_y 0\n"
    assert amounts(read_cif(text + "_atom_site_fract_z 0\n")) == {"Fe": 2.0}


def test_encodings_and_ends_of_lines() -> None:
    text = "# Übersicht\n" + salt(more="_publ_author_name 'Müller'\n")
    for content in (
        text.encode(), b"\xef\xbb\xbf" + text.encode(), text.encode("utf-16"),
        text.encode("utf-16-le"), text.encode("utf-16-be"), text.encode("latin-1"),
        text.replace("\n", "\r\n").encode(), text.replace("\n", "\r").encode(),
        ("\ufeff" + text).encode("utf-16-be"), text.encode("utf-32"), (text + "\x1a").encode(),
        text.replace(" 0 0 0", " \N{MINUS SIGN}1 0 0").encode(),
        text.replace("'Müller'", "Müller").encode(), text.replace("0 0 0", "0\u00a00 0").encode(),
    ):  # fmt: skip
        assert amounts(read_cif(content)) == NACL
    halves = text.replace(".5 .5 .5", "½ ½ ½")
    assert amounts(read_cif(halves.encode())) == NACL


@pytest.mark.parametrize(
    "damage",
    [
        lambda t: t.replace("data_x\n", ""), lambda t: t.replace("data_x", "data_rock salt"),
        lambda t: "Dear reader,\nhere it is:\n" + t, lambda t: t.replace("data_x", "DATA_x"),
        lambda t: t + "stop_\n", lambda t: t.replace("loop_", "LOOP_"), lambda t: t.upper(),
        lambda t: t.replace("'F m -3 m'", '"F m -3 m"'), lambda t: t.replace("\n", "  \n\n"),
        lambda t: t.replace("'F m -3 m'", "\n;F m -3 m\n;"), lambda t: t.replace(" ", "\t"),
        lambda t: t + "_cell_length_a 5.64\n", lambda t: t + "_my_own_tag 'x y'\n",
        lambda t: t + "_a 1\n_a 2\n", lambda t: t.replace("data_x", "data_"),
        lambda t: "data_global\n_publ_author 'A'\n" + t,
        lambda t: "global_\n_publ_author 'A'\n" + t,
        lambda t: t + "data_refln\nloop_\n_refln_index_h\n1 2 3\n",
    ],
)  # fmt: skip
def test_what_people_forget_in_a_cif(damage: object) -> None:
    assert amounts(read_cif(damage(salt()))) == NACL  # type: ignore[operator]


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda t: t[:-12], "line"), (lambda t: t.replace("'F m -3 m'", "'F m -3 m"), "line"),
        (lambda t: "data_x\n", "coordinates"), (lambda t: "", "coordinates|CIF"),
        (lambda t: t + "_cell_length_a 6.1\n", "twice"),
        (lambda t: t.replace("0 0 0", "0 0"), "line"), (lambda t: "no cif at all", "line"),
        (lambda t: t.replace("fract_z", "fract_q"), "coordinates"),
        (lambda t: "\x00\x01" * 9, "te"),
    ],
)  # fmt: skip
def test_damaged_files_are_told_in_words_of_the_file(damage: object, says: str) -> None:
    with pytest.raises(UnreadableFileError, match=says):
        read_cif(damage(salt()).encode())  # type: ignore[operator]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("0 0 0", "? ? ?", "Na1 has no position"), ("0 0 0", "0 nan 0", "position of the site Na1"),
        ("0 0 0", "x 0 0", "position of the site Na1"), ("0 0 0", "1/0 0 0", "Na1"),
        ("0 0 0", "1e999 0 0", "Na1"), ("0 0 0", "0,25 0 0", "Na1"),
        (".5 .5 .5", "0 0 0.01", "apart"),
    ],
)  # fmt: skip
def test_atoms_without_a_place(old: str, new: str, says: str) -> None:
    with pytest.raises(CrystalError, match=says):
        read_cif(salt().replace(old, new))


def test_several_blocks_are_several_structures_and_a_bad_one_stops_nothing() -> None:
    from ase_e3dos.structures.cif import cif_sites

    bad = salt("_symmetry_space_group_name_H-M 'odd'").replace("data_x", "data_y")
    text = salt() + bad + salt(P1).replace("data_x", "data_z")
    first, second, third = cif_sites(text, "several.cif")
    assert len(first.scaled_positions) == 8
    assert str(second).startswith("several.cif[1]: the space group 'odd'")
    assert len(third.scaled_positions) == 2


def test_magnetic_moments_are_remarked_upon() -> None:
    table = loop("_atom_site_moment.label _atom_site_moment.crystalaxis_z", ["Na1 {}"])
    assert kinds(read_cif(salt(more=table.format("2.1(1)")))) == ["MagnetismWarning"]
    assert kinds(read_cif(salt(more=table.format("0.0")))) == []


def test_sizes_have_limits() -> None:
    rows = [f"A{k} Zn {k / 21000} 0.1 0.2" for k in range(21000)]
    text = f"data_x\n{cell_text((9000, 9000, 9000, 90, 90, 90))}{ROCK_SALT}\n{atoms(*rows)}"
    with pytest.raises(CrystalError, match="more than can be read"):
        read_cif(text)


def test_angles_that_are_not_stated_are_said_to_be_right_ones() -> None:
    text = salt().replace("_cell_angle_beta", "_cell_measurement_temperature")
    crystal = read_cif(text)
    assert any("_cell_angle_beta" in str(w) for w in crystal.warnings)
    assert not read_cif(salt()).warnings


@pytest.mark.parametrize(
    "text",
    [
        salt("_space_group_name_H-M_alt '''F m -3 m'''"),
        salt('_space_group_name_Hall """-F 4 2 3"""'),
        salt(operations(*F_CENTRING).replace("'", "'''")),
        salt(more='_publ_text """of a cell,\nit\'s\n; small"""\n'),
        salt(more="_my_list [1 [2 3]]\n_my_table {'a':1}\n"),
    ],
)
def test_texts_and_lists_of_cif_2(text: str) -> None:
    assert amounts(read_cif("#\\#CIF_2.0\n" + text)) == NACL


def test_what_is_not_read_of_cif_2_is_said() -> None:
    with pytest.raises(UnreadableFileError, match=r"write it as CIF 1\.1"):
        read_cif("#\\#CIF_2.0\n" + salt(more="_my_list [1\n2]\n"))


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        ((0.564, 0.564, 0.564, 90, 90, 90), "as if its lengths were in nm"),
        ((5.64, 5.64, 5.64, 1.571, 1.571, 1.571), "radians"),
        (("'5.64 Å'", 5.64, 5.64, 90, 90, 90), "Give numbers alone"),
        (("0.564nm", 5.64, 5.64, 90, 90, 90), "lengths in Å"),
    ],
)
def test_cells_in_other_units(cell: tuple[object, ...], says: str) -> None:
    with pytest.raises(CrystalError, match=says):
        read_cif(salt(P1 if "rad" in says else ROCK_SALT, cell=cell))


def test_a_sign_of_degrees_is_read() -> None:
    assert read_cif(salt(P1, cell=(5, 5, 5, "90°", "120 °".replace(" ", ""), 90))).volume < 109


def test_zero_bytes_are_named() -> None:
    with pytest.raises(UnreadableFileError, match="zero bytes"):
        read_cif(salt().replace("Cl1 Cl", "Cl1\0 Cl").encode())


SALT_IN_MMCIF = "data_x\n" + cell_text(CUBE, "_cell.{}") + P1 + "\n"


def test_models_on_top_of_each_other_are_refused() -> None:
    tags = "_atom_site.type_symbol _atom_site.Cartn_x _atom_site.Cartn_y _atom_site.Cartn_z "
    tags += "_atom_site.pdbx_PDB_model_num"
    rows = ["NA 0 0 0 1", "CL 2.82 2.82 2.82 1", "NA 1 0 0 2", "CL 2.82 1.8 2.82 2"]
    with pytest.raises(CrystalError, match="2 models"):
        read_cif(SALT_IN_MMCIF + loop(tags, rows))
    assert amounts(read_cif(SALT_IN_MMCIF + loop(tags, rows[:2]))) == {"Na": 1.0, "Cl": 1.0}
    none = SALT_IN_MMCIF.replace("5.64", "1.000")
    with pytest.raises(CrystalError, match="stands for none"):
        read_cif(none + loop(tags, rows[:2]))


def test_alternative_places_need_occupancies() -> None:
    tags = "label type_symbol fract_x fract_y fract_z disorder_assembly disorder_group"
    rows = ["O1 O 0 0 0 A 1", "O2 O .1 0 0 A 2", "Na1 Na .5 .5 .5 . ."]
    text = f"data_x\n{cell_text((9, 9, 9, 90, 90, 90))}{P1}\n"
    with pytest.raises(CrystalError, match="without occupancies"):
        read_cif(text + atoms(*rows, tags=tags))
    with_fractions = atoms(*(f"{row} {p}" for row, p in zip(rows, (0.7, 0.3, 1), strict=True)),
                           tags=tags + " occupancy")  # fmt: skip
    assert amounts(read_cif(text + with_fractions)) == {"O": 1.0, "Na": 1.0}
    for full in (with_fractions.replace("0.7", "1").replace("0.3", "1"),
                 atoms("O1 O 0 0 0 A -1 1", tags=tags + " occupancy")):  # fmt: skip
        with pytest.raises(CrystalError, match="with occupancies of one"):
            read_cif(text + full)


def test_cartesian_coordinates_stand_in_for_fractional_ones_that_are_not_known() -> None:
    tags = "label fract_x fract_y fract_z Cartn_x Cartn_y Cartn_z"
    table = atoms("Na1 ? ? ? 0 0 0", "Cl1 ? ? ? 2.82 2.82 2.82", tags=tags)
    crystal = read_cif(f"data_x\n{cell_text()}{P1}\n{table}")
    np.testing.assert_allclose(crystal.scaled_positions[1], 0.5)


@pytest.mark.parametrize(
    ("a", "c", "outcome"),
    [(5.64, 5.643, []), (5.64, 5.70, ["SymmetryWarning"]), (5.64, 6.3, None)],
)
def test_a_cell_that_departs_from_its_symmetry(a: float, c: float, outcome: list[str]) -> None:
    for symmetry in (ROCK_SALT, "_space_group_name_Hall '-F 4 2 3'"):
        text = salt(symmetry, cell=(a, a, c, 90, 90, 90))
        if outcome is None:
            with pytest.raises(CrystalError, match="shape"):
                read_cif(text)
        else:
            assert kinds(read_cif(text)) == outcome


def test_a_hall_symbol_of_another_setting_than_the_name_is_taken_and_that_is_said() -> None:
    hall = "_space_group_name_Hall 'F 4d 2 3 -1d'\n"  # of the first origin
    for name, said in ((" ", False), (":1", False), (":2", True)):
        text = DIAMOND + hall + FD3M.format(name) + atoms("C1 C 0 0 0")
        assert amounts(read_cif(text)) == {"C": 8.0}
        assert (kinds(read_cif(text)) == ["SymmetryWarning"]) is said


HCP = "_symmetry_space_group_name_H-M 'P 63/m m c'"


@pytest.mark.parametrize(
    ("a", "row", "outcome"),
    [
        (3.2, "Mg1 Mg .3 .7 .25 1", "more digits or as fractions, give its occupancy"),
        (35.0, "Mg1 Mg .33 .67 .25 1", {"Mg": 2.0}),
        (35.0, "Mg1 Mg .330 .670 .25 1", "more digits"),
        (3.2, "Mg1 Mg .3 .7 .25 .3333", {"Mg": 2.0}),
        (3.2, "Mg1 Mg .31 .69 .25 .3333", "with an occupancy of 0.3333"),
        (3.2, "H1 H .3 .7 .25 1", {"H": 6.0}),
    ],
)
def test_whole_atoms_are_not_near_their_own_images(a: float, row: str, outcome: object) -> None:
    tags = "label type_symbol fract_x fract_y fract_z occupancy"
    text = f"data_x\n{cell_text((a, a, 5.2, 90, 90, 120))}{HCP}\n{atoms(row, tags=tags)}"
    if isinstance(outcome, str):
        with pytest.raises(CrystalError, match=outcome):
            read_cif(text)
    else:
        found = amounts(read_cif(text))
        assert {s: round(n, 2) for s, n in found.items()} == outcome


def test_occupancies_whose_errors_cover_one_or_zero() -> None:
    rows = ("Na1 Na 0 0 0 1.02(3)", "Cl1 Cl .5 .5 .5 1", "K1 K .25 .25 .25 -0.01(2)")
    assert amounts(read_cif(mixed(*rows))) == {"Na": 4.0, "Cl": 4.0}
    for value in ("1.02(1)", "-0.03(2)"):
        with pytest.raises(CrystalError):
            read_cif(mixed(f"Na1 Na 0 0 0 {value}", rows[1]))


@pytest.mark.parametrize("label", ["RE1", "RE"])
def test_a_rare_earth_is_rhenium_only_by_the_formula(label: str) -> None:
    rows = ((label, label.rstrip("1"), "0 0 0"), ("O1", "O", ".5 .5 .5"))
    with pytest.raises(CrystalError, match="'RE' is not a chemical element"):
        read_cif(salt(rows=rows))
    formula = "_chemical_formula_sum 'Re O'\n"
    assert amounts(read_cif(salt(rows=rows, more=formula))) == {"Re": 4.0, "O": 4.0}
