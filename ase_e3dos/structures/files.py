"""The structures of a file, by the reader of its format.

CIF, POSCAR, phonopy's YAML, extended XYZ, JSON, JSON lines and Parquet are read by this package;
for what ASE and pymatgen read, and what not, see `ase_e3dos.structures.other_formats`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ase_e3dos.errors import (
    CrystalError,
    E3DOSError,
    UnreadableFileError,
    need_pyarrow,
    shortly,
)
from ase_e3dos.structures.json_text import parse_json
from ase_e3dos.structures.paths import PREFIXES, checked_file, suffix_of
from ase_e3dos.structures.records import (
    ARRAY_COLUMNS,
    id_in,
    is_structure_record,
    structure_of_record,
)
from ase_e3dos.structures.uncompressed import (
    COMPRESSIONS,
    LINE_BYTES,
    content_of,
    lines_of,
    opened,
)

__all__ = ["Found", "Record", "count_in_file", "holds_one_kind", "structures_in_file"]

_CIF_START = re.compile(rb"^(?:\xef\xbb\xbf)?\s*(?:#[^\n]*\n\s*)*data_\S*\s", re.IGNORECASE)


class Found(NamedTuple):
    """A structure where it was found.

    Attributes
    ----------
    id : str
        Of the record, or the path with its number where the file holds several.
    structure
        `Sites`, or an object of ASE, pymatgen or phonopy; or the `E3DOSError` in its place.
    """

    id: str
    structure: Any


class Record(NamedTuple):
    """A record of a JSON file, whose structure is yet to be made.

    Attributes
    ----------
    content
        As JSON has it.
    name : str
        What messages call it.
    """

    content: Any
    name: str

    def structure(self) -> Any:
        """What it holds, or the error that says why it holds nothing."""
        return _held(self.content, self.name)


Reader = Callable[[Path, str], Iterator[Found]]

#: Formats of files that hold records with ids of their own, or very many structures.
_OF_MANY = frozenset(
    (".json", ".mson", ".jsonl", ".ndjson", ".xyz", ".extxyz", ".parquet", ".traj", ".db")
)


def holds_one_kind(path: Path) -> bool:
    """Whether all ids in a file come from its path, so that it can be read elsewhere as a whole.

    Parameters
    ----------
    path : Path

    Returns
    -------
    bool
    """
    return suffix_of(path) not in _OF_MANY


def structures_in_file(
    path: Path, label: str | None = None, *, records: bool = False
) -> Iterator[Found]:
    """Structures of a file in its order; one that cannot be read is an error in its place.

    Parameters
    ----------
    path : Path
    label : str, optional
        What ids and messages call the file; its path if not given.
    records : bool, optional
        Give the records of JSON files as `Record`, whose structures are made later.

    Yields
    ------
    Found
        An error that ends the file (it is cut off, say) is the last.

    Raises
    ------
    UnreadableFileError
        There is no structure in the file, or it cannot be opened.
    """
    label = label or str(path)
    count = 0
    try:
        checked_file(path, label)
        for found in _reader(path)(path, label):
            if isinstance(found.structure, Record) and not records:
                yield Found(found.id, found.structure.structure())
            else:
                yield found
            count += 1
        if count == 0:
            raise UnreadableFileError(
                f"{label}: there is no structure in this file. Check whether it was written whole."
            )
    except GeneratorExit:
        raise
    except E3DOSError as error:
        yield Found(f"{label}[{count}]" if count else label, error)
    except Exception as error:  # noqa: BLE001 - readers of foreign formats raise anything
        text = (
            f"{label}: reading failed after {count} structures ({type(error).__name__}: {error})."
        )
        yield Found(f"{label}[{count}]" if count else label, UnreadableFileError(text))


def count_in_file(path: Path) -> int | None:
    """Structures in a file where that is quick to tell (a file of one kind of many is one).

    Parameters
    ----------
    path : Path

    Returns
    -------
    int or None
    """
    suffix = suffix_of(path)
    try:
        if suffix == ".parquet":
            need_pyarrow("counting the rows of a Parquet file")
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
            return sum(1 for line in lines_of(path, str(path)) if line.strip())
        if suffix in (".xyz", ".extxyz"):
            from ase_e3dos.structures.extxyz import count_frames

            return None if path.suffix.lower() in COMPRESSIONS else count_frames(path)
    except Exception:  # noqa: BLE001 - what is wrong with the file is said when it is read
        return None
    return 1


def _reader(path: Path) -> Reader:
    suffix = suffix_of(path)
    known: dict[str, Reader] = {
        ".cif": _cif,
        ".mcif": _cif,
        ".mmcif": _cif,
        ".vasp": _poscar,
        ".poscar": _poscar,
        ".contcar": _poscar,
        ".yaml": _phonopy,
        ".yml": _phonopy,
        ".json": _json,
        ".mson": _json,
        ".jsonl": _json_lines,
        ".ndjson": _json_lines,
        ".xyz": _extxyz,
        ".extxyz": _extxyz,
        ".parquet": _parquet,
        ".traj": _trajectory,
        ".db": _database,
    }
    if suffix in known:
        return known[suffix]
    if path.name.startswith(PREFIXES):
        return _poscar
    with opened(path, str(path)) as stream:
        return _cif if _CIF_START.match(stream.read(4096)) else _others


def _numbered(structures: Iterator[Any], label: str) -> Iterator[Found]:
    """Structures with the label as id, and their numbers where there are several."""
    first = next(structures, None)
    if first is None:
        raise UnreadableFileError(
            f"{label}: no structure is in this file. Check whether it is one."
        )
    second = next(structures, None)
    if second is None:
        yield Found(label, first)
        return
    yield Found(f"{label}[0]", first)
    yield Found(f"{label}[1]", second)
    for k, structure in enumerate(structures, 2):
        yield Found(f"{label}[{k}]", structure)


def _cif(path: Path, label: str) -> Iterator[Found]:
    from ase_e3dos.structures.cif import cif_sites

    return _numbered(cif_sites(content_of(path, label), label), label)


def _poscar(path: Path, label: str) -> Iterator[Found]:
    from ase_e3dos.structures.poscar import poscar_sites
    from ase_e3dos.structures.uncompressed import decoded

    yield Found(label, poscar_sites(decoded(content_of(path, label), label), label))


def _phonopy(path: Path, label: str) -> Iterator[Found]:
    from ase_e3dos.structures.phonopy_yaml import phonopy_sites
    from ase_e3dos.structures.uncompressed import decoded

    yield Found(label, phonopy_sites(decoded(content_of(path, label), label), label))


def _extxyz(path: Path, label: str) -> Iterator[Found]:
    from ase_e3dos.structures.extxyz import frames_of

    frames = frames_of(path, label)
    first = next(frames, None)
    if first is None:
        raise UnreadableFileError(f"{label}: there is no frame in this file. Write it again.")
    second = next(frames, None)
    yield Found(id_in(first.info) or (f"{label}[0]" if second else label), first.structure)
    if second is not None:
        yield Found(id_in(second.info) or f"{label}[1]", second.structure)
    for k, frame in enumerate(frames, 2):
        yield Found(id_in(frame.info) or f"{label}[{k}]", frame.structure)


def _json(path: Path, label: str) -> Iterator[Found]:
    """Structures of a JSON file: records in any nesting of lists, or by their ids; or ASE's."""
    from ase_e3dos.structures.other_formats import structures_by_others

    try:
        content = parse_json(content_of(path, label))
    except ValueError as error:
        raise UnreadableFileError(
            f"{label}: no structure could be read (it is not valid JSON: {error}). Check that the "
            "file is complete."
        ) from None
    records = list(_records(content))
    if not records and not (isinstance(content, Mapping) and "ids" in content):
        yield Found(label, UnreadableFileError(f"{label}: {_lacking(content)}"))
        return
    if not records:  # a database of ASE
        yield from _numbered(structures_by_others(path, label), label)
        return
    for k, (own, record) in enumerate(records):
        name = own or (label if len(records) == 1 else f"{label}[{k}]")
        yield Found(name, Record(record, name))


def _lacking(content: Any) -> str:
    """What is to be said about the content of a JSON file without a structure."""
    if isinstance(content, Mapping) and content:
        keys = ", ".join(repr(str(key)[:30]) for key in list(content)[:6])
        what = f"no structure is under its keys ({keys})"
    elif isinstance(content, (Mapping, list)):
        what = "it holds no structures" if content else "it is empty JSON"
    else:
        what = f"it holds {shortly(content)}, not a structure"
    return (
        f"{what}. Known are dictionaries of pymatgen (lattice, sites), of ASE, of JARVIS and of "
        f"{', '.join(ARRAY_COLUMNS)}, alone, in lists, or by ids."
    )


def _records(content: Any, own: str | None = None) -> Iterator[tuple[str | None, Any]]:
    """Records of structures in the content of a JSON file, with the ids they are under."""
    if isinstance(content, list):
        for item in content:
            yield from _records(item)
    elif isinstance(content, Mapping):
        if is_structure_record(content):
            yield own if "sites" in content else own or id_in(content), content
        elif all(isinstance(v, Mapping) and "sites" in v for v in content.values()):
            for key, value in content.items():
                yield from _records(value, str(key))


def _json_lines(path: Path, label: str) -> Iterator[Found]:
    """One record in each line."""
    for number, line in enumerate(lines_of(path, label, LINE_BYTES)):
        text = line.removeprefix(b"\xef\xbb\xbf") if number == 0 else line
        if not text.strip():
            continue
        name = f"{label}[{number}]"
        try:
            content = parse_json(text)
        except ValueError as error:
            yield Found(
                name,
                UnreadableFileError(
                    f"{name}: line {number + 1} is not JSON ({error}). The file may be cut off."
                ),
            )
            continue
        bare = not isinstance(content, Mapping) or "sites" in content
        name = name if bare else id_in(content) or name
        yield Found(name, Record(content, name))


def _held(record: Any, name: str) -> Any:
    """What a record holds, or the error that says why it holds nothing."""
    try:
        structure = structure_of_record(record, name)
    except E3DOSError as error:
        return error
    if isinstance(structure, (list, int, float, type(None))):
        return CrystalError(f"{name}: JSON without a structure. Write it with Structure.to_json().")
    return structure


def _parquet(path: Path, label: str) -> Iterator[Found]:
    from ase_e3dos.structures.tables import parquet_rows

    for name, structure in parquet_rows(path, label):
        yield Found(name, structure)


def _trajectory(path: Path, label: str) -> Iterator[Found]:
    from ase_e3dos.structures.other_formats import trajectory_frames

    for k, found in enumerate(_numbered(trajectory_frames(path, label), label)):
        info = getattr(found.structure, "info", None)
        own = id_in(info) if isinstance(info, Mapping) else None
        yield Found(own or (found.id if k or found.id != label else label), found.structure)


def _database(path: Path, label: str) -> Iterator[Found]:
    from ase_e3dos.structures.other_formats import database_rows

    for row in database_rows(path, label):
        name = f"{label}[id={row.id}]"
        try:
            yield Found(name, row.toatoms())
        except Exception as error:  # noqa: BLE001 - one bad row stops nothing
            yield Found(name, CrystalError(f"{name}: the row cannot be read ({error!r:.300})."))


def _others(path: Path, label: str) -> Iterator[Found]:
    from ase_e3dos.structures.other_formats import structures_by_others

    return _numbered(structures_by_others(path, label), label)
