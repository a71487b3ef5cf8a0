"""The paper's encoding of pure sites: the mass in the place of the element."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ase_e3dos.encoders.alloy_multi_hot import N_ELEMENTS, multi_hot
from ase_e3dos.errors import DisorderError
from ase_e3dos.structures.crystal import Crystal

__all__ = ["MassOneHot"]


class MassOneHot:
    """Encoder x[Z-1] = m (amu) of sites that hold one species with fraction one.

    Source: Chen et al., Adv. Sci. 2021.

    Examples
    --------
    >>> salt = Crystal(5.6 / 2 * (1 - np.eye(3)), [[0] * 3, [0.5] * 3], [0, 1], [11, 17])
    >>> MassOneHot().encode(salt)[:, [10, 16]].round(2)
    array([[22.99,  0.  ],
           [ 0.  , 35.45]], dtype=float32)
    """

    name = "mass_one_hot"
    version = 1
    n_features = N_ELEMENTS
    accepts_mixed = False

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
            amu.

        Raises
        ------
        DisorderError
            If a site is mixed or occupied only in part.
        """
        return self.encode_batch([crystal])

    def encode_batch(self, crystals: Sequence[Crystal]) -> NDArray[np.float32]:
        """Features of the sites of all crystals, shape (sum of n_sites, 118).

        Parameters
        ----------
        crystals : sequence of Crystal

        Returns
        -------
        ndarray of float32, shape (sum of n_sites, 118)
            amu.

        Raises
        ------
        DisorderError
            If a site is mixed or occupied only in part.
        """
        fractions = [np.ones(0), *(c.species_fraction for c in crystals)]
        if (np.concatenate(fractions) != 1.0).any():
            for crystal in crystals:
                if crystal.is_ordered:
                    continue
                raise DisorderError(
                    f"{crystal.name}: sites with several species, or partly occupied ones, are "
                    f"beyond the encoder {self.name!r}, which has one element for each site. Use "
                    "encoder='alloy_multi_hot' (or leave the encoder to be chosen), which serves "
                    "the same models."
                )
        return multi_hot(crystals)
