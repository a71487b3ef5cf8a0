"""The encoder: fraction-weighted properties of the elements on a site."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ase_e3dos import Crystal
from e3dos_element_properties.table import element_features

__all__ = ["ElementProperties"]


class ElementProperties:
    """Encoder of physical properties of the elements; see the README for which.

    Examples
    --------
    >>> import numpy as np
    >>> from ase_e3dos import Crystal
    >>> encoder = ElementProperties()
    >>> features = encoder.encode(Crystal(3.6 * np.eye(3), [[0, 0, 0]], [0], [29]))
    >>> features[0, encoder.feature_names.index("group 11")]
    np.float32(1.0)
    """

    name = "element_properties"
    version = 1
    accepts_mixed = True

    @property
    def feature_names(self) -> tuple[str, ...]:
        """What each feature is."""
        return element_features()[0]

    @property
    def n_features(self) -> int:
        """Number of features of a site."""
        return len(self.feature_names)

    def settings(self) -> dict[str, Any]:
        """No settings: the table belongs to the version."""
        return {}

    def encode(self, crystal: Crystal) -> NDArray[np.float32]:
        """Features of the sites, shape (n_sites, n_features)."""
        features = np.zeros((crystal.n_sites, self.n_features))
        species = element_features()[1][crystal.species_number - 1]
        np.add.at(features, crystal.species_site, crystal.species_fraction[:, None] * species)
        return features.astype(np.float32)
