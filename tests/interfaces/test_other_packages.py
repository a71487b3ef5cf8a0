"""Spectra in the hands of other released packages; each test skips where its package is absent."""

from __future__ import annotations

import inspect
import warnings

import numpy as np
import phonopy
import pytest
from ase.build import bulk
from monty.json import MontyDecoder, MontyEncoder
from monty.serialization import dumpfn, loadfn
from pymatgen.core import Lattice, Structure
from pymatgen.io.phonopy import get_ph_dos

from ase_e3dos import E3DOSPhonopy, predict
from ase_e3dos.errors import (
    CrystalError,
    E3DOSError,
    ImaginaryModesError,
    ImaginaryWeightWarning,
    NotPredictedError,
)
from ase_e3dos.export.files import emmet_dict, euphonic_spectrum
from ase_e3dos.interfaces.matcalc import E3DOSPhononCalc, E3DOSQHACalc

pytestmark = pytest.mark.usefixtures("default_model")


@pytest.fixture
def magnesia() -> Structure:
    return Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(4.21), ["Mg", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )


def integral(dos) -> float:
    return float(np.trapezoid(dos.densities, dos.frequencies))


def test_pymatgen_reads_total_dos(salt, tmp_path):
    salt.write(tmp_path / "total_dos.dat")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dos = get_ph_dos(str(tmp_path / "total_dos.dat"))
        values = [dos.cv(300.0), dos.entropy(300.0), dos.helmholtz_free_energy(300.0) / 1000]
    expected = [salt.heat_capacity(300.0), salt.entropy(300.0), salt.free_energy(300.0)]
    assert integral(dos) == pytest.approx(6, rel=1e-3)
    np.testing.assert_allclose(values[:2], expected[:2], rtol=0.02)
    assert values[2] == pytest.approx(expected[2], abs=0.1)


def test_emmet_document(salt):
    """Structure and projected densities go along, so that pymatgen's object comes back whole."""
    fields = emmet_dict(salt)
    assert fields["structure"].composition.reduced_formula == "NaCl"
    assert np.allclose(np.sum(fields["projected_densities"], axis=0), fields["densities"])
    phonon = pytest.importorskip("emmet.core.phonon", reason="emmet-core is not installed")
    document = phonon.PhononDOS(**fields)
    assert integral(document.to_pmg) == pytest.approx(6, rel=1e-6)
    assert len(document.to_pmg.pdos) == 2
    from_pmg = phonon.PhononDOS.from_pmg(salt.to_pymatgen())
    np.testing.assert_allclose(from_pmg.projected_densities, document.projected_densities)
    again = phonon.PhononDOS(**document.model_dump())
    np.testing.assert_allclose(again.densities, document.densities)


def test_emmet_reads_our_file(salt, tmp_path):
    phonon = pytest.importorskip("emmet.core.phonon", reason="emmet-core is not installed")
    salt.write(tmp_path / "total_dos.dat")
    document = phonon.PhononDOS.from_phonopy(tmp_path / "total_dos.dat")
    assert integral(document.to_pmg) == pytest.approx(6, rel=1e-3)


def test_euphonic_spectrum(salt):
    euphonic = pytest.importorskip("euphonic", reason="euphonic is not installed")
    spectrum = euphonic_spectrum(salt)
    assert isinstance(spectrum, euphonic.Spectrum1D)
    x, y = spectrum.get_bin_centres().to("meV").magnitude, spectrum.y_data.to("1/meV").magnitude
    assert np.trapezoid(y, x) == pytest.approx(3, rel=1e-3)  # euphonic's: 3 per atom
    broad = spectrum.broaden(x_width=1.0 * euphonic.ureg("meV"))
    assert np.isfinite(broad.y_data.magnitude).all()


def test_pymatviz_figures(salt):
    phonons = pytest.importorskip("pymatviz.phonons", reason="pymatviz is not installed")
    for dos in (salt.to_phonopy(), salt.to_pymatgen()):
        figure = phonons.phonon_dos(dos, units="cm-1")
        assert len(figure.data) >= 1
        assert np.max(figure.data[0].y) > 0
    both = phonons.phonon_dos({"a": salt.to_pymatgen(), "b": salt.to_phonopy()}, stack=False)
    assert len(both.data) >= 2


# monty and jobflow


def test_monty_takes_a_spectrum_apart_and_puts_it_together(salt, tmp_path):
    data = salt.as_dict()
    assert (data["@module"], data["@class"]) == ("ase_e3dos.phonon_spectrum", "PhononSpectrum")
    assert MontyDecoder().decode(MontyEncoder().encode(salt)) == salt
    dumpfn({"spectra": [salt]}, tmp_path / "spectra.json.gz")
    assert loadfn(tmp_path / "spectra.json.gz")["spectra"] == [salt]


def test_jobs_return_spectra(magnesia, salt):
    """A job of anybody's may return a spectrum, and a Maker predicts a structure of another job."""
    jobflow = pytest.importorskip("jobflow", reason="jobflow is not installed")
    from ase_e3dos.interfaces.jobflow import PredictMaker

    theirs = jobflow.job(lambda: salt)()
    given = jobflow.job(lambda: magnesia)()
    ours = PredictMaker(temperatures=(77.0, 300.0)).make(given.output)
    store = jobflow.JobStore(pytest.importorskip("maggma.stores").MemoryStore())
    found = jobflow.run_locally(jobflow.Flow([theirs, given, ours]), store=store, log=False)
    assert found[theirs.uuid][1].output == salt
    assert store.get_output(theirs.uuid, load=True) is not None
    document = found[ours.uuid][1].output
    (expected,) = predict(magnesia)
    assert document["spectrum"] == expected
    assert document["heat_capacity"] == [expected.heat_capacity(t) for t in (77.0, 300.0)]
    stored = MontyDecoder().process_decoded(store.get_output(ours.uuid))
    assert stored["spectrum"] == expected
    assert "weights" in stored["provenance"]


# matcalc ------------------------------------------------------------------------------------------


@pytest.fixture
def potential():
    """EMT, a potential with phonons that are cheap."""
    from ase.calculators.emt import EMT

    return EMT()


def test_adapter_gives_the_dictionary_of_matcalc(magnesia):
    calc = E3DOSPhononCalc(t_max=1000)
    result = calc.calc(magnesia)
    thermal = result["thermal_properties"]
    assert set(thermal) == {"temperatures", "free_energy", "entropy", "heat_capacity"}
    assert thermal["temperatures"][30] == 300  # the place that matcalc's benchmark reads
    (spectrum,) = predict(magnesia)
    assert thermal["heat_capacity"][30] == pytest.approx(spectrum.heat_capacity(300.0), rel=5e-3)
    assert result["final_structure"] is magnesia
    assert all(isinstance(unit, str) for unit in result["_units"].values())
    chained = calc.calc({"final_structure": magnesia, "energy": -1.0, "_units": {"energy": "eV"}})
    assert (chained["energy"], chained["_units"]["energy"]) == (-1.0, "eV")
    np.testing.assert_allclose(chained["thermal_properties"]["entropy"], thermal["entropy"])
    with pytest.raises(CrystalError, match="final_structure"):
        calc.calc({"energy": -1.0})


@pytest.mark.parametrize("relax", [False, True])
@pytest.mark.parametrize("cubic", [False, True])
def test_adapter_against_phonon_calc(potential, cubic, relax):
    """The same keys, cell and units as `PhononCalc` with a potential, relaxed or not."""
    matcalc = pytest.importorskip("matcalc", reason="matcalc is not installed")
    copper = bulk("Cu", a=3.7, cubic=cubic)
    options = {"relax_structure": relax, "fmax": 1e-3, "write_phonon": False}
    theirs = matcalc.PhononCalc(potential, min_length=7.0, **options).calc(copper)
    ours = E3DOSPhononCalc(potential, **options).calc(copper)
    assert set(ours) == {*theirs, "spectrum"}
    units = {k: v for k, v in theirs["_units"].items() if isinstance(v, str)}
    assert {k: ours["_units"][k] for k in units} == units
    assert isinstance(ours["final_structure"], type(theirs["final_structure"]))
    cells = [r["phonon"].primitive for r in (ours, theirs)]
    assert len(cells[0]) == len(cells[1]) == len(copper)
    assert cells[0].volume == pytest.approx(cells[1].volume, rel=1e-3)
    assert ours["frequencies"].shape[1] == theirs["frequencies"].shape[1] == 3 * len(copper)
    for name, value in theirs["thermal_properties"].items():
        assert np.shape(ours["thermal_properties"][name]) == np.shape(value)
    capacity = [r["thermal_properties"]["heat_capacity"][30] for r in (ours, theirs)]
    assert capacity[0] == pytest.approx(capacity[1], rel=0.02)  # 23.5 J/(K mol) an atom
    if relax:
        assert ours["energy"] == pytest.approx(theirs["energy"], abs=1e-6)
        assert ours["volume"] == pytest.approx(theirs["volume"], rel=1e-6)


def test_adapter_in_a_chain_after_a_relaxation(potential):
    matcalc = pytest.importorskip("matcalc", reason="matcalc is not installed")
    relax = matcalc.RelaxCalc(potential, fmax=1e-3)
    chain = matcalc.ChainedCalc([relax, E3DOSPhononCalc()])
    copper = bulk("Cu", a=3.7, cubic=True)
    result = chain.calc(copper)
    assert result["spectrum"].crystal.volume == pytest.approx(result["volume"])
    assert result["volume"] < 3.65**3
    many = list(chain.calc_many([copper, copper]))
    assert [r["volume"] for r in many] == pytest.approx([result["volume"]] * 2)


def test_quasi_harmonic_calculator(potential):
    """matcalc's QHACalc on predicted spectra: the expansion of copper, and the keys that it has."""
    matcalc = pytest.importorskip("matcalc", reason="matcalc is not installed")
    options = {"t_max": 400, "fmax": 1e-3, "scale_factors": (0.98, 0.99, 1.0, 1.01, 1.02)}
    cells = {"phonon_calc_kwargs": {"min_length": 7.0}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = matcalc.QHACalc(potential, **options, **cells).calc(bulk("Cu", cubic=True))
        ours = E3DOSQHACalc(potential, **options, **cells).calc(bulk("Cu", cubic=True))
    assert set(ours) == set(theirs)
    np.testing.assert_allclose(ours["volumes"], theirs["volumes"], rtol=1e-5)
    np.testing.assert_allclose(ours["electronic_energies"], theirs["electronic_energies"])
    assert ours["heat_capacity_P"][30] == pytest.approx(theirs["heat_capacity_P"][30], rel=0.05)
    assert 1e-5 < ours["thermal_expansion_coefficients"][30] < 1e-4  # 5.0e-5 by experiment


def test_adapter_on_imaginary_modes():
    """A crystal far from its volume, of which the model says that it is unstable."""
    wide = bulk("NaCl", "cesiumchloride", a=4.2)
    (spectrum,) = predict(wide)
    assert spectrum.imaginary_fraction > 0.02
    with pytest.warns(ImaginaryWeightWarning, match="imaginary"):
        E3DOSPhononCalc().calc(wide)
    with pytest.raises(ImaginaryModesError, match="imaginary"):
        E3DOSPhononCalc(on_imaginary_modes="error").calc(wide)
    assert E3DOSPhononCalc(on_imaginary_modes="error", imaginary_freq_tol=-90.0).calc(wide)
    E3DOSPhononCalc(on_imaginary_modes="error").calc(bulk("NaCl", "rocksalt", a=5.64))


def test_adapter_takes_the_arguments_of_matcalc_and_no_others(magnesia, tmp_path):
    with pytest.raises(TypeError, match="t_maximum"):
        E3DOSPhononCalc(t_maximum=500)
    for wrong in ({"relax_structure": True}, {"on_imaginary_modes": "stop"}):
        with pytest.raises(E3DOSError, match=next(iter(wrong))):
            E3DOSPhononCalc(**wrong)
    for refused in ("write_band_structure", "write_force_constants", "fix_imaginary_attempts"):
        with pytest.raises(NotPredictedError, match=refused):
            E3DOSPhononCalc(**{refused: True})
    files = {k: tmp_path / k for k in ("write_total_dos", "write_phonon")}
    E3DOSPhononCalc(**files).calc(magnesia)
    assert get_ph_dos(files["write_total_dos"]).cv(300.0) > 100
    assert len(phonopy.load(files["write_phonon"], produce_fc=False).unitcell) == 8
    matcalc = pytest.importorskip("matcalc", reason="matcalc is not installed")
    theirs = inspect.signature(matcalc.PhononCalc).parameters
    defaults = {name: p.default for name, p in theirs.items() if name != "calculator"}
    E3DOSPhononCalc(object(), **defaults)


def test_adapter_keeps_errors_in_their_places(magnesia):
    alone = bulk("Cu")
    alone.pbc = False
    results = list(E3DOSPhononCalc().calc_many([magnesia, alone, magnesia], allow_errors=True))
    assert [r is None for r in results] == [False, True, False]
    with pytest.raises(CrystalError):
        list(E3DOSPhononCalc().calc_many([alone]))


def test_matcalc_benchmark(magnesia, tmp_path):
    matcalc = pytest.importorskip("matcalc", reason="matcalc is not installed")
    assert isinstance(E3DOSPhononCalc(), matcalc.PropCalc)
    benchmark = pytest.importorskip("matcalc.benchmark")
    reference = predict(magnesia)[0].heat_capacity(300.0)
    rows = [
        {"mp_id": f"mp-{i}", "formula": "MgO", "structure": magnesia, "heat_capacity": reference}
        for i in range(3)
    ]

    dumpfn(rows, tmp_path / "rows.json")

    class Spectra(benchmark.PhononBenchmark):
        """matcalc's phonon benchmark with our calculator of the property."""

        def get_prop_calc(self, calculator, **options):
            return E3DOSPhononCalc(calculator, relax_structure=False, **options)

    table = Spectra(benchmark_name=tmp_path / "rows.json").run("none", "e3dos", n_jobs=1)
    column = "CV_e3dos"
    np.testing.assert_allclose(table[column].to_numpy(float), reference, rtol=5e-3)


# janus-core and quacc -----------------------------------------------------------------------------


def test_janus_phonons(tmp_path):
    phonons = pytest.importorskip("janus_core.calculations.phonons", reason="janus-core is absent")
    from ase.calculators.emt import EMT

    atoms = bulk("Cu")
    atoms.calc = EMT()
    run = phonons.Phonons(
        struct=atoms, temp_max=300, temp_step=100, write_results=True, file_prefix=tmp_path / "cu"
    )
    run.results["phonon"] = E3DOSPhonopy(atoms)  # in the place of its displacements
    run.calc_thermal_props(mesh=(5, 5, 5))
    run.calc_dos(mesh=(5, 5, 5), plot_bands=False)
    run.calc_pdos(mesh=(5, 5, 5))
    assert run.results["thermal_properties"]["heat_capacity"][-1] == pytest.approx(24, abs=1.5)
    written = sorted(p.name for p in tmp_path.iterdir())
    assert {"cu-dos.dat", "cu-thermal.yml", "cu-pdos.dat"} <= set(written), written
    with pytest.raises(NotPredictedError, match="run_band_structure"):
        run.results["phonon"].run_band_structure([])


def test_quacc_summary_is_refused_by_name(tmp_path):
    """quacc's schema stores force constants, which a spectrum has not."""
    schemas = pytest.importorskip("quacc.schemas.phonons", reason="quacc is not installed")
    atoms = bulk("Cu")
    phonon = E3DOSPhonopy(atoms)
    phonon.run_mesh()
    phonon.run_total_dos()
    phonon.run_thermal_properties()
    with pytest.raises(NotPredictedError, match="force_constants"):
        schemas.summarize_phonopy(phonon, atoms, tmp_path)
