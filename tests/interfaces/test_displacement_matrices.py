"""Displacement tensors in phonopy's own objects and in CIF files, against phonopy and gemmi."""

import gemmi
import numpy as np
import pytest
from ase import Atoms
from phonopy import Phonopy
from phonopy.phonon.thermal_displacement import ThermalDisplacementMatrices
from phonopy.structure.atoms import PhonopyAtoms

from ase_e3dos import PhononSpectrum
from ase_e3dos.export.cif import write_cif
from ase_e3dos.interfaces.phonopy.displacements import (
    thermal_displacement_matrices,
    thermal_displacements,
)
from ase_e3dos.spectrum.displacement_tensors import log_components, tensors_from_logs
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


def test_definition_of_cif_is_phonopys() -> None:
    """A real mesh of a nearest-neighbour model: phonopy's matrices turned into CIF's by us."""
    phonon = Phonopy(primitive(), supercell_matrix=np.eye(3), primitive_matrix=np.eye(3))
    constants = np.zeros((2, 2, 3, 3))
    spring = np.diag([3.0, 3.0, 6.0]) + 0.4 * np.array([[0, 1, 0], [1, 0, 0], [0, 0, 0]])
    constants[0, 0] = constants[1, 1] = spring
    constants[0, 1] = constants[1, 0] = -0.9 * spring
    phonon.force_constants = constants
    phonon.run_mesh([2, 2, 2], with_eigenvectors=True, is_mesh_symmetry=False)
    phonon.run_thermal_displacement_matrices(temperatures=[300.0])
    theirs = phonon.thermal_displacement_matrices
    logs = log_components(theirs.thermal_displacement_matrices[0])[:, None].repeat(3, axis=1)
    density = np.where((GRID > 0) & (GRID < 250), GRID**2, 0.0)
    crystal = Crystal.from_any(Atoms("Zn2", scaled_positions=SITES, cell=CELL, pbc=True))
    ours = thermal_displacement_matrices(
        PhononSpectrum(
            GRID, site_density=[density, density], crystal=crystal, log_displacements=logs
        ),
        primitive(),
        temperatures=[300.0],
    )
    np.testing.assert_allclose(
        ours.thermal_displacement_matrices_cif,
        theirs.thermal_displacement_matrices_cif,
        rtol=1e-6,
        atol=1e-9,
    )


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
