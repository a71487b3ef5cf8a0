"""Sites that share a place."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["SAME_PLACE", "groups_of_places"]

SAME_PLACE = 0.02
"""Sites this close (Å) are on one place."""


def groups_of_places(n: int, i: NDArray[np.int64], j: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number of the place of each of n sites, where the pairs (i, j) share one.

    Places are numbered in the order of their first sites.

    Parameters
    ----------
    n : int
    i, j : ndarray of int, shape (n_pairs,)

    Returns
    -------
    ndarray of int, shape (n,)
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    pairs = coo_array((np.ones(len(i), dtype=np.int8), (i, j)), shape=(n, n))
    _, group = connected_components(pairs, directed=False)
    _, first, place = np.unique(group, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return np.asarray(rank[place.ravel()])
