"""Extended XYZ files, frame by frame."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from ase_e3dos.errors import CrystalError, UnreadableFileError
from ase_e3dos.structures.checks import MOST_SITES
from ase_e3dos.structures.elements import (
    NotAnElementError,
    element_of_symbol,
    look_like_types,
)
from ase_e3dos.structures.fractions import FRACTION_NAMES
from ase_e3dos.structures.json_text import parse_json
from ase_e3dos.structures.numerals import number_in
from ase_e3dos.structures.objects import sites_of_atoms
from ase_e3dos.structures.sites import Sites
from ase_e3dos.structures.uncompressed import lines_of

__all__ = ["Frame", "count_frames", "frames_of"]

#: Longest line, in bytes, and most columns of a line.
_LINE_BYTES, _MOST_COLUMNS = 16 * 2**20, 10_000

_PAIR = re.compile(
    r"""\s*(?P<key>"[^"]*"|[^\s=]+)
        (?:\s*=\s*(?P<value>"(?:\\.|[^"\\])*"|'[^']*'|\{[^}]*\}|\[[^\]]*\]|\S*))?""",
    re.VERBOSE,
)
_SPECIES = ("species", "symbols", "element", "Z", "numbers")
_TRUE, _FALSE = frozenset(("t", "true", "1", ".true.")), frozenset(("f", "false", "0", ".false."))


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of a file.

    Attributes
    ----------
    info : dict of str to str
        What its comment line says, as text.
    structure : Sites or CrystalError
        Its sites, or why it has none.
    """

    info: dict[str, str]
    structure: Sites | CrystalError


class _FrameError(ValueError):
    """What is wrong with a frame, in words."""


def frames_of(path: Path, label: str) -> Iterator[Frame]:
    """Frames of a file, compressed or not.

    Parameters
    ----------
    path : Path
    label : str
        What messages call the file.

    Yields
    ------
    Frame

    Raises
    ------
    UnreadableFileError
        After the frames before it: the file is cut off, or it does not say where its next frame
        begins.
    """
    lines = lines_of(path, label, _LINE_BYTES)
    room = _room(path)
    index, head = 0, _next_head(lines)
    while head is not None:
        n = _announced(head, f"{label}[{index}]" if index else label)
        if room is not None and n * 8 > room:  # "H 0 0 0" and the end of the line
            raise UnreadableFileError(
                f"{label}[{index}]: {n} atoms are announced, more than the whole file can hold. "
                "Check whether it is damaged."
            )
        comment = next(lines, b"")
        first = list(islice(lines, min(n, 1)))
        header = _checked_header(comment, first)
        rows = [*first, *islice(lines, n - len(first))]
        following = _next_head(lines) if len(rows) == n else None
        if len(rows) < n or (following is None and _is_cut(rows, header)):
            raise UnreadableFileError(
                f"{label}: reading failed after {index} structures: of {n} atoms that are "
                f"announced, {max(0, len(rows) - 1)} or {len(rows)} are there. The file may be cut "
                "off; repair it from that structure on."
            )
        name = label if index == 0 and following is None else f"{label}[{index}]"
        yield _frame(header, rows, name)
        index, head = index + 1, following


def _next_head(lines: Iterator[bytes]) -> bytes | None:
    """The next line that is not blank."""
    return next((line for line in lines if line.strip()), None)


def _is_cut(rows: list[bytes], header: _Header | _FrameError) -> bool:
    """Whether the last line of the file ends before its last column."""
    if isinstance(header, _FrameError) or not rows or rows[-1].endswith((b"\n", b"\r")):
        return False
    return len(rows[-1].split()) < header.width


def count_frames(path: Path) -> int | None:
    """Frames of a file by their headers; None where these do not say, or it is cut off.

    Parameters
    ----------
    path : Path

    Returns
    -------
    int or None
    """
    try:
        lines = lines_of(path, str(path), _LINE_BYTES)
        room, count = _room(path), 0
        for head in lines:
            if not head.strip():
                continue
            n = _announced(head, "")
            if room is not None and n * 8 > room:
                return None
            if sum(1 for _ in islice(lines, n + 1)) < n + 1:
                return None
            count += 1
    except UnreadableFileError:
        return None
    return count


def _announced(line: bytes, label: str) -> int:
    text = line.strip().removeprefix(b"\xef\xbb\xbf")  # a byte-order mark
    if text.isdigit() and (len(text) > 12 or int(text) > MOST_SITES) and len(text) < 40:
        raise UnreadableFileError(
            f"{label}: {text.decode()} atoms are announced, more than {MOST_SITES}, the "
            "most that is read. Check whether the file is damaged."
        )
    if not text.isdigit() or len(text) > 12:
        shown = text[:40].decode("utf-8", "replace")
        raise UnreadableFileError(
            f"{label}: instead of a number of atoms there is {shown!r}. Check whether this is an "
            "XYZ file, and whole up to there."
        )
    return int(text)


def _room(path: Path) -> int | None:
    """Bytes of the file; None if they are compressed."""
    if path.suffix.lower() in (".gz", ".bz2", ".xz"):
        return None
    return path.stat().st_size


Columns = dict[str, tuple[str, int, int]]


@dataclass(frozen=True, slots=True)
class _Header:
    """What a comment line says.

    Attributes
    ----------
    info : dict of str to str
    columns : dict
        Kind, first column and number of columns of each property.
    width : int
        Columns in all.
    """

    info: dict[str, str]
    columns: Columns
    width: int


def _checked_header(comment: bytes, first: list[bytes]) -> _Header | _FrameError:
    """What the comment line says, or the error that the lines hold less than that."""
    try:
        header = _header(comment)
    except _FrameError as error:
        return error
    if first and len(first[0].split()) < header.width:
        return _FrameError(
            f"its Properties announce {header.width} columns, and its lines have "
            f"{len(first[0].split())}. Check whether the file is damaged"
        )
    return header


def _header(comment: bytes) -> _Header:
    """Pairs of the comment line, and kind, first column and width of each property."""
    info: dict[str, str] = {}
    text = comment.decode("utf-8", "replace").strip()
    at = 0
    while at < len(text):
        found = _PAIR.match(text, at)
        if found is None or found.end() == at:
            break
        value = found["value"]
        key = found["key"].strip('"')
        key = key.capitalize() if key.lower() in ("lattice", "properties") else key
        if key == "Lattice" and info.get(key) not in (None, _bare(value or "")):
            raise _FrameError("it has two different Lattices. Delete the wrong one")
        info[key] = "T" if value is None else _bare(value)
        at = found.end()
    columns: Columns = {}
    words = info.get("Properties", "species:S:1:pos:R:3").split(":")
    if len(words) % 3:
        raise _FrameError("its Properties are not triples of name, kind and number of columns")
    start = 0
    for name, kind, width in zip(words[::3], words[1::3], words[2::3], strict=True):
        if kind not in ("R", "I", "S", "L") or not width.isdigit() or len(width) > 9:
            raise _FrameError(f"its Properties hold '{name[:40]}:{kind[:9]}:{width[:20]}'")
        if name in columns:
            raise _FrameError(f"its Properties name {name[:40]} twice. Delete the wrong one")
        columns[name] = (kind, start, int(width))
        start += int(width)
        if start > _MOST_COLUMNS:
            raise _FrameError(
                f"its Properties announce more than {_MOST_COLUMNS} columns. Check whether the "
                "file is damaged"
            )
    return _Header(info, columns, start)


def _bare(value: str) -> str:
    if value[:1] in ('"', "'", "{", "["):
        inner = value[1:-1] if len(value) > 1 else ""
        if value[0] == '"':
            return re.sub(r"\\(.)", r"\1", inner) if "\\" in inner else inner
        return inner if value[0] == "'" else value
    return value


def _frame(header: _Header | _FrameError, rows: list[bytes], name: str) -> Frame:
    if isinstance(header, _FrameError):
        return Frame({}, CrystalError(f"{name}: {header}."))
    try:
        return Frame(header.info, sites_of_atoms(_atoms(header, rows), name))
    except CrystalError as error:
        return Frame(header.info, error)
    except (_FrameError, NotAnElementError) as error:
        return Frame(header.info, CrystalError(f"{name}: {error}."))


def _atoms(header: _Header, rows: list[bytes]) -> Atoms:
    """The frame as ASE Atoms with what a crystal needs of it."""
    info, columns, width = header.info, header.columns, header.width
    words = [row.decode("utf-8", "replace").split() for row in rows]
    for k, row in enumerate(words):
        if len(row) < width:
            raise _FrameError(f"the line of atom {k + 1} has {len(row)} columns instead of {width}")
    numbers, masses = _elements(columns, words)
    given = _numbers(columns, words, ("masses", "mass"), 1)
    atoms = Atoms(
        numbers=numbers,
        positions=_numbers(columns, words, ("pos", "positions"), 3),
        masses=given[:, 0] if given is not None else masses,
    )
    if "Lattice" not in info:
        raise _FrameError(
            'not periodic (there is no Lattice="..." in its comment line), and only a crystal has '
            "the phonons that the networks know. Add the nine numbers of the lattice vectors, in Å"
        )
    atoms.cell = _lattice(info["Lattice"])
    atoms.pbc = _periodic(info.get("pbc"))
    for tag in ("magmoms", "initial_magmoms", "magmom"):
        if tag in columns:
            moments = _numbers(columns, words, (tag,), columns[tag][2])
            if moments is not None and moments.any():
                atoms.set_initial_magnetic_moments(
                    moments if moments.shape[1] == 3 else moments[:, 0]
                )
    for tag in columns:
        if tag.lower() not in FRACTION_NAMES:
            continue
        fractions = _numbers(columns, words, (tag,), columns[tag][2])
        if tag == "occupancy":
            atoms.arrays[tag] = fractions[:, 0]
        elif (fractions != 1.0).any():
            raise _FrameError(
                f"its column {tag} holds numbers that may be fractions of occupied sites. Call it "
                "occupancy if they are, and else delete it"
            )
    if "occupancy" in info:
        atoms.info["occupancy"] = _json(info["occupancy"])
        kinds = _numbers(columns, words, ("spacegroup_kinds",), 1)
        if kinds is not None:
            atoms.arrays["spacegroup_kinds"] = np.rint(kinds[:, 0]).astype(int)
    return atoms


def _elements(columns: Columns, words: list[list[str]]) -> tuple[list[int], Any]:
    """Atomic numbers, and masses where isotopes are named."""
    given = [tag for tag in _SPECIES if tag in columns]
    if not given:
        raise _FrameError("it has no column of species")
    several = [_elements_of([row[columns[tag][1]] for row in words], tag) for tag in given]
    for tag, (numbers, _) in zip(given[1:], several[1:], strict=True):
        wrong = next((k for k, z in enumerate(numbers) if z != several[0][0][k]), None)
        if wrong is not None:
            raise _FrameError(
                f"its columns {given[0]} and {tag} name different elements for atom {wrong + 1}. "
                "Delete the wrong one"
            )
    return several[0]


def _elements_of(names: list[str], tag: str) -> tuple[list[int], Any]:
    """Atomic numbers of one column, and masses where isotopes are named."""
    if all(name.isdigit() and len(name) <= 3 for name in names):
        numbers = [int(name) for name in names]
        if look_like_types(numbers) or (set(numbers) == {1} and tag == "species"):
            raise _FrameError(
                f"its {tag} are 1, 2 and so on, which would be hydrogen and helium and looks like "
                "types. Write symbols"
            )
        return numbers, None
    found = [element_of_symbol(name) for name in names]
    isotopes = any(
        name[:1] in "DdTt2" and z == 1 for name, (z, _) in zip(names, found, strict=True)
    )
    return [z for z, _ in found], [m for _, m in found] if isotopes else None


def _numbers(columns: Columns, words: list[list[str]], tags: tuple[str, ...], width: int) -> Any:
    """Columns of a property as floats, shape (n, width); None if it is not there."""
    tag = next((t for t in tags if t in columns), None)
    if tag is None:
        if "pos" in tags:
            raise _FrameError("it has no positions (a property pos of three columns)")
        return None
    _, start, n = columns[tag]
    if n != width:
        raise _FrameError(f"its property {tag} has {n} columns instead of {width}")
    try:
        values = np.array([[float(w) for w in row[start : start + n]] for row in words])
    except ValueError:
        try:
            values = np.array([[number_in(w) for w in row[start : start + n]] for row in words])
        except ValueError as error:
            raise _FrameError(f"its property {tag}: {error}") from None
    return values.reshape(len(words), n)


def _lattice(text: str) -> Any:
    words = re.sub(r"[\[\]{},]", " ", text).split()
    try:
        values = [number_in(word) for word in words]
    except ValueError as error:
        raise _FrameError(f"its Lattice: {error}") from None
    if len(values) != 9:
        raise _FrameError(f"its Lattice has {len(values)} numbers instead of 9")
    return np.array(values).reshape(3, 3)


def _periodic(text: str | None) -> list[bool]:
    if text is None:
        return [True] * 3
    words = [word.lower() for word in re.split(r"[\s,]+", text.strip("[]{} "))]
    if len(words) == 1:
        words *= 3
    if len(words) != 3 or any(word not in _TRUE | _FALSE for word in words):
        raise _FrameError(f"its pbc is {text[:40]!r} instead of three of T and F")
    return [word in _TRUE for word in words]


def _json(text: str) -> Any:
    try:
        return parse_json(text.removeprefix("_JSON").strip())
    except ValueError as error:
        raise _FrameError(f"its occupancy is not what ASE writes ({error})") from None
