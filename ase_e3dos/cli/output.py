"""What commands print and write: tables, figures and files, checked before any work."""

from __future__ import annotations

import codecs
import io
import json
import os
import sys
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import typer

from ase_e3dos.errors import E3DOSError, OutputError, need_pyarrow
from ase_e3dos.export.writing import (
    FIGURES,
    TABLES,
    check_name,
    save_figure,
    save_table,
    with_nulls,
)
from ase_e3dos.structures.paths import exists

if TYPE_CHECKING:
    from rich.console import Console

__all__ = [
    "FIGURES",
    "MIXED_SITES",
    "TABLES",
    "check_figure",
    "check_file",
    "check_folder",
    "drop_output",
    "finish_output",
    "prepare_streams",
    "print_json",
    "print_notes",
    "print_table",
    "print_warnings",
    "write_figure",
    "write_panel",
    "write_table",
    "writing",
]

#: What a table with error bars says where a crystal has mixed sites.
MIXED_SITES = (
    "mixed or vacant sites: ± is of ordered crystals, and does not know the error of treating "
    "disorder as an average site"
)
#: Endings that nobody gives to a folder.
_OF_FILES = {
    *FIGURES, *TABLES, ".bz2", ".cif", ".dat", ".db", ".extxyz", ".gz", ".h5", ".hdf5", ".htm",
    ".html", ".jsonl", ".md", ".pkl", ".poscar", ".safetensors", ".tex", ".traj", ".tsv", ".txt",
    ".vasp", ".xlsx", ".xyz", ".xz", ".yaml", ".yml", ".zip",
}  # fmt: skip
#: Width of tables where no terminal says its own.
_WIDTH = 130
_ASCII = {
    "±": "+-",
    "Å": "A",
    "²": "2",
    "³": "3",
    "⁻": "-",
    "¹": "1",
    "→": "->",
    "×": "x",
    "…": "...",
}


# Checks, before any work ---------------------------------------------------------------------


def check_figure(
    path: Path | None, option: str = "--plot", *, others: Collection[str] = ()
) -> None:
    """Refuse a figure that cannot be written; `others` are more endings that it could have had.

    Raises
    ------
    OutputError
        If the ending is unknown, or the place cannot be written to.
    """
    if path is not None and path.suffix.lower() not in FIGURES:
        known = ", ".join((*FIGURES, *others))
        raise OutputError(f"{option} {path}: a figure's name ends in one of {known}.")
    check_file(path, (), option)


def check_file(
    path: Path | None,
    endings: Collection[str] = TABLES,
    option: str = "-o",
    *,
    inputs: Iterable[Path] = (),
) -> None:
    """Refuse a file that cannot be written, or has none of the endings (if any are given).

    Raises
    ------
    OutputError
        If the ending is unknown, the place cannot be written to, or it is one of the inputs.
    """
    if path is None:
        return
    with writing(path, option):
        check_name(path)
    for given in inputs:
        if path.exists() and exists(given) and path.samefile(given):
            raise OutputError(
                f"{option} {path}: that is the input, which would be lost. Name another."
            )
    if endings and path.suffix.lower() not in endings:
        raise OutputError(f"{option} {path}: the name of this file ends in {' or '.join(endings)}.")
    if path.suffix.lower() == ".parquet":
        need_pyarrow(f"{option} {path}: a Parquet file")
    if path.is_dir():
        raise OutputError(f"{option} {path}: this is a folder. Name a file in it.")
    if not path.parent.is_dir():
        raise OutputError(f"{option} {path}: there is no folder {path.parent}. Make it first.")
    if path.exists() and not os.access(path, os.W_OK):
        raise OutputError(
            f"{option} {path}: this file is there and cannot be written. Name another."
        )
    if not path.exists():
        _try_to_write(path.parent, option, path)


def check_folder(
    path: Path | None, option: str = "-o", *, instead: str = "", allowed: Collection[str] = ()
) -> None:
    """Refuse a folder that cannot be made or written to, or has the name of a file.

    Parameters
    ----------
    path : Path or None
    option : str
    instead : str
        Which options write files, for who names one.
    allowed : collection of str
        Endings of files that a new folder may have all the same.

    Raises
    ------
    OutputError
        If something else of this name is there, the place cannot be written to, or no folder is
        there and the name ends as those of files do.
    """
    if path is None:
        return
    with writing(path, option):
        check_name(path)
    ending = path.suffix.lower()
    if ending in _OF_FILES and ending not in allowed and not path.exists():
        said = f" {instead}" if instead else ""
        raise OutputError(
            f"{option} {path}: this is the folder that files are written into, and {ending} is the "
            f"ending of a file. Name a folder, such as {path.with_suffix('')}.{said}"
        )
    there = next((p for p in (path, *path.absolute().parents) if p.exists()), Path("/"))
    if not there.is_dir():
        raise OutputError(
            f"{option} {path}: the folder cannot be written, as {there} is not a folder. Name "
            "another."
        )
    _try_to_write(there, option, path)


def _try_to_write(folder: Path, option: str, path: Path) -> None:
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise _unwritable(option, path, error) from error


def _unwritable(option: str, path: Path, error: Exception) -> OutputError:
    reason = error.strerror if isinstance(error, OSError) else None
    return OutputError(
        f"{option} {path}: this cannot be written ({reason or error}). Choose a place that can be "
        "written to and has room."
    )


@contextmanager
def writing(path: Path, option: str = "-o") -> Iterator[None]:
    """An OutputError in the place of what goes wrong when a file or folder is written."""
    try:
        yield
    except OutputError as error:  # which does not know of the option
        raise OutputError(f"{option} {error}") from error
    except E3DOSError:
        raise
    except (OSError, ValueError, ImportError) as error:  # a missing library for webp, say
        raise _unwritable(option, path, error) from error


# Files ---------------------------------------------------------------------------------------


def write_figure(path: Path, figure: Any, option: str = "--plot") -> None:
    """Write a matplotlib figure; the ending of the name is the format."""
    with writing(path, option):
        save_figure(figure, path)


def write_panel(path: Path, draw: Callable[[Any], object]) -> None:
    """Write a figure of one panel that `draw` fills, given its axes."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from ase_e3dos.export.plots import STYLE

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3.4, 2.4), layout="constrained")
        FigureCanvasAgg(figure)
        draw(figure.subplots())
        write_figure(path, figure)


def write_table(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows as CSV, JSON (a list of objects) or Parquet, by the ending of the name.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    with writing(path):
        save_table(rows, path)


# Standard output -----------------------------------------------------------------------------


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], left: Collection[str] = ()
) -> None:
    """Print a table for people.

    Parameters
    ----------
    columns : sequence of str
        Headings; a second line of one is its unit.
    rows : iterable of sequences
        Cells, shown as `str` shows them.
    left : collection of str
        Columns of words, which are folded where they are long; numbers stand at the right.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    for column in columns:
        words = column in left
        table.add_column(
            column,
            justify="left" if words else "right",
            overflow="fold",
            no_wrap=not words,
        )
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))
    _console().print(table)


def print_notes(*notes: str) -> None:
    """Print what a table does not say by itself."""
    from rich.text import Text

    _console().print(Text("; ".join(note for note in notes if note), style="dim"))


def print_warnings(warnings: Iterable[object]) -> None:
    """Print warnings about results, each once."""
    from rich.text import Text

    for text in dict.fromkeys(map(str, warnings)):
        _console().print(Text(f"warning: {text}", style="yellow"))


def print_json(content: object) -> None:
    """Print JSON, with null for numbers that are not finite."""
    typer.echo(json.dumps(with_nulls(content), indent=1, allow_nan=False))


def _console() -> Console:
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else _WIDTH, highlight=False, markup=False)


def prepare_streams() -> None:
    """Make the standard streams take every text, though they are closed or know only ASCII."""
    codecs.register_error("e3dos", _in_ascii)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by the shell: >&-
            setattr(sys, name, _nowhere())
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="e3dos")


def _in_ascii(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(_ASCII.get(c, "?") for c in text), error.end


def finish_output() -> None:
    """Write what is left in the buffer; a reader that has gone away (`| head`) is not an error.

    Raises
    ------
    OSError
        If there is no room for it.
    """
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        drop_output()


def drop_output() -> None:
    """Send what is left for standard output nowhere, so that Python does not try at its end."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):  # not a file of the operating system
        sys.stdout = _nowhere()


def _nowhere() -> TextIO:
    return io.TextIOWrapper(io.FileIO(os.devnull, "w"), encoding="utf-8")
