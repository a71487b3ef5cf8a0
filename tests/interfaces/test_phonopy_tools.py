"""phonopy's own command-line tools on files that were written here."""

from __future__ import annotations

import numpy as np
import phonopy
import pytest

from ase_e3dos import E3DOSPhonopy

pytestmark = pytest.mark.usefixtures("default_model")
TEMPERATURES = {"t_min": 0, "t_max": 410, "t_step": 10}


@pytest.fixture
def energies(copper_volumes):
    """A parabola with copper's bulk modulus, eV."""
    volumes = np.array([a.get_volume() for a in copper_volumes])
    return 0.5 * (140 / 160.2) / 11.7 * (volumes - 11.7) ** 2


def test_propplot_reads_thermal_properties(salt, run_tool, tmp_path):
    salt.write(tmp_path / "thermal_properties.yaml", t_max=400)
    run_tool("phonopy-propplot", "--cv", "-o", "cv.pdf", "thermal_properties.yaml")
    assert (tmp_path / "cv.pdf").stat().st_size > 1000
    printed = run_tool("phonopy-propplot", "--cv", "--gnuplot", "thermal_properties.yaml").stdout
    numbers = [line.split() for line in printed.splitlines() if line and line[0] != "#"]
    rows = np.array([r for r in numbers if len(r) == 5], dtype=float)
    assert rows[rows[:, 0] == 300.0, 3] == pytest.approx(salt.heat_capacity(300.0), rel=5e-3)


def test_pdosplot_reads_total_and_projected_dos(salt, run_tool, tmp_path):
    salt.write(tmp_path / "total_dos.dat")
    salt.write(tmp_path / "projected_dos.dat")
    run_tool("phonopy-pdosplot", "-o", "total.pdf", "total_dos.dat")
    run_tool("phonopy-pdosplot", "-i", "1, 2", "-o", "sites.pdf", "projected_dos.dat")
    assert (tmp_path / "total.pdf").stat().st_size > 1000
    assert (tmp_path / "sites.pdf").stat().st_size > 1000


def test_qha_tool(run_tool, copper_volumes, energies, tmp_path):
    """phonopy-qha on our yaml files; what phonopy.run_qha gives where there is one."""
    phonons = [E3DOSPhonopy(atoms) for atoms in copper_volumes]
    names = []
    for i, phonon in enumerate(phonons):
        phonon.run_mesh()
        phonon.run_thermal_properties(**TEMPERATURES)
        names.append(f"thermal_properties-{i}.yaml")
        phonon.write_yaml_thermal_properties(tmp_path / names[-1])
    volumes = [phonon.primitive.volume for phonon in phonons]
    np.savetxt(tmp_path / "e-v.dat", np.column_stack([volumes, energies]))
    # --exclude-imaginary, which was --exclude_imaginary in phonopy 3.0
    done = run_tool("phonopy-qha", "e-v.dat", *names, "--tmax=380", "--exclude")
    assert "imaginary modes" not in done.stdout
    assert "excluded" not in done.stdout

    expansion = np.loadtxt(tmp_path / "thermal_expansion.dat")
    room = expansion[np.isclose(expansion[:, 0], 300), 1]
    assert np.isfinite(expansion).all()
    # Maxwell's relation: the expansion is (dS/dV)_T over the bulk modulus, J/mol and GPa Å^3
    entropies = [phonon.spectrum.entropy(300.0) for phonon in phonons]
    volume, modulus = (
        np.interp(300, *np.loadtxt(tmp_path / f"{name}-temperature.dat").T)
        for name in ("volume", "bulk_modulus")
    )
    slope = np.polyval(np.polyder(np.polyfit(volumes, entropies, 2)), volume)
    assert room == pytest.approx(slope / (modulus * 602.214), rel=0.1)
    for name in ("Cp-temperature.dat", "volume-temperature.dat", "bulk_modulus-temperature.dat"):
        assert np.isfinite(np.loadtxt(tmp_path / name)).all()
    if not hasattr(phonopy, "run_qha"):
        return
    result = phonopy.run_qha(phonons, np.arange(0, 401, 10.0), energies, mesh=[8, 8, 8])
    same = result.thermal_expansion[np.isclose(result.temperatures, 300)]
    assert room == pytest.approx(same, rel=1e-3)


def test_phonopy_reads_the_files_itself(salt, tmp_path):
    from phonopy.file_IO import read_thermal_properties_yaml

    path = tmp_path / "thermal_properties.yaml"
    salt.write(path, t_max=300, t_step=100)
    found = read_thermal_properties_yaml([str(path)])
    temperatures, heat = found[0], found[1]
    assert list(temperatures) == [0, 100, 200, 300]
    assert np.ravel(heat)[-1] == pytest.approx(salt.heat_capacity(300.0), rel=5e-3)
