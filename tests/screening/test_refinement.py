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

from ase_e3dos import reference_spectrum, screen
from ase_e3dos.errors import ScreeningError
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


def start(place: Path, *options: str) -> subprocess.Popen[bytes]:
    code = "from ase_e3dos.cli import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", code, "refine", str(place), "-c", "emt", "--top", "41",
         "--by", "heat_capacity_per_atom", *COMMAND, *options],
        env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL,
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
    difference = row["heat_capacity_per_atom_refined"] - row["heat_capacity_per_atom"]
    assert row["difference_in_errors"] == pytest.approx(difference / row["uncertainty"])
    assert about["settings"]["supercell"] == 4.5
    # The screen is read as before, and more of it adds to what is there.
    assert pq.read_table(place).num_rows == 41
    again = refine(place, "emt", top=2, by="specific_heat", lowest=True, settings=QUICK)
    assert (again.refined, again.new) == (40, 0)
    with pytest.raises(ScreeningError, match="no column"):
        refine(place, "emt", by="formula")


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
    best = found.table["specific_heat_refined"].fillna(found.table["specific_heat"])
    assert (np.diff(best) <= 0).all()
    count, inside, median = found.error_bars
    assert count == found.refined["emt"] >= 6
    assert 0 <= inside <= 1
    assert median > 0
    code, _, said = run_cli("report", place, "-o", tmp_path / "page.html")
    assert code == 0, said
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "with <b>emt</b>; rows are ranked by the refined value" in page
    assert "C_V refined" in page
    code, told, said = run_cli("data", "from-screen", place, "-o", labels)
    assert code == 0, said
    assert f"{count} entries" in told
    known = read_labelled(labels)
    assert (known.kind, known.source, len(known)) == ("site", "emt", count)
    reference = reference_spectrum(
        known.crystals[0], "emt", supercell=4.5, displacement=0.01, mesh=8.0
    )
    weights = reference.site_density / reference.site_density.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(known.bins[0], weights, atol=1e-5)
