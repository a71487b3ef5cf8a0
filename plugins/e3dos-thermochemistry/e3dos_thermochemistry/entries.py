"""Computed entries of pymatgen, as the Materials Project's users have them, from JSON."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from monty.json import MontyDecoder
from pymatgen.entries.computed_entries import ComputedEntry, ComputedStructureEntry

from ase_e3dos.structures.json_text import parse_json
from e3dos_thermochemistry.errors import EntriesError


def read_entries(path: str | PathLike[str]) -> list[ComputedEntry]:
    """Entries of a JSON file, gzipped or not.

    Parameters
    ----------
    path : str or path
        A list of entries as `entry.as_dict()` or `monty.serialization.dumpfn` writes them, or a
        dictionary that has it as "entries".

    Raises
    ------
    EntriesError
        If the file cannot be read or holds something else.
    """
    place = Path(path)
    try:
        raw = place.read_bytes()
        data = parse_json(gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw)
    except (OSError, EOFError, ValueError) as error:
        raise EntriesError(
            f"{place}: the entries cannot be read ({error}). Give a JSON file of pymatgen's "
            "ComputedStructureEntry, as monty.serialization.dumpfn(entries, path) writes it."
        ) from error
    if isinstance(data, dict):
        data = data.get("entries", [data] if "energy" in data else None)
    if not isinstance(data, list) or not data:
        raise EntriesError(
            f"{place} holds no list of entries. Give a JSON list of pymatgen's "
            'ComputedStructureEntry, or a dictionary with the list as "entries".'
        )
    return [_entry(value, k, place) for k, value in enumerate(data)]


def _entry(value: Any, k: int, place: Path) -> ComputedEntry:
    try:
        if "@class" in value:
            entry = MontyDecoder().process_decoded(value)
        elif "structure" in value:
            entry = ComputedStructureEntry.from_dict(value)
        else:
            entry = ComputedEntry.from_dict(value)
        if not isinstance(entry, ComputedEntry):
            raise TypeError(f"a {type(entry).__name__}")
    except Exception as error:
        raise EntriesError(
            f"{place}: entry {k} is not one of pymatgen's computed entries "
            f"({type(error).__name__}: {error}). Each needs its composition or structure, and an "
            "energy in eV."
        ) from error
    return entry


def named(entries: Sequence[ComputedEntry]) -> tuple[str, ...]:
    """A name for each: formula and identifier, or formula and place."""
    formulas = [e.composition.reduced_formula for e in entries]
    names = [
        f"{formula} ({entry.entry_id})" if entry.entry_id else formula
        for formula, entry in zip(formulas, entries, strict=True)
    ]
    return tuple(
        name if names.count(name) == 1 else f"{name} [{k}]" for k, name in enumerate(names)
    )


def without_structure(entries: Iterable[ComputedEntry]) -> list[ComputedEntry]:
    """Entries that have no structure."""
    return [e for e in entries if getattr(e, "structure", None) is None]
