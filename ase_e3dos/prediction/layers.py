"""Empty layers of crystals, and what they part: the same whatever cell a crystal is written in."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import product
from math import gcd

import numpy as np
from numpy.typing import NDArray

from ase_e3dos.network.graph import CrystalGraph
from ase_e3dos.structures.crystal import Crystal
from ase_e3dos.structures.crystals import Crystals

__all__ = ["periodic_directions", "widest_gaps"]

#: Largest Miller index that is looked at in the cell as it is given; beyond it, in a reduced one.
_LARGEST_INDEX = 4
#: Numbers in memory at once, for cells with thousands of sites and planes.
_BLOCK = 2**22


def widest_gaps(crystals: Sequence[Crystal], at_least: float) -> NDArray[np.float64]:
    """Widest layer without a site in each crystal, along any of its lattice planes.

    Parameters
    ----------
    crystals : sequence of Crystal
        At least one.
    at_least : float
        Gaps up to this width in Å are of no interest and come out as zero, which spares most
        crystals the search: a layer wider than this is parallel to lattice planes that are
        further apart than it, and there are few of these, none at all in a small cell.

    Returns
    -------
    ndarray, shape (n_crystals,)
        Widths in Å. They are properties of the crystal: a skewed cell, a supercell or another
        choice of lattice vectors gives the same.
    """
    widest = np.zeros(len(crystals))
    crystals = Crystals.of(crystals)
    cells = crystals.cells
    # An index h of planes at a distance d obeys |h| <= |a| / d for its lattice vector a.
    largest = (np.linalg.norm(cells, axis=2).max(axis=1) / at_least).astype(np.int64)
    for index in np.unique(largest[largest > 0]).tolist():
        several = np.flatnonzero(largest == index).tolist()
        if index > _LARGEST_INDEX:
            for k in several:
                cell, scaled = _reduced(crystals[k])
                longest = float(np.linalg.norm(cell, axis=1).max())
                widest[k] = _gaps(cell[None], [scaled], int(longest / at_least), at_least)[0]
        else:
            positions = [crystals[k].scaled_positions for k in several]
            widest[several] = _gaps(cells[several], positions, index, at_least)
    return widest


def periodic_directions(graph: CrystalGraph) -> int:
    """In how many directions what the edges connect goes on for ever.

    Edges that close a ring in another cell than it began add up to a lattice vector; the rank of
    all such vectors is the dimension of the connected part (P. M. Larsen et al., Phys. Rev.
    Materials 3, 034003 (2019)).

    Parameters
    ----------
    graph : CrystalGraph

    Returns
    -------
    int
        3 for a crystal, 2 for a slab or sheet, 1 for a chain, 0 for molecules: the most of any
        connected part.
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import breadth_first_order, connected_components

    center, neighbor, n = graph.center, graph.neighbor, graph.n_nodes
    positions = graph.crystal.positions
    apart = graph.vectors - positions[neighbor] + positions[center]
    images = np.rint(apart @ np.linalg.inv(graph.crystal.cell)).astype(np.int64)
    one_edge = dict(zip(zip(center.tolist(), neighbor.tolist(), strict=True), images, strict=True))
    links = csr_array((np.ones(len(center)), (center, neighbor)), shape=(n, n))
    n_parts, part = connected_components(links, directed=False)
    cells = np.zeros((n, 3), dtype=np.int64)  # where a tree of edges puts each site
    for start in np.unique(part, return_index=True)[1].tolist():
        order, before = breadth_first_order(links, start)
        for site in order[1:].tolist():
            cells[site] = cells[before[site]] + one_edge[int(before[site]), site]
    vectors = images + cells[center] - cells[neighbor]
    none = np.zeros((1, 3), dtype=np.int64)  # of a part without edges
    ranks = (
        np.linalg.matrix_rank(np.vstack([none, vectors[part[center] == k]])) for k in range(n_parts)
    )
    return max(int(rank) for rank in ranks)


def _gaps(
    cells: NDArray[np.float64],
    positions: Sequence[NDArray[np.float64]],
    index: int,
    at_least: float,
) -> NDArray[np.float64]:
    """Widest gaps along planes whose Miller indices do not exceed `index`."""
    widest = np.zeros(len(cells))
    planes = _planes(index)
    reciprocal = np.linalg.inv(cells).transpose(0, 2, 1)
    distances = 1.0 / np.linalg.norm(planes @ reciprocal, axis=2)
    crystal, plane = np.nonzero(distances > at_least)
    if not len(crystal):
        return widest
    sizes = np.array([len(p) for p in positions])
    first = np.cumsum(sizes) - sizes
    every = np.concatenate(positions)
    block = max(1, _BLOCK // int(sizes[crystal].max()))
    for start in range(0, len(crystal), block):
        k, p = crystal[start : start + block], plane[start : start + block]
        number = np.repeat(np.arange(len(k)), sizes[k])
        begin = np.cumsum(sizes[k]) - sizes[k]
        site = np.arange(len(number)) - begin[number] + first[k][number]
        height = np.einsum("ij,ij->i", every[site], planes[p][number])
        height -= np.floor(height)
        # Sorted within each pair of crystal and plane: heights are below one (or round to it).
        height = np.sort(height + 2.0 * number)
        following = np.roll(height, -1)
        following[begin + sizes[k] - 1] = height[begin] + 1.0
        gap = np.maximum.reduceat(following - height, begin) * distances[k, p]
        np.maximum.at(widest, k, gap)
    widest[widest <= at_least] = 0.0
    return widest


@cache
def _planes(index: int) -> NDArray[np.float64]:
    """Miller indices up to `index` without a common divisor, one of each pair of opposites."""
    numbers = range(-index, index + 1)
    found = [hkl for hkl in product(numbers, numbers, numbers) if hkl > (0, 0, 0)]
    return np.array([hkl for hkl in found if gcd(*hkl) == 1], dtype=np.float64).reshape(-1, 3)


def _reduced(crystal: Crystal) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A compact cell of the same lattice, and the scaled positions in it."""
    from ase.geometry import minkowski_reduce

    cell = np.asarray(minkowski_reduce(crystal.cell)[0], dtype=np.float64)
    return cell, crystal.positions @ np.linalg.inv(cell)
