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

    @property
    def degrees(self) -> tuple[int, int, int]:
        """(l_edge, l_in, l_out)."""
        return self.l_edge, degree(self.irrep_in), degree(self.irrep_out)

    @property
    def basis_degrees(self) -> tuple[int, int, int]:
        """Which edge functions the path needs: a scalar harmonic serves every l_in."""
        return (0, 0, 0) if self.l_edge == 0 else self.degrees

    def coupling(self) -> Tensor | None:
        """Coefficients, or None where a factor is a scalar."""
        l_edge, l_in, l_out = self.degrees
        return coupling(l_edge, l_in, l_out) if l_edge and l_in else None


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


#: Degrees (l_edge, l_in, l_out) of a coupling.
Degrees = tuple[int, int, int]
#: For one block, the edge functions of each coupling; see `edge_basis`.
EdgeBasis = dict[Degrees, Tensor]


def edge_basis(
    harmonics: Tensor, radial: Tensor, couplings: dict[Degrees, Tensor | None]
) -> EdgeBasis:
    """Radial functions times harmonics times coupling coefficients, for the edges of a block.

    The coupling is applied here, once for all layers, channels and networks: the sum over
    neighbours j and components m of x_j gives coupled densities at once.

    Parameters
    ----------
    harmonics
        Shape (n, width, (l_max + 1)**2).
    radial
        Zero where the block is padded, shape (n, width, K).
    couplings
        Coefficients (2 l_edge + 1, 2 l_in + 1, 2 l_out + 1) of each coupling; None where one of
        the inputs is a scalar, whose coupling is the identity.

    Returns
    -------
    dict
        For a coupling with coefficients, shape (n, (2 l_out + 1) K, width (2 l_in + 1)); for
        one without, shape (n, (2 l_edge + 1) K, width).
    """
    n, width = radial.shape[:2]
    radial = radial.transpose(1, 2).contiguous()
    basis: EdgeBasis = {}
    for degrees, tensor in couplings.items():
        l_edge = degrees[0]
        y = harmonics[:, :, l_edge**2 : (l_edge + 1) ** 2]
        if tensor is None:
            product = y.transpose(1, 2).contiguous().unsqueeze(2) * radial.unsqueeze(1)
            basis[degrees] = product.view(n, -1, width)
            continue
        _, m_in, m_out = tensor.shape
        coupled = (y @ tensor.flatten(1)).view(n, width, m_in, m_out).permute(0, 3, 1, 2)
        product = coupled.contiguous().unsqueeze(2) * radial.unsqueeze(1).unsqueeze(-1)
        basis[degrees] = product.view(n, -1, width * m_in)
    return basis


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
    """

    def __init__(
        self,
        channels_in: dict[str, int],
        channels_out: dict[str, int],
        n_radial: int,
        l_max: int,
    ) -> None:
        super().__init__()
        self.channels_in = dict(channels_in)
        self.channels_out = dict(channels_out)
        self.n_radial = n_radial
        self.paths = paths_between(list(channels_in), l_max, list(channels_out))
        self.weights = nn.ParameterDict()
        for irrep, channels in channels_out.items():
            fan_in = sum(self._fan_in(p) for p in self.paths if p.irrep_out == irrep)
            self.weights[irrep] = nn.Parameter(torch.randn(fan_in, channels) / math.sqrt(fan_in))
        for p in self.paths:
            tensor = p.coupling()
            if tensor is not None:
                self.register_buffer(self._name(p.degrees), tensor, persistent=False)

    def _fan_in(self, p: Path) -> int:
        return self.n_radial * self.channels_in[p.irrep_in]

    @staticmethod
    def _name(degrees: Degrees) -> str:
        return "coupling_{}_{}_{}".format(*degrees)

    def couplings(self) -> dict[Degrees, Tensor | None]:
        """What `edge_basis` needs to make this convolution's edge functions."""
        return {p.basis_degrees: getattr(self, self._name(p.degrees), None) for p in self.paths}

    def forward(self, features: Features, basis: list[EdgeBasis], batch: GraphBatch) -> Features:
        """Convolve.

        Parameters
        ----------
        features
            Irrep -> (n_nodes, 2 l + 1, channels).
        basis
            `edge_basis` of each block, with at least the `couplings` of this convolution.
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
        mixing = [(p, next(weights[p.irrep_out])) for p in self.paths]
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
        """One block: gather, sum over neighbours, mix."""
        n, width = neighbors.shape
        index = neighbors.reshape(-1)
        gathered = {k: v.index_select(0, index).view(n, width, -1) for k, v in flat.items()}
        densities: dict[tuple[Degrees, str], Tensor] = {}
        out: Features = {}
        for path, weight in mixing:
            key = (path.basis_degrees, path.irrep_in)
            if key not in densities:
                densities[key] = self._density(path, basis, gathered[path.irrep_in])
            mixed = densities[key] @ weight
            k = path.irrep_out
            out[k] = out[k] + mixed if k in out else mixed
        return out

    def _density(self, path: Path, basis: EdgeBasis, values: Tensor) -> Tensor:
        """Sum over neighbours, coupled: (n, 2 l_out + 1, K * channels)."""
        n = len(values)
        l_edge, l_in, l_out = path.degrees
        phi = basis[path.basis_degrees]
        if l_edge == 0 and l_in > 0:
            part = torch.bmm(phi, values).view(n, self.n_radial, 2 * l_in + 1, -1)
            return part.transpose(1, 2).reshape(n, 2 * l_in + 1, -1)
        channels = self.channels_in[path.irrep_in]
        return torch.bmm(phi, values.reshape(n, -1, channels)).view(n, 2 * l_out + 1, -1)
