"""Entries -> record batches: graphs are built in a thread while the network runs."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ase_e3dos.errors import E3DOSError, PredictionError
from ase_e3dos.network.graph import CrystalGraph, GraphBatch
from ase_e3dos.prediction.background import ahead
from ase_e3dos.prediction.pipeline import EDGE_BUDGET, Predictor
from ase_e3dos.prediction.trust import assess
from ase_e3dos.screening.entries import Entry
from ase_e3dos.screening.rows import RowBuilder
from ase_e3dos.screening.settings import ScreenSettings
from ase_e3dos.structures.crystal import Crystal

if TYPE_CHECKING:
    import pyarrow as pa

#: Structures of one batch at most, however small.
MAX_STRUCTURES = 1024
#: Rows of one record batch: enough for array arithmetic to pay.
ROWS = 512
#: Seconds after which fewer rows go out, where structures come slowly.
_ROW_SECONDS = 5.0
#: Batches that may wait for the network.
_AHEAD = 3
#: What errors of PyTorch other than its own class for it say when memory runs out.
_MEMORY_SIGNS = ("out of memory", "allocate memory", "not enough memory", "alloc_failed")


@dataclass(frozen=True, slots=True)
class PreparedBatch:
    """Graphs that go through the network together, joined already, and entries without one."""

    entries: list[Entry]
    graphs: list[CrystalGraph]
    joined: GraphBatch | E3DOSError | None
    failed: list[tuple[Entry, Exception]]


class EdgeBudget:
    """Edges in one batch; less whenever memory does not suffice.

    Parameters
    ----------
    predictor
        Its device sets the start.
    edges
        Start instead of it.
    """

    def __init__(self, predictor: Predictor, edges: int | None = None) -> None:
        self.edges = edges or EDGE_BUDGET[predictor.model.device.type]

    def lower(self, failed: int) -> None:
        """Half of what did not fit from now on, one thousand edges at least.

        A crystal that is larger than the budget was alone in its batch and lowers nothing.
        """
        self.edges = min(self.edges, max(failed // 2, 1000))


def record_batches(
    entries: Iterable[Entry],
    predictor: Predictor,
    settings: ScreenSettings,
    budget: EdgeBudget | None = None,
) -> Iterator[pa.RecordBatch]:
    """Predict entries, nearly in order; what fails is a row with its error.

    Parameters
    ----------
    entries
        Any number; a few batches are in memory at a time.
    predictor
        Of the settings' model.
    settings
        Of the run.
    budget
        Kept between calls, so that a device that ran out of memory once is spared.

    Yields
    ------
    pyarrow.RecordBatch
        Of about 512 rows.
    """
    budget = budget or EdgeBudget(predictor)
    rows = RowBuilder(settings, predictor.model.wavenumbers, predictor.calibration)
    prepared = _prepared(entries, predictor, budget)
    last = time.monotonic()
    for batch in ahead(prepared, _AHEAD):
        for entry, error in batch.failed:
            rows.add_error(entry, error)
        if batch.graphs:
            _predict(batch.entries, batch.graphs, batch.joined, predictor, budget, rows)
        if len(rows) >= ROWS or time.monotonic() - last > _ROW_SECONDS:
            yield rows.build()
            last = time.monotonic()
    if len(rows):
        yield rows.build()


def _prepared(
    entries: Iterable[Entry], predictor: Predictor, budget: EdgeBudget
) -> Iterator[PreparedBatch]:
    """Batches under the edge budget."""
    good: list[Entry] = []
    graphs: list[CrystalGraph] = []
    failed: list[tuple[Entry, Exception]] = []
    edges = 0
    for entry in entries:
        graph = _graph(entry, predictor)
        if not isinstance(graph, CrystalGraph):
            failed.append((entry, graph))
        full = isinstance(graph, CrystalGraph) and edges + graph.n_edges > budget.edges
        if (good and full) or len(good) + len(failed) >= MAX_STRUCTURES:
            yield _batch(good, graphs, failed, predictor)
            good, graphs, failed, edges = [], [], [], 0
        if isinstance(graph, CrystalGraph):
            good.append(entry)
            graphs.append(graph)
            edges += graph.n_edges
    if good or failed:
        yield _batch(good, graphs, failed, predictor)


def _batch(
    good: list[Entry],
    graphs: list[CrystalGraph],
    failed: list[tuple[Entry, Exception]],
    predictor: Predictor,
) -> PreparedBatch:
    joined: GraphBatch | E3DOSError | None = None
    if graphs:
        try:
            joined = predictor.collated(graphs)
        except Exception as error:  # noqa: BLE001 - an encoder may raise anything; others go on
            joined = PredictionError(f"the features could not be made ({error!r}).")
    return PreparedBatch(good, graphs, joined, failed)


def _graph(entry: Entry, predictor: Predictor) -> CrystalGraph | Exception:
    if not isinstance(entry.crystal, Crystal):
        return entry.crystal
    try:
        return predictor.graph(entry.crystal)
    except Exception as error:  # noqa: BLE001 - an encoder may raise anything; others go on
        return PredictionError(f"{entry.id}: no graph could be made ({error!r}).")


def _predict(
    entries: list[Entry],
    graphs: list[CrystalGraph],
    joined: GraphBatch | E3DOSError | None,
    predictor: Predictor,
    budget: EdgeBudget,
    rows: RowBuilder,
) -> None:
    """Add the rows of some graphs; in halves where the whole does not fit or fails."""
    failure: Exception
    out_of_memory = False
    try:
        if isinstance(joined, E3DOSError):
            raise joined
        if joined is None:
            joined = predictor.collated(graphs)
        names = [e.id for e in entries]
        found = predictor.model.densities(joined, names, rows.settings.uncertainty)
    except Exception as error:  # noqa: BLE001 - a structure must not stop the others
        out_of_memory = _is_memory_error(error)
        failure = _explained(error, graphs[0])
    else:
        for k, (entry, graph) in enumerate(zip(entries, graphs, strict=True)):
            members = None if found.members is None else found.members[:, k]
            _add(entry, graph, found.crystals[k], members, predictor, rows)
        return
    if out_of_memory:
        # Here, as the error's traceback holds all tensors of the network for as long as it lives.
        joined = None
        budget.lower(sum(g.n_edges for g in graphs))
        _free_memory(predictor)
    if len(graphs) == 1:
        rows.add_error(entries[0], failure)
        return
    half = len(graphs) // 2
    for part in (slice(None, half), slice(half, None)):
        _predict(entries[part], graphs[part], None, predictor, budget, rows)


def _add(
    entry: Entry,
    graph: CrystalGraph,
    shares: np.ndarray[tuple[int], np.dtype[np.float32]],
    members: np.ndarray[tuple[int, int], np.dtype[np.float32]] | None,
    predictor: Predictor,
    rows: RowBuilder,
) -> None:
    crystal = graph.crystal
    if crystal.has_isotopes:
        try:
            spectrum = predictor.spectra([crystal], rows.settings.uncertainty)[0]
        except Exception as error:  # noqa: BLE001 - a structure must not stop the others
            rows.add_error(entry, _explained(error, graph))
            return
        shares = (spectrum.density / spectrum.density.sum()).astype(np.float32)
        if spectrum.members is not None:
            members = spectrum.members.astype(np.float32)
        found = spectrum.warnings
    elif not np.isfinite(shares.sum()):
        rows.add_error(entry, PredictionError(f"{entry.id}: the network gave values not finite."))
        return
    else:
        found = assess(graph, predictor.model.header, shares, members)
    texts = [f"{type(w).__name__}: {w}" for w in found]
    rows.add(entry, shares, members, texts)


def _is_memory_error(error: Exception) -> bool:
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(sign in text for sign in _MEMORY_SIGNS)


def _free_memory(predictor: Predictor) -> None:
    if predictor.model.device.type == "cuda":
        import torch

        torch.cuda.empty_cache()


def _explained(error: Exception, graph: CrystalGraph) -> E3DOSError:
    """What stands in the row of a crystal that failed alone.

    Raises
    ------
    RuntimeError
        The error itself, after a CUDA fault: nothing runs in this process any more.
    """
    if isinstance(error, E3DOSError):
        return error
    name = graph.crystal.name
    if _is_memory_error(error):
        return PredictionError(
            f"{name}: memory does not suffice for its {graph.n_nodes} sites and {graph.n_edges} "
            "edges, even alone. Use its primitive cell, or a device with more memory."
        )
    text = str(error)
    if "CUDA error" in text or "device-side assert" in text:
        raise error
    return PredictionError(f"{name}: the prediction failed ({type(error).__name__}: {error}).")
