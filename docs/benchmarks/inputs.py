"""Crystals for the benchmarks, from a Parquet file with numbers, cell and positions_frac.

Nothing of this package is imported here, so that two versions of it can be compared.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms


def read_both(path: Path, n: int) -> tuple[list[Atoms], Any]:
    """n crystals of a Parquet file, evenly spaced over all of it: as ASE Atoms and as a table."""
    import pyarrow.parquet as pq

    columns = ["numbers", "cell", "positions_frac"]
    table = pq.read_table(path, columns=columns)
    n = min(n, table.num_rows)
    picked = table.take(np.arange(n) * table.num_rows // max(n, 1)).combine_chunks()
    rows = picked.to_pydict()
    atoms = [
        Atoms(
            numbers,
            cell=np.reshape(cell, (3, 3)),
            pbc=True,
            scaled_positions=np.reshape(positions, (-1, 3)),
        )
        for numbers, cell, positions in zip(*(rows[c] for c in columns), strict=True)
    ]
    return atoms, picked


def read(path: Path, n: int) -> list[Atoms]:
    """n crystals of a Parquet file, evenly spaced over all of it, as ASE Atoms."""
    return read_both(path, n)[0]
