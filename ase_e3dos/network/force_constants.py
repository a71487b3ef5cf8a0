"""Force constants of a crystal as a network's output: pair springs and squares of deformations.

The harmonic energy of a crystal is written as

    E = 1/2 sum_ij (u_j - u_i) S_ij (u_j - u_i) + 1/2 sum_ic s_c |sum_j B_ijc (u_j - u_i)|^2,

with symmetric tensors S and rows B (l = 0, 1 and 2 channels c, signs s_c) on the edges of the
graph, both equivariant functions of the sites' features. Whatever S and B are, the force
constants d2E/du_i du_j are symmetric, obey the acoustic sum rule and the crystal's symmetry, do
not know the masses, and reach twice the cut-off. In polar crystals they are the short-range part:
Born charges and the dielectric tensor, outputs of the same features, give the dipole-dipole part
(`ase_e3dos.network.dipoles`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ase_e3dos.network.convolution import EdgeBasis
from ase_e3dos.network.graph import GraphBatch
from ase_e3dos.network.harmonics import quadrupoles
from ase_e3dos.network.lattice_dynamics import check_sizes, vibrations
from ase_e3dos.network.radial import BesselBasis
from ase_e3dos.network.site import SiteSpectra
from ase_e3dos.network.site_trunk import SiteSettings, SiteTrunk
from ase_e3dos.network.springs import Springs

__all__ = ["ForceConstantNetwork", "ForceConstantSettings"]

#: Stiffness in eV/Å^2 of a pair at the sum of its covalent radii, the length in Å over which it
#: falls to 1/e, and what is left far away: the scale of what the network says of a pair.
_STIFFNESS, _DECAY, _FAR = 8.0, 0.45, 0.003
#: Of the rows of the deformations, in units of the root of a pair's scale.
_ROW_SCALE = 0.15


@dataclass(frozen=True)
class ForceConstantSettings(SiteSettings):
    """Sizes of the network: those of its `SiteTrunk`, and of what is read on the edges.

    `reach` is the cut-off of the springs in Å (deformations carry forces to twice as far);
    `n_scalar`, `n_vector` and `n_tensor` count the deformations of degree 0, 1 and 2 of a site,
    of which `n_negative` each soften; `node_channels` are the vectors and tensors of a site that
    its edges read.
    """

    displacements: int = 16
    reach: float = 6.0
    n_scalar: int = 6
    n_vector: int = 6
    n_tensor: int = 4
    n_negative: int = 2
    node_channels: int = 12
    edge_hidden: int = 128
    edge_radial: int = 10
    charge_hidden: int = 96


def _radii(n_elements: int) -> Tensor:
    """Covalent radii of the elements in Å, shape (n_elements,); stored with the weights."""
    from ase.data import covalent_radii

    found = torch.full((n_elements,), 1.5, dtype=torch.float32)
    known = torch.from_numpy(covalent_radii[1 : n_elements + 1].copy())
    found[: len(known)] = known.to(found)
    return found


def _edges_by_site(batch: GraphBatch) -> tuple[Tensor, Tensor, Tensor]:
    """Both ends of each edge as sites of the batch, sorted by centre, and the edges' own order."""
    device = batch.lengths.device
    site_of_node = torch.empty_like(batch.site_order)
    site_of_node[batch.site_order] = torch.arange(len(batch.site_order), device=device)
    slot_neighbor = torch.cat([block.reshape(-1) for block in batch.neighbors])
    first_node, slot_center = 0, []
    for block in batch.neighbors:
        nodes = torch.arange(first_node, first_node + len(block), device=device)
        slot_center.append(nodes.repeat_interleave(block.shape[1]))
        first_node += len(block)
    ends = torch.cat([batch.first_edge[1:], batch.first_edge.new_tensor([batch.n_edges])])
    sizes = ends - batch.first_edge
    center = site_of_node[torch.cat(slot_center).repeat_interleave(sizes)]
    neighbor = site_of_node[slot_neighbor.repeat_interleave(sizes)]
    order = torch.argsort(center, stable=True)
    return center[order], neighbor[order], order


class ForceConstantNetwork(SiteTrunk):
    """Crystals -> force constants, Born charges and dielectric tensors, and their spectra.

    Parameters
    ----------
    settings : ForceConstantSettings
        Sizes.
    standard_masses : torch.Tensor, optional
        As for `SiteTrunk`.
    """

    kind = "force-constants"
    per_site = True

    def __init__(
        self, settings: ForceConstantSettings, standard_masses: Tensor | None = None
    ) -> None:
        super().__init__(settings, standard_masses)
        self.springs_settings = s = settings
        k, h = s.node_channels, s.edge_hidden
        self.vectors = nn.Linear(s.vectors, k, bias=False)
        self.other_vectors = nn.Linear(s.vectors, k, bias=False)
        self.tensors = nn.Linear(s.displacements, k, bias=False)
        self.edge_basis = BesselBasis(s.reach, s.edge_radial)
        self.from_center = nn.Linear(s.scalars, h)
        self.from_neighbor = nn.Linear(s.scalars, h, bias=False)
        self.from_length = nn.Linear(s.edge_radial, h, bias=False)
        self.from_directions = nn.Linear(6 * k, h, bias=False)
        #: Whether the springs are the short-range part beside dipoles, or all there is.
        self.dipoles = nn.Embedding(2, h)
        self.edge_layer = nn.Linear(h, h)
        self.dropout = nn.Dropout(s.dropout)
        c0, c1, c2 = s.n_scalar, s.n_vector, s.n_tensor
        self.sizes = [1, 2, k, k, k, k, c0, c0, c0, c1, c1, c1, c1, c1, c2, c2, c2]
        self.read_edge = nn.Linear(h, sum(self.sizes))
        self.site_layer = nn.Linear(s.scalars, s.charge_hidden)
        self.read_born = nn.Linear(s.charge_hidden, 1 + 2 * k)
        self.read_dielectric = nn.Linear(s.charge_hidden, 1 + k)
        signs: list[float] = []
        for channels, components in ((c0, 1), (c1, 3), (c2, 5)):
            soft = min(s.n_negative, channels)
            signs += [1.0] * ((channels - soft) * components) + [-1.0] * (soft * components)
        self.register_buffer("signs", torch.tensor(signs, dtype=torch.float32), persistent=False)
        self.register_buffer("quadrupoles", quadrupoles().to(torch.float32), persistent=False)
        self.register_buffer("radii", _radii(s.n_features))

    @property
    def cutoff(self) -> float:
        """Radius of the graph in Å: the reach of the springs, beyond that of the trunk."""
        return max(self.springs_settings.reach, self.settings.cutoff)

    def occupations(self, batch: GraphBatch) -> Tensor:
        """Fractions of the elements on the nodes.

        Parameters
        ----------
        batch : GraphBatch
            With the features of an encoder.

        Returns
        -------
        torch.Tensor
            Shape (n_nodes, n_features).
        """
        return batch.features * self.get_buffer("feature_scale")

    def springs(
        self,
        batch: GraphBatch,
        source: int | Tensor = 0,
        basis: list[EdgeBasis] | None = None,
        dipoles: Tensor | None = None,
    ) -> Springs:
        """Springs, deformations, Born charges and dielectric tensors.

        Parameters
        ----------
        batch : GraphBatch
            Graphs with this network's cut-off, and encoder features.
        source, basis
            As for `SiteNetwork`.
        dipoles : torch.Tensor, optional
            Of each crystal, whether dipole-dipole interactions are added to the springs
            (1, the default) or not (0), shape (n_crystals,), int64.

        Returns
        -------
        Springs
            Of all crystals.

        Raises
        ------
        PredictionError
            A cell is too large to be diagonalised.
        """
        check_sizes(batch.n_sites)
        s = self.springs_settings
        features = self.site_features(batch, self.context(batch, source), basis)
        order = batch.site_order
        scalars = self.norm(features["0e"].squeeze(1)).index_select(0, order)
        v = self.vectors(features["1o"]).index_select(0, order)
        w = self.other_vectors(features["1o"]).index_select(0, order)
        t = self.tensors(features["2e"]).index_select(0, order)
        matrices = torch.einsum("nck,cab->nkab", t, self.get_buffer("quadrupoles"))
        center, neighbor, edge = _edges_by_site(batch)
        vectors = batch.vectors.index_select(0, edge)
        lengths = batch.lengths.index_select(0, edge)
        inside = lengths <= s.reach
        if not bool(inside.all()):
            center, neighbor = center[inside], neighbor[inside]
            vectors, lengths = vectors[inside], lengths[inside]
        if dipoles is None:
            dipoles = torch.ones(batch.n_crystals, dtype=torch.int64, device=lengths.device)
        crystal = batch.crystal_index.index_select(0, order).index_select(0, center)
        flag = self.dipoles(dipoles).index_select(0, crystal)
        scale = self._scale(batch, center, neighbor, lengths)
        pairs, rows = self._on_edges(
            (center, neighbor), vectors / lengths.unsqueeze(1), lengths, scale, flag,
            (scalars, v, w, t, matrices),
        )  # fmt: skip
        born, dielectric = self._charges(batch, scalars, v, w, matrices)
        signs = self.get_buffer("signs")
        return Springs(center, neighbor, vectors, pairs, rows, signs, born, dielectric)

    def _scale(
        self, batch: GraphBatch, center: Tensor, neighbor: Tensor, lengths: Tensor
    ) -> Tensor:
        """Typical stiffness of a pair of these elements at this distance, eV/Å^2."""
        radii = (self.occupations(batch) @ self.get_buffer("radii")).index_select(
            0, batch.site_order
        )
        apart = lengths - radii.index_select(0, center) - radii.index_select(0, neighbor)
        x = (lengths / self.springs_settings.reach).clamp(max=1.0)
        envelope = 1 - x**6 * (28 - 48 * x + 21 * x * x)
        return _STIFFNESS * (torch.exp(-apart.clamp_min(-0.7) / _DECAY) + _FAR) * envelope

    def _on_edges(
        self,
        ends: tuple[Tensor, Tensor],
        u: Tensor,
        lengths: Tensor,
        scale: Tensor,
        flag: Tensor,
        features: tuple[Tensor, Tensor, Tensor, Tensor, Tensor],
    ) -> tuple[Tensor, Tensor]:
        """Pair tensors (n_edges, 3, 3) and rows of deformations (n_edges, n_rows, 3)."""
        s, n = self.springs_settings, len(u)
        k, c1 = s.node_channels, s.n_vector
        i, j = ends
        scalars, v, w, t, matrices = features
        q = self.get_buffer("quadrupoles")
        v_i, v_j, w_i, w_j = (x.index_select(0, at) for x in (v, w) for at in (i, j))
        t_i, t_j = t.index_select(0, i), t.index_select(0, j)
        u2 = torch.einsum("ea,cab,eb->ec", u, q, u)
        directions = [torch.einsum("eak,ea->ek", x, u) for x in (v_i, v_j, w_i, w_j)]
        directions += [torch.einsum("eck,ec->ek", x, u2) for x in (t_i, t_j)]
        h = self.from_center(scalars).index_select(0, i)
        h = h + self.from_neighbor(scalars).index_select(0, j)
        h = h + self.from_length(self.edge_basis(lengths))
        h = nn.functional.silu(h + self.from_directions(torch.cat(directions, dim=1)) + flag)
        h = h + nn.functional.silu(self.edge_layer(self.dropout(h)))
        o = self.read_edge(h).split(self.sizes, 1)
        scale = scale * torch.exp(o[0].squeeze(1).clamp(-4, 4))
        uu = u.unsqueeze(2) * u.unsqueeze(1)
        one = torch.eye(3, dtype=u.dtype, device=u.device)

        # Along and across the bond, a vector with the bond's direction, and an l = 2 tensor.
        m = torch.einsum("ek,eak->ea", o[2], v_i) + torch.einsum("ek,eak->ea", o[3], v_j)
        mu = m.unsqueeze(2) * u.unsqueeze(1) / math.sqrt(k)
        tt = torch.einsum("ek,eck->ec", o[4], t_i) + torch.einsum("ek,eck->ec", o[5], t_j)
        pairs = o[1][:, 0, None, None] * uu + 0.3 * o[1][:, 1, None, None] * (one - uu)
        pairs = pairs + mu + mu.transpose(1, 2)
        pairs = pairs + torch.einsum("ec,cab->eab", tt / math.sqrt(k), q)
        pairs = pairs * (0.5 * scale)[:, None, None]

        a, b = v_i[..., : s.n_scalar].transpose(1, 2), v_j[..., : s.n_scalar].transpose(1, 2)
        rows_0 = o[6].unsqueeze(2) * u.unsqueeze(1)
        rows_0 = rows_0 + 0.5 * (o[7].unsqueeze(2) * a + o[8].unsqueeze(2) * b)
        wu = w_i[..., :c1].transpose(1, 2).unsqueeze(3) * u[:, None, None, :]
        own = matrices[:, :c1].flatten(1).index_select(0, i).view(n, c1, 3, 3)
        rows_1 = o[9][:, :, None, None] * one + o[10][:, :, None, None] * uu.unsqueeze(1)
        rows_1 = rows_1 + 0.5 * (
            o[11][:, :, None, None] * wu
            + o[12][:, :, None, None] * wu.transpose(2, 3)
            + o[13][:, :, None, None] * own
        )
        qu = torch.einsum("mab,eb->ema", q, u)
        tu = t_i[..., : s.n_tensor].transpose(1, 2).unsqueeze(3) * u[:, None, None, :]
        rows_2 = (
            o[14][:, :, None, None] * qu.unsqueeze(1)
            + o[15][:, :, None, None] * (u2.unsqueeze(2) * u.unsqueeze(1)).unsqueeze(1)
            + 0.5 * o[16][:, :, None, None] * tu
        )
        rows = torch.cat([rows_0, rows_1.flatten(1, 2), rows_2.flatten(1, 2)], dim=1)
        return pairs, rows * (_ROW_SCALE * scale.clamp_min(1e-6).sqrt())[:, None, None]

    def _charges(
        self, batch: GraphBatch, scalars: Tensor, v: Tensor, w: Tensor, matrices: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Born charges (n_sites, 3, 3) and dielectric tensors (n_crystals, 3, 3)."""
        k = self.springs_settings.node_channels
        crystal = batch.crystal_index.index_select(0, batch.site_order)

        def mean(values: Tensor) -> Tensor:
            flat = values.flatten(1)
            total = flat.new_zeros(batch.n_crystals, flat.shape[1]).index_add(0, crystal, flat)
            return (total / batch.n_sites.unsqueeze(1)).view(-1, *values.shape[1:])

        one = torch.eye(3, dtype=scalars.dtype, device=scalars.device)
        hidden = nn.functional.silu(self.site_layer(scalars))
        b, e = self.read_born(hidden), self.read_dielectric(hidden)
        born = b[:, :1, None] * one
        born = born + torch.einsum("nk,nkab->nab", b[:, 1 : 1 + k], matrices) / math.sqrt(k)
        born = born + torch.einsum("nk,nak,nbk->nab", b[:, 1 + k :], v, w) / k
        born = born - mean(born).index_select(0, crystal)
        anisotropy = mean(torch.einsum("nk,nkab->nab", e[:, 1:], matrices)) / math.sqrt(k)
        size = mean(e[:, :1]).clamp(-3, 5).exp().unsqueeze(2)
        # The exponential of a symmetric matrix: positive definite, as a dielectric tensor is.
        return born, size * torch.linalg.matrix_exp(anisotropy) + one

    def spectra(
        self, batch: GraphBatch, source: int = 0, basis: list[EdgeBasis] | None = None
    ) -> SiteSpectra:
        """Spectra of the sites on the mesh of `ase_e3dos.network.lattice_dynamics`.

        Parameters and value as for `SiteNetwork.spectra`.
        """
        masses = batch.features.sum(1).index_select(0, batch.site_order)
        return vibrations(self.springs(batch, source, basis), batch, masses, self.settings.n_bins)
