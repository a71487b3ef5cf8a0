"""Spectra from the features of a pre-trained potential: what teaches the default model.

The potential Nequix-OAM-1-PFT (T. Koker et al., arXiv:2508.16067 and arXiv:2601.07742; weights
CC BY 4.0, code MIT, `pip install --no-deps nequix`) was trained on energies, forces and force
constants. Its features are taken as they are, 896 invariants of each site, and a small network
learns spectra from them. It is too slow to ship, and knows much of simple crystals that the DFT
spectra lack: its spectra of crystals without labels go into the training of the default model.

The features were computed with a compiled kernel for the tensor products that equals the library's
to 3e-7 eV/Å in forces; here the library computes them, several times slower.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ase_e3dos.data.labelled_set import LabelledSet
from ase_e3dos.data.labels import DEFAULT_GRID
from ase_e3dos.network.graph import build_graph
from ase_e3dos.structures.crystal import Crystal
from ase_e3dos.training.loss import LossWeights, SiteLoss

N_FEATURES = 896
#: Edges in one batch of the potential.
EDGES = 16_000


class Trunk:
    """Invariant features of the sites, layer after layer, of the pre-trained potential.

    Parameters
    ----------
    path
        Its weights, a .nqx file.
    """

    def __init__(self, path: Path) -> None:
        os.environ.setdefault("JAX_PLATFORMS", "cpu")
        from nequix.model import load_model
        from nequix.torch_impl.utils import convert_model_jax_to_torch

        self.network, config = convert_model_jax_to_torch(*load_model(str(path), False), False)
        self.network.eval().requires_grad_(False)
        self.cutoff = float(config["cutoff"])
        self._index = {z: k for k, z in enumerate(config["atomic_numbers"])}
        self._invariants: list[Tensor] = []
        for layer in self.network.layers:
            layer.register_forward_hook(self._keep)

    def knows(self, crystal: Crystal) -> bool:
        """Whether the potential has all of the elements."""
        return crystal.is_ordered and set(crystal.numbers.tolist()) <= set(self._index)

    def _keep(self, layer: Any, _: Any, output: Tensor) -> None:
        """Scalars, and norms of the irreps of higher degree."""
        for multiplicity, irrep, part in (
            (i.mul, i.ir, output[:, s])
            for i, s in zip(layer.output_irreps, layer.output_irreps.slices(), strict=True)
        ):
            if irrep.l:
                part = part.view(len(part), multiplicity, irrep.dim).square().sum(-1).add(1e-6)
                part = part.sqrt()
            self._invariants.append(part)

    @torch.no_grad()
    def features(self, crystals: Sequence[Crystal]) -> list[NDArray[np.float16]]:
        """Features of the sites of each crystal, shape (n_sites, 896)."""
        order = sorted(range(len(crystals)), key=lambda k: crystals[k].n_sites)
        found: dict[int, NDArray[np.float16]] = {}
        for group in self._groups(crystals, order):
            graphs = [build_graph(crystals[k], self.cutoff) for k in group]
            sizes = [g.n_nodes for g in graphs]
            first = np.cumsum([0, *sizes[:-1]])
            shift = np.repeat(first, [g.n_edges for g in graphs])
            center, neighbor = (
                torch.from_numpy(np.concatenate([getattr(g, end) for g in graphs]) + shift)
                for end in ("center", "neighbor")
            )
            vectors = torch.from_numpy(np.concatenate([g.vectors for g in graphs])).float()
            numbers = np.concatenate([crystals[k].numbers for k in group])
            species = torch.tensor([self._index[int(z)] for z in numbers])
            self._invariants.clear()
            self.network.node_energies(vectors, species, neighbor, center)
            features = torch.cat(self._invariants, dim=1).half().numpy()
            found |= zip(group, np.split(features, np.cumsum(sizes)[:-1]), strict=True)
        return [found[k] for k in range(len(crystals))]

    def _groups(self, crystals: Sequence[Crystal], order: list[int]) -> Iterator[list[int]]:
        """Crystals of like sizes, about `EDGES` edges at 70 a site."""
        start = 0
        while start < len(order):
            size = max(1, EDGES // (70 * crystals[order[start]].n_sites))
            yield order[start : start + size]
            start += size


class TrunkHead(nn.Module):
    """Features of the trunk -> logarithms of the sites' bin weights.

    Parameters
    ----------
    width
        Channels of the hidden layers.
    dropout
    sources
        Data sources, told apart by an embedding.
    """

    def __init__(self, width: int = 640, dropout: float = 0.15, sources: int = 3) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(N_FEATURES)
        self.site = nn.Linear(N_FEATURES, width)
        self.crystal = nn.Linear(N_FEATURES + 9, width)
        self.source = nn.Embedding(sources, 8)
        self.hidden = nn.ModuleList(nn.Linear(width, width) for _ in range(2))
        self.out = nn.Linear(width, len(DEFAULT_GRID))
        self.dropout = nn.Dropout(dropout)
        with torch.no_grad():
            self.out.weight.mul_(0.5)

    def forward(self, features: Tensor, n_sites: Tensor, source: Tensor, volume: Tensor) -> Tensor:
        """Logarithm of each site's weight in each bin.

        Parameters
        ----------
        features
            Shape (n_sites in all, 896).
        n_sites, source
            Of each crystal, shape (n_crystals,).
        volume
            ln(volume per site / 20 Å^3), shape (n_crystals, 1).

        Returns
        -------
        Tensor
            Shape (n_sites in all, 480).
        """
        index = torch.repeat_interleave(torch.arange(len(n_sites)), n_sites)
        h = self.dropout(self.norm(features))
        mean = crystal_means(h, n_sites)
        context = self.crystal(torch.cat([mean, self.source(source), volume], dim=1))
        h = nn.functional.silu(self.site(h) + context[index])
        for layer in self.hidden:
            h = h + nn.functional.silu(layer(self.dropout(h)))
        return torch.log_softmax(self.out(self.dropout(h)), dim=1)


def crystal_means(values: Tensor, n_sites: Tensor) -> Tensor:
    """Means over the sites of each crystal, shape (n_crystals, k)."""
    index = torch.repeat_interleave(torch.arange(len(n_sites)), n_sites)
    total = values.new_zeros(len(n_sites), values.shape[1]).index_add(0, index, values)
    return total / n_sites[:, None]


def head_inputs(
    crystals: Sequence[Crystal], features: Sequence[NDArray[np.float16]], source: Sequence[int]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The four arguments of `TrunkHead.forward`."""
    volume = [[math.log(c.volume / c.n_sites) - 3.0] for c in crystals]
    return (
        torch.from_numpy(np.concatenate(features)).float(),
        torch.tensor([c.n_sites for c in crystals]),
        torch.tensor(list(source)),
        torch.tensor(volume, dtype=torch.float32),
    )


def train_head(
    sets: Sequence[tuple[LabelledSet, list[NDArray[np.float16]], int, int]],
    steps: int = 4000,
    learning_rate: float = 1e-3,
    seed: int = 0,
) -> TrunkHead:
    """Train a head on raw and site labels.

    Parameters
    ----------
    sets
        Data, features of the crystals, crystals a batch, and the number of the source.
    steps, learning_rate, seed
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    head, loss = TrunkHead(), SiteLoss(LossWeights())
    optimizer = torch.optim.AdamW(head.parameters(), learning_rate, weight_decay=0.03)
    average = {k: v.clone() for k, v in head.state_dict().items()}
    streams: list[list[int]] = [[] for _ in sets]
    for step in range(1, steps + 1):
        rate = min(1.0, step / 200) * (0.005 + 0.4975 * (1 + math.cos(math.pi * step / steps)))
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * rate
        chosen = []
        for (labelled, _, size, _), stream in zip(sets, streams, strict=True):
            while len(stream) < size:
                stream += rng.permutation(len(labelled)).tolist()
            chosen.append([stream.pop() for _ in range(size)])
        x, n, source, volume = head_inputs(
            [s[0].crystals[i] for s, c in zip(sets, chosen, strict=True) for i in c],
            [s[1][i] for s, c in zip(sets, chosen, strict=True) for i in c],
            [s[3] for s, c in zip(sets, chosen, strict=True) for _ in c],
        )
        head.train()
        x = x + 0.02 * x.std(0) * torch.randn_like(x)
        weights = head(x, n, source, volume).exp()
        value = _loss(loss, sets, chosen, weights, n)
        optimizer.zero_grad()
        value.backward()
        nn.utils.clip_grad_norm_(head.parameters(), 2.0)
        optimizer.step()
        decay = min(0.998, (1 + step) / (10 + step))
        with torch.no_grad():
            for name, new in head.state_dict().items():
                average[name].lerp_(new, 1 - decay)
    head.load_state_dict(average)
    return head.eval()


def _loss(loss: SiteLoss, sets: Any, chosen: Any, weights: Tensor, n: Tensor) -> Tensor:
    """Mean over the crystals of the losses of spectra and, where they are known, of sites."""
    crystals, per_site = crystal_means(weights, n), weights.split(n.tolist())
    total, start = weights.new_zeros(()), 0
    for (labelled, *_), index in zip(sets, chosen, strict=True):
        span = slice(start, start + len(index))
        start = span.stop
        if labelled.kind == "raw":
            bins, label = (torch.from_numpy(v[index]) for v in (labelled.bins, labelled.label))
            total = total + loss.raw(crystals[span], bins, label).sum()
            continue
        sites = [torch.from_numpy(labelled.bins[i]) for i in index]
        total = (
            total + loss.raw(crystals[span], torch.stack([s.mean(0) for s in sites]), None).sum()
        )
        for p, q in zip(per_site[span], sites, strict=True):
            total = total + loss.sites(p, q).mean()
    return total / len(n)


@torch.no_grad()
def predicted_sites(
    head: TrunkHead,
    crystals: Sequence[Crystal],
    features: Sequence[NDArray[np.float16]],
    source: int = 0,
) -> list[NDArray[np.float32]]:
    """Bin weights of the sites of each crystal, shape (n_sites, 480), rows sum to one."""
    found: list[NDArray[np.float32]] = []
    for start in range(0, len(crystals), 128):
        part = slice(start, start + 128)
        inputs = head_inputs(crystals[part], features[part], [source] * len(crystals[part]))
        weights = head(*inputs).exp()
        found += [w.numpy() for w in weights.split(inputs[1].tolist())]
    return found
