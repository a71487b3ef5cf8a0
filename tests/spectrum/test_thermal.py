from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from ase_e3dos.errors import ImaginaryModesError, SpectrumError
from ase_e3dos.spectrum.constants import constants
from ase_e3dos.spectrum.grid import FrequencyGrid, bin_edges, named_grid
from ase_e3dos.spectrum.modes import quantile_modes
from ase_e3dos.spectrum.thermal import QUANTITIES, imaginary_fraction, thermal_property

R = constants().gas_constant
DEFAULT = named_grid("default")
X = DEFAULT.wavenumbers


def normalised(grid, y, modes=6.0):
    y = np.atleast_2d(np.asarray(y, dtype=float))
    return y * (modes / (y @ grid.trapezoid))[:, None]


def one(grid, y, quantity, t, **options):
    return thermal_property(grid, y, quantity, t, **options)[0]


def einstein(quantity, wavenumber, t):
    """Textbook formulas for one mode, in J/(K mol) and kJ/mol."""
    x = wavenumber * constants().kelvin_per_cm / t
    n = 1 / np.expm1(x)
    if quantity == "heat_capacity":
        return R * x**2 * np.exp(x) * n**2
    if quantity == "entropy":
        return R * ((n + 1) * np.log(n + 1) - n * np.log(n))
    if quantity == "internal_energy":
        return R * t * x * (n + 0.5) / 1000
    return R * t * (x / 2 + np.log(-np.expm1(-x))) / 1000


@pytest.mark.parametrize("quantity", QUANTITIES)
def test_einstein_solid(quantity):
    grid = FrequencyGrid.of(np.arange(0.0, 600.0, 0.5))
    y = normalised(grid, np.abs(grid.wavenumbers - 250) < 0.6)
    for t in (30.0, 100.0, 300.0, 2000.0):
        expected = 6 * einstein(quantity, 250.0, t)
        assert one(grid, y, quantity, [t])[0] == pytest.approx(expected, rel=3e-4)


@pytest.mark.parametrize("quantity", QUANTITIES)
@pytest.mark.parametrize("step", [1.0, 10.0])
def test_debye_solid(quantity, step):
    """g ~ w^2 up to 300 cm^-1, sampled at bin centres: only the sharp edge is blurred."""
    grid = FrequencyGrid.of(np.arange(step / 2, 500.0, step))
    edges = bin_edges(grid.wavenumbers)
    y = normalised(grid, np.diff(np.minimum(edges, 300.0) ** 3))
    for t in (5.0, 20.0, 80.0, 300.0, 1000.0):
        expected = 6 * quad(lambda w, t=t: 3 * w**2 * einstein(quantity, 300 * w, t), 0, 1)[0]
        tolerance = 2e-3 if step == 1.0 else (0.01 if t > 50 else 0.10)
        assert one(grid, y, quantity, [t])[0] == pytest.approx(expected, rel=tolerance), t


def test_third_power_of_temperature():
    y = normalised(DEFAULT, np.where((X > 0) & (X < 300), X**2, 0))
    cold, colder = one(DEFAULT, y, "heat_capacity", [0.2, 0.1])
    assert cold / colder == pytest.approx(8.0, rel=1e-4)
    s = one(DEFAULT, y, "entropy", [0.2])[0]
    assert cold / s == pytest.approx(3.0, rel=1e-4)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10**6), t=st.floats(0.5, 3000), acoustic=st.sampled_from(["debye", None])
)
def test_thermodynamic_identities(seed, t, acoustic):
    rng = np.random.default_rng(seed)
    y = normalised(DEFAULT, rng.uniform(0, 1, len(X)) * (rng.uniform(size=len(X)) < 0.3))
    nodes, weights = np.polynomial.legendre.leggauss(16)
    ts = np.concatenate([[t, 2 * t], t * (1.5 + nodes / 2)])
    c, s, f, u = (one(DEFAULT, y, q, ts, acoustic=acoustic) for q in QUANTITIES)
    weights = weights * t / 2
    assert f == pytest.approx(u - ts * s / 1000, rel=1e-6, abs=1e-9)
    assert s[1] - s[0] == pytest.approx((c / ts)[2:] @ weights, rel=1e-5, abs=1e-9)
    assert u[1] - u[0] == pytest.approx(c[2:] @ weights / 1000, rel=1e-5, abs=1e-9)
    assert f[0] - f[1] == pytest.approx(s[2:] @ weights / 1000, rel=1e-5, abs=1e-9)
    assert ((c >= 0) & (c <= 6 * R * (1 + 1e-9))).all()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_dulong_petit_counts_the_real_modes(seed):
    rng = np.random.default_rng(seed)
    y = normalised(DEFAULT, rng.uniform(0, 1, len(X)) * (X < 1000))
    real = 1 - imaginary_fraction(DEFAULT, y)[0]
    hot = one(DEFAULT, y, "heat_capacity", [3e5])[0]
    assert hot == pytest.approx(6 * R * real, rel=1e-5)
    all_real = one(DEFAULT, y, "heat_capacity", [3e5], imaginary="pretend_real")[0]
    assert all_real == pytest.approx(6 * R, rel=1e-5)


def test_pretend_real_is_the_mirror_image():
    y = normalised(DEFAULT, (X > -300) & (X < -100))
    mirror = normalised(DEFAULT, (X > 100) & (X < 300))
    for q in QUANTITIES:
        pretended = one(DEFAULT, y, q, [50.0, 300.0], imaginary="pretend_real", acoustic=None)
        assert pretended == pytest.approx(one(DEFAULT, mirror, q, [50.0, 300.0], acoustic=None))
        assert one(DEFAULT, y, q, [300.0])[0] == 0.0


def test_policies_and_temperatures_are_checked():
    y = normalised(DEFAULT, (X > -100) & (X < 300))
    with pytest.raises(ImaginaryModesError, match="pretend_real"):
        one(DEFAULT, y, "entropy", [300.0], imaginary="refuse")
    stable = normalised(DEFAULT, (X > 0) & (X < 300))
    one(DEFAULT, stable, "entropy", [300.0], imaginary="refuse")
    for options in ({"imaginary": "keep"}, {"acoustic": "einstein"}):
        with pytest.raises(SpectrumError):
            one(DEFAULT, y, "entropy", [300.0], **options)
    for t in ([-1.0], [np.nan], [np.inf]):
        with pytest.raises(SpectrumError, match="kelvin"):
            one(DEFAULT, y, "entropy", t)
    with pytest.raises(SpectrumError, match="heat_capacity"):
        one(DEFAULT, y, "enthalpy", [300.0])


@pytest.mark.parametrize("acoustic", ["debye", None])
@pytest.mark.parametrize("name", ["default", "paper", "imaginary"])
def test_never_nan(name, acoustic):
    grid = named_grid(name)
    t = np.array([0, 1e-300, 1e-6, 1e-3, 0.1, 1, 3000.0])
    for y in (np.ones(len(grid)), grid.wavenumbers < 30, grid.wavenumbers == grid.wavenumbers[-1]):
        for q in QUANTITIES:
            for policy in ("drop", "pretend_real"):
                values = one(grid, normalised(grid, y), q, t, imaginary=policy, acoustic=acoustic)
                assert np.isfinite(values).all()
        assert one(grid, normalised(grid, y), "entropy", [0.0])[0] == 0.0


def test_a_batch_is_its_rows():
    y = normalised(DEFAULT, np.random.default_rng(3).uniform(0, 1, (7, len(X))) ** 8)
    t = [0.0, 10.0, 300.0]
    for q in QUANTITIES:
        together = thermal_property(DEFAULT, y, q, t)
        alone = np.concatenate([thermal_property(DEFAULT, y[[i]], q, t) for i in range(7)])
        assert together == pytest.approx(alone, rel=1e-12)


def test_quantiles_hold_equal_shares():
    rng = np.random.default_rng(4)
    y = normalised(DEFAULT, rng.uniform(0, 1, len(X)) * (X < 600))[0]
    levels = (np.arange(20000) + 0.5) / 20000
    edges = bin_edges(X)
    modes = quantile_modes(DEFAULT, y, levels, acoustic=None) * constants().thz_to_cm
    counted = np.searchsorted(modes, edges) / len(levels)
    assert counted == pytest.approx(DEFAULT.binned(y, edges) / 6, abs=6e-5)
    repaired = quantile_modes(DEFAULT, y, levels)
    assert (np.diff(repaired) >= 0).all()
    assert (repaired < 0).sum() == (modes < 0).sum()


@pytest.mark.data
def test_published_heat_capacity_at_300_kelvin(dfpt):
    """The publisher's C_V, entropy and energies from the same spectra (rounded there)."""
    checked = 0
    for row in dfpt:
        if row["heat_capacity_300K"] is None or not row["stable"]:
            continue
        grid = FrequencyGrid.of(row["wavenumbers"])
        y = normalised(grid, row["density"], 3 * row["n_sites"])
        c, s, f, u = (one(grid, y, q, [300.0])[0] for q in QUANTITIES)
        assert c == pytest.approx(row["heat_capacity_300K"], rel=2e-3)
        assert s == pytest.approx(row["entropy_300K"], rel=5e-3)
        assert u == pytest.approx(row["internal_300K"], rel=2e-3)
        assert f == pytest.approx(row["helmholtz_300K"], abs=0.02 * row["n_sites"])
        checked += 1
    assert checked > 900


@pytest.mark.data
@pytest.mark.parametrize(
    ("t", "quantity", "limit"),
    [(10.0, "heat_capacity", 0.01), (10.0, "entropy", 0.03), (20.0, "heat_capacity", 0.003),
     (20.0, "entropy", 0.006)],
)  # fmt: skip
def test_bins_follow_the_fine_spectrum_at_low_temperature(dfpt, t, quantity, limit):
    """Median over stable crystals. The smeared 1 cm^-1 spectra end below zero; their lowest
    5.5 cm^-1 are given the acoustic law (this moves the reference by under 1 %)."""
    edges, binned, reference = bin_edges(X), [], []
    for row in dfpt:
        if not row["stable"]:
            continue
        w, y = row["wavenumbers"], row["density"] / row["density"].sum() * 3 * row["n_sites"]
        low = y[w < 5.5].sum()
        debye = 3 * low * quad(lambda v: v**2 * einstein(quantity, 5.5 * v, t), 1e-9, 1)[0]
        reference.append((y * einstein(quantity, np.maximum(w, 1e-3), t))[w >= 5.5].sum() + debye)
        sums = np.interp(edges, np.append(w - 0.5, w[-1] + 0.5), np.append(0, np.cumsum(y)))
        sums[edges <= 0] = 0.0
        binned.append(np.diff(sums))
    y = normalised(DEFAULT, binned)
    y *= np.array([[3 * row["n_sites"] / 6] for row in dfpt if row["stable"]])
    got = thermal_property(DEFAULT, y, quantity, [t])[:, 0]
    error = np.abs(got / np.array(reference) - 1)
    assert np.median(error) < limit
