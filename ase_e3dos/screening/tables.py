"""Tables of structures: Parquet files, pandas and pyarrow tables, as (id, crystal) pairs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ase_e3dos.crystal import Crystal
from ase_e3dos.errors import CrystalError, E3DOSError, UnreadableFileError

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
    """Structures of a pandas DataFrame, or of a pyarrow Table or RecordBatch."""
    import pyarrow as pa

    if isinstance(table, (pa.Table, pa.RecordBatch)):
        columns = _needed(table.schema.names, "the table")
        whole = pa.table(table) if isinstance(table, pa.RecordBatch) else table
        start = 0
        for batch in whole.select(columns).to_batches(_ROWS):
            yield from _batch_pairs(batch, "the table", start)
            start += len(batch)
        return
    columns = _needed([str(c) for c in table.columns], "the DataFrame")
    ids = next((c for c in ID_COLUMNS if c in columns), None)
    names = table[ids] if ids else table.index
    if columns[0] in OBJECT_COLUMNS:
        for name, value in zip(names, table[columns[0]], strict=True):
            yield str(name), crystal_of(value, str(name))
        return
    values = zip(names, *(table[c] for c in ARRAY_COLUMNS), strict=True)
    for name, numbers, cell, positions in values:
        arrays = np.asarray(numbers), np.asarray(cell), np.asarray(positions)
        yield str(name), _crystal(*arrays, str(name))


def is_table(value: Any) -> bool:
    """Whether a value is a table of pandas or pyarrow (which are not imported to find out)."""
    kinds = {(k.__module__.partition(".")[0], k.__name__) for k in type(value).__mro__}
    return bool(kinds & {("pandas", "DataFrame"), ("pyarrow", "Table"), ("pyarrow", "RecordBatch")})


def crystal_of(value: Any, name: str) -> Crystal | E3DOSError:
    """Crystal from a structure, its dictionary or its JSON; or the error that says why not."""
    try:
        if isinstance(value, (str, bytes)):
            value = json.loads(value)
        if isinstance(value, dict):
            if "lattice" not in value or "sites" not in value:
                raise CrystalError(
                    f"{name}: a dictionary without 'lattice' and 'sites', so no pymatgen "
                    "structure. Write structures with Structure.as_dict()."
                )
            from pymatgen.core import Structure

            value = Structure.from_dict(value)
        return Crystal.from_any(value, name)
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
    """Rows of a list column as arrays (views); empty where the row is null."""
    import pyarrow as pa

    if pa.types.is_fixed_size_list(column.type):
        column = column.cast(pa.list_(column.type.value_type))
    values = column.values.to_numpy(zero_copy_only=False)
    bounds = column.offsets.to_numpy()
    rows = [values[a:b] for a, b in pairwise(bounds)]
    if column.null_count:
        valid = column.is_valid().to_pylist()
        rows = [row if good else values[:0] for row, good in zip(rows, valid, strict=True)]
    return rows


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
