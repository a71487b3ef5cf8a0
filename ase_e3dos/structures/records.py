"""Structures inside records: dictionaries and texts of pymatgen, ASE, JARVIS and of our own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ase_e3dos.errors import CrystalError, E3DOSError
from ase_e3dos.structures.elements import (
    NotAnElementError,
    element_of_symbol,
    isotope_masses,
    look_like_types,
)
from ase_e3dos.structures.fractions import FRACTION_NAMES, fractions_under_other_names
from ase_e3dos.structures.json_text import parse_json
from ase_e3dos.structures.sites import Sites

__all__ = [
    "ARRAY_COLUMNS",
    "ID_COLUMNS",
    "MASS_COLUMNS",
    "OBJECT_COLUMNS",
    "id_in",
    "is_structure_record",
    "sites_of_arrays",
    "structure_of_record",
]

#: Columns of the package's own form: atomic numbers, 9 numbers (rows of the cell in Å),
#: 3 fractional coordinates for each site.
ARRAY_COLUMNS = ("numbers", "cell", "positions_frac")
#: Columns of masses in amu beside them, one for each site.
MASS_COLUMNS = ("masses", "mass")
#: Columns that may hold whole structures (objects, dictionaries, JSON or CIF texts).
OBJECT_COLUMNS = ("structure", "atoms", "cif")
#: Columns that may hold the id, the first one found is taken.
ID_COLUMNS = ("id", "material_id", "mp_id", "jid", "name")


def id_in(record: Mapping[Any, Any]) -> str | None:
    """The id that a record or the info of a structure gives.

    Parameters
    ----------
    record : mapping

    Returns
    -------
    str or None
    """
    return next((str(record[c]) for c in ID_COLUMNS if record.get(c) is not None), None)


def is_structure_record(record: Mapping[Any, Any]) -> bool:
    """Whether a dictionary is one structure (else it may be several by their ids).

    Parameters
    ----------
    record : mapping

    Returns
    -------
    bool
    """
    return (
        ("lattice" in record and "sites" in record)
        or isinstance(record.get("@class"), str)  # of pymatgen's, and no name of a structure
        or "lattice_mat" in record
        or all(c in record for c in ARRAY_COLUMNS)
        or ("numbers" in record and "positions" in record)
        or any(c in record for c in OBJECT_COLUMNS)
    )


def structure_of_record(value: Any, name: str) -> Any:
    """What a record holds: sites or an object that `Crystal` knows; other objects as they are.

    Parameters
    ----------
    value
        A dictionary of pymatgen (`Structure.as_dict()`, a computed entry), of ASE
        (`Atoms.todict()`), of JARVIS (`lattice_mat`, `coords`, `elements`), of our own
        (`ARRAY_COLUMNS`), or one with any of these in "structure" or "atoms"; the same as JSON;
        the text of a CIF file.
    name : str
        What messages call it.

    Returns
    -------
    Sites or object

    Raises
    ------
    E3DOSError
        It holds no structure; the message says why.
    """
    try:
        return _structure(value, name)
    except E3DOSError:
        raise
    except Exception as error:
        raise CrystalError(f"{name}: no structure could be made of it ({error!r:.300}).") from error


def _structure(value: Any, name: str) -> Any:
    if isinstance(value, (str, bytes, bytearray)):
        return _structure_of_text(value, name)
    if not isinstance(value, Mapping):
        return value
    if "lattice" in value and "sites" in value:
        from pymatgen.core import Structure

        return Structure.from_dict(dict(value))
    if "lattice_mat" in value:
        return _sites_of_jarvis(value, name)
    if all(c in value for c in ARRAY_COLUMNS):
        numbers, cell, positions = (value[c] for c in ARRAY_COLUMNS)
        if other := fractions_under_other_names(value, known=frozenset()):
            raise CrystalError(
                f"{name}: fractions ({other}) are not read from columns. Give structures of "
                "pymatgen or ASE, or CIF."
            )
        masses = next((value[c] for c in MASS_COLUMNS if value.get(c) is not None), None)
        return sites_of_arrays(numbers, cell, positions, name, masses)
    if "numbers" in value and "positions" in value:
        from ase import Atoms

        known = ("numbers", "positions", "cell", "pbc", "masses", "initial_magmoms")
        made = {key: value[key] for key in known if key in value}
        atoms = Atoms(magmoms=made.pop("initial_magmoms", None), **made)
        info = value.get("info")
        if isinstance(info, Mapping) and "occupancy" in info:
            atoms.info["occupancy"] = info["occupancy"]
        for key in ("spacegroup_kinds", *sorted(FRACTION_NAMES)):
            if value.get(key) is not None:
                atoms.set_array(key, np.asarray(value[key]))
        return atoms
    for column in OBJECT_COLUMNS:
        if value.get(column) is not None:
            return _structure(value[column], name)
    if value.get("@class") in ("Molecule", "IMolecule"):
        raise CrystalError(
            f"{name}: a molecule of pymatgen, not a crystal. Give a periodic Structure; molecules "
            "have no phonon density of states."
        )
    lacking = [key for key in ("lattice", "sites") if key not in value]
    raise CrystalError(
        f"{name}: a dictionary without {' and '.join(map(repr, lacking))}, so not a pymatgen "
        "structure. Write structures with Structure.as_dict()."
    )


def _structure_of_text(text: str | bytes | bytearray, name: str) -> Any:
    start = bytes(text[:200], "utf-8") if isinstance(text, str) else bytes(text[:200])
    if start.lstrip().startswith((b"data_", b"#")) or b"\n_cell" in start:
        from ase_e3dos.structures.cif import cif_sites

        found = list(cif_sites(bytes(text) if not isinstance(text, str) else text, name))
        if len(found) > 1:
            raise CrystalError(f"{name}: there are {len(found)} structures in one text. Divide it.")
        if isinstance(found[0], E3DOSError):
            raise found[0]
        return found[0]
    try:
        value = parse_json(text)
    except ValueError as error:
        raise CrystalError(
            f"{name}: a text that is neither JSON nor a CIF file ({error}). Write structures with "
            "Structure.to_json()."
        ) from None
    if not isinstance(value, Mapping):
        raise CrystalError(f"{name}: JSON without a structure. Write it with Structure.to_json().")
    return _structure(value, name)


def sites_of_arrays(
    numbers: Any, cell: Any, positions: Any, name: str, masses: Any = None
) -> Sites:
    """Sites of the arrays of a table of our own form, nested or flat.

    Parameters
    ----------
    numbers : array_like of int
        Atomic numbers, one a site.
    cell : array_like
        Nine numbers, Å.
    positions : array_like
        Three scaled coordinates a site.
    name : str
        What messages call the structure.
    masses : array_like, optional
        amu, one a site.

    Returns
    -------
    Sites

    Raises
    ------
    CrystalError
        They are not numbers, or not as many as they should be.
    """
    z, h, x = (_flat(values, name) for values in (numbers, cell, positions))
    if any(part.dtype.kind not in "iuf" for part in (z, h, x) if part.size):
        raise CrystalError(
            f"{name}: the columns do not hold numbers (atomic numbers instead of symbols, a cell "
            "in Å, fractional coordinates). Correct them."
        )
    if h.size != 9 or x.size != 3 * z.size:
        raise CrystalError(
            f"{name}: {z.size} atomic numbers, {h.size} cell entries and {x.size} coordinates do "
            "not make a crystal; 9 cell entries and 3 coordinates for each atom are needed."
        )
    if z.dtype.kind == "f" and (z != np.rint(z)).any():
        raise CrystalError(f"{name}: the atomic numbers are not whole. Check the columns.")
    if look_like_types(z):
        raise CrystalError(
            f"{name}: the atomic numbers are 1, 2 and so on, which would be hydrogen and helium "
            "and looks like types. Give the numbers of the elements."
        )
    mass = None if masses is None else isotope_masses(z, _flat(masses, name))
    return Sites(h.reshape(3, 3), x.reshape(-1, 3), np.arange(z.size), z, None, mass)


def _flat(values: Any, name: str) -> NDArray[Any]:
    try:
        array = np.asarray(values)
        if array.dtype == object:
            array = np.asarray([np.asarray(v, dtype=np.float64).ravel() for v in array])
        return array.ravel()
    except (TypeError, ValueError) as error:
        raise CrystalError(f"{name}: the columns do not hold numbers ({error}).") from None


def _sites_of_jarvis(value: Mapping[Any, Any], name: str) -> Any:
    """Sites of JARVIS's atoms."""
    from ase import Atoms

    from ase_e3dos.structures.objects import sites_of_atoms

    try:
        species = [element_of_symbol(str(e)) for e in value["elements"]]
    except NotAnElementError as error:
        raise CrystalError(f"{name}: {error}.") from None
    numbers, masses = [z for z, _ in species], [mass for _, mass in species]
    cartesian = str(value.get("cartesian", False)).lower() in ("true", "1")
    place = "positions" if cartesian else "scaled_positions"
    atoms = Atoms(
        numbers=numbers,
        masses=masses,
        cell=value["lattice_mat"],
        pbc=True,
        **{place: value["coords"]},
    )
    return sites_of_atoms(atoms, name)
