"""Structures inside other people's records: pymatgen dictionaries, CIF texts, JARVIS atoms."""

from __future__ import annotations

import warnings
from typing import Any

from ase_e3dos.data.labelled_file import Reject
from ase_e3dos.errors import E3DOSError
from ase_e3dos.structures.crystal import Crystal


def crystal_of_record(name: str, record: Any) -> Crystal | Reject:
    """The crystal of a record, or why there is none.

    Parameters
    ----------
    name
        Of the entry.
    record
        A pymatgen structure or its dictionary, a CIF text, or JARVIS's atoms (`lattice_mat`,
        `coords`, `elements`, `cartesian`).
    """
    from pymatgen.core.structure import Structure

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pymatgen's remarks about rounding in CIF files
            if isinstance(record, str):
                structure = Structure.from_str(record, fmt="cif")
            elif isinstance(record, dict) and "lattice_mat" in record:
                structure = Structure(
                    record["lattice_mat"],
                    [str(e).strip() for e in record["elements"]],
                    record["coords"],
                    coords_are_cartesian=bool(record.get("cartesian", False)),
                )
            elif isinstance(record, dict):
                structure = Structure.from_dict(record)
            else:
                structure = record
        return Crystal.from_any(structure, name)
    except E3DOSError as error:
        return Reject(name, f"structure: {error}")
    except Exception as error:  # noqa: BLE001 - parsers raise anything; the account says what
        return Reject(name, f"structure not readable ({type(error).__name__})")
