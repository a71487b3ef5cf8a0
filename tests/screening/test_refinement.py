"""Refining a screen: killed and resumed, failures as rows, beside predictions, and learnt from."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from ase.build import bulk
from small_screen import make_weights

from ase_e3dos import reference_spectrum, screen
from ase_e3dos.errors import PotentialError, ScreeningError
from ase_e3dos.potentials.reference import ReferenceSettings
from ase_e3dos.screening.refined_rows import read_refined
from ase_e3dos.screening.refinement import refine

QUICK = ReferenceSettings(4.5, 0.01, 8.0, "none")
COMMAND = ("--supercell", "4.5", "--mesh", "8", "--relax", "none")


def metals(n: int):
    lattice = {"Al": 4.0, "Ni": 3.5, "Cu": 3.6, "Pd": 3.9, "Ag": 4.1, "Pt": 3.9, "Au": 4.1}
    for k in range(n):
        symbol = list(lattice)[k % 7]
        yield f"{symbol}-{k}", bulk(symbol, "fcc", a=lattice[symbol] * (1 + 0.002 * (k // 7)))


@pytest.fixture(scope="module")
def screened(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty metals and one crystal that EMT does not know."""
    place = tmp_path_factory.mktemp("screened") / "metals"
    screen([*metals(40), ("Si", bulk("Si"))], place, model=weights, device="cpu")
    return place


def start(place: Path, *options: str, **streams: int) -> subprocess.Popen[bytes]:
    code = "from ase_e3dos.cli import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", code, "refine", str(place), "-c", "emt", "--top", "41",
         "--by", "heat_capacity_per_atom", *COMMAND, *options],
        env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL,
        **streams,
    )  # fmt: skip


def lines(place: Path) -> int:
    journal = place / "_refined" / "emt.journal.jsonl"
    return journal.read_bytes().count(b"\n") if journal.is_file() else 0


@pytest.mark.slow
def test_killed_five_times_and_resumed_it_is_as_undisturbed(screened: Path, tmp_path: Path) -> None:
    """SIGKILL of a real process while it calculates; the file is the same, byte for byte."""
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    shutil.copytree(screened, whole)
    shutil.copytree(screened, killed)
    summary = refine(whole, "emt", top=41, by="heat_capacity_per_atom", settings=QUICK)
    assert (summary.refined, summary.failed, summary.new) == (40, 1, 41)
    kills = 0
    for _ in range(5):
        before = lines(killed)
        process = start(killed)
        while process.poll() is None and lines(killed) < before + 3:
            time.sleep(0.01)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            kills += 1
        process.wait()
    assert kills == 5
    assert not (killed / "_refined" / "emt.parquet").exists()
    assert 15 <= lines(killed) < 41
    assert start(killed).wait() == 0
    files = [place / "_refined" / "emt.parquet" for place in (whole, killed)]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_refined_values_are_those_of_the_reference(screened: Path, tmp_path: Path) -> None:
    """Columns beside the predictions, in the order asked for; failures say why."""
    place = tmp_path / "metals"
    shutil.copytree(screened, place)
    said: list[str] = []
    refine(place, "emt", top=41, by="uncertainty", settings=QUICK, report=said.append)
    about, table = read_refined(place / "_refined" / "emt.parquet")
    rows = {row["id"]: row for row in table.to_pylist()}
    assert len(rows) == 41
    errors = table["uncertainty"].to_pylist()
    assert errors == sorted(errors, reverse=True)
    assert "emt failed" in rows["Si"]["error_refined"]
    assert rows["Si"]["heat_capacity_per_atom"] > 0
    known = reference_spectrum(
        dict(metals(40))["Cu-9"], "emt", supercell=4.5, displacement=0.01, mesh=8.0
    )
    row = rows["Cu-9"]
    assert row["heat_capacity_per_atom_refined"] == pytest.approx(known.heat_capacity(300.0))
    assert row["entropy_per_cell_refined"] == pytest.approx(known.entropy(300.0))
    assert row["specific_heat_refined"] == pytest.approx(known.specific_heat(300.0), rel=1e-4)
    np.testing.assert_allclose(row["density_refined"], known.density, rtol=1e-5, atol=1e-8)
    for name, bar in (
        ("heat_capacity_per_atom", "uncertainty"),
        ("entropy_per_cell", "entropy_uncertainty"),
        ("free_energy_per_cell", "free_energy_uncertainty"),
        ("mean_wavenumber", "mean_wavenumber_uncertainty"),
    ):
        ratio = (row[f"{name}_refined"] - row[name]) / row[bar]
        assert row[bar.replace("uncertainty", "difference_in_errors")] == pytest.approx(ratio)
    assert about["settings"]["supercell"] == 4.5
    # The screen is read as before, and more of it adds to what is there.
    assert pq.read_table(place).num_rows == 41
    again = refine(place, "emt", top=2, by="specific_heat", lowest=True, settings=QUICK)
    assert (again.refined, again.new) == (40, 0)
    for by in ("formula", "positions_frac", "density", "warnings"):
        with pytest.raises(ScreeningError, match=f"by {by}: holds no single numbers"):
            refine(place, "emt", by=by)
    with pytest.raises(ScreeningError, match=r"not a column of this screen.*specific_heat"):
        refine(place, "emt", by="weight")


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_at_0_K_only_that_temperature_has_no_difference(weights: Path, tmp_path: Path) -> None:
    place = tmp_path / "cold"
    screen(list(metals(2)), place, model=weights, device="cpu", temperature=[0.0, 300.0])
    summary = refine(place, "emt", settings=QUICK)
    for row in read_refined(summary.file)[1].to_pylist():
        assert row["difference_in_errors"][0] is None
        assert np.isfinite(row["difference_in_errors"][1])


def test_report_and_labels(screened: Path, tmp_path: Path, run_cli) -> None:
    """The page ranks by the refined values and says how the error bars fared; labels are read."""
    pytest.importorskip("plotly")
    from ase_e3dos.data.labelled_set import read_labelled
    from ase_e3dos.screening.report import read_screen

    place, labels = tmp_path / "metals", tmp_path / "labels.parquet"
    shutil.copytree(screened, place)
    refine(place, "emt", top=7, by="specific_heat", settings=QUICK)
    found = read_screen(place)
    refined = read_refined(place / "_refined" / "emt.parquet")[1]
    unstable = [
        f > 0.01 for f in refined["imaginary_fraction_refined"].to_pylist() if f is not None
    ]
    best = found.table["specific_heat_refined"].fillna(found.table["specific_heat"])
    assert (np.diff(best) <= 0).all()
    assert len(found.error_bars) == 4
    count, inside, median = found.error_bars["entropy_per_cell"]
    assert count == found.refined["emt"] >= 6
    assert 0 <= inside <= 1
    assert median > 0
    code, _, said = run_cli("report", place, "-o", tmp_path / "page.html")
    assert code == 0, said
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "with <b>emt</b>; rows are ranked by the refined value" in page
    assert "C_V refined" in page
    assert "average frequency of" in page
    code, told, said = run_cli("data", "from-screen", place, "-o", labels)
    assert code == 0, said
    assert f"{count} entries" in told
    assert f"{sum(unstable)} of them have imaginary modes" in told
    known = read_labelled(labels)
    assert (known.kind, known.source, len(known)) == ("site", "emt", count)
    reference = reference_spectrum(
        known.crystals[0], "emt", supercell=4.5, displacement=0.01, mesh=8.0
    )
    weights = reference.site_density / reference.site_density.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(known.bins[0], weights, atol=1e-5)


DYING = """
import os
import time
from pathlib import Path

from ase.calculators.emt import EMT


class Dying(EMT):
    def calculate(self, atoms=None, *args, **kwargs):
        if 79 in atoms.numbers:
            os._exit(9)
        super().calculate(atoms, *args, **kwargs)


class Sleeping(EMT):
    def calculate(self, *args, **kwargs):
        Path("asleep").write_text(str(os.getpid()))
        time.sleep(600)


def broken():
    raise OSError("weights are damaged")


def nothing():
    return None
"""


@pytest.fixture
def few(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Seven metals; beside them a module with calculators that crash or cannot be made."""
    (tmp_path / "crashing_potentials.py").write_text(DYING)
    monkeypatch.chdir(tmp_path)
    screen(list(metals(7)), tmp_path / "few", model=weights, device="cpu")
    return tmp_path / "few"


def test_a_crash_of_the_calculator_is_a_row_with_one_process_too(few: Path, run_cli) -> None:
    """The process of the library is gone; gold's row says so, and the others are there."""
    arguments = ("refine", few, "-c", "crashing_potentials:Dying", *COMMAND)
    code, told, said = run_cli(*arguments)
    assert code == 0, said
    assert "6 rows refined, 1 failed, 7 calculated now" in told
    (file,) = (few / "_refined").glob("*.parquet")
    errors = {row["id"]: row["error_refined"] for row in read_refined(file)[1].to_pylist()}
    assert "process died" in errors.pop("Au-6")
    assert set(errors.values()) == {None}
    code, told, said = run_cli(*arguments)
    assert "0 calculated now" in told


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs /proc")
def test_an_interruption_waits_for_no_calculation(few: Path) -> None:
    """Ctrl-C while a calculation of ten minutes runs: a line that says how to go on, at once."""
    signals = signal.signal(signal.SIGINT, signal.default_int_handler)  # as in a terminal
    try:
        process = start(few, "-c", "crashing_potentials:Sleeping", stderr=subprocess.PIPE)
    finally:
        signal.signal(signal.SIGINT, signals)
    mark = few.parent / "asleep"
    while not (mark.is_file() and mark.read_text()):
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=300)[1].decode()
    assert process.returncode == 130
    assert "Run the same command to go on" in said
    assert "Traceback" not in said
    worker = Path("/proc") / mark.read_text()
    deadline = time.monotonic() + 300
    while worker.exists():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_calculator_that_cannot_be_made_is_said_before_any_work(few: Path) -> None:
    for function, said in (("broken", "weights are damaged"), ("nothing", "gave NoneType")):
        with pytest.raises(PotentialError, match=said):
            refine(few, f"crashing_potentials:{function}", settings=QUICK)
    assert not list((few / "_refined").glob("*.jsonl"))


def test_rows_of_other_settings_are_never_lost(few: Path) -> None:
    """They are refused, unless they get a file of their own."""
    first = refine(few, "emt", settings=QUICK)
    before = first.file.read_bytes()
    finer = ReferenceSettings(4.5, 0.01, 10.0, "none")
    with pytest.raises(ScreeningError, match=r"differ in mesh \(8.0, now 10.0\).*--name"):
        refine(few, "emt", top=2, settings=finer)
    second = refine(few, "emt", top=2, settings=finer, name="emt-finer")
    assert (second.file.name, second.refined) == ("emt-finer.parquet", 2)
    assert first.file.read_bytes() == before
    # Failures alone are no reason to refuse other settings.
    failing = ReferenceSettings(4.5, 0.01, 8.0, "positions", 1e-30)
    assert refine(few, "emt", top=1, settings=failing, name="other").failed == 1
    assert refine(few, "emt", top=1, settings=QUICK, name="other").refined == 1


def test_rows_of_every_model_and_rows_without_a_value(few: Path, tmp_path: Path) -> None:
    """What is calculated stands beside each model's predictions; who has no value is counted."""
    plain = make_weights(tmp_path / "plain.safetensors", seed=1, calibrated=False)
    screen(list(metals(5)), few, model=plain, device="cpu")
    said: list[str] = []
    options = {"settings": QUICK, "report": said.append}
    with pytest.raises(ScreeningError, match="--model"):
        refine(few, "emt", **options)
    tiny = next(m for m in ("tiny", "tiny.safetensors") if m in names(few))
    other = next(iter(names(few) - {tiny}))
    first = refine(few, "emt", model=tiny, top=3, by="uncertainty", **options)
    assert (first.new, first.unranked) == (3, 0)
    rows = read_refined(first.file)[1].to_pylist()
    assert {row["model"] for row in rows} == {tiny, other}
    assert sum(row["model"] == tiny for row in rows) == 3
    shared = {row["id"] for row in rows if row["model"] == other}
    summary = refine(few, "emt", model=other, top=5, by="uncertainty", **options)
    assert (summary.new, summary.unranked) == (0, 5)
    assert summary.refined == len(shared)
    assert said[-1] == "5 rows have no uncertainty, and are not among those to refine"
    rows = read_refined(summary.file)[1].to_pylist()
    assert {row["difference_in_errors"] for row in rows if row["model"] == other} == {None}


def names(place: Path) -> set[str]:
    return set(pq.read_table(place, columns=["model"])["model"].to_pylist())


@pytest.mark.slow
def test_on_dask_a_killed_worker_costs_nothing(
    cluster: tuple[Path, list[subprocess.Popen[bytes]]], screened: Path, tmp_path: Path
) -> None:
    """By real workers, one of which is killed, as in one process; nothing is done twice."""
    scheduler, (_, *workers) = cluster
    one, many = tmp_path / "one", tmp_path / "many"
    shutil.copytree(screened, one)
    shutil.copytree(screened, many)
    refine(one, "emt", top=41, settings=QUICK)
    said: list[str] = []

    def kill_in_the_middle(line: str) -> None:
        said.append(line)
        if len(said) == 8:
            workers[0].kill()
            workers[0].wait()

    options = {"top": 41, "settings": QUICK, "dask": str(scheduler)}
    summary = refine(many, "emt", **options, report=kill_in_the_middle)
    assert (summary.refined, summary.failed, summary.new) == (40, 1, 41)
    assert len(said) == 41
    files = [place / "_refined" / "emt.parquet" for place in (one, many)]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert refine(many, "emt", **options).new == 0


@pytest.mark.slow
def test_on_dask_a_crash_is_a_row(few: Path) -> None:
    import dask

    pytest.importorskip("distributed", reason="Dask is not installed (extra: screening)")
    with dask.config.set({"distributed.scheduler.allowed-failures": 0}):
        summary = refine(
            few, "crashing_potentials:Dying", settings=QUICK, dask="local", processes=1
        )
        assert (summary.refined, summary.failed) == (6, 1)
        with pytest.raises(PotentialError, match="weights are damaged"):
            refine(few, "crashing_potentials:broken", settings=QUICK, dask="local", processes=1)
