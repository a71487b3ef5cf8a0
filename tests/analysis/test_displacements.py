from __future__ import annotations

import json

import numpy as np
import pytest
from ase.build import bulk
from scipy import constants as si
from scipy.integrate import quad

from ase_e3dos import predict
from ase_e3dos.errors import ImaginaryModesError, SpectrumError
from ase_e3dos.evaluation.displacement_errors import DisplacementErrors, displacement_section
from ase_e3dos.export.cif import write_cif
from ase_e3dos.phonon_spectrum import PhononSpectrum
from ase_e3dos.spectrum.spread_fit import fit_spread
from ase_e3dos.spectrum.uncertainty import Calibration
from ase_e3dos.structures.crystal import Crystal

HBAR2 = si.hbar**2 / si.atomic_mass / 1e-20 / si.e  # eV amu Å^2
EV_PER_CM = si.h * si.c * 100 / si.e
KB = si.k / si.e


def mode(wavenumber, t):
    """m <u^2> of an oscillator in amu Å^2, the textbook formula."""
    e = wavenumber * EV_PER_CM
    return HBAR2 / (2 * e) * (1 if t == 0 else 1 / np.tanh(e / (2 * KB * t)))


@pytest.fixture(scope="module")
def copper() -> Crystal:
    return Crystal.from_any(bulk("Cu", "fcc", a=3.61))


def test_einstein_solid(copper):
    x = np.arange(0.5, 400, 1.0)
    s = PhononSpectrum(x, [(x == 150.5).astype(float)], crystal=copper)
    for t in (0.0, 20.0, 300.0, 2000.0):
        assert s.u_iso(t)[0] == pytest.approx(mode(150.5, t) / copper.masses[0], rel=1e-3)


@pytest.mark.parametrize("t", [0.0, 10.0, 77.0, 300.0, 1500.0])
def test_debye_solid_on_the_models_coarse_grid(copper, t):
    """Bins of 10 cm^-1, where the integrand varies a hundredfold within one."""
    x = np.arange(-395.0, 4400.0, 10.0)
    edges = np.append(x - 5, x[-1] + 5)
    counts = np.diff(np.clip(edges, 0, 230.0) ** 3)
    s = PhononSpectrum(x, [counts], crystal=copper)
    exact = quad(lambda u: 3 * u**2 * mode(230 * u, t), 1e-6, 1, limit=200)[0]
    assert s.u_iso(t)[0] == pytest.approx(exact / copper.masses[0], rel=0.02)


def test_classical_limit_zero_point_and_convergence(salt):
    t = np.array([3000.0, 6000.0])
    u = salt.u_iso(t)
    assert u.shape == (2, 2)
    assert u[:, 1] / u[:, 0] == pytest.approx(2.0, rel=1e-3)
    cold = salt.u_iso([0.0, 0.01, 0.1])
    assert (cold > 0).all()
    assert cold[:, 0] == pytest.approx(cold[:, 1], rel=1e-6)
    # zero point: m_i U_i summed is hbar^2 / 6 times the sum over modes of 1 / energy
    total = salt.crystal.masses @ cold[:, 0]
    inverse = sum(mode(w, 0.0) * g for w, g in zip(*fine(salt), strict=True)) / 3
    assert total == pytest.approx(inverse, rel=0.03)
    assert salt.b_iso(300.0) == pytest.approx(8 * np.pi**2 * salt.u_iso(300.0))
    assert salt.mean_square_displacements(300.0) == pytest.approx(3 * salt.u_iso(300.0))


def fine(s):
    x = np.arange(0.25, 400, 0.5)
    edges = np.append(x - 0.25, x[-1] + 0.25)
    return x, np.diff(s.grid.cumulative(s.density, edges))


@pytest.fixture(scope="module")
def binned(copper_gold, salt_model, silicon_carbide):
    """Spectra of a fine mesh in the default model's bins of 10 cm^-1."""
    return {
        "copper_gold": copper_gold.spectrum(24),
        "salt_model": salt_model.spectrum(24),
        "silicon_carbide": silicon_carbide.spectrum(24),
    }


def converged(value_on_mesh):
    """Limit of a mean-square displacement: a mesh of n lacks a part proportional to 1/n."""
    return 2 * value_on_mesh(16) - value_on_mesh(8)


@pytest.mark.parametrize("which", ["copper_gold", "salt_model", "silicon_carbide"])
def test_mass_weighted_sum_rule_of_the_lattice(which, binned, request):
    """Sum of m_i <u_i^2> is the sum over all modes of hbar/2w coth, whatever the sites' shares."""
    model, s = request.getfixturevalue(which), binned[which]
    for t in (0.0, 300.0):
        exact = converged(lambda n, t=t: mode(model.modes(n)[0], t).mean()) * 3 * s.crystal.n_sites
        found = s.crystal.masses @ s.mean_square_displacements(t)
        assert found == pytest.approx(exact, rel=0.02), t


@pytest.mark.parametrize("which", ["copper_gold", "salt_model", "silicon_carbide"])
def test_sites_against_phonopys_thermal_displacements(which, binned, request):
    phonon, t = request.getfixturevalue(which).phonon, [0.0, 100.0, 300.0, 900.0]

    def of_phonopy(n):
        phonon.run_mesh([n] * 3, with_eigenvectors=True, is_mesh_symmetry=False)
        phonon.run_thermal_displacements(temperatures=t, freq_min=0.01)
        found = np.asarray(phonon.thermal_displacements.thermal_displacements)
        return found.reshape(len(t), -1, 3).mean(axis=2).T

    reference = converged(of_phonopy)
    assert binned[which].u_iso(t) == pytest.approx(reference, rel=0.025)


def test_without_the_repair_the_bins_at_zero_add_a_tenth(copper_gold):
    """Modes at 6 cm^-1 of a fine mesh fall into the bin that touches zero."""
    s = copper_gold.spectrum(24)
    assert (s.u_iso(300.0, acoustic=None) > 1.2 * s.u_iso(300.0)).all()


def test_masses_leave_the_classical_displacement(salt_model):
    heavy = salt_model.with_masses({"Na": 46.0})
    light, slow = salt_model.spectrum(12).u_iso(4000.0), heavy.spectrum(12).u_iso(4000.0)
    assert light == pytest.approx(slow, rel=0.03)


def test_error_bars_and_views(salt):
    std = salt.u_iso_std([100.0, 300.0])
    assert std.shape == (2, 2)
    assert (std > 0).all()
    assert (std < salt.u_iso([100.0, 300.0])).all()
    assert salt.per_atom().u_iso(300.0) == pytest.approx(salt.u_iso(300.0))
    assert salt.per_atom().u_iso_std(300.0) == pytest.approx(salt.u_iso_std(300.0))


def test_intervals_follow_the_error_model(salt):
    """ln U has the calibrated half width at the calibrated temperatures, and between them."""
    rng = np.random.default_rng(5)
    stds = rng.uniform(0.01, 0.1, 100)
    errors = stds * rng.normal(size=100)
    spreads = {t: fit_spread((1 + t / 1000) * errors, stds) for t in (0.0, 1000.0)}
    calibrated = PhononSpectrum(
        salt.wavenumbers,
        site_density=salt.site_density,
        members=salt.members,
        crystal=salt.crystal,
        calibration=Calibration({"u_iso": spreads}),
    )
    t = np.array([0.0, 1000.0, 5000.0])
    low, high = calibrated.u_iso_interval(t)
    u, std = salt.u_iso(t), salt.u_iso_std(t)
    assert low.shape == (2, 3)
    assert np.sqrt(low * high) == pytest.approx(u)
    for k, at in enumerate((0.0, 1000.0, 1000.0)):
        expected = spreads[at].half_width(std[:, k] / u[:, k], 0.9)
        assert np.log(high / u)[:, k] == pytest.approx(expected)
    at_half = [np.log(v[0]) for v in calibrated.u_iso_interval(500.0)]
    widths = np.log(high / u)[0]
    assert sorted([widths[0], widths[1], (at_half[1] - at_half[0]) / 2])[1] == pytest.approx(
        (at_half[1] - at_half[0]) / 2
    )
    assert (calibrated.u_iso_interval(300.0, 0.5)[1] < calibrated.u_iso_interval(300.0)[1]).all()
    assert calibrated.per_atom().u_iso_interval(300.0)[0].shape == (2,)
    with pytest.raises(SpectrumError, match="levels"):
        calibrated.u_iso_interval(300.0, 0.999)
    with pytest.raises(SpectrumError, match="not calibrated"):
        salt.u_iso_interval(300.0)


def test_intervals_cover_formulas_that_they_were_not_fitted_on():
    """An ensemble that sees half of its error: 1.645 of its deviations hold far less than 90 %."""
    rng = np.random.default_rng(3)
    formulas = np.repeat([f"X{k}" for k in range(240)], rng.integers(1, 9, 240))
    own = rng.normal(size=240)  # what the sites of a formula share
    shared = np.array([own[int(f[1:])] for f in formulas])
    std = rng.uniform(0.05, 0.2, (len(formulas), 1))
    residuals = 2 * std * (0.7 * shared + 0.7 * rng.normal(size=len(formulas)))[:, None]
    covariates = np.ones((len(formulas), 4))
    errors = DisplacementErrors((300.0,), residuals, std, formulas, covariates)
    found = displacement_section(errors, 300.0)
    assert found["spread90"] < 0.7
    assert found["cover90"] == pytest.approx(0.90, abs=0.03)
    assert found["cover50"] == pytest.approx(0.50, abs=0.05)
    assert found["rank"] > 0.2


def test_what_cannot_be_answered_is_refused(salt):
    total = PhononSpectrum(salt.wavenumbers, salt.density, crystal=salt.crystal)
    with pytest.raises(SpectrumError, match="site densities"):
        total.u_iso(300.0)
    with pytest.raises(SpectrumError, match="ensemble"):
        PhononSpectrum(
            salt.wavenumbers, site_density=salt.site_density, crystal=salt.crystal
        ).u_iso_std(300.0)
    leaky = np.array(salt.site_density)
    leaky[:, 0] = leaky.max()
    unstable = PhononSpectrum(salt.wavenumbers, site_density=leaky, crystal=salt.crystal)
    with pytest.raises(ImaginaryModesError):
        unstable.u_iso(300.0, imaginary="refuse")
    with pytest.raises(SpectrumError, match="acoustic"):
        salt.u_iso(300.0, acoustic="deby")
    assert np.isfinite(unstable.u_iso(300.0)).all()


def test_cif_is_read_by_others(salt, tmp_path):
    from ase.io import read
    from pymatgen.io.cif import CifFile

    path = tmp_path / "salt.cif"
    write_cif(salt, path, 300.0)
    atoms = read(path)
    assert atoms.get_chemical_formula() == "ClNa"
    assert atoms.get_volume() == pytest.approx(salt.crystal.volume, rel=1e-5)
    block = next(iter(CifFile.from_file(path).data.values()))
    texts = block["_atom_site_U_iso_or_equiv"]
    for text, u, std in zip(texts, salt.u_iso(300.0), salt.u_iso_std(300.0), strict=True):
        value, error = text.rstrip(")").split("(")
        assert float(value) == pytest.approx(u, rel=0.05)
        digits = len(value.split(".")[1])
        assert 2 <= int(error) <= 19
        assert int(error) / 10**digits == pytest.approx(std, rel=0.3)


def test_command(default_model, run_cli, tmp_path):
    from ase.io import read

    given, written = tmp_path / "salt.cif", tmp_path / "adp.cif"
    bulk("NaCl", "rocksalt", a=5.64, cubic=True).write(given)
    arguments = ["adp", given, "--model", default_model, "-T", 300, "-T", 100]
    code, out, err = run_cli(*arguments, "-o", written)
    assert code == 0, err
    rows = [line.split() for line in out.splitlines() if " Na " in line or " Cl " in line]
    assert [r[1:4] for r in rows] == [[e, "4", t] for e in ("Na", "Cl") for t in ("300", "100")]
    code, out, _ = run_cli(*arguments, "--json")
    content = json.loads(out)
    assert content["sites"].count("Na") == 4
    (spectrum,) = predict([given], model=default_model)
    assert np.array(content["u_iso"]) == pytest.approx(spectrum.u_iso([300.0, 100.0]), rel=1e-4)
    assert float(rows[0][4]) == pytest.approx(spectrum.u_iso(300.0)[0], abs=1e-5)
    assert len(read(written)) == 8
    before = given.read_text()
    code, _, err = run_cli(*arguments, "-o", given)
    assert code == 2
    assert "input" in err
    assert given.read_text() == before


def test_command_names_all_species_of_a_site(default_model, run_cli, crystals_folder):
    code, out, _ = run_cli("adp", crystals_folder / "Si0.5Ge0.5.cif", "--model", default_model)
    assert code == 0
    assert "Si0.5Ge0.5" in out or "Ge0.5Si0.5" in out
