"""Real spherical harmonics and coupling coefficients up to l = 2, in closed form.

They equal those of e3nn (``spherical_harmonics(..., normalization="component")`` and
``wigner_3j``) up to the sign of a coupling, without importing it: e3nn takes longer to import
than a crystal to predict. The tests compare both.
"""

from __future__ import annotations

import math
from functools import cache

import torch
from torch import Tensor


def spherical_harmonics(vectors: Tensor, lengths: Tensor, l_max: int) -> Tensor:
    """Real spherical harmonics of all degrees up to `l_max`, component normalisation.

    Parameters
    ----------
    vectors : torch.Tensor
        Shape (..., 3).
    lengths : torch.Tensor
        Norms of the vectors, shape (...). Where zero, only l = 0 is nonzero (a self-edge).
    l_max : int
        0, 1 or 2.

    Returns
    -------
    Tensor
        Shape (..., (l_max + 1)**2); the components of degree l have mean square 1 over the
        sphere. Order within a degree as in e3nn: (x, y, z) for l = 1.
    """
    one = torch.ones_like(lengths).unsqueeze(-1)
    if l_max == 0:
        return one
    # The clamp turns the zero vector into zero harmonics instead of 0/0.
    unit = vectors / lengths.clamp_min(1e-6).unsqueeze(-1)
    if l_max == 1:
        return torch.cat([one, math.sqrt(3) * unit], dim=-1)
    products = (unit.unsqueeze(-1) * unit.unsqueeze(-2)).flatten(-2)
    return torch.cat(
        [one, math.sqrt(3) * unit, products @ _second(unit.device, unit.dtype)], dim=-1
    )


@cache
def _second(device: torch.device, dtype: torch.dtype) -> Tensor:
    """From products of the components of a unit vector to its l = 2 harmonics, shape (9, 5).

    One matrix product: for a single crystal two dozen operations on few numbers take longer. The
    mean square of u.Q.u over the sphere is 2/15 of Q:Q.
    """
    with torch.inference_mode(False):  # kept, and used in trainings too
        return (quadrupoles().flatten(1).t() * math.sqrt(15 / 2)).to(device, dtype)


def quadrupoles() -> Tensor:
    """Orthonormal traceless symmetric 3x3 matrices in the order of the l = 2 harmonics.

    Returns
    -------
    Tensor
        Shape (5, 3, 3), float64.
    """
    s, t = 1 / math.sqrt(2), 1 / math.sqrt(6)
    q = torch.zeros(5, 3, 3, dtype=torch.float64, device="cpu")
    q[0, 0, 2] = q[0, 2, 0] = s
    q[1, 0, 1] = q[1, 1, 0] = s
    q[2] = torch.diag(torch.tensor([-t, 2 * t, -t], dtype=torch.float64, device="cpu"))
    q[3, 1, 2] = q[3, 2, 1] = s
    q[4] = torch.diag(torch.tensor([-s, 0, s], dtype=torch.float64, device="cpu"))
    return q


def coupling(l_1: int, l_2: int, l_out: int) -> Tensor:
    """Coupling coefficients of l_1 x l_2 -> l_out, scaled to keep the variance.

    Returns
    -------
    Tensor
        Shape (2 l_1 + 1, 2 l_2 + 1, 2 l_out + 1), float32: sqrt(2 l_out + 1) times the
        3j symbol in the real basis, up to a sign.

    Raises
    ------
    ValueError
        A degree above 2, or degrees that do not couple.
    """
    degrees = (l_1, l_2, l_out)
    if max(degrees) > 2 or not abs(l_1 - l_2) <= l_out <= l_1 + l_2:
        raise ValueError(f"no coupling {l_1} x {l_2} -> {l_out} up to l = 2")
    if 0 in degrees:
        # One factor is a scalar: what remains is the identity.
        size = 2 * max(degrees) + 1
        tensor = torch.eye(size, dtype=torch.float64, device="cpu").unsqueeze(degrees.index(0))
    elif degrees == (1, 1, 1):
        tensor = torch.zeros(3, 3, 3, dtype=torch.float64, device="cpu")
        tensor[0, 1, 2] = tensor[1, 2, 0] = tensor[2, 0, 1] = 1
        tensor[0, 2, 1] = tensor[2, 1, 0] = tensor[1, 0, 2] = -1
    elif degrees.count(1) == 2:
        # Two vectors and a quadrupole: v.Q.w
        tensor = quadrupoles().movedim(0, degrees.index(2))
    elif degrees.count(2) == 3:
        q = quadrupoles()
        tensor = torch.einsum("aij,bjk,cki->abc", q, q, q)
    else:
        raise ValueError(f"the coupling {l_1} x {l_2} -> {l_out} is odd and not used here")
    scaled: Tensor = tensor * math.sqrt(2 * l_out + 1) / torch.linalg.vector_norm(tensor)
    return scaled.to(torch.float32)
