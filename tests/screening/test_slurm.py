"""Screening through a real SLURM: one node on loopback, started and stopped by the tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from one_node_slurm import missing, one_node_slurm
from small_screen import assert_same_rows, crystals

from ase_e3dos import screen
from ase_e3dos.errors import ScreeningError
from ase_e3dos.screening import workers

pytest.importorskip("dask_jobqueue", reason="dask-jobqueue is not installed (extra: slurm)")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        bool(missing()),
        reason="no SLURM here (Debian: slurmctld, slurmd, slurm-client, munge); absent: "
        + ", ".join(missing()),
    ),
]


@pytest.fixture(scope="module")
def slurm() -> Iterator[dict[str, str]]:
    where = Path(tempfile.mkdtemp(prefix="slurm-"))  # the path of a socket has to be short
    try:
        with one_node_slurm(where) as environment:
            yield environment
    finally:
        shutil.rmtree(where, ignore_errors=True)


@pytest.fixture
def jobs(slurm: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The commands of SLURM on the path, and a configuration of dask-jobqueue."""
    import dask

    for name in ("SLURM_CONF", "PATH"):
        monkeypatch.setenv(name, slurm[name])
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    logs = tmp_path / "logs"
    settings = {
        "cores": 1,
        "processes": 1,
        "memory": "1GB",
        "walltime": "00:10:00",
        "interface": "lo",
        "queue": "test",
        "log-directory": str(logs),
        "local-directory": str(tmp_path),
    }
    with dask.config.set(
        {f"jobqueue.slurm.{name}": value for name, value in settings.items()}
        | {"distributed.deploy.lost-worker-timeout": "2s"}
    ):
        yield logs


def queue(slurm: dict[str, str]) -> list[str]:
    command = ["squeue", "-h", "-t", "R,PD", "-o", "%A"]
    done = subprocess.run(command, env=slurm, capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_jobs_of_slurm_give_the_rows_of_one_process_though_they_are_cancelled(
    slurm: dict[str, str],
    jobs: Path,
    weights: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(workers, "CHUNK_SIZE", 10)
    cancelled: list[str] = []

    def cancel_all(state) -> None:
        """What the time limit does to every job at once."""
        if state.done >= 30 and not cancelled:
            cancelled.extend(queue(slurm))
            subprocess.run(["scancel", *cancelled], env=slurm, check=True)

    pairs = crystals(200)
    summary = screen(
        pairs, tmp_path / "slurm", model=weights, device="cpu", dask="slurm", processes=2,
        progress=cancel_all,
    )  # fmt: skip
    assert len(cancelled) == 2
    assert (summary.new, summary.failed) == (200, 0)
    assert [p for p in jobs.iterdir() if p.stat().st_size], "the jobs left no logs"
    assert queue(slurm) == [], "jobs were left behind"
    screen(pairs, tmp_path / "one", model=weights, device="cpu")
    assert_same_rows(tmp_path / "slurm", tmp_path / "one")


def test_a_job_that_slurm_refuses_is_said(jobs: Path, weights: Path, tmp_path: Path) -> None:
    import dask

    with (
        dask.config.set({"jobqueue.slurm.queue": "absent"}),
        pytest.raises(ScreeningError, match=r"SLURM would refuse the job.*absent"),
    ):
        screen(crystals(1), tmp_path / "out", model=weights, dask="slurm")


def test_jobs_that_end_without_a_worker_are_said(
    slurm: dict[str, str],
    jobs: Path,
    weights: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import dask

    from ase_e3dos.errors import ScreeningWarning

    monkeypatch.setattr(workers, "_WATCH_SECONDS", 2.0)
    with (
        dask.config.set({"jobqueue.slurm.python": "/absent/python"}),
        pytest.warns(ScreeningWarning, match="no Dask worker"),
        pytest.raises(ScreeningError, match="all SLURM jobs ended"),
    ):
        screen(crystals(1), tmp_path / "out", model=weights, dask="slurm")


def test_where_there_is_no_slurm_it_is_said(
    jobs: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert os.environ["PATH"] == str(tmp_path)
    with pytest.raises(ScreeningError, match="login node"):
        screen(crystals(1), tmp_path / "out", model=weights, dask="slurm")
