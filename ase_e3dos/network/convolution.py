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
from functools import cached_property

import torch
from torch import Tensor, nn

from ase_e3dos.network.graph import GraphBatch
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

    @cached_property
    def degrees(self) -> tuple[int, int, int]:
        """(l_edge, l_in, l_out)."""
        return self.l_edge, degree(self.irrep_in), degree(self.irrep_out)

    @cached_property
    def basis_degrees(self) -> tuple[int, int, int]:
        """Which edge functions the path needs: a scalar harmonic serves every l_in."""
        return (0, 0, 0) if self.l_edge == 0 else self.degrees

    @cached_property
    def buffer(self) -> str:
        """Name of the buffer with its coefficients."""
        return "coupling_{}_{}_{}".format(*self.degrees)

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


def sum_over_images(harmonics: Tensor, radial: Tensor, batch: GraphBatch) -> Tensor:
    """Products of harmonics and radial functions, summed over the edges of each slot.

    Parameters
    ----------
    harmonics : torch.Tensor
        Shape (M, n_edges).
    radial : torch.Tensor
        Shape (n_edges, K).
    batch : GraphBatch
        The graph that the edges belong to.

    Returns
    -------
    Tensor
        Shape (M, n_slots, K).
    """
    n_edges, n_radial = radial.shape
    if n_edges == 0:
        return radial.new_zeros(len(harmonics), len(batch.first_edge), n_radial)
    # One bag of edges for each harmonic and slot, with the harmonic as weight of the edge.
    m = len(harmonics)
    edges = torch.arange(n_edges, device=radial.device).repeat(m)
    starts = torch.arange(0, m * n_edges, n_edges, device=radial.device)
    sums = nn.functional.embedding_bag(
        edges,
        radial,
        (starts.unsqueeze(1) + batch.first_edge).view(-1),
        mode="sum",
        per_sample_weights=harmonics.reshape(-1),
    )
    return sums.view(m, -1, n_radial)


def edge_basis(
    sums: Tensor, couplings: dict[Degrees, Tensor | None], batch: GraphBatch
) -> list[EdgeBasis]:
    """Edge functions times coupling coefficients, for each block of the batch.

    The coupling is applied here, once for all layers, channels and networks: the sum over
    neighbours j and components m of x_j gives coupled densities at once.

    Parameters
    ----------
    sums : torch.Tensor
        Harmonics up to l_max times radial functions, from `sum_over_images`, shape
        ((l_max + 1)**2, n_slots, K).
    couplings : dict of Degrees to torch.Tensor or None
        Coefficients (2 l_edge + 1, 2 l_in + 1, 2 l_out + 1) of each coupling; None where one of
        the inputs is a scalar, whose coupling is the identity.
    batch : GraphBatch
        The graph.

    Returns
    -------
    list of dict
        For a coupling with coefficients, shape (n, width (2 l_in + 1), (2 l_out + 1) K); for
        one without, shape (n, width, (2 l_edge + 1) K).
    """
    _, n_slots, n_radial = sums.shape
    shapes = [block.shape for block in batch.neighbors]
    slots = [n * width for n, width in shapes]
    found: list[EdgeBasis] = [{} for _ in shapes]
    for degrees, tensor in couplings.items():
        l_edge = degrees[0]
        functions, m_in = sums[l_edge**2 : (l_edge + 1) ** 2], 1
        if tensor is not None:
            m_in = tensor.shape[1]
            functions = tensor.flatten(1).t() @ functions.flatten(1)
        # components first -> slots first
        functions = functions.view(-1, n_slots, n_radial).transpose(0, 1).reshape(n_slots, -1)
        for basis, part, (n, width) in zip(found, functions.split(slots), shapes, strict=True):
            basis[degrees] = part.view(n, width * m_in, -1)
    return found


class Convolution(nn.Module):
    """Equivariant convolution with dense kernels (equation S4 of the paper).

    Parameters
    ----------
    channels_in, channels_out : dict of str to int
        Channels of each irrep, for example ``{"0e": 32, "1o": 32}``.
    n_radial : int
        Number K of radial functions.
    l_max : int
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
            self.weights[irrep] = nn.Parameter(torch.empty(fan_in, channels))
            nn.init.normal_(self.weights[irrep], std=1 / math.sqrt(fan_in))
        for p in self.paths:
            tensor = p.coupling()  # on the CPU: real numbers, even where a meta device is set
            if tensor is not None:
                self.register_buffer(p.buffer, tensor, persistent=False)
        self._parts: dict[str, tuple[int, tuple[Tensor, ...]]] = {}

    def _fan_in(self, p: Path) -> int:
        return self.n_radial * self.channels_in[p.irrep_in]

    def couplings(self) -> dict[Degrees, Tensor | None]:
        """What `edge_basis` needs to make this convolution's edge functions."""
        return {p.basis_degrees: getattr(self, p.buffer, None) for p in self.paths}

    def forward(self, features: Features, basis: list[EdgeBasis], batch: GraphBatch) -> Features:
        """Convolve.

        Parameters
        ----------
        features : Features
            Irrep -> (n_nodes, 2 l + 1, channels).
        basis : list of EdgeBasis
            `edge_basis` of each block, with at least the `couplings` of this convolution.
        batch : GraphBatch
            The graph.

        Returns
        -------
        dict
            Irrep -> (n_nodes, 2 l + 1, channels).
        """
        weights = {irrep: iter(self._weights_of_paths(irrep)) for irrep in self.channels_out}
        gathered = self._gathered(features, batch)
        densities: dict[tuple[Degrees, str], Tensor] = {}
        out: Features = {}
        for path in self.paths:
            key = (path.basis_degrees, path.irrep_in)
            if key not in densities:
                densities[key] = self._density(path, basis, gathered)
            density, k = densities[key], path.irrep_out
            weight = next(weights[k])
            if k not in out:
                out[k] = density @ weight
            elif out[k].dtype == density.dtype == weight.dtype:
                out[k].addmm_(density, weight)  # no derivative needs the sum so far
            else:  # autocast, which leaves what is done in place alone
                out[k] = torch.addmm(out[k], density, weight)
        n = len(batch.crystal_index)
        return {k: v.view(n, 2 * degree(k) + 1, -1) for k, v in out.items()}

    def _gathered(self, features: Features, batch: GraphBatch) -> list[Features]:
        """Features of the neighbours in each block: (slots, (2 l + 1) channels)."""
        return [
            {k: features[k].flatten(1).index_select(0, index.view(-1)) for k in self.channels_in}
            for index in batch.neighbors
        ]

    def _weights_of_paths(self, irrep: str) -> tuple[Tensor, ...]:
        """Rows of the weights to one irrep: they belong to the paths in order.

        Without gradients they are kept, as long as the weights lie where they lay.
        """
        weight = self.weights[irrep]
        if torch.is_grad_enabled():
            return self._divided(irrep, weight)
        kept = self._parts.get(irrep)
        if kept is None or kept[0] != weight.data_ptr():
            kept = self._parts[irrep] = weight.data_ptr(), self._divided(irrep, weight)
        return kept[1]

    def _divided(self, irrep: str, weight: Tensor) -> tuple[Tensor, ...]:
        sizes = [self._fan_in(p) for p in self.paths if p.irrep_out == irrep]
        return tuple(weight.split(sizes))

    def _density(self, path: Path, basis: list[EdgeBasis], gathered: list[Features]) -> Tensor:
        """Sum over neighbours, coupled: (n_nodes (2 l_out + 1), K * channels).

        Parameters
        ----------
        path : Path
            The coupling.
        basis : list of EdgeBasis
            As from `edge_basis`.
        gathered : list of Features
            Of each block, the features of the neighbours, (slots, (2 l + 1) channels).
        """
        l_edge, l_in, _ = path.degrees
        channels = self.channels_in[path.irrep_in]
        components_first = l_edge == 0 and l_in > 0
        factors = []
        for functions, values in zip(basis, gathered, strict=True):
            phi = functions[path.basis_degrees]
            n, width = phi.shape[:2]
            x = values[path.irrep_in]
            x = x.view(n, width, -1 if components_first else channels)
            factors.append((phi.transpose(1, 2), x))
        density = _products(factors)
        if components_first:
            density = density.view(-1, self.n_radial, 2 * l_in + 1, channels).transpose(1, 2)
        return density.reshape(-1, self.n_radial * channels)


def _products(factors: list[tuple[Tensor, Tensor]]) -> Tensor:
    """Batched matrix products of several blocks, laid end to end along the batch."""
    if len(factors) == 1:
        return torch.bmm(*factors[0])
    if torch.is_grad_enabled():
        return torch.cat([torch.bmm(a, b) for a, b in factors])
    first, second = factors[0]
    sizes = [len(a) for a, _ in factors]
    joined = first.new_empty(sum(sizes), first.shape[1], second.shape[2])
    for part, (a, b) in zip(joined.split(sizes), factors, strict=True):
        torch.bmm(a, b, out=part)
    return joined
