"""How files come about: one writer of tables, one of figures, one error where that fails."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ase_e3dos.errors import OutputError, need_pyarrow

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "FIGURES",
    "TABLES",
    "check_figure_name",
    "check_name",
    "save_figure",
    "save_table",
    "with_nulls",
    "writing",
]

#: Endings that matplotlib writes without further packages.
FIGURES = (".png", ".pdf", ".svg", ".eps", ".jpg", ".jpeg", ".tif", ".tiff", ".webp")
#: Endings of tables.
TABLES = (".csv", ".json", ".parquet")


@contextmanager
def writing(path: str | Path) -> Iterator[None]:
    """An OutputError in the place of what the system says against a file.

    Parameters
    ----------
    path : str or Path
        The file, for the message.

    Yields
    ------
    None

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written ({error.strerror or error}). Check that the folder exists "
            "and may be written to."
        ) from error
    except ValueError as error:
        if "\0" not in str(path):
            raise
        raise OutputError(
            f"{str(path)!r}: a name cannot hold a zero byte. Give another."
        ) from error


def check_name(path: str | Path) -> None:
    """Refuse a name that no file or folder can have.

    Parameters
    ----------
    path : str or Path

    Raises
    ------
    OutputError
        It is too long, holds a zero byte, or begins with a "~" that was not made a home directory.
    """
    path = Path(path)
    # What else may be wrong, whoever writes there finds out.
    others = suppress(FileNotFoundError, NotADirectoryError, PermissionError)
    with writing(path), others:
        path.lstat()
    home = next(iter(path.parts), "")
    if home.startswith("~") and path != Path(home) and not Path(home).exists():
        raise OutputError(
            f"{path}: {home} would be a folder of that name here, not a home directory. Give the "
            "whole path."
        )


def check_figure_name(path: str | Path) -> None:
    """Refuse a name whose ending is not one of `FIGURES`.

    Parameters
    ----------
    path : str or Path

    Raises
    ------
    OutputError
        For such a name.
    """
    if Path(path).suffix.lower() not in FIGURES:
        raise OutputError(f"{path}: the name of a figure ends in one of {', '.join(FIGURES)}.")


def save_figure(figure: Figure, path: str | Path, dpi: int = 300, *, tight: bool = False) -> None:
    """Write a figure; the ending of the name is the format.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    path : str or Path
        Its ending is one of `FIGURES`.
    dpi : int
        Dots per inch of images that are made of pixels.
    tight : bool
        Fit the image to what is drawn, so that nothing beside the axes is cut off.

    Raises
    ------
    OutputError
        If the ending is not one of `FIGURES`, or the file cannot be written.
    """
    check_figure_name(path)
    with writing(path):
        figure.savefig(path, dpi=dpi, bbox_inches="tight" if tight else None)


def save_table(rows: Sequence[Mapping[str, Any]], path: str | Path) -> None:
    """Write rows as CSV, JSON (a list of objects) or Parquet, by the ending of the name.

    Parameters
    ----------
    rows : sequence of mappings
        Cells by the names of the columns, which state units; what a row lacks is left empty.
    path : str or Path
        Its ending is one of `TABLES`; anything else is written as CSV.

    Raises
    ------
    MissingExtraError
        For Parquet without pyarrow.
    OutputError
        If the file cannot be written.
    """
    path = Path(path)
    names = list(dict.fromkeys(name for row in rows for name in row))
    with writing(path):
        if path.suffix.lower() == ".parquet":
            need_pyarrow("a Parquet file")
            import pyarrow as pa
            import pyarrow.parquet as pq

            full = [{name: row.get(name) for name in names} for row in rows]
            pq.write_table(pa.Table.from_pylist(full), path)
        elif path.suffix.lower() == ".json":
            path.write_text(json.dumps(with_nulls(list(rows)), indent=1) + "\n", encoding="utf-8")
        else:
            with path.open("w", encoding="utf-8", newline="") as stream:
                writer = csv.DictWriter(stream, names, lineterminator="\n")
                writer.writeheader()
                writer.writerows({k: _as_text(v) for k, v in row.items()} for row in rows)


def _as_text(value: Any) -> Any:
    """A cell of a CSV file: text that a spreadsheet would run as a formula is quoted by a sign."""
    if not isinstance(value, str):
        return value
    runs = value.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    text = value.replace("\r\n", "\n").replace("\r", "\n")  # which Python's csv leaves unquoted
    return f"'{text}" if runs else text


def with_nulls(value: Any) -> Any:
    """Plain values for JSON: None where a number is not finite, lists for tuples.

    Parameters
    ----------
    value : object
        Numbers, texts, arrays, and mappings and sequences of them.

    Returns
    -------
    object
        The same in plain types.
    """
    if isinstance(value, Mapping):
        return {key: with_nulls(v) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [with_nulls(v) for v in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), -float("inf"))):
        return None
    return value
