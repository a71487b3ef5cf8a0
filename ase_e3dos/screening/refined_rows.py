"""Refined values beside the predictions of a screen: one Parquet file for each calculator."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ase_e3dos.errors import ScreeningError
from ase_e3dos.potentials.mode_counts import START, STEP, STOP
from ase_e3dos.screening.schema import ERROR_BARS, THERMAL_COLUMNS
from ase_e3dos.screening.shards import list_shards, read_metadata, reading
from ase_e3dos.spectrum.constants import constants
from ase_e3dos.spectrum.grid import Array, FrequencyGrid
from ase_e3dos.spectrum.thermal import imaginary_fraction, thermal_property
from ase_e3dos.structures.json_text import parse_json
from ase_e3dos.structures.masses import STANDARD_MASSES

if TYPE_CHECKING:
    import pyarrow as pa

FORMAT = "ase-e3dos-refined/2"
#: Readers of Parquet directories pass over folders whose names begin so.
FOLDER = "_refined"

_GRID = FrequencyGrid.of(START + STEP * (np.arange(round((STOP - START) / STEP)) + 0.5))
#: Columns of the screen that stand in the file as they are.
_KEPT = (
    "id",
    "formula",
    "n_sites",
    "density",
    "mean_wavenumber",
    "heat_capacity_per_atom",
    "heat_capacity_per_cell",
    "specific_heat",
    "entropy_per_cell",
    "free_energy_per_cell",
    *ERROR_BARS.values(),
    "imaginary_fraction",
    "warnings",
    "model",
    "model_hash",
    "content",
)
_THERMAL = (
    "heat_capacity_per_atom",
    "heat_capacity_per_cell",
    "specific_heat",
    "entropy_per_cell",
    "free_energy_per_cell",
)
#: Column of differences in units of the predicted error -> column of which it is.
DIFFERENCES = {
    bar.replace("uncertainty", "difference_in_errors"): name for name, bar in ERROR_BARS.items()
}
#: Column -> unit and meaning, of those that refining adds.
REFINED_COLUMNS = {
    "density_refined": ("states/THz", "calculated density of the cell, bins of 10 cm^-1"),
    **{
        f"{name}_refined": ("as predicted", f"{name} of the calculated density")
        for name in _THERMAL
    },
    "mean_wavenumber_refined": ("cm^-1", "of the calculated density"),
    "imaginary_fraction_refined": ("", "of the calculated density"),
    **{
        difference: (
            "",
            f"calculated minus predicted {name}, over `{ERROR_BARS[name]}` (half the 90 % "
            "interval): nine in ten should lie between -1 and 1",
        )
        for difference, name in DIFFERENCES.items()
    },
    "wasserstein": ("cm^-1", "distance between calculated and predicted spectrum"),
    "numbers": ("", "atomic number of each site"),
    "cell_refined": ("Å", "lattice vectors of the calculated crystal"),
    "positions_frac_refined": ("", "its positions, relaxed where that was asked for"),
    "site_dos_refined": ("1/cm^-1", "sites x 480 bins of 10 cm^-1 from -400 cm^-1; each site 3"),
    "warnings_refined": ("", "what is unusual about the calculation"),
    "origin_refined": ("", "JSON: calculator, supercell, displacement, mesh, relaxation"),
    "error_refined": ("", "why nothing was calculated; null where it was"),
}


def refined_file(directory: Path, name: str) -> Path:
    """Where the rows refined with a calculator are."""
    plain = re.sub(r"[^\w.+-]+", "-", name).strip("-.")
    if not plain:
        raise ScreeningError(f"{name!r} makes no name of a file. Give letters or digits.")
    return directory / FOLDER / f"{plain}.parquet"


def refined_files(directory: Path) -> list[Path]:
    """Files of refined rows of a screen, by name."""
    return sorted((directory / FOLDER).glob("*.parquet"))


def one_refined_file(directory: str | Path, name: str | None = None) -> Path:
    """The file of a calculator, or the only one there is.

    Raises
    ------
    ScreeningError
        There is none, or there are several and none is named.
    """
    files = refined_files(Path(directory))
    wanted = [f for f in files if name is None or f == refined_file(Path(directory), name)]
    if len(wanted) == 1:
        return wanted[0]
    there = ", ".join(f.stem for f in files) or "none"
    raise ScreeningError(
        f"{directory}: {'no' if not wanted else 'several'} refined rows"
        f"{'' if name is None else f' by {name!r}'} (there are: {there}). Name one, or run "
        "`e3dos refine` first."
    )


def screened_models(directory: Path, model: str | None) -> list[dict[str, Any]]:
    """What a screen says about itself and its models, the chosen one first.

    Raises
    ------
    ScreeningError
        The model is not among them, or there are several and none is named.
    """
    found = read_metadata(directory)
    chosen = [about for about in found if model in (None, about["model"])]
    if len(chosen) != 1:
        names = ", ".join(about["model"] for about in found)
        raise ScreeningError(f"{directory}: rows of {names}; choose one of them (--model).")
    return chosen + [about for about in found if about is not chosen[0]]


def screened_rows(
    directory: Path,
    model: str,
    columns: Sequence[str] | None = None,
    ids: Collection[str] | None = None,
) -> pa.Table:
    """Rows with a prediction of one model, the last of each id.

    Parameters
    ----------
    directory : Path
        Of the shards.
    model : str
        Its name.
    columns : sequence of str, optional
        To read besides id and content; all by default. A million densities do not fit everywhere.
    ids : collection of str, optional
        Whose rows; all by default.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    wanted = None if columns is None else {"id", "content", "model", "error", *columns}
    # While rows are being replaced an id has two, and only one of them may be a failure.
    places: dict[str, tuple[int, int]] = {}
    tables = []
    for number, shard in enumerate(list_shards(directory)):
        with reading(shard):
            there = pq.read_schema(shard).names
            names = [n for n in there if wanted is None or n in wanted]
            table = pq.read_table(shard, columns=names).replace_schema_metadata(None)
        keep = pc.equal(table["model"], model)
        if ids is not None:
            keep = pc.and_(keep, pc.is_in(table["id"], pa.array(sorted(ids), pa.string())))
        table = table.filter(keep)
        places |= {id_: (number, k) for k, id_ in enumerate(table["id"].to_pylist())}
        tables.append(table)
    last = []
    for number, table in enumerate(tables):
        ids_there = table["id"].to_pylist()
        kept = [k for k, id_ in enumerate(ids_there) if places[id_] == (number, k)]
        last.append(table.take(pa.array(kept, pa.int64())))
    rows = pa.concat_tables(last, promote_options="default")
    return rows.filter(pc.is_null(rows["error"]))


def check_column(directory: Path, by: str) -> None:
    """Refuse a column that no rows can be ranked by.

    Raises
    ------
    ScreeningError
        It is not there, or holds no number for each row.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    fields: dict[str, Any] = {}
    for shard in list_shards(directory):
        with reading(shard):
            fields |= {field.name: field.type for field in pq.read_schema(shard)}

    def is_number(kind: Any) -> bool:
        return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))

    numbers = [
        name
        for name, kind in fields.items()
        if is_number(kind)
        or (name in THERMAL_COLUMNS and pa.types.is_list(kind) and is_number(kind.value_type))
    ]
    if by not in numbers:
        what = "holds no single numbers" if by in fields else "is not a column of this screen"
        raise ScreeningError(f"--by {by}: {what}. There are {', '.join(numbers)}.")


def best_first(table: pa.Table, by: str, lowest: bool = False) -> tuple[list[int], list[int]]:
    """Rows by the value in a column, the largest (or smallest) first, equal ones by their ids.

    Returns
    -------
    known, unknown : list of int
        Rows with a finite value in this order, and those without one, by their ids.
    """
    ids = table["id"].to_pylist()
    column = table[by].to_pylist() if by in table.column_names else [None] * len(ids)
    values: list[Any] = [v[0] if isinstance(v, list) else v for v in column]
    unknown = [k for k, v in enumerate(values) if v is None or not np.isfinite(v)]
    known = sorted(set(range(len(ids))) - set(unknown))
    sign = 1.0 if lowest else -1.0
    return (
        sorted(known, key=lambda k: (sign * values[k], ids[k])),
        sorted(unknown, key=lambda k: ids[k]),
    )


def refined_table(
    screened: pa.Table, rows: list[dict[str, Any]], about: dict[str, Any]
) -> pa.Table:
    """Predictions and refined values beside each other.

    Parameters
    ----------
    screened : pa.Table
        Rows of the screen.
    rows : list of dict
        Of the journal, in the same order.
    about : dict
        Metadata of the screen.
    """
    import pyarrow as pa

    temperatures = [float(t) for t in about["temperatures_K"]]
    table = screened.select([name for name in _KEPT if name in screened.column_names])
    single = not pa.types.is_list(table.schema.field("heat_capacity_per_atom").type)
    thermal = pa.float64() if single else pa.list_(pa.float64())
    kinds = dict.fromkeys(REFINED_COLUMNS, pa.list_(pa.float64()))
    kinds |= {f"{name}_refined": thermal for name in _THERMAL}
    of_frequency = "mean_wavenumber_difference_in_errors"
    kinds |= {**dict.fromkeys(DIFFERENCES, thermal), "numbers": pa.list_(pa.int32())}
    kinds |= dict.fromkeys(
        (of_frequency, "mean_wavenumber_refined", "imaginary_fraction_refined", "wasserstein"),
        pa.float64(),
    )
    kinds |= dict.fromkeys(("density_refined", "site_dos_refined"), pa.list_(pa.float32()))
    kinds |= dict.fromkeys(("origin_refined", "error_refined"), pa.string())
    kinds["warnings_refined"] = pa.list_(pa.string())
    predictions = table.to_pylist()
    values = [
        {"error_refined": row["error"]}
        if "error" in row
        else _values(row, predicted, about, temperatures, single)
        for row, predicted in zip(rows, predictions, strict=True)
    ]
    for name, kind in kinds.items():
        unit, meaning = REFINED_COLUMNS[name]
        field = pa.field(name, kind, metadata={"unit": unit, "description": meaning})
        table = table.append_column(field, pa.array([v.get(name) for v in values], kind))
    return table


def _values(
    row: dict[str, Any],
    predicted: dict[str, Any],
    about: dict[str, Any],
    temperatures: list[float],
    single: bool,
) -> dict[str, Any]:
    """Refined columns of one row."""
    sites = np.array(row["site_density"])
    density = sites.sum(axis=0)
    n_sites = len(sites)
    molar = float(STANDARD_MASSES[row["numbers"]].sum())
    per_cell = {
        name: thermal_property(_GRID, density[None], name, temperatures)[0]
        for name in ("heat_capacity", "entropy", "free_energy")
    }
    heat = per_cell["heat_capacity"]
    thermal = {
        "heat_capacity_per_atom_refined": heat / n_sites,
        "heat_capacity_per_cell_refined": heat,
        "specific_heat_refined": heat * 1000.0 / molar,
        "entropy_per_cell_refined": per_cell["entropy"],
        "free_energy_per_cell_refined": per_cell["free_energy"],
    }
    found: dict[str, Any] = {k: float(v[0]) if single else v.tolist() for k, v in thermal.items()}
    weights = _GRID.trapezoid
    found["mean_wavenumber_refined"] = float(
        density @ (weights * _GRID.wavenumbers) / (density @ weights)
    )
    for difference, name in DIFFERENCES.items():
        bar = predicted.get(ERROR_BARS[name])
        found[difference] = _in_errors(found[f"{name}_refined"], predicted[name], bar)
    return found | {
        "density_refined": density,
        "imaginary_fraction_refined": float(imaginary_fraction(_GRID, density)),
        "wasserstein": _distance(density, np.array(predicted["density"], float), about["grid"]),
        "numbers": row["numbers"],
        "cell_refined": row["cell"],
        "positions_frac_refined": row["positions_frac"],
        "site_dos_refined": (sites / constants().thz_to_cm).ravel(),
        "warnings_refined": row["warnings"],
        "origin_refined": json.dumps(row["origin"], sort_keys=True),
    }


def _in_errors(refined: Any, predicted: Any, bar: Any) -> Any:
    """Differences over error bars, a number or a list as they are; None without error bars.

    At 0 K difference and error bar are zero: there is no ratio there.
    """
    if bar is None:
        return None
    if isinstance(bar, list):
        return [_in_errors(*one) for one in zip(refined, predicted, bar, strict=True)]
    ratio = (refined - predicted) / bar if bar > 0 else np.nan
    return float(ratio) if np.isfinite(ratio) else None


def _distance(density: Array, predicted: Array, grid: dict[str, Any]) -> float:
    """Wasserstein distance in cm^-1 of two spectra, each of weight one."""
    theirs = FrequencyGrid.of(grid["start"] + grid["step"] * np.arange(grid["n"]))
    edges = np.arange(START, STOP + STEP / 2, STEP)
    ours, other = (
        g.cumulative(d, edges) if not g.is_binned else g.binned(d, edges)
        for g, d in ((_GRID, density), (theirs, predicted))
    )
    return float(np.abs(ours / ours[-1] - other / other[-1]).sum() * STEP)


def write_refined(
    file: Path,
    table: pa.Table,
    models: list[dict[str, Any]],
    name: str,
    basis: dict[str, Any],
) -> None:
    """Write the file, whole or not at all.

    Parameters
    ----------
    file : Path
        To write, or to replace.
    table : pa.Table
        Of `refined_table`, of one or several models.
    models : list of dict
        Metadata of the screen for each model.
    name : str
        Of the calculator.
    basis : dict
        Calculator and settings.
    """
    import pyarrow.parquet as pq

    known = {
        "format": FORMAT,
        "calculator": name,
        "settings": basis,
        "temperatures_K": models[0]["temperatures_K"],
        "grids": {about["model"]: about["grid"] for about in models},
    }
    table = table.replace_schema_metadata({"ase_e3dos": json.dumps(known, sort_keys=True)})
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    pq.write_table(table, temporary, compression="zstd")
    temporary.replace(file)


def read_refined(file: Path) -> tuple[dict[str, Any], pa.Table]:
    """What a file of refined rows says about itself, and its rows.

    Raises
    ------
    ScreeningError
        It is no such file.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(file)
        about = parse_json((table.schema.metadata or {})[b"ase_e3dos"])
        if about["format"] != FORMAT:
            raise ValueError(about["format"])
    except (pa.ArrowException, KeyError, ValueError, OSError) as error:
        raise ScreeningError(
            f"{file}: no refined rows ({error}). Run `e3dos refine` again."
        ) from error
    return about, table
