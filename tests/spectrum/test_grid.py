from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import savgol_filter

from ase_e3dos.errors import SpectrumError
from ase_e3dos.spectrum.constants import constants
from ase_e3dos.spectrum.grid import FrequencyGrid, bin_edges, named_grid, paper_label
from ase_e3dos.spectrum.thermal import imaginary_fraction

GRIDS = {
    "point at zero": np.arange(-60.0, 200.0, 20.0),
    "zero half-way": np.arange(-55.0, 300.0, 10.0),
    "zero anywhere": -2.4142 + np.arange(40.0),
    "positive": np.arange(5.0, 200.0, 10.0),
}


@pytest.mark.parametrize("name", GRIDS)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), a=st.floats(-80, 320), b=st.floats(-80, 320))
def test_cumulative_is_the_integral_of_the_pieces(name, seed, a, b):
    grid = FrequencyGrid.of(GRIDS[name])
    y = np.random.default_rng(seed).uniform(0, 1, len(grid))
    low, high = sorted([a, b])
    left, right, masses = grid.pieces(y)
    x = np.linspace(low, high, 200_001)
    middle = (x[1:] + x[:-1]) / 2
    k = np.clip(np.searchsorted(grid.knots, middle, side="right") - 1, 0, len(masses) - 1)
    t = (middle - grid.knots[k]) / np.diff(grid.knots)[k]
    inside = (middle > grid.knots[0]) & (middle < grid.knots[-1])
    value = np.where(inside, left[k] + (right[k] - left[k]) * t, 0.0).sum() * (x[1] - x[0])
    got = np.diff(grid.cumulative(y, [low, high]))[0]
    assert got == pytest.approx(value / constants().thz_to_cm, abs=1e-4)


@pytest.mark.parametrize("name", GRIDS)
def test_the_pieces_hold_what_the_trapezoid_rule_gives(name):
    grid = FrequencyGrid.of(GRIDS[name])
    y = np.random.default_rng(1).uniform(0, 1, len(grid))
    total = np.trapezoid(y, grid.frequencies)
    assert grid.pieces(y)[2].sum() == pytest.approx(total, rel=1e-12)
    assert grid.cumulative(y, [1e9])[0] == pytest.approx(total, rel=1e-12)


@pytest.mark.parametrize("name", ["zero half-way", "zero anywhere"])
def test_no_weight_crosses_zero_between_two_points(name):
    grid = FrequencyGrid.of(GRIDS[name])
    y = (grid.wavenumbers > 0).astype(float)
    assert grid.cumulative(y, [0.0])[0] == 0.0
    assert imaginary_fraction(grid, y) == 0.0
    assert imaginary_fraction(grid, 1 - y) == pytest.approx(1.0)


def test_imaginary_fraction_is_the_weight_below_zero():
    for x in GRIDS.values():
        grid = FrequencyGrid.of(x)
        y = np.random.default_rng(2).uniform(0, 1, len(grid))
        below = grid.cumulative(y, [0.0])[0] / grid.cumulative(y, [1e9])[0]
        assert imaginary_fraction(grid, y) == pytest.approx(below, abs=1e-12)


def test_the_built_in_grids():
    assert named_grid("paper").wavenumbers[[0, -1]].tolist() == [0.0, 1000.0]
    assert named_grid("imaginary").wavenumbers[[0, -1]].tolist() == [-200.0, 1000.0]
    default = named_grid("default").wavenumbers
    assert len(default) == 480
    assert default[[0, -1]].tolist() == [-395.0, 4395.0]
    assert 0.0 not in default
    with pytest.raises(SpectrumError, match="paper"):
        named_grid("fine")


@pytest.mark.parametrize(
    "wrong",
    [[0, 1], [0, 1, 3], [3, 2, 1], [0, np.nan, 2], [[0, 1, 2]], [-3, -2, -1], [0, np.inf, 1]],
)
def test_other_grids_are_refused(wrong):
    with pytest.raises(SpectrumError):
        FrequencyGrid.of(np.array(wrong, dtype=float).ravel()) if np.ndim(wrong) == 1 else (
            FrequencyGrid(wrong)
        )


def test_bins_lie_half_way():
    assert bin_edges([0, 10, 30]).tolist() == [-5, 5, 20, 40]
    for wrong in ([1], [2, 1], [0, np.nan]):
        with pytest.raises(SpectrumError):
            bin_edges(wrong)


def test_paper_label_smooths_as_scipy_does():
    x = -2.414220753382029 + np.arange(500.0)
    y = np.where(x > 0, np.exp(-(((x - 200) / 5) ** 2)), 0.0) + 0.01 * (x > 3) * (x < 438)
    # the filter sees zeros up to 60 cm^-1 above the last weight
    smooth = savgol_filter(y, 101, 3)
    at = np.arange(0, 1001, 20.0)
    expected = np.clip(np.interp(at, x, smooth, left=0, right=0), 0, None)
    assert np.allclose(paper_label(FrequencyGrid.of(x), y, at), expected, atol=1e-12)


@pytest.mark.data
def test_paper_label_from_ten_wavenumber_bins_is_the_published_label(dfpt):
    """What the training labels are (filter of the raw spectrum) against binned spectra."""
    at, edges = np.arange(0, 1001, 20.0), bin_edges(named_grid("default").wavenumbers)
    error, spread = [], []
    for row in dfpt[::5]:
        x, y = row["wavenumbers"], row["density"]
        n = 101 if len(y) >= 101 else (len(y) - 1) // 2 * 2 + 1
        label = np.clip(np.interp(at, x, savgol_filter(y, n, 3), left=0, right=0), 0, None)
        sums = np.interp(edges, np.append(x - 0.5, x[-1] + 0.5), np.append(0, np.cumsum(y)))
        binned = np.diff(sums)
        if row["stable"]:
            binned = np.where(edges[1:] > 0, binned, 0.0)
        ours = paper_label(named_grid("default"), binned, at)
        error.append(((ours / ours.max() - label / label.max()) ** 2).mean())
        spread.append(label / label.max())
    assert np.mean(error) < 0.005 * np.var(spread)  # R2 above 0.995


def test_constants_are_those_of_phonopy_which_is_not_imported_for_them() -> None:
    code = (
        "import sys; from ase_e3dos.spectrum.constants import constants; c = constants()\n"
        "assert 'phonopy' not in sys.modules\n"
        "from phonopy.physical_units import get_physical_units; p = get_physical_units()\n"
        "assert (c.thz_to_cm, c.thz_to_ev) == (p.THzToCm, p.THzToEv)\n"
        "assert (c.boltzmann_ev, c.ev_to_kj_mol) == (p.KB, p.EvTokJmol)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
