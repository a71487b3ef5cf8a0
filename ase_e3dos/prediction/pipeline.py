"""Predictor: crystals in, spectra out, in batches; what every front door stands on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ase_e3dos.encoders import Encoder, encode_batch
from ase_e3dos.errors import DisorderError, E3DOSError, EncoderError, WeightsError
from ase_e3dos.network.graph import CrystalGraph, GraphBatch, build_graph, collate
from ase_e3dos.network.weights import weights_digest
from ase_e3dos.phonon_spectrum import PhononSpectrum
from ase_e3dos.plugins import encoder_for
from ase_e3dos.prediction.background import ahead
from ase_e3dos.prediction.trust import assess, assess_batch, has_isotopes
from ase_e3dos.spectrum import FrequencyGrid
from ase_e3dos.spectrum.density import normalised_batch
from ase_e3dos.spectrum.isotopes import moves_of, total_factor, with_masses
from ase_e3dos.spectrum.uncertainty import Calibration
from ase_e3dos.structures.crystal import Crystal
from ase_e3dos.structures.masses import STANDARD_MASSES

if TYPE_CHECKING:
    from ase_e3dos.network.ensemble import Densities, Model, RunningBatch

#: Edges in one batch. On a CPU larger batches gain nothing; a GPU takes far larger ones.
EDGE_BUDGET = {"cpu": 16_000, "cuda": 400_000}

#: Crystals and errors in one batch, however few edges they have.
_LARGEST_BATCH = 4096


@dataclass(frozen=True)
class _Prepared:
    """A group of graphs and errors in order, the graphs alone, and their batch (or its error)."""

    items: list[CrystalGraph | E3DOSError]
    graphs: list[CrystalGraph]
    joined: GraphBatch | E3DOSError | None


@dataclass(frozen=True)
class _Started:
    """A group that the networks are at work on."""

    batch: _Prepared
    running: RunningBatch | E3DOSError | None


class Predictor:
    """A loaded model with its encoder: turns crystals into spectra.

    Parameters
    ----------
    model
        Name of a registered model, or the path of a weights file.
    device
        "auto", "cpu", "cuda" or "cuda:1".
    encoder
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

        registry = get_registry()
        spec = registry.resolve_model(model)
        self.name = spec.name
        self.weights = weights_digest(spec.weights_path())
        self.model: Model = Model.load(spec.weights_path(), device, spec.source)
        header = self.model.header
        if spec.encoder not in (None, header.encoder):
            raise WeightsError(
                f"model {self.name!r}: its plug-in says that it was trained with the encoder "
                f"{spec.encoder!r}, its weights file with {header.encoder!r}. Tell its authors."
            )
        self._registry = registry
        self._trained_with = header.encoder
        self._check_encoder(registry.encoder(header.encoder, header.encoder_settings))
        self._encoder = None if encoder is None else self._serving_encoder(encoder)
        self._calibration = (
            Calibration.from_dict(header.calibration) if header.calibration else None
        )
        #: Whether `stream` makes graphs in a thread while the networks run: on a GPU.
        self.overlaps = self.model.device.type == "cuda"

    @property
    def calibration(self) -> Calibration | None:
        """Error model of the ensemble, if the weights carry one."""
        return self._calibration

    def _serving_encoder(self, name: str) -> Encoder:
        """The encoder that a user asks for, if it fits the weights."""
        header = self.model.header
        encoder = self._registry.encoder(name, header.encoder_settings)
        serves = self._registry.encoders()[name].serves
        if name != header.encoder and header.encoder not in serves:
            raise EncoderError(
                f"model {self.name!r} was trained with the encoder {header.encoder!r}, and "
                f"{name!r} gives other features, so that the result would be wrong. Leave the "
                "encoder to be chosen, or train a model with this one. (One that agrees on pure "
                f"sites says so in its EncoderSpec: serves=({header.encoder!r},).)"
            )
        self._check_encoder(encoder)
        return encoder

    def _check_encoder(self, encoder: Encoder) -> None:
        header = self.model.header
        if encoder.n_features != header.settings["n_features"]:
            raise EncoderError(
                f"model {self.name!r} takes {header.settings['n_features']} features a site, "
                f"encoder {encoder.name!r} gives {encoder.n_features}. Leave the encoder to be "
                f"chosen, or use {header.encoder!r}."
            )
        if encoder.name == header.encoder and encoder.version != header.encoder_version:
            raise WeightsError(
                f"model {self.name!r} was trained with version {header.encoder_version} of the "
                f"encoder {encoder.name!r}, version {encoder.version} is installed. Install the "
                "matching package, or train again."
            )
        settings = dict(encoder.settings())
        if encoder.name == header.encoder and settings != header.encoder_settings:
            raise WeightsError(
                f"model {self.name!r} was trained with the settings {header.encoder_settings} of "
                f"the encoder {encoder.name!r}, which now says {settings}. Install the matching "
                "package, or train again."
            )

    # ---- crystals -> spectra -----------------------------------------------------------------

    def spectra(
        self, crystals: Sequence[Crystal], uncertainty: bool = True
    ) -> list[PhononSpectrum]:
        """Spectra of some crystals, order kept.

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

        Memory holds one batch at a time, on a GPU a few: there graphs are made in a thread of
        their own, and the next batch is on its way before the last one's results are fetched.
        An item that is an error already is passed on. An exception from `crystals` itself is
        raised after the results of all whole batches before it.
        """
        prepared = map(self._prepared, self._batches(crystals))
        if not self.overlaps:
            for batch in prepared:
                yield from self._finished(self._started(batch, uncertainty), uncertainty)
            return
        last: _Started | None = None
        with closing(ahead(prepared)) as source:
            while True:
                following, failure = None, None
                try:
                    if (group := next(source, None)) is not None:
                        following = self._started(group, uncertainty)
                except Exception as error:  # noqa: BLE001 - raised after the results before it
                    failure = error
                if last is not None:
                    yield from self._finished(last, uncertainty)
                if failure is not None:
                    raise failure
                if following is None:
                    return
                last = following

    def _prepared(self, items: list[CrystalGraph | E3DOSError]) -> _Prepared:
        """The batch of a group, in pinned memory where it goes to a GPU."""
        graphs = [g for g in items if isinstance(g, CrystalGraph)]
        joined: GraphBatch | E3DOSError | None = None
        if graphs:
            try:
                joined = self.collated(graphs)
            except E3DOSError as error:
                joined = error
            else:
                if self.model.device.type == "cuda":
                    joined = joined.pin_memory()
        return _Prepared(items, graphs, joined)

    def _started(self, batch: _Prepared, uncertainty: bool) -> _Started:
        if batch.joined is None or isinstance(batch.joined, E3DOSError):
            return _Started(batch, batch.joined)
        return _Started(batch, self.model.start(batch.joined, uncertainty))

    def _finished(
        self, started: _Started, uncertainty: bool
    ) -> Iterator[PhononSpectrum | E3DOSError]:
        """Results of a group in its order."""
        graphs, running = started.batch.graphs, started.running
        found: list[PhononSpectrum | E3DOSError] = []
        if running is not None:
            try:
                if isinstance(running, E3DOSError):
                    raise running
                names = [g.crystal.name for g in graphs]
                found = self._spectra_of(graphs, running.densities(names))
            except E3DOSError as error:
                found = [error] if len(graphs) == 1 else self._one_by_one(graphs, uncertainty)
        results = iter(found)
        for item in started.batch.items:
            yield next(results) if isinstance(item, CrystalGraph) else item

    def _one_by_one(
        self, graphs: list[CrystalGraph], uncertainty: bool
    ) -> list[PhononSpectrum | E3DOSError]:
        """After an error in a batch: it belongs to one of the crystals, the others go on."""
        return [
            result
            for graph in graphs
            for result in self._finished(
                self._started(self._prepared([graph]), uncertainty), uncertainty
            )
        ]

    def _batches(
        self, crystals: Iterable[Crystal | E3DOSError]
    ) -> Iterator[list[CrystalGraph | E3DOSError]]:
        """Graphs in order, grouped under the edge budget."""
        budget = EDGE_BUDGET[self.model.device.type]
        group: list[CrystalGraph | E3DOSError] = []
        edges = 0
        for crystal in crystals:
            item = self.graph(crystal) if isinstance(crystal, Crystal) else crystal
            size = item.n_edges if isinstance(item, CrystalGraph) else 0
            if group and (edges + size > budget or len(group) >= _LARGEST_BATCH):
                yield group
                group, edges = [], 0
            group.append(item)
            edges += size
        if group:
            yield group

    def graph(self, crystal: Crystal) -> CrystalGraph | E3DOSError:
        """The crystal's graph, or the error that says why it cannot be predicted."""
        try:
            self.encoder_of(crystal)
            return build_graph(crystal, self.model.cutoff, self_edges=self.model.self_edges)
        except E3DOSError as error:
            return error

    def encoder_of(self, crystal: Crystal) -> Encoder:
        """The encoder that a crystal gets.

        Raises
        ------
        DisorderError
            The crystal has mixed sites and the encoder does not take them.
        """
        if self._encoder is None:
            settings = self.model.header.encoder_settings
            return encoder_for(crystal, self._trained_with, self._registry, settings)
        if not (crystal.is_ordered or self._encoder.accepts_mixed):
            raise DisorderError(
                f"{crystal.name}: sites with mixed or partial occupation, which encoder "
                f"{self._encoder.name!r} does not take. Leave the encoder to be chosen, or use "
                "encoder='alloy_multi_hot'."
            )
        return self._encoder

    def _spectra_of(
        self, graphs: list[CrystalGraph], densities: Densities
    ) -> list[PhononSpectrum | E3DOSError]:
        """Spectra of a batch; those that are not plain sailing one by one."""
        header = self.model.header
        n_sites = [g.n_nodes for g in graphs]
        grid = FrequencyGrid.of(header.grid.wavenumbers)
        try:
            parts = normalised_batch(
                grid, n_sites, densities.crystals, densities.sites, densities.members
            )
        except E3DOSError:  # of one crystal, which is named when its turn comes
            parts = None
        offsets = np.concatenate([[0], np.cumsum(n_sites)])
        isotopes = has_isotopes([g.crystal for g in graphs])
        warned = assess_batch(graphs, header, densities.crystals, densities.members)
        found: list[PhononSpectrum | E3DOSError] = []
        for k, graph in enumerate(graphs):
            if parts is None or isotopes[k]:
                found.append(self._spectrum(graph, densities, k, slice(*offsets[k : k + 2])))
                continue
            spectrum = PhononSpectrum.of_normalised(
                grid,
                parts[k],
                graph.crystal,
                model=self.name,
                calibration=self._calibration,
                label_like=header.label_like,
                weights=self.weights,
                warnings=warned[k],
            )
            found.append(spectrum)
        return found

    def collated(self, graphs: Sequence[CrystalGraph]) -> GraphBatch:
        """Graphs (at least one) with their encoder features as one batch, on the CPU."""
        return collate(graphs, self._features([g.crystal for g in graphs]))

    def _features(self, crystals: list[Crystal]) -> NDArray[np.float32]:
        fractions = np.concatenate([c.species_fraction for c in crystals])
        if (fractions == 1.0).all():  # all are ordered: they have the same encoder
            return encode_batch(self.encoder_of(crystals[0]), crystals)
        encoders = [self.encoder_of(c) for c in crystals]
        if all(e is encoders[0] for e in encoders):
            return encode_batch(encoders[0], crystals)
        return np.concatenate([e.encode(c) for e, c in zip(encoders, crystals, strict=True)])

    def _spectrum(
        self, graph: CrystalGraph, densities: Densities, k: int, sites: slice
    ) -> PhononSpectrum | E3DOSError:
        header = self.model.header
        total = densities.crystals[k]
        members = None if densities.members is None else densities.members[:, k]
        per_site = None if densities.sites is None else densities.sites[sites]
        crystal = graph.crystal
        if crystal.has_isotopes:
            total, members, per_site = _with_isotopes(
                crystal, header.grid.wavenumbers, total, members, per_site
            )
        try:
            spectrum = PhononSpectrum(
                header.grid.wavenumbers,
                None if per_site is not None else total,
                per_site,
                crystal=crystal,
                members=members,
                model=self.name,
                calibration=self._calibration,
                label_like=header.label_like,
                weights=self.weights,
            )
        except E3DOSError as error:
            return error
        spectrum.warnings = assess(graph, header, total, members)
        return spectrum


def _with_isotopes(
    crystal: Crystal,
    wavenumbers: NDArray[np.float64],
    total: NDArray[np.float32],
    members: NDArray[np.float32] | None,
    per_site: NDArray[np.float32] | None,
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None, NDArray[np.float32] | None]:
    """Scale spectra to the crystal's own masses."""
    standard = np.bincount(
        crystal.species_site,
        crystal.species_fraction * STANDARD_MASSES[crystal.species_number],
        crystal.n_sites,
    )
    scaled = None
    if per_site is not None:
        moved, moves = with_masses(per_site, wavenumbers, standard, crystal.masses)
        scaled = moved.astype(np.float32)
        new_total = scaled.mean(axis=0)
    else:
        factor = total_factor(standard, crystal.masses)
        moves = moves_of(wavenumbers, np.full(len(wavenumbers), factor))
        new_total = (moves @ total).astype(np.float32)
    if members is not None:
        # Members keep their differences from the mean, carried over to the new spectrum.
        moved = members @ moves.T
        members = np.maximum(moved + new_total - moved.mean(axis=0), 0.0).astype(np.float32)
    return new_total, members, scaled


def load_predictor(
    model: str | Path = "default", device: str = "auto", encoder: str | None = None
) -> Predictor:
    """A predictor, kept for the next call with the same arguments.

    Not for longer than it is right: a weights file that was written anew, or plug-ins that were
    added or taken away, make a new one.
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
