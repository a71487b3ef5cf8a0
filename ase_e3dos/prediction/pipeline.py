"""Predictor: crystals in, spectra out; what every front door stands on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ase_e3dos.errors import E3DOSError, WeightsError
from ase_e3dos.network.graph import CrystalGraph, GraphBatch
from ase_e3dos.network.weights import weights_digest
from ase_e3dos.phonon_spectrum import PhononSpectrum
from ase_e3dos.prediction.batcher import Batcher, PredictedBatch
from ase_e3dos.prediction.companion import companion_weights
from ase_e3dos.prediction.graph_maker import GraphMaker
from ase_e3dos.spectrum import FrequencyGrid
from ase_e3dos.spectrum.density import network_densities
from ase_e3dos.spectrum.uncertainty import Calibration
from ase_e3dos.structures.crystal import Crystal

if TYPE_CHECKING:
    from ase_e3dos.network.ensemble import Model


class Predictor:
    """A loaded model with its encoder: turns crystals into spectra.

    Parameters
    ----------
    model : str or Path, optional
        Name of a registered model, or the path of a weights file.
    device : str, optional
        "auto", "cpu", "cuda" or "cuda:1".
    encoder : str, optional
        Name of an encoder to use instead of the one chosen by the model and the crystal.

    Raises
    ------
    UnknownModelError, WeightsError, EncoderError, DeviceError
        The model, its file, its encoder or the device is not there or does not fit.
    """

    def __init__(
        self, model: str | Path = "default", device: str = "auto", encoder: str | None = None
    ) -> None:
        from ase_e3dos.network.ensemble import Model
        from ase_e3dos.plugins import get_registry

        self._asked = (model, device, encoder)
        registry = get_registry()
        spec = registry.resolve_model(model)
        self.name = spec.name
        self.weights = weights_digest(spec.weights_path())
        beside = companion_weights(spec.weights_path(), self.name, registry)
        self.model: Model = Model.load(spec.weights_path(), device, spec.source, beside)
        header = self.model.header
        if spec.encoder not in (None, header.encoder):
            raise WeightsError(
                f"model {self.name!r}: its plug-in says that it was trained with the encoder "
                f"{spec.encoder!r}, its weights file with {header.encoder!r}. Tell its authors."
            )
        self._maker = GraphMaker(self.model, self.name, registry, encoder)
        #: Sends crystals through the networks; its budget of edges is that of this predictor.
        self.batcher = Batcher(self.model, self._maker)
        self._calibration = (
            Calibration.from_dict(header.calibration) if header.calibration else None
        )

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled as what it was asked for: weights are loaded on the other side, once."""
        return load_predictor, self._asked

    @property
    def calibration(self) -> Calibration | None:
        """Error model of the ensemble, if the weights carry one."""
        return self._calibration

    @property
    def gives_sites(self) -> bool:
        """Whether its spectra have a density for each site, which projections need."""
        return bool(self.model.members[0].per_site)

    def spectra(
        self, crystals: Sequence[Crystal], uncertainty: bool = True
    ) -> list[PhononSpectrum]:
        """Spectra of some crystals, order kept.

        Parameters
        ----------
        crystals : sequence of Crystal
        uncertainty : bool
            Whether to keep the members' densities, for error bars.

        Returns
        -------
        list of PhononSpectrum
            Per cell.

        Raises
        ------
        E3DOSError
            The first crystal that cannot be predicted, by its name.
        """
        found = []
        for result in self.stream(crystals, uncertainty):
            if isinstance(result, E3DOSError):
                raise result
            found.append(result)
        return found

    def stream(
        self, crystals: Iterable[Crystal | E3DOSError], uncertainty: bool = True
    ) -> Iterator[PhononSpectrum | E3DOSError]:
        """Spectra of any number of crystals, in order; an error in the place of its crystal.

        Memory holds one batch at a time, on a GPU a few. An item that is an error already is
        passed on. An exception from `crystals` itself is raised after the results of all whole
        batches before it.
        """
        for batch in self.batcher.run(((None, crystal) for crystal in crystals), uncertainty):
            spectra = iter(self._spectra_of(batch))
            for _, graph in batch.items:
                if isinstance(graph, CrystalGraph):
                    yield next(spectra)
                else:
                    assert isinstance(graph, E3DOSError)
                    yield graph

    def _spectra_of(self, batch: PredictedBatch[None]) -> list[PhononSpectrum]:
        densities, header = batch.densities, self.model.header
        if densities is None:
            return []
        grid = FrequencyGrid.of(header.grid.wavenumbers)
        n_sites = [g.n_nodes for g in batch.graphs]
        parts = network_densities(
            grid, n_sites, densities.crystals, densities.sites, densities.members
        )
        first = np.cumsum([0, *n_sites])
        tensors, sound = densities.log_displacements, densities.log_sound
        velocities = _numbers(None if sound is None else np.exp(sound.astype(np.float64)), n_sites)
        odds = _numbers(densities.instability, n_sites)
        return [
            PhononSpectrum(
                grid,
                part,
                crystal=graph.crystal,
                model=self.name,
                calibration=self._calibration,
                label_like=header.label_like,
                weights=self.weights,
                warnings=batch.warnings[k],
                log_displacements=None if tensors is None else tensors[first[k] : first[k + 1]],
                sound_velocity=velocities[k],
                instability=odds[k],
            )
            for k, (part, graph) in enumerate(zip(parts, batch.graphs, strict=True))
        ]

    # ---- the steps by themselves -------------------------------------------------------------

    def graph(self, crystal: Crystal) -> CrystalGraph:
        """The crystal's graph.

        Parameters
        ----------
        crystal : Crystal

        Returns
        -------
        CrystalGraph

        Raises
        ------
        E3DOSError
            The crystal cannot be predicted.
        """
        return self._maker.graph(crystal)

    def collated(self, graphs: Sequence[CrystalGraph]) -> GraphBatch:
        """Graphs (at least one) with their encoder features as one batch, on the CPU.

        Parameters
        ----------
        graphs : sequence of CrystalGraph

        Returns
        -------
        GraphBatch
        """
        return self._maker.collated(graphs)


def _numbers(
    values: NDArray[np.float32] | NDArray[np.float64] | None, crystals: Sequence[object]
) -> list[float | None]:
    """A number for each crystal, or None where there is none."""
    if values is None:
        return [None] * len(crystals)
    return [None if v != v else v for v in values.tolist()]


def load_predictor(
    model: str | Path = "default", device: str = "auto", encoder: str | None = None
) -> Predictor:
    """A predictor, kept for the next call with the same arguments.

    Not for longer than it is right: a weights file that was written anew, or plug-ins that were
    added or taken away, make a new one.

    Parameters
    ----------
    model, device, encoder
        As for `Predictor`, whose errors it raises.

    Returns
    -------
    Predictor
    """
    from ase_e3dos.plugins import get_registry

    registry = get_registry()
    spec = registry.resolve_model(model)
    state: tuple[object, ...] = (spec, *registry.encoders().values())
    if not callable(spec.weights):
        status = spec.weights_path().stat()
        # A file put in the place of another may have its size and time of change, but not all.
        state += (status.st_dev, status.st_ino, status.st_size)
        state += (status.st_mtime_ns, status.st_ctime_ns)
    return _kept(model, device, encoder, state)


@lru_cache(maxsize=8)
def _kept(
    model: str | Path, device: str, encoder: str | None, state: tuple[object, ...]
) -> Predictor:
    return Predictor(model, device, encoder)
