"""Crystals of many small structures, read and checked together.

What is plainly sound becomes a crystal here, in operations on arrays of all of them; whatever is
unusual in any way is left to `Crystal.quietly`, which says what is wrong. Both give the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from ase_e3dos.structures.checks import MAX_LENGTH, MAX_ROOM, MIN_ROOM
from ase_e3dos.structures.contacts import MIN_DISTANCE, MIN_RELATIVE_VOLUME, MIN_VOLUME
from ase_e3dos.structures.crystal import Crystal
from ase_e3dos.structures.elements import look_like_types
from ase_e3dos.structures.masses import STANDARD_MASSES
from ase_e3dos.structures.sites import Sites

__all__ = ["sound_crystals"]

#: Sites of a crystal beyond which nothing is won.
_MOST_SITES = 48
#: Arrays of ASE Atoms that say nothing about a crystal, and those that say what it is.
_PLAIN_ARRAYS = frozenset(("numbers", "positions", "tags", "momenta", "initial_charges"))

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class _Plain(NamedTuple):
    """Whole atoms of standard mass, periodic along all vectors."""

    cell: Any
    places: Any
    numbers: Any
    is_cartesian: bool


def sound_crystals(structures: Sequence[Any], names: Sequence[str]) -> list[Crystal | None]:
    """Crystals of the structures that are plainly sound.

    Parameters
    ----------
    structures : sequence
        Of any kind.
    names : sequence of str
        What messages call them; formulas where they are empty.

    Returns
    -------
    list of Crystal or None
        None for each structure that has to be looked at by itself.
    """
    found: list[Crystal | None] = [None] * len(structures)
    plain = [(k, p) for k, s in enumerate(structures) if (p := _plain(s)) is not None]
    if not plain:
        return found
    cells = np.array([p.cell for _, p in plain], dtype=np.float64)
    volumes = np.abs(np.linalg.det(cells))
    solid = volumes >= MIN_VOLUME
    if not solid.all():
        plain = [p for p, good in zip(plain, solid.tolist(), strict=True) if good]
        if not plain:
            return found
        cells, volumes = cells[solid], volumes[solid]
    n_sites = np.array([len(p.numbers) for _, p in plain])
    inverse: Floats = np.linalg.inv(cells).astype(np.float64, copy=False)
    bounds = np.concatenate([[0], np.cumsum(n_sites)])
    ends = list(pairwise(bounds.tolist()))
    scaled = np.concatenate([p.places for _, p in plain]).astype(np.float64, copy=False)
    for (_, p), to_scaled, (a, b) in zip(plain, inverse, ends, strict=True):
        if p.is_cartesian:
            scaled[a:b] = scaled[a:b] @ to_scaled
    numbers = np.concatenate([p.numbers for _, p in plain]).astype(np.int64, copy=False)
    with np.errstate(all="ignore"):  # what is not finite is not sound
        sound = _are_sound(cells, volumes, inverse, scaled, numbers, n_sites)
    masses = STANDARD_MASSES[np.clip(numbers, 0, len(STANDARD_MASSES) - 1)]
    for k in np.flatnonzero(sound).tolist():
        where, (a, b) = plain[k][0], ends[k]
        site, whole = _whole_sites(b - a)
        parts = (cells[k].copy(), scaled[a:b].copy(), site, numbers[a:b].copy(), whole)
        found[where] = Crystal(*parts, masses[a:b].copy(), names[where], checks=False)
    return found


def _plain(structure: Any) -> _Plain | None:
    """What the checks look at, if there is nothing else about a structure."""
    if type(structure) is Atoms:
        if not (structure.arrays.keys() <= _PLAIN_ARRAYS and structure.pbc.all()):
            return None
        if "occupancy" in structure.info or not 0 < len(structure) <= _MOST_SITES:
            return None
        return _Plain(structure.cell.array, structure.positions, structure.numbers, True)
    if type(structure) is Sites:
        cell, scaled, site, numbers, fraction, mass, remarks = structure
        arrays = all(isinstance(part, np.ndarray) for part in (cell, scaled, site, numbers))
        if not arrays or fraction is not None or mass is not None or remarks:
            return None
        n = len(numbers)
        shapes = cell.shape == (3, 3) and scaled.shape == (n, 3) and numbers.shape == (n,)
        kinds = all(part.dtype.kind in "iuf" for part in (cell, scaled, numbers))
        if not (shapes and kinds and 0 < n <= _MOST_SITES):
            return None
        if len(site) != n or (site is not _whole_sites(n)[0] and (site != np.arange(n)).any()):
            return None
        return _Plain(cell, scaled, numbers, False)
    return None


def _are_sound(
    cells: Floats,
    volume: Floats,
    inverse: Floats,
    scaled: Floats,
    numbers: Ints,
    n_sites: Ints,
) -> NDArray[np.bool_]:
    """Which crystals pass all checks of `ase_e3dos.structures.checks`; `scaled` is wrapped."""
    first = np.cumsum(n_sites) - n_sites
    lengths = np.sqrt(np.einsum("kij,kij->ki", cells, cells))
    # Columns of the inverse are normals of the faces, as long as one over the height.
    steepest = np.einsum("kij,kij->kj", inverse, inverse).max(axis=1)
    room = volume / n_sites
    sound = (
        np.isfinite(cells).all(axis=(1, 2))
        & (np.abs(cells).max(axis=(1, 2)) <= MAX_LENGTH)
        & (volume >= np.maximum(MIN_VOLUME, MIN_RELATIVE_VOLUME * lengths.prod(axis=1)))
        & (steepest < (2 * MIN_DISTANCE) ** -2)
        & (room >= MIN_ROOM)
        & (room <= MAX_ROOM)
        & np.logical_and.reduceat(np.isfinite(scaled).all(axis=1), first)
    )
    lightest = np.minimum.reduceat(numbers, first)
    sound &= (lightest >= 1) & (np.maximum.reduceat(numbers, first) <= 118)
    for k in np.flatnonzero(lightest == 1).tolist():
        if look_like_types(numbers[first[k] : first[k] + n_sites[k]]):
            sound[k] = False
    scaled -= np.floor(scaled)
    scaled[scaled >= 1.0] = 0.0  # -1e-17 wraps to 1.0
    pairs = [_pairs(n) for n in n_sites.tolist()]
    n_pairs = np.array([len(i) for i, _ in pairs])
    crystal = np.repeat(np.arange(len(cells)), n_pairs)
    one = np.concatenate([i for i, _ in pairs]) + first[crystal]
    other = np.concatenate([j for _, j in pairs]) + first[crystal]
    apart = scaled.take(one, axis=0) - scaled.take(other, axis=0)
    apart -= np.rint(apart)
    vectors = np.einsum("pi,pij->pj", apart, cells[crystal])
    # A little more than the limit: what is close to it is left to the exact check.
    close = np.einsum("pi,pi->p", vectors, vectors) < (1.001 * MIN_DISTANCE) ** 2
    sound[crystal[close]] = False
    return np.asarray(sound)


@lru_cache(maxsize=64)
def _pairs(n: int) -> tuple[Ints, Ints]:
    """Pairs of different sites, each once."""
    i, j = np.triu_indices(n, 1)
    return i, j


@lru_cache(maxsize=64)
def _whole_sites(n: int) -> tuple[Ints, Floats]:
    """Numbers of the sites and fractions of whole atoms, shared by crystals and read-only."""
    site, whole = np.arange(n), np.ones(n)
    site.flags.writeable = whole.flags.writeable = False
    return site, whole
