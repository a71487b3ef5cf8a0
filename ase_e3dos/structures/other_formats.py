"""Files that ASE reads for us, or pymatgen where ASE cannot, and what they are not trusted with.

These readers take the atoms that a file lists. Formats whose files may list an asymmetric unit
only, or fractions that ASE drops, are looked through first and refused where they do.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from ase_e3dos.errors import CrystalError, UnreadableFileError
from ase_e3dos.structures.json_text import shallow_recursion
from ase_e3dos.structures.uncompressed import COMPRESSIONS, content_of, opened

__all__ = ["ase_structures", "database_rows", "structures_by_others", "trajectory_frames"]

_HEAD = 2**20
#: With which databases and trajectories of ASE begin.
_SQLITE, _ULM = b"SQLite format 3\x00", b"- of Ulm"

_SHELX_LATTICE = re.compile(rb"^\s*LATT\s+(-?\d+)", re.MULTILINE | re.IGNORECASE)
_SHELX_SYMMETRY = re.compile(rb"^\s*SYMM\s+(\S.*)$", re.MULTILINE | re.IGNORECASE)
_SHELX_ATOM = re.compile(
    rb"^[A-Za-z]{1,2}\S{0,6}\s+-?\d+\s+\S+\s+\S+\s+\S+\s+(\d+\.\d+)", re.MULTILINE
)
_PDB_GROUP = re.compile(rb"^CRYST1.{49}(.{1,11})", re.MULTILINE)
_PDB_NO_CELL = re.compile(rb"^CRYST1\s+1\.0+\s+1\.0+\s+1\.0+\s", re.MULTILINE)
_PDB_MODEL = re.compile(rb"^MODEL\s+\d+", re.MULTILINE)
_QE_GROUP = re.compile(rb"\bspace_group\s*=\s*(\d+)", re.IGNORECASE)
#: Of a free format, in which several variables may share a line; remarks begin with # or !.
_ABINIT_GROUP = re.compile(
    rb"^(?:[^#!\n]*\s)?(?:spgroup\s*=?\s*(?:[2-9]|1\d)|natrd\b)", re.MULTILINE | re.I
)
_CSSR_GROUP = re.compile(rb"\bSPGR\s*=?\s*(\d+)", re.IGNORECASE)
_CAR_GROUP = re.compile(rb"^PBC(?:[ \t]+[-+.\d]+){6}[ \t]+\(?[ \t]*([^()\r\n]*\S)", re.MULTILINE)
_WIEN_UNIT = re.compile(rb"\bunit\s*=?\s*ang", re.IGNORECASE)
_PDB_ATOM = re.compile(rb"^(?:ATOM  |HETATM).*$", re.MULTILINE)
_LAMMPS_DUMP = re.compile(rb"^ITEM: ATOMS (.*)$", re.MULTILINE)
_LAMMPS_TYPES = re.compile(rb"^\s*\d+\s+atom types\b", re.MULTILINE)
_LAMMPS_MASSES = re.compile(rb"^\s*Masses\b", re.MULTILINE)
_CASTEP_MIXTURE = re.compile(rb"\bMIXTURE\b", re.IGNORECASE)


def structures_by_others(path: Path, label: str) -> Iterator[Any]:
    """Structures of a file by ASE, else by pymatgen, as objects of theirs.

    Parameters
    ----------
    path : Path
    label : str
        What messages call the file.

    Yields
    ------
    ase.Atoms or pymatgen Structure

    Raises
    ------
    UnreadableFileError
        Neither can read it, or a structure in the middle.
    CrystalError
        It relies on symmetry or fractions that these readers leave out.
    """
    _look_through(path, label)
    if _is_lammps(path):
        return _first_that_reads(path, label, [("ASE", _lammps)])
    return _first_that_reads(path, label, [("ASE", ase_structures), ("pymatgen", _pymatgen)])


def ase_structures(path: Path) -> Iterator[Any]:
    """Atoms of all images of a file, in the format that ASE makes out.

    Parameters
    ----------
    path : Path

    Yields
    ------
    ase.Atoms
    """
    from ase.io import iread

    # an absolute path is never taken for a database address or an option
    yield from iread(str(path.absolute()), index=":", do_not_split_by_at_sign=True)


def _is_lammps(path: Path) -> bool:
    """Whether it is a data file of LAMMPS, which ASE knows by another ending only."""
    if not {".data", ".lmp"} & {s.lower() for s in path.suffixes[-2:]}:
        return False
    with opened(path, str(path)) as stream:
        return _LAMMPS_TYPES.search(stream.read(_HEAD)) is not None


def _lammps(path: Path) -> Iterator[Any]:
    from ase.io import iread

    yield from iread(str(path.absolute()), index=":", format="lammps-data")


def trajectory_frames(path: Path, label: str) -> Iterator[Any]:
    """Frames of an ASE trajectory.

    Parameters
    ----------
    path : Path
    label : str
        What messages call the file.

    Yields
    ------
    ase.Atoms

    Raises
    ------
    UnreadableFileError
        It is not an ASE trajectory, or it is damaged.
    """
    from ase.io import iread

    with opened(path, label) as stream:
        start = stream.read(len(_ULM))
    if start != _ULM:
        raise UnreadableFileError(
            f"{label}: this is not an ASE trajectory (its first bytes are {start!r}). Check "
            "whether it is damaged, or give it the ending of its format."
        )
    return _guarded(iread(str(path.absolute()), index=":", format="traj"), label)


def database_rows(path: Path, label: str) -> Iterator[Any]:
    """Rows of an ase.db file.

    Parameters
    ----------
    path : Path
    label : str
        What messages call the file.

    Yields
    ------
    ase.db.row.AtomsRow

    Raises
    ------
    UnreadableFileError
        It is not an ASE database, or it is damaged.
    """
    from ase.db import connect

    with opened(path, label) as stream:  # ASE would make a database of anything else
        if stream.read(len(_SQLITE)) != _SQLITE:
            raise UnreadableFileError(
                f"{label}: this is not an ASE database (SQLite). Check whether it is damaged, or "
                "give it the ending of its format."
            )
    return _guarded(connect(str(path.absolute()), type="db").select(), label)


def _pymatgen(path: Path) -> Iterator[Any]:
    from pymatgen.core.structure import Structure

    yield Structure.from_file(path)


def _look_through(path: Path, label: str) -> None:
    """Refuse what ASE and pymatgen would read without its symmetry or its fractions."""
    if path.suffix.lower() in COMPRESSIONS:
        content_of(path, label)  # its size
    with opened(path, label) as stream:
        head = stream.read(_HEAD)
    suffixes = {s.lower() for s in path.suffixes[-2:]}
    reason = ""
    if ".res" in suffixes or ".ins" in suffixes:
        lattice = _SHELX_LATTICE.search(head)
        operations = [s for s in _SHELX_SYMMETRY.findall(head) if s.strip()]
        if operations or lattice is None or int(lattice[1]) != -1:  # 1 where there is none
            reason = "lists an asymmetric unit with symmetry (LATT, SYMM)"
        elif any(float(p) not in (1.0, 11.0) for p in _SHELX_ATOM.findall(head)):
            reason = "has sites that are occupied in part"
    elif suffixes & {".pdb", ".ent"}:
        group = _PDB_GROUP.search(head)
        if group is not None and group[1].split() not in ([], [b"P", b"1"], [b"P1"]):
            name = b" ".join(group[1].split()).decode("ascii", "replace")
            reason = f"lists an asymmetric unit of the space group {name}"
        whole = head if len(head) < _HEAD else head[: head.rfind(b"\n")]
        if not reason and any(not line[76:78].strip() for line in _PDB_ATOM.findall(whole)):
            raise CrystalError(
                f"{label}: there are atoms without an element in the columns 77 and 78 of their "
                "lines, and their names do not tell (CA is calcium, or a carbon atom). Write the "
                "elements there, or the structure as CIF or extended XYZ."
            )
        if _PDB_NO_CELL.search(head):
            raise CrystalError(
                f"{label}: its cell is 1 x 1 x 1, which stands for none. Give that of the crystal."
            )
        if len(_PDB_MODEL.findall(head)) > 1:
            raise CrystalError(
                f"{label}: there are several models of the same atoms in it. Write the one you "
                "mean to a file of its own."
            )
    elif _QE_GROUP.search(head) and b"&" in head:
        reason = "lists an asymmetric unit (space_group)"
    elif suffixes & {".gro", ".g96"}:
        raise CrystalError(
            f"{label}: files of GROMACS and GROMOS hold names of atoms and no elements (NA may be "
            "sodium or nitrogen). Write the structure as CIF or extended XYZ, or as PDB with the "
            "elements."
        )
    elif ".cssr" in suffixes and (cssr := _CSSR_GROUP.search(head)) and int(cssr[1]) != 1:
        reason = f"lists an asymmetric unit of the space group {int(cssr[1])}"
    elif ".car" in suffixes and (car := _CAR_GROUP.search(head)) and not _is_p1(car[1]):
        reason = f"lists an asymmetric unit of the space group {car[1].decode('ascii', 'replace')}"
    elif ".struct" in suffixes and _WIEN_UNIT.search(head):
        reason = "gives its lengths in Å (unit=ang)"
    elif suffixes & {".in", ".abi"} and _ABINIT_GROUP.search(head):
        reason = "lists an asymmetric unit (spgroup)"
    elif ".cell" in suffixes and _CASTEP_MIXTURE.search(head):
        reason = "has mixed sites (MIXTURE)"
    dump = _LAMMPS_DUMP.search(head)
    if (dump and b"element" not in dump[1].split()) or (
        _LAMMPS_TYPES.search(head) and not _LAMMPS_MASSES.search(head)
    ):
        raise CrystalError(
            f"{label}: this file of LAMMPS numbers the types of its atoms and does not say which "
            "elements they are. Write it with the elements (dump_modify element, or Masses)."
        )
    if reason:
        raise CrystalError(
            f"{label}: this file {reason}, which the reader of its format leaves out. Convert it "
            "to CIF with a program that knows the format."
        )


def _is_p1(group: bytes) -> bool:
    return group.upper().replace(b" ", b"") in (b"P1", b"1", b"")


def _first_that_reads(
    path: Path, label: str, readers: list[tuple[str, Callable[[Path], Iterator[Any]]]]
) -> Iterator[Any]:
    complaints = []
    for who, reader in readers:
        try:
            with shallow_recursion():
                structures = reader(path)
                first = next(structures, None)
        except Exception as error:  # noqa: BLE001 - readers of foreign formats raise anything
            complaints.append(f"{who}: {_said(error)}")
            continue
        if first is not None:
            return _guarded(chain([first], structures), label)
        complaints.append(f"{who}: no structure found")
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
    """The structures, with errors of the reader in words of ours."""
    count = 0
    while True:
        try:
            with shallow_recursion():
                structure = next(structures, None)
        except (CrystalError, UnreadableFileError):
            raise
        except Exception as error:
            raise UnreadableFileError(
                f"{label}: reading failed after {count} structures "
                f"({type(error).__name__}: {error}). The file may be cut off; repair it from that "
                "structure on."
            ) from error
        if structure is None:
            return
        yield structure
        count += 1
