"""Tables of structures: Parquet files, pandas, pyarrow and polars tables, row by row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ase_e3dos.errors import E3DOSError, UnreadableFileError, need_pyarrow
from ase_e3dos.structures.fractions import FRACTION_NAMES
from ase_e3dos.structures.records import (
    ARRAY_COLUMNS,
    ID_COLUMNS,
    MASS_COLUMNS,
    OBJECT_COLUMNS,
    is_structure_record,
    sites_of_arrays,
    structure_of_record,
)
from ase_e3dos.structures.sites import Sites

if TYPE_CHECKING:
    import pyarrow as pa

Row = tuple[str, Any]
"""Id, and the structure in whatever form, or the error in its place."""
_ROWS = 1024
#: Columns beside our own that are used or refused, and never dropped.
_BESIDE = frozenset((*FRACTION_NAMES, *MASS_COLUMNS))


def parquet_rows(path: Path, label: str | None = None) -> Iterator[Row]:
    """Structures of a Parquet file, a thousand rows in memory at a time.

    Parameters
    ----------
    path : Path
    label : str, optional
        Name of the file in ids and messages, the path if not given.

    Yields
    ------
    tuple
        Id, and the structure in whatever form, or the error in its place.

    Raises
    ------
    UnreadableFileError
        If it is not a Parquet file, or has no column of structures.
    MissingExtraError
        Without pyarrow.
    """
    label = label or str(path)
    need_pyarrow(f"{label}: reading Parquet files")
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            columns = _needed(file.schema_arrow.names, label)
            start = 0
            for batch in file.iter_batches(_ROWS, columns=columns):
                yield from _batch_rows(batch, label, start)
                start += len(batch)
    except (pa.ArrowInvalid, OSError) as error:
        if isinstance(error, UnreadableFileError):
            raise
        raise UnreadableFileError(
            f"{label}: not a readable Parquet file ({error}). Copy or write it again."
        ) from error


def table_rows(table: Any) -> Iterator[Row]:
    """Structures of a table of pandas, pyarrow, or whatever gives its columns to Arrow (polars)."""
    need_pyarrow("reading a table")
    import pyarrow as pa

    if _is_frame(table):
        yield from _frame_rows(table)
        return
    whole = table if isinstance(table, pa.Table) else pa.table(table)
    columns = _needed(whole.schema.names, "the table")
    start = 0
    for batch in whole.select(columns).to_batches(_ROWS):
        yield from _batch_rows(batch, "the table", start)
        start += len(batch)


def _frame_rows(frame: Any) -> Iterator[Row]:
    """Structures of a pandas DataFrame, whose columns may hold any objects."""
    columns = _needed([str(c) for c in frame.columns], "the DataFrame")
    ids = next((c for c in ID_COLUMNS if c in columns), None)
    names = frame[ids] if ids else frame.index
    if columns[0] in OBJECT_COLUMNS:
        for name, value in zip(names, frame[columns[0]], strict=True):
            yield str(name), _held(value, str(name))
        return
    if any(c in _BESIDE for c in columns):
        for name, row in zip(names, frame[columns].to_dict("records"), strict=True):
            yield str(name), _held(_present(row), str(name))
        return
    values = zip(names, *(frame[c] for c in ARRAY_COLUMNS), strict=True)
    for name, numbers, cell, positions in values:
        yield str(name), _sites(numbers, cell, positions, str(name))


def is_table(value: Any) -> bool:
    """Whether a value is a table (of libraries that are not imported to find out)."""
    return (
        _is_frame(value)
        or (hasattr(value, "__arrow_c_stream__") and not isinstance(value, type))
        or _is_of(value, "pyarrow", "RecordBatch")
    )


def is_row(value: Any) -> bool:
    """Whether a value is one row of a pandas table of structures."""
    return _is_of(value, "pandas", "Series") and is_structure_record(dict(value))


def row_of_table(row: Any) -> Iterator[Row]:
    """The structure of a row of a pandas table, named as in the table."""
    return _frame_rows(row.to_frame().T)


def table_length(table: Any) -> int | None:
    """Rows of a table, where it says so."""
    return len(table) if hasattr(table, "__len__") else None


def _is_frame(value: Any) -> bool:
    return _is_of(value, "pandas", "DataFrame")


def _is_of(value: Any, package: str, name: str) -> bool:
    return _are_of(type(value).__mro__, package, name)


@lru_cache(maxsize=256)
def _are_of(kinds: tuple[type, ...], package: str, name: str) -> bool:
    """Whether one of some classes has this name and comes from this package."""
    return any(k.__module__.partition(".")[0] == package and k.__name__ == name for k in kinds)


def _held(value: Any, name: str) -> Any:
    try:
        return structure_of_record(value, name)
    except E3DOSError as error:
        return error


def _sites(numbers: Any, cell: Any, positions: Any, name: str) -> Sites | E3DOSError:
    try:
        return sites_of_arrays(numbers, cell, positions, name)
    except E3DOSError as error:
        return error


def _present(row: dict[str, Any]) -> dict[str, Any]:
    """A row without the columns beside our own that hold nothing in it, None or nan."""
    return {
        key: value
        for key, value in row.items()
        if key not in _BESIDE or not (value is None or (np.ndim(value) == 0 and value != value))
    }


def _needed(columns: Iterable[str], where: str) -> list[str]:
    """Columns to read: those of the structure first, then the id."""
    there = list(columns)
    ids = [c for c in ID_COLUMNS if c in there][:1]
    if all(c in there for c in ARRAY_COLUMNS):
        return [*ARRAY_COLUMNS, *(c for c in there if c in _BESIDE), *ids]
    for column in OBJECT_COLUMNS:
        if column in there:
            return [column, *ids]
    raise UnreadableFileError(
        f"{where}: no structures in the columns {', '.join(map(str, there))}. There must be "
        f"{', '.join(ARRAY_COLUMNS)}, or a column {' or '.join(OBJECT_COLUMNS)}."
    )


def _batch_rows(batch: pa.RecordBatch, where: str, start: int) -> Iterator[Row]:
    ids = next((c for c in ID_COLUMNS if c in batch.schema.names), None)
    names = (
        [str(n) for n in batch.column(ids).to_pylist()]
        if ids
        else [f"{start + i}" for i in range(len(batch))]
    )
    if ids is None and where not in ("the table", "the DataFrame"):
        names = [f"{where}[{n}]" for n in names]
    if batch.schema.names[0] in OBJECT_COLUMNS:
        for name, value in zip(names, batch.column(0).to_pylist(), strict=True):
            yield name, _held(value, name)
        return
    if any(c in _BESIDE for c in batch.schema.names):
        for name, row in zip(names, batch.to_pylist(), strict=True):
            yield name, _held(_present(row), name)
        return
    arrays = [_split(batch.column(c)) for c in ARRAY_COLUMNS]
    for name, numbers, cell, positions in zip(names, *arrays, strict=True):
        yield name, _sites(numbers, cell, positions, name)


def _split(column: Any) -> list[NDArray[Any]]:
    """Rows of a list column, nested or not, as flat arrays (views); empty where a row is null."""
    import pyarrow as pa

    bounds = np.arange(len(column) + 1)
    values = column
    while not pa.types.is_primitive(values.type):
        if pa.types.is_fixed_size_list(values.type):
            values = values.cast(pa.list_(values.type.value_type))
        bounds = values.offsets.to_numpy()[bounds]
        values = values.values
    flat = values.to_numpy(zero_copy_only=False)
    rows = [flat[a:b] for a, b in pairwise(bounds)]
    if column.null_count:
        valid = column.is_valid().to_pylist()
        rows = [row if good else flat[:0] for row, good in zip(rows, valid, strict=True)]
    return rows
