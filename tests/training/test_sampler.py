from __future__ import annotations

import numpy as np
import torch

from ase_e3dos.data.labelled_set import read_labelled
from ase_e3dos.plugins import get_registry
from ase_e3dos.training.config import TrainingConfig
from ase_e3dos.training.sampler import GraphSet, MixedBatch, epoch_batches


def lengths_by_crystal(batch: MixedBatch) -> list[torch.Tensor]:
    """Sorted lengths of the edges of each crystal."""
    graph = batch.graph
    slots = torch.cat([torch.full((len(b),), b.shape[1]) for b in graph.neighbors])
    crystal_of_slot = graph.crystal_index.repeat_interleave(slots)
    ends = torch.cat([graph.first_edge[1:], torch.tensor([len(graph.lengths)])])
    crystal = crystal_of_slot.repeat_interleave(ends - graph.first_edge)
    return [graph.lengths[crystal == k].sort().values for k in range(graph.n_crystals)]


def test_each_part_has_its_own_displacements(data_dir, tiny_site):
    parts = [{**tiny_site["data"][0], "positions_noise": 0.0}, tiny_site["data"][0]]
    config = TrainingConfig.model_validate(tiny_site | {"data": parts, "positions_noise": 0.1})
    encoder = get_registry().encoder("mass_one_hot")
    labelled = read_labelled(data_dir / "raw.parquet")
    salts = labelled.subset(np.array([c.n_sites == 2 for c in labelled.crystals]))
    data = GraphSet.build(salts, 5.0, False, encoder, 0)

    def drawn(noise):
        (batch,) = epoch_batches([data, data], [4, 4], 1, np.random.default_rng(3), noise)
        return lengths_by_crystal(batch), batch.parts

    (moved, parts), (still, same) = drawn(config.noise_by_part()), drawn([0.0, 0.0])
    assert parts == same
    shift = [float((a - b).abs().max()) for a, b in zip(moved, still, strict=True)]
    assert shift[:4] == [0.0] * 4
    assert min(shift[4:]) > 0.01
