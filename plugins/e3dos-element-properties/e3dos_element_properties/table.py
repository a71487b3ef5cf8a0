"""The table of element properties as a matrix of features, a row for each element."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

__all__ = ["element_features", "element_properties"]

_LAST_STANDARDISED = 103  # beyond Lr, properties are estimates
_CATEGORIES: dict[str, Iterable[object]] = {
    "period": range(1, 8),
    "group": range(1, 19),
    "block": "spdf",
}


@cache
def element_properties() -> list[dict[str, str]]:
    """Rows of the table, H first; empty strings where a property is not known."""
    text = (files(__package__) / "elements.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(line for line in text.splitlines() if not line.startswith("#")))


@cache
def element_features() -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """Names of the features, and their values, shape (118, n_features)."""
    rows = element_properties()
    names: list[str] = []
    columns: list[NDArray[np.float64]] = []
    for category, members in _CATEGORIES.items():
        for value in members:
            names.append(f"{category} {value}")
            columns.append(np.array([row[category] == str(value) for row in rows], dtype=float))
    mass = np.array([float(row["mass"]) for row in rows])
    names.append("mass^-1/2")  # as frequencies go
    columns.append(_standardised(mass**-0.5))
    for name in rows[0]:
        if name in {"number", "symbol", *_CATEGORIES}:
            continue
        values = np.array([float(row[name] or "nan") for row in rows])
        unknown = np.isnan(values)
        names.append(name)
        columns.append(np.where(unknown, 0.0, _standardised(values)))
        if unknown.any():
            names.append(f"{name} unknown")
            columns.append(unknown.astype(float))
    features = np.stack(columns, axis=1)
    features.setflags(write=False)
    return tuple(names), features


def _standardised(values: NDArray[np.float64]) -> NDArray[np.float64]:
    known = values[:_LAST_STANDARDISED]
    return np.asarray((values - np.nanmean(known)) / np.nanstd(known), dtype=np.float64)
