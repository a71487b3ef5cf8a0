from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys

import numpy as np
import pytest

from ase_e3dos.errors import ImaginaryModesError, SpectrumError
from ase_e3dos.phonon_spectrum import PhononSpectrum
from ase_e3dos.spectrum import named_grid
from ase_e3dos.spectrum.constants import constants
from ase_e3dos.structures.crystal import Crystal

X = named_grid("default").wavenumbers
R = constants().gas_constant


def test_integrals_are_three_per_site(spectrum):
    assert np.trapezoid(spectrum.density, spectrum.frequencies) == pytest.approx(6, abs=1e-12)
    assert np.trapezoid(spectrum.site_density, spectrum.frequencies) == pytest.approx([3, 3])
    assert np.trapezoid(spectrum.members, spectrum.frequencies) == pytest.approx([6] * 5)
    assert np.allclose(spectrum.site_density.sum(0), spectrum.density, atol=1e-12)
    assert np.allclose(spectrum.wavenumbers, spectrum.frequencies * 33.3564095198)


def test_the_unit_of_the_input_does_not_matter(spectrum, rock_salt):
    other = PhononSpectrum(
        X,
        1e6 * spectrum.density,
        crystal=rock_salt,
        density_std=2e5 * spectrum.density,
    )
    assert np.allclose(other.density, spectrum.density)
    assert np.allclose(other.density_std, 0.2 * spectrum.density)
    of_sites = PhononSpectrum(
        X,
        site_density=1e3 * spectrum.site_density,
        crystal=rock_salt,
        density_std=2e2 * spectrum.density,
    )
    assert np.allclose(of_sites.density_std, 0.2 * spectrum.density)
    assert np.allclose(
        PhononSpectrum(X, spectrum.site_density.astype(np.float32), crystal=rock_salt).density,
        spectrum.density,
        rtol=1e-6,
    )


@pytest.mark.parametrize(
    "density",
    [
        np.zeros(480),
        np.full(480, np.nan),
        np.r_[np.inf, np.ones(479)],
        np.r_[-1e-3, np.ones(479)],
        np.ones(479),
        np.ones((3, 480)),
        np.stack([np.ones(480), np.zeros(480)]),
        None,
    ],
)
def test_impossible_densities_are_refused_by_name(rock_salt, density):
    with pytest.raises(SpectrumError, match="NaCl"):
        PhononSpectrum(X, density, crystal=rock_salt)


def test_contradictory_densities_are_refused(spectrum, rock_salt):
    both = {"density": spectrum.density, "site_density": spectrum.site_density}
    assert PhononSpectrum(X, **both, crystal=rock_salt).site_density is not None
    both["density"] = np.where(X > 0, 1.0, 0.0)
    with pytest.raises(SpectrumError, match="add up"):
        PhononSpectrum(X, **both, crystal=rock_salt)
    with pytest.raises(SpectrumError, match=r"one row each with the 480 points"):
        PhononSpectrum(X, spectrum.density, crystal=rock_salt, members=np.ones((4, 7)))
    with pytest.raises(SpectrumError, match="density_std"):
        PhononSpectrum(X, spectrum.density, crystal=rock_salt, density_std=np.ones(3))


def test_results_cannot_be_overwritten(spectrum):
    for array in (spectrum.density, spectrum.wavenumbers, spectrum.site_density, spectrum.members):
        with pytest.raises(ValueError, match="read-only"):
            array[..., 0] = 1.0
    with pytest.raises(AttributeError):
        spectrum.density = np.ones(480)


def test_on_grid_drops_what_is_outside(spectrum):
    inside = np.arange(0.0, 151.0, 10.0)
    modes = spectrum.on_grid(inside).sum() * 10
    outside = spectrum.weight_outside(inside)
    assert 0.1 < outside < 0.9
    assert modes == pytest.approx(6 * (1 - outside), rel=1e-12)
    everything = np.arange(-1000.0, 6000.0, 100.0)
    assert spectrum.on_grid(everything).sum() * 100 == pytest.approx(6, rel=1e-12)
    assert spectrum.weight_outside(everything) == pytest.approx(0, abs=1e-12)
    fine = np.arange(0.05, 400, 0.1)
    direct = np.interp(fine, X, spectrum.density) / constants().thz_to_cm
    assert np.allclose(spectrum.on_grid(fine)[60:], direct[60:], atol=1e-6)


def test_paper_label_of_a_label_is_itself(rock_salt):
    at = named_grid("paper").wavenumbers
    y = np.random.default_rng(0).uniform(0, 1, 51)
    label = PhononSpectrum(at, y, crystal=rock_salt, label_like=True)
    ours = label.as_paper_label(at)
    assert np.allclose(ours / ours.max(), y / y.max())
    assert label.as_paper_label([-40.0, 1020.0]).tolist() == [0, 0]
    assert not np.allclose(PhononSpectrum(at, y, crystal=rock_salt).as_paper_label(at), ours)


def test_thermal_methods_take_numbers_and_arrays(spectrum):
    t = np.array([[0.0, 100.0], [300.0, 3000.0]])
    for name in ("heat_capacity", "entropy", "free_energy", "internal_energy", "specific_heat"):
        method = getattr(spectrum, name)
        assert method(t).shape == (2, 2)
        assert isinstance(method(300.0), float)
        assert method(300) == method(t)[1, 0]
    assert spectrum.zero_point_energy == spectrum.free_energy(0.0) > 0
    assert spectrum.heat_capacity(3000.0) == pytest.approx(6 * R, rel=2e-3)


def test_imaginary_policies(rock_salt):
    y = np.where((X > -100) & (X < 300), 1.0, 0.0)
    s = PhononSpectrum(X, y, crystal=rock_salt)
    assert s.imaginary_fraction == pytest.approx(0.25)
    assert s.heat_capacity(1e5) == pytest.approx(4.5 * R, rel=1e-4)
    assert s.heat_capacity(1e5, imaginary="pretend_real") == pytest.approx(6 * R, rel=1e-4)
    with pytest.raises(ImaginaryModesError):
        s.heat_capacity(300.0, imaginary="refuse")
    assert s.mean_wavenumber == pytest.approx(100, abs=1)


def test_views_say_whose_they_are(spectrum, rock_salt):
    atom, unit, kilogram = spectrum.per_atom(), spectrum.per_formula_unit(), spectrum.per_kilogram()
    assert "6 modes per cell" in repr(spectrum)
    assert "3 modes per atom" in repr(atom)
    assert "NaCl" in repr(atom)
    assert [v.normalization for v in (atom, unit, kilogram)] == ["atom", "formula unit", "kilogram"]
    assert atom.entropy(300.0) == pytest.approx(spectrum.entropy(300.0) / 2)
    assert atom.density_std == pytest.approx(spectrum.density_std / 2)
    assert atom.per_atom().n_modes == 3
    assert unit.heat_capacity(300.0) == pytest.approx(spectrum.heat_capacity(300.0))
    mass = rock_salt.masses.sum() / 1000
    assert kilogram.heat_capacity(300.0) == pytest.approx(spectrum.heat_capacity(300.0) / mass)
    for view in (spectrum, atom, unit, kilogram):
        assert view.specific_heat(293.15) == pytest.approx(spectrum.specific_heat(293.15))
    # the law of Dulong and Petit for rock salt: 6 R / 58.44 g
    assert spectrum.specific_heat(5000.0) == pytest.approx(6 * 8.314 / 0.05844, rel=2e-3)


def test_formula_units_of_a_mixed_crystal():
    lattice = np.eye(3) * 5
    crystal = Crystal(
        lattice, [[0, 0, 0], [0.5, 0.5, 0.5]], [0, 0, 1], [51, 83, 12], [0.75, 0.25, 1.0]
    )
    s = PhononSpectrum(X, np.where(X > 0, 1.0, 0.0), crystal=crystal)
    assert s.per_formula_unit().n_modes == pytest.approx(6)
    assert s.molar_mass == pytest.approx(0.75 * 121.76 + 0.25 * 208.98 + 24.305, rel=1e-4)


def test_copies(spectrum):
    for again in (
        pickle.loads(pickle.dumps(spectrum)),
        copy.deepcopy(spectrum),
        PhononSpectrum.from_dict(json.loads(json.dumps(spectrum.to_dict()))),
        PhononSpectrum.from_dict(spectrum.per_atom().to_dict()),
    ):
        assert repr(again) == repr(spectrum)
        assert np.allclose(again.site_density, spectrum.site_density, rtol=1e-12)
        assert np.allclose(again.density_std, spectrum.density_std, rtol=1e-9)
        assert again.heat_capacity(300.0) == pytest.approx(spectrum.heat_capacity(300.0))
        assert again.crystal.formula == "NaCl"
    with pytest.raises(SpectrumError, match="format"):
        PhononSpectrum.from_dict({"frequencies": []})
    damaged = spectrum.to_dict()
    del damaged["density"]
    with pytest.raises(SpectrumError, match="damaged"):
        PhononSpectrum.from_dict(damaged)


def test_nothing_heavy_is_imported_before_an_export():
    code = (
        "import sys, numpy as np\n"
        "from ase_e3dos.phonon_spectrum import PhononSpectrum\n"
        "from ase_e3dos.spectrum import named_grid\n"
        "from ase_e3dos.structures.crystal import Crystal\n"
        "x = named_grid('paper').wavenumbers\n"
        "c = Crystal(np.eye(3) * 3, [[0, 0, 0]], [0], [26])\n"
        "s = PhononSpectrum(x, np.ones(51), crystal=c)\n"
        "s.heat_capacity(300.), s.as_paper_label(), s.on_grid(x), s.mean_wavenumber\n"
        "print({'torch', 'pymatgen', 'matplotlib'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"


def test_spectra_are_values(salt, tmp_path):
    """Equal when read back, to the last digit; different where anything differs."""
    salt.weights, salt.version = "ab" * 32, "0.0.9"
    salt.write(tmp_path / "s.json")
    again = PhononSpectrum.read(tmp_path / "s.json")
    assert again == salt
    assert hash(again) == hash(salt)
    assert np.array_equal(again.members, salt.members)
    assert again.provenance == "ase-e3dos 0.0.9, model made up, weights abababababab"
    assert salt.per_atom() != salt
    assert salt != "salt"
    for name, value in (("model", "other"), ("weights", "cd" * 32), ("label_like", True)):
        other = PhononSpectrum.read(tmp_path / "s.json")
        setattr(other, name, value)
        assert other != salt, name


def test_dataframe(salt):
    table = salt.to_dataframe()
    assert np.array_equal(table["wavenumber_cm-1"], salt.wavenumbers)
    assert np.array_equal(table["site_1_states_per_THz"], salt.site_density[1])
    assert table.attrs["provenance"] == salt.provenance
    assert table.attrs["normalization"] == "cell"


def test_files_say_what_they_are_of_and_where_from(salt, tmp_path):
    salt.weights = "ab" * 32
    for name in ("total_dos.dat", "projected_dos.dat", "thermal_properties.yaml"):
        for spectrum, per in ((salt, "per cell"), (salt.per_atom(), "per atom")):
            spectrum.write(tmp_path / name)
            head = "".join((tmp_path / name).read_text().splitlines()[:2])
            assert per in head
            assert salt.provenance in head
            assert "unit cell" not in head
