from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from ase_e3dos.errors import SpectrumError
from ase_e3dos.phonon_spectrum import PhononSpectrum
from ase_e3dos.spectrum import Calibration, fit_spread
from ase_e3dos.spectrum.constants import constants


def held_out(n, seed):
    """Residuals with heavy tails whose scale the spread knows in part."""
    rng = np.random.default_rng(seed)
    std = rng.lognormal(0, 0.7, n)
    return rng.standard_t(3, n) * np.hypot(0.5, 2 * std), std


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9, 0.95])
def test_coverage_on_new_crystals(level):
    """Averaged over calibrations: at least the level, and not much more."""
    covered = []
    for seed in range(150):
        spread = fit_spread(*held_out(150, seed))
        r, s = held_out(400, seed + 10_000)
        covered.append((np.abs(r) <= spread.half_width(s, level)).mean())
    assert level - 0.01 < np.mean(covered) < level + 0.03


def test_wide_ensembles_get_wide_intervals():
    spread = fit_spread(*held_out(4000, 1))
    assert spread.half_width(2.0, 0.9) > 2 * spread.half_width(0.2, 0.9)
    flat = fit_spread(held_out(100, 2)[0], np.zeros(100))
    assert flat.unit == 0
    assert flat.half_width([0.0, 9.0], 0.9)[0] == flat.half_width([0.0, 9.0], 0.9)[1] > 0


def test_covariates_say_where_the_ensemble_errs_together():
    """Residuals that grow with a covariate: coverage holds among the best and the worst."""
    rng = np.random.default_rng(5)
    std = rng.lognormal(0, 0.5, 4000)
    covariates = np.exp(rng.normal(0, 1, (4000, 4)) * [0.7, 0.3, 0.5, 0.4])
    r = rng.laplace(0, 1, 4000) * np.hypot(0.3, std) * covariates[:, 0] / covariates[:, 2] ** 0.5
    spread = fit_spread(r[:2000], std[:2000], covariates[:2000])
    assert spread.exponents == pytest.approx((1.0, 0.0, -0.5, 0.0), abs=0.15)
    new, half = np.abs(r[2000:]), spread.half_width(std[2000:], 0.9, covariates[2000:])
    for group in (covariates[2000:, 0] < 0.7, covariates[2000:, 0] > 1.5):
        assert (new[group] <= half[group]).mean() == pytest.approx(0.9, abs=0.04)
    with pytest.raises(SpectrumError, match="covariates"):
        spread.half_width(1.0, 0.9)


def test_a_kind_of_chemistry_with_larger_errors_gets_wider_intervals():
    """Where the spread cannot tell: coverage holds within the kind and among all others."""
    rng = np.random.default_rng(8)
    std = rng.lognormal(0, 0.5, 3000)
    kind = rng.random(3000) < 0.15
    covariates = np.exp(np.column_stack([np.zeros((3000, 4)), kind, rng.random(3000) < 0.3]))
    r = rng.laplace(0, 1, 3000) * np.hypot(0.3, std) * np.where(kind, 2.5, 1.0)
    spread = fit_spread(r[:1500], std[:1500], covariates[:1500])
    assert np.exp(spread.exponents[4:]) == pytest.approx([2.5, 1.0], abs=0.25)
    half = spread.half_width(std[1500:], 0.9, covariates[1500:])
    inside = np.abs(r[1500:]) <= half
    for group in (kind[1500:], ~kind[1500:]):
        assert inside[group].mean() == pytest.approx(0.9, abs=0.04)
    plain = fit_spread(r[:1500], std[:1500]).half_width(std[1500:], 0.9)
    assert (np.abs(r[1500:]) <= plain)[kind[1500:]].mean() < 0.7
    with pytest.raises(SpectrumError, match="6 covariates, and 4"):
        spread.half_width(1.0, 0.9, np.ones(4))


def test_a_kind_with_few_crystals_hardly_counts():
    rng = np.random.default_rng(9)
    few = np.arange(1000) < 3
    covariates = np.exp(np.column_stack([np.zeros((1000, 4)), few]))
    r = rng.laplace(0, 1, 1000)
    r[few] = 5.0
    spread = fit_spread(r, np.ones(1000), covariates)
    assert 1.0 < np.exp(spread.exponents[4]) < 4.0  # five, by themselves


def test_labels_of_another_method_say_where_errors_are_larger_and_not_how_large():
    rng = np.random.default_rng(10)
    kind = rng.random(2000) < 0.5
    covariates = np.exp(np.column_stack([np.zeros((2000, 4)), kind]))
    aside = np.arange(2000) >= 1000
    kind_of_own = kind & ~aside
    covariates[kind_of_own] = 1.0  # of its own kind there is none
    r = rng.laplace(0, 1, 2000) * np.where(aside, 4.0 * np.where(kind, 3.0, 1.0), 1.0)
    spread = fit_spread(r, np.ones(2000), covariates, aside=aside)
    alone = fit_spread(r[~aside], np.ones(1000), covariates[~aside])
    plain, of_kind = np.ones(5), np.exp([0.0, 0.0, 0.0, 0.0, 1.0])
    width = spread.half_width(1.0, 0.9, plain)
    assert width == pytest.approx(alone.half_width(1.0, 0.9, plain), rel=0.1)
    assert spread.half_width(1.0, 0.9, of_kind) / width == pytest.approx(3.0, rel=0.15)
    assert spread.n == 1000


def test_weights_stand_for_repeated_crystals():
    r, s = held_out(300, 11)
    counts = np.where(np.arange(300) < 30, 10, 1)
    weighted = fit_spread(r, s, weights=counts)
    repeated = fit_spread(np.repeat(r, counts), np.repeat(s, counts))
    for level in (0.5, 0.9):
        assert weighted.half_width(1.0, level) == pytest.approx(
            repeated.half_width(1.0, level), rel=0.1
        )
    assert weighted.half_width(1.0, 0.9) != pytest.approx(
        fit_spread(r, s).half_width(1.0, 0.9), rel=1e-6
    )


def test_levels_that_the_data_cannot_support_are_refused():
    spread = fit_spread(*held_out(40, 3))
    with pytest.raises(SpectrumError, match="40 held-out"):
        spread.half_width(1.0, 0.98)
    # between two calibrated levels the wider one holds
    assert spread.half_width(1.0, 0.81) == spread.half_width(1.0, 0.85)
    for r, s in ((np.ones(5), np.ones(5)), (np.ones(20), np.ones(19)), ([np.nan] * 20, [1] * 20)):
        with pytest.raises(SpectrumError, match="10 crystals"):
            fit_spread(r, s)


@pytest.fixture
def calibration():
    def spreads(scale):
        r, s = held_out(200, 4)
        return fit_spread(scale * r, scale * s)

    return Calibration(
        {
            "heat_capacity": {t: spreads(0.01) for t in (100.0, 300.0, 600.0)},
            "entropy": {t: spreads(0.01 * t / 100) for t in (100.0, 300.0, 600.0)},
            "free_energy": {t: spreads(0.001 * t / 100) for t in (100.0, 300.0, 600.0)},
            "mean_wavenumber": {0.0: spreads(1.0)},
            "density": {0.0: spreads(0.01)},
        },
        source="made up",
    )


def test_json_round_trip(calibration, tmp_path):
    calibration.save(tmp_path / "c.json")
    again = Calibration.load(tmp_path / "c.json")
    assert again == calibration
    assert json.loads((tmp_path / "c.json").read_text())["source"] == "made up"
    with pytest.raises(SpectrumError, match="damaged"):
        Calibration.from_dict({"spreads": {"entropy": {"300": {"a": 1}}}})


def test_half_widths_between_and_beyond_temperatures(calibration):
    def width(quantity, t):
        return float(calibration.half_width(quantity, 1e-9, temperature=t))

    assert width("entropy", 200) == pytest.approx(2 * width("entropy", 100), rel=1e-4)
    assert width("heat_capacity", 50) == pytest.approx(width("heat_capacity", 100) / 2)
    assert width("free_energy", 0) == width("free_energy", 100)
    assert width("free_energy", 1200) == pytest.approx(2 * width("free_energy", 600))
    assert width("mean_wavenumber", 5) == width("mean_wavenumber", 500)


def test_errors_at_low_temperatures_are_shares_of_the_values(calibration):
    r, s = held_out(200, 5)
    shares = {t: fit_spread(0.1 * r, 0.1 * s) for t in (10.0, 20.0)}
    known = replace(calibration, spreads={**calibration.spreads, "relative_heat_capacity": shares})

    def width(t, value):
        return float(known.half_width("heat_capacity", 0.05 * value, temperature=t, value=value))

    for t in (2.0, 10.0, 20.0):
        assert width(t, 3.0) == pytest.approx(3000 * width(t, 0.001), rel=1e-9)
    assert width(10.0, 3.0) == pytest.approx(3.0 * float(shares[10.0].half_width(0.05, 0.9)))
    assert width(2.0, 3.0) == width(10.0, 3.0)
    assert width(100.0 - 1e-6, 3.0) == pytest.approx(width(100.0, 3.0), rel=1e-4)
    shares[100.0] = shares[20.0]  # before the absolute width of the same temperature
    assert width(100.0, 3.0) == pytest.approx(3000 * width(100.0, 0.001), rel=1e-9)
    above = [known.half_width("heat_capacity", 0.1, temperature=600.0, value=v) for v in (3, 9)]
    assert above[0] == above[1] == calibration.half_width("heat_capacity", 0.1, temperature=600.0)
    entropy = known.half_width("entropy", 0.1, temperature=5.0, value=1.0)
    assert entropy == calibration.half_width("entropy", 0.1, temperature=5.0)  # not among them


def test_intervals_of_a_spectrum(spectrum, calibration):
    spectrum.calibration = calibration
    for q in ("heat_capacity", "entropy", "free_energy"):
        low, high = spectrum.interval(q, level=0.9, temperature=300.0)
        assert low < getattr(spectrum, q)(300.0) < high
        narrow = spectrum.interval(q, level=0.5)
        assert low < narrow[0] < narrow[1] < high
        several = spectrum.interval(q, 0.9, [[20.0, 300.0], [5.0, 1200.0]])
        each = [spectrum.interval(q, 0.9, t) for t in (20.0, 300.0, 5.0, 1200.0)]
        np.testing.assert_allclose(np.reshape(several, (2, 4)).T, each, rtol=1e-12)
        per_atom = spectrum.per_atom().interval(q)
        assert per_atom == pytest.approx((low / 2, high / 2))
    low, high = spectrum.interval("mean_wavenumber")
    assert (low + high) / 2 == pytest.approx(spectrum.mean_wavenumber)
    low, high = spectrum.interval("density")
    assert (low >= 0).all()
    assert (low <= spectrum.density).all()
    filled = spectrum.density > 0
    assert (high[filled] > spectrum.density[filled]).all()
    assert (high[~filled] == 0).all()  # no error bars where no member has modes


@pytest.mark.parametrize("quantity", ["foo", "internal_energy", "u_iso", "log_sound_velocity", []])
def test_the_refusal_names_what_can_be_asked_for(spectrum, calibration, quantity):
    spectrum.calibration = calibration
    with pytest.raises(SpectrumError, match="u_iso_interval") as refused:
        spectrum.interval(quantity)
    offered = str(refused.value).split("takes ")[1].split(", and")[0].split(", ")
    assert {"sound_velocity", "debye_temperature", "density"} < set(offered)
    for name in offered[:-2]:  # the last two need a velocity
        spectrum.interval(name)
    with pytest.raises(SpectrumError, match="No error bars"):
        spectrum.spread("u_iso")


def test_intervals_stay_physical(spectrum, calibration):
    spectrum.calibration = calibration
    limit = 6 * constants().gas_constant
    assert spectrum.interval("heat_capacity", 0.95, 3000.0)[1] <= limit
    assert spectrum.interval("heat_capacity", 0.95, 1.0)[0] >= 0
    assert spectrum.interval("entropy", 0.95, 1.0)[0] >= 0


def test_no_ensemble_no_interval(spectrum, rock_salt, calibration):
    alone = PhononSpectrum(
        spectrum.wavenumbers, spectrum.density, crystal=rock_salt, calibration=calibration
    )
    with pytest.raises(SpectrumError, match="uncertainty=True"):
        alone.interval("heat_capacity")
    assert alone.density_std is None
    with pytest.raises(SpectrumError, match="no calibration"):
        spectrum.interval("heat_capacity")
    assert spectrum.spread("heat_capacity") > 0
    with pytest.raises(SpectrumError, match="No error bars"):
        spectrum.spread("enthalpy")
