"""Tables of structures: Parquet files, pandas and pyarrow tables, as (id, crystal) pairs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ase_e3dos.errors import CrystalError, E3DOSError, UnreadableFileError
from ase_e3dos.structures.crystal import Crystal

if TYPE_CHECKING:
    import pyarrow as pa

Pair = tuple[str, "Crystal | E3DOSError"]

#: Columns of the package's own form: atomic numbers, 9 numbers (rows of the cell in Å),
#: 3 fractional coordinates for each site.
ARRAY_COLUMNS = ("numbers", "cell", "positions_frac")
#: Columns that may hold whole structures (objects, dictionaries or JSON).
OBJECT_COLUMNS = ("structure", "atoms")
#: Columns that may hold the id, the first one found is taken.
ID_COLUMNS = ("id", "material_id", "mp_id", "jid", "name")
_ROWS = 1024


def parquet_pairs(path: Path) -> Iterator[Pair]:
    """Structures of a Parquet file, a thousand rows in memory at a time."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            columns = _needed(file.schema_arrow.names, str(path))
            start = 0
            for batch in file.iter_batches(_ROWS, columns=columns):
                yield from _batch_pairs(batch, str(path), start)
                start += len(batch)
    except (pa.ArrowInvalid, OSError) as error:
        if isinstance(error, UnreadableFileError):
            raise
        raise UnreadableFileError(
            f"{path}: not a readable Parquet file ({error}). Copy or write it again."
        ) from error


def table_pairs(table: Any) -> Iterator[Pair]:
    """Structures of a table of pandas, pyarrow, or whatever gives its columns to Arrow (polars)."""
    import pyarrow as pa

    if _is_frame(table):
        yield from _frame_pairs(table)
        return
    whole = table if isinstance(table, pa.Table) else pa.table(table)
    columns = _needed(whole.schema.names, "the table")
    start = 0
    for batch in whole.select(columns).to_batches(_ROWS):
        yield from _batch_pairs(batch, "the table", start)
        start += len(batch)


def _frame_pairs(frame: Any) -> Iterator[Pair]:
    """Structures of a pandas DataFrame, whose columns may hold any objects."""
    columns = _needed([str(c) for c in frame.columns], "the DataFrame")
    ids = next((c for c in ID_COLUMNS if c in columns), None)
    names = frame[ids] if ids else frame.index
    if columns[0] in OBJECT_COLUMNS:
        for name, value in zip(names, frame[columns[0]], strict=True):
            yield str(name), crystal_of(value, str(name))
        return
    values = zip(names, *(frame[c] for c in ARRAY_COLUMNS), strict=True)
    for name, numbers, cell, positions in values:
        yield str(name), _crystal_of_columns(numbers, cell, positions, str(name))


def is_table(value: Any) -> bool:
    """Whether a value is a table (of libraries that are not imported to find out)."""
    return (
        _is_frame(value)
        or (hasattr(value, "__arrow_c_stream__") and not isinstance(value, type))
        or _is_of(value, "pyarrow", "RecordBatch")
    )


def table_length(table: Any) -> int | None:
    """Rows of a table, where it says so."""
    return len(table) if hasattr(table, "__len__") else None


def _is_frame(value: Any) -> bool:
    return _is_of(value, "pandas", "DataFrame")


def _is_of(value: Any, package: str, name: str) -> bool:
    kinds = type(value).__mro__
    return any(k.__module__.partition(".")[0] == package and k.__name__ == name for k in kinds)


def record_pair(record: Any, name: str) -> Pair:
    """Structure of one line or row: a bare one, or one beside its id.

    Parameters
    ----------
    record
        A pymatgen dictionary; or a dictionary with a structure in "structure" or "atoms", or the
        arrays "numbers", "cell" and "positions_frac", and an id in "id", "material_id", ....
    name
        Id where it holds none.
    """
    if not isinstance(record, Mapping) or "sites" in record:
        return name, crystal_of(record, name)
    found = next((record[c] for c in ID_COLUMNS if record.get(c) is not None), None)
    name = name if found is None else str(found)
    for column in OBJECT_COLUMNS:
        if column in record:
            return name, crystal_of(record[column], name)
    if all(c in record for c in ARRAY_COLUMNS):
        numbers, cell, positions = (record[c] for c in ARRAY_COLUMNS)
        return name, _crystal_of_columns(numbers, cell, positions, name)
    return name, crystal_of(record, name)


def crystal_of(value: Any, name: str) -> Crystal | E3DOSError:
    """Crystal from a structure, its dictionary or its JSON; or the error that says why not."""
    try:
        if isinstance(value, (str, bytes)):
            value = json.loads(value)
        if isinstance(value, Mapping):
            if "lattice" not in value or "sites" not in value:
                raise CrystalError(
                    f"{name}: a dictionary without 'lattice' and 'sites', so no pymatgen "
                    "structure. Write structures with Structure.as_dict()."
                )
            from pymatgen.core import Structure

            value = Structure.from_dict(dict(value))
        return Crystal.quietly(value, name)
    except E3DOSError as error:
        return error
    except Exception as error:  # noqa: BLE001 - damaged dictionaries raise anything
        return CrystalError(f"{name}: no structure could be made of it ({error!r}).")


def _needed(columns: Iterable[str], where: str) -> list[str]:
    """Columns to read: those of the structure first, then the id."""
    there = list(columns)
    ids = [c for c in ID_COLUMNS if c in there][:1]
    if all(c in there for c in ARRAY_COLUMNS):
        return [*ARRAY_COLUMNS, *ids]
    for column in OBJECT_COLUMNS:
        if column in there:
            return [column, *ids]
    raise UnreadableFileError(
        f"{where}: no structures in the columns {', '.join(map(str, there))}. There must be "
        f"{', '.join(ARRAY_COLUMNS)}, or a column {' or '.join(OBJECT_COLUMNS)}."
    )


def _batch_pairs(batch: pa.RecordBatch, where: str, start: int) -> Iterator[Pair]:
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
            yield name, crystal_of(value, name)
        return
    arrays = [_split(batch.column(c)) for c in ARRAY_COLUMNS]
    for name, numbers, cell, positions in zip(names, *arrays, strict=True):
        yield name, _crystal(numbers, cell, positions, name)


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


def _crystal_of_columns(numbers: Any, cell: Any, positions: Any, name: str) -> Crystal | E3DOSError:
    """Crystal of what stands in the columns: arrays or lists, nested or flat."""
    try:
        arrays = [
            np.ravel(np.asarray(list(v) if v.dtype == object else v))
            for v in map(np.asarray, (numbers, cell, positions))
        ]
    except (TypeError, ValueError) as error:
        return CrystalError(f"{name}: the columns do not hold numbers ({error}).")
    return _crystal(arrays[0], arrays[1], arrays[2], name)


def _crystal(
    numbers: NDArray[Any], cell: NDArray[Any], positions: NDArray[Any], name: str
) -> Crystal | E3DOSError:
    try:
        if cell.size != 9 or positions.size != 3 * numbers.size:
            raise CrystalError(
                f"{name}: {numbers.size} atomic numbers, {cell.size} cell entries and "
                f"{positions.size} coordinates do not make a crystal; 9 cell entries and 3 "
                "coordinates for each atom are needed."
            )
        return Crystal(
            cell.reshape(3, 3),
            positions.reshape(-1, 3),
            np.arange(len(numbers)),
            numbers,
            name=name,
        )
    except E3DOSError as error:
        return error
    except (TypeError, ValueError) as error:
        return CrystalError(f"{name}: the columns do not hold numbers ({error}).")
