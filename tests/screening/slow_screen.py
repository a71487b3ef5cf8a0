"""A screening that takes its time, to be killed: weights, output, number of salts, seconds each."""

from __future__ import annotations

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from small_screen import crystals

from ase_e3dos.prediction.batcher import EDGE_BUDGET
from ase_e3dos.screening import record_batches, screen


def main(weights: str, output: str, n: str, seconds: str) -> None:
    EDGE_BUDGET["cpu"] = 600
    record_batches.ROWS = 5

    def slowly():
        for pair in crystals(int(n)):
            time.sleep(float(seconds))
            yield pair

    screen(slowly(), output, model=weights, device="cpu", shard_size=10)


if __name__ == "__main__":
    main(*sys.argv[1:])
