from __future__ import annotations

import json

import numpy as np
import pytest
from ase.build import bulk
from e3dos_thermochemistry import Solid, ThermalExpansion, fit, write_coefficients
from e3dos_thermochemistry.errors import FitError
from e3dos_thermochemistry.expansion import scaled

T = np.array([300.0, 650.0, 999.0, 1001.0, 1400.0])
RANGES = (298.15, 1000.0, 1500.0)
ENTHALPY = -601.6


@pytest.fixture(scope="module")
def magnesia(debye):
    """With two volumes, so that there is a C_P."""
    atoms = bulk("MgO", "rocksalt", a=4.212)
    small, middle, large = (
        debye(scaled(atoms, f), 650.0 * f ** (-3 * 1.5)) for f in (0.99, 1.0, 1.01)
    )
    return Solid(middle, "MgO", ThermalExpansion(small, large, 160.0))


@pytest.mark.parametrize("form", ["shomate", "nasa9", "maier-kelley", "sgte"])
def test_fits_within_the_errors_it_states_and_is_consistent(magnesia, form):
    found = fit(magnesia, form, ranges=RANGES, enthalpy_of_formation=ENTHALPY)
    assert found.enthalpy(298.15) == pytest.approx(ENTHALPY)
    assert found.entropy(298.15) == pytest.approx(float(magnesia.entropy(298.15)))
    worst = {k: max(p.errors[k] for p in found.pieces) for k in found.pieces[0].errors}
    assert worst["heat_capacity"] < 0.5
    for name in ("heat_capacity", "entropy"):
        apart = np.abs(getattr(found, name)(T) - getattr(magnesia, name)(T)).max()
        assert apart <= worst[name] * 1.01 + 1e-9
    assert found.gibbs(T) == pytest.approx(
        ENTHALPY + magnesia.anchored_gibbs(T), abs=worst["gibbs"] * 1.01
    )
    edge = np.array([1000.0 - 1e-6, 1000.0 + 1e-6])
    assert np.ptp(found.enthalpy(edge)) < 1e-5
    assert np.ptp(found.entropy(edge)) < 1e-5
    step = 0.01
    slope = (found.gibbs(T + step) - found.gibbs(T - step)) / (2 * step)
    assert -1000 * slope == pytest.approx(found.entropy(T), rel=1e-5)


def test_pycalphad_reads_it(magnesia, tmp_path):
    pycalphad = pytest.importorskip("pycalphad", reason="pycalphad is not installed")
    found = fit(magnesia, "sgte", ranges=RANGES, enthalpy_of_formation=ENTHALPY)
    write_coefficients(tmp_path / "mgo.tdb", [found])
    assert max(map(len, (tmp_path / "mgo.tdb").read_text().splitlines())) < 80
    base = pycalphad.Database(str(tmp_path / "mgo.tdb"))
    result = pycalphad.calculate(base, ["MG", "O"], "MGO", T=T, P=1e5, N=1, output="GM")
    assert 2 * result.GM.values.ravel() / 1000 == pytest.approx(found.gibbs(T), rel=1e-9)


@pytest.mark.parametrize("form", ["nasa9", "shomate"])
def test_cantera_reads_it(magnesia, form, tmp_path):
    cantera = pytest.importorskip("cantera", reason="Cantera is not installed")
    found = fit(magnesia, form, ranges=RANGES, enthalpy_of_formation=ENTHALPY)
    write_coefficients(tmp_path / "mgo.yaml", [found])
    phase = cantera.Solution(str(tmp_path / "mgo.yaml"), "MgO(s)")
    for t in T:
        phase.TP = t, 1e5
        assert phase.gibbs_mole / 1e6 == pytest.approx(float(found.gibbs(t)), rel=1e-9)
        assert phase.entropy_mole / 1e3 == pytest.approx(float(found.entropy(t)), rel=1e-9)
        assert phase.cp_mole / 1e3 == pytest.approx(float(found.heat_capacity(t)), rel=1e-9)
    assert phase.density == pytest.approx(3580, rel=0.01)


@pytest.mark.filterwarnings("ignore")
def test_burnman_reads_it(magnesia, tmp_path):
    burnman = pytest.importorskip("burnman", reason="burnman is not installed")
    found = fit(magnesia, "maier-kelley", enthalpy_of_formation=ENTHALPY)
    write_coefficients(tmp_path / "mgo.json", [found])
    mineral = burnman.Mineral(params=json.loads((tmp_path / "mgo.json").read_text())["MgO"])
    for t in T:
        mineral.set_state(1e5, t)
        assert mineral.gibbs / 1e3 == pytest.approx(float(found.gibbs(t)), rel=1e-8)
        assert pytest.approx(float(found.entropy(t)), rel=1e-8) == mineral.S
    mineral.set_state(1e5, 298.15)
    assert mineral.alpha == pytest.approx(float(magnesia.expansion.coefficient(298.15)), rel=1e-3)


def test_says_what_a_file_or_a_range_cannot_hold(magnesia, tmp_path):
    plain = Solid(magnesia.spectrum)
    with pytest.raises(FitError, match="bulk modulus"):
        write_coefficients(tmp_path / "a.json", [fit(plain, "maier-kelley")])
    with pytest.raises(FitError, match="sgte, not nasa9"):
        write_coefficients(tmp_path / "a.tdb", [fit(plain, "nasa9")])
    with pytest.raises(FitError, match="ending"):
        write_coefficients(tmp_path / "a.txt", [fit(plain)])
    with pytest.raises(FitError, match="ascend"):
        fit(plain, ranges=(1000.0, 300.0))
    with pytest.raises(FitError, match=r"hold from 298\.15 to 1500 K"):
        fit(plain).entropy(2000.0)
