"""The network of Chen et al., Adv. Sci. 8, 2004214 (2021), figure S2 and equations S1 to S5."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from ase_e3dos.errors import PredictionError
from ase_e3dos.network.convolution import Convolution, Features, edge_basis, sum_over_images
from ase_e3dos.network.graph import GraphBatch
from ase_e3dos.network.harmonics import spherical_harmonics
from ase_e3dos.network.radial import GaussianBasis, RadialNetwork

#: Atomic masses enter in units of this many amu, so that embedded features are of order one.
_MASS_SCALE = 60.0


@dataclass(frozen=True)
class PaperSettings:
    """Sizes of the paper's network (table S1, last column, and figure S2).

    `radial_hidden`, `mass_scale` and `neighbors` are left open by the paper; the rest is its own.
    `embedding_activation` 1 puts a bias and a ReLU after the embedding, as the code that the
    authors published does and their figure S2 does not show. `output_gradient` 1 lets gradients
    through the last ReLU in training where it gives zero: a frequency that is zero for every
    crystal has no gradient otherwise, and stays zero for good. Predictions are the same function.
    """

    n_features: int = 118
    n_bins: int = 51
    cutoff: float = 5.0
    embedding: int = 64
    channels: int = 32
    n_gated: int = 2
    n_radial: int = 10
    radial_hidden: int = 16
    neighbors: float = 30.0
    mass_scale: float = _MASS_SCALE
    embedding_activation: int = 0
    output_gradient: int = 0


class Gate(nn.Module):
    """Gated nonlinearity: SiLU on scalars, sigmoid gates on vectors.

    GatedBlockParity of the paper; the activations keep the second moment of unit normals, as
    e3nn's do.
    """

    def __init__(self, scalars: int, irreps: dict[str, int]) -> None:
        super().__init__()
        self.scalars = scalars
        self.irreps = dict(irreps)

    @property
    def channels_in(self) -> dict[str, int]:
        """What the preceding convolution must give."""
        return {"0e": self.scalars + sum(self.irreps.values()), **self.irreps}

    @property
    def channels_out(self) -> dict[str, int]:
        """What comes out."""
        return {"0e": self.scalars, **self.irreps}

    def forward(self, features: Features) -> Features:
        """Apply the activations; gates are the last channels of the scalars."""
        scalars, gates = features["0e"].split([self.scalars, sum(self.irreps.values())], dim=-1)
        out = {"0e": nn.functional.silu(scalars) * 1.6790}
        if self.irreps:
            opened = torch.sigmoid(gates) * 1.8467
            for irrep, gate in zip(
                self.irreps, opened.split(list(self.irreps.values()), dim=-1), strict=True
            ):
                out[irrep] = features[irrep] * gate
        return out


class PaperNetwork(nn.Module):
    """Mass-weighted one-hot sites -> max-normalised spectrum of the crystal.

    Embedding 118 -> 64 scalars, `n_gated` gated convolutions with 32 channels of l = 0 and 1,
    a last convolution to one scalar a frequency, mean over sites (the paper's sum: the
    normalisation that follows removes the factor), ReLU, division by the maximum.

    Of the parities that GatedBlockParity could carry, 0e and 1o have a path to the output.
    The pseudovectors 1e that the second convolution could form have none (the last convolution
    gives scalars 0e only, and 1e x 1o has no 0e), so they are not computed.

    Parameters
    ----------
    settings : PaperSettings
        Sizes.
    """

    kind = "paper"
    per_site = False

    def __init__(self, settings: PaperSettings) -> None:
        super().__init__()
        self.settings = s = settings
        self.embedding = nn.Parameter(torch.empty(s.n_features, s.embedding))
        nn.init.normal_(self.embedding)
        self.embedding_bias = (
            nn.Parameter(torch.zeros(s.embedding)) if s.embedding_activation else None
        )
        self.basis = GaussianBasis(s.cutoff, s.n_radial)
        self.radial = nn.ModuleList()
        self.convolutions = nn.ModuleList()
        self.gates = nn.ModuleList()
        channels = {"0e": s.embedding}
        for _ in range(s.n_gated):
            gate = Gate(s.channels, {"1o": s.channels})
            self.radial.append(RadialNetwork(s.n_radial, s.radial_hidden))
            self.convolutions.append(Convolution(channels, gate.channels_in, s.radial_hidden, 1))
            self.gates.append(gate)
            channels = gate.channels_out
        self.radial.append(RadialNetwork(s.n_radial, s.radial_hidden))
        self.convolutions.append(Convolution(channels, {"0e": s.n_bins}, s.radial_hidden, 1))

    @property
    def self_edges(self) -> bool:
        """The paper's graphs join each site to itself."""
        return True

    @property
    def cutoff(self) -> float:
        """Radius of the graph in Å."""
        return self.settings.cutoff

    def config(self) -> dict[str, Any]:
        """Settings as JSON-plain values."""
        return asdict(self.settings)

    def forward(self, batch: GraphBatch, source: int = 0) -> Tensor:
        """Spectra divided by their maximum.

        Parameters
        ----------
        batch : GraphBatch
            Crystals with self-edges and features of shape (n_nodes, 118).
        source : int, optional
            Ignored: the paper's network knows one data source.

        Returns
        -------
        Tensor
            Shape (n_crystals, n_bins); all zero where the ReLU killed every bin.
        """
        scalars = self.crystal_scalars(batch)
        spectra = torch.relu(scalars)
        if self.training and self.settings.output_gradient:
            spectra = scalars + (spectra - scalars).detach()  # its values, gradient of `scalars`
        return normalise_by_maximum(spectra)

    def crystal_scalars(self, batch: GraphBatch) -> Tensor:
        """Mean over sites of the last convolution, shape (n_crystals, n_bins).

        Parameters
        ----------
        batch : GraphBatch

        Returns
        -------
        torch.Tensor, shape (n_crystals, n_bins)
        """
        harmonics = spherical_harmonics(batch.vectors, batch.lengths, 1).t()
        harmonics = (harmonics * (1 / math.sqrt(self.settings.neighbors))).contiguous()
        lengths = self.basis(batch.lengths)
        radial = torch.cat([r(lengths) for r in self.radial], dim=1)
        sums = sum_over_images(harmonics, radial, batch).split(self.settings.radial_hidden, dim=2)
        x = batch.features @ self.embedding / self.settings.mass_scale
        if self.settings.embedding_activation:
            # the factor keeps the second moment of a normal, as those of the gates do
            x = torch.relu(x + self.get_parameter("embedding_bias")) * math.sqrt(2.0)
        features: Features = {"0e": x.unsqueeze(1)}
        last = len(self.convolutions) - 1
        for i, convolution in enumerate(self.convolutions):
            couplings = cast(Convolution, convolution).couplings()
            basis = edge_basis(sums[i], couplings, batch)
            features = convolution(features, basis, batch)
            if i < last:
                features = self.gates[i](features)
        return mean_over_sites(features["0e"].squeeze(1), batch)


def mean_over_sites(values: Tensor, batch: GraphBatch) -> Tensor:
    """Node values (n_nodes, k) to their mean in each crystal, (n_crystals, k)."""
    if batch.n_crystals == 1:
        return values.mean(0, keepdim=True)
    total: Tensor = nn.functional.embedding_bag(
        batch.site_order, values, batch.first_site, mode="sum"
    )
    return total / batch.n_sites.unsqueeze(1)


def normalise_by_maximum(spectra: Tensor) -> Tensor:
    """Divide each row by its maximum; rows of zeros stay zero.

    Parameters
    ----------
    spectra : Tensor, shape (n_crystals, n_points)
        In any unit.

    Returns
    -------
    Tensor, shape (n_crystals, n_points)
        Without unit.
    """
    return spectra / spectra.amax(dim=1, keepdim=True).clamp_min(1e-12)


def check_nonzero(spectra: Tensor, names: list[str]) -> None:
    """Refuse spectra without any weight.

    Raises
    ------
    PredictionError
        Names the crystals whose spectrum is zero everywhere.
    """
    dead = (spectra.amax(dim=1) <= 0).nonzero().flatten().tolist()
    if dead:
        raise PredictionError(
            f"{', '.join(names[i] for i in dead)}: the network gave zero at every frequency, "
            "which happens far from its training data. Try another model (model='default')."
        )
