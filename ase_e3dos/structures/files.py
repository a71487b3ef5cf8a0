"""The structures of a file, by the reader that keeps occupations.

ASE reads first, because it is quick and streams. CIF files with mixed or partly occupied sites go
to pymatgen (ASE's reader keeps only one of two labels with the same element on a site), and so
does whatever ASE cannot read; what pymatgen refuses of them is put together here, label by label.
Pymatgen's JSON and phonopy's YAML files are recognised.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import chain, islice
from os import PathLike, fspath
from pathlib import Path
from typing import Any, TypeVar

from ase_e3dos.errors import CrystalError, UnreadableFileError
from ase_e3dos.structures.cif import cif_sites
from ase_e3dos.structures.cif.text import decoded
from ase_e3dos.structures.json_text import parse_json
from ase_e3dos.structures.phonopy_yaml import phonopy_sites
from ase_e3dos.structures.poscar import poscar_sites
from ase_e3dos.structures.uncompressed import content_of

__all__ = ["Convert", "converted", "only_one"]

Reader = Callable[[Path], Iterator[Any]]
T = TypeVar("T")
#: What makes a crystal of a structure as a reader gives it and of a name, or raises CrystalError;
#: one that it made itself is only named.
Convert = Callable[[Any, str], T]


def only_one(path: str | PathLike[str], convert: Convert[T], name: str | None = None) -> T:
    """Return the one structure of a file, converted; see `Crystal.from_any`.

    Raises
    ------
    CrystalError
        If the file holds several structures, or no crystal.
    UnreadableFileError
        If the file cannot be read.
    """
    crystals = list(islice(_named(Path(fspath(path)), name or str(path), convert), 2))
    if len(crystals) > 1:
        raise CrystalError(
            f"{path}: the file holds several structures and one is needed. Use "
            "ase_e3dos.structures.crystal.read_crystals(path) for all of them, or write the one "
            "you mean to a file of its own."
        )
    return crystals[0]


def converted(path: str | PathLike[str], convert: Convert[T]) -> Iterator[T]:
    """All structures of a file; see `ase_e3dos.structures.crystal.read_crystals`."""
    return _named(Path(fspath(path)), str(path), convert)


def _named(path: Path, label: str, convert: Convert[T]) -> Iterator[T]:
    _check_file(path, label)
    structures = _opened(path, label, convert)
    first = next(structures)
    second = next(structures, None)
    if second is None:
        yield convert(first, label)
        return
    for i, structure in enumerate(chain([first, second], structures)):
        yield convert(structure, f"{label}[{i}]")


def _check_file(path: Path, label: str) -> None:
    if path.is_dir():
        raise UnreadableFileError(
            f"{label}: this is a directory, not a structure file. Give a file in it, such as its "
            "POSCAR or CIF."
        )
    if path.exists() and not path.is_file():  # readers open a file several times
        raise UnreadableFileError(
            f"{label}: this is a pipe, socket or device, not a file. Write the structure to a file "
            "first."
        )
    try:
        with path.open("rb") as stream:
            start = stream.read(1)
    except OSError as error:
        raise UnreadableFileError(
            f"{label}: the file cannot be opened ({error.strerror}). Check the path and the "
            "permissions."
        ) from error
    if not start:
        raise UnreadableFileError(f"{label}: the file is empty. Write the structure again.")


def _opened(path: Path, label: str, convert: Convert[Any]) -> Iterator[Any]:
    """Structures by the first reader that reads the file; the later ones raise by name."""
    complaints = []
    refused: CrystalError | None = None
    for who, reader in _readers(path, label):
        try:
            structures = reader(path)
            first = next(structures, None)
            if first is None:
                complaints.append(f"{who}: no structure found")
                continue
            first = convert(first, label)
        except UnreadableFileError:
            raise
        except CrystalError as error:
            refused = refused or error
        except Exception as error:  # noqa: BLE001 - readers of foreign formats raise anything
            complaints.append(f"{who}: {_said(error)}")
        else:
            return _guarded(chain([first], structures), label)
    if refused is not None:
        raise refused
    raise UnreadableFileError(
        f"{label}: no structure could be read ({'; '.join(complaints)}). Check that the file is "
        "complete and that its name or extension is usual for its format (POSCAR, .cif, .extxyz, "
        ".json, ...)."
    )


def _said(error: Exception) -> str:
    """What a reader says; that of arrays and indices inside it tells nothing about the file."""
    text = str(error).strip()[:200]
    inside = isinstance(error, (LookupError, TypeError, AttributeError, NameError))
    if inside or not text or re.search(r"broadcast|unpack|reshape|inhomogeneous|array", text):
        return "a line is missing, too short or not as the format wants it"
    return f"{type(error).__name__}: {text}"


def _guarded(structures: Iterator[Any], label: str) -> Iterator[Any]:
    count = 0
    try:
        for structure in structures:
            yield structure
            count += 1
    except (CrystalError, GeneratorExit):
        raise
    except Exception as error:
        raise UnreadableFileError(
            f"{label}: reading failed after {count} structures ({type(error).__name__}: {error}). "
            "The file may be cut off; repair it from that structure on."
        ) from error


def _readers(path: Path, label: str) -> list[tuple[str, Reader]]:
    suffixes = {s.lower() for s in path.suffixes[-2:]}
    if suffixes & {".cif", ".mcif", ".mmcif"}:
        return [("", lambda p: cif_sites(content_of(p, label), label))]
    if suffixes & {".vasp", ".poscar", ".contcar"} or path.name.startswith(("POSCAR", "CONTCAR")):
        return [("", lambda p: iter([poscar_sites(decoded(content_of(p, label)), label)]))]
    if suffixes & {".yaml", ".yml"}:
        return [("", lambda p: iter([phonopy_sites(decoded(content_of(p, label)), label)]))]
    if suffixes & {".json"}:
        return [("pymatgen", _read_pymatgen_json), ("ASE", _read_ase)]
    return [("ASE", _read_ase), ("pymatgen", _read_pymatgen)]


def check_columns(path: Path) -> None:
    """Refuse an extended XYZ file that announces columns without end, for which ASE makes room.

    Raises
    ------
    UnreadableFileError
        If a column is said to have ten thousand numbers or more.
    """
    from ase.io.formats import open_with_compression

    with open_with_compression(str(path), "rb") as stream:
        for line in stream:
            if b"Properties=" in line and re.search(rb":\d{5,}", line):
                raise UnreadableFileError(
                    f"{path}: a column of its Properties has ten thousand numbers or more. Check "
                    "whether the file is damaged."
                )


def _read_ase(path: Path) -> Iterator[Any]:
    from ase.io import iread

    if {s.lower() for s in path.suffixes[-2:]} & {".xyz", ".extxyz"}:
        check_columns(path)

    # an absolute path is never taken for a database address or an option
    yield from iread(str(path.absolute()), index=":", do_not_split_by_at_sign=True)


def _read_pymatgen(path: Path) -> Iterator[Any]:
    from pymatgen.core.structure import Structure

    yield Structure.from_file(path)


def _read_pymatgen_json(path: Path) -> Iterator[Any]:
    from ase.io.formats import open_with_compression

    with open_with_compression(str(path)) as stream:
        yield from _structures_in(parse_json(stream.read()))


def _structures_in(data: Any) -> Iterator[Any]:
    """Pymatgen structures in a dict (a structure, or an entry that has one) or a list of them."""
    if isinstance(data, list):
        for item in data:
            yield from _structures_in(item)
    elif isinstance(data, dict) and "lattice" in data and "sites" in data:
        from pymatgen.core.structure import Structure

        yield Structure.from_dict(data)
    elif isinstance(data, dict) and "structure" in data:
        yield from _structures_in(data["structure"])
