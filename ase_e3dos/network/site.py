"""The default network: a normalised spectrum for every site, from densities and their products."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn

from ase_e3dos.network.alike import Groups, groups_of_alike
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


#: Displacement tensors are given at so many temperatures (100, 300 and 600 K).
N_TEMPERATURES = 3
#: Logarithm of the odds of a site beyond which they say nothing more (and could overflow).
MOST_LOG_ODDS = 30.0


@dataclass(frozen=True)
class SiteOutput:
    """What the site network says of a batch.

    Attributes
    ----------
    log_weights : torch.Tensor
        Logarithm of each site's weight in each bin by each head, shape (n_heads, n_nodes, n_bins).
    log_displacements : torch.Tensor or None
        Logarithm of the displacement tensor in Å^2 of each node at each of the
        temperatures: a third of its trace and its five l = 2 components, shape
        (n_nodes, 3, 6); None for a network without them.
    log_sound : torch.Tensor or None
        Logarithm of the Debye mean of the sound velocities in km/s, shape (n_crystals,), or None.
    log_odds_unstable : torch.Tensor or None
        Logarithm of the odds that more than 1 % of the modes are imaginary, shape (n_crystals,),
        or None.
    """

    log_weights: Tensor
    log_displacements: Tensor | None
    log_sound: Tensor | None
    log_odds_unstable: Tensor | None = None


@dataclass(frozen=True)
class SiteSpectra:
    """What a prediction takes from the site network.

    Attributes
    ----------
    crystals : torch.Tensor
        Share of the modes in each bin by each head, shape (n_heads, n_crystals, n_bins).
    sites : torch.Tensor
        Their mean over the heads for each site, in the order of the sites, shape
        (n_nodes, n_bins).
    log_displacements, log_sound, log_odds_unstable : torch.Tensor or None
        As in `SiteOutput`.
    """

    crystals: Tensor
    sites: Tensor
    log_displacements: Tensor | None
    log_sound: Tensor | None
    log_odds_unstable: Tensor | None


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


class ReadBlock(nn.Module):
    """Update what is read of a site by what is read of all sites of its crystal.

    Begins as the identity, so that a trained network can be given more of them.

    Parameters
    ----------
    hidden : int
        Values a site.
    dropout : float
        Share of the inner units that training leaves out.
    """

    def __init__(self, hidden: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(hidden)
        self.crystal = nn.Linear(hidden, hidden, bias=False)
        self.first = nn.Linear(hidden, hidden)
        self.second = nn.Linear(hidden, hidden)
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, hidden: Tensor, mean: Callable[[Tensor], Tensor], index: Tensor) -> Tensor:
        """Hidden values of the next block.

        Parameters
        ----------
        hidden : torch.Tensor, shape (n, hidden)
            Of sites, or of groups of alike ones.
        mean : callable
            Values of these (n, k) to their mean over the sites of each crystal, (n_crystals, k).
        index : torch.Tensor, shape (n,)
            Crystal of each.

        Returns
        -------
        torch.Tensor, shape (n, hidden)
        """
        normed = self.norm(hidden)
        crystal = self.crystal(mean(normed)).index_select(0, index)
        inner = nn.functional.silu(self.first(normed) + crystal)
        update: Tensor = self.second(self.dropout(inner) if self.training else inner)
        return hidden + update


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


class SiteNetwork(SiteTrunk):
    """Sites -> spectra that are non-negative and sum to one for every site.

    A `SiteTrunk`, and a softmax over frequency bins for each site.

    Parameters
    ----------
    settings : SiteSettings
        Sizes.
    standard_masses : torch.Tensor, optional
        As for `SiteTrunk`.
    """

    kind = "site"
    per_site = True

    def __init__(self, settings: SiteSettings, standard_masses: Tensor | None = None) -> None:
        super().__init__(settings, standard_masses)
        s = settings
        self.read_site = nn.Linear(s.scalars, s.hidden)
        self.read_crystal = nn.Linear(s.scalars + s.source_channels + 1, s.hidden)
        self.read_blocks = nn.ModuleList(
            ReadBlock(s.hidden, s.dropout) for _ in range(s.read_blocks)
        )
        self.read_hidden = nn.Linear(s.hidden, s.heads * s.hidden)
        self.read_out = nn.Linear(s.hidden, s.heads * s.n_bins)
        self.dropout = nn.Dropout(s.dropout)
        if s.displacements:
            self.read_size = nn.Linear(s.hidden, N_TEMPERATURES)
            self.read_axes = nn.Linear(s.hidden, N_TEMPERATURES * s.displacements)
        if s.sound:
            self.read_sound = nn.Sequential(
                nn.Linear(s.hidden, s.hidden // 2), nn.SiLU(), nn.Linear(s.hidden // 2, 1)
            )

        if s.stability:
            self.read_stability = nn.Sequential(
                nn.Linear(s.hidden, s.hidden // 2), nn.SiLU(), nn.Linear(s.hidden // 2, 1)
            )

    def forward(
        self,
        batch: GraphBatch,
        source: int | Tensor = 0,
        basis: list[EdgeBasis] | None = None,
    ) -> SiteOutput:
        """Spectra of the sites, and what else the settings ask for.

        Parameters
        ----------
        batch : GraphBatch
            Crystals and encoder features of shape (n_nodes, n_features).
        source : int or torch.Tensor, optional
            Data source that the spectra speak for: one index, or one for each crystal.
        basis : list of EdgeBasis, optional
            `edge_functions` of the batch, if at hand.

        Returns
        -------
        SiteOutput
            Nodes in batch order; exp() of the logarithms sums to one over the bins.
        """
        site, context, features = self._described(batch, source, basis)
        hidden = self._hidden(site, self._of_crystal(site, context, batch), batch)
        log_weights = torch.log_softmax(self._logits(hidden), dim=2)
        return SiteOutput(log_weights, *self._sides(hidden, features, batch))

    def spectra(
        self, batch: GraphBatch, source: int = 0, basis: list[EdgeBasis] | None = None
    ) -> SiteSpectra:
        """What a prediction needs of `forward`, where alike sites are read out once.

        Parameters
        ----------
        batch, source, basis
            As for `forward`.

        Returns
        -------
        SiteSpectra
        """
        site, context, features = self._described(batch, source, basis)
        crystal = self._of_crystal(site, context, batch)
        groups = groups_of_alike(site, batch)
        if groups is None:
            hidden = self._hidden(site, crystal, batch)
            weights = torch.softmax(self._logits(hidden), dim=2)
            crystals = torch.stack([mean_over_sites(head, batch) for head in weights])
            sites = weights.mean(0).index_select(0, batch.site_order)
        else:
            few, told = (v.index_select(0, groups.chosen) for v in (site, crystal))
            few = self._hidden(few, told, batch, groups)
            weights = torch.softmax(self._logits(few), dim=2)
            crystals = torch.stack([groups.mean_over_sites(head) for head in weights])
            sites = weights.mean(0).index_select(0, groups.group[batch.site_order])
            hidden = few.index_select(0, groups.group)
        return SiteSpectra(crystals, sites, *self._sides(hidden, features, batch))

    def _described(
        self, batch: GraphBatch, source: int | Tensor, basis: list[EdgeBasis] | None
    ) -> tuple[Tensor, Tensor, Features]:
        """Normalised scalars of the nodes, context of the crystals, and all features."""
        context = self.context(batch, source)
        features = self.site_features(batch, context, basis)
        return self.norm(features["0e"].squeeze(1)), context, features

    def _of_crystal(self, site: Tensor, context: Tensor, batch: GraphBatch) -> Tensor:
        """What each node is told about its crystal, shape (n_nodes, hidden)."""
        crystal = self.read_crystal(torch.cat([mean_over_sites(site, batch), context], dim=1))
        return cast(Tensor, crystal.index_select(0, batch.crystal_index))

    def _hidden(
        self, site: Tensor, crystal: Tensor, batch: GraphBatch, groups: Groups | None = None
    ) -> Tensor:
        """What spectra and all else are read from, of nodes or groups of them: (n, hidden)."""
        hidden = nn.functional.silu(self.read_site(site) + crystal)
        if self.training:
            hidden = self.dropout(hidden)
        if not self.read_blocks:
            return hidden
        index = batch.crystal_index
        mean: Callable[[Tensor], Tensor] = partial(mean_over_sites, batch=batch)
        if groups is not None:
            index = index.index_select(0, groups.chosen)
            mean = groups.mean_over_sites
        for block in self.read_blocks:
            hidden = block(hidden, mean, index)
        return hidden

    def _logits(self, hidden: Tensor) -> Tensor:
        """Of the bins by each head, shape (n_heads, n, n_bins)."""
        heads = self.settings.heads
        own = nn.functional.silu(self.read_hidden(hidden)).view(len(hidden), heads, -1)
        own = (own + hidden.unsqueeze(1)).transpose(0, 1)
        weight = self.read_out.weight.view(heads, -1, own.shape[2])
        bias = self.read_out.bias.view(heads, 1, -1)
        return torch.baddbmm(bias, own, weight.transpose(1, 2))

    def _sides(
        self, hidden: Tensor, features: Features, batch: GraphBatch
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """Displacements of the nodes, sound and stability of the crystals; see `SiteOutput`."""
        sound = None
        if self.settings.sound:
            sound = self.read_sound(mean_over_sites(hidden, batch)).squeeze(1)
        unstable = None
        if self.settings.stability:
            # The mean of the odds: one unstable site tells, and a supercell has those of its cell.
            odds = self.read_stability(hidden).clamp_max(MOST_LOG_ODDS).exp()
            unstable = mean_over_sites(odds, batch).log().squeeze(1)
        tensors = self._displacements(hidden, features) if self.settings.displacements else None
        return tensors, sound, unstable

    def _displacements(self, hidden: Tensor, features: Features) -> Tensor:
        """Logarithms of the displacement tensors, see `SiteOutput`."""
        channels = self.settings.displacements
        mixture = self.read_axes(hidden).view(len(hidden), -1, channels) / math.sqrt(channels)
        axes = torch.bmm(mixture, features["2e"].transpose(1, 2))
        return torch.cat([self.read_size(hidden).unsqueeze(2), axes], dim=2)
