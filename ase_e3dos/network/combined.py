"""Force constants and site spectra of two networks as one: each where it errs least.

Force constants give the sharper spectra and the smaller errors of heat capacities and average
frequencies; a site network gives displacement tensors, sound velocities and stability with smaller
errors, and its spectra err elsewhere. Both read one graph of a crystal.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ase_e3dos.network.convolution import EdgeBasis
from ase_e3dos.network.force_constants import ForceConstantNetwork, ForceConstantSettings
from ase_e3dos.network.graph import GraphBatch
from ase_e3dos.network.site import SiteNetwork, SiteSpectra
from ase_e3dos.network.site_trunk import SiteSettings

__all__ = ["CombinedNetwork", "CombinedSettings"]


@dataclass(frozen=True)
class CombinedSettings:
    """What both networks are, and how much the force constants say.

    Attributes
    ----------
    force_constants : dict
        Fields of `ForceConstantSettings`.
    site : dict
        Fields of `SiteSettings`.
    quarters : int
        Share of the force constants in the spectra, in quarters: 1, 2 or 3.
    n_features : int
        Encoder features of a site, of both.
    """

    force_constants: dict[str, Any] = field(default_factory=dict)
    site: dict[str, Any] = field(default_factory=dict)
    quarters: int = 3
    n_features: int = 118

    def __post_init__(self) -> None:
        """Refuse other shares, and sizes that differ."""
        if self.quarters not in (1, 2, 3):
            raise TypeError(f"quarters is {self.quarters!r} and should be 1, 2 or 3")
        for part in (self.force_constants, self.site):
            if part.get("n_features", self.n_features) != self.n_features:
                raise TypeError("both networks should take the same features")


class CombinedNetwork(nn.Module):
    """Crystals -> means of the spectra of two networks; the site network says all else.

    The members behind the error bars are the force constants' spectrum and two means of the site
    network's heads, repeated so that the mean over members is the prediction: their spread says
    how far the two networks, and the heads, are apart.

    Parameters
    ----------
    settings : CombinedSettings
        Of both.
    standard_masses : torch.Tensor, optional
        As for `SiteTrunk`.
    """

    kind = "combined"
    per_site = True
    self_edges = False

    def __init__(self, settings: CombinedSettings, standard_masses: Tensor | None = None) -> None:
        super().__init__()
        self.settings = settings
        self.force_constants = ForceConstantNetwork(
            ForceConstantSettings(**settings.force_constants), standard_masses
        )
        self.site = SiteNetwork(SiteSettings(**settings.site), standard_masses)

    @property
    def cutoff(self) -> float:
        """Radius of the graph in Å: the larger of both."""
        return max(self.force_constants.cutoff, self.site.cutoff)

    def config(self) -> dict[str, Any]:
        """Settings as JSON-plain values."""
        return asdict(self.settings)

    def edge_kind(self) -> tuple[Any, ...]:
        """What the site network's edge functions depend on; see `SiteTrunk.edge_kind`."""
        return self.site.edge_kind()

    def edge_functions(self, batch: GraphBatch) -> list[EdgeBasis]:
        """Of the site network; see `SiteTrunk.edge_functions`."""
        return self.site.edge_functions(batch)

    def spectra(
        self, batch: GraphBatch, source: int = 0, basis: list[EdgeBasis] | None = None
    ) -> SiteSpectra:
        """Spectra of the crystals by each member, and of the sites, as `SiteNetwork.spectra`.

        Parameters
        ----------
        batch : GraphBatch
            Graphs with this network's cut-off, and encoder features.
        source : int, optional
            Data source that the site network speaks for; the force constants speak for DFT.
        basis : list of EdgeBasis, optional
            `edge_functions` of the batch, if at hand.

        Returns
        -------
        SiteSpectra
            Eight members.
        """
        if basis is None:
            basis = self.edge_functions(batch)
        same = self.force_constants.edge_kind() == self.edge_kind()
        constants = self.force_constants.spectra(batch, 0, basis if same else None)
        site = self.site.spectra(batch, source, basis)
        share = self.settings.quarters / 4
        heads = [part.mean(0, keepdim=True) for part in _halves(site.crystals)]
        repeated = len(heads) * self.settings.quarters
        members = [constants.crystals] * repeated + heads * (4 - self.settings.quarters)
        return SiteSpectra(
            torch.cat(members),
            share * constants.sites + (1 - share) * site.sites,
            site.log_displacements,
            site.log_sound,
            site.log_odds_unstable,
        )


def _halves(heads: Tensor) -> tuple[Tensor, Tensor]:
    """Two groups of the heads, the same one twice if there is one."""
    middle = len(heads) // 2
    return (heads[:middle], heads[middle:]) if middle else (heads, heads)
