"""Batches for training: crystals of several data sets mixed in fixed proportions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from zlib import crc32

import numpy as np
import torch
from numpy.typing import NDArray

from ase_e3dos.data.composition import composition_key
from ase_e3dos.data.labelled_set import LabelledSet
from ase_e3dos.network.graph import CrystalGraph, GraphBatch, build_graph, collate

if TYPE_CHECKING:
    from ase_e3dos.encoders import Encoder


@dataclass(frozen=True)
class GraphSet:
    """A labelled set with the graphs and encoder features of its crystals, made once.

    Attributes
    ----------
    labelled : LabelledSet
        The data.
    graphs : list of CrystalGraph
        One for each crystal.
    features : list of ndarray of float32
        Encoder output for each crystal, (n_sites, n_features) each.
    source : int
        Index of the data source in the network's embedding.
    groups : list of list of int
        Entries that are drawn together (one crystal at several strains), as index lists.
    parts : ndarray of int
        A number for each entry, the same for all of one composition, by which the heads of a
        network divide the crystals among themselves, shape (n,).
    """

    labelled: LabelledSet
    graphs: list[CrystalGraph]
    features: list[NDArray[np.float32]]
    source: int
    groups: list[list[int]]
    parts: NDArray[np.int64]

    @classmethod
    def build(
        cls, labelled: LabelledSet, cutoff: float, self_edges: bool, encoder: Encoder, source: int
    ) -> GraphSet:
        """Make the graphs and features of a labelled set."""
        graphs = [build_graph(c, cutoff, self_edges=self_edges) for c in labelled.crystals]
        features = [encoder.encode(c) for c in labelled.crystals]
        if labelled.kind == "site":
            by_id: dict[str, list[int]] = {}
            for i, name in enumerate(labelled.ids):
                by_id.setdefault(name, []).append(i)
            groups = list(by_id.values())
        else:
            groups = [[i] for i in range(len(labelled))]
        parts = [crc32(str(composition_key(c)).encode()) for c in labelled.crystals]
        return cls(labelled, graphs, features, source, groups, np.array(parts, dtype=np.int64))

    def batch(
        self, index: Sequence[int], noise: float = 0.0, rng: np.random.Generator | None = None
    ) -> tuple[list[CrystalGraph], list[NDArray[np.float32]]]:
        """Graphs and features of some entries, the sites displaced at random if asked.

        Entries of one crystal (at several strains) get the same displacements, so that their
        difference is the strain's alone.
        """
        graphs = [self.graphs[i] for i in index]
        if noise and rng is not None:
            shifts: dict[str, NDArray[np.float64]] = {}
            for k, i in enumerate(index):
                name = self.labelled.ids[i]
                if name not in shifts:
                    shifts[name] = rng.normal(0.0, noise, (graphs[k].n_nodes, 3))
                graphs[k] = displaced(graphs[k], shifts[name])
        return graphs, [self.features[i] for i in index]


def displaced(graph: CrystalGraph, shift: NDArray[np.float64]) -> CrystalGraph:
    """A copy whose sites are moved by the rows of `shift`, shape (n_nodes, 3), in Å."""
    vectors = graph.vectors + shift[graph.neighbor] - shift[graph.center]
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    return CrystalGraph(graph.crystal, graph.center, graph.neighbor, vectors, lengths, graph.cutoff)


@dataclass(frozen=True)
class MixedBatch:
    """One batch: crystals of each set in turn.

    Attributes
    ----------
    graph : GraphBatch
        All crystals as one graph.
    source : torch.Tensor
        Data source of each crystal, shape (n_crystals,).
    parts : list of tuple
        For each set: its number, its entries, and the slice of crystals in the batch.
    """

    graph: GraphBatch
    source: torch.Tensor
    parts: list[tuple[int, list[int], slice]]


def join(
    chosen: list[tuple[int, GraphSet, list[int]]],
    noise: Sequence[float] = (),
    rng: np.random.Generator | None = None,
) -> MixedBatch:
    """Make one batch of the entries chosen from several sets.

    Parameters
    ----------
    chosen : list of tuple
        Number of a set, the set, and its entries.
    noise : sequence of float, optional
        Standard deviation of the sites' random displacements in Å, by the number of the set.
    rng : np.random.Generator, optional
        What draws them.
    """
    graphs: list[CrystalGraph] = []
    features: list[NDArray[np.float32]] = []
    source: list[int] = []
    parts = []
    for number, data, index in chosen:
        start = len(graphs)
        g, f = data.batch(index, noise[number] if noise else 0.0, rng)
        graphs += g
        features += f
        source += [data.source] * len(index)
        parts.append((number, index, slice(start, len(graphs))))
    return MixedBatch(collate(graphs, np.concatenate(features)), torch.tensor(source), parts)


def epoch_batches(
    sets: Sequence[GraphSet],
    per_batch: Sequence[int],
    n_steps: int,
    rng: np.random.Generator,
    noise: Sequence[float] = (),
) -> Iterator[MixedBatch]:
    """Random batches of one epoch; each set is gone through again as often as it takes."""
    streams = [_endless(data, rng) for data in sets]
    for _ in range(n_steps):
        chosen = []
        for number, (data, stream, size) in enumerate(zip(sets, streams, per_batch, strict=True)):
            index: list[int] = []
            while len(index) < size:
                index += next(stream)
            chosen.append((number, data, index))
        yield join(chosen, noise, rng)


def _endless(data: GraphSet, rng: np.random.Generator) -> Iterator[list[int]]:
    while True:
        for k in rng.permutation(len(data.groups)):
            group = data.groups[k]
            yield group if len(group) <= 4 else list(rng.choice(group, 4, replace=False))
