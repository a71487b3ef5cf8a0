"""Peak memory of a screen against its length: crystals of a Parquet file, repeated with new ids.

    python docs/examples/screen_memory.py structures_mp.parquet 50000 200000

One network predicts (`uncertainty=False`). Each length runs in a process of its own and is fed
through a generator, so nothing but the screening itself can hold the structures.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path
from typing import Any


def repeated(path: Path) -> Iterator[tuple[str, Any]]:
    """Crystals of the file again and again, under other ids."""
    from ase_e3dos.structures import read_each

    for turn in count():
        for name, crystal in read_each(path):
            yield f"{name}/{turn}", crystal


def measure(path: Path, n: int) -> None:
    """Screen and print one line."""
    from ase_e3dos import screen

    with tempfile.TemporaryDirectory() as output:
        summary = screen(islice(repeated(path), n), output, uncertainty=False)
        size = sum(p.stat().st_size for p in Path(output).glob("*.parquet")) / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{n:8d} structures: peak memory {peak:6.0f} MB, {summary.seconds:6.0f} s, "
        f"{summary.rate:5.0f}/s, {size:.0f} MB of Parquet, {summary.failed} failed",
        flush=True,
    )


if __name__ == "__main__":
    file, *lengths = sys.argv[1:]
    if len(lengths) == 1:
        measure(Path(file), int(lengths[0]))
    else:
        for length in lengths:
            subprocess.run([sys.executable, __file__, file, length], check=True)
