"""From springs to vibrations: spectra of the sites on a mesh, displacements, sound, stability."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ase_e3dos.errors import PredictionError
from ase_e3dos.network.graph import GraphBatch
from ase_e3dos.network.harmonics import quadrupoles
from ase_e3dos.network.site import SiteSpectra
from ase_e3dos.network.springs import ForceConstants, Springs, crystal_springs

__all__ = ["MESH_LENGTH", "MOST_SITES", "check_sizes", "half_mesh", "vibrations"]

#: sqrt(eV / (Å^2 amu)) in cm^-1, from the CODATA constants of 2018.
WAVENUMBER = 521.470898
#: Density of the mesh as a length in Å: points along b_i are this times |b_i| (without 2 pi).
MESH_LENGTH = 24.0
#: Times that the cell of the mesh at the zone's centre is divided again.
_REFINEMENTS = 2
#: Sites of the largest cell, and complex numbers of dynamical matrices in memory together.
MOST_SITES, _NUMBERS_AT_ONCE = 400, 4_000_000
#: Standard deviation in cm^-1 by which each mode is spread, on top of sharing two bins.
_SPREAD = 5.0
#: Bins of the spectrum: first edge and width in cm^-1.
_FIRST_EDGE, _STEP = -400.0, 10.0
#: Modes below this are left out of displacement tensors (0.15 THz, as in their labels).
_SOFTEST = 5.0034
#: cm^-1 times h c / (2 k_B K), and hbar / (2 amu (2 pi c cm^-1)) in Å^2.
_HALF_QUANTUM, _SQUARE = 0.7193884385, 16.857629
#: Temperatures of the displacement tensors in K.
_TEMPERATURES = (100.0, 300.0, 600.0)
#: Wave number in 1/Å at which slopes are taken for the velocity of sound, and directions.
_SMALL, _N_DIRECTIONS = 0.005, 24
#: Share of imaginary modes at which the odds are even.
_EVEN = 0.01


def half_mesh(
    cell: NDArray[np.float64], length: float = MESH_LENGTH
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Half of a uniform mesh about the zone's centre, finer towards it; the rest are opposites.

    The point at the centre, where acoustic modes say nothing, stands for a cell of the mesh. It
    is divided by a mesh of 3 x 3 x 3 again, and so is that mesh's own centre: low frequencies and
    displacements are resolved, and the symmetry of the lattice is kept.

    Parameters
    ----------
    cell : ndarray, shape (3, 3)
        Lattice vectors in rows, Å.
    length : float, optional
        Density of the mesh in Å.

    Returns
    -------
    q : ndarray, shape (n_q, 3)
        1/Å, Cartesian, without 2 pi, in the first zone; the centre itself is the last.
    weights : ndarray, shape (n_q,)
        Their shares of the zone, with those of their opposites; the sum is one.
    """
    lattice = np.ascontiguousarray(np.linalg.inv(cell).T)
    numbers = np.ceil(length * np.linalg.norm(lattice, axis=1) - 1e-6).astype(int)
    numbers = np.maximum(1, numbers)
    points, weights = _without_opposites(numbers)
    q, shares = _nearest_images(points, weights, lattice)
    found, parts = [q], [shares]
    share, lattice = 1.0 / numbers.prod(), lattice / numbers[:, None]
    for _ in range(_REFINEMENTS):
        points, weights = _without_opposites(np.array([3, 3, 3]))
        q, shares = _nearest_images(points, weights, lattice)
        found.append(q)
        parts.append(shares * share)
        share, lattice = share / 27, lattice / 3
    return np.concatenate([*found, np.zeros((1, 3))]), np.concatenate([*parts, [share]])


def _without_opposites(
    numbers: NDArray[np.int64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points of a mesh about zero, one of each pair of opposites and not zero, and their shares."""
    points = np.indices(tuple(numbers)).reshape(3, -1).T
    place = np.arange(len(points))
    opposite = np.ravel_multi_index(tuple((-points % numbers).T), tuple(numbers))
    kept = (place <= opposite) & (place > 0)
    weights = np.where(opposite == place, 1.0, 2.0)[kept] / len(points)
    return points[kept] / numbers, weights


def _nearest_images(
    fractional: NDArray[np.float64], weights: NDArray[np.float64], lattice: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """All images of points that lie nearest to zero, which share the weights of their points.

    Parameters
    ----------
    fractional, weights : ndarray
        Points in units of the lattice vectors, shape (n, 3), and their weights.
    lattice : ndarray, shape (3, 3)
        Vectors in rows.
    """
    from ase.geometry import minkowski_reduce

    reduced = np.asarray(minkowski_reduce(lattice)[0])
    inside = fractional @ lattice @ np.linalg.inv(reduced)
    cartesian = (inside - np.rint(inside)) @ reduced
    images = cartesian[:, None] + (np.indices((3, 3, 3)).reshape(3, -1).T - 1) @ reduced
    lengths = np.linalg.norm(images, axis=2)
    nearest = lengths <= lengths.min(axis=1, keepdims=True) * (1 + 1e-6)
    point, image = np.nonzero(nearest)
    return images[point, image], weights[point] / nearest.sum(axis=1)[point]


def vibrations(
    springs: Springs,
    batch: GraphBatch,
    masses: Tensor,
    n_bins: int,
    length: float = MESH_LENGTH,
) -> SiteSpectra:
    """Spectra, displacement tensors, velocities of sound and stability, from springs.

    Parameters
    ----------
    springs, batch
        Of the crystals.
    masses : torch.Tensor
        amu, shape (n_sites in all,), sites in order.
    n_bins : int
        Bins of 10 cm^-1 from -400 cm^-1.
    length : float, optional
        Density of the mesh in Å, see `half_mesh`.

    Returns
    -------
    SiteSpectra
        With one head; displacements in node order.
    """
    weights, tensors, sound, odds = [], [], [], []
    per_crystal = zip(
        crystal_springs(springs, batch), masses.split(batch.n_sites.tolist()), strict=True
    )
    for crystal, mass in per_crystal:
        q, weight = (torch.from_numpy(x).to(mass) for x in half_mesh(crystal.cell, length))
        root = mass.rsqrt().repeat_interleave(3)
        constants = crystal.force_constants()
        several = []
        for part in q.split(_points_at_once(crystal.n_sites)):
            dynamical = constants.at(part) * (root.unsqueeze(1) * root)
            several.append(torch.linalg.eigh(dynamical))
        values, vectors = (torch.cat(x) for x in zip(*several, strict=True))
        wavenumbers = WAVENUMBER * values.sign() * values.abs().sqrt()
        modes = vectors.view(len(q), crystal.n_sites, 3, -1)
        shares = modes.abs().square().sum(2) * weight[:, None, None]
        weights.append(_binned(wavenumbers, shares, n_bins))
        tensors.append(_log_displacements(wavenumbers, modes, mass, weight))
        sound.append(_log_sound(constants.double(), root.double()))
        share = weight @ (wavenumbers < -5).to(mass).mean(1)
        odds.append(torch.log((share + 1e-5) / _EVEN))
    node = torch.argsort(batch.site_order)
    return SiteSpectra(
        torch.stack([sites.mean(0) for sites in weights]).unsqueeze(0),
        torch.cat(weights),
        torch.cat(tensors).index_select(0, node),
        torch.stack(sound),
        torch.stack(odds),
    )


def check_sizes(n_sites: Tensor) -> None:
    """Refuse cells that are too large before any work is done for them.

    Parameters
    ----------
    n_sites : torch.Tensor
        Sites of each crystal, shape (n_crystals,).

    Raises
    ------
    PredictionError
        One has more sites than are diagonalised.
    """
    most = int(n_sites.max()) if len(n_sites) else 0
    if most > MOST_SITES:
        raise PredictionError(
            f"{most} sites in a cell: dynamical matrices are diagonalised up to {MOST_SITES}. "
            "Give the primitive cell, or take model='default' for the spectrum."
        )


def _points_at_once(n_sites: int) -> int:
    """Wave vectors whose matrices fit into memory together."""
    return max(1, _NUMBERS_AT_ONCE // (3 * n_sites) ** 2)


def _binned(wavenumbers: Tensor, shares: Tensor, n_bins: int) -> Tensor:
    """Spectra of the sites as shares, shape (n_sites, n_bins).

    Parameters
    ----------
    wavenumbers : torch.Tensor
        cm^-1, shape (n_q, n_modes).
    shares : torch.Tensor
        Of the sites in the modes, times the weight of q, shape (n_q, n_sites, n_modes).
    n_bins : int
        Bins.
    """
    place = ((wavenumbers - _FIRST_EDGE) / _STEP - 0.5).clamp(0, n_bins - 1.001).flatten()
    low = place.floor()
    flat = shares.transpose(0, 1).flatten(1)
    found = flat.new_zeros(len(flat), n_bins)
    found = found.index_add(1, low.long(), flat * (1 - place + low))
    found = found.index_add(1, low.long() + 1, flat * (place - low))
    reach = 2
    x = torch.arange(-reach, reach + 1, device=flat.device, dtype=flat.dtype) * (_STEP / _SPREAD)
    kernel = torch.exp(-0.5 * x * x)
    padded = torch.nn.functional.pad(found.unsqueeze(1), (reach, reach), mode="replicate")
    smooth = torch.nn.functional.conv1d(padded, (kernel / kernel.sum()).view(1, 1, -1)).squeeze(1)
    return smooth / smooth.sum(1, keepdim=True)


def _log_displacements(
    wavenumbers: Tensor, modes: Tensor, masses: Tensor, weights: Tensor
) -> Tensor:
    """Logarithms of the mean-square displacement tensors as in `SiteSpectra`, (n_sites, 3, 6)."""
    good = wavenumbers > _SOFTEST
    w = torch.where(good, wavenumbers, torch.ones_like(wavenumbers))
    found = []
    for temperature in _TEMPERATURES:
        amplitude = _SQUARE / w / torch.tanh(_HALF_QUANTUM * w / temperature)
        amplitude = torch.where(good, amplitude, torch.zeros_like(w)) * weights.unsqueeze(1)
        scaled = modes * amplitude[:, None, None, :]
        tensor = torch.einsum("qnam,qnbm->nab", scaled, modes.conj()).real
        found.append(tensor / masses[:, None, None])
    tensors = torch.stack(found, dim=1)
    values, axes = torch.linalg.eigh(tensors)
    logs = axes @ torch.diag_embed(values.clamp_min(1e-6).log()) @ axes.transpose(-1, -2)
    size = logs.diagonal(dim1=-2, dim2=-1).mean(-1, keepdim=True)
    q = quadrupoles().to(logs)
    return torch.cat([size, torch.einsum("ntab,cab->ntc", logs, q)], dim=-1)


def _log_sound(constants: ForceConstants, root: Tensor) -> Tensor:
    """Logarithm of the Debye mean of the sound velocities in km/s; not a number if unstable.

    Parameters
    ----------
    constants : ForceConstants
        In float64, for what lies close to the zone's centre.
    root : torch.Tensor
        1 / sqrt(mass) of each coordinate.
    """
    number = torch.arange(_N_DIRECTIONS, dtype=root.dtype, device=root.device) + 0.5
    theta = torch.arccos(1 - 2 * number / _N_DIRECTIONS)
    phi = math.pi * (1 + math.sqrt(5)) * number
    directions = [phi.cos() * theta.sin(), phi.sin() * theta.sin(), theta.cos()]
    q = _SMALL * torch.stack(directions, dim=1)
    dynamical = constants.at(q) * (root.unsqueeze(1) * root)
    values = torch.linalg.eigvalsh(dynamical)[:, :3]
    # cm^-1 over 1/Å: 2 pi c 1e2 / (2 pi 1e10) m/s = 2.99792458 m/s
    velocity = WAVENUMBER * values.clamp_min(0).sqrt() / _SMALL * 2.99792458e-3
    mean = velocity.pow(-3).mean().pow(-1 / 3)
    return torch.where(velocity.min() > 0.1, mean.log(), torch.full_like(mean, math.nan)).float()
