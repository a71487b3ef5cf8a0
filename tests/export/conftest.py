from __future__ import annotations

import matplotlib
import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from phonopy import Phonopy
from phonopy.structure.atoms import PhonopyAtoms

from ase_e3dos.phonon_spectrum import PhononSpectrum
from ase_e3dos.spectrum import named_grid
from ase_e3dos.spectrum.constants import constants
from ase_e3dos.structures.crystal import Crystal

matplotlib.use("Agg")


@pytest.fixture(scope="session")
def finite_displacement():
    """phonopy's own finite-displacement phonons of copper with ASE's EMT."""
    copper = bulk("Cu", "fcc", a=3.61, cubic=True)
    cell = PhonopyAtoms(
        symbols=copper.get_chemical_symbols(),
        cell=copper.cell[:],
        scaled_positions=copper.get_scaled_positions(),
    )
    phonon = Phonopy(cell, np.eye(3, dtype=int) * 3, primitive_matrix="F")
    phonon.generate_displacements(distance=0.02)
    forces = []
    for supercell in phonon.supercells_with_displacements:
        atoms = bulk("Cu").__class__(
            numbers=supercell.numbers, cell=supercell.cell, positions=supercell.positions, pbc=True
        )
        atoms.calc = EMT()
        forces.append(atoms.get_forces())
    phonon.forces = forces
    phonon.produce_force_constants()
    phonon.symmetrize_force_constants()
    phonon.run_mesh([20, 20, 20], is_gamma_center=False)
    return phonon


@pytest.fixture(scope="session")
def copper(finite_displacement) -> PhononSpectrum:
    """The same phonons as a spectrum on a 2 cm^-1 grid."""
    mesh = finite_displacement.mesh
    x = np.arange(1.0, 400.0, 2.0)
    edges = np.append(x - 1, x[-1] + 1)
    weights = np.repeat(mesh.weights, 3)
    modes = mesh.frequencies.ravel() * constants().thz_to_cm
    counts = np.histogram(modes, edges, weights=weights)[0]
    crystal = Crystal.from_any(bulk("Cu", "fcc", a=3.61))
    return PhononSpectrum(x, counts[None], crystal=crystal, model="emt")


@pytest.fixture
def salt() -> PhononSpectrum:
    """Made-up spectrum of rock salt on the default grid, with sites and members."""
    x = named_grid("default").wavenumbers
    acoustic = np.where(x > 0, x**2 * np.exp(-((x / 120) ** 2)), 0.0)
    optic = np.where(x > 0, np.exp(-(((x - 180) / 25) ** 2)), 0.0)
    sites = np.array([acoustic / acoustic.sum(), optic / optic.sum()])
    noise = np.random.default_rng(0).uniform(0.9, 1.1, (5, len(x)))
    crystal = Crystal.from_any(bulk("NaCl", "rocksalt", a=5.64))
    return PhononSpectrum(
        x, site_density=sites, members=noise * sites.sum(0), crystal=crystal, model="made up"
    )


@pytest.fixture
def unstable(salt) -> PhononSpectrum:
    """A grid with a point at zero, weight there, and 10 % imaginary modes; no sites."""
    x = np.arange(-200.0, 401.0, 20.0)
    y = np.where(x >= 0, 1.0, 0.0) * (x <= 300) + np.where((x < 0) & (x > -60), 0.5, 0.0)
    return PhononSpectrum(x, y, crystal=salt.crystal, model="unstable")
