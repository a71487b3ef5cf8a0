"""Structures that commands are given: each with the name of its source, or exactly one."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from ase_e3dos.errors import CrystalError, E3DOSError
from ase_e3dos.structures.paths import is_file

if TYPE_CHECKING:
    from ase_e3dos.structures.crystal import Crystal

__all__ = ["named_crystals", "one_crystal"]


def named_crystals(paths: Iterable[Path]) -> tuple[list[str], list[Crystal]]:
    """All crystals of files, folders and patterns, with a name of the source of each.

    Parameters
    ----------
    paths : iterable of Path

    Returns
    -------
    names : list of str
        The file as it was written, if it holds one structure; else the file with the number of
        the structure, or the id of the record.
    crystals : list of Crystal
        As many, in the order of the paths.

    Raises
    ------
    E3DOSError
        The first structure that cannot be read.
    """
    from ase_e3dos.structures import read_each

    names: list[str] = []
    crystals: list[Crystal] = []
    for path in paths:
        readings = list(read_each(path))
        for reading in readings:
            if isinstance(reading.crystal, E3DOSError):
                raise reading.crystal
            alone = len(readings) == 1 and is_file(path)
            names.append(str(path) if alone else reading.id)
            crystals.append(reading.crystal)
    return names, crystals


def one_crystal(path: Path) -> Crystal:
    """The only crystal of a file, folder or pattern.

    Nothing is warned about; a prediction of it says what there is to say.

    Parameters
    ----------
    path : Path

    Returns
    -------
    Crystal

    Raises
    ------
    CrystalError
        There are several, or the one cannot be predicted.
    UnreadableFileError
        There is no such file, or it cannot be read.
    """
    from ase_e3dos.structures import read_each
    from ase_e3dos.structures.crystal import Crystal

    if is_file(path):
        return Crystal.quietly(str(path))
    found = [reading.crystal for reading in islice(read_each(path), 2)]
    if len(found) > 1:
        raise CrystalError(
            f"{path}: there are several structures and one is needed. Give the file of the one you "
            "mean."
        )
    if isinstance(found[0], E3DOSError):
        raise found[0]
    return found[0]
