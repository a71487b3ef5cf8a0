"""Crystals whose exact phonons are known: metals of EMT, crystals of springs, SiC; and a salt."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import matplotlib
import numpy as np
import pytest
from ase.build import bulk

from ase_e3dos.phonon_spectrum import PhononSpectrum
from ase_e3dos.spectrum import named_grid
from ase_e3dos.structures.crystal import Crystal

matplotlib.use("Agg")


@pytest.fixture(scope="session")
def lattices() -> ModuleType:
    """`docs/examples/lattice_models.py`: EMT metals and spring crystals with exact phonons."""
    path = Path(__file__).resolve().parents[1] / "docs" / "examples" / "lattice_models.py"
    if not path.is_file():
        pytest.skip("the examples of docs/ are not in this copy")
    spec = importlib.util.spec_from_file_location("lattice_models", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["lattice_models"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def salt_model(lattices):
    springs = [(2.9, 2.0, 0.1), (4.1, 0.5, 0.0)]
    return lattices.springs(bulk("NaCl", "rocksalt", a=5.64), springs)


@pytest.fixture(scope="session")
def copper_gold(lattices):
    return lattices.emt("CuAu L1_0", 3)


@pytest.fixture(scope="session")
def silver_aluminium(lattices):
    return lattices.emt("AgAl L1_0", 3)


@pytest.fixture(scope="session")
def platinum_copper(lattices):
    return lattices.emt("PtCu L1_0", 3)


@pytest.fixture(scope="session")
def silicon_carbide(lattices):
    pytest.importorskip("ase.calculators.tersoff", reason="ASE before 3.25 has no Tersoff")
    return lattices.silicon_carbide(3)


@pytest.fixture(scope="session")
def rock_salt() -> Crystal:
    return Crystal.from_any(bulk("NaCl", "rocksalt", a=5.64))


@pytest.fixture
def salt(rock_salt) -> PhononSpectrum:
    """Made up: acoustic weight mostly on Cl, an optic peak on Na, five members."""
    x = named_grid("default").wavenumbers
    acoustic = np.where((x > 0) & (x < 120), x**2, 0.0)
    optic = np.where(x > 0, np.exp(-(((x - 250) / 12) ** 2)), 0.0)
    acoustic, optic = acoustic / acoustic.sum(), optic / optic.sum()
    m = rock_salt.masses / rock_salt.masses.sum()
    sites = np.array([m[0] * acoustic + m[1] * optic, m[1] * acoustic + m[0] * optic])
    noise = np.random.default_rng(0).uniform(0.9, 1.1, (5, len(x)))
    return PhononSpectrum(
        x, site_density=sites, members=noise * sites.sum(0), crystal=rock_salt, model="made up"
    )
