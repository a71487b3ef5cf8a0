"""The crystal that every later stage works on: a periodic cell and the species on its sites.

`Crystal.from_any` takes what users have (ASE Atoms, pymatgen Structure, PhonopyAtoms, a file);
what these hold is read by `ase_e3dos.structures.objects` and `ase_e3dos.structures.files`, the
checks are in `ase_e3dos.structures.checks`.
"""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from math import gcd
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import ArrayLike, NDArray

from ase_e3dos.errors import CrystalError, E3DOSError, E3DOSWarning
from ase_e3dos.structures.checks import checked_fractions, checked_geometry, checked_species
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

# By electronegativity (Pauling), as chemists write formulas.
_FORMULA_ORDER = (
    "Fr Cs K Rb Ba Ra Na Sr Li Ca Ac La Tb Yb Ce Pm Pr Nd Sm Eu Gd Dy Y Ho Er Tm Lu Pu Am Bk Cf "
    "Cm Es Fm Hf Lr Md No Th Mg Zr Np Sc U Pa Ta Ti Mn Be Nb Al Tl V Zn Cr Cd In Ga Fe Co Cu Re "
    "Si Tc Ni Ag Sn Hg Po Ge Bi B Sb Te Mo As P At H Ir Os Pd Rn Ru Pt Rh Pb W Au C Se S Xe I "
    "Br Kr N Cl O F Ar Bh Cn Db Ds Fl He Hs Lv Mc Mt Ne Nh Og Rf Rg Sg Ts"
)
_FORMULA_RANK = {chemical_symbols.index(s): i for i, s in enumerate(_FORMULA_ORDER.split())}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Crystal:
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

    cell: NDArray[np.float64]
    scaled_positions: NDArray[np.float64]
    species_site: NDArray[np.int64]
    species_number: NDArray[np.int64]
    species_fraction: NDArray[np.float64]
    species_mass: NDArray[np.float64]
    name: str
    remarks: tuple[Remark, ...]

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
    ) -> None:
        self._build(
            cell, scaled_positions, species_site, species_number, species_fraction, species_mass,
            tuple(remarks), name,
        )  # fmt: skip
        self.warn()

    def _build(
        self,
        cell: ArrayLike,
        scaled_positions: ArrayLike,
        species_site: ArrayLike,
        species_number: ArrayLike,
        species_fraction: ArrayLike | None,
        species_mass: ArrayLike | None,
        remarks: tuple[Remark, ...],
        name: str,
    ) -> None:
        label = name or _Composition(species_number)
        h, f = checked_geometry(cell, scaled_positions, label)
        site, number, fraction, mass = checked_species(
            len(f), species_site, species_number, species_fraction, species_mass, label
        )
        ordered = fraction is None and len(site) == len(f)
        if fraction is None:
            fraction = np.ones(len(site))
        if mass is None:
            mass = STANDARD_MASSES[number]
        if not ordered:
            site, number, fraction, mass = _sorted_species(site, number, fraction, mass)
            fraction, remark = checked_fractions(len(f), site, fraction, label)
            remarks = remarks if remark is None else (*remarks, remark)
        self._fill((h, f, site, number, fraction, mass, name, remarks))
        if not name:
            object.__setattr__(self, "name", self.formula)

    def _fill(self, values: tuple[Any, ...]) -> None:
        for field, value in zip(self.__slots__, values, strict=True):
            if isinstance(value, np.ndarray):
                value.setflags(write=False)
            object.__setattr__(self, field, value)

    def _renamed(self, name: str) -> Crystal:
        crystal = object.__new__(Crystal)
        crystal._fill((*self.__getstate__()[:-2], name, self.remarks))
        return crystal

    def __getstate__(self) -> tuple[Any, ...]:
        return tuple(getattr(self, field) for field in self.__slots__)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self._fill(state)

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
            return obj if name is None or name == obj.name else obj._renamed(name)
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
        crystal = object.__new__(Crystal)
        crystal._build(*sites, name)
        return crystal

    @classmethod
    def of_checked(
        cls,
        cell: NDArray[np.float64],
        scaled_positions: NDArray[np.float64],
        species_site: NDArray[np.int64],
        species_number: NDArray[np.int64],
        species_fraction: NDArray[np.float64],
        species_mass: NDArray[np.float64],
        name: str,
    ) -> Crystal:
        """Crystal of arrays that have passed the checks; they become its own, read-only.

        Parameters
        ----------
        cell, scaled_positions, species_site, species_number, species_fraction, species_mass
            As a crystal holds them.
        name : str
            Its formula if empty.

        Returns
        -------
        Crystal
        """
        crystal = object.__new__(cls)
        sites = (cell, scaled_positions, species_site, species_number, species_fraction)
        crystal._fill((*sites, species_mass, name, ()))
        if not name:
            object.__setattr__(crystal, "name", crystal.formula)
        return crystal

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
    def is_ordered(self) -> bool:
        """Whether every site holds one species with fraction one."""
        return len(self.species_site) == self.n_sites and bool((self.species_fraction == 1.0).all())

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

    @property
    def formula(self) -> str:
        """Reduced formula, such as "SrTiO3"; with mixed sites "Mg3Sb1.5Bi0.5".

        The same for a supercell and whatever the order of the sites.
        """
        if self.is_ordered:
            counts = Counter(self.species_number.tolist())
            factor = gcd(*counts.values())
            amounts = {z: counts[z] / factor for z in sorted(counts, key=_FORMULA_RANK.__getitem__)}
        else:
            amounts = self._mixed_amounts()
        return "".join(f"{chemical_symbols[z]}{_amount(n)}" for z, n in amounts.items())

    def _mixed_amounts(self) -> dict[int, float]:
        contents: dict[tuple[tuple[float, int], ...], int] = {}
        for site in np.split(np.arange(len(self.species_site)), self._site_starts[1:]):
            species = zip(-self.species_fraction[site], self.species_number[site], strict=True)
            key = tuple(sorted((round(float(p), 6), int(z)) for p, z in species))
            contents[key] = contents.get(key, 0) + 1
        factor = gcd(*contents.values())
        amounts: dict[int, float] = {}
        for key in sorted(contents, key=lambda k: (_FORMULA_RANK[k[0][1]], k)):
            for fraction, z in key:
                amounts[z] = amounts.get(z, 0.0) - fraction * contents[key] / factor
        return amounts

    @property
    def _site_starts(self) -> NDArray[np.intp]:
        return np.flatnonzero(np.diff(self.species_site, prepend=-1))

    def to_atoms(self) -> Atoms:
        """ASE Atoms of the crystal.

        Mixed sites carry their main element, with the occupations in `info["occupancy"]` and
        `arrays["spacegroup_kinds"]` as ASE's CIF reader writes them. Masses are set only where
        they are not ASE's own (on mixed sites: the averages).
        """
        masses = None
        if not np.array_equal(self.species_mass, self.standard_masses):
            masses = self.masses / np.bincount(self.species_site, self.species_fraction)
        sites = Sites(*(getattr(self, field) for field in self.__slots__[:-2]))
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


class _Composition:
    """Name for messages about a crystal without one, worked out only when it is needed."""

    def __init__(self, numbers: ArrayLike) -> None:
        self.numbers = numbers

    def __str__(self) -> str:
        counts: dict[str, int] = {}
        for z in np.ravel(self.numbers).tolist():
            symbol = chemical_symbols[int(z)] if 0 <= z < len(chemical_symbols) else f"({z})"
            counts[symbol] = counts.get(symbol, 0) + 1
        return "".join(f"{s}{_amount(n)}" for s, n in counts.items()) or "the structure"


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


def _amount(n: float) -> str:
    return "" if abs(n - 1.0) < 1e-6 else f"{round(n, 4):g}"
