"""E3DOSPhonopy of a model of force constants: phonopy's own object, with our numbers in it."""

from __future__ import annotations

import warnings
from dataclasses import asdict
from pathlib import Path

import numpy as np
import phonopy
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from phonopy import PhonopyGruneisen

from ase_e3dos import E3DOSPhonopy, predict
from ase_e3dos.errors import (
    ConvergenceWarning,
    ImaginaryWeightWarning,
    NotPredictedError,
    PredictionError,
    UnseenElementWarning,
)
from ase_e3dos.network.force_constants import ForceConstantNetwork, ForceConstantSettings
from ase_e3dos.network.springs import ForceConstants
from ase_e3dos.network.weights import GridHeader, WeightsHeader, save_weights
from ase_e3dos.potentials.mode_counts import mode_counts
from ase_e3dos.prediction.force_constants import doubts, force_constants_of
from ase_e3dos.structures.crystal import Crystal
from ase_e3dos.structures.masses import STANDARD_MASSES

THZ = 15.633302  # sqrt(eV / (Å^2 amu))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Random weights without softening channels and with a short reach, so that all is stable."""
    torch.manual_seed(4)
    settings = ForceConstantSettings(
        scalars=16, vectors=8, message_scalars=8, message_vectors=4, hidden=16, reach=3.6,
        n_negative=0,
    )  # fmt: skip
    network = ForceConstantNetwork(settings, torch.tensor(STANDARD_MASSES[1:], dtype=torch.float32))
    with torch.no_grad():  # springs along bonds, and charges of order one
        network.read_edge.bias[1:3] = torch.tensor([2.0, 1.0])
        network.read_edge.weight.mul_(0.3)
        network.read_born.weight.mul_(3.0)
    header = WeightsHeader(
        network="force-constants", settings=asdict(settings), members=1,
        grid=GridHeader(-395.0, 10.0, 480), encoder="mass_one_hot", encoder_version=1,
        sources=["a", "b", "c"], elements={"11": 9, "17": 9},
    )  # fmt: skip
    path = tmp_path_factory.mktemp("weights") / "springs.safetensors"
    save_weights(path, header, [network.state_dict()])
    return str(path)


@pytest.fixture(scope="module")
def phonon(model: str) -> phonopy.Phonopy:
    return E3DOSPhonopy(bulk("NaCl", "rocksalt", a=5.64), model=model)


def frequencies(constants: ForceConstants, q: np.ndarray, masses: np.ndarray) -> np.ndarray:
    root = np.repeat(1 / np.sqrt(masses), 3)
    found = constants.at(torch.from_numpy(q)).numpy() * np.outer(root, root)
    values = np.linalg.eigvalsh(found)
    return np.sign(values) * np.sqrt(np.abs(values)) * THZ


def test_it_is_phonopys_own_and_has_our_frequencies_anywhere(
    phonon: phonopy.Phonopy, model: str
) -> None:
    assert type(phonon) is phonopy.Phonopy
    primitive = phonon.primitive
    crystal = Crystal.from_any(primitive)
    q = np.array([[0.13, 0.02, -0.21], [0.5, 0.0, 0.5], [0.31, 0.31, 0.1]])
    phonon.run_qpoints(q)
    expected = frequencies(
        force_constants_of(crystal, model), q @ np.linalg.inv(primitive.cell).T, primitive.masses
    )
    assert expected.max() > 1
    assert np.abs(phonon.nac_params["born"]).max() > 0.05
    assert np.allclose(phonon.qpoints.frequencies, expected, atol=2e-3 * expected.max())
    # Longitudinal and transverse optical modes split at the centre, by phonopy's correction.
    phonon.run_qpoints([[0, 0, 0]], nac_q_direction=[1, 0, 0])
    acoustic, optical = np.split(phonon.qpoints.frequencies[0], 2)
    assert np.abs(acoustic).max() < 0.02
    assert optical[2] > optical[0] + 0.01


def test_spectrum_of_predict_is_that_of_phonopys_mesh(phonon: phonopy.Phonopy, model: str) -> None:
    (spectrum,) = predict([bulk("NaCl", "rocksalt", a=5.64)], model=model)
    counts, _, highest = mode_counts(phonon, 60.0)
    theirs = counts.sum(0) / counts.sum()
    ours = spectrum.density / spectrum.density.sum()
    assert np.abs(np.cumsum(ours - theirs)).sum() * 10 < 0.02 * highest
    assert spectrum.n_modes == pytest.approx(6)


def test_bands_files_masses_and_displacements_are_phonopys(
    phonon: phonopy.Phonopy, tmp_path: Path
) -> None:
    phonon.run_band_structure([[[0, 0, 0], [0.25, 0, 0.25], [0.5, 0, 0.5]]], with_eigenvectors=True)
    assert phonon.band_structure.eigenvectors[0].shape == (3, 6, 6)
    phonon.run_mesh(20.0, with_eigenvectors=True, is_mesh_symmetry=False)
    phonon.run_thermal_displacement_matrices(t_min=300, t_max=300, freq_min=0.1)
    tensors = phonon.thermal_displacement_matrices.thermal_displacement_matrices
    assert tensors.shape[-2:] == (3, 3)
    phonon.save(tmp_path / "salt.yaml", settings={"force_constants": True})
    again = phonopy.load(tmp_path / "salt.yaml")
    at = [[0.2, 0.1, 0.4]]
    phonon.run_qpoints(at)
    again.run_qpoints(at)
    assert np.allclose(again.qpoints.frequencies, phonon.qpoints.frequencies, atol=1e-4)
    heavy = phonon.copy()
    heavy.force_constants, heavy.nac_params = phonon.force_constants, phonon.nac_params
    heavy.masses = 4 * phonon.masses
    heavy.run_qpoints(at)
    assert np.allclose(2 * heavy.qpoints.frequencies, phonon.qpoints.frequencies, atol=1e-6)


def test_mode_grueneisen_parameters_from_volumes(model: str) -> None:
    strains = (0.0, 0.004, -0.004)
    same, larger, smaller = (
        E3DOSPhonopy(bulk("NaCl", "rocksalt", a=5.64 * (1 + e)), model=model) for e in strains
    )
    found = PhonopyGruneisen(same, larger, smaller)
    found.set_mesh([3, 3, 3])
    q, _, frequencies, _, gamma = found.get_mesh()
    at = np.flatnonzero(np.linalg.norm(q, axis=1) > 0.1)[:1]
    curves = []
    for phonon in (larger, smaller):
        phonon.run_qpoints(q[at])
        curves.append(phonon.qpoints.frequencies[0])
    expected = -np.log(curves[0] / curves[1]) / (3 * np.log((1 + 0.004) / (1 - 0.004)))
    assert np.allclose(np.sort(gamma[at][0]), np.sort(expected), atol=0.03 * np.abs(expected).max())
    assert frequencies.shape == gamma.shape


def test_a_supercell_of_the_users_choice(model: str) -> None:
    phonon = E3DOSPhonopy(
        bulk("NaCl", "rocksalt", a=5.64, cubic=True), np.diag([2, 2, 2]), model=model
    )
    assert len(phonon.supercell) == 64
    assert phonon.force_constants.shape == (2, 64, 3, 3)
    assert np.abs(phonon.force_constants.sum(1)).max() < 1e-6
    # a primitive matrix by its place leaves the supercell to be chosen
    placed, named = (
        E3DOSPhonopy(bulk("NaCl", "rocksalt", a=5.64), *args, model=model, **options)
        for args, options in (((None, "P"), {}), ((), {"primitive_matrix": "P"}))
    )
    assert len(placed.supercell) == len(named.supercell) > 64


def test_between_the_points_of_the_supercell_that_is_chosen() -> None:
    """Soft modes of rutile show what a small supercell cuts off; the weights that ship."""
    a, c, u = 4.59, 2.96, 0.305
    sites = [[0, 0, 0], [0.5, 0.5, 0.5], [u, u, 0], [-u, -u, 0]]
    sites += [[0.5 + u, 0.5 - u, 0.5], [0.5 - u, 0.5 + u, 0.5]]
    rutile = Atoms("Ti2O4", scaled_positions=sites, cell=[a, a, c], pbc=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of imaginary modes
        phonon = E3DOSPhonopy(rutile, model="force-constants")
    primitive = phonon.primitive
    q = np.random.default_rng(0).uniform(-0.5, 0.5, (30, 3))
    phonon.run_qpoints(q)
    constants = force_constants_of(Crystal.from_any(primitive), "force-constants")
    expected = frequencies(constants, q @ np.linalg.inv(primitive.cell).T, primitive.masses)
    assert np.abs(phonon.qpoints.frequencies - expected).max() < 0.05  # THz


def test_warnings_are_those_of_predict_but_for_masses(model: str) -> None:
    with pytest.warns(UnseenElementWarning, match="Po"):
        E3DOSPhonopy(bulk("Po", "sc", a=3.35), model=model)
    salt = bulk("NaCl", "rocksalt", a=5.64)
    salt.set_masses([22.99, 36.966])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        phonon = E3DOSPhonopy(salt, model=model)
    assert phonon.masses.tolist() == pytest.approx([22.99, 36.966])
    shaken = Crystal.from_any(salt)
    assert not doubts(shaken, np.array([0.01, -0.01, 3.0, 150.0, 200.0, 200.0]), model)
    (found,) = doubts(shaken, np.array([-90.0, 0.0, 0.0, 150.0, 200.0, 200.0]), model)
    assert isinstance(found, ImaginaryWeightWarning)


def test_a_small_supercell_is_said_to_be_small(model: str) -> None:
    salt = bulk("NaCl", "rocksalt", a=5.64)
    with pytest.warns(ConvergenceWarning, match=r"6\.5 Å apart"):
        E3DOSPhonopy(salt, [2, 2, 2], model=model)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        E3DOSPhonopy(salt, [3, 3, 3], model=model)


def test_what_it_cannot_do_is_refused(model: str) -> None:

    with pytest.raises(NotPredictedError, match="eV/Å"):
        E3DOSPhonopy(bulk("NaCl", "rocksalt", a=5.64), model=model, calculator="qe")
    with pytest.raises(PredictionError, match="spectra and no force constants"):
        force_constants_of(Crystal.from_any(bulk("Si")), "default")


def test_small_displacements_in_a_supercell_change_modes_little() -> None:
    """The width of the dipoles' Gaussian does not jump where a translation ceases to be exact."""
    exact = bulk("MgO", "rocksalt", a=4.21).repeat(2)
    moved, found = exact.copy(), []
    moved.positions[0, 0] += 0.02
    for atoms in (exact, moved):
        crystal = Crystal.quietly(atoms)
        root = np.repeat(1 / np.sqrt(crystal.masses), 3)
        at_centre = force_constants_of(crystal, "force-constants").at(torch.zeros(1, 3).double())
        values = np.linalg.eigvalsh(at_centre[0].numpy() * np.outer(root, root))
        found.append(THZ * np.sign(values) * np.sqrt(np.abs(values)))
    assert np.abs(found[0] - found[1]).max() < 0.1  # THz, of 20
