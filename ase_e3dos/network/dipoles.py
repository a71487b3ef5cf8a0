"""Dipole-dipole part of dynamical matrices: what Born charges and the dielectric tensor add.

X. Gonze and C. Lee, Phys. Rev. B 55, 10355 (1997), equations 71 to 78, with the reciprocal sum
alone, as phonopy has it. The Gaussian's width decides what is dipoles and what is springs. phonopy
takes 300 vectors whatever the cell; here they are 300 for the primitive cell, whatever cell the
crystal is written in, and more in proportion where that has more than 16 sites, so that what the
springs have to be is a property of the surroundings of a site. Springs are learned beside this
width; phonopy is given the sum of both parts.

What each atom feels when all move alike is taken off its own block, as there, but for the
antisymmetric part of it, for that block is symmetric. phonopy's force constants make up for the
rest, as they are what is left of a calculation; ours have to be given it (`DipoleSum.net_torques`).
"""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["COULOMB", "DipoleSum"]

#: e^2 / (4 pi epsilon_0) in eV Å, as phonopy has it.
COULOMB = 14.39965172592227
#: Reciprocal vectors in the sum for a primitive cell, sites of the largest that has no more, and
#: what the Gaussian is at the last of them.
_N_VECTORS, _SITES, _LAST = 300, 16, 1e-10
#: What the Gaussian is at the last vector that float32 makes worth the while.
_LAST_SINGLE = 1e-5


class DipoleSum:
    """The reciprocal sum of one crystal, in float64 to where phonopy's ends, in float32 to 1e-5.

    Parameters
    ----------
    cell : ndarray, shape (3, 3)
        Lattice vectors in rows, Å.
    positions : torch.Tensor
        Å, shape (n, 3).
    born : torch.Tensor
        Born effective charges in e, shape (n, 3, 3).
    dielectric : torch.Tensor
        Shape (3, 3).
    primitive_sites : int, optional
        Sites of the primitive cell; if not given, this one is.
    """

    def __init__(
        self,
        cell: NDArray[np.float64],
        positions: Tensor,
        born: Tensor,
        dielectric: Tensor,
        primitive_sites: int | None = None,
    ) -> None:
        n, self.volume = len(born), abs(float(np.linalg.det(cell)))
        self.dielectric = dielectric
        self.charges = born.transpose(0, 1).reshape(3, 3 * n)
        n_vectors = _N_VECTORS * max(1 / (primitive_sites or n), 1 / _SITES) * n
        longest = (3 * n_vectors / (4 * math.pi) / self.volume) ** (1 / 3)
        reach = longest
        if positions.dtype == torch.float32:
            reach *= math.sqrt(math.log(_LAST_SINGLE) / math.log(_LAST))
        self.vectors = torch.from_numpy(_reciprocal_vectors(cell, reach)).to(positions)
        # 4 Lambda^2
        self.width = -(longest**2) * dielectric.trace() / 3 / math.log(_LAST)
        # The phase has no q: dynamical matrices here (and phonopy's) have e^{iq(r_j - r_i)} in it.
        phase = 2 * math.pi * (self.vectors @ positions.T)
        self.phases = torch.polar(torch.ones_like(phase), -phase).repeat_interleave(3, dim=1)

    def at(self, q: Tensor) -> Tensor:
        """Dipole-dipole part of the force constants in reciprocal space, not divided by masses.

        Parameters
        ----------
        q : torch.Tensor
            Wave vectors in 1/Å, Cartesian, without 2 pi, in the first Brillouin zone, shape
            (n_q, 3). At q = 0 the direction-dependent term is left out.

        Returns
        -------
        torch.Tensor
            eV/Å^2, complex, shape (n_q, 3 n, 3 n).
        """
        own = self._at_zero
        own = torch.block_diag(*((own + own.transpose(1, 2)) / 2))
        corrected: Tensor = self._matrices(q.unsqueeze(1) + self.vectors) - own
        return corrected

    @property
    def net_torques(self) -> Tensor:
        """What `at` leaves of the acoustic sum rule: the sums over the neighbours at q = 0.

        eV/Å^2, antisymmetric, shape (n, 3, 3); their sum is zero where that of the charges is.
        """
        own = self._at_zero
        return (own - own.transpose(1, 2)) / 2

    @cached_property
    def _at_zero(self) -> Tensor:
        """What each atom feels when all move alike, shape (n, 3, 3)."""
        n = self.charges.shape[1] // 3
        return self._matrices(self.vectors.unsqueeze(0))[0].real.view(n, 3, n, 3).sum(2)

    def _matrices(self, k: Tensor) -> Tensor:
        """Sum over wave vectors of shape (n_q, n_vectors, 3), without k = 0."""
        energy = ((k @ self.dielectric) * k).sum(2)
        zero = (k * k).sum(2) < 1e-10
        safe = torch.where(zero, torch.ones_like(energy), energy)
        root = torch.exp(-0.5 * safe / self.width) * safe.rsqrt()  # of the weight of each vector
        root = torch.where(zero, torch.zeros_like(energy), root)
        a = (k * root.unsqueeze(2)) @ self.charges * self.phases
        product: Tensor = a.mH @ a
        return product * (COULOMB * 4 * math.pi / self.volume)


def _reciprocal_vectors(cell: NDArray[np.float64], longest: float) -> NDArray[np.float64]:
    """All reciprocal lattice vectors shorter than a length in 1/Å, shape (n, 3)."""
    reciprocal = np.linalg.inv(cell)  # in columns
    most = [int(longest * np.linalg.norm(vector)) + 1 for vector in cell]
    axes = [np.arange(-m, m + 1) for m in most]
    found = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3) @ reciprocal.T
    return np.asarray(found[(found**2).sum(1) < longest**2])
