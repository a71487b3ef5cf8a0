"""Sites that have passed the checks: what a crystal is made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ase_e3dos.structures.checks import checked_fractions, checked_geometry, checked_species
from ase_e3dos.structures.formula import Composition, mixed_formula, reduced_formula
from ase_e3dos.structures.masses import STANDARD_MASSES
from ase_e3dos.structures.sites import Remark, Sites

__all__ = ["CheckedSites", "checked_sites"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class CheckedSites:
    """Sites with everything filled in. Their arrays become read-only.

    Parameters
    ----------
    cell : ndarray, shape (3, 3)
        Lattice vectors in rows, Å.
    scaled_positions : ndarray, shape (n_sites, 3)
        Within the cell, in units of the lattice vectors.
    species_site, species_number : ndarray of int, shape (n_species,)
        Site and atomic number of each species; sites ascend.
    species_fraction : ndarray, shape (n_species,)
        Fractions of the sites.
    species_mass : ndarray, shape (n_species,)
        Masses in amu.
    name : str
        What messages call them.
    remarks : tuple of Remark
        What there is to say about them.
    """

    cell: Floats
    scaled_positions: Floats
    species_site: Integers
    species_number: Integers
    species_fraction: Floats
    species_mass: Floats
    name: str
    remarks: tuple[Remark, ...]

    def __post_init__(self) -> None:
        for array in self._arrays():
            array.setflags(write=False)

    def _arrays(self) -> tuple[Floats, Floats, Integers, Integers, Floats, Floats]:
        """The arrays, in the order of the fields."""
        return (
            self.cell, self.scaled_positions,
            self.species_site, self.species_number, self.species_fraction, self.species_mass,
        )  # fmt: skip

    @property
    def is_ordered(self) -> bool:
        """Whether every site holds one species with fraction one."""
        n_sites = len(self.scaled_positions)
        return len(self.species_site) == n_sites and bool((self.species_fraction == 1.0).all())

    @property
    def formula(self) -> str:
        """Reduced formula, such as "SrTiO3"; with mixed sites "Mg3Sb1.5Bi0.5".

        The same for a supercell and whatever the order of the sites.
        """
        if self.is_ordered:
            return reduced_formula(self.species_number)
        return mixed_formula(self.species_site, self.species_number, self.species_fraction)


def checked_sites(sites: Sites, name: str = "") -> CheckedSites:
    """Check sites as they were read, and fill in what they leave out.

    Parameters
    ----------
    sites : Sites
        Their arrays are not kept: those of the result are new.
    name : str, optional
        What messages call them; the formula if not given.

    Returns
    -------
    CheckedSites
        Named `name`, which may be empty.

    Raises
    ------
    CrystalError
        If this is not a crystal that can be predicted; the message names it and says why.
    """
    label = name or Composition(sites.species_number)
    h, f = checked_geometry(sites.cell, sites.scaled_positions, label)
    site, number, fraction, mass = checked_species(len(f), *sites[2:6], label)
    remarks = tuple(sites.remarks)
    ordered = fraction is None and len(site) == len(f)
    if fraction is None:
        fraction = np.ones(len(site))
    if mass is None:
        mass = STANDARD_MASSES[number]
    if not ordered:
        site, number, fraction, mass = _sorted_species(site, number, fraction, mass)
        fraction, remark = checked_fractions(len(f), site, fraction, label)
        remarks = remarks if remark is None else (*remarks, remark)
    return CheckedSites(h, f, site, number, fraction, mass, name, remarks)


def _sorted_species(
    site: NDArray[np.int64],
    number: NDArray[np.int64],
    fraction: NDArray[np.float64],
    mass: NDArray[np.float64],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """By site, number and mass; equal species of a site (Fe2+ and Fe3+, say) are one."""
    order = np.lexsort((mass, number, site))
    site, number, fraction, mass = site[order], number[order], fraction[order], mass[order]
    key = np.stack([site, number, mass])
    first = np.flatnonzero(np.append(True, (np.diff(key) != 0).any(axis=0)))
    if len(first) < len(site) and (fraction > 0).all():  # wrong fractions are refused later
        fraction = np.add.reduceat(fraction, first)
        site, number, mass = site[first], number[first], mass[first]
    return site, number, fraction, mass
