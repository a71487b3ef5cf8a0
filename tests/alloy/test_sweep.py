from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from ase.build import bulk

from ase_e3dos import PhononSpectrum, predict
from ase_e3dos.alloy import composition_sweep, linear_mixture, plot_sweep, supercell_comparison
from ase_e3dos.alloy.comparison import spectral_distance
from ase_e3dos.alloy.sweep import composition_grid, property_row
from ase_e3dos.errors import AlloyError
from ase_e3dos.plugins import get_registry
from ase_e3dos.structures.crystal import Crystal

from .conftest import ENDS, cu3au

pytestmark = pytest.mark.filterwarnings("ignore::ase_e3dos.errors.E3DOSWarning")


@pytest.fixture(scope="module")
def sweep(default_model):
    return composition_sweep(ENDS, 5, model=default_model, device="cpu")


def test_ends_are_the_predicted_spectra(sweep):
    # the same crystals in the same batch: equal to the last bit; in other batches to rounding
    for k, end in ((0, sweep.ends[0]), (-1, sweep.ends[1])):
        np.testing.assert_array_equal(sweep.spectra[k].density, end.density)
    for path, end in zip(ENDS, sweep.ends, strict=True):
        alone = predict(path, device="cpu")[0]
        np.testing.assert_allclose(end.density, alone.density, atol=1e-5 * alone.density.max())


def test_order_of_species_does_not_matter(sweep):
    other = composition_sweep(ENDS[::-1], 5, device="cpu")
    for a, b in zip(sweep.spectra, other.spectra[::-1], strict=True):
        np.testing.assert_allclose(a.density, b.density, atol=1e-4 * a.density.max())
        assert a.crystal.formula == b.crystal.formula


def test_spectrum_is_continuous_in_composition(default_model):
    """Halving the step halves the change (a jump would keep its size), ends included."""
    fine = composition_sweep([bulk("Cu"), bulk("Au")], 33, uncertainty=False, device="cpu")
    densities = np.array([s.per_atom().density for s in fine.spectra])

    def largest_change(step: int) -> float:
        return np.abs(np.diff(densities[::step], axis=0)).sum(axis=1).max()

    changes = [largest_change(step) for step in (4, 2, 1)]
    assert changes[0] > 0
    for coarse, halved in pairwise(changes):
        assert halved < 0.75 * coarse
    distances = [spectral_distance(*fine.spectra[k : k + 2]) for k in (0, 16, 31)]
    whole = spectral_distance(fine.spectra[0], fine.spectra[-1])
    assert max(distances) < 10 * whole / 32


@pytest.mark.parametrize("model", ["default", "paper", "imaginary", "alloy"])
def test_limits_for_every_model(model):
    """p = 0 and 1 are the end members; the approach to them is smooth; order does not matter."""
    if model not in get_registry().models():
        pytest.skip(f"the model {model!r} is not there")
    p = [0.0, 1e-7, 1e-4, 0.3, 1 - 1e-7, 1.0]
    options = {"model": model, "device": "cpu", "uncertainty": False}
    spectra = composition_sweep(ENDS, p, **options).spectra
    alone = [predict(path, **options)[0] for path in ENDS]
    for k, end in ((0, alone[0]), (-1, alone[1])):
        np.testing.assert_allclose(spectra[k].density, end.density, atol=1e-5 * end.density.max())
    top = spectra[0].density.max()
    for near, end, tolerance in ((1, 0, 1e-4), (2, 0, 2e-2), (4, 5, 1e-4)):
        difference = spectra[near].density - spectra[end].density
        assert np.abs(difference).max() < tolerance * top
    turned = composition_sweep(ENDS[::-1], [1 - x for x in p], **options).spectra
    for a, b in zip(spectra, turned, strict=True):
        np.testing.assert_allclose(a.density, b.density, atol=2e-4 * top)


def test_linear_mixture(sweep):
    mixture = linear_mixture(sweep)
    assert mixture.name == "linear mixture"
    np.testing.assert_allclose(mixture.distances()[[0, -1]], 0.0, atol=1e-6)
    middle = mixture.spectra[2]
    ends = [s.density for s in sweep.ends]
    np.testing.assert_allclose(middle.density, 0.5 * ends[0] + 0.5 * ends[1], rtol=1e-9)
    assert middle.mean_wavenumber == pytest.approx(np.mean([s.mean_wavenumber for s in sweep.ends]))
    assert middle.site_density.shape == sweep.ends[0].site_density.shape
    assert middle.calibration is None
    # the error bars of grains: each member of the ensemble mixed by itself
    members = [s.members for s in sweep.ends]
    if members[0] is not None:
        np.testing.assert_allclose(middle.members, (members[0] + members[1]) / 2, rtol=1e-9)
    quarter = mixture.spectra[1]
    np.testing.assert_allclose(quarter.density, 0.75 * ends[0] + 0.25 * ends[1], rtol=1e-9)


def test_a_supercell_is_compared_per_atom(sweep):
    comparison = supercell_comparison(sweep, [Crystal.from_any(ENDS[0]).to_atoms().repeat(2)])
    np.testing.assert_allclose(comparison.fractions, [[1.0, 0.0]], atol=1e-9)
    assert comparison.spectra[0].n_modes == 8 * comparison.predicted[0].n_modes
    assert comparison.distances()[0] < 0.05
    with pytest.raises(AlloyError, match="not a mixture"):
        supercell_comparison(sweep, [cu3au()])


def test_table_is_per_atom(sweep):
    rows = sweep.table(300.0)
    assert [row.fractions[1] for row in rows] == [0.0, 0.25, 0.5, 0.75, 1.0]
    for row, spectrum in zip(rows, sweep.spectra, strict=True):
        assert row.heat_capacity == pytest.approx(spectrum.heat_capacity(300.0) / 5)
        assert row.entropy == pytest.approx(spectrum.entropy(300.0) / 5)
    assert rows[0].mean_wavenumber > rows[-1].mean_wavenumber  # Bi is heavier


@pytest.mark.parametrize("temperature", [80.0, 700.0])
def test_calibrated_intervals_are_those_of_the_spectrum(sweep, temperature):
    """Per atom, at the temperature and the level asked for, each end as it is."""
    if sweep.spectra[0].calibration is None:
        pytest.skip("the default model is not calibrated")
    dulong_petit = 3 * 8.314462618
    for row, spectrum in zip(sweep.table(temperature, 0.5), sweep.spectra, strict=True):
        atom = spectrum.per_atom()
        assert row.calibrated
        assert row.entropy == pytest.approx(float(spectrum.entropy(temperature)) / 5)
        assert set(row.intervals) == {"mean_wavenumber", "heat_capacity", "entropy"}
        for name, interval in row.intervals.items():
            assert interval == pytest.approx(atom.interval(name, 0.5, temperature))
            assert interval[0] < getattr(row, name) <= interval[1]
        assert row.intervals["heat_capacity"][1] <= dulong_petit
        low, high = row.intervals["entropy"]
        assert high - row.entropy == pytest.approx(row.entropy - low)


def test_intervals_without_a_calibration():
    x = np.arange(5.0, 300.0, 10.0)
    base = np.exp(-(((x - 150) / 40) ** 2))
    members = [np.exp(-(((x - c) / 40) ** 2)) for c in (140, 150, 160)]
    spectrum = PhononSpectrum(x, base, crystal=Crystal.from_any(bulk("Cu")), members=members)
    row = property_row(np.array([1.0]), spectrum)
    assert not row.calibrated
    low, high = row.intervals["mean_wavenumber"]
    assert (low, high) == pytest.approx((140.0, 160.0), rel=5e-3)
    # against the members themselves, at a temperature where the modes are half excited
    cold = property_row(np.array([1.0]), spectrum, 70.0)
    each = [
        PhononSpectrum(x, m, crystal=spectrum.crystal).per_atom().entropy(70.0) for m in members
    ]
    low, high = cold.intervals["entropy"]
    assert high - low == pytest.approx(2 * np.std(each, ddof=1), rel=0.05)
    # a standard deviation above would pass 3R
    hot = property_row(np.array([1.0]), spectrum, 3000.0)
    assert hot.heat_capacity < hot.intervals["heat_capacity"][1] <= 3 * 8.314462618


def test_grids_of_compositions():
    np.testing.assert_allclose(composition_grid(2, 3), [[1, 0], [0.5, 0.5], [0, 1]])
    ternary = composition_grid(3, 5)
    assert len(ternary) == 15
    np.testing.assert_allclose(ternary.sum(axis=1), 1.0)
    for wrong in (1, 0):
        with pytest.raises(AlloyError, match="two ends"):
            composition_grid(2, wrong)
    for wrong in (5.0, "0.5"):
        with pytest.raises(AlloyError, match="neither a number of compositions"):
            composition_sweep([bulk("Cu"), bulk("Au")], wrong)
    with pytest.raises(AlloyError, match="more than"):
        composition_grid(5, 201)


def test_spectral_distance_of_a_shift_is_the_shift():
    crystal = Crystal.from_any(bulk("Cu"))
    x = np.arange(0.0, 400.0, 1.0)
    first, second = (
        PhononSpectrum(x, np.exp(-(((x - c) / 20) ** 2)), crystal=crystal) for c in (150, 163)
    )
    assert spectral_distance(first, second) == pytest.approx(13.0, rel=1e-3)
    coarse = PhononSpectrum(x[::5], first.density[::5], crystal=crystal)
    assert spectral_distance(first, coarse) < 0.3


def test_figure(sweep, tmp_path):
    path = tmp_path / "alloy.png"
    curve = (1.0, np.arange(0.0, 400.0, 20.0), np.full(20, 0.01), "DFPT")
    plot_sweep(sweep, path, comparisons=[linear_mixture(sweep)], references=[curve])
    assert path.stat().st_size > 10_000
    assert plot_sweep(sweep, references=[curve], paper_labels=True).axes
    three = composition_sweep([bulk(n) for n in ("Cu", "Ag", "Au")], 3, uncertainty=False)
    waterfall, *properties = plot_sweep(three, comparisons=[linear_mixture(three)]).axes
    assert "Cu0.5Au0.5" in [label.get_text() for label in waterfall.get_yticklabels()]
    # places in a list are not a path through the compositions
    assert {line.get_linestyle() for ax in properties for line in ax.lines} == {"None"}
