"""Several crystals, and their arrays laid end to end for operations on all of them at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import overload

import numpy as np
from numpy.typing import NDArray

from ase_e3dos.structures.crystal import Crystal
from ase_e3dos.structures.masses import ISOTOPE_TOLERANCE, STANDARD_MASSES

__all__ = ["Crystals"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


class Crystals(Sequence[Crystal]):
    """Crystals in their order; each array is made when it is first asked for.

    Parameters
    ----------
    crystals : sequence of Crystal
        At least one.
    """

    def __init__(self, crystals: Sequence[Crystal]) -> None:
        self._crystals = list(crystals)

    @classmethod
    def of(cls, crystals: Sequence[Crystal]) -> Crystals:
        """The same, if it is of this class already.

        Parameters
        ----------
        crystals : sequence of Crystal
            At least one.

        Returns
        -------
        Crystals
        """
        return crystals if isinstance(crystals, Crystals) else cls(crystals)

    def __len__(self) -> int:
        return len(self._crystals)

    def __iter__(self) -> Iterator[Crystal]:
        return iter(self._crystals)

    @overload
    def __getitem__(self, k: int) -> Crystal: ...

    @overload
    def __getitem__(self, k: slice) -> list[Crystal]: ...

    def __getitem__(self, k: int | slice) -> Crystal | list[Crystal]:
        return self._crystals[k]

    # ---- of crystals -------------------------------------------------------------------------

    @cached_property
    def n_sites(self) -> Ints:
        """Sites of each crystal, shape (n_crystals,)."""
        return np.array([len(c.scaled_positions) for c in self])

    @cached_property
    def cells(self) -> Floats:
        """Lattice vectors in rows, Å, shape (n_crystals, 3, 3)."""
        return np.array([c.cell for c in self])

    @cached_property
    def volumes(self) -> Floats:
        """`Crystal.volume` of each in Å^3, shape (n_crystals,)."""
        return np.asarray(np.abs(np.linalg.det(self.cells)), dtype=np.float64)

    @cached_property
    def of_one_element(self) -> Bools:
        """Whether a crystal holds one element alone, shape (n_crystals,)."""
        numbers, first = self.species_number, self.first_species
        return np.asarray(
            np.minimum.reduceat(numbers, first) == np.maximum.reduceat(numbers, first)
        )

    @cached_property
    def has_isotopes(self) -> Bools:
        """`Crystal.has_isotopes` of each, shape (n_crystals,)."""
        standard = STANDARD_MASSES[self.species_number]
        other = np.abs(self.species_mass - standard) > ISOTOPE_TOLERANCE * standard
        return self.any_species(other)

    # ---- of sites ----------------------------------------------------------------------------

    @cached_property
    def first_site(self) -> Ints:
        """First site of each crystal, shape (n_crystals,)."""
        return np.cumsum(self.n_sites) - self.n_sites

    @cached_property
    def crystal_of_site(self) -> Ints:
        """Which crystal each site belongs to, shape (n_sites in all,)."""
        return np.repeat(np.arange(len(self)), self.n_sites)

    @cached_property
    def scaled_positions(self) -> Floats:
        """In units of the lattice vectors, shape (n_sites in all, 3)."""
        return np.concatenate([c.scaled_positions for c in self])

    @cached_property
    def numbers(self) -> Ints:
        """`Crystal.numbers`, shape (n_sites in all,)."""
        return np.concatenate([c.numbers for c in self])

    @cached_property
    def standard_masses(self) -> Floats:
        """Standard mass of each site in amu, on mixed sites the average, (n_sites in all,)."""
        weights = self.species_fraction * STANDARD_MASSES[self.species_number]
        n = int(self.n_sites.sum())
        return np.bincount(self.species_site, weights, n).astype(np.float64, copy=False)

    # ---- of species --------------------------------------------------------------------------

    @cached_property
    def n_species(self) -> Ints:
        """Species on the sites of each crystal, shape (n_crystals,)."""
        return np.array([len(c.species_site) for c in self])

    @cached_property
    def first_species(self) -> Ints:
        """First species of each crystal, shape (n_crystals,)."""
        return np.cumsum(self.n_species) - self.n_species

    @cached_property
    def species_site(self) -> Ints:
        """Site of each species, counted through all crystals, shape (n_species in all,)."""
        sites = np.concatenate([c.species_site for c in self])
        return sites + np.repeat(self.first_site, self.n_species)

    @cached_property
    def species_number(self) -> Ints:
        """Atomic numbers, shape (n_species in all,)."""
        return np.concatenate([c.species_number for c in self])

    @cached_property
    def species_fraction(self) -> Floats:
        """Fractions of the sites, shape (n_species in all,)."""
        return np.concatenate([c.species_fraction for c in self])

    @cached_property
    def species_mass(self) -> Floats:
        """Masses in amu, shape (n_species in all,)."""
        return np.concatenate([c.species_mass for c in self])

    def any_species(self, holds: Bools) -> Bools:
        """Crystals with a species that something holds for.

        Parameters
        ----------
        holds : ndarray of bool, shape (n_species in all,)

        Returns
        -------
        ndarray of bool, shape (n_crystals,)
        """
        return np.asarray(np.logical_or.reduceat(holds, self.first_species))
