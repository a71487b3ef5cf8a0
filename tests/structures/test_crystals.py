"""Arrays of several crystals against those of each."""

from __future__ import annotations

import numpy as np
import pytest
from ase.build import bulk

from ase_e3dos.structures.crystal import Crystal
from ase_e3dos.structures.crystals import Crystals
from ase_e3dos.structures.masses import STANDARD_MASSES


@pytest.fixture(scope="module")
def several() -> list[Crystal]:
    """Pure, of one element, with isotopes, left-handed, and mixed with a vacancy."""
    light = bulk("LiF", "rocksalt", a=4.03)
    light.set_masses([6.015, 18.998])
    mirrored = Crystal.from_any(bulk("ZnO", "wurtzite", a=3.25, c=5.2))
    with pytest.warns(UserWarning, match="occupied only in part"):
        mixed = Crystal(
            np.eye(3) * 4.0, [[0, 0, 0], [0.5, 0.5, 0.5]],
            [0, 0, 1], [26, 28, 8], [0.25, 0.75, 0.5],
        )  # fmt: skip
    return [
        Crystal.from_any(bulk("Cu")),
        Crystal.from_any(light),
        Crystal(mirrored.cell[[1, 0, 2]], mirrored.scaled_positions[:, [1, 0, 2]],
                mirrored.species_site, mirrored.species_number),
        mixed,
    ]  # fmt: skip


def test_arrays_are_those_of_the_crystals(several: list[Crystal]) -> None:
    laid_out = Crystals(several)
    np.testing.assert_array_equal(laid_out.volumes, [c.volume for c in several])
    np.testing.assert_array_equal(laid_out.numbers, np.concatenate([c.numbers for c in several]))
    assert laid_out.has_isotopes.tolist() == [c.has_isotopes for c in several]
    assert laid_out.has_isotopes.tolist() == [False, True, False, False]
    assert laid_out.of_one_element.tolist() == [True, False, False, False]
    for k, crystal in enumerate(several):
        mine = slice(laid_out.first_site[k], laid_out.first_site[k] + crystal.n_sites)
        assert (laid_out.crystal_of_site[mine] == k).all()
        species = (crystal.species_site, crystal.species_number, crystal.species_fraction)
        expected = np.zeros(crystal.n_sites)
        for site, number, fraction in zip(*species, strict=True):
            expected[site] += fraction * STANDARD_MASSES[number]
        np.testing.assert_allclose(laid_out.standard_masses[mine], expected, rtol=1e-12)


def test_crystals_are_not_laid_out_twice(several: list[Crystal]) -> None:
    laid_out = Crystals(several)
    assert Crystals.of(laid_out) is laid_out
    assert list(Crystals.of(several)) == several
    assert laid_out[1:3] == several[1:3]
