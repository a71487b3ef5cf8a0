from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from phonopy import Phonopy
from phonopy.structure.atoms import PhonopyAtoms
from scipy.integrate import cumulative_trapezoid

from ase_e3dos.alloy import SolidSolution, VirtualCrystal
from ase_e3dos.alloy.comparison import spectral_distance
from ase_e3dos.alloy.tetrahedra import states_below
from ase_e3dos.errors import AlloyError
from ase_e3dos.spectrum.constants import constants
from ase_e3dos.structures.crystal import Crystal

from .conftest import cu3au, disguised

MESH = [7, 7, 7]
SUPERCELL = [3, 3, 3]


def phonopys_own(atoms: Atoms, edges: np.ndarray, mass: float | None = None) -> np.ndarray:
    """Modes below each edge (cm^-1) by phonopy alone, with EMT, symmetry and all."""
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
    # far finer than the peaks: phonopy gives points of the density, not bins
    phonon.run_total_dos(freq_min=-1.0, freq_max=edges[-1] / scale, freq_pitch=0.005)
    points = phonon.total_dos.frequency_points * scale
    return np.interp(edges, points, cumulative_trapezoid(phonon.total_dos.dos, dx=0.005, initial=0))


def virtual(members, **options) -> VirtualCrystal:
    options = {"supercell": SUPERCELL, "mesh": MESH, **options}
    return VirtualCrystal(SolidSolution(members), EMT(), **options)


@pytest.fixture(scope="module")
def copper_gold() -> VirtualCrystal:
    return virtual([bulk("Cu"), bulk("Au")])


def assert_close(spectrum, atoms: Atoms, mass: float | None = None) -> None:
    """Equal up to phonopy's own error, the spacing of its points at peaks."""
    edges = np.arange(spectrum.wavenumbers[0], spectrum.wavenumbers[-1], 5.0)
    below = spectrum.grid.cumulative(spectrum.density, edges)
    np.testing.assert_allclose(below, phonopys_own(atoms, edges, mass), atol=0.03)


@pytest.mark.parametrize("mesh", [(5, 4, 3), (2, 2, 2)])
def test_tetrahedra_keep_every_mode_and_their_mean(mesh):
    """Linear between the corners, so the mean is that of the mesh, whatever the bands do."""
    rng = np.random.default_rng(1)
    q = np.array(list(np.ndindex(*mesh))) / mesh + 0.1
    bands = np.sort(rng.normal(size=(len(q), 6)), axis=1)
    bands[:, 3:] = 1.0  # flat and degenerate: a peak without width
    order = rng.permutation(len(q))
    edges = np.linspace(-4.0, 4.0, 4001)
    below = states_below(q[order], bands[order], mesh, edges)
    assert below[0] == 0.0
    assert below[-1] == 6.0
    assert (np.diff(below) >= -1e-12).all()
    mean = np.sum(np.diff(below) * (edges[1:] + edges[:-1]) / 2) / 6
    assert mean == pytest.approx(bands.mean(), abs=1e-3)


def test_tetrahedra_integrate_a_plane_band():
    """Frequency linear along one vector: between the points the share below is linear too."""
    n = 8
    q = np.array(list(np.ndindex(n, 1, 1))) / (n, 1, 1)
    below = states_below(q, np.abs(q[:, :1] - 0.5), (n, 1, 1), [0.0, 0.1, 0.2, 0.25, 0.5])
    np.testing.assert_allclose(below, [0.0, 0.2, 0.4, 0.5, 1.0], atol=1e-6)


def test_identical_end_members_are_phonopys_own():
    crystal = virtual([bulk("Cu"), bulk("Cu")])
    spectra = [crystal.spectrum(p) for p in (0.0, 0.3, 1.0)]
    for spectrum in spectra:
        assert_close(spectrum, bulk("Cu"))


def test_ends_are_phonopys_own(copper_gold):
    for p, name in ((0.0, "Cu"), (1.0, "Au")):
        spectrum = copper_gold.spectrum(p)
        assert_close(spectrum, bulk(name))


def test_masses_alone_are_phonopy_with_average_masses():
    copper = Crystal.from_any(bulk("Cu"))
    parts = (copper.cell, copper.scaled_positions, [0], [29], None)
    light, heavy = Crystal(*parts, [50.0]), Crystal(*parts, [100.0])
    spectrum = virtual([light, heavy]).spectrum(0.4)
    assert_close(spectrum, bulk("Cu"), mass=70.0)


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


def test_mean_frequency_is_that_of_the_mesh(copper_gold):
    """Where all tetrahedra are flat a density sampled at points loses or gains weight."""
    for p in (0.0, 0.1, 0.5):
        phonons = copper_gold.phonons(p)
        phonons.run_mesh(MESH, is_mesh_symmetry=False, is_gamma_center=False)
        mean = phonons.mesh.frequencies.mean() * constants().thz_to_cm
        assert copper_gold.spectrum(p).mean_wavenumber == pytest.approx(mean, rel=2e-3)


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
    with pytest.raises(AlloyError, match="not a supercell"):
        virtual([bulk("Cu"), bulk("Au")], supercell=[1.5, 1, 1])
    fcc = bulk("Cu").cell[:]
    mixed = Crystal(fcc, [[0, 0, 0]], [0, 0], [29, 79], [0.5, 0.5])
    with pytest.raises(AlloyError, match="mixed sites"):
        virtual([bulk("Cu"), mixed])
