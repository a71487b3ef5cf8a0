from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from ase_e3dos.errors import WeightsError

matplotlib.use("Agg")

CRYSTALS = Path(__file__).parents[2] / "docs" / "crystals"
ENDS = [CRYSTALS / "Mg3Sb2.cif", CRYSTALS / "Mg3Bi2.cif"]


@pytest.fixture(scope="session")
def default_model() -> str:
    from ase_e3dos.prediction.pipeline import load_predictor

    try:
        load_predictor("default", "cpu")
    except WeightsError as error:
        pytest.skip(f"the default model is not there: {error}")
    return "default"


def disguised(atoms: Atoms, seed: int = 0, mirror: bool = False) -> Atoms:
    """The same crystal in another basis, origin, order of sites and orientation."""
    rng = np.random.default_rng(seed)
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    if (np.linalg.det(rotation) < 0) != mirror:
        rotation[:, 0] *= -1
    basis = np.array([[1, 1, 0], [0, 1, 0], [0, 0, -1]])
    other = Atoms(
        numbers=atoms.numbers,
        positions=(atoms.positions + rng.normal(size=3)) @ rotation,
        cell=basis @ atoms.cell[:] @ rotation,
        pbc=True,
    )
    return other[rng.permutation(len(other))]


def cu3au(a: float = 3.75) -> Atoms:
    atoms = bulk("Cu", "fcc", a=a, cubic=True)
    atoms.symbols[0] = "Au"
    return atoms
