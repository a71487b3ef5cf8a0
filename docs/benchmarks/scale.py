"""Screening many rows: rate, memory and shards of two sizes, and what follows for a million.

    python docs/benchmarks/scale.py CRYSTALS.parquet --rows 5000

The rows of CRYSTALS are taken again and again, each time in a slightly larger cell and with ids of
their own, so that no row is like another. They are screened from a Parquet file into shards, once
as many as asked for and once a fifth of them, each in a fresh process; what DuckDB, polars, Arrow
and Dask make of the larger output is read back. The figures for a million are an extrapolation, and
are printed as such. `-o docs/benchmarks/scale.json` writes the record that speed_table.py makes the
sentence on the page of.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

#: What the extrapolation is to.
MILLION = 1_000_000
#: Strain of one repetition of the file against the one before.
STRAIN = 1e-4
_ROWS_OF_A_GROUP = 1000

_CHILD = """
import json, sys, time, warnings
from pathlib import Path
warnings.simplefilter("ignore")
import torch
torch.set_num_threads(1)
from ase_e3dos import screen
cpu = time.process_time()
summary = screen(sys.argv[1], sys.argv[2], device="cpu", shard_size=int(sys.argv[3]))
status = Path("/proc/self/status")
lines = status.read_text().splitlines() if status.exists() else []
peak = next((int(l.split()[1]) / 1024 for l in lines if l.startswith("VmHWM")), None)
print(json.dumps({
    "rows": summary.new, "errors": summary.failed, "cpu_s": time.process_time() - cpu,
    "wall_s": summary.seconds, "peak_MiB": peak,
}))
"""


def write_rows(source: Path, n: int, target: Path) -> None:
    """A Parquet file of n rows in row groups, in memory that does not grow with n."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(source, columns=["numbers", "cell", "positions_frac"])
    whole = table.combine_chunks()
    writer, written, repeat = None, 0, 0
    while written < n:
        some = whole.slice(0, n - written)
        flat = some["cell"].combine_chunks().flatten()
        while not pa.types.is_primitive(flat.type):
            flat = flat.flatten()
        cells = np.array(flat, dtype=np.float64) * (1 + STRAIN * repeat)
        columns = {
            "id": pa.array([f"{repeat}-{k}" for k in range(len(some))]),
            "numbers": some["numbers"],
            "cell": pa.FixedSizeListArray.from_arrays(pa.array(cells), 9),
            "positions_frac": some["positions_frac"],
        }
        part = pa.table(columns)
        writer = writer or pq.ParquetWriter(target, part.schema)
        writer.write_table(part, row_group_size=_ROWS_OF_A_GROUP)
        written, repeat = written + len(some), repeat + 1
    if writer is not None:
        writer.close()


def screened(source: Path, output: Path, shard_size: int) -> dict[str, Any]:
    """Rows, seconds and peak memory of a screening in a fresh process, and its shards."""
    command = [sys.executable, "-c", _CHILD, str(source), str(output), str(shard_size)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    shards = sorted(output.glob("part-*.parquet"))
    size = sum(p.stat().st_size for p in shards)
    found = json.loads(done.stdout.splitlines()[-1])
    return {**found, "shards": len(shards), "kB_per_row": size / 1e3 / max(found["rows"], 1)}


def read_back(output: Path) -> dict[str, Any]:
    """Seconds in which other programs find the mean heat capacity of the good rows."""
    column, files = "heat_capacity_per_atom", str(output / "*.parquet")

    def by_duckdb() -> float:
        import duckdb

        return float(duckdb.sql(f"select avg({column}) from '{files}'").fetchall()[0][0])

    def by_polars() -> float:
        import polars

        return float(polars.scan_parquet(files).select(column).mean().collect().item())

    def by_arrow() -> float:
        import pyarrow.compute as pc
        import pyarrow.dataset as ds

        return float(pc.mean(ds.dataset(output).to_table(columns=[column])[column]).as_py())

    def by_dask() -> float:
        import dask.dataframe as dd

        return float(dd.read_parquet(output, columns=[column])[column].mean().compute())

    programs: dict[str, Callable[[], float]] = {
        "DuckDB": by_duckdb, "polars": by_polars, "Arrow": by_arrow, "Dask": by_dask,
    }  # fmt: skip
    found: dict[str, Any] = {}
    for name, mean in programs.items():
        try:
            start = time.perf_counter()
            found[name] = {"mean": mean(), "seconds": time.perf_counter() - start}
        except ImportError:
            found[name] = "not measured: not installed"
    return found


def extrapolated(few: dict[str, Any], many: dict[str, Any]) -> dict[str, float | None]:
    """For a million rows, by the difference of both runs: hours, memory and disk."""
    rows = many["rows"] - few["rows"]
    seconds = (many["cpu_s"] - few["cpu_s"]) / rows
    slope = None
    if many["peak_MiB"] is not None:
        slope = (many["peak_MiB"] - few["peak_MiB"]) / rows
    return {
        "rows_per_second": 1 / seconds,
        "core_hours": MILLION * seconds / 3600,
        "peak_MiB": None if slope is None else many["peak_MiB"] + max(slope, 0.0) * MILLION,
        "GB_on_disk": MILLION * many["kB_per_row"] / 1e6,
    }


def main() -> None:
    """Screen both sizes, read the larger one back, and print all as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("crystals", type=Path)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--shard-size", type=int, default=10_000)
    parser.add_argument("-o", "--output", type=Path, help="write the JSON to this file too")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found: dict[str, Any] = {"load_average": load}
        for label, n in (("few", options.rows // 5), ("many", options.rows)):
            write_rows(options.crystals, n, folder / f"{label}.parquet")
            source, output = folder / f"{label}.parquet", folder / label
            found[label] = screened(source, output, options.shard_size)
        found["read back"] = read_back(folder / "many")
        found["extrapolated to a million rows"] = extrapolated(found["few"], found["many"])
    text = json.dumps(found, indent=1)
    print(text)
    if options.output:
        options.output.write_text(text + "\n")


if __name__ == "__main__":
    main()
