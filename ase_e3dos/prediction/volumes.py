"""The volume that crystals of a composition have: a regression on the training data's cells."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ase_e3dos.structures.json_text import parse_json

Array = NDArray[np.float64]

#: Atomic numbers below this one have weights.
N_ELEMENTS = 95
#: Elements whose share changes the volume of the others.
ANIONS = (7, 8, 9, 15, 16, 17, 33, 34, 35, 52, 53, 1, 6)
#: Elements of networks and molecules: of these alone one composition has many volumes.
COVALENT = (1, *range(5, 10), *range(14, 18), *range(32, 36), 52, 53)
#: Metals whose hydrides are metals themselves, denser than the salts that the data hold: d and f.
HYDRIDE_METALS = (*range(21, 31), *range(39, 49), *range(57, 81), *range(89, N_ELEMENTS))
#: Difference of ln(volume per atom) that is unlikely: nearly five standard deviations.
LIMIT = 0.35

_FILE = Path(__file__).parents[1] / "models" / "volumes.json"


#: Share of these elements below which the data hold too few crystals: metals and alloys.
LEAST_ANIONS = 0.4


def features(shares: Array) -> Array:
    """Fractions of the elements, and their products with those of the anions.

    Parameters
    ----------
    shares : ndarray, shape (n, N_ELEMENTS)
        By atomic number.

    Returns
    -------
    ndarray, shape (n, (1 + n_anions) N_ELEMENTS)
    """
    return np.concatenate([shares, *(shares * shares[:, [z]] for z in ANIONS)], axis=1)


def expected(shares: Array) -> Array:
    """ln(volume per atom / Å^3), shape (n,); NaN where it is not judged.

    That is for metals and their hydrides, for crystals without a metal, for elements, and with an
    element hardly seen.

    Parameters
    ----------
    shares : ndarray, shape (n, N_ELEMENTS)
        Fractions of the elements by atomic number.
    """
    weights, unknown = regression()
    values = features(shares) @ weights
    values[(shares[:, unknown] > 0).any(axis=1)] = np.nan
    values[shares[:, ANIONS].sum(axis=1) < LEAST_ANIONS] = np.nan
    values[shares.max(axis=1) > 0.9] = np.nan  # elements
    hydrides = shares[:, ANIONS].sum(axis=1) - shares[:, 1] < 1e-6
    values[hydrides & (shares[:, HYDRIDE_METALS] > 0).any(axis=1)] = np.nan
    values[shares[:, COVALENT].sum(axis=1) > 0.99] = np.nan  # silicon carbide, boron nitride
    return np.asarray(values)


@cache
def regression() -> tuple[Array, NDArray[np.bool_]]:
    """What docs/models/volumes.py fitted: weights of `features`, and which elements have none.

    Returns
    -------
    weights : ndarray, shape ((1 + n_anions) N_ELEMENTS,)
        The product of `features` with them is ln(volume per atom / Å^3).
    unknown : ndarray of bool, shape (N_ELEMENTS,)
        By atomic number.
    """
    about = parse_json(_FILE.read_text(encoding="utf-8"))
    unknown = np.ones(N_ELEMENTS, dtype=bool)
    unknown[about["elements"]] = False
    return np.array(about["weights"], dtype=np.float64).ravel(), unknown
