"""Chunks of structures on many processes: of this machine (one for each GPU) or of a Dask cluster.

Workers read, predict and send back record batches: what they get are paths, records and arrays,
so that no reader holds them back. The process that called `screen` alone writes. A
worker that dies takes with it nothing but its chunk, which another one computes again.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
import warnings
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import islice
from multiprocessing.connection import wait as wait_for
from typing import TYPE_CHECKING, Any, Protocol

from ase_e3dos.errors import PartialOccupationWarning, PredictionError, ScreeningError
from ase_e3dos.screening.entries import Done, Entry, KeySet, Missing, unread_content
from ase_e3dos.screening.settings import ScreenSettings
from ase_e3dos.structures.reading import Unread

if TYPE_CHECKING:
    import pyarrow as pa

#: Structures that a worker gets at once: few at first, so that short inputs reach all workers ...
FIRST_CHUNK_SIZE = 32
#: ... then twice as many after some chunks for each worker, up to this ...
CHUNK_SIZE = 1024
_CHUNKS_OF_A_SIZE = 4
#: ... but not where a chunk already takes this long, in seconds, from its start to its rows: it is
#: what a kill can cost, and how often the progress moves.
_CHUNK_SECONDS = 20.0
#: A chunk that this many workers did not survive is divided.
_ATTEMPTS = 2
#: Seconds without any result after which the pool is asked whether there are workers.
_WATCH_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Chunk:
    """Structures for one worker, and how often they were given out."""

    structures: list[Unread]
    attempt: int = 0

    def again(self) -> list[Chunk]:
        """What to do after a worker died with it: the same, or two halves."""
        if self.attempt + 1 < _ATTEMPTS:
            return [Chunk(self.structures, self.attempt + 1)]
        half = len(self.structures) // 2
        # The halves start one attempt from being divided again.
        return [
            Chunk(part, _ATTEMPTS - 1)
            for part in (self.structures[:half], self.structures[half:])
            if part
        ]


@dataclass(frozen=True, slots=True)
class Computed:
    """What a worker made of a chunk.

    Attributes
    ----------
    seen, skipped
        Structures that were read (a file may hold several), and those that had a row.
    batches
        The rows of all others.
    """

    seen: int
    skipped: int
    batches: list[pa.RecordBatch]


class Pool(Protocol):
    """Where chunks are computed."""

    n_workers: int
    #: Whether the death of one worker takes all running chunks with it.
    die_together: bool

    def submit(self, chunk: Chunk, settings: ScreenSettings) -> Future[Any]:
        """Start a chunk; the future gives what is computed."""

    def is_worker_death(self, error: BaseException) -> bool:
        """Whether the error says that a worker died, and not that the chunk is wrong."""

    def recover(self) -> None:
        """Make the pool usable again after a death."""

    def check(self) -> None:
        """Raise where nothing will ever come; called when nothing has come for a while."""

    def close(self) -> None:
        """Stop the workers that were started here."""


def computed_on(
    pool: Pool, structures: Iterable[Unread], settings: ScreenSettings
) -> Iterator[Computed]:
    """Predict structures on a pool; results come as they are ready.

    Parameters
    ----------
    pool : Pool
        Where.
    structures : iterable of Unread
        Fetched as they are needed.
    settings : ScreenSettings
        Of the run.

    Yields
    ------
    Computed
        Every structure is in exactly one of them.

    Raises
    ------
    ScreeningError
        Workers could not do anything.
    """
    structures = iter(structures)
    sizes = ChunkSizes(CHUNK_SIZE)
    started: dict[Future[Any], float] = {}
    running: dict[Future[Any], Chunk] = {}
    waiting: list[Chunk] = []
    exhausted = False
    while True:
        while not exhausted and not waiting and len(running) < 2 * pool.n_workers + 1:
            chunk = Chunk(list(islice(structures, sizes.next(pool.n_workers))))
            if not chunk.structures:
                exhausted = True
                break
            future = pool.submit(chunk, settings)
            running[future] = chunk
            started[future] = time.monotonic()
        while waiting and len(running) < 2 * pool.n_workers + 1:
            chunk = waiting.pop()
            running[pool.submit(chunk, settings)] = chunk
        if not running:
            return
        finished = wait(running, _WATCH_SECONDS, FIRST_COMPLETED).done
        if not finished:
            pool.check()
        for future in finished:
            if future not in running:  # lost with another one
                continue
            chunk = running.pop(future)
            began = started.pop(future, None)
            error = future.exception()
            if error is None:
                if began is not None:
                    sizes.took(time.monotonic() - began)
                yield future.result()
            elif not pool.is_worker_death(error):
                raise error
            else:
                lost = [chunk, *_lost(pool, running)]
                pool.recover()
                for one in lost:
                    if len(one.structures) == 1 and one.attempt + 1 >= _ATTEMPTS:
                        yield _of_death(one.structures[0], settings)
                    else:
                        waiting += one.again()


def _lost(pool: Pool, running: dict[Future[Any], Chunk]) -> list[Chunk]:
    """Chunks that went down with the pool, taken out of those that run."""
    if not pool.die_together:
        return []
    gone = [f for f in running if not f.done() or f.exception() is not None]
    return [running.pop(f) for f in gone]


def _of_death(unread: Unread, settings: ScreenSettings) -> Computed:
    import numpy as np

    from ase_e3dos.screening.rows import RowBuilder

    rows = RowBuilder(settings, np.arange(0.0, 30.0, 10.0), None)
    error = PredictionError(
        f"{unread.id}: the worker process died while it read or computed this structure, twice. It "
        "may need more memory than the worker has; try it alone with `e3dos predict`."
    )
    rows.add_error(Entry(unread.id, error, unread_content(unread)), error)
    return Computed(1, 0, [rows.build()])


class ChunkSizes:
    """How many entries the next chunk gets.

    Parameters
    ----------
    largest : int
        No chunk gets more.
    """

    def __init__(self, largest: int) -> None:
        self._largest = largest
        self._size = min(FIRST_CHUNK_SIZE, largest)
        self._given = 0
        self._seconds = 0.0

    def next(self, n_workers: int) -> int:
        """Entries of the next chunk, where there are so many workers."""
        if self._given >= _CHUNKS_OF_A_SIZE * n_workers and self._seconds < _CHUNK_SECONDS:
            self._size = min(2 * self._size, self._largest)
            self._given = 0
        self._given += 1
        return self._size

    def took(self, seconds: float) -> None:
        """Note how long a chunk took, its wait for a worker included."""
        self._seconds = seconds


def compute_chunk(
    structures: list[Unread],
    settings: ScreenSettings,
    device: str = "auto",
    done: Done | None = None,
    *,
    is_worker: bool = False,
) -> Computed:
    """Read and predict structures in this process; what a worker runs.

    Parameters
    ----------
    structures
        Of a chunk.
    settings
        Of the run.
    device
        On which they are predicted.
    done
        Rows that are there and are not computed again.
    is_worker
        Whether others compute beside this process, so that on a CPU it takes one thread.
    """
    missing = Missing(done or Done(KeySet()), settings.model_hash)
    entries = list(missing.of(structures))
    if not entries:
        return Computed(missing.seen, missing.skipped, [])
    from ase_e3dos.screening.record_batches import record_batches

    if is_worker:
        import torch

        if device == "cpu" or not torch.cuda.is_available():
            torch.set_num_threads(1)
    batches = list(record_batches(entries, settings.predictor(device), settings))
    return Computed(missing.seen, missing.skipped, batches)


def ignore_structure_warnings() -> None:
    """Silence what each of thousands of structures would say.

    Warnings of a prediction stand in the column `warnings`; those of the readers of files name
    neither the file nor the structure.
    """
    warnings.simplefilter("ignore", PartialOccupationWarning)
    warnings.filterwarnings("ignore", category=UserWarning, module=r"(pymatgen|ase)\.")


# Processes of this machine -------------------------------------------------------------------

_device = "auto"
_done: Done | None = None


class ProcessPool:
    """Processes of this machine, one for each device.

    Parameters
    ----------
    devices : list of str
        Of the workers, such as ["cuda:0", "cuda:1"] or ["cpu"] * 4.
    done : Done, optional
        Rows that are there and are not computed again.
    """

    die_together = True

    def __init__(self, devices: list[str], done: Done | None = None) -> None:
        self.n_workers = len(devices)
        self._done = done
        self._devices = devices
        self._deaths = 0
        self._executor = self._started()

    def _started(self) -> ProcessPoolExecutor:
        context = multiprocessing.get_context("spawn")
        devices = context.Queue()
        for device in self._devices:
            devices.put(device)
        return ProcessPoolExecutor(
            self.n_workers,
            mp_context=context,
            initializer=_start_worker,
            initargs=(devices, self._done),
        )

    def submit(self, chunk: Chunk, settings: ScreenSettings) -> Future[Any]:
        """Start a chunk."""
        try:
            return self._executor.submit(_compute_on_device, chunk.structures, settings)
        except BrokenProcessPool as error:
            failed: Future[Any] = Future()
            failed.set_exception(error)
            return failed

    def is_worker_death(self, error: BaseException) -> bool:
        """Whether a process was killed."""
        return isinstance(error, BrokenProcessPool)

    def recover(self) -> None:
        """Start the processes anew.

        Raises
        ------
        ScreeningError
            They keep dying.
        """
        self._deaths += 1
        self._executor.shutdown(wait=False, cancel_futures=True)
        if self._deaths > 30:
            raise ScreeningError(
                "the worker processes died 30 times. Look for what kills them (memory?), use "
                "fewer of them, and run the same command again: it goes on where it stopped."
            )
        self._executor = self._started()

    def check(self) -> None:
        """Nothing to do: the death of a process is told by its futures."""

    def close(self) -> None:
        """Stop the processes."""
        self._executor.shutdown(wait=False, cancel_futures=True)


def _start_worker(devices: Any, done: Done | None) -> None:
    """Take a device, and note which rows are there."""
    global _device, _done
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: whoever started this ends it
    _device, _done = devices.get(), done
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    ignore_structure_warnings()


def _end_with_parent() -> None:
    """End this process when the one that started it is gone: a kill gives it no time to say so."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait_for([parent.sentinel])
        os._exit(1)


def _compute_on_device(structures: list[Unread], settings: ScreenSettings) -> Computed:
    return compute_chunk(structures, settings, _device, _done, is_worker=True)


def local_devices(device: str, processes: int | None) -> list[str]:
    """Devices of the worker processes; one device means that no process is started.

    Parameters
    ----------
    device : str
        "auto" and "cuda" take every GPU; "cpu", "cuda:1" that one; "cuda:0,cuda:2" these.
    processes : int or None
        Of them for each device on a CPU; 1 by default.
    """
    named = [d.strip() for d in device.split(",") if d.strip()]
    if len(named) == 1 and named[0] in ("auto", "cuda"):
        import torch

        found = [f"cuda:{i}" for i in range(torch.cuda.device_count())]
        if len(found) > 1:
            named = found
        elif named[0] == "auto":
            named = found or ["cpu"]
    return [d for d in named for _ in range(max(processes or 1, 1))]
