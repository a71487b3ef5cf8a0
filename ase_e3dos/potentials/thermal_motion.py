"""Displacement tensors and sound velocity of phonopy's force constants, as labels have them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ase_e3dos.potentials.mode_counts import NOISE
from ase_e3dos.spectrum.constants import constants
from ase_e3dos.spectrum.displacement_tensors import DISPLACEMENT_TEMPERATURES
from ase_e3dos.spectrum.grid import Array

#: THz; slower modes are left out of displacements, which they would dominate by rounding.
SLOWEST = 0.15
#: Length of the wave vectors of sound, 1/Å (without 2 pi).
LONG_WAVES = 0.01
#: THz; an acoustic branch below at these wave vectors is not that of a stable crystal.
LOWEST_BRANCH = 0.003
#: Directions over which sound velocities are averaged.
N_DIRECTIONS = 24
_VOIGT = ([0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1])


def displacement_tensors(phonon: Any, mesh: float = 40.0) -> Array:
    """Mean-square displacement tensors of the sites of phonopy's primitive cell.

    Parameters
    ----------
    phonon
        `phonopy.Phonopy` with force constants.
    mesh : float, optional
        Density of the mesh, as the length that phonopy's `run_mesh` takes (Å).

    Returns
    -------
    ndarray, shape (3, n_sites, 6)
        At 100, 300 and 600 K; Cartesian xx yy zz yz xz xy in Å^2. Modes under 0.15 THz, and with
        them imaginary ones, are left out.
    """
    phonon.run_mesh(mesh, with_eigenvectors=True, is_mesh_symmetry=False)
    phonon.run_thermal_displacement_matrices(
        temperatures=list(DISPLACEMENT_TEMPERATURES), freq_min=SLOWEST
    )
    found = np.asarray(phonon.thermal_displacement_matrices.thermal_displacement_matrices)
    return np.asarray(found.real[:, :, *_VOIGT], dtype=np.float64)


def sound_velocity(phonon: Any) -> float | None:
    """Debye mean of the sound velocities, over directions and branches, km/s.

    The mean of v^-3 over 24 directions spread evenly over the sphere and the three acoustic
    branches, to the power of -1/3: what fixes the limit of low frequencies (Anderson, *J. Phys.
    Chem. Solids* 24, 909 (1963)).

    Parameters
    ----------
    phonon
        `phonopy.Phonopy` with force constants.

    Returns
    -------
    float or None
        None for a crystal that is not stable near the zone centre.
    """
    k = np.arange(N_DIRECTIONS) + 0.5
    polar, azimuth = np.arccos(1 - 2 * k / N_DIRECTIONS), np.pi * (1 + 5**0.5) * k
    directions = np.stack(
        [np.cos(azimuth) * np.sin(polar), np.sin(azimuth) * np.sin(polar), np.cos(polar)], axis=1
    )
    phonon.run_qpoints(LONG_WAVES * directions @ np.asarray(phonon.primitive.cell).T)
    acoustic = np.sort(np.asarray(phonon.qpoints.frequencies), axis=1)[:, :3]
    if acoustic.min() < LOWEST_BRANCH:
        return None
    velocities = 0.1 * acoustic / LONG_WAVES  # THz Å = 0.1 km/s
    return float(np.mean(velocities**-3.0) ** (-1 / 3))


def imaginary_share(phonon: Any) -> float:
    """Share of the modes of the last mesh below -5 cm^-1."""
    mesh = phonon.mesh
    imaginary = np.asarray(mesh.frequencies) * constants().thz_to_cm < NOISE
    return float(np.average(imaginary.mean(axis=1), weights=mesh.weights))
