"""The rearranged convolution against e3nn's dense tensor product on every edge."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from ase import Atoms
from e3nn import o3
from torch import Tensor

from ase_e3dos.network.convolution import (
    Convolution,
    Features,
    degree,
    edge_basis,
    sum_over_images,
)
from ase_e3dos.network.graph import GraphBatch
from ase_e3dos.network.harmonics import coupling, spherical_harmonics

BatchOf = Callable[..., GraphBatch]

K = 4
CASES = {
    "the paper's": ({"0e": 5, "1o": 3}, {"0e": 6, "1o": 4}, 1),
    "scalars in": ({"0e": 5}, {"0e": 2, "1o": 3, "2e": 2}, 2),
    "all irreps": ({"0e": 4, "1o": 3, "2e": 2}, {"0e": 3, "1o": 5, "2e": 4}, 2),
    "pseudovectors": ({"0e": 2, "1o": 3, "1e": 2}, {"0e": 2, "1o": 3, "1e": 4}, 1),
}


def random_features(channels: dict[str, int], n: int) -> Features:
    return {k: torch.randn(n, 2 * degree(k) + 1, c) for k, c in channels.items()}


def radial_values(lengths: Tensor) -> Tensor:
    """K smooth functions of the length."""
    return torch.stack([torch.cos(lengths * (0.3 + 0.4 * k)) for k in range(K)], dim=-1)


def convolve(
    convolution: Convolution, features: Features, batch: GraphBatch, l_max: int
) -> Features:
    harmonics = spherical_harmonics(batch.vectors, batch.lengths, l_max).t().contiguous()
    sums = sum_over_images(harmonics, radial_values(batch.lengths), batch)
    return convolution(features, edge_basis(sums, convolution.couplings(), batch), batch)


def irreps(channels: dict[str, int]) -> o3.Irreps:
    return o3.Irreps("+".join(f"{c}x{k}" for k, c in channels.items()))


def to_e3nn(features: Features) -> Tensor:
    """(n, 2l+1, C) of each irrep to e3nn's layout: channel slow, component fast."""
    return torch.cat([v.transpose(1, 2).flatten(1) for v in features.values()], dim=1)


def edges(batch: GraphBatch) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Centre, neighbour, vector and length of each edge."""
    width = torch.cat([torch.full((len(b),), b.shape[1]) for b in batch.neighbors])
    center = torch.arange(len(width)).repeat_interleave(width)
    neighbor = torch.cat([b.flatten() for b in batch.neighbors])
    images = torch.cat([batch.first_edge, torch.tensor([batch.n_edges])]).diff()
    center, neighbor = center.repeat_interleave(images), neighbor.repeat_interleave(images)
    return center, neighbor, batch.vectors, batch.lengths


def weights_for(product: o3.FullyConnectedTensorProduct, ours: Convolution) -> Tensor:
    """Our weights as e3nn's, one row for each radial function.

    Rows of our matrix for an output irrep: paths in order, in each radial function, then channel.
    Our coupling is sqrt(2 l + 1) times the 3j symbol, up to a sign.
    """
    blocks, start = {}, dict.fromkeys(ours.channels_out, 0)
    for p in ours.paths:
        c_in, c_out = ours.channels_in[p.irrep_in], ours.channels_out[p.irrep_out]
        first = start[p.irrep_out]
        start[p.irrep_out] += K * c_in
        matrix = ours.weights[p.irrep_out][first : first + K * c_in].detach()
        l_in, l_out = degree(p.irrep_in), degree(p.irrep_out)
        symbol = o3.wigner_3j(l_in, p.l_edge, l_out).float() * math.sqrt(2 * l_out + 1)
        same = coupling(p.l_edge, l_in, l_out).transpose(0, 1) if l_in and p.l_edge else symbol
        factor = torch.sign((same * symbol).sum()) * math.sqrt(2 * l_out + 1)
        blocks[p.irrep_in, p.l_edge, p.irrep_out] = factor * matrix.view(K, c_in, c_out)
    rows = []
    for i in product.instructions:
        key = (
            str(product.irreps_in1[i.i_in1].ir),
            product.irreps_in2[i.i_in2].ir.l,
            str(product.irreps_out[i.i_out].ir),
        )
        rows.append(blocks.pop(key).reshape(K, -1))
    assert not blocks
    return torch.cat(rows, dim=1)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_equals_a_fully_connected_tensor_product(
    case: tuple[dict[str, int], dict[str, int], int],
    low_symmetry: Atoms,
    rocksalt: Atoms,
    batch_of: BatchOf,
) -> None:
    channels_in, channels_out, l_max = case
    batch = batch_of(low_symmetry, rocksalt)
    features = random_features(channels_in, len(batch.features))
    ours = Convolution(channels_in, channels_out, K, l_max)
    found = to_e3nn(convolve(ours, features, batch, l_max))

    product = o3.FullyConnectedTensorProduct(
        irreps(channels_in),
        o3.Irreps.spherical_harmonics(l_max),
        irreps(channels_out),
        irrep_normalization="none",
        path_normalization="none",
        internal_weights=False,
        shared_weights=False,
    )
    center, neighbor, vectors, lengths = edges(batch)
    harmonics = o3.spherical_harmonics(
        list(range(l_max + 1)), vectors, normalize=True, normalization="component"
    )
    weights = radial_values(lengths) @ weights_for(product, ours)
    messages = product(to_e3nn(features)[neighbor], harmonics, weights)
    expected = torch.zeros_like(found).index_add(0, center, messages)
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=1e-4)


def test_features_turn_with_the_crystal(low_symmetry: Atoms, batch_of: BatchOf) -> None:
    channels = {"0e": 4, "1o": 3, "2e": 2}
    ours = Convolution(channels, channels, K, 2)
    turn = o3.rand_matrix()
    turned = low_symmetry.copy()
    turned.set_cell(low_symmetry.cell.array @ turn.numpy().T.astype(float), scale_atoms=True)
    batch, turned_batch = batch_of(low_symmetry), batch_of(turned)
    d = {k: o3.Irrep(k).D_from_matrix(turn) for k in channels}
    features = random_features(channels, len(batch.features))
    rotate = lambda f: {k: torch.einsum("ij,njc->nic", d[k], v) for k, v in f.items()}  # noqa: E731
    expected = rotate(convolve(ours, features, batch, 2))
    # Blocks sort nodes by their number of neighbours, so both batches have the same node order.
    assert batch.site_order.tolist() == turned_batch.site_order.tolist()
    found = convolve(ours, rotate(features), turned_batch, 2)
    for k in channels:
        torch.testing.assert_close(found[k], expected[k], atol=2e-5, rtol=1e-4)
