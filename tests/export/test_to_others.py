from __future__ import annotations

import io
import json
import sys

import numpy as np
import pytest
import yaml
from ase.spectrum.dosdata import GridDOSData
from ase.thermochemistry import CrystalThermo
from monty.json import MontyEncoder
from pymatgen.core import Element
from pymatgen.io.phonopy import get_ph_dos
from pymatgen.phonon.dos import CompletePhononDos, PhononDos

from ase_e3dos.errors import NotPredictedError, SpectrumError, UnreadableFileError
from ase_e3dos.export.ase import crystal_thermo_arguments
from ase_e3dos.export.files import emmet_dict
from ase_e3dos.export.plots import plot_summary
from ase_e3dos.export.pymatgen import complete_phonon_dos, structure_of
from ase_e3dos.phonon_spectrum import PhononSpectrum
from ase_e3dos.structures.crystal import Crystal

EV = 96.48539  # kJ/mol


def test_pymatgen_gets_the_same_thermodynamics(salt, copper):
    for s in (salt, copper):
        dos = s.to_pymatgen()
        assert isinstance(dos, CompletePhononDos)
        for t in (100.0, 300.0, 1000.0):
            assert dos.cv(t) == pytest.approx(s.heat_capacity(t), rel=2e-3)
            assert dos.entropy(t) == pytest.approx(s.entropy(t), rel=5e-3)
            free = dos.helmholtz_free_energy(t) / 1000
            assert free == pytest.approx(s.free_energy(t), rel=5e-3, abs=0.02)
        assert dos.zero_point_energy() / 1000 == pytest.approx(s.zero_point_energy, rel=2e-3)


def test_pymatgen_never_sees_zero(unstable):
    """Releases before 2026-08 give nan for a sample at zero, newer ones warn."""
    dos = unstable.to_pymatgen()
    assert type(dos) is PhononDos
    assert (dos.frequencies != 0).all()
    for t in (0.0, 1.0, 300.0):
        assert np.isfinite([dos.cv(t), dos.entropy(t), dos.helmholtz_free_energy(t)]).all()


def test_pymatgen_sites_and_elements(salt, unstable):
    dos = salt.to_pymatgen()
    elements = dos.get_element_dos()
    assert set(elements) == {Element("Na"), Element("Cl")}
    for element, row in zip(("Na", "Cl"), salt.site_density, strict=True):
        x, y = elements[Element(element)].frequencies, elements[Element(element)].densities
        assert np.interp(x, salt.frequencies, row) == pytest.approx(y, rel=1e-3, abs=1e-5)
    assert dos.structure.composition.reduced_formula == "NaCl"
    assert PhononDos.from_dict(dos.as_dict()).frequencies[0] == dos.frequencies[0]
    with pytest.raises(NotPredictedError, match="plain_phonon_dos"):
        complete_phonon_dos(unstable)


def test_mixed_sites_keep_their_species(salt):
    mixed = Crystal(np.eye(3) * 4, [[0, 0, 0]], [0, 0], [32, 50], [0.25, 0.75])
    s = PhononSpectrum(salt.wavenumbers, salt.density[None], crystal=mixed)
    assert type(s.to_pymatgen()) is PhononDos
    assert structure_of(s)[0].species.as_dict() == {"Ge": 0.25, "Sn": 0.75}


def test_ase_gets_the_same_thermodynamics(salt):
    dos = salt.to_ase()
    assert isinstance(dos, GridDOSData)
    assert np.trapezoid(dos.get_weights(), dos.get_energies()) == pytest.approx(6, rel=1e-9)
    thermo = CrystalThermo(**crystal_thermo_arguments(salt))
    for t in (100.0, 300.0, 1000.0):
        free = thermo.get_helmholtz_energy(t, verbose=False) * EV
        assert free == pytest.approx(salt.free_energy(t), rel=5e-3, abs=0.02)
        entropy = thermo.get_entropy(t, verbose=False) * EV * 1000
        assert entropy == pytest.approx(salt.entropy(t), rel=5e-3)


def test_crystal_thermo_gets_no_imaginary_modes(unstable):
    arguments = crystal_thermo_arguments(unstable)
    assert (arguments["phonon_energies"] > 0).all()
    free = CrystalThermo(**arguments).get_helmholtz_energy(300.0, verbose=False)
    assert np.isfinite(free)


def test_files_are_read_back_by_their_programs(salt, tmp_path):
    salt.write(tmp_path / "total_dos.dat")
    dos = get_ph_dos(str(tmp_path / "total_dos.dat"))
    assert dos.cv(300.0) == pytest.approx(salt.heat_capacity(300.0), rel=2e-3)
    assert "states/THz per cell (6 modes)" in (tmp_path / "total_dos.dat").read_text()

    salt.write(tmp_path / "projected_dos.dat")
    columns = np.loadtxt(tmp_path / "projected_dos.dat").T
    assert np.trapezoid(columns[1:], columns[0]) == pytest.approx([3, 3], rel=1e-3)

    salt.write(tmp_path / "thermal_properties.yaml", t_max=500.0, t_step=100.0)
    data = yaml.safe_load((tmp_path / "thermal_properties.yaml").read_text())
    assert [row["temperature"] for row in data["thermal_properties"]] == [
        0,
        100,
        200,
        300,
        400,
        500,
    ]
    row = data["thermal_properties"][3]
    assert row["heat_capacity"] == pytest.approx(salt.heat_capacity(300.0), rel=1e-4)
    assert data["natom"] == 2
    assert data["num_integrated_modes"] == data["num_modes"]
    assert data["volume"] == pytest.approx(salt.crystal.volume)

    salt.write(tmp_path / "s.csv")
    table = np.genfromtxt(tmp_path / "s.csv", delimiter=",", names=True)
    assert table["density_states_per_THz"] == pytest.approx(salt.density, rel=1e-6, abs=1e-9)

    salt.write(tmp_path / "s.json")
    assert np.allclose(PhononSpectrum.read(tmp_path / "s.json").density, salt.density)
    with pytest.raises(SpectrumError, match="total_dos"):
        salt.write(tmp_path / "spectrum.xyz")


@pytest.mark.parametrize("content", [b"{nope", b"[1]", b"null", b"\xff\xfe\x00", b"", b"[" * 99999])
def test_what_is_no_stored_spectrum_is_refused(tmp_path, content):
    (tmp_path / "s.json").write_bytes(content)
    with pytest.raises(SpectrumError):
        PhononSpectrum.read(tmp_path / "s.json")
    with pytest.raises(UnreadableFileError, match=r"none\.json"):
        PhononSpectrum.read(tmp_path / "none.json")


def test_deep_json_is_refused_where_the_limit_of_recursion_was_raised(tmp_path):
    """As symfc raises it when phonopy imports it; the interpreter itself would crash."""
    (tmp_path / "s.json").write_bytes(b"[" * 99999)
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(100_000)
    try:
        with pytest.raises(SpectrumError, match="nested too deeply"):
            PhononSpectrum.read(tmp_path / "s.json")
        assert sys.getrecursionlimit() == 100_000
    finally:
        sys.setrecursionlimit(limit)


def test_phonopy_reads_the_yaml(salt, tmp_path):
    from phonopy.file_IO import read_thermal_properties_yaml

    salt.write(tmp_path / "thermal_properties.yaml")
    temperatures, heat, entropy, free, *_ = read_thermal_properties_yaml(
        [str(tmp_path / "thermal_properties.yaml")]
    )
    assert np.ravel(heat)[30] == pytest.approx(salt.heat_capacity(300.0), rel=1e-4)
    assert np.ravel(entropy)[30] == pytest.approx(salt.entropy(300.0), rel=1e-4)
    assert np.ravel(free)[30] == pytest.approx(salt.free_energy(300.0), abs=2e-3)
    assert temperatures[30] == 300.0


def test_emmet_fields(salt):
    data = json.loads(MontyEncoder().encode(emmet_dict(salt)))
    assert data["structure"]["@class"] == "Structure"
    assert np.shape(data["projected_densities"]) == (2, len(data["densities"]))
    assert np.trapezoid(data["densities"], data["frequencies"]) == pytest.approx(6, rel=1e-9)


def test_euphonic_counts_three_per_atom(salt):
    pytest.importorskip("euphonic", reason="euphonic is not installed")
    from ase_e3dos.export.files import euphonic_spectrum

    dos = euphonic_spectrum(salt)
    total = np.trapezoid(dos.y_data.magnitude, dos.x_data.to("meV").magnitude)
    assert total == pytest.approx(3, rel=1e-3)


@pytest.mark.parametrize(("units", "scale"), [("THz", 1), ("cm-1", 33.3564), ("meV", 4.13567)])
def test_plotted_curves_integrate_to_the_modes(salt, units, scale):
    ax = salt.plot(units=units, projection="element", smoothing=0)
    total, sodium, chlorine = ax.lines
    x, y = total.get_data()
    assert np.trapezoid(y, x) == pytest.approx(6, rel=1e-3)  # but for ends that are not seen
    assert np.trapezoid(sodium.get_ydata() + chlorine.get_ydata(), x) == pytest.approx(6, rel=1e-3)
    peak = salt.frequencies[salt.density.argmax()] * scale
    assert x[y.argmax()] == pytest.approx(peak, rel=1e-3)
    assert len(ax.collections) == 1  # the band of one standard deviation
    assert {"THz": "THz", "cm-1": "cm", "meV": "meV"}[units] in ax.get_xlabel()
    points, smooth = salt.plot(units=units, smoothing=10).lines[0].get_data()
    assert np.trapezoid(smooth, points) == pytest.approx(6, rel=0.02)  # modes move, none are lost
    assert np.abs(np.diff(smooth, 2)).sum() < np.abs(np.diff(y, 2)).sum()


def test_summary_figure(salt, unstable, copper, tmp_path):
    for name in ("a.png", "a.pdf", "a.svg"):
        salt.write(tmp_path / name)
        assert (tmp_path / name).stat().st_size > 5000
    figure = plot_summary([salt, unstable, copper], tmp_path / "many.png", units="cm-1")
    dos_ax, heat_ax = figure.axes
    for line in dos_ax.lines[:3]:
        if len(line.get_xdata()) > 2:
            assert np.trapezoid(line.get_ydata(), line.get_xdata()) == pytest.approx(3, rel=0.02)
    heat = heat_ax.lines[0].get_ydata()
    assert heat[-1] == pytest.approx(salt.per_atom().heat_capacity(1000.0))
    with pytest.raises(SpectrumError, match="no spectrum"):
        plot_summary([])
    with pytest.raises(SpectrumError, match="units"):
        salt.plot(units="eV")
    for width in (-1.0, np.nan, np.inf):
        with pytest.raises(SpectrumError, match="smoothing"):
            salt.plot(smoothing=width)
    with pytest.raises(SpectrumError, match="projection=None"):
        unstable.plot(projection="site")


def test_write_needs_no_display(salt):
    buffer = io.BytesIO()
    plot_summary(salt).savefig(buffer, format="png")
    assert buffer.getvalue()[:4] == b"\x89PNG"
