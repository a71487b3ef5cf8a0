"""Commands that go on where they stopped: what is said and returned when they are stopped."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

import typer


@contextmanager
def resumable(where: object) -> Iterator[None]:
    """End by Ctrl-C or SIGTERM with a line that says where the work is.

    Parameters
    ----------
    where
        File or directory that holds what is done.

    Raises
    ------
    typer.Exit
        With the code that shells give to processes ended by the signal.
    """
    before = signal.signal(signal.SIGTERM, _terminated)
    try:
        yield
    except (KeyboardInterrupt, _Terminated) as stop:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C changes nothing any more
        typer.echo(
            f"stopped; what was computed is in {where}. Run the same command to go on.", err=True
        )
        ended_by = signal.SIGTERM if isinstance(stop, _Terminated) else signal.SIGINT
        raise typer.Exit(128 + ended_by) from None
    finally:
        signal.signal(signal.SIGTERM, before)


class _Terminated(BaseException):
    """SIGTERM, as a batch system or an operating system that shuts down sends it."""


def _terminated(*_: object) -> None:
    raise _Terminated
