"""Folders of trainings: made when one begins, gone again when it is refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ase_e3dos.errors import E3DOSError, TrainingError


@contextmanager
def new_folders(*folders: Path) -> Iterator[None]:
    """Make folders for the time of a training.

    Where it ends with an error of ours, those that are new and empty are removed again.

    Raises
    ------
    TrainingError
        A folder cannot be made.
    """
    made: list[Path] = []
    try:
        for folder in folders:
            made += _make(folder)
        yield
    except E3DOSError:
        for place in reversed(made):
            with suppress(OSError):
                place.rmdir()
        raise


def _make(folder: Path) -> list[Path]:
    """Make a folder and those above it; returns the new ones, the lowest last."""
    new = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrainingError(
            f"{folder}: no folder can be made here ({error.strerror}). Choose another --output."
        ) from error
    return new[::-1]
