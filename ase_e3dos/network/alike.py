"""Sites that a network cannot tell apart: what follows from them is worked out once.

Sites that a symmetry of the crystal maps onto each other have the same invariant features, up to
the rounding of float32: in 300 crystals of the Materials Project 3e-6 for features of order one,
and most other pairs differ by a tenth and more. So the features themselves say which sites are
equivalent, with no search for a space group.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from ase_e3dos.network.graph import GraphBatch

__all__ = ["Groups", "groups_of_alike"]

#: Directions along which features are compared: the difference of two sites, of length d, has
#: components of about d along each, and where all of them are small, so is d.
_DIRECTIONS = 8
#: Largest component of the difference between sites that count as the same.
_TOLERANCE = 5e-5
#: Nodes below which looking for groups costs more than they save.
_FEWEST = 48
#: Share of the nodes that may be left for the groups to be worth it.
_MOST_LEFT = 0.85


@dataclass(frozen=True, slots=True)
class Groups:
    """Groups of alike sites of a batch; those of a crystal follow each other.

    Attributes
    ----------
    chosen : torch.Tensor
        One node of each group, shape (n_groups,), int64.
    group : torch.Tensor
        Of each node, shape (n_nodes,), int64.
    first : torch.Tensor
        First group of each crystal, shape (n_crystals,), int64.
    share : torch.Tensor
        Of each group in the sites of its crystal, shape (n_groups,).
    """

    chosen: Tensor
    group: Tensor
    first: Tensor
    share: Tensor

    def mean_over_sites(self, values: Tensor) -> Tensor:
        """Values of the groups (n_groups, k) to their mean over the sites of each crystal.

        Parameters
        ----------
        values : torch.Tensor, shape (n_groups, k)
            A row for each group.

        Returns
        -------
        torch.Tensor, shape (n_crystals, k)
        """
        mean: Tensor = torch.nn.functional.embedding_bag(
            torch.arange(len(values), device=values.device),
            values,
            self.first,
            mode="sum",
            per_sample_weights=self.share.to(values.dtype),
        )
        return mean


def groups_of_alike(features: Tensor, batch: GraphBatch) -> Groups | None:
    """Groups of sites with the same features within a crystal.

    Parameters
    ----------
    features : torch.Tensor
        Invariants of each node, of order one, shape (n_nodes, k).
    batch : GraphBatch
        The graph.

    Returns
    -------
    Groups or None
        None where they would not pay: few sites, hardly any alike, or a GPU, which would have to
        wait for the number of groups. None also where a feature is not finite.
    """
    if len(features) < _FEWEST or features.device.type != "cpu":
        return None
    places = features @ _directions(features.shape[1])
    # Sorted along one direction, sites that are alike follow each other; a stranger between them
    # by chance only divides their group.
    line = places[:, 0].double()
    longest = float(line.abs().max())
    if not math.isfinite(longest):  # a crystal that failed must not take others with it
        return None
    apart = 2.0 * longest + 1.0
    order = torch.argsort(line + batch.crystal_index * apart)
    ordered = places.index_select(0, order)
    crystal = batch.crystal_index.index_select(0, order)
    begins = (ordered[1:] - ordered[:-1]).abs().amax(dim=1) > _TOLERANCE
    begins = torch.cat([begins.new_ones(1), begins | (crystal[1:] != crystal[:-1])])
    starts = begins.nonzero().squeeze(1)
    if len(starts) > _MOST_LEFT * len(order):
        return None
    group = torch.empty_like(order)
    group[order] = begins.cumsum(0) - 1
    chosen = order.index_select(0, starts)
    sizes = torch.diff(starts, append=starts.new_tensor([len(order)]))
    owner = crystal.index_select(0, starts)
    share = sizes / batch.n_sites.index_select(0, owner)
    of_crystal = torch.bincount(owner, minlength=batch.n_crystals)
    return Groups(chosen, group, of_crystal.cumsum(0) - of_crystal, share)


@cache
def _directions(n: int) -> Tensor:
    """Directions that nothing about the features singles out, shape (n, `_DIRECTIONS`)."""
    numbers = torch.Generator().manual_seed(1)
    return torch.randn(n, _DIRECTIONS, generator=numbers, dtype=torch.float32, device="cpu")
