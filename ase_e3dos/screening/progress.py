"""Progress of a run: rate, failures and time left on a terminal or in a notebook."""

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
        True for a bar in a notebook, or on standard error if that is a terminal; a function of
        one's own; False.
    total : int or None
        Structures in the input, if known.
    """
    if callable(progress):
        yield progress
    elif progress and (sys.stderr.isatty() or "ipykernel" in sys.modules):
        with _bar(total) as report:
            yield report
    else:
        yield lambda _: None


@contextmanager
def _bar(total: int | None) -> Iterator[Report]:
    from tqdm.auto import tqdm

    with tqdm(total=total, desc="Screening", unit="crystal", dynamic_ncols=True) as bar:

        def report(state: Progress) -> None:
            bar.initial = state.skipped  # so that the rate is of new rows
            bar.n = state.done
            bar.set_postfix_str(f"{state.failed} failed", refresh=False)
            bar.refresh()

        yield report
