"""The paper's control: a three-dimensional convolutional network on densities (table S3)."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ase_e3dos.structures.crystal import Crystal

#: Points along each lattice vector.
GRID = 32


class DensityCNN(nn.Module):
    """Densities (n, 2, 32, 32, 32) to spectra (n, 51), layer by layer as in table S3."""

    def __init__(self, n_bins: int = 51) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv3d(2, 1, kernel_size=5, stride=2, padding=2),
            nn.Conv3d(1, 2, kernel_size=3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv3d(2, 4, kernel_size=3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv3d(4, 8, kernel_size=3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(64, 64),
            nn.ReLU(),
            nn.Linear(64, n_bins),
        )

    def forward(self, densities: Tensor) -> Tensor:
        """Spectra, not negative; the last activation of the table is a ReLU."""
        return torch.relu(self.layers(densities))


def densities(crystal: Crystal, n: int = GRID) -> NDArray[np.float32]:
    """Densities of charge number and mass on a grid along the lattice vectors (equation S6).

    Gaussians exp(-r^2), r in Å, of all periodic images, summed as a Fourier series up to the
    grid's own resolution. The paper sums 27 cells, which is the same but for cells so small
    that farther images count.

    Parameters
    ----------
    crystal : Crystal
        With one species on each site.
    n : int, optional
        Points along each vector.

    Returns
    -------
    ndarray
        Shape (2, n, n, n), float32: of Z, and of m in amu.
    """
    index = np.fft.fftfreq(n, 1.0 / n)
    phases = np.exp(-2j * np.pi * crystal.scaled_positions[:, :, None] * index)  # (sites, 3, n)
    reciprocal = 2 * np.pi * np.linalg.inv(crystal.cell).T
    h = np.stack(np.meshgrid(index, index, index, indexing="ij"), axis=-1)
    squared = ((h @ reciprocal) ** 2).sum(axis=-1)
    envelope = np.pi**1.5 / crystal.volume * np.exp(-squared / 4)
    out = np.empty((2, n, n, n), dtype=np.float32)
    for k, weights in enumerate((crystal.numbers.astype(float), crystal.masses)):
        factor = np.einsum(
            "i,ia,ib,ic->abc", weights, phases[:, 0], phases[:, 1], phases[:, 2], optimize=True
        )
        out[k] = np.fft.ifftn(factor * envelope * n**3).real.clip(0)
    return out


def translated(grid: Tensor, steps: tuple[int, int, int]) -> Tensor:
    """The same crystal with its origin moved by whole grid steps; grids (..., n, n, n)."""
    return torch.roll(grid, steps, dims=(-3, -2, -1))
