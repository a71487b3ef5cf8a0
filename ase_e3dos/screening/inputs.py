"""Inputs of a screening run, as a stream of entries: files, directories, tables, iterables."""

from __future__ import annotations

import bz2
import glob
import gzip
import io
import lzma
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sized
from os import PathLike
from pathlib import Path
from typing import Any

from ase_e3dos.errors import CrystalError, E3DOSError, ScreeningError, UnreadableFileError
from ase_e3dos.screening.entries import Entry, content_hash, storable
from ase_e3dos.screening.tables import (
    ID_COLUMNS,
    Pair,
    crystal_of,
    is_table,
    parquet_pairs,
    record_pair,
    table_length,
    table_pairs,
)
from ase_e3dos.structures.crystal import Crystal, read_crystals
from ase_e3dos.structures.json_text import parse_json

#: In directories, files with these endings (before .gz, .bz2, .xz) are structures ...
SUFFIXES = frozenset(
    [
        ".cif",
        ".mcif",
        ".vasp",
        ".poscar",
        ".contcar",
        ".xyz",
        ".extxyz",
        ".traj",
        ".db",
        ".json",
        ".jsonl",
        ".ndjson",
        ".parquet",
        ".yaml",
        ".yml",
        ".xsf",
        ".res",
        ".cell",
        ".gen",
        ".in",
        ".xtl",
        ".cssr",
        ".mson",
        ".castep",
    ]
)
#: ... and files whose names begin so.
PREFIXES = ("POSCAR", "CONTCAR")
_COMPRESSED = (".gz", ".bz2", ".xz")
#: Endings that settings of programs have as well, and words of which a structure has one at least.
_GENERAL = frozenset([".json", ".yaml", ".yml"])
_STRUCTURE_WORDS = re.compile(
    rb"lattice|cell|sites|positions|coord|points|numbers|species|atoms|structure", re.IGNORECASE
)
_SNIFFED_BYTES = 2**20


def iter_entries(inputs: Any) -> Iterator[Entry]:
    """Stream the structures of any inputs; what cannot be read is an entry with its error.

    Parameters
    ----------
    inputs
        A path, directory or glob; a table (pandas, polars, pyarrow); a structure; a mapping from
        ids to structures; or an iterable of paths, structures, (id, structure) pairs, and
        dictionaries like the lines of a JSON file. Directories are searched with all below them,
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
    for name, crystal in _pairs(inputs):
        yield Entry(storable(name), crystal, content_hash(crystal))


def count_entries(inputs: Any) -> int | None:
    """How many structures there are, where that can be told without reading them all."""
    if isinstance(inputs, (str, PathLike)):
        inputs = [inputs]
    if is_table(inputs):
        return table_length(inputs)
    if _is_structure(inputs):
        return 1
    if isinstance(inputs, (list, tuple)):
        total = 0
        for item in inputs:
            if not isinstance(item, (str, PathLike)):
                total += 1
                continue
            for path in _files(item):
                count = _count(path)
                if count is None:
                    return None
                total += count
        return total
    return len(inputs) if isinstance(inputs, Sized) else None


def check_inputs(inputs: Any) -> None:
    """Raise where a path is wrong before anything starts."""
    items = [inputs] if isinstance(inputs, (str, PathLike)) else inputs
    if isinstance(items, (list, tuple)):
        for item in items:
            if isinstance(item, (str, PathLike)) and next(_files(item), None) is None:
                raise ScreeningError(
                    f"{item}: there is no structure file in it. Give files by name if their "
                    "endings are unusual; known are " + ", ".join(sorted(SUFFIXES)) + "."
                )


def _pairs(inputs: Any) -> Iterator[Pair]:
    if isinstance(inputs, (str, PathLike)):
        for path in _files(inputs):
            yield from _file_pairs(path)
    elif is_table(inputs):
        yield from table_pairs(inputs)
    elif _is_structure(inputs):
        yield _named("0", inputs)
    elif isinstance(inputs, Mapping):
        for name, structure in inputs.items():
            yield _named(str(name), structure)
    elif isinstance(inputs, Iterable) and not isinstance(inputs, (bytes, bytearray)):
        for number, item in enumerate(inputs):
            if isinstance(item, (str, PathLike)):
                yield from _pairs(item)
            elif isinstance(item, Mapping):
                yield record_pair(item, str(number))
            elif isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], (str, int)):
                yield _named(str(item[0]), item[1])
            else:
                yield _named(_id_of(item) or str(number), item)
    else:
        raise ScreeningError(
            f"inputs of type {type(inputs).__name__} cannot be screened. Give paths, a table, a "
            "mapping from ids to structures, or an iterable of structures."
        )


def _is_structure(value: Any) -> bool:
    """Whether it is one structure (several of their classes are iterable)."""
    if isinstance(value, Mapping):
        return "lattice" in value and "sites" in value
    return isinstance(value, Crystal) or hasattr(value, "cell") or hasattr(value, "lattice")


def _id_of(item: Any) -> str | None:
    info = getattr(item, "info", None) or getattr(item, "properties", None)
    if isinstance(info, dict):
        return next((str(info[c]) for c in ID_COLUMNS if info.get(c) is not None), None)
    return None


def _named(name: str, structure: Any) -> Pair:
    if isinstance(structure, E3DOSError):
        return name, structure
    return name, crystal_of(structure, name)


# Files ---------------------------------------------------------------------------------------


def _files(path: str | PathLike[str]) -> Iterator[Path]:
    """Files that a path, directory or glob stands for."""
    text = os.fsdecode(path)
    found = Path(text)
    if os.path.isdir(text):  # noqa: PTH112 - Path's own raises for names that are too long
        yield from _files_below(found)
    elif os.path.exists(text):  # noqa: PTH110
        yield found
    elif glob.has_magic(text):
        for match in sorted(glob.iglob(text, recursive=True)):  # noqa: PTH207 - any glob
            if Path(match).is_dir():
                yield from _files_below(Path(match))
            else:
                yield Path(match)
    else:
        short = text if len(text) < 200 else f"{text[:200]}..."
        raise ScreeningError(f"{short}: no such file or directory. Check the path.")


def _files_below(directory: Path) -> Iterator[Path]:
    for root, folders, names in os.walk(directory):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and (
                name.startswith(PREFIXES) or _suffix(Path(name)) in SUFFIXES
            ):
                path = Path(root, name)
                if not _is_of_another_kind(path):
                    yield path


def _is_of_another_kind(path: Path) -> bool:
    """Whether a JSON or YAML file speaks of no structure at all, like settings of a program.

    A damaged or empty one is not of another kind: it becomes a row with an error.
    """
    if path.suffix.lower() not in _GENERAL:
        return False
    try:
        with path.open("rb") as stream:
            beginning = stream.read(_SNIFFED_BYTES)
    except OSError:
        return False
    return bool(beginning.strip()) and _STRUCTURE_WORDS.search(beginning) is None


def _suffix(path: Path) -> str:
    """Ending in small letters, without that of a compression."""
    if path.suffix.lower() in _COMPRESSED:
        path = path.with_suffix("")
    return path.suffix.lower()


def _file_pairs(path: Path) -> Iterator[Pair]:
    """Structures of a file; if reading it fails, the error in the place where it did."""
    count = 0
    readers = {
        ".parquet": parquet_pairs,
        ".jsonl": _json_lines,
        ".ndjson": _json_lines,
        ".db": _ase_database,
        ".xyz": _frames,
        ".extxyz": _frames,
        ".traj": _frames,
    }
    try:
        for pair in readers.get(_suffix(path), _any_file)(path):
            yield pair
            count += 1
    except GeneratorExit:
        raise
    except E3DOSError as error:
        yield (f"{path}[{count}]" if count else str(path)), error
    except Exception as error:  # noqa: BLE001 - readers of foreign formats raise anything
        text = f"{path}: reading failed after {count} structures ({type(error).__name__}: {error})."
        yield (f"{path}[{count}]" if count else str(path)), UnreadableFileError(text)


def _any_file(path: Path) -> Iterator[Pair]:
    for crystal in read_crystals(path):
        yield crystal.name, crystal


def _frames(path: Path) -> Iterator[Pair]:
    """Frames of an extended XYZ file or trajectory; a frame that is no crystal stops nothing."""
    from ase.io import iread

    if not path.stat().st_size:
        raise UnreadableFileError(f"{path}: the file is empty. Write the structures again.")
    form = "traj" if _suffix(path) == ".traj" else "extxyz"
    frames = iread(str(path.absolute()), index=":", format=form, do_not_split_by_at_sign=True)
    for number, atoms in enumerate(frames):
        name = _id_of(atoms) or f"{path}[{number}]"
        yield _named(name, atoms)


def _ase_database(path: Path) -> Iterator[Pair]:
    from ase.db import connect

    for row in connect(str(path.absolute()), type="db").select():
        name = f"{path}[id={row.id}]"
        try:
            atoms = row.toatoms()
        except Exception as error:  # noqa: BLE001 - one bad row stops nothing
            yield name, CrystalError(f"{name}: the row cannot be read ({error!r}).")
        else:
            yield _named(name, atoms)


def _json_lines(path: Path) -> Iterator[Pair]:
    """One pymatgen structure in each line: bare, or in "structure" beside an id."""
    with _text(path) as stream:
        for number, line in enumerate(stream):
            if not line.strip():
                continue
            name = f"{path}[{number}]"
            try:
                content = parse_json(line)
            except ValueError as error:
                yield (
                    name,
                    UnreadableFileError(
                        f"{name}: line {number + 1} is not JSON ({error}). The file may be cut off."
                    ),
                )
                continue
            yield record_pair(content, name)


def _text(path: Path) -> io.TextIOBase:
    """The file's text, uncompressed; a byte order mark of Windows is passed over."""
    openers: dict[str, Any] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
    opened = openers.get(path.suffix.lower(), open)
    stream: io.TextIOBase = opened(path, "rt", encoding="utf-8-sig")
    return stream


def _count(path: Path) -> int | None:
    """Structures in a file where that is quick to tell (a file of one kind of many is one)."""
    suffix = _suffix(path)
    try:
        if suffix == ".parquet":
            import pyarrow.parquet as pq

            return int(pq.read_metadata(path).num_rows)
        if suffix == ".db":
            from ase.db import connect

            return int(connect(str(path.absolute()), type="db").count())
        if suffix == ".traj":
            from ase.io.trajectory import Trajectory

            with Trajectory(str(path)) as frames:
                return len(frames)
        if suffix in (".jsonl", ".ndjson"):
            with _text(path) as stream:
                return sum(1 for line in stream if line.strip())
        if suffix in (".xyz", ".extxyz"):
            return None if path.suffix.lower() in _COMPRESSED else _count_frames(path)
    except Exception:  # noqa: BLE001 - what is wrong with the file is said when it is read
        return None
    return 1


def _count_frames(path: Path) -> int:
    count = 0
    with path.open("rb") as stream:
        for line in stream:
            if line.strip():
                for _ in range(int(line) + 1):
                    stream.readline()
                count += 1
    return count
