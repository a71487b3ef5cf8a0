"""The contents of a cell from an asymmetric unit and its symmetry."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ase_e3dos.structures.checks import MOST_SITES, OCCUPATION_EXCESS, unit_of_length
from ase_e3dos.structures.cif.sites import AtomSites, SiteError
from ase_e3dos.structures.contacts import MIN_DISTANCE, close_pairs
from ase_e3dos.structures.places import SAME_PLACE, groups_of_places
from ase_e3dos.structures.symmetry.operations import Operations
from ase_e3dos.structures.symmetry.orbits import images_of

__all__ = ["Contents", "filled", "follows"]

_MOST_IMAGES = 4_000_000
_FOLLOWING = 0.25  # Å
#: Images (Å) nearer than those of whole atoms are in any crystal; hydrogen is let alone.
_IMPOSSIBLE = 0.6


@dataclass(frozen=True, slots=True)
class Contents:
    """All sites of a cell.

    Attributes
    ----------
    positions : array, shape (n_sites, 3)
        Fractional coordinates, from zero up to one.
    site, number, fraction, mass : arrays, shape (n_species,)
        The species: their site, atomic number, fraction and mass in amu.
    multiplicities : array of int, shape (n,)
        Places in the cell of each site of the asymmetric unit.
    doubled : tuple of str
        Labels of sites that are images of others and were counted once.
    """

    positions: NDArray[np.float64]
    site: NDArray[np.int64]
    number: NDArray[np.int64]
    fraction: NDArray[np.float64]
    mass: NDArray[np.float64]
    multiplicities: NDArray[np.int64]
    doubled: tuple[str, ...] = ()


def filled(unit: AtomSites, operations: Operations, cell: NDArray[np.float64]) -> Contents:
    """All sites of the cell; species on one place are on one site.

    Parameters
    ----------
    unit : AtomSites
        The asymmetric unit.
    operations : Operations
    cell : array, shape (3, 3)
        Lattice vectors in rows, Å.

    Returns
    -------
    Contents

    Raises
    ------
    SiteError
        Sites are too close to each other, or too much is on one place.
    """
    n = len(unit.labels)
    if n * len(operations) > _MOST_IMAGES:
        raise SiteError(
            f"{n} sites and {len(operations)} symmetry operations are more than can be read"
        )
    positions, source = _wrapped(*images_of(unit.positions, operations))
    i, j, distance = close_pairs(cell, positions, _IMPOSSIBLE)
    if unit.texts and _own_images(unit, source, i, j, distance).any():
        positions, source = _wrapped(*images_of(unit.positions, operations, unit.roundings))
        i, j, distance = close_pairs(cell, positions, _IMPOSSIBLE)
    if len(positions) > MOST_SITES:
        raise SiteError(f"the cell has {len(positions)} sites, more than {MOST_SITES}")
    counts = np.bincount(source, minlength=n)
    too_near = (distance < MIN_DISTANCE) | _own_images(unit, source, i, j, distance)
    i, j, distance = i[too_near], j[too_near], distance[too_near]
    if len(i) == 0:
        return Contents(
            positions,
            np.arange(len(positions)),
            unit.numbers[source],
            unit.occupancies[source],
            unit.masses[source],
            counts,
        )
    if wrong := unit_of_length(cell, len(positions)):
        raise SiteError(wrong)
    apart = np.flatnonzero((distance > SAME_PLACE) | (source[i] == source[j]))
    if len(apart):
        k = apart[distance[apart].argmin()]
        raise SiteError(_clash(unit, int(source[i[k]]), int(source[j[k]]), float(distance[k])))
    return _merged(unit, positions, source, counts, groups_of_places(len(positions), i, j))


def _own_images(
    unit: AtomSites,
    source: NDArray[np.int64],
    i: NDArray[np.int64],
    j: NDArray[np.int64],
    distance: NDArray[np.float64],
) -> NDArray[np.bool_]:
    """Which pairs are an atom and its own image that cannot be there both."""
    own = source[i]
    whole = (unit.occupancies[own] > 1.0 - OCCUPATION_EXCESS) & (unit.numbers[own] > 1)
    return np.asarray((own == source[j]) & ((distance < MIN_DISTANCE) | whole))


def _wrapped(
    positions: NDArray[np.float64], source: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    wrapped = positions - np.floor(positions)
    wrapped[wrapped >= 1.0] = 0.0
    return wrapped, source


def _merged(
    unit: AtomSites,
    positions: NDArray[np.float64],
    source: NDArray[np.int64],
    counts: NDArray[np.int64],
    place: NDArray[np.int64],
) -> Contents:
    """Sites of one place put together; equal atoms that fill it are one, listed twice."""
    first = np.unique(place, return_index=True)[1]
    fraction = unit.occupancies[source]
    total = np.bincount(place, fraction)
    keep = np.ones(len(source), dtype=bool)
    doubled: dict[str, None] = {}
    over = np.flatnonzero(total > 1.0 + OCCUPATION_EXCESS + 1e-9)
    if len(over):
        order = np.argsort(place, kind="stable")
        start = np.searchsorted(place[order], over)
        stop = np.searchsorted(place[order], over, side="right")
        for a, b in zip(start.tolist(), stop.tolist(), strict=True):
            rows = order[a:b]
            there = source[rows]
            alike = (
                len(set(unit.numbers[there].tolist())) == 1
                and np.ptp(unit.masses[there]) < 1e-6
                and (np.abs(unit.occupancies[there] - 1.0) <= OCCUPATION_EXCESS).all()
            )
            if not alike:
                raise SiteError(_overfull(unit, there.tolist()))
            keep[rows[1:]] = False
            doubled.update((unit.labels[k], None) for k in there[1:].tolist())
    return Contents(
        positions[first],
        place[keep],
        unit.numbers[source[keep]],
        fraction[keep],
        unit.masses[source[keep]],
        counts,
        tuple(doubled),
    )


def _clash(unit: AtomSites, one: int, other: int, distance: float) -> str:
    if one == other:
        x, y, z = unit.positions[one]
        share = float(unit.occupancies[one])
        where = (
            f"the site {unit.labels[one]} at ({x:g}, {y:g}, {z:g}) is {distance:.3f} Å from its "
            "own image"
        )
        if share < 1.0 - OCCUPATION_EXCESS:
            return (
                f"{where}, with an occupancy of {share:g}: it is split round a special position, "
                "and too little to tell the places apart. Put it onto that position, with the sum "
                "of the occupancies of its images there"
            )
        return (
            f"{where}: it is near a special position, and not on it. Write its coordinates with "
            "more digits or as fractions, give its occupancy if it is split, or correct the "
            "symmetry"
        )
    return (
        f"the sites {unit.labels[one]} and {unit.labels[other]} (or their images) are "
        f"{distance:.3f} Å apart. Give species that share a place the same coordinates, and "
        "fractions that add to one"
    )


def _overfull(unit: AtomSites, rows: list[int]) -> str:
    there = list(dict.fromkeys(rows))
    names = " and ".join(unit.labels[k] for k in there[:4])
    total = sum(float(unit.occupancies[k]) for k in rows)
    images = " (with images of themselves)" if len(there) < len(rows) else ""
    return (
        f"{names}{images} are on one place, with occupancies that add to {total:.4g}. Give "
        "fractions that add up to at most one, in _atom_site_occupancy"
    )


def follows(contents: Contents, operations: Operations, cell: NDArray[np.float64]) -> bool:
    """Whether the contents of a cell obey some more operations, roughly.

    Parameters
    ----------
    contents : Contents
    operations : Operations
    cell : array, shape (3, 3)
        Å.

    Returns
    -------
    bool
    """
    from scipy.spatial import cKDTree

    if len(contents.positions) * len(operations) > MOST_SITES:
        return True  # not looked at
    box = np.linalg.norm(cell, axis=1)
    w = operations.rotations
    images = contents.positions @ w.reshape(-1, 3).T
    images = images.reshape(len(contents.positions), -1, 3) + operations.translations
    images -= np.floor(images)
    limit = _FOLLOWING
    points, targets = images.reshape(-1, 3) * box % box, contents.positions * box % box
    _, nearest = cKDTree(targets, boxsize=box).query(points, p=np.inf)
    difference = images.reshape(-1, 3) - contents.positions[nearest]
    difference -= np.rint(difference)
    far = np.linalg.norm(difference @ cell, axis=1) > limit
    main = np.zeros(len(contents.positions), dtype=np.int64)
    main[contents.site] = contents.number
    other = main[nearest] != np.repeat(main, len(operations))
    return not bool((far | other).any())
