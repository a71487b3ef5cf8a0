"""Inputs of a screening run, as a stream of entries."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ase_e3dos.errors import E3DOSError, ScreeningError
from ase_e3dos.screening.entries import Entry, entries_of, storable
from ase_e3dos.structures.crystal import Crystal
from ase_e3dos.structures.files import Record
from ase_e3dos.structures.reading import Unread, check_source, count, unread_each
from ase_e3dos.structures.sites import Sites

__all__ = ["check_inputs", "count_entries", "iter_entries", "iter_unread"]


def iter_unread(inputs: Any) -> Iterator[Unread]:
    """Stream the structures of any inputs, each to be read where it is predicted.

    Parameters
    ----------
    inputs : object, path or iterable of them
        Whatever `ase_e3dos.structures.read` takes. Directories are searched with all below them,
        in the order of names.

    Yields
    ------
    Unread
        Ids are those of the table, or the path, or the place in the iterable. What UTF-8 cannot
        hold in them is escaped. What is in memory already comes as a crystal.

    Raises
    ------
    ScreeningError
        A path does not exist, or a glob or directory holds no structure file.
    """
    with _screening():
        for unread in unread_each(inputs):
            sent = unread.is_file or isinstance(unread.structure, _SENT)
            made = unread if sent else _made(unread)
            yield made._replace(id=storable(made.id))


#: What is read by the workers; objects of other libraries may hold anything (a calculator, say).
_SENT = (Sites, Record, Crystal, E3DOSError)


def _made(unread: Unread) -> Unread:
    (reading,) = unread.readings()
    return unread._replace(structure=reading.crystal)


def iter_entries(inputs: Any) -> Iterator[Entry]:
    """Stream the structures of any inputs; what cannot be read is an entry with its error.

    Parameters
    ----------
    inputs
        As for `iter_unread`.

    Yields
    ------
    Entry
        Ids as those of `iter_unread`; with the number of the structure where a file has several.

    Raises
    ------
    ScreeningError
        A path does not exist, or a glob or directory holds no structure file.
    """
    for unread in iter_unread(inputs):
        yield from entries_of(unread)


def count_entries(inputs: Any) -> int | None:
    """How many structures there are, where that can be told without reading them all.

    Parameters
    ----------
    inputs : object
        As for `ase_e3dos.screen`.

    Returns
    -------
    int or None
    """
    with _screening():
        return count(inputs)


def check_inputs(inputs: Any) -> None:
    """Raise where a path is wrong before anything starts.

    Parameters
    ----------
    inputs : object
        As for `ase_e3dos.screen`.
    """
    with _screening():
        check_source(inputs)


@contextmanager
def _screening() -> Iterator[None]:
    """Errors about the inputs as those of a screening."""
    try:
        yield
    except ScreeningError:
        raise
    except E3DOSError as error:
        raise ScreeningError(str(error)) from error
