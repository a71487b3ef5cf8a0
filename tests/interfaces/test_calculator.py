"""E3DOSPredictor against ASE's own rules, writers and readers."""

from __future__ import annotations

import copy
import json
import pickle
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import PropertyNotImplementedError, get_calculator_class
from ase.calculators.emt import EMT
from ase.db import connect
from ase.io import read, write

from ase_e3dos import E3DOSPredictor, predict
from ase_e3dos.errors import (
    E3DOSError,
    E3DOSWarning,
    MagnetismWarning,
    SpectrumError,
    UnknownModelError,
)
from ase_e3dos.interfaces.calculator import UNITS
from ase_e3dos.network.weights import weights_digest
from ase_e3dos.plugins import get_registry
from ase_e3dos.prediction.pipeline import Predictor
from ase_e3dos.version import __version__

pytestmark = pytest.mark.usefixtures("default_model")


@pytest.fixture
def predictions(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Formulas of the crystals that the network was really asked for."""
    asked: list[str] = []
    plain = Predictor.spectra

    def counted(self: Predictor, crystals: Any, *args: Any, **kwargs: Any) -> Any:
        asked.extend(c.formula for c in crystals)
        return plain(self, crystals, *args, **kwargs)

    monkeypatch.setattr(Predictor, "spectra", counted)
    return asked


@pytest.fixture
def attached(rocksalt: Atoms) -> Atoms:
    rocksalt.calc = E3DOSPredictor()
    return rocksalt


def test_spectrum_is_that_of_predict(attached: Atoms) -> None:
    spectrum = attached.calc.get_phonon_dos()
    (expected,) = predict([attached])
    np.testing.assert_array_equal(spectrum.density, expected.density)
    assert np.trapezoid(spectrum.density, spectrum.frequencies) == pytest.approx(6)


def test_properties_follow_from_the_spectrum(attached: Atoms) -> None:
    calc = attached.calc
    calc.set(temperature=450)
    spectrum = calc.get_phonon_dos()
    expected = {
        "phonon_dos": spectrum.density,
        "phonon_frequencies": spectrum.frequencies,
        "phonon_wavenumbers": spectrum.wavenumbers,
        "mean_wavenumber": spectrum.mean_wavenumber,
        "imaginary_fraction": spectrum.imaginary_fraction,
        "heat_capacity": spectrum.heat_capacity(450),
        "entropy": spectrum.entropy(450),
        "free_energy_vib": spectrum.free_energy(450),
    }
    assert set(expected) == set(calc.implemented_properties) == set(UNITS)
    for name, value in expected.items():
        np.testing.assert_array_equal(calc.get_property(name, attached), value)
    json.dumps({k: v for k, v in calc.results.items() if not isinstance(v, np.ndarray)})


def test_properties_are_copies(attached: Atoms) -> None:
    attached.calc.get_property("phonon_dos", attached)[:] = 0
    assert attached.calc.get_property("phonon_dos", attached).max() > 0


def test_phonopy_objects_agree_with_the_spectrum(attached: Atoms) -> None:
    dos = attached.calc.get_total_dos()
    assert f"{type(dos).__module__}.{type(dos).__qualname__}" == "phonopy.phonon.dos.TotalDos"
    thermal = attached.calc.get_thermal_properties(t_min=100, t_max=500, t_step=100)
    assert list(thermal.temperatures) == [100, 200, 300, 400, 500]
    spectrum = attached.calc.get_phonon_dos()
    np.testing.assert_allclose(
        thermal.thermal_properties[3], spectrum.heat_capacity(thermal.temperatures), rtol=5e-3
    )
    (one,) = attached.calc.get_thermal_properties(temperatures=[300.0]).thermal_properties[2]
    assert one == pytest.approx(spectrum.entropy(300.0), rel=5e-3)


def test_second_call_costs_nothing(attached: Atoms, predictions: list[str]) -> None:
    for _ in range(3):
        attached.calc.get_phonon_dos()
        attached.calc.get_property("entropy", attached)
        attached.calc.get_thermal_properties()
        attached.calc.get_phonon_dos(attached.copy())
    assert predictions == ["NaCl"]


def change_positions(atoms: Atoms) -> None:
    atoms.positions[0] += 0.05


def change_cell(atoms: Atoms) -> None:
    atoms.set_cell(atoms.cell * 1.01, scale_atoms=True)


def change_elements(atoms: Atoms) -> None:
    atoms.symbols[0] = "K"


def change_masses(atoms: Atoms) -> None:
    atoms.set_masses([22.99, 37.0])


def change_occupancy(atoms: Atoms) -> None:
    atoms.info["occupancy"] = {"0": {"Na": 0.5, "K": 0.5}, "1": {"Cl": 1.0}}


@pytest.mark.parametrize(
    "change",
    [change_positions, change_cell, change_elements, change_masses, change_occupancy],
    ids=lambda f: f.__name__.removeprefix("change_"),
)
@pytest.mark.filterwarnings("ignore::ase_e3dos.errors.E3DOSWarning")
def test_changed_atoms_are_predicted_anew(
    attached: Atoms, predictions: list[str], change: Any
) -> None:
    before = attached.calc.get_phonon_dos()
    change(attached)
    after = attached.calc.get_phonon_dos()
    assert len(predictions) == 2
    assert np.abs(after.density - before.density).max() > 1e-6
    attached.calc.get_phonon_dos()
    assert len(predictions) == 2


@pytest.mark.filterwarnings("ignore::ase_e3dos.errors.MagnetismWarning")
def test_of_charges_moments_and_constraints_only_a_warning_depends_on_moments(
    attached: Atoms, predictions: list[str]
) -> None:
    from ase.constraints import FixAtoms

    attached.calc.get_phonon_dos()
    attached.set_initial_charges([1, -1])
    attached.set_constraint(FixAtoms([0]))
    attached.calc.get_phonon_dos()
    assert len(predictions) == 1
    for moments in ([1, 0], [1, 2]):
        attached.set_initial_magnetic_moments(moments)
        spectrum = attached.calc.get_phonon_dos()
        assert [type(w) for w in spectrum.warnings] == [MagnetismWarning]
        assert len(predictions) == 2
    attached.set_initial_magnetic_moments(None)
    assert not attached.calc.get_phonon_dos().warnings


def test_changed_occupancy_in_place_is_noticed(rocksalt: Atoms, predictions: list[str]) -> None:
    change_occupancy(rocksalt)
    rocksalt.calc = E3DOSPredictor()
    rocksalt.calc.get_phonon_dos()
    rocksalt.info["occupancy"]["0"] = {"Na": 0.9, "K": 0.1}
    rocksalt.calc.get_phonon_dos()
    assert predictions == ["Na0.5K0.5Cl", "Na0.9K0.1Cl"]


def test_set_discards_what_it_made(attached: Atoms) -> None:
    cold = attached.calc.get_property("heat_capacity", attached)
    assert attached.calc.set(temperature=300.0) == {}
    attached.calc.set(temperature=50)
    assert attached.calc.get_property("heat_capacity", attached) < cold


@pytest.mark.parametrize("name", ["energy", "forces", "stress", "free_energy", "dipole"])
def test_energies_and_forces_are_refused_with_a_hint(attached: Atoms, name: str) -> None:
    with pytest.raises(PropertyNotImplementedError, match="Use a second calculator"):
        attached.calc.get_property(name, attached)


def test_ase_methods_for_energies_are_refused(attached: Atoms) -> None:
    for ask in (
        attached.get_potential_energy,
        attached.get_forces,
        attached.get_stress,
        attached.calc.band_structure,
    ):
        with pytest.raises(PropertyNotImplementedError, match=r"not predicted.*force-constants"):
            ask()


def test_wrong_parameters_are_refused_at_once() -> None:
    with pytest.raises(UnknownModelError, match=r"'defualt'.*default"):
        E3DOSPredictor(model="defualt")
    for temperature in (-1, float("nan")):
        with pytest.raises(SpectrumError, match="kelvin"):
            E3DOSPredictor(temperature=temperature)
    with pytest.raises(E3DOSError, match="no parameter temprature"):
        E3DOSPredictor().set(temprature=100)


def test_without_atoms_the_error_says_what_to_do() -> None:
    with pytest.raises(E3DOSError, match=r"atoms\.calc = E3DOSPredictor"):
        E3DOSPredictor().get_phonon_dos()


def test_atoms_that_cannot_be_predicted_leave_the_calculator_usable(attached: Atoms) -> None:
    calc = attached.calc
    with pytest.raises(E3DOSError, match="not periodic"):
        calc.get_phonon_dos(Atoms("Cu"))
    assert calc.get_phonon_dos(attached).n_modes == 6


def test_several_atoms_share_a_calculator(predictions: list[str]) -> None:
    calc = E3DOSPredictor()
    several = [
        bulk(name, "rocksalt", a=a) for name, a in (("CaO", 4.8), ("SrO", 5.14), ("MgO", 4.2))
    ]
    for atoms in several:
        atoms.calc = calc
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        found = [calc.get_phonon_dos(atoms) for atoms in several]
    assert [s.crystal.formula for s in found] == ["CaO", "SrO", "MgO"] == predictions
    with pytest.warns(E3DOSWarning, match="attached to several Atoms"):
        assert calc.get_phonon_dos().crystal.formula == "MgO"
    several[2].calc = None
    several[1].calc = EMT()
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        assert calc.get_phonon_dos().crystal.formula == "CaO"


def test_the_calculator_keeps_no_atoms_alive() -> None:
    import gc
    import weakref

    calc, atoms = E3DOSPredictor(), bulk("Cu")
    atoms.calc = calc
    alive = weakref.ref(atoms)
    del atoms
    gc.collect()
    assert alive() is None


def test_threads_get_the_spectrum_of_their_own_atoms() -> None:
    calc = E3DOSPredictor()
    several = [bulk("Cu"), bulk("Si"), bulk("NaCl", "rocksalt", a=5.64), bulk("Al")] * 6
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(calc.get_phonon_dos, several))
        heats = list(pool.map(lambda a: calc.get_property("heat_capacity", a), several))
    for atoms, spectrum, heat in zip(several, found, heats, strict=True):
        assert spectrum.crystal.numbers.tolist() == atoms.numbers.tolist()
        assert heat == pytest.approx(spectrum.heat_capacity(300.0), rel=1e-6)


@pytest.mark.parametrize("copied", [lambda a: pickle.loads(pickle.dumps(a)), copy.deepcopy])
def test_pickles_and_copies_work_and_carry_no_weights(
    attached: Atoms, predictions: list[str], copied: Any
) -> None:
    attached.calc.set(temperature=77)
    before = attached.calc.get_phonon_dos()
    other = copied(attached)
    assert other.calc is not attached.calc
    assert other.calc.parameters == attached.calc.parameters
    np.testing.assert_array_equal(other.calc.get_phonon_dos().density, before.density)
    assert len(predictions) == 1
    change_cell(other)
    assert other.calc.get_phonon_dos().crystal.volume > before.crystal.volume
    size = len(pickle.dumps(attached.calc))
    members = 1 if before.members is None else len(before.members)
    arrays = (members + len(attached) + 8) * before.density.nbytes
    assert size < 2 * arrays + 20_000  # the networks have a megabyte and more


def test_todict_is_plain_and_makes_the_same_calculator() -> None:
    calc = E3DOSPredictor(temperature=77, uncertainty=False)
    assert json.loads(json.dumps(calc.todict())) == {"temperature": 77.0, "uncertainty": False}
    assert E3DOSPredictor(**calc.todict()).parameters == calc.parameters
    assert json.dumps(calc.parameters)
    assert repr(calc) == "E3DOSPredictor(temperature=77.0, uncertainty=False)"


def test_nothing_is_written_to_the_directory(rocksalt: Atoms, tmp_path: Path) -> None:
    calc = E3DOSPredictor(directory=tmp_path / "never", label=None)
    calc.get_phonon_dos(rocksalt)
    assert list(tmp_path.iterdir()) == []


def test_ase_finds_the_calculator_by_name() -> None:
    import importlib

    import ase_e3dos.interfaces.calculator

    assert get_calculator_class("e3dos") is E3DOSPredictor
    try:
        importlib.reload(ase_e3dos.interfaces.calculator)  # imported twice: no error
    finally:
        ase_e3dos.interfaces.calculator.E3DOSPredictor = E3DOSPredictor  # type: ignore[misc]
    assert E3DOSPredictor().name == "e3dos"


# What survives ASE's writers ------------------------------------------------------------------


@pytest.fixture
def computed(attached: Atoms) -> Atoms:
    attached.calc.get_phonon_dos()
    return attached


@pytest.mark.parametrize("ending", ["traj", "extxyz", "json", "xyz", "vasp", "cif"])
def test_ase_writers_take_atoms_with_results(computed: Atoms, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"atoms.{ending}"
    write(path, computed)
    assert read(path).get_chemical_formula() == "ClNa" or ending == "xyz"
    assert dict(computed.calc.export_properties()) == {}


@pytest.mark.parametrize("ending", ["traj", "extxyz"])
def test_stored_results_survive_files(computed: Atoms, tmp_path: Path, ending: str) -> None:
    assert computed.calc.store(computed) is None
    path = tmp_path / f"atoms.{ending}"
    write(path, [computed, computed])
    spectrum = computed.calc.get_phonon_dos()
    for atoms in read(path, index=":"):
        info = atoms.info
        np.testing.assert_allclose(info["e3dos_phonon_dos"], spectrum.density, rtol=1e-12)
        np.testing.assert_allclose(info["e3dos_phonon_frequencies"], spectrum.frequencies)
        assert info["e3dos_heat_capacity"] == pytest.approx(spectrum.heat_capacity(300.0))
        assert info["e3dos_temperature"] == 300
        assert info["e3dos_model"] == "default"
        assert info["e3dos_version"] == __version__
        assert info["e3dos_weights"] == weights_digest(
            get_registry().model("default").weights_path()
        )
        assert "free_energy_vib: kJ/(mol of cells)" in info["e3dos_units"]
        integral = np.trapezoid(info["e3dos_phonon_dos"], info["e3dos_phonon_frequencies"])
        assert integral == pytest.approx(6)


@pytest.mark.parametrize("kind", ["db", "json"])
def test_stored_results_survive_a_database(computed: Atoms, tmp_path: Path, kind: str) -> None:
    spectrum = computed.calc.get_phonon_dos()
    with connect(tmp_path / f"results.{kind}") as db:
        number = computed.calc.store(computed, db=db, project="salts")
    row = connect(tmp_path / f"results.{kind}").get(f"e3dos_heat_capacity>{1.0},project=salts")
    assert row.id == number
    assert row.calculator == "e3dos"
    assert row.e3dos_entropy == pytest.approx(spectrum.entropy(300.0))
    np.testing.assert_allclose(row.data["e3dos_phonon_dos"], spectrum.density)
    assert row.data["e3dos_units"]["phonon_dos"] == "states/THz per cell"
    assert row.toatoms().get_chemical_formula() == "ClNa"


@pytest.mark.filterwarnings("ignore::ase_e3dos.errors.E3DOSWarning")
def test_warnings_are_stored_with_the_results(tmp_path: Path) -> None:
    atoms = bulk("LiH", "rocksalt", a=4.08)
    atoms.set_masses([6.94, 2.014])
    atoms.calc = E3DOSPredictor()
    atoms.calc.store()
    write(tmp_path / "a.extxyz", atoms)
    assert read(tmp_path / "a.extxyz").info["e3dos_warnings"].startswith("IsotopeWarning: ")
    with connect(tmp_path / "a.db") as db:
        atoms.calc.store(db=db)
        assert "IsotopeWarning" in db.get(id=1).e3dos_warnings
    atoms.set_masses([6.94, 1.008])
    atoms.calc.store()
    assert "e3dos_warnings" not in atoms.info


def test_storing_without_atoms_takes_the_attached_ones(attached: Atoms) -> None:
    attached.calc.store()
    assert attached.info["e3dos_mean_wavenumber"] > 0
    with pytest.raises(E3DOSError, match="belong to a row"):
        attached.calc.store(project="salts")
