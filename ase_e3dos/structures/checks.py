"""Checks that every crystal passes: cell, positions, species, occupations."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ase_e3dos.errors import CrystalError, PartialOccupationWarning
from ase_e3dos.structures.contacts import MIN_DISTANCE, close_contact, heights_of
from ase_e3dos.structures.sites import Remark

__all__ = [
    "MAX_LENGTH",
    "MAX_ROOM",
    "MIN_ROOM",
    "MOST_SITES",
    "OCCUPATION_EXCESS",
    "checked_fractions",
    "checked_geometry",
    "checked_species",
    "unit_of_length",
]

MOST_SITES = 200_000
"""Most sites of a structure that is read from a file, whatever its format."""

MAX_LENGTH = 1e4
"""Longest component of a lattice vector (Å): neighbour searches fail far beyond it."""

FRACTION_ROUNDING = 2e-3
"""Sums of fractions this close to one are one, written with few digits."""

OCCUPATION_EXCESS = 1e-2
"""Sums of fractions up to this much over one are made one, with a warning."""

_SPARSE = 0.5

_LONG = 100.0  # Å
MIN_ROOM, MAX_ROOM = 0.15, 1e6
"""Å^3 for each site: less or more is a cell in another unit (nm, pm), and refused.

Caesium, which has most, would have 0.12 in nm; sites of disordered crystals lie closer than atoms.
"""

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def checked_geometry(
    cell: ArrayLike, scaled_positions: ArrayLike, label: object
) -> tuple[FloatArray, FloatArray]:
    """Cell and wrapped scaled positions as new float64 arrays, or a CrystalError.

    Parameters
    ----------
    cell : array_like, shape (3, 3)
        Lattice vectors in rows, Å.
    scaled_positions : array_like, shape (n_sites, 3)
    label : object
        What messages call the structure.

    Returns
    -------
    cell : ndarray, shape (3, 3)
    scaled_positions : ndarray, shape (n_sites, 3)

    Raises
    ------
    CrystalError
        Shapes are wrong, numbers are not finite, there is no volume, or sites coincide.
    """
    h = _floats(cell, "cell", label)
    f = _floats(scaled_positions, "scaled positions", label)
    if h.shape != (3, 3):
        raise CrystalError(
            f"{label}: the cell has shape {h.shape}, but three lattice vectors in rows are "
            "needed, shape (3, 3). Give the full cell matrix in Å."
        )
    if f.size == 0:
        raise CrystalError(
            f"{label}: there are no atoms in the cell, so there are no phonons. Check how the "
            "structure was read or built."
        )
    if f.ndim != 2 or f.shape[1] != 3:
        raise CrystalError(
            f"{label}: positions have shape {f.shape}, but (n_sites, 3) is needed. Give one row "
            "of three coordinates for each site."
        )
    if not np.isfinite(h).all() or not np.isfinite(f).all():
        raise CrystalError(
            f"{label}: the cell or the positions hold numbers that are not finite (nan or inf). "
            "Look where the structure comes from; a relaxation may have failed."
        )
    longest = float(np.abs(h).max())
    if longest > MAX_LENGTH:
        raise CrystalError(
            f"{label}: the cell is {longest:.3g} Å long, more than {MAX_LENGTH:g} Å. Check its "
            "unit, which is Å, and whether the file is damaged."
        )
    heights = heights_of(h, label)
    wrong_unit = unit_of_length(h, len(f))
    f -= np.floor(f)
    f[f >= 1.0] = 0.0  # -1e-17 wraps to 1.0
    contact = close_contact(h, f, heights, label)
    if contact is not None:
        i, j, distance = contact
        raise CrystalError(
            f"{label}: sites {i} and {j}{' (its own image)' if i == j else ''} are "
            f"{distance:.3f} Å apart, less than {MIN_DISTANCE} Å. "
            + (
                f"{wrong_unit[0].upper()}{wrong_unit[1:]}."
                if wrong_unit
                else "The cell is too small: check its unit, which is Å."
                if i == j
                else "They look like one atom entered twice, or like a disordered site written "
                "as several: keep one of them, or give one site with fractions."
            )
        )
    if wrong_unit:
        raise CrystalError(f"{label}: {wrong_unit}.")
    return h, f


def unit_of_length(cell: FloatArray, n_sites: int) -> str:
    """What is to be said about a cell that is much too small or large for its sites, or "".

    Parameters
    ----------
    cell : ndarray, shape (3, 3)
        Å.
    n_sites : int

    Returns
    -------
    str
    """
    (ax, ay, az), (bx, by, bz), (cx, cy, cz) = cell.tolist()  # plain floats, for speed
    volume = ax * (by * cz - bz * cy) + ay * (bz * cx - bx * cz) + az * (bx * cy - by * cx)
    room = abs(volume) / n_sites
    if MIN_ROOM <= room <= MAX_ROOM:
        return ""
    if room > MAX_ROOM and np.linalg.norm(cell, axis=1).min() < _LONG:
        return ""  # a chain or a layer in much empty space
    unit = "nm" if room < MIN_ROOM else "pm"
    return (
        f"the cell has {room:.3g} Å^3 for each of its {n_sites} sites, as if its lengths were in "
        f"{unit}. Give them in Å"
    )


def checked_species(
    n_sites: int,
    species_site: ArrayLike,
    species_number: ArrayLike,
    species_fraction: ArrayLike | None,
    species_mass: ArrayLike | None,
    label: object,
) -> tuple[IntArray, IntArray, FloatArray | None, FloatArray | None]:
    """Species arrays with their final types, or a CrystalError.

    Parameters
    ----------
    n_sites : int
    species_site, species_number : array_like of int, shape (n_species,)
    species_fraction, species_mass : array_like, shape (n_species,), or None
        Masses in amu.
    label : object
        What messages call the structure.

    Returns
    -------
    site, number : ndarray of int, shape (n_species,)
    fraction, mass : ndarray, shape (n_species,), or None
        As they were given.

    Raises
    ------
    CrystalError
        Shapes differ, a site is empty or not there, or an element or a mass is impossible.
    """
    site = np.array(species_site, dtype=np.int64)
    number = np.array(species_number, dtype=np.int64)
    fraction = None if species_fraction is None else _floats(species_fraction, "fractions", label)
    mass = None if species_mass is None else _floats(species_mass, "masses", label)
    for what, array in (("numbers", number), ("fractions", fraction), ("masses", mass)):
        if array is not None and (array.shape != site.shape or array.ndim != 1):
            raise CrystalError(
                f"{label}: there are {site.size} species but the array of {what} has shape "
                f"{array.shape}. Give one value for each species."
            )
    if number.min(initial=1) < 1 or number.max(initial=1) > 118:
        wrong = number[(number < 1) | (number > 118)][0]
        where = site[(number < 1) | (number > 118)][0]
        raise CrystalError(
            f"{label}: site {where} has atomic number {wrong}, which is not a chemical element "
            "(dummy atoms X have 0). Remove the site or give its element."
        )
    if len(site) != n_sites or (site != np.arange(n_sites)).any():
        empty = np.setdiff1d(np.arange(n_sites), site)
        if len(empty) or site.min() < 0 or site.max() >= n_sites:
            what = f"site {empty[0]} has no species" if len(empty) else "a site index is wrong"
            raise CrystalError(
                f"{label}: {what} (there are {n_sites} sites). Give each site at least one species."
            )
    if mass is not None and not (np.isfinite(mass) & (mass > 0)).all():
        where = site[~(np.isfinite(mass) & (mass > 0))][0]
        raise CrystalError(
            f"{label}: the mass on site {where} is not a positive number. Remove the masses to "
            "use the standard ones, or give them in amu."
        )
    return site, number, fraction, mass


def checked_fractions(
    n_sites: int, site: IntArray, fraction: FloatArray, label: object
) -> tuple[FloatArray, Remark | None]:
    """Fractions with rounding removed, and what is to be said about sites that are not whole.

    Parameters
    ----------
    n_sites : int
    site : ndarray of int, shape (n_species,)
        The site on which each species sits.
    fraction : ndarray, shape (n_species,)
    label : object
        What messages call the structure.

    Returns
    -------
    fraction : ndarray, shape (n_species,)
    remark : Remark or None

    Raises
    ------
    CrystalError
        A fraction is not a number from 0 to 1, or a site holds more than one.
    """
    if not (np.isfinite(fraction) & (fraction > 0)).all():
        where = site[~(np.isfinite(fraction) & (fraction > 0))][0]
        raise CrystalError(
            f"{label}: a fraction on site {where} is not a positive number. Give fractions above "
            "zero and up to one, and leave out species that are not there."
        )
    total: FloatArray = np.bincount(site, weights=fraction, minlength=n_sites).astype(np.float64)
    over = np.flatnonzero(total > 1.0 + OCCUPATION_EXCESS + 1e-9)
    if len(over):
        raise CrystalError(
            f"{label}: the fractions on site {over[0]} sum to {total[over[0]]:.4g}, more than "
            "one. Give fractions that sum to at most one."
        )
    whole = total >= 1.0 - FRACTION_ROUNDING
    remark = _occupation_remark(total)
    fraction = fraction / np.where(whole, total, 1.0)[site]
    fraction[whole[site] & (np.bincount(site, minlength=n_sites)[site] == 1)] = 1.0
    return fraction, remark


def _occupation_remark(total: FloatArray) -> Remark | None:
    """What is to be said about the sums of the fractions on the sites."""
    texts = []
    vacant = np.flatnonzero(total < 1.0 - FRACTION_ROUNDING)
    if len(vacant):
        texts.append(
            f"{len(vacant)} site(s), the first of them number {vacant[0]}, are occupied only in "
            "part. The occupied part is used as it is (the features are sums of fraction times "
            "mass) and each site counts as a full one with three modes. If this is not meant, "
            "complete the occupations to one."
        )
        if len(vacant) == len(total) and total.max() <= _SPARSE:
            texts.append(
                "No site is half full: some programs write multiplicities over that of the general "
                "position for occupations; then write fractions from 0 to 1."
            )
    over = np.flatnonzero(total > 1.0 + FRACTION_ROUNDING)
    if len(over):
        texts.append(
            f"The occupations on {len(over)} site(s), the first of them number {over[0]}, add to "
            f"{total[over].max():.4g} and were divided by their sum. If this is not rounding, "
            "correct them."
        )
    return Remark(PartialOccupationWarning, " ".join(texts)) if texts else None


def _floats(values: ArrayLike, what: str, label: object) -> FloatArray:
    try:
        return np.array(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise CrystalError(
            f"{label}: the {what} are not numbers ({error}). Give real numbers."
        ) from error
