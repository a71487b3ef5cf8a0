"""The trunk of site networks: equivariant features of the sites, from densities and products."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any, cast

import torch
from torch import Tensor, nn

from ase_e3dos.network.alike import groups_of_alike
from ase_e3dos.network.convolution import (
    Convolution,
    Degrees,
    EdgeBasis,
    Features,
    edge_basis,
    sum_over_images,
)
from ase_e3dos.network.graph import GraphBatch
from ase_e3dos.network.harmonics import spherical_harmonics
from ase_e3dos.network.paper import mean_over_sites
from ase_e3dos.network.radial import BesselBasis


@dataclass(frozen=True)
class SiteSettings:
    """Sizes of the default network; `read_blocks` is the number of its blocks (`ReadBlock`)."""

    n_features: int = 118
    n_bins: int = 480
    cutoff: float = 5.0
    scalars: int = 128
    vectors: int = 48
    tensors: int = 0
    message_scalars: int = 32
    message_vectors: int = 16
    message_tensors: int = 0
    n_layers: int = 2
    n_radial: int = 8
    l_max: int = 2
    hidden: int = 128
    sources: int = 3
    source_channels: int = 8
    neighbors: float = 30.0
    dropout: float = 0.0
    heads: int = 1
    displacements: int = 0
    sound: int = 0
    stability: int = 0
    read_blocks: int = 0


class SiteLayer(nn.Module):
    """Convolve, form invariants of the result, update scalars and gate vectors and tensors."""

    def __init__(self, s: SiteSettings, channels_in: dict[str, int]) -> None:
        super().__init__()
        self.higher = {"1o": s.vectors} if s.vectors else {}
        if s.tensors:
            self.higher["2e"] = s.tensors
        wanted = {"0e": s.message_scalars, "1o": s.message_vectors, "2e": s.message_tensors}
        self.message = {k: wanted[k] for k in channels_in if wanted[k]}
        self.down = nn.ModuleDict(
            {k: nn.Linear(channels_in[k], n, bias=False) for k, n in self.message.items()}
        )
        self.convolution = Convolution(
            self.message, {"0e": s.scalars, **self.higher}, s.n_radial, s.l_max
        )
        self.skip = nn.ModuleDict(
            {
                k: nn.Linear(channels_in[k], n, bias=False)
                for k, n in self.higher.items()
                if k in channels_in
            }
        )
        self.left = nn.ModuleDict({k: nn.Linear(n, n, bias=False) for k, n in self.higher.items()})
        self.right = nn.ModuleDict({k: nn.Linear(n, n, bias=False) for k, n in self.higher.items()})
        n_higher = sum(self.higher.values())
        n_context = s.scalars + s.source_channels + 1
        self.norm = nn.LayerNorm(2 * s.scalars + n_higher)
        self.context = nn.Linear(n_context, s.hidden)
        self.first = nn.Linear(2 * s.scalars + n_higher, s.hidden)
        self.second = nn.Linear(s.hidden, s.scalars + n_higher)
        self.dropout = nn.Dropout(s.dropout)

    def forward(
        self, features: Features, basis: list[EdgeBasis], batch: GraphBatch, context: Tensor
    ) -> Features:
        """Features of the next layer.

        Parameters
        ----------
        features : Features
            Irrep -> (n_nodes, 2 l + 1, channels).
        basis : list of EdgeBasis
            Edge functions of each block.
        batch : GraphBatch
            The graph.
        context : torch.Tensor
            Of each crystal: source embedding and logarithm of the volume per site, shape
            (n_crystals, n_context).
        """
        down = {k: self.down[k](features[k]) for k in self.message}
        density = self.convolution(down, basis, batch)
        scalars = features["0e"].squeeze(1)
        invariants = [scalars, density["0e"].squeeze(1)]
        higher: Features = {}
        for irrep in self.higher:
            h = density[irrep]
            if irrep in self.skip:
                h = h + self.skip[irrep](features[irrep])
            higher[irrep] = h
            # Scalar products over the components: with an l = 2 density these carry angles.
            invariants.append((self.left[irrep](h) * self.right[irrep](h)).mean(1))
        described = self.norm(torch.cat(invariants, dim=1))
        crystal = torch.cat([mean_over_sites(scalars, batch), context], dim=1)
        crystal = self.context(crystal)
        groups = None if torch.is_grad_enabled() else groups_of_alike(described, batch)
        if groups is None:
            update = self._update(described, crystal.index_select(0, batch.crystal_index))
        else:
            of_crystal = batch.crystal_index.index_select(0, groups.chosen)
            few = described.index_select(0, groups.chosen), crystal.index_select(0, of_crystal)
            update = self._update(*few).index_select(0, groups.group)
        sizes = [scalars.shape[1], *self.higher.values()]
        update, *gates = update.split(sizes, dim=1)
        out: Features = {"0e": (scalars + update).unsqueeze(1)}
        for (irrep, h), gate in zip(higher.items(), gates, strict=True):
            out[irrep] = h * torch.sigmoid(gate).unsqueeze(1)
        return out

    def _update(self, described: Tensor, crystal: Tensor) -> Tensor:
        """Changes of the scalars, and gates, from the invariants of sites and their crystals."""
        hidden = nn.functional.silu(self.first(described) + crystal)
        return cast(Tensor, self.second(self.dropout(hidden) if self.training else hidden))


class SiteTrunk(nn.Module):
    """Equivariant features of the sites: what networks that read them out have in common.

    Element embeddings linear in the occupation (so that alloys interpolate) and `n_layers` of
    `SiteLayer`. What a crystal as a whole says beyond its sites (composition, volume per site,
    data source) enters every layer as a context.

    Parameters
    ----------
    settings : SiteSettings
        Sizes.
    standard_masses : torch.Tensor, optional
        Mass in amu that turns the encoder's mass-weighted features into occupations,
        shape (n_features,); None where features are taken as they are.
    """

    def __init__(self, settings: SiteSettings, standard_masses: Tensor | None = None) -> None:
        super().__init__()
        self.settings = s = settings
        scale = torch.ones(s.n_features) if standard_masses is None else 1 / standard_masses
        self.register_buffer("feature_scale", scale.to(torch.float32))
        self.embedding = nn.Linear(s.n_features, s.scalars, bias=False)
        nn.init.normal_(self.embedding.weight)
        self.source = nn.Embedding(s.sources, s.source_channels)
        self.basis = BesselBasis(s.cutoff, s.n_radial)
        self.layers = nn.ModuleList()
        channels = {"0e": s.scalars}
        for number in range(s.n_layers):
            last = number == s.n_layers - 1
            # Tensors that only displacements ask for are formed where they are read.
            sizes = replace(s, tensors=s.displacements) if last and s.displacements else s
            layer = SiteLayer(sizes, channels)
            self.layers.append(layer)
            channels = {"0e": s.scalars, **layer.higher}
        self.norm = nn.LayerNorm(s.scalars)

    @property
    def self_edges(self) -> bool:
        """No self-edges: the site's own features are carried along by the layers."""
        return False

    @property
    def cutoff(self) -> float:
        """Radius of the graph in Å."""
        return self.settings.cutoff

    def config(self) -> dict[str, Any]:
        """Settings as JSON-plain values."""
        return asdict(self.settings)

    def edge_kind(self) -> tuple[Any, ...]:
        """What the edge functions depend on; networks that agree here can share them."""
        s = self.settings
        return s.cutoff, s.n_radial, s.l_max, s.neighbors, frozenset(self._couplings())

    def _couplings(self) -> dict[Degrees, Tensor | None]:
        """Couplings of all layers; the coefficients of one are the same in every network."""
        couplings: dict[Degrees, Tensor | None] = {}
        for layer in self.layers:
            couplings |= cast(SiteLayer, layer).convolution.couplings()
        return couplings

    def edge_functions(self, batch: GraphBatch) -> list[EdgeBasis]:
        """Radial functions times harmonics of each block, the same for all layers.

        They depend on the settings alone, so that the members of an ensemble share them.

        Parameters
        ----------
        batch : GraphBatch

        Returns
        -------
        list of EdgeBasis
        """
        harmonics = spherical_harmonics(batch.vectors, batch.lengths, self.settings.l_max)
        harmonics = harmonics.t() * (1 / math.sqrt(self.settings.neighbors))
        sums = sum_over_images(harmonics.contiguous(), self.basis(batch.lengths), batch)
        return edge_basis(sums, self._couplings(), batch)

    def context(self, batch: GraphBatch, source: int | Tensor) -> Tensor:
        """What is known of each crystal as a whole.

        Parameters
        ----------
        batch : GraphBatch
        source : int or Tensor, shape (n_crystals,)
            Data set whose labels the spectra are like, of all crystals or of each.

        Returns
        -------
        Tensor, shape (n_crystals, source_channels + 1)
        """
        if isinstance(source, int):
            source = torch.full(
                (batch.n_crystals,), source, dtype=torch.int64, device=batch.n_sites.device
            )
        # log(20 Å^3) is a typical volume per site: the context is then of order one.
        return torch.cat([self.source(source), batch.crystal_scalars - 3.0], dim=1)

    def site_features(
        self, batch: GraphBatch, context: Tensor, basis: list[EdgeBasis] | None = None
    ) -> Features:
        """Features of the last layer.

        Parameters
        ----------
        batch : GraphBatch
            Crystals and encoder features of shape (n_nodes, n_features).
        context : torch.Tensor
            From `context`.
        basis : list of EdgeBasis, optional
            `edge_functions` of the batch, if at hand.

        Returns
        -------
        dict
            Irrep -> (n_nodes, 2 l + 1, channels), in node order.
        """
        if basis is None:
            basis = self.edge_functions(batch)
        x = self.embedding(batch.features * self.get_buffer("feature_scale"))
        features: Features = {"0e": x.unsqueeze(1)}
        for layer in self.layers:
            features = layer(features, basis, batch, context)
        return features
