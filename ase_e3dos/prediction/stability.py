"""Where the probability of imaginary modes is not worth stating."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ase_e3dos.structures.crystal import Crystal
from ase_e3dos.structures.crystals import Crystals

if TYPE_CHECKING:
    from ase_e3dos.network.ensemble import Densities


def of_compounds(crystals: Sequence[Crystal], densities: Densities) -> Densities:
    """The same without the probabilities of imaginary modes of crystals of one element.

    What teaches them, the phonon database before all, holds compounds: of copper and lithium the
    networks are sure that they are not stable.

    Parameters
    ----------
    crystals : sequence of Crystal
        Of the batch.
    densities : Densities
        As networks give them.

    Returns
    -------
    Densities
        With NaN in the place of these probabilities; the very same for a model without them.
    """
    if densities.instability is None:
        return densities
    single = Crystals.of(crystals).of_one_element
    return replace(
        densities, instability=np.where(single, np.nan, densities.instability).astype(np.float32)
    )
