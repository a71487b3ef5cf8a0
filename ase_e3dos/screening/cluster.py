"""Dask clusters: one that runs, one on this machine, or jobs of SLURM."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import Any, TypeVar

from ase_e3dos.errors import MissingExtraError, PotentialError, ScreeningError, ScreeningWarning
from ase_e3dos.potentials.processes import DIED
from ase_e3dos.screening.entries import Done
from ase_e3dos.screening.settings import ScreenSettings
from ase_e3dos.screening.workers import (
    Chunk,
    Computed,
    compute_chunk,
    ignore_structure_warnings,
)
from ase_e3dos.structures.paths import is_file
from ase_e3dos.structures.reading import Unread

Job = TypeVar("Job")
Row = TypeVar("Row")

#: Seconds to wait for a scheduler.
_TIMEOUT = 20.0
#: Seconds without any result after which the cluster is asked whether there are workers.
_WATCH = 30.0
_GONE = (
    "the Dask scheduler at {} is gone, or gave up the work. Start it and its workers again, and "
    "run the same command: it goes on where it stopped."
)


class DaskCluster:
    """Workers of a Dask cluster.

    Parameters
    ----------
    address : str
        Of a running scheduler ("tcp://host:8786"), its scheduler file, "local" for a cluster on
        this machine, or "slurm" for jobs as the user's dask-jobqueue configuration describes them.
    processes : int, optional
        Workers to start for "local", jobs for "slurm".

    Raises
    ------
    MissingExtraError
        Dask, or dask-jobqueue, is not installed.
    ScreeningError
        No scheduler answers.
    """

    def __init__(self, address: str, processes: int | None = None) -> None:
        try:
            from distributed import Client
        except ImportError as error:
            raise MissingExtraError(
                "work on a cluster needs Dask. Install it with `pip install ase-e3dos[screening]`."
            ) from error
        self._address = address
        self._said = self._gone = False
        self._cluster = self._started(address, processes)
        target: dict[str, Any] = {"address": self._cluster or address}
        if self._cluster is None and is_file(address):
            target = {"scheduler_file": address}
        try:
            self._client = Client(**target, timeout=_TIMEOUT, set_as_default=False)
        except (OSError, ValueError) as error:
            raise ScreeningError(
                f"no Dask scheduler answers at {address!r} ({error}). Start one with `dask "
                "scheduler`, give the address that it prints, or 'local'."
            ) from error
        self._futures: dict[Future[Any], Any] = {}

    @property
    def n_workers(self) -> int:
        """Threads of all workers that are there now; at least one, so that work waits for them."""
        return max(sum(int(w["nthreads"]) for w in self._workers().values()), 1)

    def _workers(self) -> dict[str, Any]:
        """What the scheduler says about its workers.

        Raises
        ------
        ScreeningError
            It is gone.
        """
        workers = self._client.scheduler_info(n_workers=-1).get("workers")
        if workers is None or self._client.status not in ("running", "connecting"):
            raise ScreeningError(_GONE.format(self._address))
        return dict(workers)

    @staticmethod
    def _started(address: str, processes: int | None) -> Any:
        if address == "local":
            from distributed import LocalCluster

            return LocalCluster(n_workers=processes, threads_per_worker=1, dashboard_address=None)
        if address == "slurm":
            from ase_e3dos.screening.slurm import slurm_cluster

            return slurm_cluster(processes or 1)
        return None

    def start(self, work: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Call a function on a worker; Dask gives it to another one if its worker dies."""
        task = self._client.submit(work, *arguments, pure=False)
        future: Future[Any] = Future()
        self._futures[future] = task
        task.add_done_callback(lambda done: self._finish(future, done))
        return future

    def _finish(self, future: Future[Any], task: Any) -> None:
        self._futures.pop(future, None)
        if future.cancelled():
            return
        try:
            if task.status == "finished":
                future.set_result(task.result())
            elif task.status == "error":
                future.set_exception(task.exception())
            else:
                future.set_exception(ScreeningError(_GONE.format(self._address)))
        except Exception as error:  # noqa: BLE001 - whatever it is belongs to the future
            future.set_exception(error)

    def is_worker_death(self, error: BaseException) -> bool:
        """Whether several workers died of the same call."""
        return isinstance(error, _worker_deaths())

    def check(self) -> None:
        """Say that there is no worker; give up where none can come.

        Raises
        ------
        ScreeningError
            All SLURM jobs have ended, or the scheduler is gone.
        """
        if self._workers():
            return
        if self._address == "slurm":
            from ase_e3dos.screening.slurm import jobs_are_gone

            # A job at its time limit is gone for a moment before the next one is asked for.
            before, self._gone = self._gone, jobs_are_gone(self._cluster)
            if before and self._gone:
                raise ScreeningError(
                    "all SLURM jobs ended, and no worker is left. Their output (slurm-*.out, or in "
                    "the log-directory of jobqueue.yaml) says why; the nodes must reach the "
                    "scheduler here (interface). Run the same command again: it goes on where it "
                    "stopped."
                )
        if not self._said:
            self._said = True
            warnings.warn(
                f"no Dask worker is there ({self._address}); the run waits for one. Start some "
                "with `dask worker`, or see whether the queue has started the jobs.",
                ScreeningWarning, stacklevel=2,
            )  # fmt: skip

    def close(self) -> None:
        """Leave the cluster; stop it if it was started here."""
        for task in list(self._futures.values()):
            task.cancel()
        self._client.close()
        if self._cluster is not None:
            self._cluster.close()


class DaskPool(DaskCluster):
    """A cluster whose workers predict chunks of a screen.

    Parameters
    ----------
    address, processes
        As of a `DaskCluster`.
    device : str, optional
        On which a worker predicts; "auto" takes its first GPU if it has one.
    done
        Rows that are there and are not computed again.
    """

    #: Dask gives the chunks of a dead worker to others, and reports those that killed several.
    die_together = False

    def __init__(
        self,
        address: str,
        processes: int | None = None,
        device: str = "auto",
        done: Done | None = None,
    ) -> None:
        super().__init__(address, processes)
        self._device = device
        # Sent once and not with each chunk.
        self._done = None
        if done is not None and len(done.rows):
            self._done = self._client.scatter(done, hash=False)

    def submit(self, chunk: Chunk, settings: ScreenSettings) -> Future[Any]:
        """Start a chunk."""
        return self.start(_compute_on_worker, chunk.structures, settings, self._device, self._done)

    def recover(self) -> None:
        """Nothing to do: nannies and the queue start workers again."""


def in_cluster(
    work: Callable[[Job], Row],
    jobs: Sequence[Job],
    address: str,
    processes: int | None,
    died: Callable[[Job, str], Row],
    ready: Callable[[], None],
) -> Iterator[Row]:
    """As `ase_e3dos.potentials.processes.in_processes`, by the workers of a Dask cluster.

    Parameters
    ----------
    work, jobs, died, ready
        As of `in_processes`; all of them travel to the workers.
    address, processes
        As of a `DaskCluster`.

    Raises
    ------
    ScreeningError
        The scheduler is not there, or gone.
    PotentialError
        Workers die of `ready`.
    """
    if not jobs:
        return
    cluster = DaskCluster(address, processes)
    try:
        try:
            _result(cluster, cluster.start(ready))
        except _worker_deaths() as error:
            raise PotentialError(
                f"the workers of {address} died as they made the calculator, before the first "
                "crystal. Try it alone, in Python, on a machine of the cluster."
            ) from error
        suspects: list[Job] = []
        waiting = list(jobs)
        running: dict[Future[Any], Job] = {}
        while waiting or running:
            while waiting and len(running) < 2 * cluster.n_workers:
                job = waiting.pop(0)
                running[cluster.start(work, job)] = job
            done = wait(running, _WATCH, FIRST_COMPLETED).done
            if not done:
                cluster.check()
            for future in done:
                job = running.pop(future)
                try:
                    row = future.result()
                except _worker_deaths():
                    suspects.append(job)  # or a neighbour of one that kills its worker
                else:
                    yield row
        for job in suspects:
            try:
                row = _result(cluster, cluster.start(work, job))
            except _worker_deaths():
                row = died(job, DIED)
            yield row
    finally:
        cluster.close()


def _worker_deaths() -> type[Exception]:
    from distributed.scheduler import KilledWorker

    found: type[Exception] = KilledWorker
    return found


def _result(cluster: DaskCluster, future: Future[Any]) -> Any:
    while not wait([future], _WATCH).done:
        cluster.check()
    return future.result()


def _compute_on_worker(
    structures: list[Unread], settings: ScreenSettings, device: str, done: Done | None
) -> Computed:
    import torch
    from distributed import get_worker

    ignore_structure_warnings()
    found = own_device(device, get_worker().name, torch.cuda.device_count())
    return compute_chunk(structures, settings, found, done, is_worker=True)


def own_device(device: str, worker: object, n_devices: int) -> str:
    """The GPU of a worker on a machine with several: workers take turns, by their numbers.

    Parameters
    ----------
    device : str
        As asked for; a certain one stays.
    worker
        Name of the worker, which ends in its number, or is it.
    n_devices : int
        GPUs that the worker sees.
    """
    number = re.search(r"\d+$", str(worker))
    if device not in ("auto", "cuda") or n_devices < 2 or number is None:
        return device
    return f"cuda:{int(number[0]) % n_devices}"
