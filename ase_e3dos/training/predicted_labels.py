"""What a network in training predicts of a data set, on the grid of its labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ase_e3dos.network.paper import PaperNetwork, mean_over_sites
from ase_e3dos.network.site import SiteNetwork, SiteOutput
from ase_e3dos.training.loss import SiteLoss
from ase_e3dos.training.new_network import Network
from ase_e3dos.training.sampler import GraphSet, MixedBatch, join


@torch.no_grad()
def predict_labels(
    network: Network, loss: SiteLoss, data: GraphSet, device: torch.device, size: int = 64
) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Predictions on the label grid of a data set, shape (n, n_points)."""
    network.eval()
    parts = []
    for start in range(0, len(data.labelled), size):
        index = list(range(start, min(start + size, len(data.labelled))))
        batch = join([(0, data, index)])
        graph = batch.graph.to(device)
        if isinstance(network, PaperNetwork):
            parts.append(network(graph))
            continue
        p = crystal_weights(network, batch, device)
        if data.labelled.kind == "site":
            parts.append(p)
        elif data.labelled.kind == "sampled":
            parts.append(p @ loss.get_buffer("jarvis").T)
        else:
            soft = p[:, loss.get_buffer("grid") < -20].sum(1)
            parts.append(loss.paper_labels(p, soft < 0.01))
    return np.asarray(torch.cat(parts).cpu().numpy())


def crystal_weights(network: SiteNetwork, batch: MixedBatch, device: torch.device) -> Tensor:
    """Bin weights of each crystal, mean over sites and heads, shape (n_crystals, n_bins)."""
    graph = batch.graph.to(device)
    output: SiteOutput = network(graph, batch.source.to(device))
    return mean_over_sites(output.log_weights.exp().mean(0), graph)
