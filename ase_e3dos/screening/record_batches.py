"""Entries -> record batches, through the pipeline that `predict` uses as well."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ase_e3dos.network.graph import CrystalGraph
from ase_e3dos.prediction.batcher import PredictedBatch
from ase_e3dos.prediction.pipeline import Predictor
from ase_e3dos.screening.entries import Entry
from ase_e3dos.screening.rows import RowBuilder
from ase_e3dos.screening.settings import ScreenSettings
from ase_e3dos.spectrum.density import shares_of_sites
from ase_e3dos.spectrum.grid import FrequencyGrid

if TYPE_CHECKING:
    import pyarrow as pa

#: Rows of one record batch: enough for array arithmetic to pay.
ROWS = 512
#: Seconds after which fewer rows go out, where structures come slowly.
_ROW_SECONDS = 5.0


def record_batches(
    entries: Iterable[Entry], predictor: Predictor, settings: ScreenSettings
) -> Iterator[pa.RecordBatch]:
    """Predict entries in order; what fails is a row with its error.

    Parameters
    ----------
    entries : iterable of Entry
        Any number; a few batches are in memory at a time.
    predictor : Predictor
        Of the settings' model.
    settings : ScreenSettings
        Of the run.

    Yields
    ------
    pyarrow.RecordBatch
        Of about 512 rows.
    """
    rows = RowBuilder(settings, predictor.model.wavenumbers, predictor.calibration)
    last = time.monotonic()
    tagged = ((entry, entry.crystal) for entry in entries)
    for batch in predictor.batcher.run(tagged, settings.uncertainty):
        shares = _shares(predictor, batch)
        k = 0
        for entry, graph in batch.items:
            if not isinstance(graph, CrystalGraph):
                rows.add_error(entry, graph)
                continue
            assert batch.densities is not None
            members = batch.densities.members
            texts = [f"{type(w).__name__}: {w}" for w in batch.warnings[k]]
            of_members = None if members is None else members[:, k]
            odds = batch.densities.instability
            unstable = None if odds is None else float(odds[k])
            rows.add(entry, shares[k], of_members, texts, unstable)
            k += 1
        if len(rows) >= ROWS or time.monotonic() - last > _ROW_SECONDS:
            yield rows.build()
            last = time.monotonic()
    if len(rows):
        yield rows.build()


def _shares(predictor: Predictor, batch: PredictedBatch[Entry]) -> NDArray[np.float32]:
    """Shares of the modes of each crystal, added up from its sites as `predict` does."""
    densities = batch.densities
    if densities is None:
        return np.zeros((0, 0), dtype=np.float32)
    if densities.sites is None:
        return densities.crystals
    n_sites = [graph.n_nodes for graph in batch.graphs]
    grid = FrequencyGrid.of(predictor.model.wavenumbers)
    first = np.cumsum([0, *n_sites[:-1]])
    return shares_of_sites(grid, densities.sites, first).astype(np.float32, copy=False)
