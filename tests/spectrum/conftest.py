from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from ase_e3dos.phonon_spectrum import PhononSpectrum
from ase_e3dos.spectrum import named_grid
from ase_e3dos.structures.crystal import Crystal


@pytest.fixture
def spectrum(rock_salt: Crystal) -> PhononSpectrum:
    """Acoustic weight mostly on one site, an optic peak on the other, five members."""
    x = named_grid("default").wavenumbers
    acoustic = np.where(x > 0, x**2 * np.exp(-((x / 120) ** 2)), 0.0)
    optic = np.where(x > 0, np.exp(-(((x - 180) / 25) ** 2)), 0.0)
    acoustic, optic = acoustic / acoustic.sum(), optic / optic.sum()
    sites = np.array([0.8 * acoustic + 0.2 * optic, 0.2 * acoustic + 0.8 * optic])
    noise = np.random.default_rng(0).uniform(0.9, 1.1, (5, len(x)))
    return PhononSpectrum(
        x, site_density=sites, members=noise * sites.sum(0), crystal=rock_salt, model="made up"
    )


@pytest.fixture(scope="session")
def dfpt() -> list[dict]:
    """Rows of the published 1 cm^-1 DFPT spectra."""
    here = Path(__file__).resolve()
    folder = Path(os.environ.get("E3DOS_DATA", here.parents[2].parent / "shared" / "data"))
    file = folder / "dfpt_petretto.parquet"
    if not file.exists():
        pytest.skip(f"no DFPT spectra at {file} (set E3DOS_DATA)")
    import pyarrow.parquet as pq

    rows = pq.read_table(file).to_pylist()
    for row in rows:
        row["density"] = np.array(row["dos_per_cm1"])
        n = len(row["density"])
        row["wavenumbers"] = row["dos_start_cm1"] + row["dos_step_cm1"] * np.arange(n)
        row["n_sites"] = len(row["numbers"])
        row["stable"] = not row["flag_has_neg_fr"] and row["wavenumbers"][0] > -2.5
    return rows
