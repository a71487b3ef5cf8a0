"""phonopy's YAML files of every age."""

from __future__ import annotations

import numpy as np
import pytest
from cif_texts import amounts, kinds

from ase_e3dos.errors import CrystalError, UnreadableFileError
from ase_e3dos.structures import Crystal
from ase_e3dos.structures.phonopy_yaml import phonopy_sites

BOHR = 0.529177249


def cell(length: float = 5.64, points: str = "points", place: str = "coordinates",
         more: str = "mass: 132.905", indent: str = "  ") -> str:  # fmt: skip
    lines = ["lattice:", *(f"- [ {', '.join(str(length * (i == j)) for j in range(3))} ]"
                           for i in range(3)), f"{points}:"]  # fmt: skip
    for symbol, x in (("Cs", 0.0), ("Cl", 0.5)):
        lines += [f"- symbol: {symbol}", f"  {place}: [ {x}, {x}, {x} ]"]
        lines += [f"  {more}"] if more and symbol == "Cs" else []
    return "".join(f"{indent}{line}\n" for line in lines)


def read(text: str) -> Crystal:
    return Crystal.quietly(phonopy_sites(text, "phonopy.yaml"), "phonopy.yaml")


UNIT = "physical_unit:\n  length: {}\n"
UNITCELL = "unit_cell:\n" + cell()
IN_BOHR = "unit_cell:\n" + cell(5.64 / BOHR)


@pytest.mark.parametrize(
    "text",
    [
        UNITCELL, "phonopy:\n  version: 2.4.2\n" + UNITCELL, UNIT.format('"Angstrom"') + UNITCELL,
        UNIT.format("angstrom") + UNITCELL, UNIT.format("Å") + UNITCELL,
        UNIT.format('"ANGSTROM"') + UNITCELL, UNIT.format("Ang") + UNITCELL,
        UNIT.format('"au"') + IN_BOHR, UNIT.format("bohr") + IN_BOHR, UNIT.format("Bohr") + IN_BOHR,
        UNIT.format('"a.u."') + IN_BOHR, "phonopy:\n  calculator: qe\n" + IN_BOHR,
        "units:\n  length: au\n" + IN_BOHR, "length_unit: bohr\n" + IN_BOHR,
        "physical_unit: au\n" + IN_BOHR,
        "phonopy:\n  calculator: vasp\n" + UNITCELL, "phono3py:\n  calculator: abinit\n" + IN_BOHR,
        "calculator: elk\n" + IN_BOHR, "primitive_cell:\n" + cell(), "supercell:\n" + cell(),
        "supercell:\n" + cell(99) + UNITCELL, UNITCELL + "displacements:\n- [1, 2\n",
        cell(indent=""), cell(indent="", points="atoms", place="position"),
        cell(indent="", points="atoms"), "nqpoint: 8\n" + cell(indent="") + "phonon:\n- {}\n",
        "unit_cell:\n" + cell(more="extended_symbol: Cs1"), "unit_cell:\n" + cell(more=""),
        "unit_cell:\n" + cell().replace("symbol: Cs", "extended_symbol: Cs1"),
        "unit_cell:\n" + cell().replace("symbol: Cs", "symbol: cs"),
        '"displacements":\n- [1, 2\n"unit_cell":\n' + cell(),  # quoted keys
        "supercell:\n" + cell(99) + "'unit_cell' :\n" + cell(), "---\n" + UNITCELL + "...\n",
        "{unit_cell: {lattice: [[5.64, 0, 0], [0, 5.64, 0], [0, 0, 5.64]], points: ["
        "{symbol: Cs, coordinates: [0, 0, 0]}, {symbol: Cl, coordinates: [0.5, 0.5, 0.5]}]}}",
    ],
)  # fmt: skip
def test_one_crystal_in_many_files(text: str) -> None:
    crystal = read(text)
    assert amounts(crystal) == {"Cs": 1.0, "Cl": 1.0}
    assert crystal.volume == pytest.approx(5.64**3, rel=1e-5)
    assert not crystal.has_isotopes
    assert crystal.warnings == ()


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        (UNIT.format("furlong") + UNITCELL, CrystalError, "unit of length 'furlong'"),
        ("a: 1\n", UnreadableFileError, "no cell of phonopy"), ("", UnreadableFileError, "no cell"),
        (UNITCELL + "unit_cell:\n" + cell(9), UnreadableFileError, "unit_cell is there twice"),
        ("primitive_cell:\n" + cell() + UNITCELL[: UNITCELL.rindex("  - symbol")], CrystalError,
         "cut off"),
        ("natom: 3\n" + cell(indent=""), CrystalError, "natom is 3"),
        ("unit_cell: 5\n", UnreadableFileError, "no cell"),
        ("unit_cell: [\n", UnreadableFileError, "YAML"),
        ("unit_cell:\n  lattice: 1\n  points: 2\n", CrystalError, "points"),
        (UNITCELL.replace("5.64", "big"), CrystalError, "lattice"),
        (UNITCELL.replace("symbol: Cs", "symbol: Xx"), CrystalError, "'Xx'"),
        (UNITCELL.replace("[ 0.5, 0.5, 0.5 ]", "[ 0.5, 0.5 ]"), CrystalError, "point 2"),
        (UNITCELL.replace("[ 0.5, 0.5, 0.5 ]", "[ 0.5, .nan, 0.5 ]"), CrystalError, "point 2"),
        (UNITCELL.replace("  - symbol: Cs", "  - mass: 1"), CrystalError, "no symbol"),
        ("unit_cell: !!python/object/apply:os.mkdir ['x']\n", UnreadableFileError, "YAML"),
        ("unit_cell: " + "[" * 100000, UnreadableFileError, "YAML"),
        ("unit_cell: &a [*a]\n", UnreadableFileError, "no cell|YAML"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(text: str, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        read(text)


def test_moments_mixtures_and_shares() -> None:
    assert kinds(read("unit_cell:\n" + cell(more="magnetic_moment: 1.5"))) == ["MagnetismWarning"]
    assert kinds(read("unit_cell:\n" + cell(more="magnetic_moment: [0, 0, 0]"))) == []
    mixture = "mixture: [[Cs, 0.25], [Rb, 0.75]]"
    assert amounts(read("unit_cell:\n" + cell(more=mixture))) == {"Cs": 0.25, "Rb": 0.75, "Cl": 1.0}
    shared = "unit_cell:\n  lattice: [[4, 0, 0], [0, 4, 0], [0, 0, 4]]\n  points:\n" + "".join(
        f"  - {{symbol: {s}, weight: {p}, coordinates: [0, 0, 0]}}\n"
        for s, p in (("Ge", 0.3), ("Sn", 0.7))
    )
    crystal = read(shared)
    assert crystal.n_sites == 1
    assert amounts(crystal) == {"Ge": 0.3, "Sn": 0.7}


@pytest.mark.parametrize(
    "calculator",
    [None, "qe", "abinit", "siesta", "elk", "crystal", "castep", "dftbp", "turbomole", "cp2k",
     "aims", "wien2k"],
)  # fmt: skip
def test_units_of_the_installed_phonopy(tmp_path, calculator) -> None:
    from phonopy import Phonopy
    from phonopy.structure.atoms import PhonopyAtoms

    try:
        from phonopy.physical_units import get_calculator_physical_units

        unit = get_calculator_physical_units(calculator).distance_to_A
    except ImportError:  # phonopy 3
        from phonopy.interface.calculator import get_default_physical_units

        unit = get_default_physical_units(calculator)["distance_to_A"]
    unitcell = PhonopyAtoms(["Cs", "Cl"], cell=np.eye(3) * 4.1 / unit,
                            scaled_positions=[[0] * 3, [0.5] * 3])  # fmt: skip
    phonon = Phonopy(unitcell, np.eye(3, dtype=int), calculator=calculator)
    phonon.save(tmp_path / "phonopy_params.yaml")
    for given in (tmp_path / "phonopy_params.yaml", phonon):
        assert Crystal.from_any(given).volume == pytest.approx(4.1**3, rel=1e-5)
    text = (tmp_path / "phonopy_params.yaml").read_text()
    kept = [line for line in text.splitlines() if "length:" not in line]
    bare = tmp_path / "phonopy.yaml"  # as versions wrote it that said only the calculator
    bare.write_text("\n".join(kept).replace("physical_unit:", "physical_unit:\n  other: x"))
    assert Crystal.from_any(bare).volume == pytest.approx(4.1**3, rel=1e-5)


def test_yaml_takes_nobelium_for_a_negation() -> None:
    for text in ("symbol: No", 'symbol: "No"'):
        crystal = read(UNITCELL.replace("symbol: Cs", text).replace("mass: 132.905", "x: 1"))
        assert amounts(crystal) == {"Cl": 1.0, "No": 1.0}
    mixture = "mixture: [[No, 0.25], [Y, 0.75]]"
    assert amounts(read("unit_cell:\n" + cell(more=mixture))) == {"No": 0.25, "Y": 0.75, "Cl": 1.0}
    with pytest.raises(CrystalError, match="'On' is not a chemical element"):
        read(UNITCELL.replace("symbol: Cs", "symbol: On"))
