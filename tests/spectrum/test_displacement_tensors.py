"""Logarithms of displacement tensors, and the acoustic limit, against linear algebra and Debye."""

import numpy as np
import pytest
import scipy.linalg
import torch
from ase.build import bulk

from ase_e3dos import PhononSpectrum
from ase_e3dos.analysis.displacements import principal_axes
from ase_e3dos.errors import SpectrumError
from ase_e3dos.network.harmonics import spherical_harmonics
from ase_e3dos.spectrum.acoustic_limit import acoustic_shares, low_bins, with_acoustic_limit
from ase_e3dos.spectrum.displacement_tensors import (
    log_components,
    quadrupoles,
    tensor_matrices,
    tensors_from_logs,
)
from ase_e3dos.spectrum.grid import FrequencyGrid
from ase_e3dos.structures.crystal import Crystal

GRID = np.arange(-395.0, 4400.0, 10.0)


@pytest.fixture
def tensors() -> np.ndarray:
    a = np.random.default_rng(3).normal(size=(7, 3, 3))
    return 0.01 * (a @ a.transpose(0, 2, 1) + 0.2 * np.eye(3))


def test_logarithms_are_scipys(tensors: np.ndarray) -> None:
    components = log_components(tensors)
    for c, u in zip(components, tensors, strict=True):
        log = c[0] * np.eye(3) + np.einsum("c,cij->ij", c[1:], quadrupoles())
        np.testing.assert_allclose(log, scipy.linalg.logm(u), atol=1e-10)
    np.testing.assert_allclose(tensors_from_logs(components), tensors, rtol=1e-10)


def test_components_follow_the_harmonics() -> None:
    """The network's l = 2 features are in the order of these matrices."""
    n = np.random.default_rng(0).normal(size=(5, 3))
    n /= np.linalg.norm(n, axis=1)[:, None]
    y = spherical_harmonics(torch.tensor(n), torch.ones(5, dtype=torch.float64), 2)[:, 4:].numpy()
    q = np.einsum("ni,cij,nj->nc", n, quadrupoles(), n)
    np.testing.assert_allclose(y / q, np.full((5, 5), np.sqrt(7.5)), rtol=1e-9)


def test_order_of_tables_and_tensors_that_are_none() -> None:
    u = tensor_matrices([1.0, 2.0, 3.0, 0.1, 0.2, 0.3])
    assert (u[1, 2], u[0, 2], u[0, 1]) == (0.1, 0.2, 0.3)
    np.testing.assert_array_equal(u, u.T)
    assert np.isnan(log_components(np.diag([1.0, 1.0, -1.0]))).all()


def spectrum(tensors: np.ndarray | None) -> PhononSpectrum:
    crystal = Crystal.from_any(bulk("NaCl", "rocksalt", 5.64))
    density = np.where((GRID > 0) & (GRID < 250), GRID**2, 0.0)
    logs = None if tensors is None else log_components(tensors)
    return PhononSpectrum(
        GRID, site_density=[density, density], crystal=crystal, log_displacements=logs
    )


def test_u_tensor_gives_back_what_the_model_says(tensors: np.ndarray) -> None:
    given = tensors[:6].reshape(2, 3, 3, 3)
    s = spectrum(given)
    np.testing.assert_allclose(s.u_tensor([100.0, 300.0, 600.0]), given, rtol=1e-9)
    u = s.u_tensor(450.0)
    assert u.shape == (2, 3, 3)
    np.testing.assert_allclose(np.trace(u, axis1=1, axis2=2) / 3, s.u_iso(450.0), rtol=1e-9)
    # Classical atoms: U grows in proportion to T, and its axes stay.
    np.testing.assert_allclose(s.u_tensor(4000.0), 2 * s.u_tensor(2000.0), rtol=2e-3)
    lengths, axes = principal_axes(given[0, 1])
    np.testing.assert_allclose(axes.T @ np.diag(lengths) @ axes, given[0, 1], atol=1e-12)


def test_without_tensors_there_is_an_error() -> None:
    with pytest.raises(SpectrumError, match="no displacement tensors"):
        spectrum(None).u_tensor(300.0)


def test_tensors_and_velocity_are_written_and_read(tensors: np.ndarray, tmp_path) -> None:
    crystal = Crystal.from_any(bulk("Si"))
    density = np.where((GRID > 0) & (GRID < 500), GRID, 0.0)
    logs = log_components(tensors[:6].reshape(2, 3, 3, 3))
    s = PhononSpectrum(
        GRID, density, crystal=crystal, log_displacements=logs, sound_velocity=5.9, instability=0.25
    )
    s.write(tmp_path / "s.json")
    again = PhononSpectrum.read(tmp_path / "s.json")
    assert again.sound_velocity == 5.9
    assert again.instability == 0.25
    assert again.per_atom().debye_temperature == s.debye_temperature
    np.testing.assert_array_equal(again.log_displacements, logs)
    logs[0, :, 0] = np.nan  # as former versions had it for other masses
    unknown = PhononSpectrum(GRID, density, crystal=crystal, log_displacements=logs)
    unknown.write(tmp_path / "nan.json")
    assert "NaN" not in (tmp_path / "nan.json").read_text()
    assert PhononSpectrum.read(tmp_path / "nan.json") == unknown


def test_debye_temperature_of_silicon() -> None:
    """Elastic constants of silicon: v = 5.93 km/s (Debye mean), Debye temperature 645 K."""
    s = PhononSpectrum(
        GRID,
        np.exp(-(((GRID - 300) / 50) ** 2)),
        crystal=Crystal.from_any(bulk("Si", a=5.431)),
        sound_velocity=5.93,
    )
    assert s.debye_temperature == pytest.approx(645, abs=10)


def test_low_bins_follow_debye() -> None:
    """A spectrum without anything below 100 cm^-1 gets the modes that its sound has there."""
    volume, grid = 44.85, FrequencyGrid.of(GRID)
    spectrum = np.where((GRID > 100) & (GRID < 250), 1.0, 0.0)[None].astype(np.float32)
    spectrum /= spectrum.sum()
    low, edges = low_bins(grid)
    law = acoustic_shares(edges, [volume], [2], [2.9])
    joined = with_acoustic_limit(grid, spectrum, law, np.array([True]))
    assert joined.sum() == pytest.approx(1.0, abs=1e-6)
    # Modes of three sound branches below 10 cm^-1: V k^3 / (2 pi^2), k = w / v, of 6 modes.
    k = 2 * np.pi * 10 * 2.99792458e10 / 2.9e13
    exact = volume * k**3 / (2 * np.pi**2)
    assert 6 * law[0, 0] == pytest.approx(exact, rel=1e-9)
    assert 6 * joined[0, low[0]] == pytest.approx(exact, rel=0.07)
    untouched = with_acoustic_limit(grid, spectrum, law, np.array([False]))
    np.testing.assert_allclose(untouched, spectrum, atol=1e-7)
