"""Site spectra from phonopy: force constants in, labels out."""

from __future__ import annotations

from typing import Any

import numpy as np

from ase_e3dos.data.labelled_file import SITE_BINS, SITE_BINS_WIDE, SITE_START, SITE_STEP
from ase_e3dos.errors import DataError
from ase_e3dos.spectrum.constants import constants
from ase_e3dos.spectrum.grid import Array

#: Lowest frequency (cm^-1) that counts as numerical noise of the acoustic modes.
NOISE = -5.0
_POINTS_PER_BIN = 5


def site_labels(phonon: Any, mesh: float = 40.0) -> tuple[Array, float, float]:
    """Site-projected spectra of the primitive cell of a phonopy.Phonopy with force constants.

    Parameters
    ----------
    phonon
        `phonopy.Phonopy`.
    mesh : float, optional
        Density of the mesh, as the length that phonopy's `run_mesh` takes (Å).

    Returns
    -------
    labels : ndarray, shape (n_sites, 200 or 480)
        Density in bins of 10 cm^-1 from -400 cm^-1 (480 bins where modes lie above
        1600 cm^-1); each site integrates to 3.
    lowest, highest : float
        Frequencies in cm^-1.

    Raises
    ------
    DataError
        Frequencies that are not finite or beyond the bins.
    """
    to_cm = constants().thz_to_cm
    phonon.run_mesh(mesh, is_mesh_symmetry=False, with_eigenvectors=True)
    frequencies = phonon.mesh.frequencies * to_cm
    lowest, highest = float(frequencies.min()), float(frequencies.max())
    if not np.isfinite(frequencies).all() or lowest < SITE_START or highest > 4400:
        raise DataError(
            f"frequencies from {lowest:.0f} to {highest:.0f} cm^-1, where labels reach from "
            f"{SITE_START:g} to 4400 cm^-1. Check forces and structure."
        )
    n_bins = SITE_BINS if highest < 1590 else SITE_BINS_WIDE
    # Only the bins that hold modes: phonopy's weights take mesh x bands x frequencies in memory.
    first = max(0, int((lowest - SITE_START) // SITE_STEP) - 1)
    last = min(n_bins, int((highest - SITE_START) // SITE_STEP) + 2)
    pitch = SITE_STEP / _POINTS_PER_BIN
    n_points = (last - first) * _POINTS_PER_BIN
    points = SITE_START + SITE_STEP * first + pitch * (np.arange(n_points) + 0.5)
    phonon.run_projected_dos(
        freq_min=points[0] / to_cm,
        freq_max=(points[-1] + 0.1 * pitch) / to_cm,
        freq_pitch=pitch / to_cm,
        use_tetrahedron_method=True,
    )
    density = np.asarray(phonon.projected_dos.projected_dos)[:, :n_points]
    labels = np.zeros((len(density), n_bins))
    labels[:, first:last] = density.reshape(len(density), -1, _POINTS_PER_BIN).mean(axis=2)
    if lowest > NOISE:
        # Acoustic modes at Gamma come out at +-0.01 THz; below zero they are noise.
        zero = round(-SITE_START / SITE_STEP)
        labels[:, zero] += labels[:, :zero].sum(axis=1)
        labels[:, :zero] = 0.0
    totals = labels.sum(axis=1, keepdims=True) * SITE_STEP
    return np.asarray(3.0 * labels / totals), lowest, highest
