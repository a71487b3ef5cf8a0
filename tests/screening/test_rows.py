from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from small_screen import crystals, make_weights, metadata_of, rows_by_id, table_of

from ase_e3dos import screen
from ase_e3dos.crystal import Crystal
from ase_e3dos.predictor import Predictor


def test_rows_hold_what_predict_says(weights: Path, tmp_path: Path) -> None:
    pairs = crystals(12)
    screen(pairs, tmp_path / "out", model=weights, device="cpu")
    rows = rows_by_id(tmp_path / "out")
    predictor = Predictor(weights, "cpu")
    for name, atoms in pairs:
        row = rows[name]
        spectrum = predictor.spectra([Crystal.from_any(atoms)])[0]
        per_atom = spectrum.per_atom()
        low, high = per_atom.interval("heat_capacity", 0.9, 293.15)
        expected = {
            "formula": spectrum.crystal.formula,
            "n_sites": 2,
            "mean_wavenumber": spectrum.mean_wavenumber,
            "heat_capacity_per_atom": per_atom.heat_capacity(293.15),
            "heat_capacity_per_cell": spectrum.heat_capacity(293.15),
            "specific_heat": spectrum.specific_heat(293.15),
            "entropy_per_cell": spectrum.entropy(293.15),
            "free_energy_per_cell": spectrum.free_energy(293.15),
            "zero_point_energy_per_cell": spectrum.zero_point_energy,
            "imaginary_fraction": spectrum.imaginary_fraction,
            "average_mass": np.sqrt(atoms.get_masses()).mean() ** 2,
            "minimum_mass": atoms.get_masses().min(),
            "error": None,
            "warnings": [f"{type(w).__name__}: {w}".replace(spectrum.crystal.name, name, 1)
                         for w in spectrum.warnings],
        }  # fmt: skip
        for column, value in expected.items():
            if isinstance(value, float):
                assert row[column] == pytest.approx(value, rel=1e-4, abs=1e-6), column
            else:
                assert row[column] == value, column
        np.testing.assert_allclose(row["density"], spectrum.density, rtol=1e-4, atol=1e-7)
        # The interval is cut at the physical bounds; the column is the uncut half width.
        assert row["uncertainty"] >= (high - low) / 2 - 1e-6


def test_density_integrates_to_three_modes_for_each_site(weights: Path, tmp_path: Path) -> None:
    atoms = bulk("NaCl", "rocksalt", a=5.6, cubic=True)
    screen([("cube", atoms)], tmp_path, model=weights, device="cpu")
    grid = metadata_of(tmp_path)["grid"]
    wavenumbers = grid["start"] + grid["step"] * np.arange(grid["n"])
    density = rows_by_id(tmp_path)["cube"]["density"]
    thz = wavenumbers * 0.0299792458
    assert np.trapezoid(density, thz) == pytest.approx(24.0, rel=1e-5)


def test_several_temperatures_make_list_columns(weights: Path, tmp_path: Path) -> None:
    screen(crystals(3), tmp_path / "two", model=weights, device="cpu", temperature=[100.0, 300.0])
    screen(crystals(3), tmp_path / "one", model=weights, device="cpu", temperature=300.0)
    several, single = rows_by_id(tmp_path / "two"), rows_by_id(tmp_path / "one")
    for name, row in several.items():
        for column in ("specific_heat", "entropy_per_cell", "uncertainty"):
            assert len(row[column]) == 2
            assert row[column][1] == pytest.approx(single[name][column], rel=1e-6)
    assert metadata_of(tmp_path / "two")["temperatures_K"] == [100.0, 300.0]


def test_an_uncalibrated_model_has_no_uncertainty(tmp_path: Path) -> None:
    plain = make_weights(tmp_path / "plain.safetensors", calibrated=False)
    screen(crystals(2), tmp_path / "out", model=plain, device="cpu")
    assert {row["uncertainty"] for row in rows_by_id(tmp_path / "out").values()} == {None}


def test_isotopes_and_mixed_sites_are_not_ignored(weights: Path, tmp_path: Path) -> None:
    heavy = bulk("LiF", "rocksalt", a=4.03)
    heavy.set_masses([7.5, 18.998])
    mixed = Crystal(
        heavy.cell.array, [[0, 0, 0], [0.5, 0.5, 0.5]], [0, 0, 1], [11, 19, 17], [0.5, 0.4, 1.0]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        screen([("heavy", heavy), ("mixed", mixed)], tmp_path, model=weights, device="cpu")
    rows = rows_by_id(tmp_path)
    spectrum = Predictor(weights, "cpu").spectra([Crystal.from_any(heavy)])[0]
    assert rows["heavy"]["mean_wavenumber"] == pytest.approx(spectrum.mean_wavenumber, rel=1e-4)
    assert any(w.startswith("IsotopeWarning") for w in rows["heavy"]["warnings"])
    assert any(w.startswith("PartialOccupationWarning") for w in rows["mixed"]["warnings"])
    assert rows["mixed"]["average_mass"] == pytest.approx(np.sqrt(mixed.masses).mean() ** 2)


def test_a_structure_that_fails_is_a_row(weights: Path, tmp_path: Path) -> None:
    molecule = bulk("Si")
    molecule.pbc = False
    pairs = [*crystals(3), ("molecule", molecule), ("text", {"no": "structure"}), *crystals(1)]
    summary = screen(pairs, tmp_path, model=weights, device="cpu")
    assert (summary.new, summary.failed) == (6, 2)
    rows = rows_by_id(tmp_path)
    assert rows["salt-0#2"]["specific_heat"] == rows["salt-0"]["specific_heat"]
    assert "periodic" in rows["molecule"]["error"]
    assert rows["molecule"]["density"] is None
    assert rows["molecule"]["specific_heat"] is None
    assert "lattice" in rows["text"]["error"]
    assert rows["salt-2"]["error"] is None


def test_other_programs_read_the_shards(weights: Path, tmp_path: Path) -> None:
    screen(table_of(25), tmp_path / "out", model=weights, device="cpu", shard_size=10)
    assert len(list((tmp_path / "out").glob("part-*.parquet"))) == 3
    import pandas as pd

    assert len(pd.read_parquet(tmp_path / "out")) == 25
    polars = pytest.importorskip("polars")
    assert polars.read_parquet(tmp_path / "out" / "*.parquet")["density"][24].len() == 480
    duckdb = pytest.importorskip("duckdb")
    found = duckdb.sql(f"select count(*), max(n_sites) from '{tmp_path}/out/*.parquet'").fetchall()
    assert found == [(25, 2)]


def test_every_column_has_a_unit_and_a_description(weights: Path, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    screen(crystals(2), tmp_path, model=weights, device="cpu")
    schema = pq.read_schema(next(tmp_path.glob("part-*.parquet")))
    for column in schema:
        assert column.metadata[b"description"]
        assert b"unit" in column.metadata
    assert schema.field("density").metadata[b"unit"] == b"states/THz"
    assert "3 n_sites" in metadata_of(tmp_path)["normalization"]


def test_memory_errors_halve_the_budget_and_then_mark_the_structure(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ase_e3dos.network.model import Model
    from ase_e3dos.predictor import EDGE_BUDGET
    from ase_e3dos.screening import evaluation

    whole = Model.evaluate
    batches: list[int] = []

    def small_memory(self, batch, names, uncertainty=True):
        batches.append(len(names))
        if len(names) > 8 or "salt-3" in names:
            raise MemoryError("CUDA out of memory. Tried to allocate a lot")
        return whole(self, batch, names, uncertainty)

    budgets: list[int] = []
    halve = evaluation.EdgeBudget.halve
    monkeypatch.setattr(Model, "evaluate", small_memory)
    monkeypatch.setattr(
        evaluation.EdgeBudget, "halve", lambda self: (halve(self), budgets.append(self.edges))
    )
    summary = screen(crystals(60), tmp_path, model=weights, device="cpu")
    assert budgets[0] == EDGE_BUDGET["cpu"] // 2
    assert (summary.new, summary.failed) == (60, 1)
    rows = rows_by_id(tmp_path)
    assert "memory does not suffice" in rows["salt-3"]["error"]
    assert max(batches) > 8


def test_a_lost_device_stops_the_run_but_keeps_what_is_done(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ase_e3dos.network.model import Model

    def lost(*_: object) -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(Model, "evaluate", lost)
    with pytest.raises(RuntimeError, match="CUDA error"):
        screen(crystals(3), tmp_path, model=weights, device="cpu")
    assert list(tmp_path.glob("part-*")) == []
