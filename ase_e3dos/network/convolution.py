"""Equivariant convolution as a neighbour density followed by a mixing at the node.

The convolution of the paper (equations S3 to S5) sums, over the neighbours j of site i,
R(r_ij) Y(r_ij) C x_j, where the radial function R is linear in some radial functions b_k.
The sum over neighbours then needs no weights at all,

    A_i[lm, k, c] = sum_j Y_lm(r_ij) b_k(r_ij) x_j[c],

one matrix product for each site, and what is learned (the last layer of the radial network)
and the coupling coefficients act once a node instead of once an edge. That is the same
function as a dense ``FullyConnectedTensorProduct`` of e3nn on every edge, rearranged.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ase_e3dos.graph import GraphBatch
from ase_e3dos.network.harmonics import coupling

#: Node features: "0e", "1o", "1e", "2e" -> (n_nodes, 2 l + 1, channels).
Features = dict[str, Tensor]


def degree(irrep: str) -> int:
    """Degree l of an irrep such as "1o"."""
    return int(irrep[0])


def parity(irrep: str) -> int:
    """Parity of an irrep: +1 for "e", -1 for "o"."""
    return 1 if irrep[1] == "e" else -1


@dataclass(frozen=True)
class Path:
    """One coupling: input irrep x edge harmonic of degree l_edge -> output irrep."""

    irrep_in: str
    l_edge: int
    irrep_out: str


def paths_between(irreps_in: list[str], l_max: int, irreps_out: list[str]) -> list[Path]:
    """All couplings that parity and the triangle rule allow."""
    return [
        Path(a, edge, b)
        for b in irreps_out
        for a in irreps_in
        for edge in range(l_max + 1)
        if abs(degree(a) - edge) <= degree(b) <= degree(a) + edge
        and parity(a) * (-1) ** edge == parity(b)
    ]


def neighbor_density(basis: list[Tensor], values: Tensor, batch: GraphBatch) -> Tensor:
    """Sum over neighbours of edge basis times neighbour values.

    Parameters
    ----------
    basis
        For each block of the batch, shape (n_nodes_in_block, n_basis, width).
    values
        Node values, shape (n_nodes, n_values).

    Returns
    -------
    Tensor
        Shape (n_nodes, n_basis, n_values), nodes in batch order.
    """
    parts = []
    for block, phi in zip(batch.blocks, basis, strict=True):
        n, width = block.neighbors.shape
        gathered = values.index_select(0, block.neighbors.reshape(-1)).view(n, width, -1)
        parts.append(torch.bmm(phi, gathered))
    return torch.cat(parts)


def edge_basis(harmonics: Tensor, radial: Tensor) -> Tensor:
    """Products of harmonics (n, width, L) and radial functions (n, width, K): (n, L * K, width)."""
    n, width = radial.shape[:2]
    product = harmonics.unsqueeze(-1) * radial.unsqueeze(-2)
    return product.reshape(n, width, -1).transpose(1, 2)


class Convolution(nn.Module):
    """Equivariant convolution with dense kernels (equation S4 of the paper).

    Parameters
    ----------
    channels_in, channels_out
        Channels of each irrep, for example ``{"0e": 32, "1o": 32}``.
    n_radial
        Number K of radial functions.
    l_max
        Highest degree of the edge harmonics, at most 2.
    neighbors
        Mean number of neighbours, the square of the normalisation of the sum.
    """

    def __init__(
        self,
        channels_in: dict[str, int],
        channels_out: dict[str, int],
        n_radial: int,
        l_max: int,
        neighbors: float,
    ) -> None:
        super().__init__()
        self.channels_in = dict(channels_in)
        self.channels_out = dict(channels_out)
        self.n_radial = n_radial
        self.l_max = l_max
        self.scale = 1 / math.sqrt(neighbors)
        self.paths = paths_between(list(channels_in), l_max, list(channels_out))
        self.weights = nn.ParameterDict()
        for irrep, channels in channels_out.items():
            fan_in = sum(n_radial * channels_in[p.irrep_in] for p in self._to(irrep))
            self.weights[irrep] = nn.Parameter(torch.randn(fan_in, channels) / math.sqrt(fan_in))
        for p in self.paths:
            if p.l_edge and degree(p.irrep_in):
                tensor = coupling(p.l_edge, degree(p.irrep_in), degree(p.irrep_out))
                self.register_buffer(self._name(p), tensor, persistent=False)

    def _to(self, irrep: str) -> list[Path]:
        return [p for p in self.paths if p.irrep_out == irrep]

    @staticmethod
    def _name(p: Path) -> str:
        return f"coupling_{p.l_edge}_{degree(p.irrep_in)}_{degree(p.irrep_out)}"

    def forward(self, features: Features, basis: list[Tensor], batch: GraphBatch) -> Features:
        """Convolve.

        Parameters
        ----------
        features
            Irrep -> (n_nodes, 2 l + 1, channels).
        basis
            For each block, `edge_basis` with L = (l_max + 1)**2 and K = `n_radial`.
        batch
            The graph.

        Returns
        -------
        dict
            Irrep -> (n_nodes, 2 l + 1, channels).
        """
        flat = torch.cat([features[k].flatten(1) for k in self.channels_in], dim=1)
        density = neighbor_density(basis, flat, batch) * self.scale
        n_nodes = len(flat)
        density = density.view(n_nodes, (self.l_max + 1) ** 2, self.n_radial, -1)
        sections: dict[str, tuple[int, int]] = {}
        start = 0
        for irrep, channels in self.channels_in.items():
            stop = start + (2 * degree(irrep) + 1) * channels
            sections[irrep] = (start, stop)
            start = stop
        out: Features = {}
        for irrep in self.channels_out:
            parts = [self._couple(density, p, sections[p.irrep_in]) for p in self._to(irrep)]
            out[irrep] = torch.cat(parts, dim=-1) @ self.weights[irrep]
        return out

    def _couple(self, density: Tensor, path: Path, section: tuple[int, int]) -> Tensor:
        """(n_nodes, 2 l_out + 1, K * channels) of one path."""
        n_nodes, l_in, l_edge = len(density), degree(path.irrep_in), path.l_edge
        part = density[:, l_edge**2 : (l_edge + 1) ** 2, :, section[0] : section[1]]
        if l_in == 0:
            return part.reshape(n_nodes, 2 * l_edge + 1, -1)
        channels = self.channels_in[path.irrep_in]
        part = part.reshape(n_nodes, 2 * l_edge + 1, self.n_radial, 2 * l_in + 1, channels)
        if l_edge == 0:
            return part[:, 0].transpose(1, 2).reshape(n_nodes, 2 * l_in + 1, -1)
        tensor = self.get_buffer(self._name(path))
        coupled = torch.einsum("nakbc,abo->nokc", part, tensor)
        return coupled.reshape(n_nodes, coupled.shape[1], -1)
