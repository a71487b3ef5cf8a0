"""Model: an ensemble of networks on a device, from batches of graphs to densities."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ase_e3dos.errors import WeightsError
from ase_e3dos.network.construction import load_networks
from ase_e3dos.network.device import resolve_device
from ase_e3dos.network.graph import GraphBatch
from ase_e3dos.network.paper import check_nonzero
from ase_e3dos.network.precision import without_autocast
from ase_e3dos.network.site import SiteNetwork, SiteSpectra
from ase_e3dos.network.weights import WeightsHeader


@dataclass(frozen=True)
class Densities:
    """What a model says of a batch of crystals, as shares of the modes in each bin.

    Attributes
    ----------
    crystals : ndarray of float32
        Mean over sites and members, shape (n_crystals, n_bins); rows sum to one.
    members : ndarray of float32 or None
        Of each member (each head of each network), shape (n_members, n_crystals, n_bins); None
        where there is one, or where no error bars are wanted. Of a network with a companion, its
        own, which are `crystals`, and the companion's.
    sites : ndarray of float32 or None
        Mean over members, crystal after crystal, shape (n_sites in all, n_bins); None for a
        model without site spectra.
    log_displacements : ndarray of float32 or None
        Logarithms of the sites' displacement tensors (`ase_e3dos.network.site.SiteOutput`),
        crystal after crystal, shape (n_sites in all, 3, 6); None for a model without them.
    log_sound : ndarray of float32 or None
        Logarithm of the sound velocity in km/s, shape (n_crystals,), or None.
    instability : ndarray of float32 or None
        Probability that more than 1 % of the modes are imaginary, shape (n_crystals,), or None.
    """

    crystals: NDArray[np.float32]
    members: NDArray[np.float32] | None
    sites: NDArray[np.float32] | None
    log_displacements: NDArray[np.float32] | None = None
    log_sound: NDArray[np.float32] | None = None
    instability: NDArray[np.float32] | None = None


class Model:
    """An ensemble ready to predict; safe to share between threads.

    Parameters
    ----------
    header : WeightsHeader
        From the weights file.
    networks : list of nn.Module
        The members, and the distilled network last if the header says that there is one.
    device : torch.device
        Where they run.
    source : str, optional
        Name of the data source to speak for; None for the first.
    companion : nn.Module, optional
        Network of sites' spectra that is a second member behind error bars, and no part of the
        prediction.

    Raises
    ------
    WeightsError
        The weights know no such source.
    """

    def __init__(
        self,
        header: WeightsHeader,
        networks: list[nn.Module],
        device: torch.device,
        source: str | None = None,
        companion: nn.Module | None = None,
    ) -> None:
        if source is not None and source not in header.sources:
            raise WeightsError(
                f"the weights speak for {', '.join(header.sources)}, not for {source!r}."
            )
        self.header = header
        self.device = device
        self.source = header.sources.index(source) if source else 0
        self._networks = [n.to(device).eval().requires_grad_(False) for n in networks]
        self._companion: Any = companion
        if companion is not None:
            companion.to(device).eval().requires_grad_(False)

    @classmethod
    def load(
        cls,
        path: str | Path,
        device: str = "auto",
        source: str | None = None,
        companion: str | Path | None = None,
    ) -> Model:
        """Read a weights file, and that of the companion behind its error bars.

        Raises
        ------
        WeightsError
            The file is not sound, or its tensors do not fit its settings.
        DeviceError
            The device is not there.
        """
        header, networks = load_networks(path)
        other = None if companion is None else load_networks(companion)[1][0]
        return cls(header, networks, resolve_device(device), source, other)

    @property
    def members(self) -> list[Any]:
        """The ensemble's networks."""
        return self._networks[: self.header.members]

    @property
    def cutoff(self) -> float:
        """Radius of the graphs in Å: the largest of all networks, also distilled or beside them."""
        others = [] if self._companion is None else [self._companion]
        return max(float(n.cutoff) for n in [*cast(list[Any], self._networks), *others])

    @property
    def self_edges(self) -> bool:
        """Whether the graphs have self-edges."""
        return bool(self.members[0].self_edges)

    @property
    def wavenumbers(self) -> NDArray[np.float64]:
        """The grid in cm^-1, shape (n_bins,)."""
        return self.header.grid.wavenumbers

    def densities(self, batch: GraphBatch, names: list[str], uncertainty: bool = True) -> Densities:
        """Predict a batch.

        Parameters
        ----------
        batch : GraphBatch
            Graphs with this model's cut-off and encoder features.
        names : list of str
            Of the crystals, for messages.
        uncertainty : bool, optional
            Run every member; otherwise the distilled network or, where there is none, the
            first member.

        Returns
        -------
        Densities

        Raises
        ------
        PredictionError
            A spectrum came out zero everywhere.
        """
        found = self.start(batch, uncertainty).densities(names)
        return found if uncertainty else replace(found, members=None)

    def start(self, batch: GraphBatch, uncertainty: bool = True) -> RunningBatch:
        """Begin to predict a batch; on a GPU this returns before the work is done.

        Members are there without `uncertainty` too where they are heads of networks that run
        anyway, so that warnings are the same.

        Nothing here waits for the device: the batch may lie in pinned memory, and the results
        are on their way to pinned memory when this returns.

        Parameters
        ----------
        batch, uncertainty
            As for `densities`.

        Returns
        -------
        RunningBatch
        """
        networks = self.members if uncertainty else self._networks[-1:]
        if not uncertainty and not self.header.distilled:
            networks = self._networks[:1]
        with torch.inference_mode(), without_autocast(self.device):
            graph = batch.to(self.device)
            if self.members[0].per_site:
                spectra, rest = self._site_spectra(graph, networks)
                if uncertainty and self._companion is not None:
                    other = self._companion.spectra(graph, 0).crystals.mean(0, keepdim=True)
                    own = spectra.mean(0)
                    return RunningBatch.of(own, members=torch.cat([own[None], other]), **rest)
            else:
                raw = torch.stack([network(graph, self.source) for network in networks])
                spectra, rest = raw / raw.sum(2, keepdim=True), {"peaks": raw.amax(dim=2)}
            # Heads of the same networks cost nothing, and warnings are made of them.
            same = uncertainty or (len(networks) == len(self.members) and not self._companion)
            members = spectra if same and len(spectra) > 1 else None
            return RunningBatch.of(spectra.mean(0), members=members, **rest)

    def _site_spectra(
        self, graph: GraphBatch, networks: list[Any]
    ) -> tuple[Tensor, dict[str, Tensor | None]]:
        """Crystals by each head (members, n_crystals, n_bins), and means over the heads."""
        found: list[SiteSpectra] = []
        shared: dict[tuple[Any, ...], list[Any]] = {}
        for network in cast(list[SiteNetwork], networks):
            kind = network.edge_kind() if len(networks) > 1 else ()
            if kind not in shared:
                shared[kind] = network.edge_functions(graph)
            found.append(network.spectra(graph, self.source, shared[kind]))
        spectra = torch.cat([f.crystals for f in found])
        tensors = [f.log_displacements for f in found if f.log_displacements is not None]
        sounds = [f.log_sound for f in found if f.log_sound is not None]
        unstable = [f.log_odds_unstable.sigmoid() for f in found if f.log_odds_unstable is not None]
        sites = found[0].sites
        if len(found) > 1:  # each head of each network has the same say
            said = torch.stack([len(f.crystals) * f.sites for f in found])
            sites = said.sum(0) / len(spectra)
        order = graph.site_order
        return spectra, {
            "sites": sites,
            "log_displacements": _mean(tensors).index_select(0, order) if tensors else None,
            "log_sound": _mean(sounds) if sounds else None,
            "instability": _mean(unstable) if unstable else None,
        }


def _mean(values: list[Tensor]) -> Tensor:
    return values[0] if len(values) == 1 else torch.stack(values).mean(0)


@dataclass(frozen=True)
class RunningBatch:
    """A batch on its way through the networks; see `Model.start`.

    Attributes
    ----------
    crystals, members, sites, log_displacements, log_sound, instability
        Tensors with the content of `Densities`, in host memory.
    peaks : torch.Tensor or None
        Highest value of each member's spectrum before it was normalised, shape (n_members,
        n_crystals), where it may be zero; else None.
    ready : torch.cuda.Event or None
        Event after which the tensors hold what they should; None on a CPU.
    """

    crystals: Tensor
    members: Tensor | None = None
    sites: Tensor | None = None
    peaks: Tensor | None = None
    log_displacements: Tensor | None = None
    log_sound: Tensor | None = None
    instability: Tensor | None = None
    ready: torch.cuda.Event | None = None

    @classmethod
    def of(cls, crystals: Tensor, **values: Tensor | None) -> RunningBatch:
        """Send results to the host, without waiting for them."""
        host = {k: None if v is None else _to_host(v) for k, v in values.items()}
        on_host = _to_host(crystals)
        ready = None
        if crystals.device.type == "cuda":
            ready = torch.cuda.Event()
            ready.record(torch.cuda.current_stream(crystals.device))
        return cls(on_host, **host, ready=ready)

    def densities(self, names: list[str]) -> Densities:
        """Wait for the results.

        Parameters
        ----------
        names : list of str
            Of the crystals, for messages.

        Returns
        -------
        Densities

        Raises
        ------
        PredictionError
            A spectrum came out zero everywhere.
        """
        if self.ready is not None:
            self.ready.synchronize()
        if self.peaks is not None:
            check_nonzero(self.peaks.amin(dim=0, keepdim=True).t(), names)
        sites, members = self.sites, self.members
        sides = (self.log_displacements, self.log_sound, self.instability)
        rest = (None if v is None else v.numpy() for v in (members, sites, *sides))
        return Densities(self.crystals.numpy(), *rest)


def _to_host(values: Tensor) -> Tensor:
    """Copy to pinned host memory without waiting; the same tensor on a CPU."""
    if values.device.type == "cpu":
        return values
    host = torch.empty(values.shape, dtype=values.dtype, device="cpu", pin_memory=True)
    return host.copy_(values, non_blocking=True)
