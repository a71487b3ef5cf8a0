"""A minimal ase-e3dos plug-in: an encoder, and the function that offers it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ase_e3dos import Crystal
from ase_e3dos.plugins import EncoderSpec, hookimpl


class FractionMultiHot:
    """Encoder x[Z-1] = p_Z: the fractions of the elements on a site, whatever their masses."""

    name = "fraction_multi_hot"
    version = 1
    n_features = 118
    accepts_mixed = True

    def settings(self) -> dict[str, Any]:
        """What a weights file should record; nothing here."""
        return {}

    def encode(self, crystal: Crystal) -> NDArray[np.float32]:
        """Features of the sites, shape (n_sites, n_features)."""
        x = np.zeros((crystal.n_sites, self.n_features), dtype=np.float32)
        place = (crystal.species_site, crystal.species_number - 1)
        np.add.at(x, place, crystal.species_fraction.astype(np.float32))
        return x


@hookimpl
def ase_e3dos_encoders() -> Iterator[EncoderSpec]:
    """Offer the encoder."""
    yield EncoderSpec(
        name="fraction_multi_hot",
        factory=FractionMultiHot,
        version=1,
        accepts_mixed=True,
        description="x[Z-1] = p: fractions without masses",
    )
