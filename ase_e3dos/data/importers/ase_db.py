"""ase.db files whose rows carry a spectrum in their data.

Known keys: `phonon_wavenumbers` (cm^-1) and `phonon_dos` (states/THz), with or without the
prefix "e3dos_" that `E3DOSPredictor.store` writes, or `frequencies` (THz) and `dos`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ase_e3dos.data.importers.grids import on_fine_grid
from ase_e3dos.data.importers.records import rejecting
from ase_e3dos.data.labelled_file import LabelledEntry, Reject
from ase_e3dos.errors import E3DOSError
from ase_e3dos.spectrum.constants import constants
from ase_e3dos.structures.crystal import Crystal


def read(paths: Sequence[Path]) -> Iterator[LabelledEntry | Reject]:
    """Entries of the databases, one a row."""
    from ase.db import connect

    for path in paths:
        row = None
        try:
            for row in connect(path).select():
                yield _entry(str(row.get("name", f"{path.stem}-{row.id}")), row)
        except Exception as error:  # noqa: BLE001 - what is not a database can raise anything
            what = "not a readable ase.db file" if row is None else f"unreadable after row {row.id}"
            yield Reject(path.name, f"{what} ({type(error).__name__}: {error})")
        else:
            if row is None:
                yield Reject(path.name, "a database without rows")


@rejecting
def _entry(name: str, row: Any) -> LabelledEntry | Reject:
    try:
        crystal = Crystal.from_any(row.toatoms(), name)
    except E3DOSError as error:
        return Reject(name, f"structure: {error}")
    to_thz = 1.0 / constants().thz_to_cm
    for prefix in ("e3dos_", ""):
        if f"{prefix}phonon_dos" in row.data and f"{prefix}phonon_wavenumbers" in row.data:
            wavenumbers = np.asarray(row.data[f"{prefix}phonon_wavenumbers"])
            found = on_fine_grid(name, wavenumbers * to_thz, row.data[f"{prefix}phonon_dos"])
            break
    else:
        if "frequencies" not in row.data or "dos" not in row.data:
            return Reject(name, "no spectrum in the data of the row")
        found = on_fine_grid(name, row.data["frequencies"], row.data["dos"])
    if isinstance(found, Reject):
        return found
    return LabelledEntry(name, crystal, found[1], found[0], 1.0, provenance=name)
