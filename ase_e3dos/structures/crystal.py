"""The crystal that every later stage works on: a periodic cell and the species on its sites.

`Crystal.from_any` takes what users have (ASE Atoms, pymatgen Structure, PhonopyAtoms, a file);
what these hold is read by `ase_e3dos.structures.objects` and `ase_e3dos.structures.files`, the
checks are in `ase_e3dos.structures.checks`.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from itertools import islice
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ase_e3dos.errors import CrystalError, E3DOSError, E3DOSWarning
from ase_e3dos.structures.checked_sites import CheckedSites, checked_sites
from ase_e3dos.structures.files import structures_in_file
from ase_e3dos.structures.masses import ISOTOPE_TOLERANCE, STANDARD_MASSES
from ase_e3dos.structures.objects import (
    atoms_from_sites,
    name_of,
    sites_of_atoms,
    sites_of_object,
)
from ase_e3dos.structures.paths import path_of
from ase_e3dos.structures.records import structure_of_record
from ase_e3dos.structures.sites import Remark, Sites

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["Crystal", "read_crystals"]


class Crystal(CheckedSites):
    """A periodic crystal whose sites hold one or several species.

    Built with `from_any` from other people's structures, or directly. Every instance has
    passed the checks: finite numbers, a cell with a volume, elements 1 to 118, no two sites
    closer than 0.3 Å. Positions are wrapped into the cell; arrays are read-only.

    Parameters
    ----------
    cell : array_like, shape (3, 3)
        Lattice vectors in rows, Å. Left-handed and skewed cells are fine.
    scaled_positions : array_like, shape (n_sites, 3)
        Positions of the sites in units of the lattice vectors.
    species_site : array_like of int, shape (n_species,)
        The site on which each species sits.
    species_number : array_like of int, shape (n_species,)
        Atomic numbers.
    species_fraction : array_like, shape (n_species,), optional
        Fractions of the sites that the species occupy; one if not given. Sums within 0.002 of
        one (thirds written with three digits) are rounding and are made one. Smaller sums are
        vacancies: a `PartialOccupationWarning` is given, encoders see the occupied part as it
        is, and the site still counts as a full one with three modes.
    species_mass : array_like, shape (n_species,), optional
        Masses in amu; `STANDARD_MASSES` if not given.
    name : str, optional
        What messages call the crystal; its formula if not given.
    remarks : iterable of Remark, optional
        What there was to say about reading it; partial occupations are added. See `warnings`.
    checks : bool, optional
        False for arrays that have passed the checks (another crystal's, say): they become this
        crystal's own as they are, and nothing is warned about.

    Raises
    ------
    CrystalError
        If this is not a crystal that can be predicted; the message names it and says why.

    Examples
    --------
    >>> rock_salt = Crystal([[0, 2.8, 2.8], [2.8, 0, 2.8], [2.8, 2.8, 0]],
    ...                     [[0, 0, 0], [0.5, 0.5, 0.5]], [0, 1], [11, 17])
    >>> rock_salt
    Crystal(NaCl, 2 sites, 43.9 Å^3)
    """

    __slots__ = ()

    def __init__(
        self,
        cell: ArrayLike,
        scaled_positions: ArrayLike,
        species_site: ArrayLike,
        species_number: ArrayLike,
        species_fraction: ArrayLike | None = None,
        species_mass: ArrayLike | None = None,
        name: str = "",
        remarks: Iterable[Remark] = (),
        *,
        checks: bool = True,
    ) -> None:
        arrays = (cell, scaled_positions, species_site, species_number, species_fraction)
        given = Sites(*arrays, species_mass, tuple(remarks))
        if not checks:
            super().__init__(*given[:6], name, given[6])
            if not name:
                object.__setattr__(self, "name", self.formula)
            return
        ready = checked_sites(given, name)
        super().__init__(*ready._arrays(), name or ready.formula, ready.remarks)
        self.warn()

    def __reduce__(self) -> tuple[Any, ...]:
        # Arrays that come out of a pickle can be written to; made anew, the crystal's cannot.
        return partial(type(self), checks=False), (*self._arrays(), self.name, self.remarks)

    def __repr__(self) -> str:
        called = "" if self.name == self.formula else f"{self.name}: "
        return f"Crystal({called}{self.formula}, {self.n_sites} sites, {self.volume:.1f} Å^3)"

    @classmethod
    def from_any(cls, obj: Any, name: str | None = None) -> Crystal:
        """Crystal from whatever describes one.

        Parameters
        ----------
        obj : Crystal, ase.Atoms, pymatgen Structure, PhonopyAtoms, str or path, ...
            Structures may have mixed sites: `info["occupancy"]` as ASE's CIF reader writes it,
            disordered pymatgen structures, phonopy's mixtures. Lengths are in Å (those of
            PhonopyAtoms in memory too, whatever the calculator). A path is a file with one
            structure. Dictionaries of these objects, entries and documents that hold a structure,
            a Phonopy object (its unit cell) and spglib's (cell, positions, numbers) are taken too;
            for several structures there is `ase_e3dos.structures.read`.
        name : str, optional
            What messages call it; the file or the formula if not given.

        Returns
        -------
        Crystal

        Raises
        ------
        CrystalError
            If it is not a crystal that can be predicted.
        UnreadableFileError
            If the file cannot be read.

        Examples
        --------
        >>> from ase.build import bulk
        >>> Crystal.from_any(bulk("MgO", "rocksalt", a=4.21)).formula
        'MgO'
        """
        crystal = cls.quietly(obj, name)
        if crystal.remarks and not isinstance(obj, Crystal):
            crystal.warn()
        return crystal

    @classmethod
    def quietly(cls, obj: Any, name: str | None = None) -> Crystal:
        """As `from_any`, but nothing is warned about: what there is to say stays in `warnings`."""
        from ase import Atoms

        if isinstance(obj, Atoms):
            return cls._of_sites(sites_of_atoms(obj, name or ""), name or "")
        if isinstance(obj, Crystal):
            if name is None or name == obj.name:
                return obj
            return cls(*obj._arrays(), name, obj.remarks, checks=False)
        if isinstance(obj, (str, PathLike)):
            return cls._of_file(obj, name)
        if isinstance(obj, Sites):
            return cls._of_sites(obj, name or "")
        if isinstance(obj, Mapping):
            return cls.quietly(structure_of_record(obj, name or "the dictionary"), name)
        label = name or name_of(obj)
        return cls._of_sites(sites_of_object(obj, label), label)

    @classmethod
    def _of_file(cls, given: str | PathLike[str], name: str | None) -> Crystal:
        label = name or os.fsdecode(given)
        several = list(islice(structures_in_file(path_of(given), label), 2))
        if len(several) > 1:
            raise CrystalError(
                f"{label}: the file holds several structures and one is needed. Use "
                "ase_e3dos.structures.read(path) for all of them, or write the one you mean to a "
                "file of its own."
            )
        structure = several[0].structure
        if isinstance(structure, E3DOSError):
            raise structure
        return cls.quietly(structure, label)

    @classmethod
    def _of_sites(cls, sites: Sites, name: str) -> Crystal:
        ready = checked_sites(sites, name)
        return cls(*ready._arrays(), name, ready.remarks, checks=False)

    @property
    def warnings(self) -> tuple[E3DOSWarning, ...]:
        """What there is to say about this crystal before it is predicted."""
        return tuple(remark.about(self.name) for remark in self.remarks)

    def warn(self, stacklevel: int = 3) -> None:
        """Issue the `warnings`."""
        for warning in self.warnings:
            warnings.warn(warning, stacklevel=stacklevel)

    @property
    def n_sites(self) -> int:
        """Number of sites in the cell."""
        return len(self.scaled_positions)

    @property
    def positions(self) -> NDArray[np.float64]:
        """Cartesian positions in Å, shape (n_sites, 3)."""
        return self.scaled_positions @ self.cell

    @property
    def volume(self) -> float:
        """Volume of the cell in Å^3 (positive for left-handed cells too)."""
        return float(abs(np.linalg.det(self.cell)))

    @property
    def numbers(self) -> NDArray[np.int64]:
        """Atomic number of each site, shape (n_sites,); of its main species where mixed.

        With equal fractions the lightest element is the main one.
        """
        if len(self.species_site) == self.n_sites:
            return self.species_number
        order = np.lexsort((-self.species_number, self.species_fraction, self.species_site))
        last = np.flatnonzero(np.diff(self.species_site, append=self.n_sites))
        return self.species_number[order][last]

    @property
    def masses(self) -> NDArray[np.float64]:
        """Sum of fraction times mass on each site in amu, shape (n_sites,)."""
        weights = self.species_fraction * self.species_mass
        return np.bincount(self.species_site, weights).astype(np.float64, copy=False)

    @property
    def standard_masses(self) -> NDArray[np.float64]:
        """Standard mass of each species in amu, shape (n_species,)."""
        return STANDARD_MASSES[self.species_number]

    @property
    def has_isotopes(self) -> bool:
        """Whether a mass differs from the standard one by more than `ISOTOPE_TOLERANCE`."""
        standard = self.standard_masses
        return bool((abs(self.species_mass - standard) > ISOTOPE_TOLERANCE * standard).any())

    def to_atoms(self) -> Atoms:
        """ASE Atoms of the crystal.

        Mixed sites carry their main element, with the occupations in `info["occupancy"]` and
        `arrays["spacegroup_kinds"]` as ASE's CIF reader writes them. Masses are set only where
        they are not ASE's own (on mixed sites: the averages).
        """
        masses = None
        if not np.array_equal(self.species_mass, self.standard_masses):
            masses = self.masses / np.bincount(self.species_site, self.species_fraction)
        sites = Sites(*self._arrays())
        return atoms_from_sites(sites, self.numbers, masses, mixed=not self.is_ordered)


def read_crystals(path: str | PathLike[str]) -> Iterator[Crystal]:
    """All crystals of a file, one by one.

    Parameters
    ----------
    path : str or path
        A file of one or several structures; see `ase_e3dos.structures.read` for anything else.

    Yields
    ------
    Crystal
        Named after the file, with the index in brackets where it has several.

    Raises
    ------
    UnreadableFileError
        If the file cannot be read.
    CrystalError
        If one of its structures is not a crystal; raised when its turn comes.
    """
    for found in structures_in_file(path_of(path), os.fsdecode(path)):
        if isinstance(found.structure, E3DOSError):
            raise found.structure
        yield Crystal.from_any(found.structure, found.id)
