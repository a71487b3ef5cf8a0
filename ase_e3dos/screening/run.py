"""screen(): crystals in, Parquet shards out, however many, however often it is interrupted."""

from __future__ import annotations

import time
import warnings
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ase_e3dos.errors import ScreeningError, ScreeningWarning, need_pyarrow, shortly
from ase_e3dos.screening.entries import Done, Missing, with_unique_ids
from ase_e3dos.screening.inputs import check_inputs, count_entries, iter_unread
from ase_e3dos.screening.progress import Progress, Report, progress_report
from ase_e3dos.screening.settings import DEFAULT_TEMPERATURE, ScreenSettings
from ase_e3dos.screening.shards import SHARD_SIZE, ShardStore
from ase_e3dos.screening.workers import (
    Computed,
    ProcessPool,
    computed_on,
    ignore_structure_warnings,
    local_devices,
)
from ase_e3dos.spectrum.thermal import warn_of_low_temperatures
from ase_e3dos.structures.reading import Unread

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ScreenSummary:
    """What a run did.

    Attributes
    ----------
    output : Path
        The directory.
    total : int
        Structures in the input.
    new : int
        Rows written by this run.
    skipped : int
        Structures whose rows were there.
    failed : int
        New rows with an error.
    seconds : float
        Wall-clock time of predicting and writing, without loading the model's libraries.
    replaced : int
        New rows that took the place of another crystal's prediction, as its id was the same.
    """

    output: Path
    total: int
    new: int
    skipped: int
    failed: int
    seconds: float
    replaced: int = 0

    @property
    def rate(self) -> float:
        """New rows in a second."""
        return self.new / self.seconds if self.seconds > 0 else 0.0


def screen(
    inputs: Any,
    output: str | PathLike[str],
    *,
    model: str | Path = "default",
    device: str = "auto",
    encoder: str | None = None,
    uncertainty: bool = True,
    temperature: float | list[float] | tuple[float, ...] = DEFAULT_TEMPERATURE,
    processes: int | None = None,
    dask: str | None = None,
    progress: bool | Report = False,
    retry_errors: bool = False,
    shard_size: int = SHARD_SIZE,
) -> ScreenSummary:
    """Predict any number of crystals into a directory of Parquet shards.

    A second run with the same output computes what is missing: rows are known by id, content
    and model. Rows of a structure that has changed are replaced, with a warning that counts
    them: structures of an iterable without ids are called by their places, so that another
    iterable belongs into another output.

    Parameters
    ----------
    inputs : object, path or iterable of them
        Path of a file or directory, or a glob; a table of pandas, polars or pyarrow; a mapping
        from ids to structures; or any iterable of these paths, structures, or (id, structure)
        pairs. Files: whatever ASE and pymatgen read,
        extended XYZ and trajectories, ase.db, JSON lines of pymatgen structures, and Parquet
        with the columns numbers, cell and positions_frac (or structure).
    output : str or os.PathLike
        Directory for the shards; made if it is not there.
    model : str or Path, optional
        Name of a registered model, or the path of a weights file.
    device : str, optional
        "auto" takes every GPU, one process each, or the CPU; "cpu", "cuda:1", "cuda:0,cuda:1".
    encoder : str, optional
        Name of an encoder; by default the model's own, or its alloy form for mixed sites.
    uncertainty : bool, optional
        Run the whole ensemble and fill the column `uncertainty`.
    temperature : float, list of float or tuple of float, optional
        In K; several make list columns.
    processes : int, optional
        Worker processes for each device; 1, the default, predicts in this process. In a script,
        more than one needs the usual ``if __name__ == "__main__":``. With `dask`, workers or
        jobs to start.
    dask : str, optional
        Address or file of a Dask scheduler, "local", or "slurm".
    progress : bool or callable, optional
        True for a bar on a terminal, or a function that takes a
        `ase_e3dos.screening.progress.Progress`.
    retry_errors : bool, optional
        Compute the rows with an error again.
    shard_size : int, optional
        Rows in one Parquet file at most.

    Returns
    -------
    ScreenSummary

    Raises
    ------
    ScreeningError
        An input does not exist, or the output cannot be written, is in use by another process,
        or is for other temperatures. Structures that fail are rows with an error instead.
    Exception
        What an iterable of `inputs` raised, after the rows of all that it gave are written.
    WeightsError, DeviceError, EncoderError
        The model, device or encoder is not there.
    MissingExtraError
        Without pyarrow.

    Examples
    --------
    >>> from ase.build import bulk
    >>> summary = screen([("salt", bulk("NaCl", "rocksalt", a=5.64))], "salt_screen")
    ... # doctest: +SKIP
    """
    need_pyarrow("screening")
    settings = ScreenSettings.of(model, encoder, uncertainty, temperature)
    _ = settings.model_hash  # a model that is not there is said before an output is made
    check_inputs(inputs)
    for name, number in (("shard_size", shard_size), ("processes", processes)):
        whole = isinstance(number, (int, np.integer)) and not isinstance(number, bool)
        if number is not None and not (whole and number >= 1):
            raise ScreeningError(f"{name} is {shortly(number)}; give a whole number, at least 1.")
    warn_of_low_temperatures(settings.frequency_grid, settings.temperatures, str(output))
    total = count_entries(inputs) if progress else None
    with (
        ShardStore(Path(output), settings, shard_size) as store,
        progress_report(progress, total) as report,
        _quiet(),
    ):
        if retry_errors:
            store.forget_errors()
        run = _Run(store, settings, report, total)
        return run.through(inputs, device, processes, dask)


class _Run:
    """Counts of a run, and its way from entries to rows."""

    def __init__(
        self, store: ShardStore, settings: ScreenSettings, report: Report, total: int | None
    ) -> None:
        self._store = store
        self._settings = settings
        self._report = report
        self._total = total
        self._seen = self._skipped = self._new = self._failed = 0
        self._started: float | None = None
        self._failure: Exception | None = None

    def through(
        self, inputs: Any, device: str, processes: int | None, dask: str | None
    ) -> ScreenSummary:
        computed = self._computed(inputs, device, processes, dask)
        try:
            for some in computed:
                self._take(some)
        except BaseException:
            if not self._store.is_broken:
                self._store.flush()
            raise
        finally:
            computed.close()
        self._store.finish()
        if self._failure is not None:
            self._failure.add_note(
                f"The inputs ended here, after {self._seen} structures; their rows are in "
                f"{self._store.directory}."
            )
            raise self._failure
        seconds = time.perf_counter() - self._started if self._started else 0.0
        self._tell()
        replaced = self._store.n_replaced
        if replaced:
            warnings.warn(
                f"{self._store.directory}: {replaced} row(s) of earlier runs were replaced, as "
                "their ids now belong to other crystals. If these are other structures and not "
                "new versions of the same, give them ids of their own, or another output.",
                ScreeningWarning, stacklevel=4,
            )  # fmt: skip
        return ScreenSummary(
            self._store.directory, self._seen, self._new, self._skipped, self._failed, seconds,
            replaced,
        )  # fmt: skip

    def _until_failure(self, inputs: Any) -> Iterator[Unread]:
        """Structures up to where the inputs raise; these are computed and written all the same."""
        try:
            yield from iter_unread(inputs)
        except Exception as error:  # noqa: BLE001 - raised again when the rows are written
            self._failure = error

    def _computed(
        self, inputs: Any, device: str, processes: int | None, dask: str | None
    ) -> Generator[Computed, None, None]:
        blocks = with_unique_ids(self._until_failure(inputs))
        done = self._store.rows_done()
        pool: Any
        if dask is not None:
            from ase_e3dos.screening.cluster import DaskPool

            first = next(blocks, None)
            if first is None:
                return
            blocks = _chain(first, blocks)
            pool = DaskPool(dask, processes, device, done)
        else:
            devices = local_devices(device, processes)
            if len(devices) == 1:
                yield from self._computed_here(blocks, done, devices[0])
                return
            pool = ProcessPool(devices, done)
        self._started = time.perf_counter()
        try:
            structures = (unread for block in blocks for unread in block)
            yield from computed_on(pool, structures, self._settings)
        finally:
            pool.close()

    def _computed_here(
        self, blocks: Iterator[list[Unread]], done: Done, device: str
    ) -> Iterator[Computed]:
        """In this process, where nothing is loaded unless a row is missing."""
        missing = Missing(done, self._settings.model_hash)
        entries = (entry for block in blocks for entry in missing.of(block))
        first = next(entries, None)
        if first is not None:
            from ase_e3dos.screening.record_batches import record_batches

            predictor = self._settings.predictor(device)
            self._started = time.perf_counter()
            several = _chain(first, entries)
            for batch in record_batches(several, predictor, self._settings):
                self._seen, self._skipped = missing.seen, missing.skipped
                yield Computed(0, 0, [batch])
        self._seen, self._skipped = missing.seen, missing.skipped

    def _take(self, computed: Computed) -> None:
        self._seen += computed.seen
        self._skipped += computed.skipped
        for batch in computed.batches:
            self._new += len(batch)
            self._failed += len(batch) - batch.column("error").null_count
            self._store.add(batch)
        self._tell()

    def _tell(self) -> None:
        done = self._new + self._skipped
        self._report(Progress(done, self._skipped, self._failed, self._total))


def _chain(first: T, rest: Iterator[T]) -> Iterator[T]:
    yield first
    yield from rest


@contextmanager
def _quiet() -> Iterator[None]:
    """What each of thousands of structures would say stands in the column `warnings`."""
    with warnings.catch_warnings():
        ignore_structure_warnings()
        yield
