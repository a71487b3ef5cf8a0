"""A screening in a process that may not take more memory: weights, output, MB to spare.

Small cells that fit alone but not together, and one large cell that does not fit at all.
"""

from __future__ import annotations

import resource
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from ase.build import bulk
from small_screen import crystals

from ase_e3dos import screen
from ase_e3dos.prediction import batcher


def main(weights: str, output: str, spare: str) -> None:
    # Everything is loaded and has run once before the limit falls.
    screen(crystals(2), Path(output).with_name("first"), model=weights, device="cpu")
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + int(spare) * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    batcher.EDGE_BUDGET["cpu"] = 10**9
    lower = batcher.EdgeBudget.lower

    def said(self: batcher.EdgeBudget, failed: int) -> None:
        lower(self, failed)
        sys.stdout.write(f"{failed} {self.edges}\n")

    batcher.EdgeBudget.lower = said  # type: ignore[method-assign]
    large = bulk("NaCl", "rocksalt", a=4.2, cubic=True).repeat(8)
    pairs = [*crystals(60), ("large", large), ("last", bulk("Si"))]
    screen(pairs, output, model=weights, device="cpu")


if __name__ == "__main__":
    main(*sys.argv[1:])
