"""The one way from anything to crystals."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

from ase_e3dos.errors import CrystalError, E3DOSError, UnreadableFileError
from ase_e3dos.structures.crystal import Crystal
from ase_e3dos.structures.files import (
    Found,
    Record,
    count_in_file,
    holds_one_kind,
    structures_in_file,
)
from ase_e3dos.structures.objects import formula_of, is_single
from ase_e3dos.structures.paths import SUFFIXES, files_of
from ase_e3dos.structures.records import id_in, is_structure_record, structure_of_record
from ase_e3dos.structures.tables import is_row, is_table, row_of_table, table_length, table_rows
from ase_e3dos.structures.together import sound_crystals

__all__ = [
    "Reading",
    "Unread",
    "check_source",
    "count",
    "read",
    "read_ahead",
    "read_each",
    "read_together",
    "unread_each",
]


class Reading(NamedTuple):
    """One structure of a source.

    Attributes
    ----------
    id : str
        Of the record or the row, or the path (with the number of the structure where a file has
        several), or the place in the list.
    crystal : Crystal or E3DOSError
        The crystal, with what there is to say about it in `Crystal.warnings`; or why there is none.
    """

    id: str
    crystal: Crystal | E3DOSError


class Unread(NamedTuple):
    """A structure of a source before it is read: small, and the same in another process.

    Attributes
    ----------
    id : str
        As that of `Reading`; of a file, its path.
    name : str
        What messages call it.
    structure
        What it is read from: the path of a file, a record, arrays, an object, or an error.
    is_file : bool
        Whether it is the path of a file that may hold several structures.
    """

    id: str
    name: str
    structure: Any
    is_file: bool = False

    def readings(self) -> Iterator[Reading]:
        """Read it; of a file, all that it holds."""
        if not self.is_file:
            yield Reading(self.id, _crystal(self.structure, self.name))
            return
        for found in structures_in_file(self.structure):
            yield Reading(found.id, _crystal(found.structure, found.id))


def read(source: Any) -> list[Crystal]:
    """All crystals of a source.

    Parameters
    ----------
    source : object, path or iterable of them
        One structure or many, in any mixture: objects of ASE (Atoms, rows, databases,
        trajectories), pymatgen (structures, their dictionaries, computed entries), phonopy,
        spglib's (cell, positions, numbers), `Crystal`; the path of a file of one or many
        structures (CIF, POSCAR, extended XYZ, phonopy YAML, JSON, JSON lines, Parquet, ase.db,
        trajectories, and what ASE reads), of a directory, or a pattern such as ``runs/*.cif``;
        a table of pandas, polars or pyarrow, or a row of one of pandas; a dictionary from names to
        structures; any list, array, series or iterator of these.

    Returns
    -------
    list of Crystal
        In the order of the source.

    Raises
    ------
    E3DOSError
        The first structure that cannot be read, by its name.

    Examples
    --------
    >>> from ase.build import bulk
    >>> read([bulk("Cu"), bulk("NaCl", "rocksalt", a=5.64)])  # doctest: +ELLIPSIS
    [Crystal(structure 0 (Cu): Cu, 1 sites, 11.8 Å^3), Crystal(structure 1 (ClNa): NaCl, ...)]
    """
    crystals = []
    for reading in read_each(source):
        if isinstance(reading.crystal, E3DOSError):
            raise reading.crystal
        crystals.append(reading.crystal)
    return crystals


def read_each(source: Any) -> Iterator[Reading]:
    """Crystals of a source, one by one; what cannot be read is an error in its place.

    Nothing is read before its turn, so that a source may have no end. No warnings are issued:
    what there is to say about a crystal is in its `warnings`.

    Parameters
    ----------
    source : object, path or iterable of them
        As for `read`.

    Yields
    ------
    Reading

    Raises
    ------
    UnreadableFileError
        A path does not exist.
    CrystalError
        The source is of a kind that holds no structures.
    """
    for unread in unread_each(source):
        yield from unread.readings()


def read_ahead(source: Any, size: int) -> Iterator[Reading]:
    """As `read_each`, but small structures are read some at a time, which is several times faster.

    Parameters
    ----------
    source : object, path or iterable of them
        As for `read`.
    size : int
        How many structures may be taken from the source before the first of them is given.

    Yields
    ------
    Reading

    Raises
    ------
    UnreadableFileError, CrystalError
        As `read_each`, and what the source raises: after all that came before it.
    """
    waiting: list[Unread] = []
    failure = None
    unread_ones = unread_each(source)
    while failure is None:
        try:
            unread = next(unread_ones, None)
        except Exception as error:  # noqa: BLE001 - raised below
            unread, failure = None, error
        if unread is None:
            break
        waiting.append(unread)
        if len(waiting) >= size:
            yield from read_together(waiting)
            waiting = []
    yield from read_together(waiting)
    if failure is not None:
        raise failure


def read_together(several: Sequence[Unread]) -> Iterator[Reading]:
    """The readings of some structures, in order; those of one structure each are read together.

    Parameters
    ----------
    several : sequence of Unread
        Few enough for memory.

    Yields
    ------
    Reading
    """
    single = [u for u in several if not u.is_file]
    sound = iter(sound_crystals([u.structure for u in single], [u.name for u in single]))
    for unread in several:
        crystal = None if unread.is_file else next(sound)
        if crystal is None:
            yield from unread.readings()
        else:
            yield Reading(unread.id, crystal)


def unread_each(source: Any) -> Iterator[Unread]:
    """Structures of a source one by one, each to be read where and when it is wanted.

    Files of one format for each structure (CIF, POSCAR and the like) are not opened; records of
    JSON files and rows of tables are taken out of their files, and crystals are not yet made.

    Parameters
    ----------
    source
        As for `read`.

    Yields
    ------
    Unread

    Raises
    ------
    UnreadableFileError, CrystalError
        As `read_each`.
    """
    for name, found in _found(source):
        if isinstance(found.structure, _File):
            yield Unread(found.id, name, found.structure.path, is_file=True)
        else:
            yield Unread(found.id, name, found.structure)


class _File(NamedTuple):
    """A file found where a structure is looked for."""

    path: Path


def count(source: Any) -> int | None:
    """How many structures a source has, where that can be told without reading them all.

    Parameters
    ----------
    source : object
        As for `read`.

    Returns
    -------
    int or None
    """
    if isinstance(source, (str, PathLike)):
        source = [source]
    if is_row(source):
        return 1
    if is_table(source):
        return table_length(source)
    if _is_one(source):
        return 1
    if isinstance(source, (list, tuple)):
        total = 0
        for item in source:
            if not isinstance(item, (str, PathLike)):
                total += 1
                continue
            for path in files_of(item):
                found = count_in_file(path)
                if found is None:
                    return None
                total += found
        return total
    return len(source) if isinstance(source, Sized) else None


def check_source(source: Any) -> None:
    """Raise where a path is wrong before anything starts.

    Parameters
    ----------
    source : object
        As for `read`.

    Raises
    ------
    UnreadableFileError
        A path does not exist, or a directory or pattern holds no structure file.
    """
    items = [source] if isinstance(source, (str, PathLike)) else source
    if isinstance(items, (list, tuple)):
        for item in items:
            if isinstance(item, (str, PathLike)) and next(files_of(item), None) is None:
                raise UnreadableFileError(_nothing_in(item))


def _nothing_in(item: str | PathLike[str]) -> str:
    return (
        f"{item}: there is no structure file in it. Give files by name if their endings are "
        f"unusual; known are {', '.join(sorted(SUFFIXES))}."
    )


Named = tuple[str, Found]
"""What messages call it, and the structure."""


def _found(source: Any) -> Iterator[Named]:
    if isinstance(source, (str, PathLike)):
        yield from _in_path(source)
    elif is_row(source):
        yield from _item(source, "0")
    elif _is_series(source):
        for key, item in source.items():
            yield str(key), Found(str(key), item)
    elif is_table(source):
        for name, structure in table_rows(source):
            yield name, Found(name, structure)
    elif _is_one(source):
        yield _one(source, "0", None)
    elif isinstance(source, Mapping):
        for key, item in source.items():
            yield str(key), Found(str(key), item)
    elif hasattr(source, "select") and hasattr(source, "count"):  # a database of ASE
        for row in source.select():
            yield f"row {row.id}", Found(f"row {row.id}", row)
    elif isinstance(source, Iterable) and not isinstance(source, (bytes, bytearray)):
        items: Any = source
        if _is_object_array(source):
            items = items.ravel()
        for number, item in enumerate(items):
            yield from _item(item, str(number))
    else:
        raise CrystalError(
            f"an object of type {type(source).__name__} holds no structures. Give structures, "
            "paths, a table, a mapping from names to structures, or an iterable of these."
        )


def _in_path(path: str | PathLike[str]) -> Iterator[Named]:
    nothing = True
    for file in files_of(path):
        nothing = False
        if holds_one_kind(file):
            yield str(file), Found(str(file), _File(file))
            continue
        for found in structures_in_file(file, records=True):
            yield found.id, found
    if nothing:
        raise UnreadableFileError(_nothing_in(path))


def _item(item: Any, number: str) -> Iterator[Named]:
    """What an item of a list stands for: a file may hold many structures."""
    if isinstance(item, (str, PathLike)):
        yield from _in_path(item)
    elif is_row(item):
        for name, structure in row_of_table(item):
            yield name, Found(name, structure)
    elif isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], (str, int)):
        yield str(item[0]), Found(str(item[0]), item[1])
    else:
        yield _one(item, number, f"structure {number}")


def _one(item: Any, number: str, called: str | None) -> Named:
    """One structure under its own name, or under the one of its place."""
    if isinstance(item, Crystal):
        return item.name, Found(number, item)
    info = item if isinstance(item, Mapping) else _info(item)
    own = id_in(info) if isinstance(info, Mapping) and "sites" not in info else None
    if own is not None:
        return own, Found(own, item)
    if called is not None and hasattr(item, "get_chemical_formula"):
        called = f"{called} ({formula_of(item)})"
    return called or "", Found(number, item)


def _info(item: Any) -> Any:
    found = getattr(item, "info", None) or getattr(item, "properties", None)
    return found if isinstance(found, Mapping) else {}


def _crystal(structure: Any, name: str) -> Crystal | E3DOSError:
    """The crystal of a structure, or the error that says why not."""
    if isinstance(structure, Record):
        structure = structure.structure()
    if isinstance(structure, E3DOSError):
        return structure
    try:
        if isinstance(structure, bytes) or (isinstance(structure, str) and _is_text(structure)):
            structure = structure_of_record(structure, name)
        return Crystal.quietly(structure, name or None)
    except E3DOSError as error:
        return error
    except Exception as error:  # noqa: BLE001 - damaged objects raise anything
        return CrystalError(
            f"{name or 'the structure'}: no crystal could be made of it ({error!r:.300})."
        )


def _is_text(value: str) -> bool:
    """Whether a value of a mapping is the text of a structure, not the path of a file."""
    return "\n" in value or value.lstrip().startswith(("{", "[", "data_"))


def _is_one(source: Any) -> bool:
    """Whether it is one structure (several of their classes are iterable)."""
    if isinstance(source, Mapping):
        return is_structure_record(source)
    return isinstance(source, Crystal) or is_single(source)


def _is_series(source: Any) -> bool:
    kinds = {(c.__module__.partition(".")[0], c.__name__) for c in type(source).__mro__}
    return ("pandas", "Series") in kinds


def _is_object_array(source: Any) -> bool:
    return getattr(getattr(source, "dtype", None), "kind", "") == "O" and hasattr(source, "ravel")
