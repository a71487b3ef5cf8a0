"""The sound velocity joined to the spectra of a batch, whose lowest bins it fixes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ase_e3dos.prediction.trust import IMAGINARY_LIMIT
from ase_e3dos.spectrum.acoustic_limit import acoustic_shares, low_bins, with_acoustic_limit
from ase_e3dos.spectrum.grid import FrequencyGrid
from ase_e3dos.structures.crystal import Crystal
from ase_e3dos.structures.crystals import Crystals

if TYPE_CHECKING:
    from ase_e3dos.network.ensemble import Densities


def with_sound(
    crystals: Sequence[Crystal], wavenumbers: NDArray[np.float64], densities: Densities
) -> Densities:
    """What the networks say of a batch, with the acoustic limit in its spectra.

    Parameters
    ----------
    crystals : sequence of Crystal
        Of the batch.
    wavenumbers : ndarray
        Grid in cm^-1, shape (n_bins,).
    densities : Densities
        For standard masses, as networks give them.

    Returns
    -------
    Densities
        The very same for a model without sound velocities. A crystal with imaginary modes has no
        velocity (NaN), and its spectra stay as they are.
    """
    if densities.log_sound is None or densities.sites is None:
        return densities
    laid_out, grid = Crystals.of(crystals), FrequencyGrid.of(wavenumbers)
    stable = densities.crystals[:, wavenumbers < 0].sum(axis=1) <= IMAGINARY_LIMIT
    stable &= np.isfinite(densities.log_sound)
    sound = np.where(stable, densities.log_sound, np.nan).astype(np.float32)
    n_sites, index, masses = laid_out.n_sites, laid_out.crystal_of_site, laid_out.standard_masses
    _, edges = low_bins(grid)
    law = acoustic_shares(edges, laid_out.volumes, n_sites, np.exp(sound.astype(np.float64)))
    # All atoms move alike: of N sites one has N m_i / M times the average share.
    heaviness = masses * (n_sites / np.bincount(index, masses, len(crystals)))[index]
    members = densities.members
    return replace(
        densities,
        crystals=with_acoustic_limit(grid, densities.crystals, law, stable),
        members=None if members is None else with_acoustic_limit(grid, members, law, stable),
        sites=with_acoustic_limit(
            grid, densities.sites, law[index] * heaviness[:, None], stable[index]
        ),
        log_sound=sound,
    )
