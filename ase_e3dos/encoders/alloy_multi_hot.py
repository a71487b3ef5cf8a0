"""The paper's encoding of alloys (eq. 1): fraction times mass in the places of the elements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ase_e3dos.structures.crystal import Crystal
from ase_e3dos.structures.masses import STANDARD_MASSES

__all__ = ["N_ELEMENTS", "AlloyMultiHot", "multi_hot"]

N_ELEMENTS = 118


class AlloyMultiHot:
    """Encoder x[Z-1] = p_Z m_Z of sites that may be mixed; m in amu, p the fraction.

    Equal to `MassOneHot` for pure sites, so that it serves every model trained on that. A
    site that is occupied only in part has the features of its occupied part.

    Source: Chen et al., Adv. Sci. 2021, eq. 1.

    Examples
    --------
    >>> half = Crystal(4.2 * np.eye(3), [[0, 0, 0]], [0, 0], [32, 50], [0.5, 0.5])
    >>> features = AlloyMultiHot().encode(half)
    >>> features[0, 31], features[0, 49]
    (np.float32(36.315), np.float32(59.355))
    """

    name = "alloy_multi_hot"
    version = 1
    n_features = N_ELEMENTS
    accepts_mixed = True

    def settings(self) -> dict[str, Any]:
        """No settings."""
        return {}

    def encode(self, crystal: Crystal) -> NDArray[np.float32]:
        """Features of the sites, shape (n_sites, 118).

        Parameters
        ----------
        crystal : Crystal

        Returns
        -------
        ndarray of float32, shape (n_sites, 118)
            amu, each element's times its fraction.
        """
        return multi_hot([crystal])

    def encode_batch(self, crystals: Sequence[Crystal]) -> NDArray[np.float32]:
        """Features of the sites of all crystals, shape (sum of n_sites, 118).

        Parameters
        ----------
        crystals : sequence of Crystal

        Returns
        -------
        ndarray of float32, shape (sum of n_sites, 118)
            amu, each element's times its fraction.
        """
        return multi_hot(crystals)


def multi_hot(crystals: Sequence[Crystal]) -> NDArray[np.float32]:
    """Fraction times standard mass at Z - 1, shape (sum of n_sites, 118).

    Parameters
    ----------
    crystals : sequence of Crystal

    Returns
    -------
    ndarray of float32, shape (sum of n_sites, 118)
        amu.
    """
    sizes = [crystal.n_sites for crystal in crystals]
    features = np.zeros((sum(sizes), N_ELEMENTS), dtype=np.float32)
    if not crystals:
        return features
    shift = np.repeat(np.cumsum([0, *sizes[:-1]]), [len(c.species_site) for c in crystals])
    rows = np.concatenate([c.species_site for c in crystals]) + shift
    numbers = np.concatenate([c.species_number for c in crystals])
    fractions = np.concatenate([c.species_fraction for c in crystals])
    # add: H and D on one site share a column
    np.add.at(features, (rows, numbers - 1), fractions * STANDARD_MASSES[numbers])
    return features
