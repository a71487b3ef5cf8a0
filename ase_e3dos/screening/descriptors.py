"""Descriptors of the spectra of a screen, as further columns."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from ase_e3dos.analysis.descriptors import COLUMNS, descriptor_columns
from ase_e3dos.errors import ScreeningError, need_pyarrow
from ase_e3dos.screening.shards import reading
from ase_e3dos.spectrum.grid import FrequencyGrid
from ase_e3dos.structures.json_text import parse_json

#: Of the metadata of a shard.
_ABOUT = b"ase_e3dos"


def describe_screen(directory: str | Path, output: str | Path) -> int:
    """Write `id`, `formula`, `model` and all descriptors of a screen's rows to a Parquet file.

    Parameters
    ----------
    directory : str or Path
        That `e3dos screen` wrote. Rows with an error have nulls.
    output : str or Path
        Parquet file; rows are in the order of the shards, so that it joins on `id` and `model`.

    Returns
    -------
    int
        Number of rows.

    Raises
    ------
    ScreeningError
        There are no shards of a screen.
    """
    need_pyarrow("a screening")
    import pyarrow as pa
    import pyarrow.parquet as pq

    tables = []
    for shard in shards_of(directory):
        table = pq.read_table(shard)
        tables.append(_described(table, parse_json(table.schema.metadata[_ABOUT])["grid"]))
    if not tables:
        raise ScreeningError(
            f"{directory}: holds no shards of a screen. Give the directory of `e3dos screen`."
        )
    joined = pa.concat_tables(tables)
    pq.write_table(joined, output)
    return int(joined.num_rows)


def shards_of(directory: str | Path) -> list[Path]:
    """Files of a folder that hold rows of a screen, in the order of their names.

    Parameters
    ----------
    directory : str or Path
        Other Parquet files may be in it, such as structures or descriptors.

    Returns
    -------
    list of Path

    Raises
    ------
    ScreeningError
        A file named as a shard is damaged.
    """
    files = sorted(Path(directory).rglob("*.parquet"))
    if files:
        need_pyarrow("a screening")
    found = []
    for file in files:
        import pyarrow as pa
        import pyarrow.parquet as pq

        # What is no shard by its name need not be Parquet at all.
        with reading(file) if file.name.startswith("part-") else suppress(pa.ArrowInvalid):
            schema = pq.read_schema(file)
            if _ABOUT in (schema.metadata or {}) and "density" in schema.names:
                found.append(file)
    return found


def _described(table: Any, grid: dict[str, Any]) -> Any:
    need_pyarrow("a screening")
    import pyarrow as pa

    x = FrequencyGrid.of(grid["start"] + grid["step"] * np.arange(grid["n"]))
    good = np.asarray(table["density"].is_valid())
    values = table["density"].drop_null().combine_chunks()
    densities = np.asarray(values.flatten(), dtype=np.float64).reshape(-1, len(x))
    columns = {name: table[name] for name in ("id", "formula", "model")}
    found = descriptor_columns(x, densities) if len(densities) else {}
    for name in COLUMNS:
        padded = np.full(len(good), np.nan)
        padded[good] = found.get(name, np.array([]))
        columns[name] = pa.array(padded, mask=~good)
    fields = []
    for name, column in columns.items():
        unit, meaning = COLUMNS.get(name, ("", ""))
        about = {"unit": unit, "description": meaning} if meaning else None
        fields.append(pa.field(name, column.type, metadata=about))
    return pa.table(list(columns.values()), schema=pa.schema(fields))
