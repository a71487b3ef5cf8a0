"""Errors of thermal properties at 300 K against those that the data file itself gives."""

from __future__ import annotations

import numpy as np

from ase_e3dos.evaluation.predictions import Predictions, Section

#: Quantity, column of the file, unit.
COLUMNS = (
    ("heat_capacity", "heat_capacity_300K"),
    ("entropy", "entropy_300K"),
    ("free_energy", "helmholtz_300K"),
    ("internal_energy", "internal_300K"),
)
_SHORT = {"heat_capacity": "Cv", "entropy": "S", "free_energy": "F", "internal_energy": "U"}


def thermal_errors(found: Predictions) -> Section:
    """Mean absolute errors at 300 K per cell and per atom.

    Parameters
    ----------
    found : Predictions
        Predictions for a file with the columns `heat_capacity_300K`, `entropy_300K`
        (J/(K mol of cells)), `helmholtz_300K` and `internal_300K` (kJ/mol of cells).
        Crystals without a value (imaginary modes) are left out.

    Returns
    -------
    dict
        `n`; `Cv_cell`, `S_cell`, `F_cell`, `U_cell` and the same with `_atom`, in the units of
        the columns; empty where the file has no such columns.
    """
    section: Section = {}
    n_sites = found.labelled.n_sites
    for quantity, column in COLUMNS:
        values = found.labelled.reference.get(column)
        if values is None or not np.isfinite(values).any():
            continue
        known = np.flatnonzero(np.isfinite(values))
        predicted = np.array([getattr(found.spectra[i], quantity)(300.0) for i in known])
        error = np.abs(predicted - values[known])
        section["n"] = float(len(known))
        section[f"{_SHORT[quantity]}_cell"] = float(error.mean())
        section[f"{_SHORT[quantity]}_atom"] = float((error / n_sites[known]).mean())
    return section
