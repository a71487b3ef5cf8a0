"""Structures inside other people's records: pymatgen dictionaries, CIF texts, JARVIS atoms."""

from __future__ import annotations

from typing import Any

from ase_e3dos.data.labelled_file import Reject
from ase_e3dos.errors import E3DOSError
from ase_e3dos.structures.crystal import Crystal
from ase_e3dos.structures.records import structure_of_record


def crystal_of_record(name: str, record: Any) -> Crystal | Reject:
    """The crystal of a record, or why there is none.

    Parameters
    ----------
    name : str
        Of the entry.
    record
        A pymatgen structure or its dictionary, a CIF text, or JARVIS's atoms (`lattice_mat`,
        `coords`, `elements`, `cartesian`).
    """
    try:
        return Crystal.quietly(structure_of_record(record, name), name)
    except E3DOSError as error:
        return Reject(name, f"structure: {error}")
    except Exception as error:  # noqa: BLE001 - parsers raise anything; the account says what
        return Reject(name, f"structure not readable ({type(error).__name__})")
