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


#: For one block, for each edge degree: (n_nodes_in_block, (2 l + 1) * K, width).
EdgeBasis = list[Tensor]


def edge_basis(harmonics: Tensor, radial: Tensor) -> EdgeBasis:
    """Products of edge harmonics and radial functions.

    Parameters
    ----------
    harmonics
        Shape (n, width, (l_max + 1)**2).
    radial
        Zero where the block is padded, shape (n, width, K).

    Returns
    -------
    list of Tensor
        For each degree l, shape (n, (2 l + 1) * K, width).
    """
    n, width = radial.shape[:2]
    l_max = math.isqrt(harmonics.shape[2]) - 1
    by_edge = radial.transpose(1, 2).unsqueeze(1)
    parts = harmonics.transpose(1, 2).split([2 * k + 1 for k in range(l_max + 1)], dim=1)
    return [(y.unsqueeze(2) * by_edge).view(n, -1, width) for y in parts]


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
        self.scale = 1 / math.sqrt(neighbors)
        self.paths = paths_between(list(channels_in), l_max, list(channels_out))
        self.weights = nn.ParameterDict()
        for irrep, channels in channels_out.items():
            fan_in = sum(self._fan_in(p) for p in self.paths if p.irrep_out == irrep)
            self.weights[irrep] = nn.Parameter(torch.randn(fan_in, channels) / math.sqrt(fan_in))
        for p in self.paths:
            if p.l_edge and degree(p.irrep_in):
                tensor = coupling(p.l_edge, degree(p.irrep_in), degree(p.irrep_out))
                self.register_buffer(self._name(p), tensor, persistent=False)

    def _fan_in(self, p: Path) -> int:
        return self.n_radial * self.channels_in[p.irrep_in]

    @staticmethod
    def _name(p: Path) -> str:
        return f"coupling_{p.l_edge}_{degree(p.irrep_in)}_{degree(p.irrep_out)}"

    def forward(self, features: Features, basis: list[EdgeBasis], batch: GraphBatch) -> Features:
        """Convolve.

        Parameters
        ----------
        features
            Irrep -> (n_nodes, 2 l + 1, channels).
        basis
            `edge_basis` of each block.
        batch
            The graph.

        Returns
        -------
        dict
            Irrep -> (n_nodes, 2 l + 1, channels).
        """
        # Rows of the weights belong to the paths in order.
        weights = {
            irrep: iter(w.split([self._fan_in(p) for p in self.paths if p.irrep_out == irrep]))
            for irrep, w in self.weights.items()
        }
        mixing = [(p, next(weights[p.irrep_out]) * self.scale) for p in self.paths]
        flat = {k: features[k].flatten(1) for k in self.channels_in}
        blocks = [
            self._block(flat, phi, block.neighbors, mixing)
            for phi, block in zip(basis, batch.blocks, strict=True)
        ]
        if len(blocks) == 1:
            return blocks[0]
        return {k: torch.cat([b[k] for b in blocks]) for k in self.channels_out}

    def _block(
        self,
        flat: Features,
        basis: EdgeBasis,
        neighbors: Tensor,
        mixing: list[tuple[Path, Tensor]],
    ) -> Features:
        """One block: gather, sum over neighbours, couple, mix."""
        n, width = neighbors.shape
        index = neighbors.reshape(-1)
        gathered = {k: v.index_select(0, index).view(n, width, -1) for k, v in flat.items()}
        densities: dict[tuple[int, str], Tensor] = {}
        out: Features = {}
        for path, weight in mixing:
            pair = (path.l_edge, path.irrep_in)
            if pair not in densities:
                densities[pair] = torch.bmm(basis[path.l_edge], gathered[path.irrep_in])
            mixed = self._couple(densities[pair], path) @ weight
            k = path.irrep_out
            out[k] = out[k] + mixed if k in out else mixed
        return out

    def _couple(self, density: Tensor, path: Path) -> Tensor:
        """(n, (2 l_edge + 1) K, (2 l_in + 1) C) to (n, 2 l_out + 1, K C)."""
        n, l_in, l_edge = len(density), degree(path.irrep_in), path.l_edge
        if l_in == 0:
            return density.view(n, 2 * l_edge + 1, -1)
        if l_edge == 0:
            part = density.view(n, self.n_radial, 2 * l_in + 1, -1)
            return part.transpose(1, 2).reshape(n, 2 * l_in + 1, -1)
        tensor = self.get_buffer(self._name(path))
        part = density.view(n, 2 * l_edge + 1, self.n_radial, 2 * l_in + 1, -1)
        coupled = torch.einsum("nakbc,abo->nokc", part, tensor)
        return coupled.reshape(n, coupled.shape[1], -1)
