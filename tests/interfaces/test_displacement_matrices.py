"""Displacement tensors in phonopy's own objects and in CIF files, against phonopy and gemmi."""

from pathlib import Path

import gemmi
import numpy as np
import pytest
from ase import Atoms
from phonopy import Phonopy
from phonopy.phonon.thermal_displacement import ThermalDisplacementMatrices
from phonopy.structure.atoms import PhonopyAtoms

from ase_e3dos import E3DOSPhonopy, PhononSpectrum
from ase_e3dos.errors import OutputError
from ase_e3dos.export.cif import write_cif
from ase_e3dos.interfaces.phonopy.displacements import (
    thermal_displacement_matrices,
    thermal_displacements,
)
from ase_e3dos.spectrum.displacement_tensors import (
    DISPLACEMENT_TEMPERATURES,
    log_components,
    tensors_from_logs,
)
from ase_e3dos.structures.crystal import Crystal

GRID = np.arange(-395.0, 4400.0, 10.0)
#: A hexagonal cell, where Cartesian and crystal axes differ.
CELL = np.array([[3.2, 0, 0], [-1.6, 1.6 * 3**0.5, 0], [0, 0, 5.2]])
SITES = [[1 / 3, 2 / 3, 0], [2 / 3, 1 / 3, 0.5]]


@pytest.fixture
def spectrum() -> PhononSpectrum:
    crystal = Crystal.from_any(Atoms("Zn2", scaled_positions=SITES, cell=CELL, pbc=True))
    shape = np.zeros((2, 3, 6))
    shape[:, :, 2] = 0.3  # along y against x and z
    shape[..., 0] = np.log([0.004, 0.01, 0.02])
    density = np.where((GRID > 0) & (GRID < 250), GRID**2, 0.0)
    return PhononSpectrum(
        GRID, site_density=[density, density], crystal=crystal, log_displacements=shape
    )


def primitive(masses: list[float] | None = None) -> PhonopyAtoms:
    return PhonopyAtoms(symbols=["Zn", "Zn"], cell=CELL, scaled_positions=SITES, masses=masses)


def test_matrices_are_those_of_the_spectrum(spectrum: PhononSpectrum, tmp_path) -> None:
    result = thermal_displacement_matrices(spectrum, primitive(), temperatures=[100.0, 300.0])
    assert type(result) is ThermalDisplacementMatrices
    expected = tensors_from_logs(spectrum.log_displacements[:, :2]).swapaxes(0, 1)
    np.testing.assert_allclose(result.thermal_displacement_matrices, expected, rtol=1e-9)
    along = thermal_displacements(
        spectrum, primitive(), temperatures=[300.0], direction=[0.5, 1.0, 0.0]
    )
    # [1/2 1 0] is the Cartesian y axis.
    assert along.thermal_displacements[0, 0] == pytest.approx(expected[1, 0, 1, 1])
    result.write_yaml(tmp_path / "matrices.yaml")
    assert "displacement_matrices_cif" in (tmp_path / "matrices.yaml").read_text()


def springs(masses: list[float] | None = None) -> Phonopy:
    """A real mesh of a nearest-neighbour model, run at the temperatures that a spectrum holds."""
    phonon = Phonopy(primitive(masses), supercell_matrix=np.eye(3), primitive_matrix=np.eye(3))
    constants = np.zeros((2, 2, 3, 3))
    spring = np.diag([3.0, 3.0, 6.0]) + 0.4 * np.array([[0, 1, 0], [1, 0, 0], [0, 0, 0]])
    constants[0, 0] = constants[1, 1] = spring
    constants[0, 1] = constants[1, 0] = -0.9 * spring
    phonon.force_constants = constants
    phonon.run_mesh([2, 2, 2], with_eigenvectors=True, is_mesh_symmetry=False)
    phonon.run_thermal_displacement_matrices(temperatures=DISPLACEMENT_TEMPERATURES)
    return phonon


def spectrum_of(phonon: Phonopy) -> PhononSpectrum:
    """A spectrum with phonopy's displacement matrices."""
    matrices = phonon.thermal_displacement_matrices.thermal_displacement_matrices
    density = np.where((GRID > 0) & (GRID < 250), GRID**2, 0.0)
    return PhononSpectrum(
        GRID,
        site_density=[density, density],
        crystal=Crystal.from_any(phonon.primitive),
        log_displacements=log_components(matrices).swapaxes(0, 1),
        model="springs",
    )


def test_definition_of_cif_is_phonopys() -> None:
    """phonopy's matrices turned into CIF's by us."""
    phonon = springs()
    ours = thermal_displacement_matrices(
        spectrum_of(phonon), primitive(), temperatures=DISPLACEMENT_TEMPERATURES
    )
    np.testing.assert_allclose(
        ours.thermal_displacement_matrices_cif,
        phonon.thermal_displacement_matrices.thermal_displacement_matrices_cif,
        rtol=1e-6,
        atol=1e-9,
    )


def test_dictionary_and_files_of_matrices_are_phonopys(tmp_path, monkeypatch) -> None:
    """Masses differ, so that a mistaken order of sites shows; lines of origin stand above."""
    theirs = springs([65.38, 20.0])
    ours = E3DOSPhonopy(
        theirs.unitcell, primitive_matrix="P", _predict=lambda _: spectrum_of(theirs)
    )
    for method in ("get_thermal_displacement_matrices_dict",
                   "write_yaml_thermal_displacement_matrices"):  # fmt: skip
        with pytest.raises(RuntimeError, match="run_thermal_displacement_matrices has to be done"):
            getattr(ours, method)()
    ours.run_thermal_displacement_matrices(temperatures=DISPLACEMENT_TEMPERATURES)
    texts = []
    for name, phonon in (("ours", ours), ("theirs", theirs)):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        assert phonon.write_yaml_thermal_displacement_matrices() is None
        assert phonon.write_thermal_displacement_matrix_to_cif(1) is None
        texts.append(
            [
                Path(f).read_text(encoding="utf-8")
                for f in ("thermal_displacement_matrices.yaml", "tdispmat.cif")
            ]
        )
    found, expected = (p.get_thermal_displacement_matrices_dict() for p in (ours, theirs))
    assert list(found) == list(expected)
    for key, values in expected.items():
        np.testing.assert_allclose(found[key], values, rtol=1e-6, atol=1e-9)
    u = expected["thermal_displacement_matrices"]
    assert np.abs(u[0] - u[2]).max() > 1e-3
    assert np.abs(u[:, 0] - u[:, 1]).max() > 1e-3
    head, body = texts[0][0].split("\nnatom", 1)
    assert body == texts[1][0].split("\nnatom", 1)[1]
    title, origin = head.splitlines()
    assert title == "# Thermal displacement matrices of Zn per cell, predicted"
    assert "springs" in origin
    assert texts[0][1] == texts[1][1]
    monkeypatch.chdir(tmp_path / "ours")
    cif = gemmi.read_small_structure("tdispmat.cif")
    for site, expected_site in zip(
        cif.sites, expected["thermal_displacement_matrices_cif"][1], strict=True
    ):
        np.testing.assert_allclose(site.aniso.as_mat33().tolist(), expected_site, atol=1e-5)
    Path("tdispmat.cif").unlink()
    Path("tdispmat.cif").mkdir()
    with pytest.raises(OutputError, match="cannot be written"):
        ours.write_thermal_displacement_matrix_to_cif(0)


def test_anisotropic_loop_is_read_back_by_gemmi(spectrum: PhononSpectrum, tmp_path) -> None:
    path = tmp_path / "zn.cif"
    write_cif(spectrum, path, 300.0)
    small = gemmi.read_small_structure(str(path))
    assert len(small.sites) == 2
    expected = spectrum.u_tensor(300.0)
    for site, u in zip(small.sites, expected, strict=True):
        cif = np.array(site.aniso.as_mat33().tolist())
        reciprocal = np.linalg.norm(np.linalg.inv(CELL.T), axis=1)
        a = CELL.T * reciprocal
        np.testing.assert_allclose(a @ cif @ a.T, u, atol=3e-5)
        assert site.u_iso == pytest.approx(np.trace(u) / 3, abs=1e-4)
