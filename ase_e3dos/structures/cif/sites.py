"""The atom sites of a CIF block: elements, positions, occupancies, moments."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ase_e3dos.structures.cif.text import Block
from ase_e3dos.structures.elements import (
    NotAnElementError,
    ambiguous_labels,
    element_against_label,
    element_of_label,
    element_of_symbol,
)
from ase_e3dos.structures.numerals import decimals_in, error_in, number_in
from ase_e3dos.structures.symmetry.orbits import COARSE_ROUNDING, ROUNDING

__all__ = ["AtomSites", "SiteError", "has_sites", "sites_of"]

_FRACTIONAL = ("_atom_site_fract_x", "_atom_site_fract_y", "_atom_site_fract_z")
_CARTESIAN = ("_atom_site_cartn_x", "_atom_site_cartn_y", "_atom_site_cartn_z")
_LABELS = ("_atom_site_label", "_atom_site_label_atom_id", "_atom_site_id")
_TYPES = ("_atom_site_type_symbol",)
_OCCUPANCY = "_atom_site_occupancy"
_FLAGS = ("_atom_site_calc_flag",)
_HYDROGENS = "_atom_site_attached_hydrogens"
_MODEL = "_atom_site_pdbx_pdb_model_num"
_GROUPS, _ASSEMBLIES = "_atom_site_disorder_group", "_atom_site_disorder_assembly"
_MULTIPLICITIES = (
    "_atom_site_site_symmetry_multiplicity",
    "_atom_site_symmetry_multiplicity",
)
#: Items of others that look like fractions, and those of the dictionaries that are none.
_LIKE_OCCUPANCY = re.compile(r"_atom_site_\w*(?:occ|sof$|_population$|_fraction$)")
_NO_OCCUPANCY = re.compile(
    r"_atom_site_(occupancy(_su|_esd)?|refinement_flags_occupancy|occ_(fourier|special)_\w*)$"
)


class SiteError(ValueError):
    """Atom sites that are not atoms, have no place, or no sensible occupancy."""


@dataclass(frozen=True, slots=True)
class AtomSites:
    """Sites of the asymmetric unit.

    Attributes
    ----------
    labels : list of str
    numbers : array of int, shape (n,)
        Atomic numbers.
    masses : array, shape (n,)
        amu.
    positions : array, shape (n, 3)
        Fractional coordinates.
    occupancies : array, shape (n,)
    texts : tuple of list of str
        The coordinates as they are written, or empty.
    multiplicities : list of int or None
        As the file states them.
    hydrogens_of : list of float
        Hydrogen atoms of each site without a place of their own (0 where none).
    guesses : tuple of str
        Elements that may be others, in words.
    contradictions : tuple of str
        Sites whose labels name other elements, in words.
    """

    labels: list[str]
    numbers: NDArray[np.int64]
    masses: NDArray[np.float64]
    positions: NDArray[np.float64]
    occupancies: NDArray[np.float64]
    texts: tuple[list[str], ...]
    multiplicities: list[int | None] | None
    hydrogens_of: list[float]
    guesses: tuple[str, ...] = ()
    contradictions: tuple[str, ...] = ()

    @property
    def roundings(self) -> NDArray[np.float64]:
        """How far each coordinate may be from what is meant, by its digits; shape (n, 3)."""
        if not self.texts:
            return np.full(self.positions.shape, ROUNDING)
        coarse = [[decimals_in(text) <= 2 for text in column] for column in self.texts]
        return np.where(np.array(coarse).T, COARSE_ROUNDING, ROUNDING)


def has_sites(block: Block) -> bool:
    """Whether a block has coordinates of atoms.

    Parameters
    ----------
    block : Block

    Returns
    -------
    bool
    """
    return any(all(tag in block for tag in tags) for tags in (_FRACTIONAL, _CARTESIAN))


def sites_of(
    block: Block, cell: NDArray[np.float64], formula: frozenset[str] = frozenset()
) -> AtomSites:
    """Sites of a block, without dummies and without those that are empty.

    Parameters
    ----------
    block : Block
    cell : array, shape (3, 3)
        Lattice vectors in rows, Å; the first along x, the second in the xy plane.
    formula : frozenset of str
        Elements of the formula that the block states.

    Returns
    -------
    AtomSites

    Raises
    ------
    SiteError
    """
    _one_model(block)
    tags = _FRACTIONAL if all(tag in block for tag in _FRACTIONAL) else _CARTESIAN
    if all(tag in block for tag in _CARTESIAN) and not any(block.value(t) for t in tags):
        tags = _CARTESIAN
    if tags is _CARTESIAN and np.array_equal(cell, np.eye(3)):  # of the Protein Data Bank
        raise SiteError(
            "the lengths of its cell are all 1, which stands for none. Give those of the crystal"
        )
    columns = [block.column(tag) or [] for tag in tags]
    n = len(columns[0])
    labels = _column(block, _LABELS, n)
    types = _column(block, _TYPES, n)
    flags = _column(block, _FLAGS, n)
    occupancy = _column(block, (_OCCUPANCY,), n)
    if any(len(column) != n for column in columns):
        raise SiteError("the columns of its atom sites differ in length")
    if labels is None and types is None:
        raise SiteError(
            "its atom sites have neither _atom_site_type_symbol nor _atom_site_label. Give the "
            "element of each"
        )
    called = [
        (label or symbol or f"number {k + 1}")
        for k, (label, symbol) in enumerate(
            zip(labels or [None] * n, types or [None] * n, strict=True)
        )
    ]
    share = [1.0] * n if occupancy is None else _occupancies(occupancy, called)
    kept = [
        k
        for k in range(n)
        if share[k] > 0.0 and not (flags and (flags[k] or "").lower().startswith("dum"))
    ]
    if not kept:
        raise SiteError("there is no atom among its sites")
    elements, guesses = _elements(kept, labels, types, called, formula)
    positions = _positions(columns, kept, called)
    texts: tuple[list[str], ...] = ()
    if tags is _CARTESIAN:
        positions = _fractional(block, positions, cell)
    else:
        texts = tuple([column[k] or "" for k in kept] for column in columns)
    _no_alternatives(block, n, kept, share if occupancy else None)
    if occupancy is None:
        _no_other_fractions(block, n, kept)
    return AtomSites(
        [called[k] for k in kept],
        np.array([z for z, _ in elements], dtype=np.int64),
        np.array([mass for _, mass in elements]),
        positions,
        np.array([share[k] for k in kept]),
        texts,
        _multiplicities(block, n, kept),
        _hydrogens(block, n, kept),
        guesses,
        _contradictions(kept, labels, types, elements),
    )


def _column(block: Block, tags: tuple[str, ...], n: int) -> list[str | None] | None:
    for tag in tags:
        values = block.column(tag)
        if values is not None and any(v is not None for v in values):
            if len(values) != n:
                raise SiteError(
                    f"{tag} has {len(values)} values for {n} sites. Put them into the loop of the "
                    "coordinates"
                )
            return values
    return None


def _one_model(block: Block) -> None:
    """Raise where the sites are those of several models on top of each other."""
    models = {v for v in block.column(_MODEL) or () if v is not None}
    if len(models) > 1:
        raise SiteError(
            f"there are {len(models)} models of the same atoms in it ({_MODEL}). Write the one you "
            "mean to a file of its own"
        )


def _no_alternatives(block: Block, n: int, kept: list[int], share: list[float] | None) -> None:
    """Raise where atoms in alternative places have no occupancies, or are all there in full."""
    groups = _column(block, (_GROUPS,), n)
    if groups is None:
        return
    assemblies = _column(block, (_ASSEMBLIES,), n) or [None] * n
    alternatives = {
        (assembly, group)
        for assembly, group in ((assemblies[k], groups[k]) for k in kept if _is_full(share, k))
        if group is not None and group != "0"
    }
    by_symmetry = any((group or "").startswith("-") for _, group in alternatives)
    if by_symmetry or len(alternatives) > len({assembly for assembly, _ in alternatives}):
        what = "without occupancies" if share is None else "with occupancies of one"
        raise SiteError(
            f"there are alternative places of atoms in it ({_GROUPS}) {what}. Give "
            f"their fractions in {_OCCUPANCY}"
        )


def _is_full(share: list[float] | None, k: int) -> bool:
    return share is None or share[k] > 0.99


def _no_other_fractions(block: Block, n: int, kept: list[int]) -> None:
    """Raise where fractions are in an item that is none of CIF, so that nobody would see them."""
    for name in block.names():
        if not _LIKE_OCCUPANCY.match(name) or _NO_OCCUPANCY.match(name):
            continue
        values = block.column(name) or []
        if len(values) != n:
            continue
        for k in kept:
            try:
                whole = values[k] is None or number_in(str(values[k])) == 1.0
            except ValueError:
                continue
            if not whole:
                raise SiteError(
                    f"{name} is not an item of CIF: the fractions belong in {_OCCUPANCY}. Call it "
                    "so, if these are fractions"
                )


def _occupancies(values: list[str | None], called: list[str]) -> list[float]:
    share = []
    for value, label in zip(values, called, strict=True):
        try:
            p = 1.0 if value is None else number_in(value)
        except ValueError:
            p = float("-inf")
        error = error_in(value) if value else 0.0
        if p > 1.0 or p < 0.0:  # zero or one, within what is known about it
            nearest = 1.0 if p > 1.0 else 0.0
            p = nearest if abs(p - nearest) <= error * (1 + 1e-9) else p
        if p < 0.0:
            raise SiteError(
                f"the occupancy of the site {label} is {value!r}. Write a number from 0 to 1, or "
                "leave it out for a site that is fully occupied"
            )
        share.append(p)
    return share


def _elements(
    kept: list[int],
    labels: list[str | None] | None,
    types: list[str | None] | None,
    called: list[str],
    formula: frozenset[str],
) -> tuple[list[tuple[int, float]], tuple[str, ...]]:
    """Element and mass of each site, by its type or else by its label; and what may be others."""
    symbols = [types[k] if types else None for k in kept]
    capitals = _in_capitals(symbols) if types else False
    of_labels = [labels[k] if labels else None for k in kept]
    label_capitals = _in_capitals(of_labels) if None in symbols else False
    found = []
    for k, symbol, label in zip(kept, symbols, of_labels, strict=True):
        try:
            if symbol is not None:
                found.append(element_of_symbol(symbol, capitals, formula))
            else:
                found.append(element_of_label(label or "", label_capitals, formula))
        except NotAnElementError as error:
            raise SiteError(f"site {called[k]}: {error}") from None
    guesses = []
    if label_capitals and not formula:
        only = [label for symbol, label in zip(symbols, of_labels, strict=True) if symbol is None]
        try:
            doubtful = ambiguous_labels(label for label in only if label)
        except NotAnElementError as error:
            raise SiteError(str(error)) from None
        if doubtful:
            label, symbol = next(iter(doubtful.items()))
            guesses.append(
                f"{len(doubtful)} label(s) in capitals such as {label!r} were read as {symbol}, "
                f"and may be {symbol[0]} with the name of the site"
            )
    if "T" in [symbol.strip(" 1+").upper() for symbol in symbols if symbol]:
        guesses += _tritium([z for z, _ in found], formula)
    return found, tuple(guesses)


#: Elements around a tetrahedral site.
_OF_FRAMEWORKS = frozenset((8, 13, 14, 15))


def _tritium(numbers: list[int], formula: frozenset[str]) -> list[str]:
    """What is to be said about the type T: tritium, or the tetrahedral site of a framework."""
    if "H" in formula:
        return []
    if formula or _OF_FRAMEWORKS & set(numbers):
        raise SiteError(
            "the atom type T would be tritium, which does not go with the other elements; in "
            "frameworks it is a tetrahedral site. Give the elements (3H for tritium)"
        )
    return ["the atom type T was read as tritium"]


def _contradictions(
    kept: list[int],
    labels: list[str | None] | None,
    types: list[str | None] | None,
    elements: list[tuple[int, float]],
) -> tuple[str, ...]:
    """Sites whose labels name other elements than their types."""
    if labels is None or types is None:
        return ()
    return tuple(
        f"the site {label} is of the type {types[k]!r}, which was taken"
        for k, (z, mass) in zip(kept, elements, strict=True)
        if types[k] is not None and (label := labels[k]) and element_against_label(z, mass, label)
    )


def _in_capitals(names: list[str | None]) -> bool:
    """Whether the letters of all names are capitals (or small ones): CO is cobalt then."""
    letters = ["".join(c for c in name if c.isalpha()) for name in names if name]
    return not any(word[:1].isupper() and word[1:2].islower() for word in letters)


def _positions(
    columns: list[list[str | None]], kept: list[int], called: list[str]
) -> NDArray[np.float64]:
    try:
        values = [[float(column[k]) for column in columns] for k in kept]  # type: ignore[arg-type]
        positions = np.array(values)
        if np.isfinite(positions).all():
            return positions
    except (TypeError, ValueError):
        pass
    positions = np.empty((len(kept), 3))
    for row, k in enumerate(kept):
        for axis, column in enumerate(columns):
            text = column[k]
            if text is None:
                raise SiteError(
                    f"the site {called[k]} has no position. Give its coordinates, or leave it out"
                )
            try:
                positions[row, axis] = number_in(text)
            except ValueError as error:
                raise SiteError(f"the position of the site {called[k]}: {error}") from None
    return positions


def _fractional(
    block: Block, positions: NDArray[np.float64], cell: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Fractional coordinates from Cartesian ones, by the matrix of the block if it has one."""
    for matrix_tag, vector_tag in (("_{}{}", "_{}"), ("[{}][{}]", "[{}]")):
        start = "_atom_sites_fract_tran_"
        texts = [
            block.value(f"{start}matrix{matrix_tag.format(i, j)}") for i in "123" for j in "123"
        ]
        if not all(texts):
            continue
        shifts = [block.value(f"{start}vector{vector_tag.format(i)}") or "0" for i in "123"]
        try:
            matrix = np.array([number_in(str(t)) for t in texts]).reshape(3, 3)
            vector = np.array([number_in(t) for t in shifts])
        except ValueError as error:
            raise SiteError(f"the matrix of its coordinates: {error}") from None
        return np.asarray(positions @ matrix.T + vector)
    return np.asarray(positions @ np.linalg.inv(cell))


def _multiplicities(block: Block, n: int, kept: list[int]) -> list[int | None] | None:
    values = _column(block, _MULTIPLICITIES, n)
    if values is None:
        return None
    texts = [values[k] for k in kept]
    return [int(t) if t is not None and t.isdigit() else None for t in texts]


def _hydrogens(block: Block, n: int, kept: list[int]) -> list[float]:
    values = _column(block, (_HYDROGENS,), n)
    if values is None:
        return []
    found = []
    for k in kept:
        try:
            found.append(number_in(values[k] or "0"))
        except ValueError:
            found.append(0.0)
    return found if any(found) else []
