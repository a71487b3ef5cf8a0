"""Force constants by construction: symmetry, sum rules and known lattices, whatever the weights."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, make_supercell
from phonopy import Phonopy
from phonopy.harmonic.dynamical_matrix import DynamicalMatrixGL
from phonopy.structure.atoms import PhonopyAtoms

from ase_e3dos.network.dipoles import COULOMB, DipoleSum
from ase_e3dos.network.force_constants import ForceConstantNetwork, ForceConstantSettings
from ase_e3dos.network.graph import GraphBatch
from ase_e3dos.network.harmonics import quadrupoles
from ase_e3dos.network.lattice_dynamics import WAVENUMBER, half_mesh, vibrations
from ase_e3dos.network.springs import CrystalSprings, Springs, crystal_springs
from ase_e3dos.network.translations import primitive_sites

SMALL = {"scalars": 24, "vectors": 12, "message_scalars": 8, "message_vectors": 6, "hidden": 32}


@pytest.fixture
def network() -> ForceConstantNetwork:
    """With random weights: what is tested holds for any."""
    return ForceConstantNetwork(ForceConstantSettings(**SMALL)).double().eval()


def low_crystal() -> Atoms:
    """Five sites without any symmetry."""
    rng = np.random.default_rng(3)
    cell = 4.6 * np.eye(3) + rng.normal(0, 0.4, (3, 3))
    places = [[0.05, 0, 0], [0.5, 0.45, 0], [0.5, 0, 0.55], [0, 0.5, 0.5], [0.48, 0.52, 0.5]]
    return Atoms([38, 8, 8, 16, 22], cell=cell, scaled_positions=places, pbc=True)


def of(network: ForceConstantNetwork, batch: GraphBatch) -> list[CrystalSprings]:
    batch = batch._mapped(lambda t: t.double() if t.is_floating_point() else t)
    with torch.no_grad():
        return list(crystal_springs(network.springs(batch), batch))


def rotation() -> np.ndarray:
    matrix, _ = np.linalg.qr(np.random.default_rng(8).normal(size=(3, 3)))
    return matrix * np.sign(np.linalg.det(matrix))


def test_symmetric_without_net_force_and_alike_in_every_orientation(
    network: ForceConstantNetwork, batch_of: Callable[..., GraphBatch]
) -> None:
    with torch.no_grad():
        network.read_born.weight.mul_(8.0)  # charges of real ions
    atoms, turn = low_crystal(), rotation()
    turned = atoms.copy()
    turned.set_cell(atoms.cell.array @ turn.T, scale_atoms=True)
    mirrored = atoms.copy()
    mirrored.set_cell(-atoms.cell.array, scale_atoms=True)
    first, second, third = of(
        network, batch_of(atoms, turned, mirrored, cutoff=6.0, self_edges=False)
    )
    q = torch.tensor([[0.0, 0, 0], [0.03, -0.05, 0.08]], dtype=torch.float64)
    t = torch.from_numpy(turn)
    whole = torch.block_diag(*[t] * 5).to(torch.complex128)

    here = first.force_constants().at(q)
    size = float(here.abs().max())
    assert size > 0.1  # eV/Å^2: there is something to compare
    assert float((here - here.mH).abs().max()) < 1e-9 * size
    net = first.force_constants().short_range(q[:1])[0].view(5, 3, 5, 3).sum(2)
    # The graph's vectors are in float32, and so is what cancels.
    assert float(net.abs().max()) < 1e-6 * size
    whole_net = here[0].view(5, 3, 5, 3).sum(2)
    assert float(whole_net.abs().max()) < 1e-6 * size
    there = second.force_constants().at(q @ t.T)
    assert float((whole @ here @ whole.mH - there).abs().max()) < 1e-5 * size
    # Inversion changes no second derivative; q changes its sign, and phases are conjugate.
    assert float((third.force_constants().at(-q) - here).abs().max()) < 1e-5 * size
    assert torch.allclose(t @ first.born @ t.T, second.born, atol=1e-5)
    assert torch.allclose(t @ first.dielectric @ t.T, second.dielectric, atol=1e-5)
    assert float(first.born.sum(0).abs().max()) < 1e-9


def test_a_supercell_has_the_modes_of_its_cell_at_the_points_that_fold(
    network: ForceConstantNetwork, batch_of: Callable[..., GraphBatch]
) -> None:
    with torch.no_grad():
        network.read_born.weight.mul_(8.0)  # charges of real ions
    atoms = low_crystal()
    double = make_supercell(atoms, np.diag([1, 2, 1]))
    one, two = of(network, batch_of(atoms, double, cutoff=6.0, self_edges=False))
    boundary = 0.5 * np.linalg.inv(atoms.cell.array)[:, 1]
    q = torch.from_numpy(np.array([np.zeros(3), boundary]))
    for dipoles in (False, True):
        expected = torch.linalg.eigvalsh(one.force_constants().at(q, dipoles))
        found = torch.linalg.eigvalsh(two.force_constants().at(q[:1], dipoles)).flatten()
        error = float((found - expected.flatten().sort().values).abs().max())
        assert error < 1e-4 * float(expected.abs().max())


def test_what_symmetry_forbids_is_zero(
    network: ForceConstantNetwork, batch_of: Callable[..., GraphBatch]
) -> None:
    (salt,) = of(network, batch_of(bulk("NaCl", "rocksalt", a=5.64), cutoff=6.0, self_edges=False))
    own = salt.force_constants().short_range(torch.zeros(1, 3, dtype=torch.float64))[0].real[:3, :3]
    one = torch.eye(3, dtype=torch.float64)
    assert float((own - own[0, 0] * one).abs().max()) < 1e-5 * float(own.abs().max())
    assert float((salt.born[0] - salt.born[0, 0, 0] * one).abs().max()) < 1e-5
    assert float((salt.dielectric - salt.dielectric[0, 0] * one).abs().max()) < 1e-5


def test_without_softening_channels_every_crystal_is_stable(
    batch_of: Callable[..., GraphBatch],
) -> None:
    network = ForceConstantNetwork(ForceConstantSettings(**SMALL, n_negative=0)).double().eval()
    (found,) = of(network, batch_of(low_crystal(), cutoff=6.0, self_edges=False))
    squares = CrystalSprings(**{**vars(found), "pairs": 0 * found.pairs})
    values = torch.linalg.eigvalsh(
        squares.force_constants().short_range(torch.rand(4, 3, dtype=torch.float64))
    )
    assert float(values.max()) > 0.01
    assert float(values.min()) > -1e-9 * float(values.max())


def face_centred(stiffness: float, a: float) -> tuple[Springs, CrystalSprings]:
    """Springs along the bonds to the twelve nearest neighbours of an fcc lattice."""
    cell = a / 2 * np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]], dtype=float)
    ends = np.array([[s, t, 0] for s in (1, -1) for t in (1, -1)]) * a / 2
    bonds = torch.from_numpy(np.concatenate([np.roll(ends, k, axis=1) for k in range(3)]))
    unit = bonds / bonds.norm(dim=1, keepdim=True)
    pairs = 0.5 * stiffness * unit.unsqueeze(2) * unit.unsqueeze(1)  # two edges a pair
    zero = torch.zeros(12, dtype=torch.int64)
    rows, signs = torch.zeros(12, 0, 3, dtype=torch.float64), torch.zeros(0, dtype=torch.float64)
    born, dielectric = torch.zeros(1, 3, 3, dtype=torch.float64), torch.eye(3, dtype=torch.float64)
    springs = Springs(zero, zero, bonds, pairs, rows, signs, born, dielectric[None])
    crystal = CrystalSprings(
        1, zero, zero, bonds, pairs, rows, signs, born, dielectric, cell, 0 * bonds[:1]
    )
    return springs, crystal


def test_springs_between_neighbours_are_the_textbook_lattice() -> None:
    """Central forces in fcc: at X, m w^2 = 8 k (longitudinal) and 4 k (transverse)."""
    k, a = 1.7, 4.05
    _, crystal = face_centred(k, a)
    x = torch.tensor([[0, 0, 1 / a]], dtype=torch.float64)
    values = torch.linalg.eigvalsh(crystal.force_constants().short_range(x))[0]
    assert np.allclose(values.numpy(), [4 * k, 4 * k, 8 * k], atol=1e-9)
    # Long waves along z: rho v^2 = c11 = 2 k / a and c44 = k / a.
    small = 1e-4
    slopes = (
        torch.linalg.eigvalsh(crystal.force_constants().short_range(small * a * x))[0].sqrt()
        / small
        / (2 * math.pi)
    )
    assert np.allclose(slopes.numpy() ** 2, np.array([k, k, 2 * k]) * a**2 / 4, rtol=1e-5)


def test_vibrations_are_those_of_phonopy(batch_of: Callable[..., GraphBatch]) -> None:
    """Spectrum, displacements and sound of the fcc lattice beside phonopy with the same springs."""
    k, a, mass = 1.7, 4.05, 26.98
    springs, crystal = face_centred(k, a)
    batch = batch_of(bulk("Al", "fcc", a=a), cutoff=3.0, self_edges=False)
    batch = batch._mapped(lambda t: t.double() if t.is_floating_point() else t)
    output = vibrations(springs, batch, torch.tensor([mass], dtype=torch.float64), 480)
    weights = output.sites[0].numpy()

    cell = PhonopyAtoms(
        symbols=["Al"], cell=crystal.cell, scaled_positions=[[0, 0, 0]], masses=[mass]
    )
    phonon = Phonopy(cell, supercell_matrix=np.diag([4, 4, 4]), primitive_matrix="P")
    constants = np.zeros((64, 64, 3, 3))
    sites = phonon.supercell.scaled_positions
    for i in range(64):
        for bond, pair in zip(crystal.vectors.numpy(), crystal.pairs.numpy(), strict=True):
            there = sites[i] + bond @ np.linalg.inv(phonon.supercell.cell)
            apart = sites - there
            j = int(np.argmin(np.linalg.norm(apart - np.rint(apart), axis=1)))
            constants[i, j] -= 2 * pair
            constants[i, i] += 2 * pair
    phonon.force_constants = constants
    phonon.run_mesh(120.0)
    frequencies, share = phonon.mesh.frequencies, phonon.mesh.weights / phonon.mesh.weights.sum()
    wavenumbers = frequencies.ravel() * 33.35640951981521
    reference = np.histogram(
        wavenumbers, bins=480, range=(-400, 4400), weights=np.repeat(share, 3) / 3
    )[0]
    distance = np.abs(np.cumsum(weights - reference)).sum() * 10
    assert distance < 0.01 * wavenumbers.max()

    phonon.run_mesh(40.0, with_eigenvectors=True, is_mesh_symmetry=False)
    phonon.run_thermal_displacement_matrices(temperatures=[100, 300, 600], freq_min=0.15)
    expected = phonon.thermal_displacement_matrices.thermal_displacement_matrices[:, 0]
    logs = output.log_displacements[0].numpy()
    sizes = np.exp(logs[:, 0])
    assert np.allclose(sizes, expected[:, 0, 0], rtol=0.05)
    assert np.abs(logs[:, 1:] @ quadrupoles().numpy().reshape(5, 9)).max() < 1e-6  # cubic

    phonon.run_qpoints([[1e-3, 0, 0]])
    q = 1e-3 * np.linalg.norm(np.linalg.inv(crystal.cell)[:, 0])
    slopes = phonon.qpoints.frequencies[0] / q * 0.1  # THz Å in km/s
    found = float(output.log_sound.exp())
    assert slopes.min() < found < slopes.max()
    values = torch.linalg.eigvalsh(
        crystal.force_constants().short_range(torch.tensor([[0, 0, 1 / a]]).double()) / mass
    )
    assert np.isclose(WAVENUMBER * values.max().sqrt(), wavenumbers.max(), rtol=1e-3)


def test_half_a_mesh_stands_for_the_whole() -> None:
    """The mean over the zone of a function of q with the lattice's period, and of cosines."""
    cell = np.array([[3.0, 0, 0], [0.5, 4.0, 0], [0, 0.3, 9.0]])
    q, weights = half_mesh(cell, 27.0)
    assert np.isclose(weights.sum(), 1)
    assert not q[-1].any()
    # A coarse and a fine mesh see the same square of q on average, the centre's cell included.
    means = [
        w @ (np.linalg.norm(k, axis=1) ** -2.0)
        for k, w in (
            (k[:-1], w[:-1]) for k, w in (half_mesh(cell, length) for length in (27.0, 80.0))
        )
    ]
    assert np.isclose(*means, rtol=0.04)
    for r in ([1, 0, 0], [0, 1, -1], [2, 0, 1]):
        assert abs(weights @ np.cos(2 * np.pi * q @ (r @ cell))) < 0.02


def test_dipoles_are_those_of_phonopy() -> None:
    atoms, rng = low_crystal(), np.random.default_rng(5)
    born = rng.normal(0, 1.5, (5, 3, 3))
    born -= born.mean(0)
    dielectric = 4 * np.eye(3) + 0.2 * (lambda m: m + m.T)(rng.normal(size=(3, 3)))
    cell = PhonopyAtoms(
        numbers=atoms.numbers, cell=atoms.cell.array, scaled_positions=atoms.get_scaled_positions()
    )
    phonon = Phonopy(cell, np.eye(3, dtype=int), primitive_matrix="P")
    theirs = DynamicalMatrixGL(
        phonon.supercell, phonon.primitive, np.zeros((5, 5, 3, 3)),
        nac_params={"born": born, "dielectric": dielectric, "factor": COULOMB},
    )  # fmt: skip
    theirs._run_recip_dipole_dipole_q0()
    fractional = np.array([[0, 0, 0], [0.5, 0, 0], [0.12, -0.3, 0.21]])
    root = np.repeat(np.sqrt(cell.masses), 3)
    expected = [theirs._get_Gonze_dipole_dipole(q, None) * np.outer(root, root) for q in fractional]
    dipoles = DipoleSum(
        cell.cell, torch.from_numpy(cell.positions), torch.from_numpy(born),
        torch.from_numpy(dielectric),
    )  # fmt: skip
    found = dipoles.at(torch.from_numpy(fractional @ np.linalg.inv(cell.cell).T))
    assert np.allclose(found.numpy(), expected, atol=1e-9)


def test_the_primitive_cell_is_found_in_any_cell() -> None:
    salt, low = bulk("NaCl", "rocksalt", a=5.64), low_crystal()
    shaken, other = make_supercell(salt, 2 * np.eye(3)), make_supercell(salt, 2 * np.eye(3))
    shaken.rattle(0.05, seed=1)
    other.numbers[0] = 19
    ordered = bulk("CsCl", "cesiumchloride", a=4.1)
    ordered.numbers[:] = 26  # one element on both sites: bcc
    cells = [
        (salt, 2),
        (bulk("NaCl", "rocksalt", a=5.64, cubic=True), 2),
        (make_supercell(salt, [[2, 1, 0], [0, 1, 0], [0, -1, 3]]), 2),
        (shaken, 2),  # what small displacements do has to be small
        (other, 16),
        (ordered, 1),
        (low, 5),
        (make_supercell(low, np.diag([1, 3, 1])), 5),
        (bulk("Si", "diamond", a=5.43), 2),
    ]
    for atoms, n in cells:
        found = primitive_sites(atoms.cell.array, atoms.positions, atoms.numbers[:, None])
        assert found == n, atoms
