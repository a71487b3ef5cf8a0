from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from ase_e3dos.analysis.phases import compare_phases
from ase_e3dos.errors import EnergyWarning, SpectrumError
from ase_e3dos.export.plots import plot_phases
from ase_e3dos.phonon_spectrum import PhononSpectrum
from ase_e3dos.spectrum.constants import constants
from ase_e3dos.structures.crystal import Crystal

R = constants().gas_constant / 1000
X = np.arange(0.5, 600.0, 1.0)


def einstein(wavenumber, atoms=None, members=None):
    crystal = Crystal.from_any(atoms or bulk("Sn", "diamond", a=6.49))
    y = (wavenumber == X).astype(float)
    stack = None if members is None else [(w == X) * 1.0 for w in members]
    return PhononSpectrum(X, y, crystal=crystal, members=stack)


def free(wavenumber, t):
    x = wavenumber * constants().kelvin_per_cm / t
    return 3 * R * t * (x / 2 + np.log(-np.expm1(-x)))


def test_transition_of_two_einstein_solids():
    """Against the closed form; the second phase has a cell of one atom, the first of two."""
    alpha, beta = einstein(150.5), einstein(110.5, bulk("Sn", "fcc", a=4.5))
    de = 0.03  # eV per atom
    found = compare_phases([alpha, beta], [2 * -3.0, -3.0 + de], names=["alpha", "beta"])
    t = np.linspace(50, 2000, 200001)
    exact = t[np.argmin(np.abs(free(110.5, t) - free(150.5, t) + de * constants().ev_to_kj_mol))]
    (transition,) = found.transitions
    assert transition.temperature == pytest.approx(exact, abs=1.0)
    assert (transition.low_phase, transition.high_phase) == ("alpha", "beta")
    assert transition.interval is None
    assert transition.entropy == pytest.approx(3000 * R * np.log(150.5 / 110.5), rel=0.05)
    assert found.stable[0] == "alpha"
    assert found.stable[-1] == "beta"
    for per, energies in (("atom", [-3.0, -3.0 + de]), ("formula", [-3.0, -3.0 + de])):
        again = compare_phases([alpha, beta], energies, per=per)
        assert again.transitions[0].temperature == pytest.approx(transition.temperature)
    assert found.energy[1] == pytest.approx(de * constants().ev_to_kj_mol)


def test_the_error_bar_moves_with_the_ensemble():
    wide = compare_phases(
        [
            einstein(150.5, members=[150.5, 154.5, 146.5]),
            einstein(110.5, members=[112.5, 106.5, 111.5]),
        ],
        [-6.0, -5.94],
    )
    narrow = compare_phases(
        [
            einstein(150.5, members=[150.5, 151.5, 149.5]),
            einstein(110.5, members=[110.5, 111.5, 109.5]),
        ],
        [-6.0, -5.94],
    )
    ends = [c.transitions[0].interval for c in (wide, narrow)]
    assert all(
        low < c.transitions[0].temperature < high
        for (low, high), c in zip(ends, (wide, narrow), strict=True)
    )
    assert ends[0][1] - ends[0][0] > ends[1][1] - ends[1][0] > 0
    assert wide.half_width.shape == wide.free_energy.shape
    json.dumps(wide.to_dict())
    plot_phases(wide)


def test_three_phases_follow_each_other():
    spectra = [einstein(w) for w in (200.5, 150.5, 100.5)]
    found = compare_phases(spectra, [0.0, 0.04, 0.14], names=["a", "b", "c"])
    assert [(t.low_phase, t.high_phase) for t in found.transitions] == [("a", "b"), ("b", "c")]
    assert not compare_phases(spectra[:2], [0.0, 5.0]).transitions


def test_what_cannot_be_compared():
    tin, salt = einstein(150.5), einstein(150.5, bulk("NaCl", "rocksalt", a=5.64))
    with pytest.raises(SpectrumError, match="composition"):
        compare_phases([tin, salt])
    with pytest.raises(SpectrumError, match="two structures"):
        compare_phases([tin])
    with pytest.raises(SpectrumError, match="energies"):
        compare_phases([tin, tin], [1.0])
    with pytest.raises(SpectrumError, match="per="):
        compare_phases([tin, tin], [1.0, 2.0], per="mole")
    with pytest.raises(SpectrumError, match="ascending"):
        compare_phases([tin, tin], temperatures=[300, 200])


def test_polymorphs_against_finite_displacements(lattices):
    """CuAu as L1_0 and B2: the spectra's difference in F is that of phonopy's modes."""
    models = [lattices.emt("CuAu L1_0"), lattices.springs(
        bulk("CuAu", "cesiumchloride", a=3.0), [(2.7, 1.5, 0.2), (3.1, 0.7, 0.1)]
    )]  # fmt: skip
    t = np.array([100.0, 300.0, 1000.0])
    found = compare_phases([m.spectrum(12) for m in models], temperatures=t)
    exact = []
    for model in models:
        w = model.modes(12)[0]
        assert w.min() > 0
        x = w[:, None] * constants().kelvin_per_cm / t
        exact.append(6 * R * t * (x / 2 + np.log(-np.expm1(-x))).mean(axis=0))
    assert found.vibrational[1] == pytest.approx(exact[1] - exact[0], rel=0.02)
    assert np.abs(found.vibrational[1]).min() > 0.1


def test_one_crystal_twice_has_no_error_and_no_order():
    tin = einstein(150.5, members=[150.5, 154.5, 146.5])
    found = compare_phases([tin, tin])
    assert found.vibrational == pytest.approx(0.0, abs=1e-12)
    assert found.half_width == pytest.approx(0.0, abs=1e-12)
    assert not found.decided.any()
    known = compare_phases([tin, tin], [0.0, 0.0], energy_error=0.01)
    assert known.half_width[1] == pytest.approx(0.01 * constants().ev_to_kj_mol)


def test_what_the_temperatures_cut_off_is_no_bound():
    spectra = [
        einstein(150.5, members=[150.5, 154.5, 146.5]),
        einstein(110.5, members=[112.5, 106.5, 111.5]),
    ]
    (far,) = compare_phases(spectra, [-6.0, -5.94]).transitions
    near = np.linspace(far.temperature - 20, far.temperature + 20, 41)
    found = compare_phases(spectra, [-6.0, -5.94], temperatures=near)
    assert found.transitions[0].open_ends == (True, True)
    assert "not bounded" in found.transitions[0].interval_text
    assert not found.decided.any()
    certain = compare_phases(spectra, [-6.0, -5.0])
    assert certain.decided[0]
    assert not certain.transitions


def test_command(default_model, run_cli, tmp_path):
    alpha, beta = tmp_path / "alpha.vasp", tmp_path / "beta.cif"
    bulk("Sn", "diamond", a=6.49).write(alpha)
    Atoms("Sn2", cell=[[5.83, 0, 0], [0, 5.83, 0], [2.915, 2.915, 1.59]],
          scaled_positions=[[0, 0, 0], [0.75, 0.25, 0.5]], pbc=True).write(beta)  # fmt: skip
    figure = tmp_path / "f.png"
    arguments = ["phases", alpha, beta, "--energies=-6.00,-5.98", "--model", default_model]
    code, out, err = run_cli(*arguments, "--plot", figure)
    assert code == 0, err
    assert "relative to alpha" in out
    assert figure.stat().st_size > 1000
    code, out, _ = run_cli(*arguments, "--json", "--per", "cell", "-T", "0:800:20")
    assert json.loads(out)["names"] == ["alpha", "beta"]
    code, out, _ = run_cli("phases", alpha, alpha, "--model", default_model, "--json")
    assert json.loads(out)["names"][1].endswith("(2)")
    code, out, _ = run_cli("phases", alpha, alpha, "--model", default_model)
    assert "undecided at all temperatures" in out or "±" not in out
    code, _, err = run_cli("phases", alpha, beta, "--energies", "a,b")
    assert code == 2
    assert "--energies" in err


def test_energies_that_are_hardly_per_cell_are_warned_of() -> None:
    x = np.arange(5.0, 800.0, 10.0)
    small = Atoms("MgO", scaled_positions=[[0, 0, 0], [0.5, 0.5, 0.5]], cell=[3, 3, 3], pbc=True)
    crystals = [Crystal.from_any(a) for a in (small, small * (2, 1, 1))]
    spectra = [PhononSpectrum(x, np.exp(-(((x - 300) / 90) ** 2)), crystal=c) for c in crystals]
    with pytest.warns(EnergyWarning, match="1 in A, 2 in B"):
        compare_phases(spectra, [-7.61, -7.55], names=["A", "B"])
    with warnings.catch_warnings():
        warnings.simplefilter("error", EnergyWarning)
        compare_phases(spectra, [-7.61, -7.55], per="formula")
        compare_phases(spectra, [-7.61, -15.10])
