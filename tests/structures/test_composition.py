"""What a file states about its contents is compared with what is read from it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cif_texts import P1, ROCK_SALT, SALT, atoms, cell_text, kinds, read_cif, salt

from ase_e3dos.structures import read
from ase_e3dos.structures.composition import formula_amounts


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Na Cl", {11: 1, 17: 1}), ("NaCl", {11: 1, 17: 1}), ("H12 Na Cl O6",
                                                              {1: 12, 11: 1, 17: 1, 8: 6}),
        ("Ba Ti O2.4 H0.6", {56: 1, 22: 1, 8: 2.4, 1: 0.6}), ("C6 H5 D1", {6: 6, 1: 6}),
        ("NA CL", {11: 1, 17: 1}), ("SR TI O3", {38: 1, 22: 1, 8: 3}), ("Co", {27: 1}),
        ("CO", {6: 1, 8: 1}), ("O2.40(5) Ti", {8: 2.4, 22: 1}), ("(Mg,Fe)2 Si O4", {}),
        ("Ca S O4, 2(H2 O)", {20: 1, 16: 1, 8: 6, 1: 4}),
        ("CaSO4.2H2O", {20: 1, 16: 1, 8: 6, 1: 4}), ("Na Cl.H2O", {11: 1, 17: 1, 1: 2, 8: 1}),
        ("Al2(SO4)3.18H2O", {13: 2, 16: 3, 8: 30, 1: 36}), ("2(Na Cl)", {11: 2, 17: 2}),
        ("[Co(NH3)6]Cl3", {27: 1, 7: 6, 1: 18, 17: 3}), ("Na~2~O", {11: 2, 8: 1}), ("Na(Cl", {}),
        ("Ax O", {}), ("", {}), ("C60n", {}), ("H2 O.5", {1: 2, 8: 0.5}),
    ],
)  # fmt: skip
def test_formulas(text: str, expected: dict[int, float]) -> None:
    assert formula_amounts(text) == expected


@pytest.mark.parametrize(
    "stated",
    [
        "_chemical_formula_sum 'Na Cl'\n_cell_formula_units_Z 4\n",
        "_chemical_formula_sum 'Na4 Cl4'\n_cell_formula_units_Z 1\n",
        "_chemical_formula_sum 'Cl1 Na1'\n", "_chemical_formula_sum 'NaCl'\n",
        "_chemical_formula_sum 'Na Cl'\n_cell_formula_units_Z ?\n",
        "_exptl_crystal_density_diffrn 2.16(1)\n", "_cell_volume 179.4\n",
        "_chemical_formula_weight 58.44\n_cell_formula_units_Z 4\n",
        "_chemical_formula_sum '(Na)(Cl)'\n", "_chemical_formula_sum ?\n",
        "_chemical_formula.sum 'Na Cl'\n_cell.formula_units_Z 4\n",
        "_chemical_formula_sum NA CL\n",
        "_chemical_formula_sum 'Na2 Cl2'\n_cell_formula_units_Z 2\n",
    ],
)  # fmt: skip
def test_what_agrees_is_not_mentioned(stated: str) -> None:
    assert kinds(read_cif(salt(more=stated))) == []


@pytest.mark.parametrize(
    ("stated", "says"),
    [
        ("_chemical_formula_sum 'H12 Na Cl O6'\n_cell_formula_units_Z 4\n", "H 48"),
        ("_chemical_formula_sum 'H12 Na Cl O6'\n", "read were Na 4, Cl 4"),
        ("_chemical_formula_sum 'Na Cl'\n_cell_formula_units_Z 1\n", "Z = 1"),
        ("_chemical_formula_sum 'Na2 Cl'\n", "'Na2 Cl'"),
        ("_chemical_formula_sum 'K Cl'\n_cell_formula_units_Z 4\n", "K 4"),
        ("_chemical_formula_sum 'Na Cl.2H2O'\n", "H 4"),
        ("_chemical_formula_structural 'K Br'\n", "'K Br'"),
        ("_exptl_crystal_density_diffrn 4.3\n", "density"), ("_cell_volume 17.9\n", "volume"),
        ("_chemical_formula_weight 74.6\n_cell_formula_units_Z 4\n", "weight"),
    ],
)  # fmt: skip
def test_what_disagrees_is_warned_about(stated: str, says: str) -> None:
    crystal = read_cif(salt(more=stated))
    assert kinds(crystal) == ["CompositionWarning"]
    assert says in str(crystal.warnings[0])


def with_column(name: str, *values: str) -> str:
    rows = [f"{' '.join(row)} {value}" for row, value in zip(SALT, values, strict=True)]
    tags = f"label type_symbol fract_x fract_y fract_z {name}"
    return f"data_x\n{cell_text()}{ROCK_SALT}\n{atoms(*rows, tags=tags)}"


def test_multiplicities_and_attached_hydrogens() -> None:
    assert kinds(read_cif(with_column("site_symmetry_multiplicity", "4", "4"))) == []
    assert kinds(read_cif(with_column("symmetry_multiplicity", "?", "4"))) == []
    assert kinds(read_cif(with_column("attached_hydrogens", "0", "."))) == []
    for name, says in (("site_symmetry_multiplicity", "multiplicity"),
                       ("symmetry_multiplicity", "multiplicity"),
                       ("attached_hydrogens", "hydrogen")):  # fmt: skip
        crystal = read_cif(with_column(name, "8", "4"))
        assert kinds(crystal) == ["CompositionWarning"]
        assert says in str(crystal.warnings[0])


def test_fewer_operations_than_the_symbol_has_are_noticed() -> None:
    one = "_symmetry_equiv_pos_as_xyz 'x,y,z'\n"
    crystal = read_cif(salt(one + ROCK_SALT))
    assert kinds(crystal) == ["CompositionWarning"]
    assert "lists 1 symmetry operation" in str(crystal.warnings[0])
    # All atoms listed, as programs write them with an old symbol, are no contradiction ...
    shifts = ((0, 0, 0), (0, 0.5, 0.5), (0.5, 0, 0.5), (0.5, 0.5, 0))
    rows = [(f"{s}{k}", s, " ".join(map(str, np.add(place, shift))))
            for s, place in (("Na", (0, 0, 0)), ("Cl", (0.5, 0.5, 0.5)))
            for k, shift in enumerate(shifts)]  # fmt: skip
    assert kinds(read_cif(salt(one + ROCK_SALT, rows))) == []
    # ... and neither is a primitive cell under the symbol of the conventional one.
    cell = (3.988, 3.988, 3.988, 60, 60, 60)
    assert kinds(read_cif(salt(one + ROCK_SALT, cell=cell))) == []


def test_partly_occupied_contents_are_compared_too() -> None:
    rows = ("Na1 Na 0 0 0 .7", "K1 K 0 0 0 .3", "Cl1 Cl .5 .5 .5 1")
    tags = "label type_symbol fract_x fract_y fract_z occupancy"
    text = f"data_x\n{cell_text()}{ROCK_SALT}\n{{}}{atoms(*rows, tags=tags)}"
    assert kinds(read_cif(text.format("_chemical_formula_sum 'Na0.7 K0.3 Cl'\n"))) == []
    assert kinds(read_cif(text.format("_chemical_formula_sum 'Na0.5 K0.5 Cl'\n"))) == [
        "CompositionWarning"
    ]


def test_deuterium_counts_as_hydrogen() -> None:
    rows = (("Li1", "Li", "0 0 0"), ("D1", "D", ".5 .5 .5"))
    for formula in ("Li D", "Li H"):
        assert kinds(read_cif(salt(P1, rows, f"_chemical_formula_sum '{formula}'\n"))) == []


@pytest.mark.parametrize("symprec", [None, 0.01])
def test_the_formula_of_the_cell_that_pymatgen_writes(
    tmp_path: Path, symprec: float | None
) -> None:
    """pymatgen states the contents of the whole cell beside Z: 'Ca6 C6 O18' and 6."""
    from pymatgen.core import Lattice, Structure
    from pymatgen.io.cif import CifWriter

    lattice, sites = Lattice.hexagonal(4.99, 17.06), [[0, 0, 0], [0, 0, 0.25], [0.257, 0, 0.25]]
    calcite = Structure.from_spacegroup("R-3c", lattice, ["Ca", "C", "O"], sites)
    file = tmp_path / "calcite.cif"
    CifWriter(calcite, symprec=symprec).write_file(file)
    (crystal,) = read(file)
    assert crystal.n_sites == 30
    assert not crystal.warnings
