"""Crystal -> CrystalGraph: periodic edges, and batches of graphs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ase_e3dos.network.neighbors import CUTOFF_TOLERANCE, pairs_of
from ase_e3dos.structures.crystal import Crystal

if TYPE_CHECKING:
    import torch

__all__ = [
    "CUTOFF_TOLERANCE",
    "CrystalGraph",
    "GraphBatch",
    "build_graph",
    "build_graphs",
    "collate",
]

#: Ratio of the largest to the smallest number of neighbours in one padded block of nodes.
_BLOCK_RATIO = 1.25
#: Nodes below which a block of its own costs more than the padding it saves.
_SMALLEST_BLOCK = 48


@dataclass(frozen=True, slots=True, eq=False)
class CrystalGraph:
    """Directed periodic edges of one crystal, sorted by centre, then by neighbour.

    Attributes
    ----------
    crystal : Crystal
        The crystal that the nodes stand for, one node for each site.
    center, neighbor : ndarray of int
        Site indices of both ends, shape (n_edges,), int64. Messages run from neighbour to centre.
    vectors : ndarray
        From centre to neighbour in Å, shape (n_edges, 3), float64.
    lengths : ndarray
        Their norms in Å, shape (n_edges,), float64.
    cutoff : float
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


def build_graph(crystal: Crystal, cutoff: float, *, self_edges: bool = False) -> CrystalGraph:
    """Find all neighbours within the cut-off, periodic images included.

    Parameters
    ----------
    crystal : Crystal
        The crystal; any cell shape, also one smaller than the cut-off.
    cutoff : float
        Radius in Å; a neighbour up to `CUTOFF_TOLERANCE` beyond it still counts.
    self_edges : bool, optional
        Add one edge of length zero from each site to itself (the paper's graphs have it).

    Returns
    -------
    CrystalGraph
        Lengths and vectors in float64.
    """
    return build_graphs([crystal], cutoff, self_edges=self_edges)[0]


def build_graphs(
    crystals: Sequence[Crystal], cutoff: float, *, self_edges: bool = False
) -> list[CrystalGraph]:
    """`build_graph` for several crystals, whose neighbours are found together.

    Parameters
    ----------
    crystals : sequence of Crystal
        Few enough for one batch: their pairs and images are in memory at the same time.
    cutoff, self_edges
        As for `build_graph`.

    Returns
    -------
    list of CrystalGraph
        Each equal to what `build_graph` makes.
    """
    found = pairs_of(crystals, cutoff, self_edges)
    return [CrystalGraph(c, *pairs, cutoff) for c, pairs in zip(crystals, found, strict=True)]


@dataclass(frozen=True, slots=True)
class GraphBatch:
    """Several crystals as one graph, laid out for matrix products.

    What a site tells another does not depend on which of its periodic images stands there. So a
    node has one slot for each distinct site among its neighbours, and a slot holds the edges to
    all images of that site: functions of the edges are summed within the slots once, and layers
    see a few neighbours instead of dozens.

    Attributes
    ----------
    neighbors : tuple of torch.Tensor
        Blocks of nodes with similar numbers of neighbours: node index of the site of each slot,
        shape (nodes in block, slots a node), int64; 0 in slots without edges. Node k of the batch
        is row k of the blocks laid end to end, and slots are counted along the rows.
    first_edge : torch.Tensor
        First edge of each slot, shape (n_slots,), int64: slot s holds the edges from
        first_edge[s] up to first_edge[s + 1].
    vectors : torch.Tensor
        Of the edges, from centre to neighbour in Å, shape (n_edges, 3), float32.
    lengths : torch.Tensor
        Their norms in Å, shape (n_edges,), float32.
    crystal_index : torch.Tensor
        Which crystal each node belongs to, shape (n_nodes,), int64.
    site_order : torch.Tensor
        Node of each site, crystal after crystal in the order given, shape (n_nodes,), int64:
        `node_values[site_order]` are in site order.
    features : torch.Tensor
        Encoder output in node order, shape (n_nodes, n_features), float32.
    crystal_scalars : torch.Tensor
        log(volume per site / Å^3) of each crystal, shape (n_crystals, 1), float32.
    n_sites : torch.Tensor
        Sites of each crystal, shape (n_crystals,), int64.
    first_site : torch.Tensor
        First site of each crystal, shape (n_crystals,), int64.
    cells : torch.Tensor
        Lattice vectors in rows, Å, shape (n_crystals, 3, 3), float32.
    positions : torch.Tensor
        Of the nodes, Å, in node order, shape (n_nodes, 3), float32.
    """

    neighbors: tuple[torch.Tensor, ...]
    first_edge: torch.Tensor
    vectors: torch.Tensor
    lengths: torch.Tensor
    crystal_index: torch.Tensor
    site_order: torch.Tensor
    features: torch.Tensor
    crystal_scalars: torch.Tensor
    n_sites: torch.Tensor
    first_site: torch.Tensor
    cells: torch.Tensor
    positions: torch.Tensor

    @property
    def n_crystals(self) -> int:
        """Number of crystals in the batch."""
        return len(self.n_sites)

    @property
    def n_edges(self) -> int:
        """Number of directed edges."""
        return len(self.lengths)

    def to(self, device: torch.device | str) -> GraphBatch:
        """Move every tensor to a device (without waiting, from pinned memory).

        Parameters
        ----------
        device : torch.device or str

        Returns
        -------
        GraphBatch
        """
        if str(device) == "cpu" == self.lengths.device.type:
            return self
        return self._mapped(lambda t: t.to(device, non_blocking=True))

    def pin_memory(self) -> GraphBatch:
        """Copy every tensor to pinned memory, for transfers that overlap with computing."""
        return self._mapped(lambda t: t.pin_memory())

    def _mapped(self, change: Callable[[torch.Tensor], torch.Tensor]) -> GraphBatch:
        rest = (change(getattr(self, f.name)) for f in fields(self)[1:])
        return GraphBatch(tuple(map(change, self.neighbors)), *rest)


def collate(graphs: Sequence[CrystalGraph], features: NDArray[np.float32]) -> GraphBatch:
    """Join graphs into one batch.

    Parameters
    ----------
    graphs : sequence of CrystalGraph
        At least one graph.
    features : ndarray of float32
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
    shift = np.repeat(offsets[:-1], [g.n_edges for g in graphs])
    center = np.concatenate([g.center for g in graphs]) + shift
    neighbor = np.concatenate([g.neighbor for g in graphs]) + shift
    vectors = np.concatenate([g.vectors for g in graphs])
    lengths = np.concatenate([g.lengths for g in graphs])

    # A pair: all edges of one centre to the images of one site; they follow each other.
    changes = (center[1:] != center[:-1]) | (neighbor[1:] != neighbor[:-1])
    pair_start = np.flatnonzero(np.concatenate([[len(center) > 0], changes]))
    pair_size = np.diff(pair_start, append=len(center))
    pair_neighbor = neighbor[pair_start]
    degree = np.bincount(center[pair_start], minlength=n_nodes)
    first_pair = np.concatenate([[0], np.cumsum(degree)])
    # Nodes sorted by degree fall into blocks of nearly equal width, so that little is padded.
    order = np.argsort(degree, kind="stable")
    rank = np.empty(n_nodes, dtype=np.int64)
    rank[order] = np.arange(n_nodes)
    bounds = _block_bounds(degree[order])

    neighbors, slot_sizes = [], []
    for start, stop in pairwise(bounds):
        nodes = order[start:stop]
        slots = np.arange(max(int(degree[nodes[-1]]), 1))
        filled = slots < degree[nodes][:, None]
        pairs = (first_pair[nodes][:, None] + slots)[filled]
        block = np.zeros(filled.shape, dtype=np.int64)
        size = np.zeros(filled.shape, dtype=np.int64)
        block[filled] = rank[pair_neighbor[pairs]]
        size[filled] = pair_size[pairs]
        neighbors.append(torch.from_numpy(block))
        slot_sizes.append(size.ravel())
    sizes = np.concatenate(slot_sizes)
    edges_of_node = np.bincount(center, minlength=n_nodes)
    first_edge_of_node = np.cumsum(edges_of_node) - edges_of_node
    edge_order = _ranges(first_edge_of_node[order], edges_of_node[order])
    crystal_index = np.repeat(np.arange(len(graphs)), n_sites)[order]
    cells = np.stack([g.crystal.cell for g in graphs])
    volumes = np.abs(np.linalg.det(cells))
    positions = np.concatenate([g.crystal.positions for g in graphs])
    scalars = np.log(volumes / n_sites)[:, None]
    return GraphBatch(
        tuple(neighbors),
        torch.from_numpy(np.cumsum(sizes) - sizes),
        torch.from_numpy(vectors.astype(np.float32)[edge_order]),
        torch.from_numpy(lengths.astype(np.float32)[edge_order]),
        torch.from_numpy(crystal_index),
        torch.from_numpy(rank),
        torch.from_numpy(np.ascontiguousarray(features[order], dtype=np.float32)),
        torch.from_numpy(scalars.astype(np.float32)),
        torch.from_numpy(n_sites),
        torch.from_numpy(offsets[:-1].copy()),
        torch.from_numpy(cells.astype(np.float32)),
        torch.from_numpy(positions.astype(np.float32)[order]),
    )


def _ranges(start: NDArray[np.int64], size: NDArray[np.int64]) -> NDArray[np.int64]:
    """start[0], start[0] + 1, ... of length size[0], then the same from start[1], and so on."""
    return np.repeat(start - (np.cumsum(size) - size), size) + np.arange(int(size.sum()))


def _block_bounds(degree: NDArray[np.int64]) -> list[int]:
    """Where blocks begin and end: widths differ by `_BLOCK_RATIO`, few blocks are tiny.

    Parameters
    ----------
    degree : ndarray of int
        Neighbours of each node, ascending, shape (n_nodes,).
    """
    level = np.floor(np.log(np.maximum(degree, 1)) / np.log(_BLOCK_RATIO))
    bounds = [0]
    for cut in np.flatnonzero(np.diff(level)) + 1:
        if cut - bounds[-1] >= _SMALLEST_BLOCK and len(degree) - cut >= _SMALLEST_BLOCK:
            bounds.append(int(cut))
    return [*bounds, len(degree)]
