"""One process at a time on a run or a journal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ase_e3dos.errors import TrainingError


@contextmanager
def only_process(path: Path, *, folder: bool = False) -> Iterator[None]:
    """Hold a lock beside a file or in a folder; the operating system drops it with the process.

    Parameters
    ----------
    path : Path
        A file, there or not.
    folder : bool, optional
        `path` is a folder, which is made if it is not there.

    Raises
    ------
    TrainingError
        Another process holds it.
    """
    from filelock import FileLock, Timeout

    place = path / ".lock" if folder else path.with_name(f".{path.name}.lock")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise TrainingError(
            f"{place.parent}: a file, where a folder is needed. Choose another output."
        ) from error
    try:
        with FileLock(place, timeout=0):
            yield
    except Timeout as error:
        raise TrainingError(
            f"{path}: another process is at work on it. Wait for it, stop it, or choose another "
            "output."
        ) from error
