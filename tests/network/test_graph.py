"""Graphs against ASE's neighbour list, and against counts known from geometry."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from ase.neighborlist import neighbor_list
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from ase_e3dos.errors import CrystalError
from ase_e3dos.network.graph import (
    CUTOFF_TOLERANCE,
    CrystalGraph,
    build_graph,
    build_graphs,
    collate,
)
from ase_e3dos.structures.crystal import Crystal


def rotated(atoms: Atoms, rotation: np.ndarray) -> Atoms:
    turned = atoms.copy()
    turned.set_cell(atoms.cell.array @ rotation.T)
    turned.positions = atoms.positions @ rotation.T
    return turned


def by_image(crystal: Crystal, i: np.ndarray, j: np.ndarray, vectors: np.ndarray) -> list:
    """Edges as (centre, neighbour, image): integers, comparable without a tolerance."""
    shift = vectors @ np.linalg.inv(crystal.cell)
    image = shift - (crystal.scaled_positions[j] - crystal.scaled_positions[i])
    assert np.abs(image - np.round(image)).max(initial=0) < 1e-6
    return sorted(map(tuple, np.column_stack([i, j, np.round(image).astype(int)]).tolist()))


@st.composite
def crystals(draw: st.DrawFn) -> Crystal:
    """Skewed, flat, tiny and left-handed cells with up to four sites, some outside the cell."""
    lengths = [draw(st.floats(1.6, 8.0)) for _ in range(3)]
    skew = [draw(st.floats(-1.5, 1.5)) for _ in range(3)]
    cell = np.diag(lengths)
    cell[1, 0], cell[2, 0], cell[2, 1] = (
        s * length for s, length in zip(skew, lengths, strict=True)
    )
    if draw(st.booleans()):
        cell[0] *= -1
    turn = Rotation.random(random_state=draw(st.integers(0, 10_000))).as_matrix()
    n = draw(st.integers(1, 4))
    scaled = draw(
        st.lists(st.tuples(*[st.floats(-2, 2)] * 3), min_size=n, max_size=n).map(np.array)
    )
    try:
        return Crystal(cell @ turn, scaled, np.arange(n), np.full(n, 14))
    except CrystalError:
        assume(False)
        raise


@given(crystals(), st.sampled_from([2.5, 5.0]))
def test_edges_are_those_of_ase(crystal: Crystal, cutoff: float) -> None:
    graph = build_graph(crystal, cutoff)
    atoms = Atoms("Si" * crystal.n_sites, cell=crystal.cell, pbc=True)
    atoms.positions = crystal.positions
    i, j, vectors = neighbor_list("ijD", atoms, cutoff + CUTOFF_TOLERANCE)
    expected = by_image(crystal, i, j, vectors)
    assert by_image(crystal, graph.center, graph.neighbor, graph.vectors) == expected
    assert (np.diff(graph.center) >= 0).all()
    np.testing.assert_allclose(graph.lengths, np.linalg.norm(graph.vectors, axis=1), atol=1e-12)


@pytest.mark.parametrize(
    ("atoms", "neighbours"),
    [
        (Atoms("Po", cell=[5.0] * 3, pbc=True), 6),  # first shell of simple cubic
        (bulk("Cu", "fcc", a=5.0 * np.sqrt(2)), 12),  # first shell of fcc
        (bulk("Cu", "fcc", a=5.0), 12 + 6),  # second shell of fcc
        (bulk("Fe", "bcc", a=5.0), 8 + 6),  # second shell of bcc
        (bulk("NaCl", "rocksalt", a=5.0), 6 + 12 + 8 + 6),  # fourth shell of rock salt
        # points of the integer lattice within a ball of radius 5, (3, 4, 0) among them
        (Atoms("Po", cell=[1.0] * 3, pbc=True), 515 - 1),
    ],
)
def test_a_shell_exactly_on_the_cutoff_is_whole_in_every_orientation(
    atoms: Atoms, neighbours: int
) -> None:
    turns = [np.eye(3), *Rotation.random(25, random_state=0).as_matrix()]
    for turn in turns:
        graph = build_graph(Crystal.from_any(rotated(atoms, turn)), 5.0)
        assert np.bincount(graph.center).tolist() == [neighbours] * len(atoms)


@pytest.mark.parametrize("shear", [[[1, 0, 0], [3, 1, 0], [0, 7, 1]],
                                   [[1, 0, 0], [60, 1, 0], [200, 300, 1]]])  # fmt: skip
def test_other_cells_of_a_lattice_have_its_edges_however_skew(
    rocksalt: Atoms, shear: list[list[int]]
) -> None:
    skew = rocksalt.copy()
    skew.set_cell(np.array(shear) @ rocksalt.cell.array)
    one, other = (build_graph(Crystal.from_any(a), 5.0) for a in (rocksalt, skew))

    def ordered(graph: CrystalGraph) -> np.ndarray:
        keys = np.column_stack([graph.center, graph.neighbor, graph.vectors.round(6) + 0.0])
        return np.column_stack([graph.center, graph.neighbor, graph.vectors])[np.lexsort(keys.T)]

    np.testing.assert_allclose(ordered(other), ordered(one), atol=1e-8)


def test_self_edges_join_each_site_to_itself_once(rocksalt: Atoms) -> None:
    crystal = Crystal.from_any(rocksalt)
    plain, with_self = build_graph(crystal, 5.0), build_graph(crystal, 5.0, self_edges=True)
    own = with_self.lengths == 0
    assert with_self.n_edges == plain.n_edges + crystal.n_sites
    assert with_self.center[own].tolist() == with_self.neighbor[own].tolist() == [0, 1]
    assert (with_self.vectors[own] == 0).all()


def test_edges_of_many_sites_end_at_the_cutoff_and_are_sorted(rocksalt: Atoms) -> None:
    """More sites than short keys hold, and a pair just outside, which the search finds at first."""
    atoms = bulk("NaCl", "rocksalt", a=5.64, cubic=True) * (3, 3, 3)
    atoms.rattle(0.05, seed=3)
    all_lengths = np.sort(neighbor_list("d", atoms, 5.2))
    outside = all_lengths[np.searchsorted(all_lengths, 5.0)]
    cutoff = float(outside) - 5 * CUTOFF_TOLERANCE
    graph = build_graph(Crystal.from_any(atoms), cutoff)
    assert graph.n_edges == np.count_nonzero(all_lengths < cutoff + CUTOFF_TOLERANCE)
    assert graph.lengths.max() <= cutoff + CUTOFF_TOLERANCE
    keys = graph.center.astype(int) * len(atoms) + graph.neighbor
    assert len(atoms) > 181
    assert (np.diff(keys) >= 0).all()


@pytest.mark.parametrize("self_edges", [False, True])
def test_graphs_made_together_are_those_made_alone(rocksalt: Atoms, self_edges: bool) -> None:
    """Small and large cells, some without an edge, of which none may take another's place."""
    far = Atoms("H", cell=[30, 30, 30], pbc=True)
    several = [rocksalt, far, rocksalt.repeat((2, 3, 1)), rocksalt.repeat(4), bulk("Cu"), far]
    several = [Crystal.from_any(a) for a in several]
    together = build_graphs(several, 5.0, self_edges=self_edges)
    assert len(together) == len(several)
    for crystal, graph in zip(several, together, strict=True):
        alone = build_graph(crystal, 5.0, self_edges=self_edges)
        assert graph.crystal is crystal
        for name in ("center", "neighbor", "vectors", "lengths"):
            np.testing.assert_array_equal(getattr(graph, name), getattr(alone, name))


def test_isolated_sites_have_no_edges_and_still_batch() -> None:
    far = Crystal.from_any(Atoms("Ar", cell=[30] * 3, pbc=True))
    graph = build_graph(far, 5.0)
    assert graph.n_edges == 0
    batch = collate([graph], np.ones((1, 3), dtype=np.float32))
    assert batch.n_edges == 0
    assert batch.first_edge.tolist() == [0] * batch.neighbors[0].numel()


def graphs_of_several() -> list[CrystalGraph]:
    several = [bulk("NaCl", "rocksalt", a=5.64), bulk("Cu"), bulk("Si").repeat(2), bulk("Fe")]
    return [build_graph(Crystal.from_any(a), 5.0, self_edges=True) for a in several]


def test_collated_slots_hold_every_edge_once() -> None:
    graphs = graphs_of_several()
    offsets = np.cumsum([0, *(g.n_nodes for g in graphs)])
    numbers = np.arange(offsets[-1], dtype=np.float32)[:, None]  # a node's feature: its number
    batch = collate(graphs, numbers)
    site = batch.features.numpy()[:, 0].astype(int)
    found, row, slot = [], 0, 0
    first = [*batch.first_edge.tolist(), batch.n_edges]
    for block in batch.neighbors:
        for others in block.tolist():
            for other in others:
                for vector in batch.vectors[first[slot] : first[slot + 1]].numpy():
                    found.append((site[row], site[other], *vector.round(3)))
                slot += 1
            row += 1
    expected = [
        (c + o, n + o, *v.astype(np.float32).round(3))
        for g, o in zip(graphs, offsets, strict=False)
        for c, n, v in zip(g.center, g.neighbor, g.vectors, strict=True)
    ]
    assert sorted(found) == sorted(expected)
    np.testing.assert_allclose(batch.lengths, np.linalg.norm(batch.vectors, axis=1), rtol=1e-6)
    np.testing.assert_array_equal(batch.features[batch.site_order].numpy(), numbers)
    assert batch.n_sites.tolist() == [g.n_nodes for g in graphs]


def test_a_node_has_one_slot_for_each_distinct_neighbour() -> None:
    """Cost within the layers does not grow with the number of periodic images."""
    graphs = graphs_of_several()
    batch = collate(graphs, np.zeros((sum(g.n_nodes for g in graphs), 1), dtype=np.float32))
    distinct = sum(len(set(zip(g.center, g.neighbor, strict=True))) for g in graphs)
    first = torch.cat([batch.first_edge, torch.tensor([batch.n_edges])])
    assert int((first.diff() > 0).sum()) == distinct < batch.n_edges / 2
