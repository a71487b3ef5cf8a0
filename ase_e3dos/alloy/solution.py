"""SolidSolution: end members on common sites, and the crystals between them (Vegard)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ase_e3dos.alloy.matching import SiteMatch, match_sites, site_contents
from ase_e3dos.errors import AlloyError
from ase_e3dos.structures.crystal import Crystal

Array = NDArray[np.float64]

#: Sums of fractions this close to one are rounding.
_ROUNDING = 1e-6

#: Distance in Å up to which spglib takes two sites for equivalent.
_SYMPREC = 1e-3


class SolidSolution:
    """Crystals of any composition between end members of one structure type.

    The sites of the end members are matched whatever their setting, origin, orientation or
    order. Cells of different sizes are reduced to primitive ones first. In between, the
    cell and the positions are linear in the fractions (Vegard's law), in the common
    orientation in which the end members are strained but not rotated against each other, and
    each site holds the species of all end members with their fractions.

    Parameters
    ----------
    end_members : sequence
        Two or more of whatever `Crystal.from_any` takes; their own sites may be mixed.

    Raises
    ------
    AlloyError
        If there are fewer than two, or they are not of one structure type.
    CrystalError, UnreadableFileError
        If one is not a crystal.

    Notes
    -----
    Vegard's law is an assumption about geometry: bowing of the lattice constants and the local
    relaxation around each species are not in it.

    Examples
    --------
    >>> from ase.build import bulk
    >>> solution = SolidSolution([bulk("Cu"), bulk("Au")])
    >>> solution.crystal(0.25)
    Crystal(Cu0.75Au0.25, 1 sites, 12.9 Å^3)
    """

    def __init__(self, end_members: Sequence[Any]) -> None:
        given = tuple(Crystal.from_any(member) for member in end_members)
        if len(given) < 2:
            raise AlloyError(
                f"A solid solution has at least two end members; got {len(given)}. Predict a "
                "single disordered structure with `ase_e3dos.predict`."
            )
        self.given: tuple[Crystal, ...] = given
        crystals, matches = _common_setting(given)
        #: The end members in the common order of sites (each in its own cell where that has as
        #: many sites), shape (n_members,).
        self.members: tuple[Crystal, ...] = tuple(map(_member, crystals, matches))
        #: Their cells in common basis and orientation, shape (n_members, 3, 3), Å.
        self.cells: Array = _unrotated(np.array([match.cell for match in matches]))
        #: Their positions in this basis, shape (n_members, n_sites, 3).
        self.scaled_positions: Array = np.array([match.scaled_positions for match in matches])

    @property
    def n_members(self) -> int:
        """Number of end members."""
        return len(self.members)

    @property
    def n_sites(self) -> int:
        """Number of sites in the common cell."""
        return self.members[0].n_sites

    @property
    def mixed_sites(self) -> tuple[int, ...]:
        """Sites that the end members occupy differently."""
        contents = [site_contents(member) for member in self.members]
        return tuple(k for k in range(self.n_sites) if len({c[k] for c in contents}) > 1)

    def __repr__(self) -> str:
        names = ", ".join(member.formula for member in self.members)
        return f"SolidSolution({names}; {len(self.mixed_sites)} of {self.n_sites} sites mixed)"

    def weights(self, fractions: ArrayLike) -> Array:
        """Fractions of all end members, shape (n_members,), that sum to one.

        Parameters
        ----------
        fractions : float or array_like, shape (n_members,)
            With two end members a number is the fraction of the second.

        Returns
        -------
        ndarray, shape (n_members,)

        Raises
        ------
        AlloyError
            If they are not fractions of the end members.
        """
        p = np.array(fractions, dtype=np.float64)
        if p.ndim == 0 and self.n_members == 2:
            p = np.array([1.0 - p, p])
        names = ", ".join(member.formula for member in self.members)
        if p.shape != (self.n_members,):
            raise AlloyError(
                f"Fractions of shape {p.shape} do not fit the {self.n_members} end members "
                f"({names}). Give one fraction for each."
            )
        if not (p >= -_ROUNDING).all() or not abs(p.sum() - 1.0) <= _ROUNDING:
            given = ", ".join(f"{x:g}" for x in p)
            raise AlloyError(
                f"{given} are not fractions of {names}: they have to lie between 0 and 1 and to "
                "sum to 1."
            )
        p = np.maximum(p, 0.0)
        return np.asarray(p / p.sum())

    def cell(self, fractions: ArrayLike) -> Array:
        """Cell by Vegard's law, shape (3, 3), Å.

        Parameters
        ----------
        fractions : array_like, shape (n_members,) or a number
            As for `weights`.

        Returns
        -------
        ndarray, shape (3, 3)
            Lattice vectors in rows, Å.
        """
        return np.asarray(np.einsum("m,mij->ij", self.weights(fractions), self.cells))

    def crystal(self, fractions: ArrayLike) -> Crystal:
        """Crystal of a composition; see `weights` for the fractions.

        With all weight on one end member it is that end member, in its own cell.

        Parameters
        ----------
        fractions : array_like, shape (n_members,) or a number
            Of the end members; of two, the fraction of the second is enough.

        Returns
        -------
        Crystal

        Raises
        ------
        AlloyError
            If the fractions are not those of a mixture.
        """
        p = self.weights(fractions)
        present = np.flatnonzero(p > 0)
        if len(present) == 1:
            return self.members[int(present[0])]
        parts = [self.members[i] for i in present]
        return Crystal(
            self.cell(p),
            np.einsum("m,mij->ij", p, self.scaled_positions),
            np.concatenate([c.species_site for c in parts]),
            np.concatenate([c.species_number for c in parts]),
            np.concatenate([self.members[i].species_fraction * p[i] for i in present]),
            np.concatenate([c.species_mass for c in parts]),
        )

    def fractions_of(self, structure: Any, tolerance: float = 0.01) -> Array:
        """Fractions of the end members that give the composition of a structure.

        Parameters
        ----------
        structure
            Whatever `Crystal.from_any` takes: a supercell, say.
        tolerance : float
            Largest difference of an element's share of the atoms.

        Returns
        -------
        ndarray, shape (n_members,)

        Raises
        ------
        AlloyError
            If its composition is not a mixture of theirs.
        """
        from scipy.optimize import nnls

        crystal = Crystal.from_any(structure)
        shares = np.array([_shares(member) for member in self.members])
        wanted = _shares(crystal)
        # the last row, with a large weight, is the sum of the fractions
        p, _ = nnls(np.vstack([shares.T, np.full(self.n_members, 1e3)]), np.append(wanted, 1e3))
        if np.abs(p @ shares - wanted).max() > tolerance:
            names = ", ".join(member.formula for member in self.members)
            raise AlloyError(
                f"{crystal.name}: its composition {crystal.formula} is not a mixture of {names}. "
                "Give a supercell of the same alloy."
            )
        return self.weights(p / p.sum())


def _shares(crystal: Crystal) -> Array:
    """Share of each element in the sites, shape (119,)."""
    amounts = np.bincount(crystal.species_number, crystal.species_fraction, 119)
    return np.asarray(amounts / crystal.n_sites)


def _common_setting(given: Sequence[Crystal]) -> tuple[tuple[Crystal, ...], list[SiteMatch]]:
    """Crystals (as given or primitive) and how they match one of them."""
    if len({crystal.n_sites for crystal in given}) == 1:
        try:
            return tuple(given), _matched(given)
        except AlloyError:  # supercells of different shapes, perhaps
            pass
    primitive = tuple(map(_primitive, given))
    return primitive, _matched(primitive)


def _matched(crystals: Sequence[Crystal]) -> list[SiteMatch]:
    """Matches to the same crystal whatever the order given; sites in the order of the first."""
    ranks = sorted(range(len(crystals)), key=lambda i: _rank(crystals[i]))
    reference = crystals[ranks[0]]
    matches = [
        SiteMatch(c.cell, c.scaled_positions, np.arange(c.n_sites))
        if c is reference
        else match_sites(reference, c)
        for c in crystals
    ]
    if crystals[0].n_sites < reference.n_sites:
        return matches
    order = np.argsort(matches[0].sites)
    return [SiteMatch(m.cell, m.scaled_positions[order], m.sites[order]) for m in matches]


def _rank(crystal: Crystal) -> tuple[Any, ...]:
    volume = crystal.volume / crystal.n_sites
    return -crystal.n_sites, round(volume, 6), crystal.formula, crystal.cell.ravel().tolist()


def _member(crystal: Crystal, match: SiteMatch) -> Crystal:
    """Return the end member with its sites in the common order."""
    if crystal.n_sites == len(match.sites):  # as given: its prediction is the same to the bit
        cell, scaled = crystal.cell, crystal.scaled_positions[match.sites]
        if np.array_equal(match.sites, np.arange(crystal.n_sites)):
            return crystal
    else:
        cell, scaled = match.cell, match.scaled_positions
    return _with_sites(crystal, cell, scaled, match.sites)


def _with_sites(crystal: Crystal, cell: Array, scaled: Array, sites: NDArray[np.int64]) -> Crystal:
    """Crystal whose sites hold what the sites listed hold in another."""
    species = [np.flatnonzero(crystal.species_site == k) for k in sites]
    index = np.concatenate(species)
    return Crystal(
        cell,
        scaled,
        np.repeat(np.arange(len(sites)), [len(s) for s in species]),
        crystal.species_number[index],
        None if crystal.is_ordered else crystal.species_fraction[index],
        crystal.species_mass[index],
        crystal.name,
    )


def _primitive(crystal: Crystal) -> Crystal:
    """Primitive cell by spglib, the crystal itself where it has none smaller."""
    import spglib

    kinds: dict[tuple[Any, ...], int] = {}
    labels = [
        kinds.setdefault((content, round(mass, 3)), len(kinds))
        for content, mass in zip(site_contents(crystal), crystal.masses.tolist(), strict=True)
    ]
    atoms: Any = (crystal.cell, crystal.scaled_positions, labels)
    found: Any = spglib.standardize_cell(
        atoms,
        to_primitive=True,
        no_idealize=True,
        symprec=_SYMPREC,
    )
    if found is None or len(found[1]) >= crystal.n_sites:
        return crystal
    cell, scaled, found_labels = found
    sites = np.array([labels.index(label) for label in found_labels.tolist()])
    return _with_sites(crystal, cell, scaled, sites)


def _unrotated(cells: Array) -> Array:
    """Cells (m, 3, 3) turned so that they are pure strains of their mean.

    With h = h_mean S Q, S symmetric and Q orthogonal (reflections too), h_mean S remains: a
    result that depends neither on the choice of basis nor on the order. Left-handed cells are
    inverted, which no spectrum sees: phonopy expects right-handed ones.
    """
    mean = cells[0] * np.sign(np.linalg.det(cells[0]))
    for _ in range(50):
        strains = np.array([_stretch(np.linalg.solve(mean, cell)) for cell in cells])
        average = strains.mean(axis=0)
        if np.abs(average - np.eye(3)).max() < 1e-14:
            break
        mean = mean @ average
    return np.asarray(mean @ strains)


def _stretch(deformation: Array) -> Array:
    """Symmetric factor S of F = S Q."""
    from scipy.linalg import polar

    return np.asarray(polar(deformation, side="left")[1])
