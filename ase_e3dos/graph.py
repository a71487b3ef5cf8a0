"""Crystal -> CrystalGraph: periodic edges, and batches of graphs under an edge budget."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ase_e3dos.crystal import Crystal
from ase_e3dos.errors import GraphError

if TYPE_CHECKING:
    import torch

#: Edges up to cut-off + CUTOFF_TOLERANCE (Å) count: a shell of neighbours that lies exactly on
#: the cut-off then enters as a whole, whatever rounding a rotation of the crystal brings.
CUTOFF_TOLERANCE = 1e-6

#: Ratio of the largest to the smallest number of neighbours in one padded block of nodes.
_BLOCK_RATIO = 1.25
#: Nodes below which a block of its own costs more than the padding it saves.
_SMALLEST_BLOCK = 24


@dataclass(frozen=True, slots=True, eq=False)
class CrystalGraph:
    """Directed periodic edges of one crystal, sorted by centre.

    Attributes
    ----------
    crystal
        The crystal that the nodes stand for, one node for each site.
    center, neighbor
        Site indices of both ends, shape (n_edges,), int64. Messages run from neighbour to centre.
    vectors
        From centre to neighbour in Å, shape (n_edges, 3), float64.
    lengths
        Their norms in Å, shape (n_edges,), float64.
    cutoff
        The radius in Å within which all neighbours are edges.
    """

    crystal: Crystal
    center: NDArray[np.int64]
    neighbor: NDArray[np.int64]
    vectors: NDArray[np.float64]
    lengths: NDArray[np.float64]
    cutoff: float

    @property
    def n_nodes(self) -> int:
        """Number of nodes, one for each site."""
        return self.crystal.n_sites

    @property
    def n_edges(self) -> int:
        """Number of directed edges, self-edges included."""
        return len(self.center)


def build_graph(
    crystal: Crystal, cutoff: float, *, self_edges: bool = False, max_edges: int | None = None
) -> CrystalGraph:
    """Find all neighbours within the cut-off, periodic images included.

    Parameters
    ----------
    crystal
        The crystal; any cell shape, also one smaller than the cut-off.
    cutoff
        Radius in Å; a neighbour up to `CUTOFF_TOLERANCE` beyond it still counts.
    self_edges
        Add one edge of length zero from each site to itself (the paper's graphs have it).
    max_edges
        Refuse a crystal with more edges than this.

    Returns
    -------
    CrystalGraph
        Lengths and vectors in float64.

    Raises
    ------
    GraphError
        The crystal has more than `max_edges` edges.
    """
    center, neighbor, vectors = _neighbors(crystal, cutoff + 10 * CUTOFF_TOLERANCE)
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    inside = lengths <= cutoff + CUTOFF_TOLERANCE
    if not inside.all():
        center, neighbor = center[inside], neighbor[inside]
        vectors, lengths = vectors[inside], lengths[inside]
    if self_edges:
        sites = np.arange(crystal.n_sites)
        center = np.concatenate([center, sites])
        neighbor = np.concatenate([neighbor, sites])
        vectors = np.concatenate([vectors, np.zeros((len(sites), 3))])
        lengths = np.concatenate([lengths, np.zeros(len(sites))])
    if max_edges is not None and len(center) > max_edges:
        raise GraphError(
            f"{crystal.name}: {len(center)} edges within {cutoff} Å, over the limit of "
            f"{max_edges}. Use the primitive cell, or raise the limit."
        )
    order = np.argsort(center, kind="stable")
    return CrystalGraph(
        crystal, center[order], neighbor[order], vectors[order], lengths[order], cutoff
    )


def _neighbors(
    crystal: Crystal, cutoff: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    if _too_flat(crystal.cell, cutoff):
        from ase.neighborlist import primitive_neighbor_list

        center, neighbor, vectors = primitive_neighbor_list(
            "ijD", (True, True, True), crystal.cell, crystal.positions, cutoff
        )
        return center, neighbor, vectors
    from vesin import NeighborList

    center, neighbor, vectors = NeighborList(cutoff=cutoff, full_list=True).compute(
        points=crystal.positions, box=crystal.cell, periodic=True, quantities="ijD"
    )
    return center.astype(np.int64), neighbor.astype(np.int64), np.asarray(vectors)


def _too_flat(cell: NDArray[np.float64], cutoff: float) -> bool:
    """Whether vesin would divide the cell into boxes, none of them along one direction.

    It takes about 100,000 boxes at most and keeps the ratio of their numbers; where this leaves
    less than one, the process ends with a floating point exception (vesin 0.6).
    """
    heights = 1 / np.linalg.norm(np.linalg.inv(cell), axis=0)
    boxes = np.maximum(np.floor(heights / cutoff), 1.0)
    shrink = np.cbrt(1e5 / boxes.prod())
    return bool(shrink < 1 and boxes.min() * shrink < 1.1)


@dataclass(frozen=True, slots=True)
class NeighborBlock:
    """Nodes with similar numbers of neighbours, padded to the largest of them.

    Attributes
    ----------
    neighbors
        Node index of each neighbour, shape (n_nodes_in_block, width), int64; 0 where padded.
    vectors
        In Å, shape (n_nodes_in_block, width, 3), float32.
    lengths
        In Å, shape (n_nodes_in_block, width), float32.
    mask
        1 for an edge, 0 for padding, shape (n_nodes_in_block, width), float32.
    """

    neighbors: torch.Tensor
    vectors: torch.Tensor
    lengths: torch.Tensor
    mask: torch.Tensor


@dataclass(frozen=True, slots=True)
class GraphBatch:
    """Several crystals as one graph; nodes stand in the order of the blocks.

    Attributes
    ----------
    blocks
        Padded neighbour blocks; node k of the batch is row k of the blocks laid end to end.
    crystal_index
        Which crystal each node belongs to, shape (n_nodes,), int64.
    site_order
        Node of each site, crystal after crystal in the order given, shape (n_nodes,), int64:
        `node_values[site_order]` are in site order.
    features
        Encoder output in node order, shape (n_nodes, n_features), float32.
    crystal_scalars
        log(volume per site / Å^3) of each crystal, shape (n_crystals, 1), float32.
    n_sites
        Sites of each crystal, shape (n_crystals,), int64.
    """

    blocks: tuple[NeighborBlock, ...]
    crystal_index: torch.Tensor
    site_order: torch.Tensor
    features: torch.Tensor
    crystal_scalars: torch.Tensor
    n_sites: torch.Tensor

    @property
    def n_crystals(self) -> int:
        """Number of crystals in the batch."""
        return len(self.n_sites)

    def to(self, device: torch.device | str) -> GraphBatch:
        """Move every tensor to a device (without waiting, from pinned memory)."""
        move = lambda t: t.to(device, non_blocking=True)  # noqa: E731
        blocks = tuple(
            NeighborBlock(move(b.neighbors), move(b.vectors), move(b.lengths), move(b.mask))
            for b in self.blocks
        )
        return GraphBatch(
            blocks,
            move(self.crystal_index),
            move(self.site_order),
            move(self.features),
            move(self.crystal_scalars),
            move(self.n_sites),
        )

    def pin_memory(self) -> GraphBatch:
        """Copy every tensor to pinned memory, for transfers that overlap with computing."""
        blocks = tuple(
            NeighborBlock(
                b.neighbors.pin_memory(),
                b.vectors.pin_memory(),
                b.lengths.pin_memory(),
                b.mask.pin_memory(),
            )
            for b in self.blocks
        )
        return GraphBatch(
            blocks,
            self.crystal_index.pin_memory(),
            self.site_order.pin_memory(),
            self.features.pin_memory(),
            self.crystal_scalars.pin_memory(),
            self.n_sites.pin_memory(),
        )


def collate(graphs: Sequence[CrystalGraph], features: NDArray[np.float32]) -> GraphBatch:
    """Join graphs into one batch.

    Parameters
    ----------
    graphs
        At least one graph.
    features
        Encoder output for all sites, crystal after crystal, shape (sum of n_sites, n_features).

    Returns
    -------
    GraphBatch
        On the CPU.
    """
    import torch

    n_sites = np.array([g.n_nodes for g in graphs])
    offsets = np.concatenate([[0], np.cumsum(n_sites)])
    n_nodes = int(offsets[-1])
    center = np.concatenate([g.center + o for g, o in zip(graphs, offsets, strict=False)])
    neighbor = np.concatenate([g.neighbor + o for g, o in zip(graphs, offsets, strict=False)])
    vectors = np.concatenate([g.vectors for g in graphs])
    lengths = np.concatenate([g.lengths for g in graphs])

    degree = np.bincount(center, minlength=n_nodes)
    first_edge = np.concatenate([[0], np.cumsum(degree)])
    # Nodes sorted by degree fall into blocks of nearly equal width, so that little is padded.
    order = np.argsort(degree, kind="stable")
    rank = np.empty(n_nodes, dtype=np.int64)
    rank[order] = np.arange(n_nodes)
    bounds = _block_bounds(degree[order])

    blocks = []
    for start, stop in pairwise(bounds):
        nodes = order[start:stop]
        width = max(int(degree[nodes].max()), 1)
        slots = np.arange(width)
        mask = slots < degree[nodes][:, None]
        edges = np.where(mask, first_edge[nodes][:, None] + slots, 0)
        if len(center) == 0:
            blocks.append(_empty_block(len(nodes)))
            continue
        blocks.append(
            NeighborBlock(
                torch.from_numpy(np.where(mask, rank[neighbor[edges]], 0)),
                torch.from_numpy(vectors[edges].astype(np.float32)),
                torch.from_numpy(lengths[edges].astype(np.float32)),
                torch.from_numpy(mask.astype(np.float32)),
            )
        )
    crystal_index = np.repeat(np.arange(len(graphs)), n_sites)[order]
    scalars = np.log([[g.crystal.volume / g.n_nodes] for g in graphs])
    return GraphBatch(
        tuple(blocks),
        torch.from_numpy(crystal_index),
        torch.from_numpy(rank),
        torch.from_numpy(np.ascontiguousarray(features[order], dtype=np.float32)),
        torch.from_numpy(scalars.astype(np.float32)),
        torch.from_numpy(n_sites),
    )


def _block_bounds(degree: NDArray[np.int64]) -> list[int]:
    """Where blocks begin and end: widths differ by `_BLOCK_RATIO`, few blocks are tiny.

    Parameters
    ----------
    degree
        Neighbours of each node, ascending, shape (n_nodes,).
    """
    level = np.floor(np.log(np.maximum(degree, 1)) / np.log(_BLOCK_RATIO))
    bounds = [0]
    for cut in np.flatnonzero(np.diff(level)) + 1:
        if cut - bounds[-1] >= _SMALLEST_BLOCK and len(degree) - cut >= _SMALLEST_BLOCK:
            bounds.append(int(cut))
    return [*bounds, len(degree)]


def _empty_block(n_nodes: int) -> NeighborBlock:
    """Nodes without any neighbour (atoms farther apart than the cut-off)."""
    import torch

    return NeighborBlock(
        torch.zeros((n_nodes, 1), dtype=torch.int64),
        torch.zeros((n_nodes, 1, 3)),
        torch.zeros((n_nodes, 1)),
        torch.zeros((n_nodes, 1)),
    )


def batches_by_edges(
    graphs: Iterable[CrystalGraph], edge_budget: int, max_crystals: int = 512
) -> Iterator[list[CrystalGraph]]:
    """Group graphs, in order, so that no group exceeds the edge budget.

    A graph that alone exceeds it makes a group of its own.
    """
    group: list[CrystalGraph] = []
    edges = 0
    for graph in graphs:
        if group and (edges + graph.n_edges > edge_budget or len(group) >= max_crystals):
            yield group
            group, edges = [], 0
        group.append(graph)
        edges += graph.n_edges
    if group:
        yield group
