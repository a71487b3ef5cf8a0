"""Spectra in the hands of other released packages; each test skips where its package is absent."""

from __future__ import annotations

import inspect
import warnings

import numpy as np
import pytest
from ase.build import bulk
from monty.serialization import dumpfn
from pymatgen.core import Lattice, Structure
from pymatgen.io.phonopy import get_ph_dos

from ase_e3dos import E3DOSPhonopy, predict
from ase_e3dos.errors import CrystalError, NotPredictedError
from ase_e3dos.export.files import emmet_dict, euphonic_spectrum
from ase_e3dos.interfaces.matcalc import E3DOSPhononCalc

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
    phonon = pytest.importorskip("emmet.core.phonon", reason="emmet-core is not installed")
    document = phonon.PhononDOS(**emmet_dict(salt))
    assert integral(document.to_pmg) == pytest.approx(6, rel=1e-6)
    from_pmg = phonon.PhononDOS.from_pmg(salt.to_pymatgen())
    assert len(from_pmg.projected_densities) == 2
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


# matcalc ------------------------------------------------------------------------------------------


def test_adapter_gives_the_dictionary_of_matcalc(magnesia):
    calc = E3DOSPhononCalc(t_max=1000)
    result = calc.calc(magnesia)
    thermal = result["thermal_properties"]
    assert set(thermal) == {"temperatures", "free_energy", "entropy", "heat_capacity"}
    assert thermal["temperatures"][30] == 300  # the place that matcalc's benchmark reads
    (spectrum,) = predict(magnesia.get_primitive_structure())
    expected = spectrum.heat_capacity(300.0) * len(result["phonon"].primitive) / 2
    assert thermal["heat_capacity"][30] == pytest.approx(expected, rel=5e-3)
    chained = calc.calc({"final_structure": magnesia, "energy": -1.0})
    assert chained["energy"] == -1.0
    np.testing.assert_allclose(chained["thermal_properties"]["entropy"], thermal["entropy"])


def test_adapter_takes_the_arguments_of_matcalc_and_no_others():
    with pytest.raises(TypeError, match="t_maximum"):
        E3DOSPhononCalc(t_maximum=500)
    matcalc = pytest.importorskip("matcalc", reason="matcalc is not installed")
    theirs = inspect.signature(matcalc.PhononCalc).parameters
    E3DOSPhononCalc(**{name: p.default for name, p in theirs.items() if name != "calculator"})


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
    reference = predict(magnesia.get_primitive_structure())[0].heat_capacity(300.0)
    rows = [
        {"mp_id": f"mp-{i}", "formula": "MgO", "structure": magnesia, "heat_capacity": reference}
        for i in range(3)
    ]

    dumpfn(rows, tmp_path / "rows.json")

    class Spectra(benchmark.PhononBenchmark):
        """matcalc's phonon benchmark with our calculator of the property."""

        def get_prop_calc(self, calculator, **options):
            return E3DOSPhononCalc(calculator, **options)

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
    """quacc's schema stores modes on a mesh and force constants, which a spectrum has not."""
    schemas = pytest.importorskip("quacc.schemas.phonons", reason="quacc is not installed")
    atoms = bulk("Cu")
    phonon = E3DOSPhonopy(atoms)
    phonon.run_mesh()
    phonon.run_total_dos()
    phonon.run_thermal_properties()
    with pytest.raises(NotPredictedError, match="get_mesh_dict"):
        schemas.summarize_phonopy(phonon, atoms, tmp_path)
