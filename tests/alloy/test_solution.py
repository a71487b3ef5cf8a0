from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import read

from ase_e3dos.alloy import SolidSolution
from ase_e3dos.alloy.matching import match_sites, site_contents
from ase_e3dos.errors import AlloyError
from ase_e3dos.structures.crystal import Crystal

from .conftest import ENDS, cu3au, disguised


def neighbours(crystal: Crystal, cutoff: float = 6.0) -> list[tuple]:
    """Distances by species of both ends: a fingerprint that no setting changes."""
    from ase_e3dos.network.graph import build_graph

    graph, contents = build_graph(crystal, cutoff), site_contents(crystal)
    return sorted(
        (contents[i], contents[j], round(d, 5))
        for i, j, d in zip(
            graph.center.tolist(), graph.neighbor.tolist(), graph.lengths.tolist(), strict=True
        )
    )


def assert_same(first: Crystal, second: Crystal) -> None:
    a, b = neighbours(first), neighbours(second)
    assert [x[:2] for x in a] == [x[:2] for x in b]
    np.testing.assert_allclose([x[2] for x in a], [x[2] for x in b], atol=3e-5)


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("seed", [0, 1])
def test_end_members_may_be_given_in_any_setting(seed, mirror):
    first, second = (read(path) for path in ENDS)
    plain = SolidSolution([first, second])
    other = SolidSolution([first, disguised(second, seed, mirror)])
    assert len(plain.mixed_sites) == len(other.mixed_sites) == 2
    assert (np.linalg.det(other.cells) > 0).all()
    for p in (0.0, 0.3, 1.0):
        assert_same(plain.crystal(p), other.crystal(p))


def test_lattice_constants_are_linear():
    solution = SolidSolution(ENDS)
    for p in (0.0, 0.25, 1.0):
        lengths = np.linalg.norm(solution.cell(p), axis=1)
        a, c = 4.568 + p * (4.666 - 4.568), 7.229 + p * (7.401 - 7.229)
        np.testing.assert_allclose(sorted(lengths), [a, a, c], rtol=1e-6)


def test_composition_of_a_site_is_linear():
    crystal = SolidSolution(ENDS).crystal(0.25)
    assert crystal.formula == "Mg3Bi0.5Sb1.5"[:3] + crystal.formula[3:]
    mixed = [c for c in site_contents(crystal) if len(c) > 1]
    assert mixed == [((51, 0.75), (83, 0.25))] * 2
    assert crystal.masses.sum() == pytest.approx(
        0.75 * Crystal.from_any(ENDS[0]).masses.sum()
        + 0.25 * Crystal.from_any(ENDS[1]).masses.sum()
    )


def test_sites_keep_the_order_of_the_first_end_member():
    first = read(ENDS[0])[[4, 0, 3, 1, 2]]
    solution = SolidSolution([first, ENDS[1]])
    numbers = first.numbers.tolist()
    assert solution.members[0].numbers.tolist() == numbers
    assert solution.members[1].numbers.tolist() == [83 if z == 51 else 12 for z in numbers]
    assert solution.crystal(0.1).numbers.tolist() == numbers


def test_ends_are_the_crystals_as_given():
    solution = SolidSolution(ENDS)
    for p, path in zip((0.0, 1.0), ENDS, strict=True):
        given = Crystal.from_any(path)
        np.testing.assert_array_equal(solution.crystal(p).cell, given.cell)
        assert sorted(solution.crystal(p).scaled_positions.tolist()) == sorted(
            given.scaled_positions.tolist()
        )


@pytest.mark.parametrize("p", [0.2, 0.5])
def test_order_of_species_does_not_matter(p):
    assert_same(SolidSolution(ENDS).crystal(p), SolidSolution(ENDS[::-1]).crystal(1 - p))


def test_shared_species_stay_in_place():
    salts = [bulk("NaCl", "rocksalt", a=5.64), bulk("ClK", "rocksalt", a=6.29)]
    contents = site_contents(SolidSolution(salts).crystal(0.5))
    assert sorted(contents) == [((11, 0.5), (19, 0.5)), ((17, 1.0),)]


def test_unlike_species_go_to_their_group():
    pair = [bulk("GaAs", "zincblende", a=5.65), bulk("PIn", "zincblende", a=5.87)]
    contents = site_contents(SolidSolution(pair).crystal(0.5))
    assert sorted(contents) == [((15, 0.5), (33, 0.5)), ((31, 0.5), (49, 0.5))]


def test_cells_of_other_sizes():
    small = SolidSolution([bulk("Cu"), bulk("Au")])
    large = SolidSolution([bulk("Cu", cubic=True), bulk("Au")])
    assert_same(small.crystal(0.5), large.crystal(0.5))
    shapes = SolidSolution([bulk("Cu").repeat((2, 1, 1)), bulk("Au").repeat((1, 2, 1))])
    assert shapes.n_sites in (1, 2)
    ordered = SolidSolution([cu3au(), bulk("Cu")])
    assert ordered.n_sites == 4
    assert len(ordered.mixed_sites) == 1
    assert ordered.crystal(0.5).formula == "Cu3.5Au0.5"


def test_any_number_of_end_members():
    corners = [("GaAs", 5.65), ("GaP", 5.45), ("InAs", 6.06), ("InP", 5.87)]
    members = [bulk(name, "zincblende", a=a) for name, a in corners]
    x, y = 0.3, 0.4  # Ga(1-x)In(x)As(1-y)P(y)
    weights = [(1 - x) * (1 - y), (1 - x) * y, x * (1 - y), x * y]
    crystal = SolidSolution(members).crystal(weights)
    assert sorted(site_contents(crystal)) == [((15, 0.4), (33, 0.6)), ((31, 0.7), (49, 0.3))]
    order = [2, 0, 3, 1]
    again = SolidSolution([members[i] for i in order]).crystal([weights[i] for i in order])
    assert_same(crystal, again)
    cube = np.dot(weights, [a for _, a in corners]) ** 3
    assert crystal.volume == pytest.approx(cube / 4, rel=1e-9)


def test_mixed_end_members_and_isotopes():
    half = Crystal(2.7 * (np.ones((3, 3)) - np.eye(3)), [[0, 0, 0]], [0, 0], [14, 32], [0.5, 0.5])
    heavy = Crystal(2.7 * (np.ones((3, 3)) - np.eye(3)), [[0, 0, 0]], [0], [14], None, [30.0])
    crystal = SolidSolution([half, heavy]).crystal(0.5)
    assert crystal.masses[0] == pytest.approx(0.5 * half.masses[0] + 15.0)
    assert crystal.species_fraction.tolist() == [0.25, 0.5, 0.25]


def test_an_anisotropic_strain_does_not_rotate():
    straight = Atoms("Cu", cell=[3.0, 3.1, 3.2], pbc=True)
    sheared = Atoms("Au", cell=[[3.1, 0, 0], [0.2, 3.2, 0], [0, 0, 3.3]], pbc=True)
    one = SolidSolution([straight, sheared])
    two = SolidSolution([disguised(sheared), disguised(straight, 3)])
    for p in (0.25, 0.5):
        assert_same(one.crystal(p), two.crystal(1 - p))


@pytest.mark.parametrize(
    "other",
    [
        bulk("Fe"),
        bulk("Si"),
        bulk("NaCl", "rocksalt", a=5.64),
        bulk("Mg"),
        bulk("Cu", cubic=True)[:3],
    ],
    ids=["bcc", "diamond", "rocksalt", "hcp", "vacancy"],
)
def test_other_structure_types_are_refused(other):
    with pytest.raises(AlloyError, match="structure type"):
        SolidSolution([bulk("Cu"), other])


def test_incommensurate_cells_are_refused():
    with pytest.raises(AlloyError, match="multiple"):
        match_sites(Crystal.from_any(ENDS[0]), Crystal.from_any(bulk("NaCl", "rocksalt", a=5.6)))


@pytest.mark.parametrize("p", [-0.1, 1.1, [0.5, 0.6], [0.2, 0.3, 0.5], np.nan])
def test_wrong_fractions_are_refused(p):
    with pytest.raises(AlloyError, match="raction"):
        SolidSolution([bulk("Cu"), bulk("Au")]).weights(p)


def test_one_end_member_is_refused():
    with pytest.raises(AlloyError, match="two end members"):
        SolidSolution([bulk("Cu")])


def test_fractions_of_a_supercell():
    solution = SolidSolution([bulk("Cu"), bulk("Au")])
    np.testing.assert_allclose(solution.fractions_of(cu3au()), [0.75, 0.25], atol=1e-9)
    with pytest.raises(AlloyError, match="not a mixture"):
        solution.fractions_of(bulk("Ni"))
