"""Calculations in parallel processes, where one that kills its process stops no other."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    Future,
    ProcessPoolExecutor,
    wait,
)
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection
from multiprocessing.connection import wait as wait_for
from threading import Thread
from typing import TypeVar

from ase_e3dos.errors import PotentialError

Job = TypeVar("Job")
Row = TypeVar("Row")

#: What a row says of a job that killed its process.
DIED = "its process died (out of memory, or a crash inside the calculator)"
#: What is said where a process dies before it has any job.
NEVER_READY = (
    "the process that was to calculate died before the first crystal. Either the calculator "
    "crashes as it is loaded: try it alone, in Python. Or a script started processes without "
    "`if __name__ == '__main__':` around its calls, or gave a function of a notebook: add that "
    "line, give package.module:function, or take 0 processes, which calculates in this one."
)


def in_processes(
    work: Callable[[Job], Row],
    jobs: Sequence[Job],
    workers: int,
    died: Callable[[Job, str], Row],
    ready: Callable[[], None],
) -> Iterator[Row]:
    """Results as they are finished; a job whose process dies (twice) gets what `died` makes.

    Parameters
    ----------
    work : callable
        Picklable; catches what a calculation raises.
    jobs : sequence
        Picklable.
    workers : int
        Processes; 0 works in this process, which a crash then ends.
    died : callable
        From a job and a reason.
    ready : callable
        Picklable; called where work is done before any job. What it raises ends all.

    Raises
    ------
    PotentialError
        The process of `ready` dies.
    """
    if not jobs:
        return
    if workers == 0:
        ready()
        yield from map(work, jobs)
        return
    # Processes share the cores: libraries in them should not start a thread for each core.
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // workers)))
    waiting = list(jobs)
    is_ready = False
    while waiting:
        suspects: list[Job] = []
        with _pool(workers) as pool:
            if not is_ready:
                try:
                    pool.submit(ready).result()
                except BrokenExecutor as error:
                    raise PotentialError(NEVER_READY) from error
                is_ready = True
            running: dict[Future[Row], Job] = {}
            while waiting or running:
                while waiting and len(running) < workers and not suspects:
                    job = waiting.pop(0)
                    try:
                        running[pool.submit(work, job)] = job
                    except BrokenExecutor:
                        suspects.append(job)
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    job = running.pop(future)
                    try:
                        row = future.result()
                    except BrokenExecutor:
                        suspects.append(job)  # its process died, or another one's
                    else:
                        yield row
                if suspects and not running:
                    break
        for job in suspects:
            yield _alone(work, job, died)


def _alone(work: Callable[[Job], Row], job: Job, died: Callable[[Job, str], Row]) -> Row:
    """One job in a process of its own, so that nothing else dies with it."""
    with _pool(1) as pool:
        try:
            return pool.submit(work, job).result()
        except BrokenExecutor:
            return died(job, DIED)


@contextmanager
def _pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Processes that an interruption here ends at once, whatever they calculate."""
    context = get_context("spawn")
    reader, writer = context.Pipe(duplex=False)
    pool = ProcessPoolExecutor(
        workers, mp_context=context, initializer=_prepare, initargs=(reader,)
    )
    try:
        yield pool
    except BaseException:
        writer.close()
        raise
    finally:
        pool.shutdown()
        writer.close()
        reader.close()


def _prepare(stop: Connection) -> None:
    """End with the process that started this one: a kill gives it no time to say so."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: whoever started this ends it

    def watch() -> None:
        parent = parent_process()
        if parent is not None:
            wait_for([parent.sentinel, stop])
            os._exit(1)

    Thread(target=watch, daemon=True).start()
