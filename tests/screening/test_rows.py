from __future__ import annotations

import os
import subprocess
import sys
import warnings
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk, fcc111
from small_screen import (
    assert_same_rows,
    crystals,
    make_weights,
    metadata_of,
    rows_by_id,
    table_of,
)

from ase_e3dos import predict, screen
from ase_e3dos.errors import LowTemperatureWarning, ScreeningError
from ase_e3dos.prediction.pipeline import Predictor
from ase_e3dos.screening.inputs import iter_entries, iter_unread
from ase_e3dos.screening.record_batches import record_batches
from ase_e3dos.screening.settings import ScreenSettings
from ase_e3dos.screening.workers import compute_chunk
from ase_e3dos.structures.crystal import Crystal, read_crystals


def test_rows_have_the_error_bars_of_low_temperatures(tmp_path: Path) -> None:
    pairs = [("TlBr", bulk("TlBr", "cesiumchloride", a=3.99)), ("C", bulk("C", "diamond", a=3.56))]
    temperatures = (10.0, 20.0, 35.0)
    screen(pairs, tmp_path / "out", model="default", device="cpu", temperature=temperatures)
    rows = rows_by_id(tmp_path / "out")
    for (name, _), spectrum in zip(pairs, predict([a for _, a in pairs]), strict=True):
        one = spectrum.per_atom()
        half = one.interval("heat_capacity", 0.9, temperatures)[1] - one.heat_capacity(temperatures)
        assert rows[name]["uncertainty"] == pytest.approx(half, rel=1e-4)


def test_rows_hold_what_predict_says(weights: Path, tmp_path: Path) -> None:
    pairs = crystals(12)
    screen(pairs, tmp_path / "out", model=weights, device="cpu")
    rows = rows_by_id(tmp_path / "out")
    predictor = Predictor(weights, "cpu")
    for name, atoms in pairs:
        row = rows[name]
        spectrum = predictor.spectra([Crystal.from_any(atoms)])[0]
        per_atom = spectrum.per_atom()
        half = {
            name: np.diff(s.interval(name, 0.9, 300.0))[0] / 2
            for name, s in (
                ("heat_capacity", per_atom),
                ("entropy", spectrum),
                ("free_energy", spectrum),
                ("mean_wavenumber", spectrum),
            )
        }
        expected = {
            "formula": spectrum.crystal.formula,
            "n_sites": 2,
            "mean_wavenumber": spectrum.mean_wavenumber,
            "heat_capacity_per_atom": per_atom.heat_capacity(300.0),
            "heat_capacity_per_cell": spectrum.heat_capacity(300.0),
            "specific_heat": spectrum.specific_heat(300.0),
            "entropy_per_cell": spectrum.entropy(300.0),
            "free_energy_per_cell": spectrum.free_energy(300.0),
            "zero_point_energy_per_cell": spectrum.zero_point_energy,
            "imaginary_fraction": spectrum.imaginary_fraction,
            "instability": spectrum.instability,
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
        # Intervals are cut at the physical bounds; the columns are the uncut half widths.
        assert row["uncertainty"] >= half["heat_capacity"] - 1e-6
        assert row["entropy_uncertainty"] >= half["entropy"] - 1e-6
        for name in ("free_energy", "mean_wavenumber"):
            assert row[f"{name}_uncertainty"] == pytest.approx(half[name], rel=1e-3)


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
    with pytest.warns(LowTemperatureWarning):
        screen(crystals(3), tmp_path / "low", model=weights, device="cpu", temperature=np.int64(5))
    assert all(0 < r["entropy_per_cell"] < 5 for r in rows_by_id(tmp_path / "low").values())
    for wrong in (2.5, True, "3", 0):
        with pytest.raises(ScreeningError, match="shard_size"):
            screen(crystals(3), tmp_path / "none", model=weights, shard_size=wrong)


def test_an_uncalibrated_model_has_no_uncertainty(tmp_path: Path) -> None:
    plain = make_weights(tmp_path / "plain.safetensors", calibrated=False)
    screen(crystals(2), tmp_path / "out", model=plain, device="cpu")
    for row in rows_by_id(tmp_path / "out").values():
        assert {value for name, value in row.items() if "uncertainty" in name} == {None}


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


def test_error_bars_of_the_default_model_differ_between_crystals(tmp_path: Path) -> None:
    """They say which prediction to trust, and are not one number for all."""
    # Near the training data and far from it: salts, silicon, and a compressed caesium.
    pairs = [*crystals(5), ("Si", bulk("Si")), ("Cs", bulk("Cs", a=4.0))]
    screen(pairs, tmp_path, device="cpu")
    bars = np.array([row["uncertainty"] for row in rows_by_id(tmp_path).values()], dtype=float)
    assert np.isfinite(bars).all()
    assert (bars > 0.0).all()
    assert bars.max() > 1.1 * bars.min()


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


def test_a_screening_is_a_dataset_of_as_many_partitions_as_shards(
    weights: Path, tmp_path: Path
) -> None:
    """For Dask and Arrow, and for Spark, which passes over names that begin with a dot or a bar."""
    import pyarrow.dataset as ds

    screen(table_of(25), tmp_path / "out", model=weights, device="cpu", shard_size=10)
    dataset = ds.dataset(tmp_path / "out", format="parquet")
    assert len(dataset.files) == 3
    assert dataset.count_rows(filter=ds.field("n_sites") == 2) == 25
    assert all(p.name.startswith(("part-", ".")) for p in (tmp_path / "out").iterdir())
    frames = pytest.importorskip("dask.dataframe")
    frame = frames.read_parquet(tmp_path / "out", columns=["id", "heat_capacity_per_atom"])
    assert frame.npartitions == 3
    rows = rows_by_id(tmp_path / "out")
    highest = max(row["heat_capacity_per_atom"] for row in rows.values())
    assert frame["heat_capacity_per_atom"].max().compute() == highest
    assert set(frame["id"].compute()) == set(rows)


def test_every_column_has_a_unit_and_a_description(weights: Path, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    screen(crystals(2), tmp_path, model=weights, device="cpu")
    schema = pq.read_schema(next(tmp_path.glob("part-*.parquet")))
    for column in schema:
        assert column.metadata[b"description"]
        assert b"unit" in column.metadata
    assert schema.field("density").metadata[b"unit"] == b"states/THz"
    assert "3 n_sites" in metadata_of(tmp_path)["normalization"]


def raising_when(predictor: Predictor, is_wrong: object, error: Exception) -> ExitStack:
    """Make the first layer raise for batches that the function picks out, until closed."""

    def look(layer: object, arguments: tuple[object, ...]) -> None:
        if is_wrong(arguments[2]):
            raise error

    stack = ExitStack()
    stack.callback(predictor.model.members[0].layers[0].register_forward_pre_hook(look).remove)
    return stack


def test_memory_errors_halve_the_budget_and_then_mark_the_structure(
    weights: Path, tmp_path: Path
) -> None:
    """What CUDA raises, raised in the network where memory would run out."""
    import torch

    predictor = Predictor(weights, "cpu")
    settings = ScreenSettings(model=str(weights))
    pairs = [*crystals(30), ("large", bulk("NaCl", "rocksalt", a=5.6).repeat(3)), *crystals(30)]
    tried: list[int] = []

    def too_much(graph) -> bool:
        tried.append(len(graph.lengths))
        return tried[-1] > 1200

    budget = predictor.batcher.budget
    error = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
    with raising_when(predictor, too_much, error):
        batches = list(record_batches(iter_entries(pairs), predictor, settings))
        rows = [row for batch in batches for row in batch.to_pylist()]
        failed = [row for row in rows if row["error"]]
        assert [row["id"] for row in failed] == ["large"]
        assert "memory does not suffice for its 54 sites" in failed[0]["error"]
        assert len(rows) == 61
        # Lower once and for all, but not for the sake of a crystal that is too large alone.
        assert 1000 <= budget.edges <= max(tried) // 2
        tried.clear()
        list(record_batches(iter_entries(crystals(60)), predictor, settings))
        assert max(tried) <= 1200
    # The chunks of a worker process share the budget.
    chunk = list(iter_unread(crystals(60)))
    settings.predictor("cpu").batcher.budget._limit = None  # whatever went before
    with raising_when(settings.predictor("cpu"), too_much, error):
        compute_chunk(chunk, settings, "cpu")
        assert max(tried) > 1200
        tried.clear()
        compute_chunk(chunk, settings, "cpu")
        assert max(tried) <= 1200


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux's /proc")
def test_memory_that_really_runs_out(weights: Path, tmp_path: Path) -> None:
    """The system refuses memory to the process: PyTorch's own error, at any place it may come."""
    script = Path(__file__).with_name("little_memory.py")
    done = subprocess.run(
        [sys.executable, str(script), str(weights), str(tmp_path / "little"), "100"],
        capture_output=True, text=True, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lowered = [int(line.split()[1]) for line in done.stdout.splitlines() if line[0].isdigit()]
    assert lowered, "memory did not run out"
    assert lowered == sorted(lowered, reverse=True)
    rows = rows_by_id(tmp_path / "little")
    assert "memory does not suffice for its 4096 sites" in rows.pop("large")["error"]
    screen([*crystals(60), ("last", bulk("Si"))], tmp_path / "much", model=weights, device="cpu")
    expected = rows_by_id(tmp_path / "much")
    assert rows.keys() == expected.keys()
    for name, row in rows.items():
        assert row["error"] is None
        assert row["specific_heat"] == pytest.approx(expected[name]["specific_heat"], rel=1e-4)


@pytest.mark.gpu
def test_processes_with_a_gpu_give_the_rows_of_the_cpu(weights: Path, tmp_path: Path) -> None:
    """Two processes, though of one device where there is no second one."""
    import torch

    if not torch.cuda.is_available():
        pytest.skip("no CUDA device here")
    screen(crystals(60), tmp_path / "cpu", model=weights, device="cpu")
    devices = "cuda:0,cuda:1" if torch.cuda.device_count() > 1 else "cuda:0,cuda:0"
    screen(crystals(60), tmp_path / "gpu", model=weights, device=devices)
    assert_same_rows(tmp_path / "gpu", tmp_path / "cpu")


def test_a_lost_device_stops_the_run_but_keeps_what_is_done(weights: Path, tmp_path: Path) -> None:
    """After a fault of the device no row of it is worth anything: not an error row for each."""
    settings = ScreenSettings(model=str(weights))
    error = RuntimeError("CUDA error: an illegal memory access was encountered")
    with (
        raising_when(settings.predictor("cpu"), lambda _: True, error),
        pytest.raises(RuntimeError, match="CUDA error"),
    ):
        screen(crystals(3), tmp_path, model=weights, device="cpu")
    assert list(tmp_path.glob("part-*")) == []


def test_predict_and_screen_are_one_pipeline(default_model: str, tmp_path: Path) -> None:
    """Equal numbers and the very same warnings, for whatever is unusual about a crystal."""
    repository = Path(__file__).parents[2]
    sys.path.insert(0, str(repository / "docs" / "benchmarks"))
    try:
        from predict_and_screen import differences
    finally:
        sys.path.pop(0)
    heavy = bulk("LiF", "rocksalt", a=4.03)
    heavy.set_masses([7.5, 18.998])
    slab = fcc111("Al", (1, 1, 4), vacuum=4.0, periodic=True)
    unusual = [heavy, slab, bulk("Fe"), bulk("NaCl", "rocksalt", a=2.4), bulk("Tc", "hcp", a=2.7)]
    vacant = Crystal(4.2 * np.eye(3), [[0, 0, 0], [0.5, 0.5, 0.5]], [0, 1], [55, 17], [0.9, 1.0])
    shipped = sorted((repository / "docs" / "crystals").glob("*.cif"))
    crystals_ = [next(read_crystals(path)) for path in shipped]
    crystals_ += [Crystal.from_any(a, f"unusual {k}") for k, a in enumerate(unusual)]
    crystals_ += [vacant]
    pairs = [(c.name, c) for c in crystals_]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        screen(pairs, tmp_path, model=default_model, device="cpu", temperature=300.0)
        spectra = predict(crystals_, default_model, "cpu")
    rows = rows_by_id(tmp_path)
    largest, warned = differences([rows[name] for name, _ in pairs], spectra)
    assert not warned
    assert max(largest.values()) < 2e-5
    assert {w.split(":")[0] for row in rows.values() for w in row["warnings"]} >= {
        "IsotopeWarning", "OutOfDistributionWarning", "MagnetismWarning", "CrowdedAtomsWarning",
        "PartialOccupationWarning",
    }  # fmt: skip
