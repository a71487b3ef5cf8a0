"""Inputs of a screening run, as a stream of entries."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ase_e3dos.errors import E3DOSError, ScreeningError
from ase_e3dos.screening.entries import Entry, content_hash, storable
from ase_e3dos.structures.reading import check_source, count, read_each

__all__ = ["check_inputs", "count_entries", "iter_entries"]


def iter_entries(inputs: Any) -> Iterator[Entry]:
    """Stream the structures of any inputs; what cannot be read is an entry with its error.

    Parameters
    ----------
    inputs : object, path or iterable of them
        Whatever `ase_e3dos.structures.read` takes. Directories are searched with all below them,
        in the order of names.

    Yields
    ------
    Entry
        Ids are those of the table, or the path (with the number of the structure where a file
        has several), or the place in the iterable. What UTF-8 cannot hold in them is escaped.

    Raises
    ------
    ScreeningError
        A path does not exist, or a glob or directory holds no structure file.
    """
    with _screening():
        for name, crystal in read_each(inputs):
            yield Entry(storable(name), crystal, content_hash(crystal))


def count_entries(inputs: Any) -> int | None:
    """How many structures there are, where that can be told without reading them all."""
    with _screening():
        return count(inputs)


def check_inputs(inputs: Any) -> None:
    """Raise where a path is wrong before anything starts."""
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
