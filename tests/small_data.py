"""A few small crystals with made-up spectra: peaks whose place follows mass and volume."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from ase_e3dos.training.config import TrainingConfig

SYMBOLS = ("Al", "Ni", "Cu", "Pd", "Ag", "Au", "Pt")
SALTS = (("NaCl", 5.64), ("MgO", 4.21), ("LiF", 4.03), ("KBr", 6.6), ("CaO", 4.8))


def small_crystals() -> list[Atoms]:
    metals = [bulk(s, "fcc") for s in SYMBOLS]
    return metals + [bulk(name, "rocksalt", a=a) for name, a in SALTS]


def peak(atoms: Atoms, grid: np.ndarray, shift: float = 0.0) -> np.ndarray:
    """Gaussians at 1500 / sqrt(m) cm^-1, one a site, 3 modes each; shape (n_sites, n)."""
    centres = 1500.0 / np.sqrt(atoms.get_masses()) + shift
    g = np.exp(-0.5 * ((grid - centres[:, None]) / 25.0) ** 2)
    g[:, grid < 0] = 0.0
    return 3.0 * g / g.sum(axis=1, keepdims=True) / (grid[1] - grid[0])


def base_rows(crystals: list[Atoms]) -> dict[str, list]:
    n = len(crystals)
    return {
        "id": [f"x-{i}" for i in range(n)],
        "formula": [a.get_chemical_formula(empirical=True) for a in crystals],
        "split": ["valid" if i % 4 == 3 else "train" for i in range(n)],
        "numbers": [a.numbers.tolist() for a in crystals],
        "cell": [a.cell.array.ravel().tolist() for a in crystals],
        "positions_frac": [a.get_scaled_positions().ravel().tolist() for a in crystals],
    }


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = tmp_path_factory.mktemp("data")
    crystals = small_crystals()
    n = len(crystals)
    x = -2.4 + np.arange(1100.0)
    raw = base_rows(crystals)
    raw["dos_start_cm1"] = [-2.4] * n
    raw["dos_step_cm1"] = [1.0] * n
    raw["dos_per_cm1"] = [peak(a, x).sum(axis=0).tolist() for a in crystals]
    about = {"ase_e3dos": '{"licence": "CC-BY-4.0", "citation": "Peaks of ours (2026)"}'}
    pq.write_table(pa.table(raw).replace_schema_metadata(about), folder / "raw.parquet")
    grid = np.arange(-300.0, 1001.0, 20.0)
    sampled = base_rows(crystals)
    spectra = [peak(a, grid, 10.0).sum(axis=0) for a in crystals]
    sampled["in_petretto_valid"] = [i % 4 == 3 for i in range(n)]
    sampled["dos_max_normalised"] = [(s / s.max()).tolist() for s in spectra]
    pq.write_table(pa.table(sampled), folder / "sampled.parquet")
    pairs, strains = [], []
    for atoms in crystals:
        for strain in (0.0, 0.02):
            b = atoms.copy()
            b.set_cell(b.cell * (1 + strain), scale_atoms=True)
            pairs.append(b)
            strains.append(strain)
    bins = np.arange(-395.0, 1600.0, 10.0)
    site = base_rows(pairs)
    site["id"] = [f"x-{i // 2}" for i in range(len(pairs))]
    site["split"] = ["train"] * len(pairs)
    site["strain"] = strains
    site["site_dos"] = [
        peak(a, bins, -500.0 * s).ravel().tolist() for a, s in zip(pairs, strains, strict=True)
    ]
    pq.write_table(pa.table(site), folder / "sites.parquet")
    return folder


@pytest.fixture(scope="session")
def real_data() -> Path:
    default = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("E3DOS_DATA", default))
    if not (folder / "dfpt_petretto.parquet").is_file():
        pytest.skip("the training data are not here; set E3DOS_DATA to their folder")
    return folder


TINY_PAPER = {
    "network": "paper",
    "grid": "paper",
    "settings": {"channels": 4, "embedding": 6, "n_gated": 1, "radial_hidden": 4},
    "data": [{"path": "raw.parquet", "split": "train", "per_batch": 3}],
    "validation": [{"path": "raw.parquet", "split": "valid"}],
    "epochs": 4,
    "learning_rate": 0.01,
    "schedule": "exponential",
}

TINY_SITE = {
    "network": "site",
    "grid": "default",
    "settings": {
        "scalars": 8, "vectors": 4, "message_scalars": 4, "message_vectors": 2,
        "hidden": 8, "n_layers": 1, "n_radial": 4, "l_max": 1, "dropout": 0.1,
    },
    "data": [
        {"path": "raw.parquet", "split": "train", "per_batch": 2},
        {"path": "sampled.parquet", "split": "train", "per_batch": 2},
        {"path": "sites.parquet", "split": None, "per_batch": 2, "leave_out_formulas": 0.2},
    ],
    "validation": [{"path": "raw.parquet", "split": "valid"}],
    "epochs": 4,
    "steps_per_epoch": 3,
    "learning_rate": 0.003,
    "weight_average": 0.9,
}  # fmt: skip


@pytest.fixture
def tiny_paper() -> dict:
    return {**TINY_PAPER}


@pytest.fixture
def tiny_site() -> dict:
    return {**TINY_SITE}


@pytest.fixture(scope="session")
def tiny_configs() -> dict:
    return {"paper": TINY_PAPER, "site": TINY_SITE}


def fold_configs(config: TrainingConfig, n_folds: int) -> list[TrainingConfig]:
    """One configuration for each fold, which leaves that fold of the first file out."""
    runs = []
    for fold in range(n_folds):
        first = config.data[0].model_copy(update={"leave_out_fold": (fold, n_folds)})
        runs.append(config.model_copy(update={"data": [first, *config.data[1:]]}))
    return runs
