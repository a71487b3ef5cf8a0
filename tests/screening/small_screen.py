"""What the tests of screening share: a tiny model, salts, processes, comparisons."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
from ase.build import bulk

from ase_e3dos.network.construction import build_network
from ase_e3dos.network.site_trunk import SiteSettings
from ase_e3dos.network.weights import GridHeader, WeightsHeader, save_weights
from ase_e3dos.spectrum.spread_fit import CALIBRATED_LEVELS
from ase_e3dos.spectrum.uncertainty import Calibration, Spread


def make_weights(path: Path, members: int = 2, seed: int = 0, calibrated: bool = True) -> Path:
    """A tiny untrained model on the default model's grid: quick, and of fixed numbers."""
    from dataclasses import asdict

    import torch

    grid = GridHeader(-395.0, 10.0, 480)
    settings = asdict(SiteSettings(n_bins=grid.n, **SMALL))
    spread = Spread(
        0.1,
        1.0,
        CALIBRATED_LEVELS,
        tuple(1.0 + level for level in CALIBRATED_LEVELS),
        100,
        unit=0.1,
    )
    spreads = {name: {300.0: spread} for name in ("heat_capacity", "entropy", "free_energy")}
    calibration = Calibration({**spreads, "mean_wavenumber": {0.0: spread}}, "made up")
    header = WeightsHeader(
        network="site",
        settings=settings,
        members=members,
        grid=grid,
        encoder="mass_one_hot",
        encoder_version=1,
        sources=["dfpt"],
        calibration=calibration.to_dict() if calibrated else None,
    )
    torch.manual_seed(seed)
    save_weights(path, header, [build_network(header).state_dict() for _ in range(members)])
    return path


SMALL: dict[str, int] = {
    "stability": 1,
    "scalars": 16,
    "vectors": 8,
    "message_scalars": 8,
    "message_vectors": 4,
    "n_layers": 1,
    "hidden": 16,
    "sources": 1,
}


def crystals(n: int) -> list[tuple[str, object]]:
    """Rock salts that all differ."""
    pairs = [("Na", "Cl"), ("Mg", "O"), ("Li", "F"), ("K", "Br"), ("Ca", "S")]
    found = []
    for k in range(n):
        one, other = pairs[k % len(pairs)]
        found.append((f"salt-{k}", bulk(one + other, "rocksalt", a=4.2 + 0.002 * k)))
    return found


def relax(structure: object) -> object:
    """A job that stands before a screening in a workflow (it leaves the structure as it is)."""
    return structure


def table_of(n: int, start: int = 0) -> pa.Table:
    """The same as a table in the form of the Parquet files."""
    rows = crystals(start + n)[start:]
    return pa.table(
        {
            "id": [name for name, _ in rows],
            "numbers": [a.numbers.tolist() for _, a in rows],
            "cell": [np.ravel(a.cell).tolist() for _, a in rows],
            "positions_frac": [np.ravel(a.get_scaled_positions()).tolist() for _, a in rows],
        }
    )


def start_screen(*arguments: object, **options: object) -> subprocess.Popen[str]:
    """`e3dos screen` as a process of its own."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    run = "from ase_e3dos.cli import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", run, "screen", *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, **options,
    )  # fmt: skip


def rows_by_id(directory: Path) -> dict[str, dict[str, object]]:
    """All rows; an id that is there twice is an error."""
    import pyarrow.parquet as pq

    rows = pq.read_table(directory).to_pylist()
    found = {row["id"]: row for row in rows}
    assert len(found) == len(rows), "an id has more than one row"
    return found


def assert_same_rows(one: Path, other: Path) -> None:
    first, second = rows_by_id(one), rows_by_id(other)
    assert first.keys() == second.keys()
    for name, row in first.items():
        for column, value in row.items():
            expected = second[name][column]
            if isinstance(value, (float, list)) and value and not isinstance(value, str):
                if isinstance(value, list) and isinstance(value[0], str):
                    assert value == expected
                else:
                    np.testing.assert_allclose(value, expected, rtol=2e-4, atol=1e-5)
            else:
                assert value == expected, (name, column)


def metadata_of(directory: Path) -> dict[str, object]:
    import pyarrow.parquet as pq

    shard = next(directory.glob("part-*.parquet"))
    return json.loads(pq.read_schema(shard).metadata[b"ase_e3dos"])
