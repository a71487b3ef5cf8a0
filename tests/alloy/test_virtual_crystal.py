from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from phonopy import Phonopy
from phonopy.structure.atoms import PhonopyAtoms

from ase_e3dos.alloy import SolidSolution, VirtualCrystal
from ase_e3dos.alloy.comparison import spectral_distance
from ase_e3dos.crystal import Crystal
from ase_e3dos.errors import AlloyError
from ase_e3dos.spectrum.constants import constants

from .conftest import cu3au, disguised

MESH = [7, 7, 7]
SUPERCELL = [3, 3, 3]


def phonopys_own(atoms: Atoms, x: np.ndarray, mass: float | None = None) -> np.ndarray:
    """DoS in states/THz at x (cm^-1) by phonopy alone, with EMT, symmetry and all."""
    cell = PhonopyAtoms(
        symbols=atoms.get_chemical_symbols(),
        cell=atoms.cell[:],
        scaled_positions=atoms.get_scaled_positions(),
        masses=None if mass is None else [mass] * len(atoms),
    )
    phonon = Phonopy(cell, np.diag(SUPERCELL), primitive_matrix=np.eye(3))
    phonon.generate_displacements(distance=0.02)
    forces = []
    for supercell in phonon.supercells_with_displacements:
        displaced = Atoms(
            supercell.symbols, cell=supercell.cell, positions=supercell.positions, pbc=True
        )
        displaced.calc = EMT()
        forces.append(displaced.get_forces())
    phonon.forces = forces
    phonon.produce_force_constants()
    phonon.symmetrize_force_constants()
    phonon.run_mesh(MESH)
    scale = constants().thz_to_cm
    phonon.run_total_dos(
        freq_min=x[0] / scale, freq_max=x[-1] / scale, freq_pitch=(x[1] - x[0]) / scale
    )
    return np.asarray(phonon.total_dos.dos)[: len(x)]


def virtual(members, **options) -> VirtualCrystal:
    options = {"supercell": SUPERCELL, "mesh": MESH, **options}
    return VirtualCrystal(SolidSolution(members), EMT(), **options)


@pytest.fixture(scope="module")
def copper_gold() -> VirtualCrystal:
    return virtual([bulk("Cu"), bulk("Au")])


def assert_close(spectrum, reference: np.ndarray) -> None:
    """Equal up to the factor that brings the sampled density to three modes."""
    n = len(reference)
    assert n >= len(spectrum.density) - 1
    modes = np.trapezoid(reference, spectrum.frequencies[:n])
    assert modes == pytest.approx(3.0, rel=0.02)
    np.testing.assert_allclose(
        spectrum.density[:n], reference * 3.0 / modes, atol=1e-6 * reference.max()
    )


def test_identical_end_members_are_phonopys_own():
    crystal = virtual([bulk("Cu"), bulk("Cu")])
    spectra = [crystal.spectrum(p) for p in (0.0, 0.3, 1.0)]
    for spectrum in spectra:
        assert_close(spectrum, phonopys_own(bulk("Cu"), spectrum.wavenumbers))


def test_ends_are_phonopys_own(copper_gold):
    for p, name in ((0.0, "Cu"), (1.0, "Au")):
        spectrum = copper_gold.spectrum(p)
        assert_close(spectrum, phonopys_own(bulk(name), spectrum.wavenumbers))


def test_masses_alone_are_phonopy_with_average_masses():
    copper = Crystal.from_any(bulk("Cu"))
    parts = (copper.cell, copper.scaled_positions, [0], [29], None)
    light, heavy = Crystal(*parts, [50.0]), Crystal(*parts, [100.0])
    spectrum = virtual([light, heavy]).spectrum(0.4)
    assert_close(spectrum, phonopys_own(bulk("Cu"), spectrum.wavenumbers, mass=70.0))


@pytest.mark.parametrize("pair", [("Cu", "Ni"), ("Ag", "Au")])
def test_between_the_ends(pair):
    crystal = virtual([bulk(pair[0]), bulk(pair[1])])
    means = [crystal.spectrum(p).mean_wavenumber for p in (0.0, 0.5, 1.0)]
    assert min(means[0], means[2]) < means[1] < max(means[0], means[2])
    assert crystal.phonons(0.5).primitive.masses[0] == pytest.approx(
        np.mean([bulk(name).get_masses()[0] for name in pair])
    )


def test_order_and_setting_do_not_matter():
    """Orientation, basis, origin and order of sites of an ordered end member."""
    copper = bulk("Cu", cubic=True)
    options = {"supercell": [2, 2, 2], "mesh": [4, 4, 4]}
    plain = virtual([cu3au(), copper], **options).spectrum(0.5)
    for other in (disguised(cu3au(), 5), disguised(cu3au(), 6, mirror=True)[[2, 0, 1, 3]]):
        again = virtual([copper, other], **options)
        # another basis of the cell makes another supercell: compare within its own error
        assert spectral_distance(plain, again.spectrum(0.5)) < 2.0


def test_normalisation_and_stability(copper_gold):
    spectrum = copper_gold.spectrum(0.5)
    assert spectrum.n_modes == 3.0
    assert spectrum.imaginary_fraction < 1e-3
    assert spectrum.model == "virtual crystal (EMT)"
    assert spectrum.crystal.formula == "Cu0.5Au0.5"


def test_force_constants_may_be_given(copper_gold):
    same = VirtualCrystal(
        copper_gold.solution,
        supercell=SUPERCELL,
        mesh=MESH,
        force_constants=copper_gold.force_constants,
    )
    np.testing.assert_allclose(
        same.spectrum(0.5).density, copper_gold.spectrum(0.5).density, rtol=1e-12
    )
    with pytest.raises(AlloyError, match="shape"):
        VirtualCrystal(
            copper_gold.solution, supercell=[2, 2, 2], force_constants=same.force_constants
        )


def test_what_cannot_be_done_is_said():
    with pytest.raises(AlloyError, match="calculator"):
        VirtualCrystal([bulk("Cu"), bulk("Au")])
    with pytest.raises(AlloyError, match="EMT gave no forces"):
        virtual([bulk("Cu"), bulk("Ca", a=5.58)])
    with pytest.raises(AlloyError, match="no supercell"):
        virtual([bulk("Cu"), bulk("Au")], supercell=[1.5, 1, 1])
    fcc = bulk("Cu").cell[:]
    mixed = Crystal(fcc, [[0, 0, 0]], [0, 0], [29, 79], [0.5, 0.5])
    with pytest.raises(AlloyError, match="mixed sites"):
        virtual([bulk("Cu"), mixed])
