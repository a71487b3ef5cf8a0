from __future__ import annotations

import json

import numpy as np
import pytest

from ase_e3dos.analysis import descriptors as d
from ase_e3dos.errors import SpectrumError
from ase_e3dos.phonon_spectrum import PhononSpectrum

KELVIN_PER_CM = 1.4387769


@pytest.fixture(params=[1.0, 10.0])
def debye_solid(request, rock_salt):
    step = request.param
    x = np.arange(step / 2, 800, step)
    counts = np.diff(np.clip(np.append(x - step / 2, x[-1] + step / 2), 0, 300.0) ** 3)
    return PhononSpectrum(x, counts, crystal=rock_salt)


@pytest.mark.parametrize("order", [-2, -1, 0, 1, 2, 3])
def test_debye_temperatures_of_a_debye_solid(debye_solid, order):
    assert d.debye_temperature(debye_solid, order) == pytest.approx(300 * KELVIN_PER_CM, rel=0.01)
    expected = 300 * np.exp(-1 / 3) if order == 0 else 3 / (order + 3) * 300.0**order
    assert d.moment(debye_solid, order) == pytest.approx(expected, rel=0.03)


def test_debye_temperature_from_heat_capacity(debye_solid):
    theta = d.debye_temperature_from_heat_capacity(debye_solid, [20.0, 100.0, 300.0, 3000.0])
    assert theta == pytest.approx(300 * KELVIN_PER_CM, rel=0.03)
    assert isinstance(d.debye_temperature_from_heat_capacity(debye_solid, 100.0), float)


def test_einstein_fit_finds_the_modes(rock_salt):
    x = np.arange(0.5, 700, 1.0)
    y = 1.0 * (x == 150.5) + 3.0 * (x == 450.5)
    theta, weights = d.einstein_fit(PhononSpectrum(x, y, crystal=rock_salt), 2)
    assert theta == pytest.approx([150.5 * KELVIN_PER_CM, 450.5 * KELVIN_PER_CM], rel=0.01)
    assert weights == pytest.approx([0.25, 0.75], abs=0.01)
    single = PhononSpectrum(x, x == 150.5, crystal=rock_salt)
    assert d.einstein_fit(single)[0] == pytest.approx([150.5 * KELVIN_PER_CM], rel=1e-3)
    assert single.describe()["einstein_temperature"] == pytest.approx(
        150.5 * KELVIN_PER_CM, rel=0.01
    )
    with pytest.raises(SpectrumError):
        d.einstein_fit(single, 9)


def test_bands_and_gaps(salt):
    (gap,) = d.band_gaps(salt)
    assert gap.low == pytest.approx(120, abs=10)
    assert gap.high == pytest.approx(225, abs=12)
    low, high = d.band_edges(salt)
    assert 5 < low < 40
    assert high == pytest.approx(275, abs=15)
    assert d.last_peak(salt) == pytest.approx(250, abs=3)
    assert d.peaks(salt)[-1] == pytest.approx(250, abs=3)
    values = salt.describe()
    assert list(values) == list(d.COLUMNS)
    assert values["n_gaps"] == 1
    assert values["largest_gap"] == pytest.approx(gap.width)


def test_last_peak_is_pymatgens(salt):
    ours = d.last_peak(salt) / 33.35641
    assert salt.to_pymatgen().get_last_peak() == pytest.approx(ours, abs=salt.grid.step / 33.35641)


def test_similarity(salt, rock_salt):
    moved = PhononSpectrum(salt.wavenumbers + 30.0, salt.density, crystal=rock_salt)
    for kind in ("overlap", "cosine", "tanimoto"):
        assert d.similarity(salt, salt, kind) == pytest.approx(1.0)
        assert d.similarity(salt, moved, kind) == pytest.approx(
            d.similarity(moved, salt, kind), rel=0.05
        )
        assert d.similarity(salt, moved, kind) < 0.9
    assert d.similarity(salt, salt, "wasserstein") == pytest.approx(0.0, abs=1e-9)
    assert d.similarity(salt, moved, "wasserstein") == pytest.approx(30.0, rel=0.02)
    with pytest.raises(SpectrumError):
        d.similarity(salt, moved, "euclid")


def test_never_fails_and_batches_are_their_rows(salt, rock_salt):
    rng = np.random.default_rng(1)
    x = salt.wavenumbers
    rows = [
        rng.uniform(0, 1, len(x)) ** 8,
        (x < 30) * 1.0,
        (x == x[-1]) * 1.0,
        (x < 0) * 1.0,
        salt.density,
    ]
    together = d.descriptor_columns(salt.grid, np.array(rows))
    for name, values in together.items():
        assert len(values) == len(rows)
        alone = d.descriptor_columns(salt.grid, rows[4][None])[name]
        assert values[4] == pytest.approx(alone[0], nan_ok=True)
        if name != "largest_gap_center":  # nan without a gap
            assert np.isfinite(values[[0, 1, 4]]).all(), name
    with pytest.raises(SpectrumError, match="order"):
        d.moment(salt, -3)


def test_command_and_columns_of_a_screen(default_model, run_cli, tmp_path, crystals_folder):
    import pyarrow.parquet as pq

    file = crystals_folder / "NaCl.cif"
    code, out, _ = run_cli("describe", file, "--model", default_model)
    assert code == 0
    assert "last_peak" in out
    code, out, _ = run_cli("describe", file, "--json", "--model", default_model)
    assert json.loads(out)[0]["upper_edge"] > 100
    screen, columns = tmp_path / "screen", tmp_path / "columns.parquet"
    files = [file, crystals_folder / "MgO.cif"]
    code, *_ = run_cli("screen", *files, "-o", screen, "--model", default_model, "--processes", 1)
    assert code == 0
    code, out, err = run_cli("describe", screen, "-o", columns)
    assert code == 0, err
    table = pq.read_table(columns)
    assert table.num_rows == 2
    assert set(d.COLUMNS) < set(table.column_names)
    (tmp_path / "empty").mkdir()
    code, _, err = run_cli("describe", tmp_path / "empty", "-o", tmp_path / "x.parquet")
    assert code == 2
    assert err.startswith("error:")
    code, _, err = run_cli("describe", file, "-o", tmp_path / "nowhere" / "x.parquet")
    assert code == 2
    assert "no folder" in err
