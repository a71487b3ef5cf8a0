"""The default network: a normalised spectrum for every site, read off the features of a trunk."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn

from ase_e3dos.network.alike import Groups, groups_of_alike
from ase_e3dos.network.convolution import EdgeBasis, Features
from ase_e3dos.network.graph import GraphBatch
from ase_e3dos.network.paper import mean_over_sites
from ase_e3dos.network.site_trunk import SiteSettings, SiteTrunk

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
