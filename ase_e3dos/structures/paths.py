"""The files that a path, a directory or a pattern stands for."""

from __future__ import annotations

import glob
import os
import re
import stat
from collections.abc import Callable, Iterator
from os import PathLike
from pathlib import Path

from ase_e3dos.errors import UnreadableFileError
from ase_e3dos.structures.uncompressed import COMPRESSIONS

__all__ = [
    "PREFIXES",
    "SUFFIXES",
    "checked_file",
    "exists",
    "expanded",
    "files_of",
    "is_file",
    "is_folder",
    "is_structure_file",
    "path_of",
    "suffix_of",
]

#: In directories, files with these endings (before .gz, .bz2, .xz) are structures ...
SUFFIXES = frozenset(
    (
        ".cif", ".mcif", ".vasp", ".poscar", ".contcar", ".xyz", ".extxyz", ".traj", ".db",
        ".json", ".jsonl", ".ndjson", ".parquet", ".yaml", ".yml", ".xsf", ".res", ".cell",
        ".gen", ".in", ".xtl", ".cssr", ".mson", ".castep",
    )
)  # fmt: skip
#: ... and files whose names begin so.
PREFIXES = ("POSCAR", "CONTCAR")

#: Endings that settings of programs have as well, and words of which a structure has at least one.
_GENERAL = frozenset((".json", ".yaml", ".yml"))
_STRUCTURE_WORDS = re.compile(
    rb"lattice|cell|sites|positions|coord|points|numbers|species|atoms|structure", re.IGNORECASE
)
_SNIFFED_BYTES = 2**20
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{1,9}:/{1,2}[^/]")
_LONGEST_NAME, _LONGEST_PATH = 255, 4096

_CONTENTS = (
    (re.compile(r"^\s*(#.*\n\s*)*(data_|loop_|_cell|_symmetry|_atom)", re.I), "a CIF file"),
    (re.compile(r"^\s*[\[{]"), "a JSON file"),
    (re.compile(r"^[^\n]*\n\s*-?[\d.]+\s*\n(\s*-?[\d.eE+-]+){9}"), "a POSCAR"),
    (re.compile(r"^\s*\d+\s*\n[^\n]*\n\s*[A-Z][a-z]?\s"), "an XYZ file"),
)


def path_of(path: str | PathLike[str]) -> Path:
    """The path, with the home directory for "~".

    Parameters
    ----------
    path : str or path

    Returns
    -------
    Path

    Raises
    ------
    UnreadableFileError
        It cannot be one: the content of a file, a name with a zero byte, an unknown user.
    """
    text = os.fsdecode(path)
    if not text.strip():
        raise UnreadableFileError("the path is empty, so there is no such file. Give a path.")
    long = len(text) > _LONGEST_NAME and any(len(p) > _LONGEST_NAME for p in text.split("/"))
    if long or "\n" in text or len(text) > _LONGEST_PATH:
        for pattern, what in _CONTENTS:
            if pattern.match(text):
                raise UnreadableFileError(
                    f"this is the content of {what} where a path is meant (it begins with "
                    f"{_short(text)!r}). Write it to a file and give its path."
                )
        if len(text) > _LONGEST_NAME:
            raise UnreadableFileError(
                f"{_short(text)}: no such file, and no path can be as long as this "
                f"({len(text)} characters). Give the path of a file."
            )
    if _ADDRESS.match(text) and not os.path.lexists(text):
        raise UnreadableFileError(
            f"{_short(text)}: this is an address, and nothing is downloaded. Save the file, and "
            "give its path."
        )
    if "\x00" in text:
        raise UnreadableFileError(
            f"{_short(text)!r}: there is a zero byte in this path. Give the path of a file."
        )
    if text.startswith("~"):
        try:
            return Path(text).expanduser()
        except RuntimeError:
            if not os.path.lexists(text):
                raise UnreadableFileError(
                    f"{_short(text)}: there is no such user on this machine. Give the whole path."
                ) from None
    return Path(text)


def exists(path: str | PathLike[str]) -> bool:
    """Whether there is anything of this name; False for a name that nothing can have.

    `pathlib` raises for one that is too long, such as the text of a structure.

    Parameters
    ----------
    path : str or path

    Returns
    -------
    bool
    """
    return _answer(Path.exists, path)


def is_file(path: str | PathLike[str]) -> bool:
    """Whether it is a file; as `exists`.

    Parameters
    ----------
    path : str or path

    Returns
    -------
    bool
    """
    return _answer(Path.is_file, path)


def is_folder(path: str | PathLike[str]) -> bool:
    """Whether it is a folder; as `exists`.

    Parameters
    ----------
    path : str or path

    Returns
    -------
    bool
    """
    return _answer(Path.is_dir, path)


def _answer(asked: Callable[[Path], bool], path: str | PathLike[str]) -> bool:
    try:
        return asked(Path(path))
    except (OSError, ValueError):
        return False


def expanded(path: str | PathLike[str]) -> Path:
    """The path with the home directory for "~"; as it is where no user is of that name.

    Parameters
    ----------
    path : str or path

    Returns
    -------
    Path
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def files_of(path: str | PathLike[str]) -> Iterator[Path]:
    """Files that a path, directory or pattern (with * or ?) stands for, in the order of names.

    Directories are searched with all below them for names of structure files.

    Parameters
    ----------
    path : str or path

    Yields
    ------
    Path

    Raises
    ------
    UnreadableFileError
        There is no such file or directory.
    """
    found = path_of(path)
    text = str(found)
    if os.path.isdir(text):  # noqa: PTH112 - Path's own raises for names that are too long
        yield from _files_below(found)
    elif os.path.lexists(text):
        yield found
    elif glob.has_magic(text):
        for match in sorted(glob.iglob(text, recursive=True)):  # noqa: PTH207 - any glob
            if Path(match).is_dir():
                yield from _files_below(Path(match))
            else:
                yield Path(match)
    else:
        raise UnreadableFileError(_absent(_short(text)))


def checked_file(path: Path, label: str) -> None:
    """Raise unless there is something to be read.

    Parameters
    ----------
    path : Path
    label : str
        What messages call it.

    Raises
    ------
    UnreadableFileError
        It is a directory, a pipe or a device, it is not there, or it is empty.
    """
    try:
        status = os.stat(path)  # noqa: PTH116 - once, for all questions
    except FileNotFoundError:
        raise UnreadableFileError(_absent(label)) from None
    except (OSError, ValueError) as error:
        raise UnreadableFileError(
            f"{label}: the file cannot be opened ({getattr(error, 'strerror', None) or error}). "
            "Check the path and the permissions."
        ) from error
    if stat.S_ISDIR(status.st_mode):
        raise UnreadableFileError(
            f"{label}: this is a directory, not a structure file. Give a file in it, such as its "
            "POSCAR or CIF."
        )
    if not stat.S_ISREG(status.st_mode):  # readers open a file several times
        raise UnreadableFileError(
            f"{label}: this is a pipe, socket or device, not a file. Write the structure to a file "
            "first."
        )
    if status.st_size == 0:
        raise UnreadableFileError(f"{label}: the file is empty. Write the structure again.")


def suffix_of(path: Path) -> str:
    """Ending in small letters, without that of a compression.

    Parameters
    ----------
    path : Path

    Returns
    -------
    str
        With its dot.
    """
    if path.suffix.lower() in COMPRESSIONS:
        path = path.with_suffix("")
    return path.suffix.lower()


def is_structure_file(path: Path) -> bool:
    """Whether a file in a directory is taken for one of structures, by its name and its words.

    Parameters
    ----------
    path : Path

    Returns
    -------
    bool
    """
    if path.name.startswith("."):
        return False
    named = path.name.startswith(PREFIXES) or suffix_of(path) in SUFFIXES
    return named and not _is_of_another_kind(path)


def _files_below(directory: Path) -> Iterator[Path]:
    for root, folders, names in os.walk(directory):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        for name in sorted(names):
            path = Path(root, name)
            if is_structure_file(path):
                yield path


def _is_of_another_kind(path: Path) -> bool:
    """Whether a JSON or YAML file speaks of no structure at all, like settings of a program.

    A damaged or empty one is not of another kind: it is an error in its place.
    """
    if path.suffix.lower() not in _GENERAL:
        return False
    try:
        with path.open("rb") as stream:
            beginning = stream.read(_SNIFFED_BYTES)
    except OSError:
        return False
    return bool(beginning.strip()) and _STRUCTURE_WORDS.search(beginning) is None


def _absent(name: str) -> str:
    return f"{name}: no such file or directory. Check the path."


def _short(text: str) -> str:
    return text if len(text) < 200 else f"{text[:60]}..."
