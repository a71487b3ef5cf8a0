"""ase.db files whose rows carry a spectrum in their data.

Known keys: `phonon_wavenumbers` (cm^-1) and `phonon_dos` (states/THz), with or without the
prefix "e3dos_" that `E3DOSPredictor.store` writes, or `frequencies` (THz) and `dos`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ase_e3dos.crystal import Crystal
from ase_e3dos.errors import E3DOSError
from ase_e3dos.spectrum.constants import constants
from ase_e3dos.training.labelled_file import Entry, Reject


def read(paths: Sequence[Path]) -> Iterator[Entry | Reject]:
    """Entries of the databases, one a row."""
    from ase.db import connect

    for path in paths:
        for row in connect(path).select():
            yield _entry(str(row.get("name", f"{path.stem}-{row.id}")), row)


def _entry(name: str, row: Any) -> Entry | Reject:
    try:
        crystal = Crystal.from_any(row.toatoms(), name)
    except E3DOSError as error:
        return Reject(name, f"structure: {error}")
    to_cm = constants().thz_to_cm
    for prefix in ("e3dos_", ""):
        if f"{prefix}phonon_dos" in row.data and f"{prefix}phonon_wavenumbers" in row.data:
            x = np.asarray(row.data[f"{prefix}phonon_wavenumbers"], dtype=float)
            density = np.asarray(row.data[f"{prefix}phonon_dos"], dtype=float) / to_cm
            break
    else:
        if "frequencies" not in row.data or "dos" not in row.data:
            return Reject(name, "no spectrum in the data of the row")
        x = np.asarray(row.data["frequencies"], dtype=float) * to_cm
        density = np.asarray(row.data["dos"], dtype=float) / to_cm
    if len(x) < 10 or len(x) != len(density) or (np.diff(x) <= 0).any():
        return Reject(name, "frequencies that do not ascend")
    grid = np.arange(np.floor(x[0]), np.ceil(x[-1]) + 1.0)
    values = np.interp(grid, x, density, left=0.0, right=0.0)
    return Entry(name, crystal, values, float(grid[0]), 1.0, provenance=name)
