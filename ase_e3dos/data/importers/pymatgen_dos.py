"""JSON of pymatgen's PhononDos and CompletePhononDos (frequencies in THz).

A PhononDos knows no structure: give a record {"structure": ..., "ph_dos": ...} (one of
"ph_dos", "phonon_dos", "dos" or "total_dos"), or a list of such records.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ase_e3dos.data.importers.grids import on_fine_grid
from ase_e3dos.data.importers.json_files import json_contents
from ase_e3dos.data.importers.petretto import scaled_to_modes
from ase_e3dos.data.importers.records import rejecting
from ase_e3dos.data.importers.structures import crystal_of_record
from ase_e3dos.data.labelled_file import LabelledEntry, Reject

_DOS_KEYS = ("ph_dos", "phonon_dos", "dos", "total_dos")


def read(paths: Sequence[Path]) -> Iterator[LabelledEntry | Reject]:
    """Entries of the files."""
    for name, content in json_contents(paths):
        if isinstance(content, Reject):
            yield content
        elif isinstance(content, list):
            if not content:
                yield Reject(name, "an empty list")
            for i, record in enumerate(content):
                yield _entry(f"{name}-{i}", record)
        else:
            yield _entry(name, content)


@rejecting
def _entry(name: str, record: Any) -> LabelledEntry | Reject:
    if not isinstance(record, dict):
        return Reject(name, "not a record")
    name = str(record.get("material_id", record.get("id", name)))
    dos: Any = record
    if "frequencies" not in record:
        dos = next((record[k] for k in _DOS_KEYS if isinstance(record.get(k), dict)), None)
    if dos is None or not {"frequencies", "densities"} <= dos.keys():
        return Reject(name, "no frequencies and densities")
    structure = record.get("structure", dos.get("structure"))
    if structure is None:
        return Reject(name, "a PhononDos without a structure; see the documentation of the kind")
    crystal = crystal_of_record(name, structure)
    if isinstance(crystal, Reject):
        return crystal
    values = on_fine_grid(name, dos["frequencies"], dos["densities"])
    if isinstance(values, Reject):
        return values
    start, density = values
    density = scaled_to_modes(density, 1.0, crystal.n_sites)
    return LabelledEntry(name, crystal, density, start, 1.0, provenance=name)
