"""Pieces: modes are kept, and the bins of a known density are read as that density."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from ase_e3dos.spectrum import pieces as pieces_module
from ase_e3dos.spectrum.constants import constants
from ase_e3dos.spectrum.grid import FrequencyGrid, bin_edges, named_grid
from ase_e3dos.spectrum.pieces import first_real, knots_of, pieces_of
from ase_e3dos.spectrum.thermal import QUANTITIES, thermal_property

GRIDS = {
    "default": named_grid("default").wavenumbers,
    "paper": named_grid("paper").wavenumbers,
    "point at zero": np.arange(-60.0, 200.0, 20.0),
    "zero anywhere": -2.4142 + np.arange(40.0),
    "no imaginary part": np.arange(5.0, 200.0, 10.0),
    "one imaginary bin": np.arange(-5.0, 100.0, 10.0),
    "one real bin": np.arange(-45.0, 6.0, 10.0),
}


@pytest.mark.parametrize("name", GRIDS)
@given(seed=st.integers(0, 10**6))
def test_modes_are_kept_and_densities_stay_positive(name, seed):
    grid = FrequencyGrid.of(GRIDS[name])
    rng = np.random.default_rng(seed)
    y = rng.uniform(0, 1, (2, len(grid))) * (rng.uniform(size=len(grid)) < 0.5)
    found, knots, first = pieces_of(grid, y), knots_of(grid), first_real(grid)
    assert found.masses.shape == found.slopes.shape == (2, len(knots) - 1)
    assert found.masses.sum(axis=1) == pytest.approx(y @ grid.trapezoid, rel=1e-12)
    assert (np.abs(found.slopes) <= 2 * found.masses + 1e-15).all()
    assert (knots[first + 1 :] > 0).all()
    assert (knots[:first] < 0).all()


def test_bins_of_a_parabola_are_the_parabola():
    """The slope of g ~ w^2 within each bin, but for the first, which ends at the wall."""
    grid = named_grid("default")
    edges = bin_edges(grid.wavenumbers)
    density = np.diff(np.clip(edges, 0, 300) ** 3) / 10  # the mean of 3 w^2
    inside = slice(first_real(grid) + 1, first_real(grid) + 29)
    expected = np.diff(3 * edges**2)[inside] * (10 / constants().thz_to_cm)
    assert pieces_of(grid, density).slopes[inside] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("quantity", QUANTITIES)
def test_slopes_far_from_zero_do_not_matter(quantity, monkeypatch):
    """What `N_SLOPED` leaves out."""
    grid = named_grid("default")
    rng = np.random.default_rng(0)
    y = rng.uniform(0, 1, (50, len(grid))) * (rng.uniform(size=(50, len(grid))) < 0.2)
    y *= grid.wavenumbers > 0
    y *= 6 / (y @ grid.trapezoid)[:, None]
    t = [10.0, 50.0, 100.0, 300.0, 1000.0]
    found = thermal_property(grid, y, quantity, t)
    monkeypatch.setattr(pieces_module, "N_SLOPED", len(grid))
    assert found == pytest.approx(thermal_property(grid, y, quantity, t), rel=1e-4)


@pytest.mark.parametrize("t", [3.0, 5.0, 10.0, 20.0, 100.0])
def test_heat_capacity_of_binned_debye_solids(t):
    """No deviation of more than 1 %, whatever the cut-off and the temperature."""
    grid = named_grid("default")
    x = constants().kelvin_per_cm / t

    def debye(u):
        e = np.exp(-u)
        return u**4 * e / (1 - e) ** 2 if u > 0 else 0.0

    for top in (90.0, 200.0, 450.0, 1000.0):
        y = np.diff(np.clip(bin_edges(grid.wavenumbers), 0, top) ** 3)
        y = y * (3 / (y @ grid.trapezoid))
        end = min(top * x, 200.0)
        expected = 3 * constants().gas_constant * 3 / (top * x) ** 3 * quad(debye, 0, end)[0]
        got = thermal_property(grid, y[None], "heat_capacity", [t])[0, 0]
        assert got == pytest.approx(expected, rel=0.01), top
