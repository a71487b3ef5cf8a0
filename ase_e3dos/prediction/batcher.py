"""Batcher: the one way of crystals through the networks, whoever asks.

Crystals become graphs, graphs are grouped under an edge budget, groups go through the networks,
and what comes out is checked. Where memory does not suffice or a crystal makes the networks fail,
the group is halved until the fault is alone; it then stands in the place of its crystal, and all
others are predicted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np

from ase_e3dos.errors import E3DOSError, E3DOSWarning, PredictionError
from ase_e3dos.network.graph import CrystalGraph, GraphBatch
from ase_e3dos.prediction.background import ahead
from ase_e3dos.prediction.graph_maker import GraphMaker
from ase_e3dos.prediction.own_masses import with_own_masses
from ase_e3dos.prediction.sound import with_sound
from ase_e3dos.prediction.stability import of_compounds
from ase_e3dos.prediction.trust import assess_batch
from ase_e3dos.structures.crystal import Crystal
from ase_e3dos.structures.crystals import Crystals

if TYPE_CHECKING:
    from ase_e3dos.network.ensemble import Densities, Model, RunningBatch

#: Edges in one batch: on a CPU what its caches hold; a GPU takes far more.
EDGE_BUDGET = {"cpu": 24_000, "cuda": 400_000}

#: Crystals and errors in one batch, however few edges they have.
LARGEST_BATCH = 4096

#: Sites of the crystals whose graphs are made together, as long as there are more ...
_SITES_TOGETHER = 512
#: ... and no more than fill a batch, with so many edges each.
_EDGES_OF_A_SITE = 32
#: Edges of a small crystal of some eight sites.
_EDGES_OF_A_CRYSTAL = 250
#: Edges below which the budget does not fall: a crystal that needs more does so alone.
_LOWEST_BUDGET = 1000
#: What errors of PyTorch other than its own class for it say when memory runs out.
_MEMORY_SIGNS = ("out of memory", "allocate memory", "not enough memory", "alloc_failed")
#: What they say when the device is lost: nothing runs in this process any more.
_DEVICE_SIGNS = ("CUDA error", "device-side assert")

Tag = TypeVar("Tag")
Item = tuple[Tag, CrystalGraph | Exception]


class EdgeBudget:
    """Edges in one batch: what the device usually takes, less once memory has not sufficed.

    Parameters
    ----------
    device : str
        Type of the device, "cpu" or "cuda".
    """

    def __init__(self, device: str) -> None:
        self._device = device
        self._limit: int | None = None

    @property
    def edges(self) -> int:
        """Edges of a batch at most; a crystal with more makes a batch of its own."""
        usual = EDGE_BUDGET[self._device]
        return usual if self._limit is None else min(usual, self._limit)

    def lower(self, failed: int) -> None:
        """Half of what did not fit from now on, one thousand edges at least.

        A crystal that is larger than the budget was alone in its batch and lowers nothing.
        """
        self._limit = min(self.edges, max(failed // 2, _LOWEST_BUDGET))


@dataclass(frozen=True, slots=True)
class PredictedBatch(Generic[Tag]):
    """Crystals that went through the networks together, and what failed between them.

    Attributes
    ----------
    items : list of Item
        Tags in the order in which they came, each with its graph or with its error.
    graphs : list of CrystalGraph
        The graphs among them.
    densities : Densities or None
        What the networks say of these, masses other than the standard ones taken into account;
        None where there is no graph.
    warnings : list of tuple of E3DOSWarning
        For each graph.
    """

    items: list[Item[Tag]]
    graphs: list[CrystalGraph]
    densities: Densities | None
    warnings: list[tuple[E3DOSWarning, ...]]


@dataclass(frozen=True, slots=True)
class _Failure:
    """What went wrong with a group; the error without its traceback, which holds tensors."""

    error: E3DOSError
    out_of_memory: bool


@dataclass(frozen=True, slots=True)
class _Group(Generic[Tag]):
    """Items that go through the networks together, and the batch of their graphs."""

    items: list[Item[Tag]]
    graphs: list[CrystalGraph]
    joined: GraphBatch | _Failure | None

    @property
    def n_edges(self) -> int:
        return sum(g.n_edges for g in self.graphs)


@dataclass(frozen=True, slots=True)
class _Started(Generic[Tag]):
    """A group that the networks are at work on."""

    group: _Group[Tag]
    running: RunningBatch | _Failure | None


class Batcher:
    """Sends crystals through a model in batches.

    Parameters
    ----------
    model : Model
        The networks.
    maker : GraphMaker
        Makes their graphs.

    Attributes
    ----------
    budget
        Kept from call to call, so that a device that ran out of memory once is spared.
    overlaps
        Whether graphs are made in a thread while the networks run: on a GPU.
    """

    def __init__(self, model: Model, maker: GraphMaker) -> None:
        self._model = model
        self._maker = maker
        self.budget = EdgeBudget(model.device.type)
        self.overlaps = model.device.type == "cuda"

    @property
    def usual_crystals(self) -> int:
        """How many small crystals fill a batch, one at least."""
        return max(1, min(self.budget.edges, EDGE_BUDGET["cpu"]) // _EDGES_OF_A_CRYSTAL)

    def run(
        self, items: Iterable[tuple[Tag, Crystal | Exception]], uncertainty: bool
    ) -> Iterator[PredictedBatch[Tag]]:
        """Predict any number of crystals, order kept.

        Memory holds one batch at a time, on a GPU a few: there graphs are made in a thread of
        their own, and the next batch is on its way before the last one's results are fetched.

        Parameters
        ----------
        items : iterable of tuple
            Crystals with whatever the caller knows them by. An error in the place of a crystal
            is passed on.
        uncertainty : bool
            Run every network of the ensemble.

        Raises
        ------
        Exception
            What `items` raised, after the results of all whole batches before it.
        RuntimeError
            The device is lost.
        """
        groups = map(self._group, self.grouped(items))
        if not self.overlaps:
            for group in groups:
                yield from self._finished(self._started(group, uncertainty), uncertainty)
            return
        last: _Started[Tag] | None = None
        with closing(ahead(groups)) as source:
            while True:
                following, failure = None, None
                try:
                    if (found := next(source, None)) is not None:
                        following = self._started(found, uncertainty)
                except Exception as error:  # noqa: BLE001 - raised after the results before it
                    failure = error
                if last is not None:
                    yield from self._finished(last, uncertainty)
                if failure is not None:
                    raise failure
                if following is None:
                    return
                last = following

    def grouped(
        self, items: Iterable[tuple[Tag, Crystal | Exception]]
    ) -> Iterator[list[Item[Tag]]]:
        """Graphs in order, grouped under the edge budget."""
        group: list[Item[Tag]] = []
        edges = 0
        for chunk in _chunks(items, self.budget.edges // _EDGES_OF_A_SITE):
            graphs = self._graphs([crystal for _, crystal in chunk])
            for (tag, _), graph in zip(chunk, graphs, strict=True):
                size = graph.n_edges if isinstance(graph, CrystalGraph) else 0
                if group and (edges + size > self.budget.edges or len(group) >= LARGEST_BATCH):
                    yield group
                    group, edges = [], 0
                group.append((tag, graph))
                edges += size
        if group:
            yield group

    def _graphs(self, crystals: list[Crystal | Exception]) -> list[CrystalGraph | Exception]:
        """Graphs of some crystals, made together; errors that say why one cannot be predicted."""
        good = [c for c in crystals if not isinstance(c, Exception)]
        try:
            graphs = iter(self._maker.graphs(good) if good else [])
        except Exception:  # noqa: BLE001 - one of them; which one is found out below
            return [self._graph(crystal) for crystal in crystals]
        return [c if isinstance(c, Exception) else next(graphs) for c in crystals]

    def _graph(self, crystal: Crystal | Exception) -> CrystalGraph | Exception:
        """The crystal's graph, or the error that says why it cannot be predicted."""
        if isinstance(crystal, Exception):
            return crystal
        try:
            return self._maker.graph(crystal)
        except Exception as error:  # noqa: BLE001 - a crystal must not stop the others
            return _failure(error, crystal.name, crystal.n_sites).error

    def _group(self, items: list[Item[Tag]]) -> _Group[Tag]:
        """The batch of a group, in pinned memory where it goes to a GPU."""
        graphs = [graph for _, graph in items if isinstance(graph, CrystalGraph)]
        if not graphs:
            return _Group(items, graphs, None)
        try:
            joined = self._maker.collated(graphs)
            if self._model.device.type == "cuda":
                joined = joined.pin_memory()
        except Exception as error:  # noqa: BLE001 - an encoder may raise anything
            return _Group(items, graphs, _failure_of(error, graphs))
        return _Group(items, graphs, joined)

    def _started(self, group: _Group[Tag], uncertainty: bool) -> _Started[Tag]:
        if not isinstance(group.joined, GraphBatch):
            return _Started(group, group.joined)
        try:
            return _Started(group, self._model.start(group.joined, uncertainty))
        except Exception as error:  # noqa: BLE001 - what it is stands in the failure
            return _Started(group, _failure_of(error, group.graphs))

    def _finished(self, started: _Started[Tag], uncertainty: bool) -> Iterator[PredictedBatch[Tag]]:
        """Results of a group; of its halves where the whole does not fit or fails."""
        items, graphs = started.group.items, started.group.graphs
        if started.running is None:
            yield PredictedBatch(items, graphs, None, [])
            return
        failure = None
        if isinstance(started.running, _Failure):
            failure = started.running
        else:
            try:
                crystals = Crystals([g.crystal for g in graphs])
                densities = self._checked(crystals, started.running)
                warnings = assess_batch(
                    graphs,
                    self._model.header,
                    densities.crystals,
                    densities.members,
                    densities.instability,
                    crystals,
                )
                if not uncertainty:
                    densities = replace(densities, members=None)
            except Exception as error:  # noqa: BLE001 - what it is stands in the failure
                failure = _failure_of(error, graphs)
        if failure is None:
            yield PredictedBatch(items, graphs, densities, warnings)
            return
        if failure.out_of_memory:
            self.budget.lower(started.group.n_edges)
            del started  # with the tensors of the group
            self._free_memory()
        if len(graphs) == 1:
            found: list[Item[Tag]] = [
                (tag, failure.error if isinstance(graph, CrystalGraph) else graph)
                for tag, graph in items
            ]
            yield PredictedBatch(found, [], None, [])
            return
        places = [k for k, (_, graph) in enumerate(items) if isinstance(graph, CrystalGraph)]
        middle = places[len(places) // 2]
        for half in (items[:middle], items[middle:]):
            yield from self._finished(self._started(self._group(half), uncertainty), uncertainty)

    def _checked(self, crystals: Crystals, running: RunningBatch) -> Densities:
        """Densities of a batch, finite, with the crystals' own masses."""
        densities = running.densities([c.name for c in crystals])
        sums = densities.crystals.sum(axis=1)
        good = np.isfinite(sums) & (sums > 0)
        if not good.all():
            name = crystals[int(good.argmin())].name
            raise PredictionError(
                f"{name}: the networks gave values that are not finite, or zero at every "
                "frequency. Use another model, and tell who made this one."
            )
        wavenumbers = self._model.wavenumbers
        joined = with_sound(crystals, wavenumbers, of_compounds(crystals, densities))
        return with_own_masses(crystals, wavenumbers, joined)

    def _free_memory(self) -> None:
        if self._model.device.type == "cuda":
            import torch

            torch.cuda.empty_cache()


def _chunks(
    items: Iterable[tuple[Tag, Crystal | Exception]], budget: int
) -> Iterator[list[tuple[Tag, Crystal | Exception]]]:
    """Items whose graphs are made together: one large crystal, or small ones of a batch's sites.

    An exception of `items` is raised after what came before it.
    """
    chunk: list[tuple[Tag, Crystal | Exception]] = []
    n_sites = 0
    failure = None
    source = iter(items)
    while failure is None:
        try:
            item = next(source, None)
        except Exception as error:  # noqa: BLE001 - raised below
            item, failure = None, error
        if item is None:
            break
        chunk.append(item)
        n_sites += 1 if isinstance(item[1], Exception) else item[1].n_sites
        if n_sites >= min(budget, _SITES_TOGETHER):
            yield chunk
            chunk, n_sites = [], 0
    if chunk:
        yield chunk
    if failure is not None:
        raise failure


def _failure_of(error: Exception, graphs: list[CrystalGraph]) -> _Failure:
    edges = sum(g.n_edges for g in graphs)
    sites = sum(g.n_nodes for g in graphs)
    return _failure(error, graphs[0].crystal.name, sites, edges)


def _failure(error: Exception, name: str, n_sites: int, n_edges: int | None = None) -> _Failure:
    """What is to be said of a crystal if it is alone, and whether memory ran out.

    Raises
    ------
    RuntimeError
        The error itself, where the device is lost.
    """
    if isinstance(error, E3DOSError):
        return _Failure(error.with_traceback(None), out_of_memory=False)
    if _is_memory_error(error):
        edges = "" if n_edges is None else f" and {n_edges} edges"
        text = (
            f"{name}: memory does not suffice for its {n_sites} sites{edges}, even alone. Use its "
            "primitive cell, or a device with more memory."
        )
        return _Failure(PredictionError(text), out_of_memory=True)
    text = str(error)
    if any(sign in text for sign in _DEVICE_SIGNS):
        raise error
    text = f"{name}: the prediction failed ({type(error).__name__}: {text})."
    return _Failure(PredictionError(text), out_of_memory=False)


def _is_memory_error(error: Exception) -> bool:
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(sign in text for sign in _MEMORY_SIGNS)
