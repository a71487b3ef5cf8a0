"""The arithmetic of the networks against what the processor's matrix products reach."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from clock import best
from torch.utils.flop_counter import FlopCounterMode

from ase_e3dos.network.graph import CrystalGraph
from ase_e3dos.prediction.pipeline import Predictor
from ase_e3dos.structures.crystal import Crystal

#: Size of the square matrices that measure the processor.
SIZE = 768


def matrix_product_rate() -> float:
    """Floating point operations a second in float32 matrix products, by processor time."""
    a, b = torch.randn(SIZE, SIZE), torch.randn(SIZE, SIZE)
    seconds = best({"product": lambda: [a @ b for _ in range(4)]}, rounds=5)["product"]["cpu"]
    return 4 * 2 * SIZE**3 / seconds


def share_of_limit(predictor: Predictor, crystals: Sequence[Crystal]) -> dict[str, float]:
    """Share of the processor's rate that the matrix products of the networks make use of.

    Operations are counted in matrix products alone (padding included), time is that of the whole
    network: what is missing to one is everything that is not a matrix product, and small products.
    """
    graphs = [g for c in crystals if isinstance(g := predictor.graph(c), CrystalGraph)]
    batches = [predictor.collated(graphs[k : k + 64]) for k in range(0, len(graphs), 64)]

    def run() -> None:
        for batch in batches:
            predictor.model.start(batch)

    with FlopCounterMode(display=False) as counter:
        run()
    seconds = best({"network": run}, rounds=5)["network"]["cpu"]
    rate = matrix_product_rate()
    operations = counter.get_total_flops()
    return {
        "operations_per_crystal": operations / len(graphs),
        "network_us_per_crystal": 1e6 * seconds / len(graphs),
        "matrix_product_rate": rate,
        "limit_crystals_per_second": rate * len(graphs) / operations,
        "share": operations / seconds / rate,
    }
