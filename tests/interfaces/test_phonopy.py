"""E3DOSPhonopy against phonopy.Phonopy itself, with spectra put in place of predicted ones."""

from __future__ import annotations

import contextlib
import copy
import inspect
import operator
import pickle
import warnings
from pathlib import Path

import matplotlib
import numpy as np
import phonopy
import pytest
import yaml
from ase import Atoms
from ase.build import bulk
from phonopy import Phonopy
from phonopy.structure.atoms import PhonopyAtoms
from pymatgen.core import Lattice, Structure
from pymatgen.io.ase import AseAtomsAdaptor
from pymatgen.io.phonopy import get_ph_dos

import ase_e3dos
from ase_e3dos.errors import (
    CrystalError,
    LowTemperatureWarning,
    NotPredictedError,
    OutputError,
    PassedOverWarning,
    SpectrumError,
    SymmetryWarning,
)
from ase_e3dos.interfaces.phonopy import E3DOSPhonopy
from ase_e3dos.phonon_spectrum import PhononSpectrum
from ase_e3dos.spectrum import named_grid
from ase_e3dos.structures.crystal import Crystal

matplotlib.use("Agg")
WEIGHTS = Path(ase_e3dos.__file__).parent / "models" / "default.safetensors"


def made_up(crystal: Crystal) -> PhononSpectrum:
    """Frequencies fall with the masses; a Debye-like curve for every site."""
    x = named_grid("default").wavenumbers
    tops = 1500 / np.sqrt(crystal.masses)
    sites = np.where(x > 0, x**2, 0) * np.exp(-((x / tops[:, None]) ** 2))
    return PhononSpectrum(x, site_density=sites, crystal=crystal, model="made up")


@pytest.fixture
def phonon():
    salt = bulk("NaCl", "rocksalt", a=5.64, cubic=True)
    return E3DOSPhonopy(salt, np.eye(3) * 2, primitive_matrix="auto", _predict=made_up)


def test_cells_are_those_of_phonopy(phonon):
    salt = bulk("NaCl", "rocksalt", a=5.64, cubic=True)
    cell = PhonopyAtoms(
        symbols=salt.get_chemical_symbols(),
        cell=salt.cell[:],
        scaled_positions=salt.get_scaled_positions(),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = Phonopy(cell, np.eye(3) * 2, primitive_matrix="auto")
        default = Phonopy(cell)
    assert len(phonon.primitive) == len(theirs.primitive)
    assert np.allclose(phonon.primitive.cell, theirs.primitive.cell)
    assert len(E3DOSPhonopy(salt).primitive) == len(default.primitive)  # phonopy 3: all 8
    assert len(phonon.unitcell) == 8
    assert len(phonon.supercell) == 64
    assert np.array_equal(phonon.supercell_matrix, theirs.supercell_matrix)
    assert np.allclose(phonon.primitive_matrix, theirs.primitive_matrix)
    assert phonon.version == theirs.version
    assert phonon.primitive_symmetry.dataset.number == 225
    assert np.allclose(phonon.masses, theirs.masses, rtol=2e-4)  # two tables of elements
    assert phonon.band_structure is None
    conventional = E3DOSPhonopy(salt, primitive_matrix="P", _predict=made_up)
    assert conventional.spectrum.n_modes == 24


@pytest.mark.parametrize("kind", ["atoms", "phonopy", "pymatgen", "crystal", "file"])
def test_cells_of_every_kind(kind, tmp_path):
    atoms = bulk("NaCl", "rocksalt", a=5.64, cubic=True)
    cells = {
        "atoms": atoms,
        "phonopy": PhonopyAtoms(
            symbols=atoms.get_chemical_symbols(),
            cell=atoms.cell[:],
            scaled_positions=atoms.get_scaled_positions(),
        ),
        "pymatgen": AseAtomsAdaptor.get_structure(atoms),
        "crystal": Crystal.from_any(atoms),
        "file": tmp_path / "POSCAR",
    }
    atoms.write(tmp_path / "POSCAR")
    phonon = E3DOSPhonopy(cells[kind], _predict=made_up, primitive_matrix="auto")
    reference = E3DOSPhonopy(atoms, _predict=made_up, primitive_matrix="auto")
    assert len(phonon.primitive) == 2
    assert np.allclose(phonon.spectrum.density, reference.spectrum.density, rtol=1e-3)


def test_a_cell_in_bohr_is_one_in_angstrom():
    a = 5.64 / 0.529177
    cell = PhonopyAtoms(
        symbols=["Na", "Cl"],
        cell=np.array([[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]) * a,
        scaled_positions=[[0, 0, 0], [0.5, 0.5, 0.5]],
    )
    phonon = E3DOSPhonopy(cell, calculator="qe", _predict=made_up, primitive_matrix="auto")
    assert phonon.spectrum.crystal.volume == pytest.approx(5.64**3 / 4, rel=1e-4)
    names = list(inspect.signature(Phonopy).parameters)
    before = [inspect.signature(Phonopy).parameters[n].default for n in names]
    at = names.index("calculator")
    placed = E3DOSPhonopy(cell, *before[1:at], "qe", _predict=made_up)
    assert placed._unitcell_crystal.volume == pytest.approx(5.64**3 / 4, rel=1e-4)
    assert phonon.unitcell.volume == pytest.approx(a**3 / 4)


def test_mixed_sites_are_reduced_to_the_primitive_cell():
    sites = [[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]
    sites += [[0.5, 0.5, 0.5], [0.5, 0, 0], [0, 0.5, 0], [0, 0, 0.5]]
    mixed = Structure(Lattice.cubic(5.8), [{"Na": 0.75, "K": 0.25}] * 4 + ["Cl"] * 4, sites)
    phonon = E3DOSPhonopy(mixed, _predict=made_up, primitive_matrix="auto")
    crystal = phonon.spectrum.crystal
    assert crystal.n_sites == len(phonon.primitive) == 2
    assert sorted(crystal.species_number.tolist()) == [11, 17, 19]
    assert phonon.masses.sum() == pytest.approx(crystal.masses.sum())
    with pytest.raises(NotPredictedError, match="species_mass"):
        phonon.masses = [23.0, 35.0]


def half_mixed() -> Structure:
    """Two mixed sites and two of sodium, which phonopy holds for four of sodium."""
    sites = [[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]
    sites += [[0.5, 0.5, 0.5], [0.5, 0, 0], [0, 0.5, 0], [0, 0, 0.5]]
    species = [{"Na": 0.75, "K": 0.25}] * 2 + ["Na"] * 2 + ["Cl"] * 4
    return Structure(Lattice.cubic(5.8), species, sites)


def with_one_protium() -> Atoms:
    """LiH of which all hydrogen but one atom is deuterium."""
    atoms = bulk("LiH", "rocksalt", a=4.08, cubic=True)
    masses = np.where(atoms.numbers == 1, 2.014, 6.94)
    masses[1] = 1.008
    atoms.set_masses(masses)
    return atoms


FACES = np.array([[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])


@pytest.mark.parametrize("cell", [half_mixed(), with_one_protium()], ids=["mixed", "isotopes"])
def test_unlike_sites_never_become_one(cell):
    given = Crystal.from_any(cell)

    def found(*args, **options):
        phonon = E3DOSPhonopy(cell, *args, _predict=made_up, **options)
        predicted = phonon.spectrum.crystal
        assert predicted.n_sites == len(phonon.primitive) == 8
        assert predicted.formula == given.formula
        assert np.allclose(predicted.masses, given.masses)

    with warnings.catch_warnings():
        warnings.simplefilter("error", SymmetryWarning)
        found()
        found(None, "P")
        found(primitive_matrix="P")
    for args, options in (((None, "auto"), {}), ((), {"primitive_matrix": "auto"})):
        with pytest.warns(SymmetryWarning, match="'auto' makes sites") as said:
            found(*args, **options)
        assert said[0].filename == __file__
    for matrix in ("F", FACES):
        for args, options in (((np.eye(3), matrix), {}), ((), {"primitive_matrix": matrix})):
            with pytest.raises(CrystalError, match="of another crystal"):
                E3DOSPhonopy(cell, *args, **options)


def test_alike_isotopes_are_reduced_to_the_primitive_cell():
    atoms = bulk("LiH", "rocksalt", a=4.08, cubic=True)
    atoms.set_masses(np.where(atoms.numbers == 1, 2.014, 6.94))
    for options in ({"primitive_matrix": "auto"}, {"primitive_matrix": FACES}):
        phonon = E3DOSPhonopy(atoms, _predict=made_up, **options)
        assert sorted(phonon.spectrum.crystal.masses) == pytest.approx([2.014, 6.94], rel=1e-3)


def test_total_dos(phonon, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    phonon.run_mesh([8, 8, 8], is_time_reversal=True, with_eigenvectors=True)
    assert phonon.total_dos is None
    dos = phonon.run_total_dos()
    assert dos is phonon.total_dos
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = phonon.get_total_dos_dict()
    assert np.trapezoid(data["total_dos"], data["frequency_points"]) == pytest.approx(6, rel=1e-3)
    phonon.run_total_dos(sigma=0.1, freq_min=-1, freq_max=40, freq_pitch=0.05)
    assert phonon.total_dos.frequency_points[[0, -1]] == pytest.approx([-1, 40])
    assert np.trapezoid(phonon.total_dos.dos, dx=0.05) == pytest.approx(6, rel=1e-3)
    phonon.write_total_dos()
    assert get_ph_dos("total_dos.dat").cv(300.0) > 40
    plot = phonon.auto_total_dos(plot=True, write_dat=True, filename="again.dat", mesh=20)
    plot.savefig("dos.png")
    assert Path("again.dat").exists()
    ours, theirs = phonon.spectrum.plot().lines[0], plot.gca().lines[0]
    x = ours.get_xdata()
    assert np.interp(x, *theirs.get_data()) == pytest.approx(ours.get_ydata())  # the same curve
    phonon.plot_total_dos(with_tight_frequency_range=True)
    phonon.run_total_dos(freq_min=100, freq_max=120, freq_pitch=1.0)
    phonon.plot_total_dos(with_tight_frequency_range=True)  # nothing there: phonopy's fails
    phonon.run_total_dos()
    phonon.set_Debye_frequency()
    assert 5 < phonon.get_Debye_frequency() < 20


def test_projected_dos(phonon, tmp_path):
    dos = phonon.run_projected_dos()
    total = phonon.run_total_dos()
    assert np.allclose(dos.projected_dos.sum(0), total.dos)
    smeared = phonon.run_projected_dos(sigma=0.5)
    assert np.array_equal(
        smeared.frequency_points, phonon.run_total_dos(sigma=0.5).frequency_points
    )
    assert np.allclose(smeared.projected_dos.sum(0), phonon.total_dos.dos)
    dos = phonon.run_projected_dos()
    data = phonon.get_projected_dos_dict()
    assert data["projected_dos"].shape == (2, len(data["frequency_points"]))
    phonon.write_projected_dos(tmp_path / "projected_dos.dat")
    columns = np.loadtxt(tmp_path / "projected_dos.dat").T
    assert np.trapezoid(columns[1:], columns[0]) == pytest.approx([3, 3], rel=1e-3)
    plot = phonon.auto_projected_dos(plot=True, pdos_indices=[[0], [1]], legend=["Na", "Cl"])
    assert len(plot.gca().lines) == 2
    for wrong in ({"direction": [1, 0, 0]}, {"xyz_projection": True}):
        with pytest.raises(NotPredictedError, match="direction"):
            phonon.run_projected_dos(**wrong)


def test_thermal_properties(phonon, tmp_path):
    result = phonon.run_thermal_properties(t_min=0, t_max=1000, t_step=10)
    assert result is phonon.thermal_properties
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = phonon.get_thermal_properties_dict()
    assert list(data) == ["temperatures", "free_energy", "entropy", "heat_capacity"]
    assert data["heat_capacity"][30] == pytest.approx(
        phonon.spectrum.heat_capacity(300.0), rel=1e-3
    )
    assert data["free_energy"][0] == pytest.approx(phonon.spectrum.zero_point_energy, rel=1e-4)
    phonon.write_yaml_thermal_properties(tmp_path / "tp.yaml")
    assert "natom: 2" in (tmp_path / "tp.yaml").read_text()
    assert len(phonon.plot_thermal_properties().gca().lines) == 3
    with pytest.raises(NotPredictedError, match="band_indices"):
        phonon.run_thermal_properties(band_indices=[[0]])
    with pytest.warns(LowTemperatureWarning) as said:
        phonon.run_thermal_properties(temperatures=[2.0])
    assert said[0].filename == __file__


def test_what_phonopy_says_of_its_cells_is_passed_on():
    """Phonopy 4 warns where its default took a smaller cell than the one given."""
    salt = bulk("NaCl", "rocksalt", a=5.64, cubic=True)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        Phonopy(PhonopyAtoms(symbols=salt.symbols, cell=salt.cell[:], positions=salt.positions))
    theirs = [w.category for w in said]
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        E3DOSPhonopy(salt, _predict=made_up)
    assert [w.category for w in said] == theirs
    assert all(w.filename == __file__ for w in said)


def test_thermal_displacements_are_those_of_phonopy(salt_model, tmp_path, monkeypatch):
    """A crystal of springs, cubic, so that displacements are isotropic: phonopy's own numbers."""
    theirs = salt_model.phonon
    theirs.run_mesh([16, 16, 16], with_eigenvectors=True, is_mesh_symmetry=False)
    theirs.run_thermal_displacements(temperatures=[0, 300, 900], freq_min=0.01)
    expected = theirs.thermal_displacements.thermal_displacements
    ours = E3DOSPhonopy(
        theirs.unitcell, primitive_matrix="P", _predict=lambda c: salt_model.spectrum(16)
    )
    assert ours.thermal_displacements is None
    found = ours.run_thermal_displacements(temperatures=[0, 300, 900])
    assert np.allclose(found.thermal_displacements, expected, rtol=0.03)
    along = ours.run_thermal_displacements(temperatures=[300], direction=[1, 1, 0])
    assert np.allclose(along.thermal_displacements, expected[1:2, ::3], rtol=0.03)
    data = ours.get_thermal_displacements_dict()
    assert np.array_equal(data["temperatures"], [300])
    monkeypatch.chdir(tmp_path)
    ours.run_thermal_displacements(t_max=20)
    ours.write_yaml_thermal_displacements()
    rows = yaml.safe_load(Path("thermal_displacements.yaml").read_text())["thermal_displacements"]
    assert [r["temperature"] for r in rows] == [0, 10, 20]
    assert np.shape(rows[0]["displacements"]) == (2, 3)
    assert len(ours.plot_thermal_displacements(is_legend=True).gca().lines) == 6
    with pytest.raises(NotPredictedError, match="freq_min"):
        ours.run_thermal_displacements(freq_min=0.1)


def test_moments_are_those_of_phonopy(salt_model):
    theirs = salt_model.phonon
    theirs.run_mesh([12, 12, 12], with_eigenvectors=True, is_mesh_symmetry=False)
    ours = E3DOSPhonopy(
        theirs.unitcell, primitive_matrix="P", _predict=lambda c: salt_model.spectrum(16)
    )
    with pytest.raises(RuntimeError, match="run_mesh has to be done"):
        ours.run_moment()
    ours.run_mesh()
    for options in ({"order": 1}, {"order": 2}, {"order": 2, "is_projection": True},
                    {"freq_min": 2.0, "freq_max": 4.0}):  # fmt: skip
        theirs.run_moment(**options)
        found = ours.run_moment(**options)
        assert np.allclose(found.moment, theirs.moment.moment, rtol=0.02), options
    assert ours.get_moment() is ours.moment.moment


def test_mesh_dict_copies_and_saved_cells(phonon, tmp_path):
    phonon.run_mesh()
    mesh = phonon.get_mesh_dict()
    assert mesh["frequencies"].shape == (len(mesh["weights"]), 6)
    for q, weight, frequencies in zip(
        mesh["qpoints"], mesh["weights"], mesh["frequencies"], strict=True
    ):
        assert q.shape == (3,)
        assert weight > 0
        assert frequencies.shape == (6,)
    for again in (phonon.copy(), phonon.replicate()):
        assert again.mesh is None
        assert np.allclose(again.primitive.cell, phonon.primitive.cell)
        assert np.allclose(again.spectrum.density, phonon.spectrum.density)
    phonon.save(tmp_path / "phonopy_params.yaml")
    loaded = phonopy.load(tmp_path / "phonopy_params.yaml", produce_fc=False)
    assert np.allclose(loaded.primitive.cell, phonon.primitive.cell)
    assert np.array_equal(loaded.supercell_matrix, phonon.supercell_matrix)
    again = E3DOSPhonopy(tmp_path / "phonopy_params.yaml", primitive_matrix="auto")
    assert len(again.primitive) == 2


def test_script_with_displaced_supercells_changes_one_line(phonon):
    """What such a script does and sets is passed over with a warning; only asked for."""

    def script(phonon):
        phonon.generate_displacements(distance=0.01)
        phonon.forces = [np.zeros((64, 3)) for _ in phonon.supercells_with_displacements]
        phonon.dataset = {"natom": 64, "first_atoms": []}
        phonon.nac_params = {"born": np.zeros((2, 3, 3)), "dielectric": np.eye(3), "factor": 14.4}
        phonon.produce_force_constants()
        phonon.symmetrize_force_constants()
        phonon.force_constants = np.zeros((2, 64, 3, 3))
        phonon.run_mesh([4, 4, 4])
        return phonon.run_total_dos()

    with pytest.raises(NotPredictedError, match="generate_displacements"):
        script(phonon)
    salt = phonon.unitcell
    lenient = E3DOSPhonopy(salt, np.eye(3) * 2, primitive_matrix="auto", strict=False,
                           _predict=made_up)  # fmt: skip
    with pytest.warns(PassedOverWarning) as said:
        dos = script(lenient)
    assert all(w.filename == __file__ for w in said)
    steps = [str(w.message).split(":")[0] for w in said]
    assert steps == ["generate_displacements", "setting forces", "setting dataset",
                     "setting nac_params", "produce_force_constants", "symmetrize_force_constants",
                     "setting force_constants"]  # fmt: skip
    assert np.allclose(dos.dos, phonon.run_total_dos().dos)
    with pytest.raises(NotPredictedError, match=r"run_band_structure.*force-constants.* DFT"):
        lenient.run_band_structure([])


def test_files_say_how_they_were_made_and_errors_why_not(phonon, tmp_path):
    phonon.run_thermal_properties(temperatures=[300.0])
    for sigma, said in ((None, "Averages over intervals"), (0.5, "Sigma = 0.5")):
        phonon.run_total_dos(sigma=sigma)
        phonon.run_projected_dos(sigma=sigma)
        for name in ("total_dos", "projected_dos"):
            getattr(phonon, f"write_{name}")(tmp_path / name)
            assert said in (tmp_path / name).read_text().splitlines()[0]
            assert len(np.loadtxt(tmp_path / name)) == len(getattr(phonon, name).frequency_points)
    for write in (phonon.write_total_dos, phonon.write_projected_dos,
                  phonon.write_yaml_thermal_properties, phonon.spectrum.write):  # fmt: skip
        with pytest.raises(OutputError, match="cannot be written"):
            write(tmp_path / "nowhere" / "file.dat")


def test_results_before_their_run_are_errors_as_in_phonopy(phonon):
    for method in ("get_total_dos_dict", "plot_total_dos", "write_total_dos", "plot_projected_dos",
                   "get_thermal_properties_dict", "write_yaml_thermal_properties"):  # fmt: skip
        with pytest.raises(RuntimeError, match="has to be done"):
            getattr(phonon, method)()


def test_every_method_of_phonopy_works_or_says_why_not(phonon):
    """Whatever the installed phonopy offers: no AttributeError, and the method is named."""
    for name, member in inspect.getmembers(Phonopy):
        if name.startswith("_"):
            continue
        if hasattr(E3DOSPhonopy, name):
            continue
        if isinstance(member, property):
            with contextlib.suppress(NotPredictedError):
                getattr(phonon, name)
            continue
        with pytest.raises(NotPredictedError, match=name):
            getattr(phonon, name)()
    with pytest.raises(AttributeError):
        _ = phonon.run_total_doss
    with pytest.raises(NotPredictedError, match="forces"):
        phonon.forces = np.zeros((1, 64, 3))


def test_signatures_are_those_of_phonopy():
    """Names, order and defaults of every method that both have, so that any call carries over."""
    shared = [
        name
        for name, member in inspect.getmembers(Phonopy, inspect.isfunction)
        if not name.startswith("_") and hasattr(E3DOSPhonopy, name)
    ]
    assert len(shared) > 25
    for name in shared:
        ours, theirs = (
            [(p.name, p.kind, p.default) for p in inspect.signature(f).parameters.values()]
            for f in (getattr(E3DOSPhonopy, name), getattr(Phonopy, name))
        )
        if "is_projection" in [n for n, *_ in theirs] and name == "run_thermal_properties":
            ours, theirs = sorted(ours, key=str), sorted(theirs, key=str)  # the next test has order
            ours = [p for p in ours if p in theirs]
        assert ours[: len(theirs)] == theirs, name


def test_order_of_older_phonopy(phonon, monkeypatch):
    """It had is_projection between band_indices and classical."""

    def run_thermal_properties(
        self, t_min=0, t_max=1000, t_step=10, temperatures=None, cutoff_frequency=None,
        pretend_real=False, band_indices=None, is_projection=False, classical=False,
    ): ...  # fmt: skip

    def heat_capacity(*args, **options):
        return phonon.run_thermal_properties(*args, **options).thermal_properties[3]

    classical = heat_capacity(temperatures=[50.0], classical=True)
    assert classical[0] > 1.1 * heat_capacity(temperatures=[50.0])[0]
    monkeypatch.setattr(Phonopy, "run_thermal_properties", run_thermal_properties)
    places = (0, 1000, 10, [50.0], None, False, None, False, True)
    assert heat_capacity(*places) == pytest.approx(classical)
    with pytest.raises(NotPredictedError, match="is_projection"):
        phonon.run_thermal_properties(*places[:7], True)
    with pytest.raises(TypeError, match="multiple values for argument 't_min'"):
        phonon.run_thermal_properties(0, t_min=0)


@pytest.mark.parametrize("method", ["run_mesh", "init_mesh", "run_thermal_properties"])
def test_unknown_options_are_errors(phonon, method):
    with pytest.raises(TypeError, match=rf"{method}\(\) got an unexpected .*'tmax'"):
        getattr(phonon, method)(tmax=300)
    with pytest.raises(TypeError, match=r"too many positional arguments|takes from"):
        getattr(phonon, method)(*[None] * 20)


def test_init_mesh_serves_as_phonopys(salt_model):
    """Thermal displacements on its iterated mesh; temperatures and moments on the stored one."""
    theirs = salt_model.phonon
    ours = E3DOSPhonopy(
        theirs.unitcell, primitive_matrix="P", _predict=lambda c: salt_model.spectrum(16)
    )
    places = ([12, 12, 12], None, True, False, True, False, False)
    for phonon in (ours, theirs):
        assert phonon.init_mesh(*places, True) is None
        phonon.run_thermal_displacements(temperatures=[300.0], freq_min=None)
    found, expected = (p.get_thermal_displacements_dict() for p in (ours, theirs))
    assert list(found) == list(expected)
    assert np.allclose(*(d["thermal_displacements"] for d in (found, expected)), rtol=0.05)
    moments = []
    for phonon in (ours, theirs):
        phonon.init_mesh(*places)
        phonon.run_moment(order=2)
        moments.append(phonon.moment.moment)
    assert moments[0] == pytest.approx(moments[1], rel=0.01)
    assert list(ours.get_mesh_dict()) == list(theirs.get_mesh_dict())


def test_force_constants_are_there_but_are_no_numbers(phonon):
    fc = phonon.force_constants
    assert fc is not None
    uses = [np.array, np.asarray, np.linalg.norm, len, list, abs, float, int, bool, operator.pos,
            operator.neg, lambda f: f[0], lambda f: f.shape, lambda f: operator.setitem(f, 0, 1),
            lambda f: 1 in f]  # fmt: skip
    for name in ("add", "sub", "mul", "matmul", "truediv", "floordiv", "mod", "pow", "lt", "ge",
                 "eq", "ne", "iadd"):  # fmt: skip
        function = getattr(operator, name)
        uses += [lambda f, g=function: g(f, 2), lambda f, g=function: g(2, f)]
        uses += [lambda f, g=function: g(f, np.eye(3)), lambda f, g=function: g(np.eye(3), f)]
    for use in uses:
        with pytest.raises(NotPredictedError, match="force_constants"):
            use(fc)
    with pytest.raises(NotPredictedError, match="Delete this step"):
        phonon.force_constants = np.zeros((2, 2, 3, 3))


@pytest.mark.parametrize(
    "options",
    [
        *({"symprec": s} for s in (-1, 0, 1e3, np.nan, "a")),  # -1 and NaN end spglib's process
        {"supercell_matrix": 0},
        {"primitive_matrix": "Q"},
        {"primitive_matrix": np.eye(3) * 0.3},
        {"calculator": "nope"},
    ],
    ids=str,
)
def test_what_phonopy_makes_no_cells_of(options):
    with pytest.raises(CrystalError, match="|".join([*options, "symprec"])):
        E3DOSPhonopy(bulk("Si", cubic=True), **options)
    with pytest.raises(TypeError, match="symprecc"):
        E3DOSPhonopy(bulk("Si"), symprecc=1e-5)


def test_attributes_of_scripts_are_kept_and_ours_are_not_overwritten(phonon):
    phonon.tag = "mine"  # as on a Phonopy
    assert phonon.tag == "mine"
    for name in ("model", "spectrum", "total_dos"):
        with pytest.raises(AttributeError):
            setattr(phonon, name, "paper")


@pytest.mark.parametrize(
    "options",
    [
        {"sigma": 0.0},
        {"sigma": -0.1},
        {"sigma": "a"},
        {"sigma": 0.1, "smearing_function": "Gauss"},
        {"freq_pitch": 0.0},
        {"freq_pitch": 1e-9},
        {"freq_min": 5.0, "freq_max": 1.0},
        {"freq_max": np.nan},
    ],
    ids=str,
)
def test_no_silent_nonsense_from_wrong_ranges(phonon, options):
    with pytest.raises(SpectrumError):
        phonon.run_total_dos(**options)
    with pytest.raises(SpectrumError):
        phonon.run_projected_dos(**options)


@pytest.mark.parametrize(
    "options",
    [
        {"t_min": -10},
        {"t_step": 0},
        {"t_step": 1e-9},
        {"t_step": "a"},
        {"temperatures": [np.nan]},
        {"temperatures": [1e300]},
        {"cutoff_frequency": np.nan},
        {"t_max": np.inf},
    ],
    ids=str,
)
def test_no_silent_nonsense_from_wrong_temperatures(phonon, options):
    with pytest.raises(SpectrumError):
        phonon.run_thermal_properties(**options)


def test_masses_can_be_set(phonon):
    light = phonon.spectrum.mean_wavenumber
    phonon.masses = [4 * m for m in phonon.masses]
    assert phonon.spectrum.mean_wavenumber == pytest.approx(light / 2, rel=0.01)


@pytest.mark.parametrize("masses", [[70], "ab", None, [23.0, -1.0], [np.nan, 35.0], [[23, 35]]])
def test_impossible_masses_are_refused(phonon, masses):
    before = phonon.masses.tolist()
    with pytest.raises(CrystalError, match="2 positive numbers"):
        phonon.masses = masses
    assert phonon.masses.tolist() == before


def test_copies_keep_the_spectrum(phonon):
    phonon.run_mesh()
    for again in (copy.deepcopy(phonon), pickle.loads(pickle.dumps(phonon))):
        assert np.allclose(again.spectrum.density, phonon.spectrum.density)


def test_impossible_cells_are_named():
    with pytest.raises(CrystalError):
        E3DOSPhonopy(bulk("Cu").__class__("Cu"))


def test_with_the_shipped_weights():
    if not WEIGHTS.exists():
        pytest.skip("the default model's weights are not there yet")
    pytest.importorskip("ase_e3dos.prediction", reason="prediction is not there yet")
    phonon = E3DOSPhonopy(bulk("NaCl", "rocksalt", a=5.64), device="cpu")
    phonon.run_mesh([8, 8, 8])
    dos = phonon.run_total_dos()
    assert np.trapezoid(dos.dos, dos.frequency_points) == pytest.approx(6, rel=5e-3)
    phonon.run_thermal_properties(t_min=300, t_max=300)
    # NaCl at 300 K: C_V is 47.6 J/(K mol) by experiment (50.5 at constant pressure)
    assert phonon.get_thermal_properties_dict()["heat_capacity"][0] == pytest.approx(47.6, rel=0.05)
