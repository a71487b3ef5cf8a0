"""Spectra as tables: a row for each point of the grid."""

from __future__ import annotations

from typing import Any

from ase_e3dos.errors import MissingExtraError
from ase_e3dos.spectrum.density_of_states import DensityOfStates
from ase_e3dos.spectrum.grid import Array


def columns(spectrum: DensityOfStates) -> dict[str, Array]:
    """Columns of a table by their names, which state units.

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

    Raises
    ------
    MissingExtraError
        If pandas is not installed.
    """
    try:
        import pandas as pd
    except ImportError as error:
        raise MissingExtraError("to_dataframe needs pandas: pip install pandas.") from error
    table = pd.DataFrame(columns(spectrum))
    table.attrs = {
        "formula": spectrum.crystal.formula,
        "normalization": spectrum.normalization,
        "provenance": spectrum.provenance,
    }
    return table
