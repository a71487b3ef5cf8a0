"""One disordered crystal written in every way, and ways to write it wrongly."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from ase import Atoms
from phonopy.structure import atoms as phonopy_atoms
from pymatgen.core import Lattice, Structure

from ase_e3dos import predict
from ase_e3dos.errors import CrystalError, PartialOccupationWarning
from ase_e3dos.structures.crystal import Crystal

FCC = 2.95 * (np.ones((3, 3)) - np.eye(3))
PLACES = [[0.0, 0.0, 0.0], [0.5, 0.5, 0.5]]
#: Three species on one site, two on the other, in no particular order.
CONTENTS = [{"Rb": 0.2, "Na": 0.5, "K": 0.3}, {"Br": 0.75, "Cl": 0.25}]
CIF = """data_x
_cell_length_a 5.9
_cell_length_b 5.9
_cell_length_c 5.9
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M 'F m -3 m'
_symmetry_Int_Tables_number 225
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
"""


def by_hand() -> Crystal:
    return Crystal(FCC, PLACES, [0, 0, 0, 1, 1], [11, 19, 37, 17, 35], [0.5, 0.3, 0.2, 0.25, 0.75])


def with_occupancy(occupancy: object, kinds: bool = True) -> Atoms:
    atoms = Atoms("NaBr", cell=FCC, scaled_positions=PLACES, pbc=True)
    atoms.info["occupancy"] = occupancy
    if kinds:
        atoms.set_array("spacegroup_kinds", np.arange(2))
    return atoms


def cif(tmp_path, *rows: str) -> str:
    path = tmp_path / "mixed.cif"
    path.write_text(CIF + "\n".join(rows) + "\n", encoding="utf-8")
    return str(path)


@pytest.fixture
def written(tmp_path) -> dict[str, object]:
    rows = [
        f"{symbol}1 {symbol} {place} {place} {place} {p}(2)"
        for place, content in zip((0, 0.5), CONTENTS, strict=True)
        for symbol, p in content.items()
    ]
    labels = {str(k): content for k, content in enumerate(CONTENTS)}
    ways = {
        "pymatgen": Structure(Lattice(FCC), CONTENTS, PLACES),
        "ASE": with_occupancy(labels),
        "ASE by index": with_occupancy(dict(enumerate(CONTENTS)), kinds=False),
        "CIF": cif(tmp_path, *rows),
    }
    if hasattr(phonopy_atoms.PhonopyAtoms, "has_mixtures"):  # phonopy 4
        mixtures = [list(content.items()) for content in CONTENTS]
        table, ids = phonopy_atoms.build_species_table_from_mixtures(mixtures)
        ways["phonopy"] = phonopy_atoms.PhonopyAtoms(
            cell=FCC, scaled_positions=PLACES, species_table=table, species_ids=ids
        )
    return ways


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_every_way_to_write_it_is_the_same_alloy(written, default_model):
    crystals = [by_hand(), *(Crystal.from_any(source) for source in written.values())]
    assert {c.formula for c in crystals} == {by_hand().formula}
    spectra = predict(crystals, model=default_model, device="cpu", uncertainty=False)
    expected = spectra[0].per_atom().density
    for name, spectrum in zip(written, spectra[1:], strict=True):
        np.testing.assert_allclose(
            spectrum.per_atom().density, expected, atol=1e-4 * expected.max(), err_msg=name
        )


@pytest.mark.parametrize("value", [".", "?"])
def test_an_occupation_that_is_not_given_is_one(tmp_path, value):
    path = cif(tmp_path, f"Na1 Na 0 0 0 {value}", f"Cl1 Cl 0.5 0.5 0.5 {value}")
    assert Crystal.from_any(path).formula == "NaCl"
    assert Crystal.from_any(path).is_ordered


def test_vacancies_are_named_and_the_site_still_counts(tmp_path):
    path = cif(tmp_path, "Na1 Na 0 0 0 0.8", "Cl1 Cl 0.5 0.5 0.5 1")
    with pytest.warns(PartialOccupationWarning, match=r"mixed\.cif: 4 site.*occupied only in part"):
        crystal = Crystal.from_any(path)
    assert crystal.n_sites == 8
    assert predict(crystal, device="cpu", uncertainty=False)[0].n_modes == 24.0


@pytest.mark.parametrize(
    ("occupancy", "match"),
    [
        ({"0": {"Na": 0.8, "K": 0.5}, "1": {"Br": 1}}, "sum to 1.3"),
        ({"0": {"Na": 1.3, "K": -0.3}, "1": {"Br": 1}}, "not a positive number"),
        ({"0": {"Na": np.nan}, "1": {"Br": 1}}, "not a positive number"),
        ({"0": {"Na": 0.5, "Qq": 0.5}, "1": {"Br": 1}}, "'Qq' is not a chemical element"),
        ({"0": {"Na": 0.5, "X": 0.5}, "1": {"Br": 1}}, "'X' is not a chemical element"),
        ({"0": {"Na": 0.5, "K": 0.5}}, "no entry for atom 1"),
        ({"0": {"Na": "half"}, "1": {"Br": 1}}, "dict of dicts"),
        ({"0": 0.5, "1": {"Br": 1}}, "dict of dicts"),
        ([{"Na": 1.0}, {"Br": 1.0}], "dict of dicts"),
        ({"0": {}, "1": {"Br": 1}}, "Make them agree"),
    ],
)
def test_wrong_occupations_of_ase_are_refused(occupancy, match):
    with pytest.raises(CrystalError, match=match):
        Crystal.from_any(with_occupancy(occupancy))


@pytest.mark.parametrize(
    ("rows", "match"),
    [
        (["Na1 Na 0 0 0 0.9", "K1 K 0 0 0 0.5"], "add to 1.4"),
        (["Na1 Na 0 0 0 1.4"], "sum to 1.4"),
        (["Na1 Na 0 0 0 -0.5"], r"the site Na1 is '-0\.5'"),
        (["Na1 Na 0 0 0 half"], "the site Na1 is 'half'"),
        (["Na1 Na 0 0 0 1e999"], "the site Na1 is '1e999'"),
        (["Xx1 Xx 0 0 0 0.5", "K1 K 0 0 0 0.5"], "'Xx' is not a chemical element"),
        (["Na1 Na 0 0 0.01 0.5"], "from its own image"),
    ],
)
def test_wrong_occupations_in_a_file_are_refused(tmp_path, rows, match):
    """None is dropped or filled in silence, as readers do with numbers that are none."""
    path = cif(tmp_path, *rows, "Cl1 Cl 0.5 0.5 0.5 1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(CrystalError, match=match):
            Crystal.from_any(path)
