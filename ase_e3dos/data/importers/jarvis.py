"""JARVIS-DFT: the figshare files `edos_pdos` and `dft_3d` (JSON, zipped or not).

`pdos_elast` holds 66 values on -300, ..., 1000 cm^-1 in the releases of the leaderboard, and
200 values from 0 to 1000 cm^-1 in earlier ones. Structures come with the records, or from the
`dft_3d` file by `jid`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ase_e3dos.data.importers.json_files import json_contents
from ase_e3dos.data.importers.records import rejecting
from ase_e3dos.data.importers.structures import crystal_of_record
from ase_e3dos.data.labelled_file import LabelledEntry, Reject
from ase_e3dos.data.labels import JARVIS_GRID


def read(paths: Sequence[Path]) -> Iterator[LabelledEntry | Reject]:
    """Entries of the files, matched by jid."""
    spectra: list[tuple[str, Any]] = []
    atoms: dict[str, Any] = {}
    for name, content in json_contents(paths):
        if isinstance(content, Reject):
            yield content
            continue
        if not isinstance(content, list):
            yield Reject(name, "not a list of records, as JARVIS's files are")
            continue
        records = {f"{name}-{i}": r for i, r in enumerate(content) if isinstance(r, dict)}
        if not any(k in r for r in records.values() for k in ("atoms", "pdos_elast")):
            yield Reject(name, "no record with atoms or pdos_elast")
        elif len(records) < len(content):
            yield Reject(name, f"{len(content) - len(records)} of its items are not records")
        for place, record in records.items():
            identity = str(record.get("jid", record.get("id", place)))
            if "atoms" in record:
                atoms.setdefault(identity, record["atoms"])
            if "pdos_elast" in record:
                spectra.append((identity, record["pdos_elast"]))
    for identity, values in spectra:
        yield _entry(identity, values, atoms.get(identity))


@rejecting
def _entry(identity: str, values: Any, atoms: Any) -> LabelledEntry | Reject:
    if not isinstance(values, (list, tuple)) or not len(values):
        return Reject(identity, "no phonon spectrum in the record")
    if atoms is None:
        return Reject(identity, "no structure with this jid; give dft_3d too")
    crystal = crystal_of_record(identity, atoms)
    if isinstance(crystal, Reject):
        return crystal
    try:
        density = _on_label_grid(np.asarray(values, dtype=float))
    except ValueError as error:
        return Reject(identity, str(error))
    top = density.max()
    return LabelledEntry(
        identity,
        crystal,
        density / top if top > 0 else density,
        float(JARVIS_GRID[0]),
        20.0,
        provenance="JARVIS-DFT edos_pdos",
    )


def _on_label_grid(values: np.ndarray) -> np.ndarray:
    if len(values) == len(JARVIS_GRID):
        return values
    if len(values) not in (200, 201):
        raise ValueError(f"{len(values)} values, where 66, 200 or 201 are known")
    fine = np.linspace(0.0, 1000.0, len(values))
    index = np.rint((fine - JARVIS_GRID[0]) / 20.0).astype(int)
    total = np.bincount(index, values, len(JARVIS_GRID))
    return total / np.maximum(np.bincount(index, minlength=len(JARVIS_GRID)), 1)
