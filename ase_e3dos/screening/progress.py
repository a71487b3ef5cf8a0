"""Progress of a run: rate, failures and time left on a terminal; silence elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """State of a run.

    Attributes
    ----------
    done : int
        Structures with a row, those of earlier runs included.
    skipped : int
        Of these, found in the output from earlier runs.
    failed : int
        New rows with an error.
    total : int or None
        Structures in the input, or None where that is not known.
    """

    done: int
    skipped: int
    failed: int
    total: int | None


Report = Callable[[Progress], None]


@contextmanager
def progress_report(progress: bool | Report, total: int | None) -> Iterator[Report]:
    """Give a function that takes the state of the run from time to time.

    Parameters
    ----------
    progress : bool or callable
        True for a bar on standard error if that is a terminal; a function of one's own; False.
    total : int or None
        Structures in the input, if known.
    """
    if callable(progress):
        yield progress
    elif progress and sys.stderr.isatty():
        with _bar(total) as report:
            yield report
    else:
        yield lambda _: None


@contextmanager
def _bar(total: int | None) -> Iterator[Report]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.progress import (
        Progress as Bar,
    )

    columns = (
        SpinnerColumn(),
        TextColumn("Screening"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TextColumn("{task.fields[failures]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=total, rate="", failures="")

        def report(state: Progress) -> None:
            new = state.done - state.skipped
            elapsed = bar.tasks[0].elapsed or 0.0
            bar.update(
                task,
                completed=state.done,
                rate=f"{new / elapsed:,.0f}/s" if new and elapsed > 1 else "",
                failures=f"[red]{state.failed} failed[/]" if state.failed else "0 failed",
            )

        yield report
