"""Spectra for the masses that crystals have, where these are not the standard ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ase_e3dos.analysis.displacements import logs_for_masses
from ase_e3dos.spectrum.isotopes import moves_of, total_factor, with_masses
from ase_e3dos.structures.crystal import Crystal
from ase_e3dos.structures.crystals import Crystals

if TYPE_CHECKING:
    from ase_e3dos.network.ensemble import Densities

__all__ = ["with_own_masses"]


def with_own_masses(
    crystals: Sequence[Crystal], wavenumbers: NDArray[np.float64], densities: Densities
) -> Densities:
    """What the networks say of a batch, scaled for the crystals with isotopes.

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
        The very same where all masses are standard ones.
    """
    others = np.flatnonzero(Crystals.of(crystals).has_isotopes).tolist()
    if not others:
        return densities
    total = densities.crystals.copy()
    members = None if densities.members is None else densities.members.copy()
    sites = None if densities.sites is None else densities.sites.copy()
    first = np.cumsum([0, *(c.n_sites for c in crystals)])
    for k in others:
        mine = slice(first[k], first[k + 1])
        total[k], several, per_site = _scaled(
            crystals[k],
            wavenumbers,
            total[k],
            None if members is None else members[:, k],
            None if sites is None else sites[mine],
        )
        if members is not None:
            members[:, k] = several
        if sites is not None:
            sites[mine] = per_site
    sound = densities.log_sound
    if sound is not None:
        sound = sound.copy()
        for k in others:
            # Sound moves all atoms together: with the same force constants v^2 goes as 1 / mass.
            standard = Crystals([crystals[k]]).standard_masses
            sound[k] -= 0.5 * np.log(crystals[k].masses.sum() / standard.sum())
    tensors = densities.log_displacements
    if tensors is not None and sites is not None and densities.sites is not None:
        tensors = tensors.copy()
        for k in others:
            mine = slice(first[k], first[k + 1])
            tensors[mine] = logs_for_masses(
                tensors[mine],
                wavenumbers,
                (densities.sites[mine], sites[mine]),
                (Crystals([crystals[k]]).standard_masses, crystals[k].masses),
            )
    return replace(
        densities,
        crystals=total,
        members=members,
        sites=sites,
        log_sound=sound,
        log_displacements=tensors,
    )


def _scaled(
    crystal: Crystal,
    wavenumbers: NDArray[np.float64],
    total: NDArray[np.float32],
    members: NDArray[np.float32] | None,
    per_site: NDArray[np.float32] | None,
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None, NDArray[np.float32] | None]:
    """Spectra of one crystal for its own masses."""
    standard = Crystals([crystal]).standard_masses
    scaled = None
    if per_site is not None:
        moved, moves = with_masses(per_site, wavenumbers, standard, crystal.masses)
        scaled = moved.astype(np.float32)
        new_total = scaled.mean(axis=0)
    else:
        factor = total_factor(standard, crystal.masses)
        moves = moves_of(wavenumbers, np.full(len(wavenumbers), factor))
        new_total = (moves @ total).astype(np.float32)
    if members is not None:
        # Members keep their differences from the mean, carried over to the new spectrum.
        moved = members @ moves.T
        members = np.maximum(moved + new_total - moved.mean(axis=0), 0.0).astype(np.float32)
    return new_total, members, scaled
