"""Radial functions of the edge length."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class GaussianBasis(nn.Module):
    """Gaussians at equal distances from 0 to the cut-off, as wide as they are apart.

    The finite radial basis of the paper (equation S5). The functions have about unit second
    moment over the range, so that a following linear layer starts well scaled.
    """

    def __init__(self, cutoff: float, n_functions: int) -> None:
        super().__init__()
        centers = torch.linspace(0, cutoff, n_functions, dtype=torch.float32, device="cpu")
        self.register_buffer("centers", centers, persistent=False)
        self.width = cutoff / (n_functions - 1)
        self.n_functions = n_functions

    def forward(self, lengths: Tensor) -> Tensor:
        """Lengths in Å, shape (...), to values, shape (..., n_functions)."""
        x = (lengths.unsqueeze(-1) - self.get_buffer("centers")) / self.width
        return torch.exp(-x * x) * (math.sqrt(self.n_functions) / 1.12)


class RadialNetwork(nn.Module):
    """Hidden layer of the two-layer radial function of equation S5.

    Its second layer, linear, is part of the convolution's weights.
    """

    def __init__(self, n_basis: int, n_hidden: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(n_basis, n_hidden)

    def forward(self, basis: Tensor) -> Tensor:
        """(..., n_basis) to (..., n_hidden)."""
        return nn.functional.silu(self.hidden(basis)) * 1.679


class BesselBasis(nn.Module):
    """Spherical Bessel functions j_0 with a smooth cut-off envelope.

    sqrt(2 / r_c) sin(n pi r / r_c) / r times a polynomial that goes to zero at r_c with its
    first and second derivative (Gasteiger et al., ICLR 2020, equations 7 and 8, p = 6).
    """

    def __init__(self, cutoff: float, n_functions: int) -> None:
        super().__init__()
        self.cutoff = cutoff
        orders = torch.arange(1, n_functions + 1, dtype=torch.float32, device="cpu")
        orders = orders * (math.pi / cutoff)
        self.register_buffer("orders", orders, persistent=False)

    def forward(self, lengths: Tensor) -> Tensor:
        """Lengths in Å, shape (...), to values, shape (..., n_functions)."""
        r = lengths.clamp_min(1e-3).unsqueeze(-1)
        x = (lengths / self.cutoff).clamp(max=1.0)
        square = x * x
        envelope = 1 - square * square * square * (28 - 48 * x + 21 * square)
        envelope = math.sqrt(2 / self.cutoff) * self.cutoff * envelope.unsqueeze(-1) / r
        return torch.sin(r * self.get_buffer("orders")) * envelope
