"""Attention over neighbours for the site network: a trial of `default_variants.py`, not shipped."""

from __future__ import annotations

import math

from torch import Tensor, nn

from ase_e3dos.network.convolution import Convolution, EdgeBasis, Features
from ase_e3dos.network.graph import GraphBatch
from ase_e3dos.network.site import SiteNetwork

HEADS, KEY_CHANNELS = 4, 10


class AttentiveConvolution(Convolution):
    """A convolution whose neighbours speak as loudly as they are attended to.

    Scalars of a site and of its neighbours give each neighbour a share (softmax over the
    neighbours, scaled dot product, four heads that divide the channels of each irrep). Shares are
    invariants, so that the convolution stays equivariant. Before training all are equal, and the
    convolution is what it would be without.

    Parameters
    ----------
    like : Convolution
        Whose channels and weights it takes.
    l_max : int
        Highest degree of the edge harmonics.
    """

    def __init__(self, like: Convolution, l_max: int) -> None:
        super().__init__(like.channels_in, like.channels_out, like.n_radial, l_max)
        if any(n % HEADS for n in like.channels_in.values()):
            raise ValueError(f"{HEADS} heads do not divide channels {like.channels_in}.")
        self.load_state_dict(like.state_dict())
        scalars = like.channels_in["0e"]
        self.query = nn.Linear(scalars, HEADS * KEY_CHANNELS)
        self.key = nn.Linear(scalars, HEADS * KEY_CHANNELS)
        nn.init.zeros_(self.query.weight)
        nn.init.zeros_(self.query.bias)

    def forward(self, features: Features, basis: list[EdgeBasis], batch: GraphBatch) -> Features:
        """Convolve; parameters and result as of `Convolution`.

        The features of a head's channels are multiplied by its shares: that is one convolution of
        all heads at once, since the sum over neighbours comes after.
        """
        scalars = features["0e"].squeeze(1)
        query, key = (m(scalars).view(-1, HEADS, KEY_CHANNELS) for m in (self.query, self.key))
        self._shares = []
        first = 0
        for functions, index in zip(basis, batch.neighbors, strict=True):
            n = len(index)
            q = query[first : first + n].unsqueeze(1)
            score = (q * key[index]).sum(-1) / math.sqrt(KEY_CHANNELS)
            used = self._used(functions, index).unsqueeze(-1)
            score = score.masked_fill(~used, -1e9)
            # Times their number, so that equal shares are ones.
            self._shares.append(score.softmax(dim=1) * used.sum(dim=1, keepdim=True))
            first += n
        return super().forward(features, basis, batch)

    def _used(self, functions: EdgeBasis, index: Tensor) -> Tensor:
        """Which slots have edges, shape (n, width): the others' functions are zero."""
        degrees = next(p.basis_degrees for p in self.paths if p.degrees == (0, 0, 0))
        return functions[degrees].view(*index.shape, -1).ne(0).any(-1)

    def _gathered(self, features: Features, batch: GraphBatch) -> list[Features]:
        gathered = super()._gathered(features, batch)
        for values, shares in zip(gathered, self._shares, strict=True):
            for irrep, n in self.channels_in.items():
                of_channels = shares.repeat_interleave(n // HEADS, dim=-1).flatten(0, 1)
                x = values[irrep].view(len(of_channels), -1, n)
                values[irrep] = (x * of_channels.unsqueeze(1)).flatten(1)
        return gathered


def add_attention(network: SiteNetwork) -> None:
    """Give every layer of the trunk attention over neighbours."""
    for layer in network.layers:
        layer.convolution = AttentiveConvolution(layer.convolution, network.settings.l_max)
