from __future__ import annotations

import inspect

import numpy as np
import phonopy
import pytest
from ase.build import bulk
from phonopy.phonon.dos import ProjectedDos, TotalDos
from phonopy.phonon.thermal_properties import ThermalProperties

from ase_e3dos.errors import NotPredictedError, SpectrumError
from ase_e3dos.export.phonopy import (
    SpectrumMesh,
    projected_dos,
    resampled_total_dos,
    total_dos,
)
from ase_e3dos.phonon_spectrum import PhononSpectrum
from ase_e3dos.structures.crystal import Crystal

T = np.array([0.0, 10.0, 50.0, 100.0, 300.0, 1000.0, 3000.0])


def by_name(result) -> dict[str, np.ndarray]:
    names = ("temperatures", "free_energy", "entropy", "heat_capacity")
    return dict(zip(names, result.thermal_properties, strict=True))


def test_our_formulas_are_those_of_phonopy(salt, unstable):
    """phonopy's sums over the quantiles against our integrals."""
    for s in (salt, unstable):
        theirs = s.thermal_properties(temperatures=T)
        assert isinstance(theirs, ThermalProperties)
        for name, tolerance in (("heat_capacity", 1e-3), ("entropy", 2e-3), ("free_energy", 1e-3)):
            ours = getattr(s, name)(T)
            assert by_name(theirs)[name] == pytest.approx(ours, rel=tolerance, abs=1e-4)
        assert theirs.zero_point_energy == pytest.approx(s.zero_point_energy, rel=1e-4)
        share = theirs.number_of_integrated_modes / theirs.number_of_modes
        assert share == pytest.approx(1 - s.imaginary_fraction, abs=1e-4)
        real = s.thermal_properties(temperatures=T, pretend_real=True)
        ours = s.heat_capacity(T, imaginary="pretend_real")
        assert by_name(real)["heat_capacity"] == pytest.approx(ours, rel=2e-3, abs=1e-4)


def test_modes_are_counted_as_on_a_mesh(salt, unstable):
    """phonopy-qha leaves out a volume of which four modes or more were not integrated."""
    x = salt.wavenumbers

    def missing(spectrum, **options):
        result = spectrum.thermal_properties(temperatures=[300.0], **options)
        assert 5_000 < result.number_of_modes < 50_000
        return result.number_of_modes - result.number_of_integrated_modes

    for leak, counts in ((3e-6, False), (1.5e-3, False), (0.01, True)):
        density = salt.density * (x > 0)
        density /= density.sum()
        density = (1 - leak) * density + leak * (x == -45.0)
        leaky = PhononSpectrum(x, density, crystal=salt.crystal)
        assert leaky.imaginary_fraction == pytest.approx(leak, rel=0.01)
        assert (missing(leaky) > 3) is counts
        assert missing(leaky, pretend_real=True) == 0
    assert missing(unstable) > 1000
    assert missing(salt, cutoff_frequency=6.0) > 3000


def test_against_phonopy_with_force_constants(finite_displacement, copper):
    """The same modes by phonopy's mesh and through our density on 2 cm^-1."""
    finite_displacement.run_thermal_properties(temperatures=T[1:])
    theirs = by_name(finite_displacement.thermal_properties)
    for name, tolerance in (("heat_capacity", 2e-3), ("entropy", 2e-3), ("free_energy", 2e-3)):
        ours, reference = getattr(copper, name)(T[2:]), theirs[name][1:]
        assert ours == pytest.approx(reference, rel=tolerance, abs=5e-3)
    # at 10 K a mesh of 20^3 and 2 cm^-1 bins both are coarse
    assert copper.heat_capacity(10.0) == pytest.approx(theirs["heat_capacity"][0], rel=0.15)


def test_run_total_dos_is_phonopys(finite_displacement, copper):
    for options in ({"sigma": 0.2}, {"sigma": 0.2, "smearing_function": "Cauchy"}):
        limits = {"freq_min": -1, "freq_max": 10, "freq_pitch": 0.1, **options}
        known = inspect.signature(phonopy.Phonopy.run_total_dos).parameters
        if not known.keys() >= options.keys():
            continue
        finite_displacement.run_total_dos(use_tetrahedron_method=False, **limits)
        theirs = finite_displacement.total_dos
        ours = resampled_total_dos(copper, freq_min=-1, freq_max=10, freq_pitch=0.1, **options)
        assert np.allclose(ours.frequency_points, theirs.frequency_points, atol=2e-6)
        assert np.abs(ours.dos - theirs.dos).max() < 0.01 * theirs.dos.max()
    finite_displacement.run_total_dos()
    theirs = finite_displacement.total_dos
    ours = resampled_total_dos(copper)
    assert len(ours.dos) == len(theirs.dos) == 201
    assert np.trapezoid(ours.dos, ours.frequency_points) == pytest.approx(3, rel=1e-3)
    assert ours.frequency_points == pytest.approx(theirs.frequency_points, abs=0.3)
    # tetrahedra against bins of 2 cm^-1: cumulative, because van Hove edges differ
    steps = ours.frequency_points[1] - ours.frequency_points[0]
    below = np.interp(ours.frequency_points, theirs.frequency_points, theirs.dos)
    assert np.abs(np.cumsum(ours.dos - below) * steps).max() < 0.05


def test_total_dos_is_a_plain_total_dos(salt, tmp_path):
    dos = salt.to_phonopy()
    assert type(dos) is TotalDos
    assert np.trapezoid(dos.dos, dos.frequency_points) == pytest.approx(6, rel=1e-9)
    if hasattr(dos, "run_debye_frequency"):  # phonopy 4
        dos.run_debye_frequency()
        assert 2 < dos.debye_frequency < 10
    dos.write(tmp_path / "total_dos.dat")
    assert np.loadtxt(tmp_path / "total_dos.dat")[:, 1] == pytest.approx(dos.dos, abs=1e-9)


def test_debye_frequency_of_copper_is_phonopys(finite_displacement, copper):
    finite_displacement.run_total_dos()
    theirs = finite_displacement.total_dos
    if not hasattr(theirs, "run_debye_frequency"):
        pytest.skip("phonopy 3 has the Debye frequency elsewhere")
    theirs.run_debye_frequency()
    ours = resampled_total_dos(copper)
    ours.run_debye_frequency()
    assert ours.debye_frequency == pytest.approx(theirs.debye_frequency, rel=0.05)


def test_no_sample_at_zero(salt, unstable):
    for s in (salt, unstable):
        for dos in (total_dos(s), resampled_total_dos(s, freq_min=0, freq_max=15, freq_pitch=0.1)):
            assert (dos.frequency_points != 0).all()
            assert dos.dos[np.abs(dos.frequency_points) < 1e-5].sum() == 0
    dos = total_dos(unstable)
    assert np.trapezoid(dos.dos, dos.frequency_points) == pytest.approx(6, rel=1e-9)
    assert dos.frequency_points[0] < -1


def test_projected_dos(salt, unstable):
    dos = projected_dos(salt)
    assert isinstance(dos, ProjectedDos)
    assert np.allclose(dos.projected_dos.sum(0), total_dos(salt).dos)
    assert np.trapezoid(dos.projected_dos, dos.frequency_points) == pytest.approx([3, 3], rel=1e-3)
    points = np.linspace(-1, 16, 400)
    smeared = projected_dos(salt, points, sigma=0.2).projected_dos
    reference = resampled_total_dos(salt, sigma=0.2, freq_min=-1, freq_max=16, freq_pitch=17 / 399)
    assert smeared.sum(0) == pytest.approx(reference.dos[:400], rel=1e-9)
    assert np.trapezoid(smeared, points) == pytest.approx([3, 3], rel=2e-3)
    with pytest.raises(NotPredictedError, match="run_projected_dos"):
        projected_dos(unstable)


def test_a_mesh_has_whole_atoms_and_no_qpoints(salt):
    mesh = SpectrumMesh(salt.per_atom())
    assert mesh.frequencies.shape[1] == 3
    assert len(mesh.primitive) == 1
    assert (np.diff(mesh.frequencies, axis=0) > 0).all()
    with pytest.raises(NotPredictedError, match="qpoints"):
        _ = mesh.qpoints
    with pytest.raises(SpectrumError, match="whole atoms"):
        SpectrumMesh(salt.per_kilogram())


def test_unknown_options_are_errors(salt):
    with pytest.raises(TypeError):
        salt.thermal_properties(cutof_frequency=1.0)


def test_cutoff_and_classical_limit(salt):
    classical = salt.thermal_properties(temperatures=[300.0], classical=True)
    assert by_name(classical)["heat_capacity"][0] == pytest.approx(6 * 8.3145, rel=1e-4)
    edge = 170.0  # cm^-1, between two bins
    cut = salt.thermal_properties(temperatures=[3000.0], cutoff_frequency=edge / 33.3564095198)
    above = salt.on_grid(salt.wavenumbers)[salt.wavenumbers > edge].sum() * 10 / 6
    assert by_name(cut)["heat_capacity"][0] / salt.heat_capacity(3000.0) == pytest.approx(
        above, rel=1e-3
    )


def test_run_qha_takes_the_look_alike(salt):
    """A solid with a known Grueneisen parameter and bulk modulus expands as it should."""
    if not hasattr(phonopy, "run_qha"):
        pytest.skip("this phonopy has no run_qha")
    from ase_e3dos.interfaces.phonopy import E3DOSPhonopy

    def predicted(crystal: Crystal) -> PhononSpectrum:
        x = np.arange(0.5, 600.0, 1.0) * (crystal.volume / salt.crystal.volume) ** -1.5
        y = np.where(np.arange(600) < 250, 1.0, 0.0)
        return PhononSpectrum(x, y, crystal=crystal)

    cells = [bulk("NaCl", "rocksalt", a=5.64 * s) for s in np.linspace(0.97, 1.03, 9)]
    phonons = [E3DOSPhonopy(cell, _predict=predicted) for cell in cells]
    volumes = np.array([p.primitive.volume for p in phonons])
    v0 = salt.crystal.volume
    energies = 0.5 * (0.25 / v0) * (volumes - v0) ** 2  # B = 0.25 eV/Å^3
    result = phonopy.run_qha(phonons, np.arange(0, 420, 10), energies)
    i = 30
    heat = salt_heat(predicted(salt.crystal), result.temperatures[i])
    expected = 1.5 * heat / 96485.0 / (result.bulk_moduli[i] * result.equilibrium_volumes[i])
    assert result.thermal_expansion[i] == pytest.approx(expected, rel=0.05)


def salt_heat(spectrum: PhononSpectrum, t: float) -> float:
    return spectrum.heat_capacity(float(t))
