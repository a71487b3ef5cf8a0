"""Refined values beside the predictions of a screen: one Parquet file for each calculator."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ase_e3dos.errors import ScreeningError
from ase_e3dos.potentials.mode_counts import START, STEP, STOP
from ase_e3dos.screening.shards import list_shards, read_metadata, reading
from ase_e3dos.spectrum.constants import constants
from ase_e3dos.spectrum.grid import Array, FrequencyGrid
from ase_e3dos.spectrum.thermal import imaginary_fraction, thermal_property
from ase_e3dos.structures.json_text import parse_json
from ase_e3dos.structures.masses import STANDARD_MASSES

if TYPE_CHECKING:
    import pyarrow as pa

FORMAT = "ase-e3dos-refined/1"
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
    "uncertainty",
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
#: Column -> unit and meaning, of those that refining adds.
REFINED_COLUMNS = {
    "density_refined": ("states/THz", "calculated density of the cell, bins of 10 cm^-1"),
    **{
        f"{name}_refined": ("as predicted", f"{name} of the calculated density")
        for name in _THERMAL
    },
    "mean_wavenumber_refined": ("cm^-1", "of the calculated density"),
    "imaginary_fraction_refined": ("", "of the calculated density"),
    "difference_in_errors": (
        "",
        "calculated minus predicted heat_capacity_per_atom, over `uncertainty` (half the 90 % "
        "interval): nine in ten should lie between -1 and 1",
    ),
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


def screened_table(directory: Path, model: str | None) -> tuple[dict[str, Any], pa.Table]:
    """What a screen says about itself, and its rows with a prediction, the last of each id.

    Raises
    ------
    ScreeningError
        There are no rows, or none of the model.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    found = read_metadata(directory)
    chosen = [about for about in found if model in (None, about["model"])]
    if len(chosen) != 1:
        names = ", ".join(about["model"] for about in found)
        raise ScreeningError(f"{directory}: rows of {names}; choose one of them (--model).")
    about = chosen[0]
    tables = []
    for shard in list_shards(directory):
        with reading(shard):
            table = pq.read_table(shard).replace_schema_metadata(None)
        keep = pc.and_(pc.equal(table["model"], about["model"]), pc.is_null(table["error"]))
        tables.append(table.filter(keep))
    rows = pa.concat_tables(tables, promote_options="default")
    last = {id_: k for k, id_ in enumerate(rows["id"].to_pylist())}
    rows = rows.take(sorted(last.values()))
    if not len(rows):
        raise ScreeningError(f"{directory}: no row of {about['model']!r} has a prediction.")
    return about, rows


def best_first(table: pa.Table, by: str, lowest: bool = False) -> list[int]:
    """Rows with a value in a column, the largest (or smallest) first, equal ones by their ids.

    Raises
    ------
    ScreeningError
        There is no such column of numbers, or it is empty.
    """
    column = table[by].to_pylist() if by in table.column_names else []
    values = [v[0] if isinstance(v, list) and v else v for v in column]
    numbers = [v for v in values if isinstance(v, (int, float))]
    if not numbers and len(table):
        raise ScreeningError(
            f"--by {by}: no column of numbers of this screen, or an empty one. There are "
            f"{', '.join((*_THERMAL, 'uncertainty', 'mean_wavenumber', 'imaginary_fraction'))}."
        )
    ids = table["id"].to_pylist()
    known = [k for k, v in enumerate(values) if isinstance(v, (int, float)) and np.isfinite(v)]
    sign = 1.0 if lowest else -1.0
    return sorted(known, key=lambda k: (sign * values[k], ids[k]))


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
    kinds |= {"difference_in_errors": thermal, "numbers": pa.list_(pa.int32())}
    kinds |= dict.fromkeys(
        ("mean_wavenumber_refined", "imaginary_fraction_refined", "wasserstein"), pa.float64()
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
    errors = np.atleast_1d(
        np.array(predicted["uncertainty"] if predicted["uncertainty"] is not None else np.nan)
    )
    differences = heat / n_sites - np.atleast_1d(np.array(predicted["heat_capacity_per_atom"]))
    # At 0 K both are zero, and a temperature without an error bar has no ratio: null there only.
    ratio = [
        float(d / e) if np.isfinite(d) and np.isfinite(e) and e > 0 else None
        for d, e in zip(*np.broadcast_arrays(differences, errors), strict=True)
    ]
    thermal = {
        "heat_capacity_per_atom_refined": heat / n_sites,
        "heat_capacity_per_cell_refined": heat,
        "specific_heat_refined": heat * 1000.0 / molar,
        "entropy_per_cell_refined": per_cell["entropy"],
        "free_energy_per_cell_refined": per_cell["free_energy"],
    }
    found: dict[str, Any] = {k: float(v[0]) if single else v.tolist() for k, v in thermal.items()}
    if any(value is not None for value in ratio):
        found["difference_in_errors"] = ratio[0] if single else ratio
    weights = _GRID.trapezoid
    return found | {
        "density_refined": density,
        "mean_wavenumber_refined": float(
            density @ (weights * _GRID.wavenumbers) / (density @ weights)
        ),
        "imaginary_fraction_refined": float(imaginary_fraction(_GRID, density)),
        "wasserstein": _distance(density, np.array(predicted["density"], float), about["grid"]),
        "numbers": row["numbers"],
        "cell_refined": row["cell"],
        "positions_frac_refined": row["positions_frac"],
        "site_dos_refined": (sites / constants().thz_to_cm).ravel(),
        "warnings_refined": row["warnings"],
        "origin_refined": json.dumps(row["origin"], sort_keys=True),
    }


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
    file: Path, table: pa.Table, about: dict[str, Any], name: str, basis: dict[str, Any]
) -> None:
    """Write the file, whole or not at all."""
    import pyarrow.parquet as pq

    known = {
        "format": FORMAT,
        "calculator": name,
        "settings": basis,
        "model": about["model"],
        "temperatures_K": about["temperatures_K"],
        "grid": about["grid"],
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
