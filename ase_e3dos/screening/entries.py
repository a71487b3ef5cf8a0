"""Entries of a screening run: an id, a crystal or the error in its place, and what they hash to.

The inputs are a stream of `Unread`: paths, records and arrays, which the process that predicts
them makes into entries. Ids are made unique before, where the order of the inputs is known.
"""

from __future__ import annotations

import pickle
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from ase_e3dos.structures.crystal import Crystal
from ase_e3dos.structures.reading import Unread, read_together

#: Entries looked up together; a slow source is not held back longer than `BLOCK_SECONDS`.
BLOCK_SIZE = 256
BLOCK_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Entry:
    """One structure of the input.

    Attributes
    ----------
    id : str
        What the user calls it; unique within a run.
    crystal : Crystal or Exception
        The crystal, or the error that says why there is none.
    content : str
        Hash of the crystal (or of the error's text), 32 hexadecimal digits.
    """

    id: str
    crystal: Crystal | Exception
    content: str


#: Begins the contents of what killed the process that read or predicted it.
_UNREAD = "unread:"


@dataclass(frozen=True, slots=True)
class Done:
    """Rows that are there.

    Attributes
    ----------
    rows
        Keys of ids, contents and model.
    has_deaths
        Whether some of them are of structures that killed their process.
    """

    rows: KeySet
    has_deaths: bool = False


def entries_of(unread: Unread) -> Iterator[Entry]:
    """Read a structure; of a file, all that it holds."""
    for reading in unread.readings():
        id_ = unread.id
        if unread.is_file:  # the number of the structure where there are several
            id_ += storable(reading.id).removeprefix(storable(str(unread.structure)))
        yield Entry(id_, reading.crystal, content_hash(reading.crystal))


def entries_of_several(several: Sequence[Unread]) -> list[Entry]:
    """`entries_of` some structures in order; those that are not files are read together."""
    found = []
    for is_file, some in groupby(several, lambda unread: unread.is_file):
        if is_file:
            found += [entry for unread in some for entry in entries_of(unread)]
            continue
        alike = list(some)
        crystals = [reading.crystal for reading in read_together(alike)]
        contents = content_hashes(crystals)
        found += map(Entry, (u.id for u in alike), crystals, contents)
    return found


@dataclass(slots=True)
class Missing:
    """The entries of a stream that have no row yet.

    Parameters
    ----------
    done
        Rows that are there.
    model_hash
        Of the run.

    Attributes
    ----------
    seen, skipped
        Entries that were looked at, and those of them that have a row.
    """

    done: Done
    model_hash: str
    seen: int = 0
    skipped: int = 0

    def of(self, several: Iterable[Unread]) -> Iterator[Entry]:
        """Read some structures and give what is missing; those of a block are asked for together.

        Parameters
        ----------
        several
            Few enough for memory.
        """
        if self.done.has_deaths:
            several = [u for u in several if not self._died(u)]
        entries = entries_of_several(list(several))
        keys = [key_of(e.id, e.content, self.model_hash) for e in entries]
        there = self.done.rows.contains(np.array(keys, dtype=np.uint64))
        self.seen += len(entries)
        self.skipped += int(there.sum())
        yield from (e for e, old in zip(entries, there.tolist(), strict=True) if not old)

    def _died(self, unread: Unread) -> bool:
        key = key_of(unread.id, unread_content(unread), self.model_hash)
        died = bool(self.done.rows.contains(np.array([key], dtype=np.uint64))[0])
        self.seen += died
        self.skipped += died
        return died


def unread_content(unread: Unread) -> str:
    """What stands for the content of a structure that cannot be read without dying."""
    digest = blake2b(digest_size=16)
    if unread.is_file:
        with suppress(OSError):
            status = unread.structure.stat()
            digest.update(f"{status.st_size} {status.st_mtime_ns}".encode())
    elif isinstance(unread.structure, (Crystal, Exception)):
        return _UNREAD + content_hash(unread.structure)
    else:
        digest.update(pickle.dumps(unread.structure))
    return _UNREAD + digest.hexdigest()


def is_death(content: str) -> bool:
    """Whether a row's content is that of a structure that killed its process."""
    return content.startswith(_UNREAD)


def content_hash(crystal: Crystal | Exception) -> str:
    """Hash of what a prediction depends on: cell, positions, species, fractions, masses.

    Equal for crystals that differ by less than about 1e-9 Å, whatever they are called.

    Returns
    -------
    str
        32 hexadecimal digits.
    """
    return content_hashes([crystal])[0]


def content_hashes(crystals: Sequence[Crystal | Exception]) -> list[str]:
    """`content_hash` of several crystals."""
    good = [c for c in crystals if isinstance(c, Crystal)]
    if good:
        # Adding zero turns -0.0, which has other bytes, into 0.0.
        cells = iter(np.round([c.cell for c in good], 9) + 0.0)
        places = np.round(np.concatenate([c.scaled_positions for c in good]), 9) + 0.0
    found, start = [], 0
    for crystal in crystals:
        digest = blake2b(digest_size=16)
        if isinstance(crystal, Crystal):
            digest.update(next(cells).data)
            digest.update(places[start : start + crystal.n_sites].data)
            start += crystal.n_sites
            digest.update(crystal.species_site.data)
            digest.update(crystal.species_number.data)
            digest.update(crystal.species_fraction.data)
            digest.update(crystal.species_mass.data)
        else:
            digest.update(error_text(crystal).encode())
        found.append(digest.hexdigest())
    return found


def error_text(error: BaseException) -> str:
    """What stands in the column `error`: the kind of error and its message."""
    return storable(f"{type(error).__name__}: {error}")


def storable(text: str) -> str:
    r"""Text that UTF-8 can hold: lone surrogates, as of file names in other codes, are escaped.

    Returns
    -------
    str
        The same text but for such signs; a byte FF of a file name becomes ``\udcff``.
    """
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def key_of(*parts: str) -> int:
    """64-bit hash of some strings."""
    return int.from_bytes(blake2b("\0".join(parts).encode(), digest_size=8).digest(), "little")


class KeySet:
    """A set of 64-bit keys in 8 bytes each, filled and asked by the block.

    A million ids take 8 MB, where a set of strings takes over 100. (Two of a million random
    keys are equal with a probability of 3e-8.)
    """

    def __init__(self, keys: NDArray[np.uint64] | None = None) -> None:
        self._runs: list[NDArray[np.uint64]] = []
        if keys is not None:
            self.add(keys)

    def __len__(self) -> int:
        return sum(map(len, self._runs))

    def contains(self, keys: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Which of the keys are there, shape as `keys`."""
        found = np.zeros(len(keys), dtype=bool)
        for run in self._runs:
            place = np.minimum(np.searchsorted(run, keys), len(run) - 1)
            found |= run[place] == keys
        return found

    def add(self, keys: NDArray[np.uint64]) -> None:
        """Add keys; those that are there already do no harm."""
        new = np.unique(keys[~self.contains(keys)])
        if len(new) == 0:
            return
        self._runs.append(new)
        # Sorted runs of falling length, so that there are few and each is merged seldom.
        while len(self._runs) > 1 and len(self._runs[-1]) * 2 > len(self._runs[-2]):
            last = self._runs.pop()
            self._runs[-1] = np.sort(np.concatenate([self._runs[-1], last]))


def with_unique_ids(several: Iterable[Unread]) -> Iterator[list[Unread]]:
    """Blocks in order; the second structure of an id gets "#2" behind it, and so on.

    Every input then has a row of its own, and the same one each time the input is read.
    """
    seen = KeySet()
    repeated: dict[str, int] = {}
    for block in _blocks(several):
        keys = np.array([key_of(u.id) for u in block], dtype=np.uint64)
        old = seen.contains(keys)
        if old.any() or len(np.unique(keys)) < len(keys):
            here: set[int] = set()
            for k, unread in enumerate(block):
                if old[k] or int(keys[k]) in here:
                    block[k], keys[k] = _renamed(unread, repeated, seen, here)
                here.add(int(keys[k]))
        seen.add(keys)
        yield block


def _renamed(
    unread: Unread, repeated: dict[str, int], seen: KeySet, here: set[int]
) -> tuple[Unread, int]:
    """The structure with the next number that makes its id a new one, and the key of that id."""
    while True:
        repeated[unread.id] = repeated.get(unread.id, 1) + 1
        name = f"{unread.id}#{repeated[unread.id]}"
        key = key_of(name)
        # The input may itself use names like "x#2".
        if key not in here and not seen.contains(np.array([key], dtype=np.uint64))[0]:
            return unread._replace(id=name), key


def _blocks(several: Iterable[Unread]) -> Iterator[list[Unread]]:
    block: list[Unread] = []
    began = time.monotonic()
    for unread in several:
        block.append(unread)
        if len(block) >= BLOCK_SIZE or time.monotonic() - began > BLOCK_SECONDS:
            yield block
            block = []
            began = time.monotonic()
    if block:
        yield block
