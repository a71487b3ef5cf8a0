"""Modes counted in bins: phonopy's force constants in, exact integrals of its tetrahedra out."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ase_e3dos.errors import SpectrumError
from ase_e3dos.spectrum.constants import constants
from ase_e3dos.spectrum.grid import Array

#: Where bins begin and end, cm^-1.
START, STOP = -400.0, 4400.0
#: Width of the bins of labels and of the default model, cm^-1.
STEP = 10.0
#: Lowest frequency (cm^-1) that counts as numerical noise of the acoustic modes.
NOISE = -5.0
#: Modes closer than this, in THz, are of one frequency.
_DEGENERATE = 1e-4
#: Values that weights of one block of q-points may take in memory.
_BLOCK = 20_000_000


def mode_counts(phonon: Any, mesh: float = 40.0, step: float = STEP) -> tuple[Array, float, float]:
    """Modes of each site of phonopy's primitive cell in bins from -400 to 4400 cm^-1.

    The integral of the linear tetrahedron method is taken at the edges of the bins, so that a
    count is exact for the mesh, and no sample of a density; a site's share of a mode is the square
    of its eigenvector. Sites that symmetry makes equal get the same.

    Parameters
    ----------
    phonon
        `phonopy.Phonopy` with force constants.
    mesh : float, optional
        Density of the mesh, as the length that phonopy's `run_mesh` takes (Å).
    step : float, optional
        Width of the bins in cm^-1; 400 and 4400 have to be multiples of it.

    Returns
    -------
    counts : ndarray, shape (n_sites, n_bins)
        Each site's sum is 3.
    lowest, highest : float
        Frequencies in cm^-1.

    Raises
    ------
    SpectrumError
        Frequencies that are not finite or beyond the bins, or a step that does not fit.
    """
    n_bins = round((STOP - START) / step)
    if step <= 0 or abs(START / step - round(START / step)) > 1e-9:
        raise SpectrumError(
            f"bins of {step:g} cm^-1 have no edge at zero and at 4400 cm^-1: take 10, 5, 2 or 1."
        )
    to_cm = constants().thz_to_cm
    phonon.run_mesh(mesh, with_eigenvectors=True)
    found = phonon.mesh
    frequencies = np.asarray(found.frequencies, dtype=np.float64)
    lowest, highest = (float(f) * to_cm for f in (frequencies.min(), frequencies.max()))
    if not np.isfinite(frequencies).all() or lowest < START or highest > STOP:
        raise SpectrumError(
            f"frequencies from {lowest:.0f} to {highest:.0f} cm^-1, where spectra reach from "
            f"{START:g} to {STOP:g} cm^-1. Check forces and structure."
        )
    n_q, n_modes = frequencies.shape
    vectors = np.asarray(found.eigenvectors).reshape(n_q, n_modes // 3, 3, n_modes)
    shares = (np.abs(vectors) ** 2).sum(axis=2).transpose(0, 2, 1)  # (q, modes, sites)
    shares = _of_degenerate_modes(frequencies, shares)
    first = max(0, int((lowest - START) // step))
    last = min(n_bins, int((highest - START) // step) + 1)
    edges = np.asarray(START + step * np.arange(first, last + 1), dtype=np.float64)
    inner = np.asarray(edges[1:-1] / to_cm, dtype=np.float64)
    below = _modes_below(found, frequencies, shares, inner)  # (edges, sites)
    total = np.full((1, shares.shape[2]), 3.0)
    below = np.concatenate([np.zeros_like(total), below, total])
    counts = np.zeros((shares.shape[2], n_bins))
    counts[:, first:last] = np.maximum(np.diff(below, axis=0), 0.0).T
    counts = _averaged_over_equal_sites(phonon, counts)
    if lowest > NOISE:
        # Acoustic modes at Gamma come out at +-0.01 THz; below zero they are noise.
        zero = round(-START / step)
        counts[:, zero] += counts[:, :zero].sum(axis=1)
        counts[:, :zero] = 0.0
    return np.asarray(3.0 * counts / counts.sum(axis=1, keepdims=True)), lowest, highest


def _modes_below(mesh: Any, frequencies: Array, shares: Array, edges: Array) -> Array:
    """Modes of each site below some frequencies in THz, shape (n_edges, n_sites)."""
    weights = np.asarray(mesh.weights)
    if not hasattr(mesh, "bz_grid"):
        return _modes_below_of_old(mesh, frequencies, shares, edges)
    from phonopy.phonon.spectrum import TetrahedronDOSAccumulator

    found = np.zeros((len(edges), shares.shape[2]))
    size = max(1, _BLOCK // max(1, frequencies.size))
    for k in range(0, len(edges), size):
        found[k : k + size] = TetrahedronDOSAccumulator(
            frequencies,
            mesh.bz_grid,
            mode_property=shares[None],
            ir_grid_points=mesh.ir_grid_points,
            ir_grid_weights=weights,
            ir_grid_map=mesh.grid_mapping_table,
            sampling_points=edges[k : k + size],
        ).result.cumulative[0]
    return found


def _modes_below_of_old(mesh: Any, frequencies: Array, shares: Array, edges: Array) -> Array:
    """The same by a phonopy whose mesh has no grid of the Brillouin zone: 3.0 to 4.2."""
    from phonopy.phonon.tetrahedron_mesh import TetrahedronMesh

    tetrahedra = TetrahedronMesh(
        mesh.dynamical_matrix.primitive,
        frequencies,
        mesh.mesh_numbers,
        np.asarray(mesh.grid_address, dtype="int64"),
        np.asarray(mesh.grid_mapping_table, dtype="int64"),
        mesh.ir_grid_points,
    )
    tetrahedra.set(value="J", frequency_points=edges)
    found = np.zeros((len(edges), shares.shape[2]))
    for weight, share, values in zip(mesh.weights, shares, tetrahedra, strict=False):
        found += weight * (values @ share)
    return found


def _of_degenerate_modes(frequencies: Array, shares: Array) -> Array:
    """Shares averaged over modes of one frequency, whose eigenvectors are any mixture of theirs."""
    apart = np.diff(frequencies, axis=1) > _DEGENERATE
    group = np.concatenate([np.zeros((len(frequencies), 1), int), np.cumsum(apart, axis=1)], axis=1)
    group += np.arange(len(frequencies))[:, None] * frequencies.shape[1]
    flat = group.ravel()
    size = np.bincount(flat, minlength=flat[-1] + 1)
    found = np.empty_like(shares)
    for site in range(shares.shape[2]):
        sums = np.bincount(flat, shares[:, :, site].ravel(), minlength=len(size))
        found[:, :, site] = (sums / np.maximum(size, 1))[group]
    return found


def _averaged_over_equal_sites(phonon: Any, counts: Array) -> Array:
    """Counts of symmetry-equivalent sites are equal; an irreducible mesh holds their sum alone."""
    places: NDArray[Any] = np.asarray(phonon.primitive_symmetry.get_map_atoms())
    _, orbit = np.unique(places, return_inverse=True)
    sizes = np.bincount(orbit).astype(np.float64)
    sums = np.zeros((len(sizes), counts.shape[1]))
    np.add.at(sums, orbit, counts)
    return np.asarray((sums / sizes[:, None])[orbit])
