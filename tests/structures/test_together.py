"""Structures that are read together, against the same read one by one."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.formula import Formula

from ase_e3dos.errors import E3DOSError
from ase_e3dos.structures.crystal import Crystal
from ase_e3dos.structures.objects import formula_of
from ase_e3dos.structures.reading import read_ahead, read_each
from ase_e3dos.structures.sites import Sites
from ase_e3dos.structures.together import sound_crystals

_FIELDS = ("cell", "scaled_positions", "species_site", "species_number", "species_fraction",
           "species_mass", "name", "remarks")  # fmt: skip


def _usual() -> list[Atoms]:
    """What most structures are: whole atoms; skewed, left-handed and unwrapped among them."""
    rng = np.random.default_rng(0)
    several = [bulk("NaCl", "rocksalt", a=5.64), bulk("Cu"), bulk("Ti"), bulk("Si") * (2, 2, 2)]
    for n in (1, 2, 5, 9):
        cell = np.diag(rng.uniform(4, 9, 3)) + rng.uniform(-1, 1, (3, 3))
        cell[0] *= rng.choice([-1, 1])
        places = (np.arange(n)[:, None] * [0.21, 0.13, 0.37] + rng.uniform(-3, 3, 3)) % 7 - 3
        several.append(Atoms(rng.integers(3, 90, n), cell=cell, scaled_positions=places, pbc=True))
    hydride = bulk("NaCl", "rocksalt", a=4.9)
    hydride.numbers = [11, 1]
    return [*several, hydride]


def _unusual() -> dict[str, Any]:
    """What has to be looked at by itself, for the reason that is its name."""
    salt = bulk("NaCl", "rocksalt", a=5.64)

    def changed(**values: Any) -> Atoms:
        atoms = salt.copy()
        for name, value in values.items():
            setattr(atoms, name, value)
        return atoms

    def with_array(name: str, values: Any) -> Atoms:
        atoms = salt.copy()
        atoms.set_array(name, np.array(values))
        return atoms

    mixed = salt.copy()
    mixed.info["occupancy"] = {"0": {"Na": 1.0}, "1": {"Cl": 0.5, "Br": 0.5}}
    deuteride = changed(numbers=[11, 1])
    deuteride.set_masses([22.99, 2.014])
    return {
        "masses": deuteride,
        "moments": with_array("initial_magmoms", [1.0, 0.0]),
        "mixed sites": mixed,
        "fractions": with_array("occupancy", [0.5, 1.0]),
        "fractions under another name": with_array("site_occupancy", [0.5, 1.0]),
        "not periodic": changed(pbc=[True, True, False]),
        "no atoms": Atoms(cell=[3, 3, 3], pbc=True),
        "no volume": changed(cell=np.zeros((3, 3))),
        "flat": changed(cell=np.diag([5.0, 5.0, 0.2])),
        "not finite": changed(positions=np.full((2, 3), np.nan)),
        "infinite cell": changed(cell=np.diag([5.0, 5.0, np.inf])),
        "same place": changed(positions=np.zeros((2, 3))),
        "own image": changed(cell=np.diag([5.0, 5.0, 0.29])),
        "nm": changed(cell=np.diag([0.564] * 3)),
        "pm": changed(cell=np.diag([5640.0] * 3)),
        "dummy": changed(numbers=[0, 17]),
        "types": changed(numbers=[1, 2]),
        "many sites": salt * 4,
        "flat arrays": Sites(np.ones(9), np.zeros((2, 3)), np.arange(2), np.array([11, 17])),
        "a site twice": Sites(
            np.eye(3) * 5, np.array([[0, 0, 0], [0.5, 0.5, 0.5]]), [0, 0], np.array([11, 17])
        ),
        "a number": 7,
    }


def _alone(structure: Any, name: str) -> Crystal | str:
    """The crystal read by itself, or the error's text."""
    try:
        return Crystal.quietly(structure, name or None)
    except E3DOSError as error:
        return str(error)


def assert_same(one: Crystal, other: Crystal) -> None:
    for field in _FIELDS:
        np.testing.assert_array_equal(getattr(one, field), getattr(other, field), err_msg=field)
    for field in _FIELDS[:6]:
        assert getattr(one, field).dtype == getattr(other, field).dtype
        assert not getattr(one, field).flags.writeable


def test_usual_structures_read_together_are_those_read_alone() -> None:
    usual = _usual()
    rows = [Crystal.quietly(a) for a in usual]
    sites = [
        Sites(np.array(c.cell), c.scaled_positions + 2.0, np.arange(c.n_sites), c.species_number)
        for c in rows
    ]
    unusual = list(_unusual().values())
    for some in (usual, sites):
        given = [x for pair in zip(some, unusual, strict=False) for x in pair]
        found = sound_crystals(given, ["salt", ""] * len(given))[::2]
        for structure, crystal in zip(some, found, strict=True):
            assert crystal is not None
            assert_same(crystal, _alone(structure, "salt"))
    assert sound_crystals([usual[0]], [""])[0].name == "NaCl"
    usual[1].positions += 1  # a crystal does not change with the object that it was read from
    assert_same(found[1], _alone(sites[1], "salt"))


@pytest.mark.parametrize("reason", list(_unusual()))
def test_what_is_unusual_is_left_to_the_checks_of_one(reason: str) -> None:
    """Those that are refused are refused, and what there is to say about others is said."""
    given = [*_usual(), _unusual()[reason]]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        *usual, unusual = sound_crystals(given, [""] * len(given))
        readings = list(read_ahead(given, 4))
    assert None not in usual
    assert unusual is None
    for reading, expected in zip(readings, read_each(given), strict=True):
        assert reading.id == expected.id
        if isinstance(expected.crystal, Crystal):
            assert_same(reading.crystal, expected.crystal)
        else:
            assert str(reading.crystal) == str(expected.crystal)


def test_a_source_that_fails_is_read_up_to_there() -> None:
    def several() -> Any:
        yield from [bulk("Cu"), bulk("NaCl", "rocksalt", a=5.64), bulk("Si")]
        raise OSError("the disk is gone")

    readings = read_ahead(several(), 2)
    found = [next(readings).crystal.formula for _ in range(3)]
    assert found == ["Cu", "NaCl", "Si"]
    with pytest.raises(OSError, match="the disk is gone"):
        next(readings)


@pytest.mark.parametrize("formula", ["H2", "OH2", "CH4", "C", "ClNa", "CaCO3", "X", "HgHe"])
def test_formulas_are_those_of_ase(formula: str) -> None:
    atoms = Atoms([s for s, n in Formula(formula).count().items() for _ in range(n)][::-1])
    assert formula_of(atoms) == atoms.get_chemical_formula()
