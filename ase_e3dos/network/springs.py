"""Springs of crystals, and the force constants in reciprocal space that they make.

M. Born and K. Huang, Dynamical Theory of Crystal Lattices (1954); phases as in phonopy,
Phi_ij(q) = sum_l Phi(0i, lj) exp(i q (r_lj - r_0i)).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ase_e3dos.network.dipoles import DipoleSum
from ase_e3dos.network.graph import GraphBatch
from ase_e3dos.network.translations import primitive_sites

__all__ = ["CrystalSprings", "ForceConstants", "Springs", "crystal_springs"]

#: Length in Å of the Gaussian by which links fall off (`ForceConstants.links`): at the reach of the
#: springs they are some 1e-4 of those of atoms that touch.
_LINK = 1.8


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
    primitive_sites : int or None
        Sites of the primitive cell; None for those of this one.
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
    primitive_sites: int | None = None

    def force_constants(self) -> ForceConstants:
        """Second derivatives of the energy of the springs by the displacements of all atoms."""
        n, n_rows = self.n_sites, self.rows.shape[1]
        cell = torch.from_numpy(self.cell).to(self.vectors)
        apart = self.positions[self.neighbor] - self.positions[self.center]
        image = ((self.vectors - apart) @ torch.linalg.inv(cell)).round().long()

        # Deformations: of each site a block of its own atom and its neighbours, itself first.
        count = torch.bincount(self.center, minlength=n)
        slot = (
            torch.arange(len(self.center), device=image.device)
            - (count.cumsum(0) - count)[self.center]
        )
        width = int(count.max()) + 1 if len(slot) else 1
        rows = self.rows.new_zeros(n, n_rows, width, 3)
        rows[self.center, :, slot + 1] = self.rows
        rows[:, :, 0] = -rows[:, :, 1:].sum(2)
        atom = torch.zeros(n, width, dtype=torch.int64, device=image.device)
        atom[:, 0] = torch.arange(n, device=image.device)
        atom[self.center, slot + 1] = self.neighbor
        where = torch.zeros(n, width, 3, dtype=torch.int64, device=image.device)
        where[self.center, slot + 1] = image
        flat = rows.flatten(2)
        squares = flat.transpose(1, 2) @ (flat * self.signs.unsqueeze(1))
        squares = squares.view(n, width, 3, width, 3).transpose(2, 3).reshape(-1, 9)
        first = atom.unsqueeze(2).expand(n, width, width).reshape(-1)
        second = atom.unsqueeze(1).expand(n, width, width).reshape(-1)
        between = (where.unsqueeze(1) - where.unsqueeze(2)).reshape(-1, 3)

        # Pairs: each of the two edges of a pair acts on both of its ends.
        pairs, turned = self.pairs.flatten(1), self.pairs.transpose(1, 2).flatten(1)
        here = torch.zeros_like(image)
        i, j = self.center, self.neighbor
        values = torch.cat([squares, pairs, pairs, -pairs, -turned])
        first = torch.cat([first, i, j, i, j])
        second = torch.cat([second, i, j, j, i])
        between = torch.cat([between, here, here, image, -image])
        images, number = _distinct(between)
        blocks = values.new_zeros(len(images) * n * n, 9)
        place = (number * n + first) * n + second
        blocks = blocks.index_add(0, place, values)
        strength = torch.exp(-(self.vectors.square().sum(1)) / _LINK**2)
        links = strength.new_zeros(len(images) * n * n)
        links = links.index_add(0, place[-2 * len(i) : -len(i)], strength)
        return ForceConstants(
            images.to(cell) @ cell,
            blocks.view(len(images), n, n, 3, 3),
            links.view(len(images), n, n),
            self.born,
            self.dielectric,
            self.cell,
            self.positions,
            self.primitive_sites,
        )

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
            self.primitive_sites,
        )


def _distinct(vectors: Tensor) -> tuple[Tensor, Tensor]:
    """Distinct vectors of whole numbers, and which of them each one is."""
    most = int(vectors.abs().max()) if len(vectors) else 0
    base = torch.tensor([(2 * most + 1) ** 2, 2 * most + 1, 1], device=vectors.device)
    codes, number = torch.unique((vectors + most) @ base, return_inverse=True)
    digits = [codes // base[0], codes // base[1] % base[1], codes % base[1]]
    return torch.stack(digits, dim=1) - most, number


@dataclass(frozen=True)
class ForceConstants:
    """Force constants of one crystal in real space: the short-range part, and charges.

    Attributes
    ----------
    images : torch.Tensor
        Lattice vectors R in Å, shape (n_images, 3).
    blocks : torch.Tensor
        eV/Å^2 between atom i and atom j moved by R, shape (n_images, n, n, 3, 3).
    links : torch.Tensor
        How closely they are linked, a number that falls off with their distance; shape
        (n_images, n, n).
    born, dielectric : torch.Tensor
        As in `CrystalSprings`.
    cell, positions, primitive_sites
        As in `CrystalSprings`.
    """

    images: Tensor
    blocks: Tensor
    links: Tensor
    born: Tensor
    dielectric: Tensor
    cell: NDArray[np.float64]
    positions: Tensor
    primitive_sites: int | None = None

    @cached_property
    def dipoles(self) -> DipoleSum:
        """The dipole-dipole part."""
        charges = (self.born, self.dielectric, self.primitive_sites)
        return DipoleSum(self.cell, self.positions, *charges)

    @cached_property
    def balance(self) -> Tensor:
        """Blocks that complete the acoustic sum rule of the dipoles, shape as `blocks`.

        The net torques a_i of the dipoles are handed on along the links,
        C_ij = w_ij (b_i - b_j) with sum_j C_ij = a_i: antisymmetric tensors b solve the equation of
        the links' Laplacian, and C_ij = C_ji^T.
        """
        n, links = len(self.positions), self.links.double()
        torques = self.dipoles.net_torques.flatten(1).double()
        between = links.sum(0)
        # A constant in b changes nothing: ones fix it. Parts with no link between them each keep
        # the sum of their torques.
        laplacian = torch.diag(between.sum(1)) - between + between.sum() / n**2
        least = 1e-9 * laplacian.diagonal().mean() + 1e-30
        shifted = laplacian + torch.diag(least.expand(n))
        handed: Tensor = torch.linalg.solve(shifted, torques)
        differences = handed.unsqueeze(1) - handed.unsqueeze(0)
        return (links.unsqueeze(3) * differences).view_as(self.blocks).to(self.blocks)

    def short_range(self, q: Tensor) -> Tensor:
        """Force constants in reciprocal space, without dipoles.

        Parameters
        ----------
        q : torch.Tensor
            1/Å, Cartesian, without 2 pi, shape (n_q, 3).

        Returns
        -------
        torch.Tensor
            eV/Å^2, Hermitian, shape (n_q, 3 n, 3 n).
        """
        return self._transformed(self.blocks, q)

    def _transformed(self, blocks: Tensor, q: Tensor) -> Tensor:
        n = len(self.positions)
        angle = 2 * math.pi * (q @ self.images.T)
        table = blocks.flatten(1)
        found = torch.complex(angle.cos() @ table, angle.sin() @ table)
        phase = 2 * math.pi * (q @ self.positions.T)
        turn = torch.polar(torch.ones_like(phase), phase)
        turn = turn.conj().unsqueeze(2) * turn.unsqueeze(1)
        found = found.view(len(q), n, n, 3, 3) * turn[..., None, None]
        return found.transpose(2, 3).reshape(len(q), 3 * n, 3 * n)

    def at(self, q: Tensor, dipoles: bool = True) -> Tensor:
        """As `short_range`, with the dipole-dipole part unless it is left out.

        The wave vectors should lie in the first Brillouin zone.
        """
        if not dipoles:
            return self.short_range(q)
        return self._transformed(self._balanced, q) + self.dipoles.at(q)

    @cached_property
    def _balanced(self) -> Tensor:
        return self.blocks - self.balance

    def with_charges(self, born: Tensor, dielectric: Tensor) -> ForceConstants:
        """The same springs beside other Born charges and another dielectric tensor.

        Parameters
        ----------
        born, dielectric : torch.Tensor
            As in `CrystalSprings`.

        Returns
        -------
        ForceConstants
        """
        return replace(self, born=born, dielectric=dielectric)

    def double(self) -> ForceConstants:
        """The same in float64."""
        return ForceConstants(
            self.images.double(),
            self.blocks.double(),
            self.links.double(),
            self.born.double(),
            self.dielectric.double(),
            self.cell,
            self.positions.double(),
            self.primitive_sites,
        )


def crystal_springs(springs: Springs, batch: GraphBatch) -> Iterator[CrystalSprings]:
    """The springs of each crystal of a batch, in order.

    Parameters
    ----------
    springs : Springs
        Of the whole batch.
    batch : GraphBatch

    Yields
    ------
    CrystalSprings
        Sites counted from zero.
    """
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
    contents = batch.features.detach().index_select(0, batch.site_order).cpu().split(sizes)
    per_crystal = zip(*edges, springs.born.split(sizes), springs.dielectric, strict=True)
    for k, (center, neighbor, vectors, pairs, rows, born, dielectric) in enumerate(per_crystal):
        numbers = (t.detach().cpu().numpy().astype(np.float64) for t in (positions[k], contents[k]))
        yield CrystalSprings(
            sizes[k], center - first[k], neighbor - first[k], vectors, pairs, rows,
            springs.signs, born, dielectric, cells[k], positions[k],
            primitive_sites(cells[k], *numbers),
        )  # fmt: skip
