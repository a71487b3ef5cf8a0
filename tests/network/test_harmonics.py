"""Closed forms against e3nn."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from e3nn import o3

from ase_e3dos.errors import WeightsError
from ase_e3dos.network.harmonics import coupling, spherical_harmonics

TRIPLES = [
    t
    for t in itertools.product(range(3), repeat=3)
    if abs(t[0] - t[1]) <= t[2] <= t[0] + t[1] and (0 in t or t == (1, 1, 1) or sum(t) % 2 == 0)
]


@pytest.mark.parametrize("l_max", [0, 1, 2])
def test_harmonics_are_those_of_e3nn(l_max: int) -> None:
    vectors = torch.randn(200, 3, dtype=torch.float64)
    ours = spherical_harmonics(vectors, vectors.norm(dim=-1), l_max)
    theirs = o3.spherical_harmonics(
        list(range(l_max + 1)), vectors, normalize=True, normalization="component"
    )
    torch.testing.assert_close(ours, theirs, atol=1e-12, rtol=0)


def test_a_self_edge_has_only_the_constant_harmonic() -> None:
    y = spherical_harmonics(torch.zeros(1, 3), torch.zeros(1), 2)
    assert y.tolist() == [[1.0] + [0.0] * 8]


@pytest.mark.parametrize("degrees", TRIPLES, ids=str)
def test_couplings_are_wigner_3j_symbols_up_to_sign(degrees: tuple[int, int, int]) -> None:
    theirs = o3.wigner_3j(*degrees).float() * math.sqrt(2 * degrees[2] + 1)
    ours = coupling(*degrees)
    sign = torch.sign((ours * theirs).sum())
    torch.testing.assert_close(ours, sign * theirs, atol=1e-6, rtol=0)


@pytest.mark.parametrize("degrees", [(0, 1, 2), (1, 1, 3), (3, 3, 0), (1, 2, 2)])
def test_impossible_or_unused_couplings_are_refused(degrees: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="coupling"):
        coupling(*degrees)


def test_the_kit_compares_with_e3nn(monkeypatch: pytest.MonkeyPatch) -> None:
    from ase_e3dos.network import harmonics
    from ase_e3dos.testing import check_harmonics

    assert len(check_harmonics()) == 1 + len(TRIPLES)
    monkeypatch.setattr(harmonics, "coupling", lambda *degrees: 1.01 * coupling(*degrees))
    with pytest.raises(WeightsError, match=r"coupling 1 x 1 -> 2"):
        check_harmonics()
