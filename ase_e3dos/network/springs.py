"""Springs of crystals, and the force constants in reciprocal space that they make.

M. Born and K. Huang, Dynamical Theory of Crystal Lattices (1954); phases as in phonopy,
Phi_ij(q) = sum_l Phi(0i, lj) exp(i q (r_lj - r_0i)).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ase_e3dos.network.dipoles import dipole_matrices
from ase_e3dos.network.graph import GraphBatch

__all__ = ["CrystalSprings", "Springs", "crystal_springs"]


@dataclass(frozen=True)
class Springs:
    """What the network says of a batch of crystals, edges and sites in the order of the crystals.

    Attributes
    ----------
    center, neighbor : torch.Tensor
        Sites at both ends of an edge, counted through the batch, shape (n_edges,), int64. Edges
        are sorted by centre.
    vectors : torch.Tensor
        From centre to neighbour in Å, shape (n_edges, 3).
    pairs : torch.Tensor
        Symmetric tensors S in eV/Å^2; each pair has two edges, shape (n_edges, 3, 3).
    rows : torch.Tensor
        Rows B of the deformations, in the root of eV/Å^2, shape (n_edges, n_rows, 3).
    signs : torch.Tensor
        +1 or -1 of each row, shape (n_rows,).
    born : torch.Tensor
        Born effective charges in e, summing to zero, shape (n_sites in all, 3, 3).
    dielectric : torch.Tensor
        High-frequency dielectric tensors, shape (n_crystals, 3, 3).
    """

    center: Tensor
    neighbor: Tensor
    vectors: Tensor
    pairs: Tensor
    rows: Tensor
    signs: Tensor
    born: Tensor
    dielectric: Tensor


@dataclass(frozen=True)
class CrystalSprings:
    """Springs of one crystal, its sites counted from zero; see `Springs`.

    Attributes
    ----------
    n_sites : int
        Sites.
    center, neighbor, vectors, pairs, rows, signs
        As there.
    born, dielectric
        Shapes (n_sites, 3, 3) and (3, 3).
    cell : ndarray, shape (3, 3)
        Lattice vectors in rows, Å.
    positions : torch.Tensor
        Å, shape (n_sites, 3).
    """

    n_sites: int
    center: Tensor
    neighbor: Tensor
    vectors: Tensor
    pairs: Tensor
    rows: Tensor
    signs: Tensor
    born: Tensor
    dielectric: Tensor
    cell: NDArray[np.float64]
    positions: Tensor

    def short_range(self, q: Tensor) -> Tensor:
        """Force constants of the springs in reciprocal space.

        Parameters
        ----------
        q : torch.Tensor
            1/Å, Cartesian, without 2 pi, shape (n_q, 3).

        Returns
        -------
        torch.Tensor
            eV/Å^2, Hermitian, shape (n_q, 3 n, 3 n).
        """
        n, n_q, n_rows = self.n_sites, len(q), self.rows.shape[1]
        images, image = self._images()
        pair, slot = torch.unique(self.center * n + self.neighbor, return_inverse=True)
        # Edges of a pair that lead to the same cell do not exist twice: sums are over cells.
        values = torch.cat([self.pairs.flatten(1), self.rows.flatten(1)], dim=1)
        table = values.new_zeros(len(images) * len(pair), values.shape[1])
        table = table.index_add(0, image * len(pair) + slot, values).view(len(images), -1)
        angle = 2 * math.pi * (q @ images.T)
        real = (angle.cos() @ table).view(n_q, len(pair), -1)
        imaginary = (angle.sin() @ table).view(n_q, len(pair), -1)
        i, j = pair // n, pair % n
        shift = 2 * math.pi * (q @ (self.positions[j] - self.positions[i]).T)
        both = (
            torch.complex(real, imaginary) * torch.polar(torch.ones_like(shift), shift)[..., None]
        )
        own = values.new_zeros(n, values.shape[1]).index_add(0, self.center, values)
        # A pair has two edges, whose tensors need not be the same: each acts on both of its ends.
        ends = torch.cat([self.center, self.neighbor])
        halves = 0.5 * values[:, :9].repeat(2, 1)
        own[:, :9] = values.new_zeros(n, 9).index_add(0, ends, halves)

        pairs = -both[..., :9].reshape(n_q, -1, 3, 3)
        dense = pairs.new_zeros(n_q, n * n, 3, 3).index_add(1, pair, pairs).view(n_q, n, n, 3, 3)
        diagonal = torch.arange(n, device=q.device)
        dense[:, diagonal, diagonal] += own[:, :9].view(n, 3, 3)
        dense = dense.permute(0, 1, 3, 2, 4).reshape(n_q, 3 * n, 3 * n)
        found = dense + dense.mH

        rows = both[..., 9:]
        full = rows.new_zeros(n_q, n * n, 3 * n_rows).index_add(1, pair, rows)
        full = full.view(n_q, n, n, n_rows, 3)
        full[:, diagonal, diagonal] -= own[:, 9:].view(n, n_rows, 3)
        full = full.permute(0, 1, 3, 2, 4).reshape(n_q, n * n_rows, 3 * n)
        signs = self.signs.repeat(n).unsqueeze(1)
        return found + full.mH @ (full * signs)

    def force_constants(self, q: Tensor, dipoles: bool = True) -> Tensor:
        """As `short_range`, with the dipole-dipole part unless it is left out.

        The wave vectors should lie in the first Brillouin zone.
        """
        found = self.short_range(q)
        if dipoles:
            charges = (self.born, self.dielectric)
            found = found + dipole_matrices(q, self.cell, self.positions, *charges)
        return found

    def double(self) -> CrystalSprings:
        """The same in float64, for what lies close to the zone's centre."""
        return self._mapped(lambda t: t.double() if t.is_floating_point() else t)

    def cpu(self) -> CrystalSprings:
        """The same on the CPU."""
        return self._mapped(lambda t: t.cpu())

    def _mapped(self, change: Callable[[Tensor], Tensor]) -> CrystalSprings:
        return CrystalSprings(
            self.n_sites,
            change(self.center),
            change(self.neighbor),
            change(self.vectors),
            change(self.pairs),
            change(self.rows),
            change(self.signs),
            change(self.born),
            change(self.dielectric),
            self.cell,
            change(self.positions),
        )

    def _images(self) -> tuple[Tensor, Tensor]:
        """Lattice vectors in Å between the ends of edges, and which of them each edge has."""
        cell = torch.from_numpy(self.cell).to(self.vectors)
        apart = self.positions[self.neighbor] - self.positions[self.center]
        numbers = ((self.vectors - apart) @ torch.linalg.inv(cell)).round()
        found, image = torch.unique(numbers, dim=0, return_inverse=True)
        return found @ cell, image


def crystal_springs(springs: Springs, batch: GraphBatch) -> Iterator[CrystalSprings]:
    """The springs of each crystal of a batch, in order."""
    sizes = batch.n_sites.tolist()
    first = batch.first_site.tolist()
    positions = batch.positions.index_select(0, batch.site_order).split(sizes)
    crystal = batch.crystal_index.index_select(0, batch.site_order)
    n_edges = torch.bincount(crystal[springs.center], minlength=len(sizes)).tolist()
    edges = (
        x.split(n_edges)
        for x in (springs.center, springs.neighbor, springs.vectors, springs.pairs, springs.rows)
    )
    cells = batch.cells.cpu().numpy().astype(np.float64)
    per_crystal = zip(*edges, springs.born.split(sizes), springs.dielectric, strict=True)
    for k, (center, neighbor, vectors, pairs, rows, born, dielectric) in enumerate(per_crystal):
        yield CrystalSprings(
            sizes[k], center - first[k], neighbor - first[k], vectors, pairs, rows,
            springs.signs, born, dielectric, cells[k], positions[k],
        )  # fmt: skip
