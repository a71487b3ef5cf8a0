"""Pairs of neighbouring sites, periodic images included: of many small crystals at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from ase_e3dos.structures.contacts import heights_of
from ase_e3dos.structures.crystal import Crystal

__all__ = ["CUTOFF_TOLERANCE", "Pairs", "pairs_of"]

#: Edges up to cut-off + CUTOFF_TOLERANCE (Å) count: a shell of neighbours that lies exactly on
#: the cut-off then enters as a whole, whatever rounding a rotation of the crystal brings.
CUTOFF_TOLERANCE = 1e-6

#: Pairs of sites and images up to which all distances are worked out, without a search.
_MOST_PAIRS = 40_000
#: Of these in memory at once, for several crystals together.
_MOST_TOGETHER = 400_000
#: Sites of a cell below which the number of a pair fits sixteen bits.
_SHORT_KEYS = 181

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
#: Centre, neighbour, vector and length of edges.
Pairs = tuple[Ints, Ints, Floats, Floats]


def pairs_of(crystals: Sequence[Crystal], cutoff: float, self_edges: bool) -> list[Pairs]:
    """Edges of each crystal, sorted by centre, then by neighbour.

    Parameters
    ----------
    crystals : sequence of Crystal
    cutoff : float
        Å.
    self_edges : bool
        Whether each site has an edge of length zero to itself.

    Returns
    -------
    list of Pairs
    """
    images = [_image_ranges(crystal, cutoff) for crystal in crystals]
    sizes = [
        c.n_sites**2 * math.prod(2 * n + 1 for n in ranges)
        for c, ranges in zip(crystals, images, strict=True)
    ]
    found: dict[int, Pairs] = {}
    together: list[int] = []
    waiting = 0
    for k, size in enumerate(sizes):
        if size > _MOST_PAIRS:
            found[k] = _pairs_of_large(crystals[k], cutoff, self_edges)
            continue
        if waiting + size > _MOST_TOGETHER:
            found |= _pairs_of_small(crystals, together, images, cutoff, self_edges)
            together, waiting = [], 0
        together.append(k)
        waiting += size
    if together:
        found |= _pairs_of_small(crystals, together, images, cutoff, self_edges)
    return [found[k] for k in range(len(crystals))]


def _image_ranges(crystal: Crystal, cutoff: float) -> tuple[int, int, int]:
    """How many images along each vector hold all neighbours of the nearest images of all pairs."""
    reach = cutoff + 10 * CUTOFF_TOLERANCE
    a, b, c = (
        int(reach / height + 0.5 + 1e-9) for height in heights_of(crystal.cell, "the structure")
    )
    return a, b, c


def _pairs_of_small(
    crystals: Sequence[Crystal],
    chosen: list[int],
    images: list[tuple[int, int, int]],
    cutoff: float,
    self_edges: bool,
) -> dict[int, Pairs]:
    """Edges of small cells: all pairs and all images at once, which is quicker than a search.

    The arrays of all crystals lie end to end; what is done for each by itself is two products of
    matrices, the second of which gives all squared distances |d + s|^2 = |d|^2 + 2 d.s + |s|^2.
    """
    some = [crystals[k] for k in chosen]
    shifts = [_images(*images[k]) for k in chosen]
    n_sites = np.array([c.n_sites for c in some])
    n_images = np.array([len(s) for s in shifts])
    n_pairs = n_sites**2
    pairs, squares = _bounds(n_pairs), _bounds(n_pairs * n_images)
    first_image = _bounds(n_images)

    both = [_all_pairs(n) for n in n_sites.tolist()]
    center = np.concatenate([ends[0] for ends in both])
    neighbor = np.concatenate([ends[1] for ends in both])
    site = np.repeat(_bounds(n_sites)[:-1], n_pairs)
    scaled = np.concatenate([c.scaled_positions for c in some])
    difference = scaled.take(site + neighbor, axis=0) - scaled.take(site + center, axis=0)
    difference -= np.rint(difference)
    apart, shift = np.empty((len(site), 3)), np.concatenate(shifts)
    bounds = list(zip(pairs[:-1].tolist(), pairs[1:].tolist(), strict=True))
    of_images = list(zip(first_image[:-1].tolist(), first_image[1:].tolist(), strict=True))
    for crystal, (a, b), (c, d) in zip(some, bounds, of_images, strict=True):
        np.dot(difference[a:b], crystal.cell, out=apart[a:b])
        shift[c:d] = shift[c:d] @ crystal.cell
    left, right = np.ones((len(apart), 5)), np.ones((len(shift), 5))
    np.multiply(apart, 2.0, out=left[:, :3])
    np.einsum("ij,ij->i", apart, apart, out=left[:, 3])
    right[:, :3] = shift
    np.einsum("ij,ij->i", shift, shift, out=right[:, 4])
    square = np.empty(int(squares[-1]))
    starts = squares.tolist()
    for k, ((a, b), (c, d)) in enumerate(zip(bounds, of_images, strict=True)):
        mine = square[starts[k] : starts[k + 1]].reshape(b - a, d - c)
        np.dot(left[a:b], right[c:d].T, out=mine)

    # Squares by this formula are rounded; the lengths are taken from the vectors.
    near = np.flatnonzero(square <= (cutoff + 10 * CUTOFF_TOLERANCE) ** 2)
    edges = np.searchsorted(near, squares)
    n_edges = np.diff(edges)
    pair, image = np.divmod(near - np.repeat(squares[:-1], n_edges), np.repeat(n_images, n_edges))
    pair += np.repeat(pairs[:-1], n_edges)
    image += np.repeat(first_image[:-1], n_edges)
    vectors = apart.take(pair, axis=0)
    vectors += shift.take(image, axis=0)
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    inside = lengths <= cutoff + CUTOFF_TOLERANCE
    if not self_edges:
        inside &= lengths > 0
    kept = np.flatnonzero(inside)
    if len(kept) < len(inside):
        pair, vectors, lengths = pair.take(kept), vectors.take(kept, axis=0), lengths.take(kept)
        edges = np.searchsorted(kept, edges)
    whole = (center.take(pair), neighbor.take(pair), vectors, lengths)
    ends = edges.tolist()
    return {
        k: (whole[0][a:b], whole[1][a:b], whole[2][a:b], whole[3][a:b])
        for k, a, b in zip(chosen, ends[:-1], ends[1:], strict=True)
    }


def _bounds(sizes: Ints) -> Ints:
    """Where parts of some sizes begin, laid end to end, and where the last of them ends."""
    return np.concatenate([[0], np.cumsum(sizes)])


@lru_cache(maxsize=256)
def _all_pairs(n_sites: int) -> tuple[Ints, Ints]:
    """Both sites of all ordered pairs, each with itself too."""
    sites = np.arange(n_sites)
    return np.repeat(sites, n_sites), np.tile(sites, n_sites)


@lru_cache(maxsize=512)
def _images(a: int, b: int, c: int) -> Floats:
    """Numbers of the cells from -a to a, -b to b and -c to c, shape (n_images, 3)."""
    ranges = (range(-n, n + 1) for n in (a, b, c))
    return np.array(list(product(*ranges)), dtype=np.float64)


def _pairs_of_large(crystal: Crystal, cutoff: float, self_edges: bool) -> Pairs:
    """Edges of any cell by a search in boxes, sorted."""
    center, neighbor, vectors = _neighbors(crystal, cutoff + 10 * CUTOFF_TOLERANCE)
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    if lengths.max(initial=0.0) > cutoff + CUTOFF_TOLERANCE:
        inside = lengths <= cutoff + CUTOFF_TOLERANCE
        center, neighbor = center[inside], neighbor[inside]
        vectors, lengths = vectors[inside], lengths[inside]
    if self_edges:
        sites = np.arange(crystal.n_sites)
        center = np.concatenate([center, sites])
        neighbor = np.concatenate([neighbor, sites])
        vectors = np.concatenate([vectors, np.zeros((len(sites), 3))])
        lengths = np.concatenate([lengths, np.zeros(len(sites))])
    key = center * crystal.n_sites + neighbor
    if crystal.n_sites < _SHORT_KEYS:
        key = key.astype(np.int16)  # sorted by counting, not by comparing
    order = np.argsort(key, kind="stable")
    center, neighbor = center.take(order), neighbor.take(order)
    return center, neighbor, vectors.take(order, axis=0), lengths.take(order)


def _neighbors(crystal: Crystal, cutoff: float) -> tuple[Ints, Ints, Floats]:
    heights = heights_of(crystal.cell, "the structure")
    cell, positions = crystal.cell, crystal.positions
    if min(heights) <= 0.2 * cutoff:
        cell, positions = _compact(crystal)
        heights = heights_of(cell, "the structure")
    if _too_flat(heights, cutoff):
        from ase.neighborlist import primitive_neighbor_list

        center, neighbor, vectors = primitive_neighbor_list(
            "ijD", (True, True, True), cell, positions, cutoff
        )
        return center, neighbor, vectors
    from vesin import NeighborList

    center, neighbor, vectors = NeighborList(cutoff=cutoff, full_list=True).compute(
        points=positions, box=cell, periodic=True, quantities="ijD"
    )
    return center.view(np.int64), neighbor.view(np.int64), vectors


def _compact(crystal: Crystal) -> tuple[Floats, Floats]:
    """Cell and positions for the search of a very skew cell: another cell of the same lattice.

    The search goes through cutoff / height images along each vector, which for a sheared cell of
    a few atoms can be thousands; its Minkowski-reduced cell needs a few.
    """
    from ase.geometry import minkowski_reduce

    cell = minkowski_reduce(crystal.cell)[0]
    scaled = crystal.positions @ np.linalg.inv(cell)
    return cell, (scaled - np.floor(scaled)) @ cell


def _too_flat(heights: list[float], cutoff: float) -> bool:
    """Whether vesin would divide the cell into boxes, none of them along one direction.

    It takes about 100,000 boxes at most and keeps the ratio of their numbers; where this leaves
    less than one, the process ends with a floating point exception (vesin 0.6).
    """
    boxes = [max(height // cutoff, 1.0) for height in heights]
    shrink = math.cbrt(1e5 / math.prod(boxes))
    return shrink < 1 and min(boxes) * shrink < 1.1
