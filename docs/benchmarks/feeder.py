"""How fast a screening feeds its workers: the feeding process alone, without any workers.

    python docs/benchmarks/feeder.py CRYSTALS.parquet --paths 20000

Structures are fetched from a Parquet file, from a folder of as many CIF files and from JSON lines
(made of rows of the same file), get their unique ids, are divided into the chunks that workers get,
and are pickled as they go to another process. Printed are structures a second by processor time and
by wall time, and how many workers they keep busy; a worker's own rate is measured in the same run:
it unpickles the chunk, reads the structures, looks them up among the rows that are there, and
predicts them with one network.
"""

from __future__ import annotations

import argparse
import json
import pickle
import tempfile
import time
import warnings
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from ase_e3dos.screening.entries import with_unique_ids
from ase_e3dos.screening.inputs import iter_unread
from ase_e3dos.screening.settings import ScreenSettings
from ase_e3dos.screening.workers import CHUNK_SIZE, compute_chunk
from ase_e3dos.structures import read_each


def chunks(inputs: Any) -> Iterator[bytes]:
    """What goes to the workers, as it goes through the pipe."""
    several = (unread for block in with_unique_ids(iter_unread(inputs)) for unread in block)
    while chunk := list(islice(several, CHUNK_SIZE)):
        yield pickle.dumps(chunk, protocol=pickle.HIGHEST_PROTOCOL)


def fed(inputs: Any) -> tuple[int, float, float, int]:
    """Structures, processor and wall time, and bytes of the chunks."""
    wall, cpu = time.perf_counter(), time.process_time()
    size, first = 0, b""
    count = 0
    for chunk in chunks(inputs):
        size += len(chunk)
        first = first or chunk
        count += 1
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    n = (count - 1) * CHUNK_SIZE + len(pickle.loads(chunk))
    return n, cpu, wall, size


def worker_rate(inputs: Any, model: str, n: int) -> float:
    """Structures a second of processor time that one worker computes."""
    settings = ScreenSettings(model=model, uncertainty=False)
    several = pickle.loads(next(chunks(inputs)))[:n]
    compute_chunk(several[:32], settings, "cpu", is_worker=True)
    start = time.process_time()
    compute_chunk(several, settings, "cpu", is_worker=True)
    return len(several) / (time.process_time() - start)


def make_inputs(source: Path, n_paths: int, folder: Path) -> dict[str, Any]:
    """A Parquet file, a folder of CIF files and JSON lines."""
    import pyarrow.parquet as pq
    from pymatgen.io.ase import AseAtomsAdaptor

    table = pq.read_table(source).slice(0, 200)
    atoms = [r.crystal.to_atoms() for r in read_each(table)]
    texts = []
    for structure in atoms:
        structure.write(folder / "one.cif")
        texts.append((folder / "one.cif").read_text())
    (folder / "one.cif").unlink()
    (folder / "cif").mkdir()
    for k in range(n_paths):
        (folder / "cif" / f"{k:06d}.cif").write_text(texts[k % len(texts)])
    records = [AseAtomsAdaptor.get_structure(a).as_dict() for a in atoms]
    with (folder / "all.jsonl").open("w") as stream:
        for k in range(n_paths // 4):
            record = {"material_id": f"m-{k}", "structure": records[k % len(records)]}
            stream.write(json.dumps(record) + "\n")
    return {
        "Parquet rows": source,
        "CIF paths": folder / "cif",
        "JSON lines": folder / "all.jsonl",
    }


def main() -> None:
    """Feed from each kind of source, and print the rates."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("crystals", type=Path)
    parser.add_argument("--paths", type=int, default=20_000, help="CIF files (20000)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", default="default")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    print(f"{'':14s}{'structures':>11s}{'cpu /s':>10s}{'wall /s':>10s}{'bytes':>8s}  workers fed")
    with tempfile.TemporaryDirectory() as name:
        for kind, inputs in make_inputs(options.crystals, options.paths, Path(name)).items():
            runs = [fed(inputs) for _ in range(options.rounds)]
            n = runs[0][0]
            cpu, wall = (n / np.min([r[k] for r in runs]) for k in (1, 2))
            rate = worker_rate(inputs, options.model, 256)
            print(
                f"{kind:14s}{n:11d}{cpu:10.0f}{wall:10.0f}{runs[0][3] / n:8.0f}  {cpu / rate:.0f} "
                f"(one worker: {rate:.0f}/s with one network)",
                flush=True,
            )


if __name__ == "__main__":
    main()
