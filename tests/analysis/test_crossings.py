"""Changes of sign, those on a point of the grid among them."""

import numpy as np
import pytest

from ase_e3dos.analysis.crossings import crossings

T = np.array([100.0, 200.0, 300.0, 400.0])


@pytest.mark.parametrize("at", [150.0, 200.0, 300.0, 333.0])
def test_a_line_crosses_zero_once_wherever_the_grid_lies(at: float) -> None:
    (found,) = crossings(T, T - at, np.full(4, 10.0))
    assert found.temperature == pytest.approx(at)
    assert found.rising
    assert found.interval == pytest.approx((at - 10, at + 10), abs=1e-6)


def test_a_curve_that_only_touches_zero_does_not_cross_it() -> None:
    assert crossings(T, np.array([-2.0, 0.0, -1.0, -2.0]), None) == ()
    assert crossings(T, np.array([0.0, 1.0, 2.0, 3.0]), None) == ()
