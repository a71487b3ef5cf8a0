"""Spectra as tables: a row for each point of the grid, or for each temperature."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ase_e3dos.errors import MissingExtraError
from ase_e3dos.export.names import names_of
from ase_e3dos.export.thermal_curves import SYMBOLS, thermal_curve
from ase_e3dos.export.writing import save_table
from ase_e3dos.spectrum.density_of_states import DensityOfStates
from ase_e3dos.spectrum.grid import Array


def columns(spectrum: DensityOfStates) -> dict[str, Array]:
    """Columns of a table by their names, which state units.

    Parameters
    ----------
    spectrum : DensityOfStates

    Returns
    -------
    dict
        wavenumber_cm-1, frequency_THz, density_states_per_THz, density_std_states_per_THz (with
        an ensemble), site_0_states_per_THz, ... (with site densities); each of shape (n,).
    """
    found = {
        "wavenumber_cm-1": spectrum.wavenumbers,
        "frequency_THz": spectrum.frequencies,
        "density_states_per_THz": spectrum.density,
    }
    if spectrum.density_std is not None:
        found["density_std_states_per_THz"] = spectrum.density_std
    for i, row in enumerate(() if spectrum.site_density is None else spectrum.site_density):
        found[f"site_{i}_states_per_THz"] = row
    return found


def dataframe(spectrum: DensityOfStates) -> Any:
    """`pandas.DataFrame` of `columns`; its `attrs` say what of, per what, and where from.

    Parameters
    ----------
    spectrum : DensityOfStates

    Returns
    -------
    pandas.DataFrame
        A row for each point of the grid.

    Raises
    ------
    MissingExtraError
        If pandas is not installed.
    """
    return dataframe_of(columns(spectrum), spectrum)


#: Units of thermal properties, as names of columns have them.
THERMAL_UNITS = {
    "heat_capacity": "J_per_K_mol",
    "entropy": "J_per_K_mol",
    "free_energy": "kJ_per_mol",
    "internal_energy": "kJ_per_mol",
}


def thermal_columns(spectrum: DensityOfStates, temperatures: ArrayLike) -> dict[str, Array]:
    """Thermal properties over temperature, by names of columns that state units.

    Parameters
    ----------
    spectrum : DensityOfStates
    temperatures : array_like, shape (n,)
        K.

    Returns
    -------
    dict
        `temperature_K`, `heat_capacity_J_per_K_mol`, `heat_capacity_low_J_per_K_mol` and
        `heat_capacity_high_J_per_K_mol` (ends of the calibrated 90 % interval, where there is
        one), and so for entropy, free_energy and internal_energy; each of shape (n,), per mole of
        what the spectrum is normalised to.
    """
    found: dict[str, Array] = {}
    for quantity in SYMBOLS:
        shown = thermal_curve(spectrum, quantity, temperatures)
        unit = THERMAL_UNITS[quantity]
        found.setdefault("temperature_K", shown.temperatures)
        found[f"{quantity}_{unit}"] = shown.values
        if shown.low is not None and shown.high is not None:
            found[f"{quantity}_low_{unit}"] = shown.low
            found[f"{quantity}_high_{unit}"] = shown.high
    return found


def thermal_dataframe(spectra: Sequence[DensityOfStates], temperatures: ArrayLike) -> Any:
    """`pandas.DataFrame` of `thermal_columns`, a row for each spectrum and temperature.

    Before them are the columns `crystal`, `n_sites` (of the cell) and `per` (what values are per
    mole of), as in `about`.

    Parameters
    ----------
    spectra : sequence of DensityOfStates
    temperatures : array_like
        K.

    Returns
    -------
    pandas.DataFrame

    Raises
    ------
    MissingExtraError
        If pandas is not installed.
    """
    return dataframe_of(_thermal_rows(spectra, temperatures), *spectra)


def write_thermal_csv(
    spectra: Sequence[DensityOfStates], path: str | Path, temperatures: ArrayLike
) -> None:
    """CSV file of `thermal_dataframe`'s columns, a row for each spectrum and temperature."""
    write_columns(_thermal_rows(spectra, temperatures), path)


def write_columns(table: Mapping[str, Sequence[Any] | Array], path: str | Path) -> None:
    """CSV file of columns of one length, numbers with eight digits.

    Parameters
    ----------
    table : mapping
        Columns of equal lengths by name.
    path : str or Path
    """
    rows = zip(*table.values(), strict=True)
    save_table([dict(zip(table, map(_eight_digits, row), strict=True)) for row in rows], path)


def _eight_digits(value: Any) -> Any:
    return value if isinstance(value, (str, int)) else float(f"{value:.8g}")


def about(spectrum: DensityOfStates, name: str, n_rows: int) -> dict[str, list[Any]]:
    """Columns that say what the values of a table are of, and per mole of what.

    Parameters
    ----------
    spectrum : DensityOfStates
    name : str
        What tells it from others of the table.
    n_rows : int

    Returns
    -------
    dict
        `crystal`, `n_sites` (of the cell) and `per` ("cell", "formula unit", "atom").
    """
    cells = {"crystal": name, "n_sites": spectrum.crystal.n_sites, "per": spectrum.normalization}
    return {column: [value] * n_rows for column, value in cells.items()}


def _thermal_rows(
    spectra: Sequence[DensityOfStates], temperatures: ArrayLike
) -> dict[str, Sequence[Any]]:
    """Columns of all spectra one after the other, led by what they are of."""
    parts: list[dict[str, Any]] = []
    for spectrum, name in zip(spectra, names_of(spectra), strict=True):
        part = thermal_columns(spectrum, temperatures)
        parts.append({**about(spectrum, name, len(part["temperature_K"])), **part})
    names = dict.fromkeys(name for part in parts for name in part)
    rows: dict[str, list[Any]] = {name: [] for name in names}
    for part in parts:
        nothing = [np.nan] * len(part["temperature_K"])
        for name, column in rows.items():
            column.extend(part.get(name, nothing))
    return dict(rows)


def _each_once(texts: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(texts))


def dataframe_of(table: Mapping[str, Any], *spectra: DensityOfStates) -> Any:
    """`pandas.DataFrame` of columns; its `attrs` say what the spectra are.

    Parameters
    ----------
    table : mapping
        Columns by name.
    *spectra : DensityOfStates
        What they are of; noted in the frame's `attrs`.

    Returns
    -------
    pandas.DataFrame

    Raises
    ------
    MissingExtraError
        If pandas is not installed.
    """
    try:
        import pandas as pd
    except ImportError as error:
        raise MissingExtraError("to_dataframe needs pandas: pip install pandas.") from error
    frame = pd.DataFrame(table)
    if spectra:
        frame.attrs = {
            "formula": _each_once(s.crystal.formula for s in spectra),
            "normalization": _each_once(s.normalization for s in spectra),
            "provenance": _each_once(s.provenance for s in spectra),
        }
    return frame
