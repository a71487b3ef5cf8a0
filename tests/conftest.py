from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from hypothesis import settings
from known_phonons import (  # noqa: F401 - fixtures of several folders
    copper_gold,
    lattices,
    platinum_copper,
    rock_salt,
    salt,
    salt_model,
    silicon_carbide,
    silver_aluminium,
)
from small_data import (  # noqa: F401 - fixtures of several folders
    data_dir,
    real_data,
    tiny_configs,
    tiny_paper,
    tiny_site,
)

# The machines of CI are slow and shared: examples are the same each time, without a deadline.
settings.register_profile("project", deadline=None, derandomize=True, max_examples=40)
settings.load_profile("project")

REPOSITORY = Path(__file__).resolve().parents[1]


def model_or_skip(name: str) -> str:
    from ase_e3dos.plugins import get_registry

    if name not in get_registry().models():
        pytest.skip(f"the weights of the model {name!r} are not in this copy of the package")
    return name


@pytest.fixture(params=["default", "paper"])
def shipped_model(request: pytest.FixtureRequest) -> str:
    """Every model that ships for the general user."""
    return model_or_skip(request.param)


@pytest.fixture
def default_model() -> str:
    return model_or_skip("default")


@pytest.fixture(scope="session")
def crystals_folder() -> Path:
    folder = REPOSITORY / "docs" / "crystals"
    if not folder.is_dir():
        pytest.skip("the example crystals of docs/ are not in this copy")
    return folder


@pytest.fixture(scope="session")
def data_folder() -> Path:
    folder = Path(os.environ.get("E3DOS_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no training data at {folder} (set E3DOS_DATA)")
    return folder


@pytest.fixture
def rocksalt() -> Atoms:
    return bulk("NaCl", "rocksalt", a=5.64)


@pytest.fixture
def low_symmetry() -> Atoms:
    """Seven atoms of four elements on a skewed cell, nothing special about any of them."""
    rng = np.random.default_rng(7)
    cell = np.array([[4.9, 0.3, -0.2], [1.4, 5.3, 0.4], [-0.9, 1.1, 5.8]])
    grid = np.array([(i, j, k) for i in range(2) for j in range(2) for k in range(2)])[:7] / 2
    scaled = grid + rng.uniform(-0.06, 0.06, (7, 3))
    return Atoms("SrTiO3SO", cell=cell, scaled_positions=scaled, pbc=True)


@pytest.fixture
def run_cli(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Run `e3dos ...` in this process: exit code, standard output, standard error."""
    from ase_e3dos.cli import main

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["e3dos", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else int(bool(stop.code))
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run
