from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from ase import Atoms

from ase_e3dos.encoders import MassOneHot
from ase_e3dos.network.graph import GraphBatch, build_graph, collate
from ase_e3dos.structures.crystal import Crystal

# e3nn 0.4.4 keeps its constants in a pickle that torch >= 2.6 loads only with this.
torch.serialization.add_safe_globals([slice])


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.fixture
def batch_of() -> Callable[..., GraphBatch]:
    """Structures to a batch with mass one-hot features."""

    def batch(*structures: Atoms, cutoff: float = 5.0, self_edges: bool = True) -> GraphBatch:
        crystals = [Crystal.from_any(s) for s in structures]
        features = np.concatenate([MassOneHot().encode(c) for c in crystals])
        return collate([build_graph(c, cutoff, self_edges=self_edges) for c in crystals], features)

    return batch
