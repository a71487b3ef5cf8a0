from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from ase.build import bulk
from ase.io import write
from pymatgen.io.ase import AseAtomsAdaptor
from small_screen import assert_same_rows, crystals, relax, rows_by_id, start_screen, table_of

from ase_e3dos import screen
from ase_e3dos.errors import ScreeningError
from ase_e3dos.screening import workers
from ase_e3dos.screening.entries import Done, KeySet, is_death, key_of
from ase_e3dos.screening.inputs import iter_unread
from ase_e3dos.screening.settings import ScreenSettings


@pytest.mark.slow
def test_worker_processes_give_the_rows_of_one_process(weights: Path, tmp_path: Path) -> None:
    screen(crystals(30), tmp_path / "one", model=weights, device="cpu")
    screen(crystals(30), tmp_path / "two", model=weights, device="cpu", processes=2)
    assert_same_rows(tmp_path / "two", tmp_path / "one")


@pytest.mark.slow
def test_a_killed_worker_process_loses_nothing(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "CHUNK_SIZE", 10)
    victims: list[int] = []
    submit = workers.ProcessPool.submit

    def submit_and_kill(self, chunk, settings):
        future = submit(self, chunk, settings)
        running = list(self._executor._processes or {})
        if not victims and running:
            victims.append(running[0])
            os.kill(running[0], signal.SIGKILL)
        return future

    monkeypatch.setattr(workers.ProcessPool, "submit", submit_and_kill)
    screen(crystals(60), tmp_path / "killed", model=weights, device="cpu", processes=2)
    assert victims
    screen(crystals(60), tmp_path / "whole", model=weights, device="cpu")
    assert_same_rows(tmp_path / "killed", tmp_path / "whole")


class DeadlyPool:
    """A pool in which one structure kills whoever computes it."""

    n_workers = 2
    die_together = False

    def __init__(self, deadly: str) -> None:
        self.deadly = deadly
        self.deaths = 0

    def submit(self, chunk: workers.Chunk, settings: ScreenSettings) -> Future[object]:
        future: Future[object] = Future()
        if any(u.id == self.deadly for u in chunk.structures):
            self.deaths += 1
            future.set_exception(ChildProcessError("killed"))
        else:
            future.set_result(workers.compute_chunk(chunk.structures, settings, "cpu"))
        return future

    def is_worker_death(self, error: BaseException) -> bool:
        return isinstance(error, ChildProcessError)

    def recover(self) -> None:
        pass

    def close(self) -> None:
        pass


def test_a_structure_that_kills_workers_is_found_and_marked(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "CHUNK_SIZE", 16)
    settings = ScreenSettings(model=str(weights))
    pool = DeadlyPool("salt-13")
    computed = list(workers.computed_on(pool, iter_unread(crystals(40)), settings))
    assert sum(c.seen for c in computed) == 40
    rows = [r for c in computed for b in c.batches for r in b.to_pylist()]
    assert sorted(r["id"] for r in rows) == sorted(name for name, _ in crystals(40))
    (failed,) = (r for r in rows if r["error"])
    assert failed["id"] == "salt-13"
    assert "worker process died" in failed["error"]
    assert pool.deaths < 10


def test_chunks_are_small_for_short_inputs_and_grow_with_long_ones() -> None:
    sizes = workers.ChunkSizes(1024)
    given = [sizes.next(4) for _ in range(200)]
    assert given[:16] == [32] * 16
    assert given[16:32] == [64] * 16
    assert given[-1] == 1024
    slow = workers.ChunkSizes(1024)
    slow.took(60.0)
    assert {slow.next(4) for _ in range(200)} == {32}


def test_a_few_hundred_structures_reach_all_workers(weights: Path) -> None:
    """Each of four workers gets a fair share of what one chunk could hold."""
    pool = DeadlyPool("none")
    pool.n_workers = 4
    chunks: list[int] = []
    submit = pool.submit

    def counted(chunk: workers.Chunk, settings: ScreenSettings) -> Future[object]:
        chunks.append(len(chunk.structures))
        return submit(chunk, settings)

    pool.submit = counted
    settings = ScreenSettings(model=str(weights))
    computed = workers.computed_on(pool, iter_unread(crystals(400)), settings)
    assert sum(len(b) for c in computed for b in c.batches) == 400 == sum(chunks)
    assert max(chunks) <= 400 / 8
    assert len(chunks) >= 12


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs /proc")
@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_a_killed_parent_leaves_no_worker_and_what_was_written(
    weights: Path, tmp_path: Path, sign: signal.Signals
) -> None:
    n = 20_000
    pq.write_table(table_of(n), tmp_path / "salts.parquet")
    options = ["--model", weights, "--device", "cpu", "--processes", 2, "--shard-size", 32]
    process = start_screen(tmp_path / "salts.parquet", "-o", tmp_path / "out", *options)
    try:
        for _ in range(6000):
            if list((tmp_path / "out").glob("part-*")) or process.poll() is not None:
                break
            time.sleep(0.02)
        assert process.poll() is None, process.communicate()[1]
        children = children_of(process.pid)
        assert len(children) >= 2
        if sign == signal.SIGINT:  # Ctrl-C twice: a terminal sends it to all processes
            for pid in [*children, *children]:
                with suppress(ProcessLookupError):
                    os.kill(pid, sign)
            process.send_signal(sign)
        process.send_signal(sign)
        _, errors = process.communicate(timeout=120)
    finally:
        process.kill()
        process.wait()
    assert "Traceback" not in errors
    if sign == signal.SIGTERM:
        assert process.returncode == 128 + signal.SIGTERM
        assert "to go on" in errors
    if sign == signal.SIGINT:  # ended at once, without the time to say so
        assert process.returncode == 128 + signal.SIGINT
    end = time.monotonic() + 60
    while any(map(is_running, children)):
        assert time.monotonic() < end, "workers outlive the process that started them"
        time.sleep(0.1)
    kept = rows_by_id(tmp_path / "out")
    assert 0 < len(kept) < n
    few = table_of(500)
    again = screen(few, tmp_path / "out", model=weights, device="cpu", processes=2)
    assert again.skipped == sum(i in kept for i in few["id"].to_pylist()) > 0
    assert again.new == 500 - again.skipped


def children_of(pid: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            if int(stat.read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(stat.parent.name))
    return found


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_devices() -> None:
    assert workers.local_devices("cpu", None) == ["cpu"]
    assert workers.local_devices("cpu", 3) == ["cpu"] * 3
    assert workers.local_devices("cuda:0,cuda:2", None) == ["cuda:0", "cuda:2"]


# Dask ----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_dask_worker_killed_in_the_middle_loses_and_repeats_nothing(
    cluster: tuple[Path, list[subprocess.Popen[bytes]]],
    weights: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from distributed import Client

    file, (_, *dask_workers) = cluster
    with Client(scheduler_file=str(file), set_as_default=False) as client:
        client.wait_for_workers(2, timeout=180)
    monkeypatch.setattr(workers, "CHUNK_SIZE", 10)
    killed: list[int] = []

    def kill_in_the_middle(state) -> None:
        if state.done >= 30 and not killed:
            killed.append(state.done)
            dask_workers[0].send_signal(signal.SIGKILL)
            dask_workers[0].wait()

    address = json.loads(file.read_text())["address"]
    summary = screen(
        crystals(200), tmp_path / "dask", model=weights, dask=address, progress=kill_in_the_middle,
        shard_size=50,
    )  # fmt: skip
    assert killed
    assert killed[0] < 200
    assert (summary.new, summary.failed) == (200, 0)
    screen(crystals(200), tmp_path / "one", model=weights, device="cpu")
    assert_same_rows(tmp_path / "dask", tmp_path / "one")
    # The file of the scheduler is as good as its address, and nothing is left to do.
    again = screen(crystals(200), tmp_path / "dask", model=weights, dask=str(file))
    assert again.new == 0


@pytest.mark.slow
def test_a_scheduler_killed_in_the_middle_costs_nothing_of_what_has_come(
    cluster: tuple[Path, list[subprocess.Popen[bytes]]],
    weights: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import dask

    file, (scheduler, *_) = cluster
    monkeypatch.setattr(workers, "CHUNK_SIZE", 10)

    def kill_the_scheduler(state) -> None:
        if state.done >= 30 and scheduler.poll() is None:
            scheduler.kill()
            scheduler.wait()

    with (
        dask.config.set({"distributed.comm.timeouts.connect": "3s"}),
        pytest.raises(ScreeningError, match=r"scheduler at .* is gone"),
    ):
        screen(
            crystals(2000), tmp_path / "out", model=weights, dask=str(file),
            progress=kill_the_scheduler,
        )  # fmt: skip
    kept = rows_by_id(tmp_path / "out")
    assert 30 <= len(kept) < 2000
    again = screen(crystals(100), tmp_path / "out", model=weights, device="cpu")
    assert again.skipped == sum(name in kept for name, _ in crystals(100)) > 0


def test_no_scheduler_is_said(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("distributed", reason="Dask is not installed (extra: screening)")
    from ase_e3dos.screening import cluster as module

    monkeypatch.setattr(module, "_TIMEOUT", 1.0)
    with pytest.raises(ScreeningError, match="no Dask scheduler answers"):
        screen(crystals(1), tmp_path, model=weights, dask="tcp://127.0.0.1:9")
    assert not list(tmp_path.glob("part-*"))


def test_a_job_of_jobflow(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jobflow = pytest.importorskip("jobflow", reason="jobflow is not installed (extra: jobflow)")
    from pymatgen.io.ase import AseAtomsAdaptor

    from ase_e3dos.interfaces.jobflow import ScreenMaker

    monkeypatch.chdir(tmp_path)
    # Structures come out of other jobs, as a relaxation's of atomate2 would.
    structures = [AseAtomsAdaptor.get_structure(atoms) for _, atoms in crystals(3)]
    relaxed = [jobflow.job(relax)(structure) for structure in structures]
    maker = ScreenMaker(model=str(weights), device="cpu")
    job = maker.make([r.output for r in relaxed], ["a", "b", "c"])
    flow = jobflow.Flow([*relaxed, job])
    answer = jobflow.run_locally(flow, ensure_success=True)[job.uuid][1].output
    assert [row["id"] for row in answer["rows"]] == ["a", "b", "c"]
    assert answer["rows"][1]["formula"] == "MgO"
    assert answer["failed"] == 0
    assert len(rows_by_id(Path(answer["directory"]))) == 3


@pytest.mark.slow
def test_files_are_read_by_the_workers_and_not_before(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ids, rows and resume are those of one process, for every kind of source at once."""
    folder = tmp_path / "in"
    (folder / "cif").mkdir(parents=True)
    pairs = crystals(24)
    for name, atoms in pairs[:8]:
        write(folder / "cif" / f"{name}.cif", atoms)
    (folder / "cif" / "broken.cif").write_text("data_nothing\n")
    text = "".join((folder / "cif" / f"salt-{k}.cif").read_text() for k in (0, 1))
    (folder / "cif" / "two.cif").write_text(text.replace("data_image0", "data_a", 1))
    pq.write_table(table_of(8, 8), folder / "rows.parquet")
    lines = [AseAtomsAdaptor.get_structure(atoms).as_dict() for _, atoms in pairs[16:]]
    records = [{"material_id": f"m-{k // 2}", "structure": s} for k, s in enumerate(lines)]
    (folder / "lines.jsonl").write_text("\n".join(map(json.dumps, records)))
    screen(folder, tmp_path / "one", model=weights, device="cpu")
    expected = rows_by_id(tmp_path / "one")
    assert {"salt-9", "m-3", "m-3#2", f"{folder}/cif/two.cif[1]"} <= expected.keys()
    assert len(expected) == 8 + 1 + 2 + 8 + 8

    def refuse(*_: object) -> None:
        raise AssertionError("a CIF file was read in the process that feeds the workers")

    monkeypatch.setattr("ase_e3dos.structures.cif.cif_sites", refuse)
    summary = screen(folder, tmp_path / "two", model=weights, device="cpu", processes=2)
    assert (summary.new, summary.failed, summary.total) == (27, 1, 27)
    assert_same_rows(tmp_path / "two", tmp_path / "one")
    write(folder / "cif" / "new.cif", bulk("LiCl", "rocksalt", a=5.1))
    again = screen(folder, tmp_path / "two", model=weights, device="cpu", processes=2)
    assert (again.new, again.skipped) == (1, 27)


def test_what_killed_its_process_is_not_tried_again(weights: Path, tmp_path: Path) -> None:
    settings = ScreenSettings(model=str(weights))
    deadly, other = tmp_path / "deadly.cif", tmp_path / "other.cif"
    for path in (deadly, other):
        write(path, bulk("Si"))
    several = list(iter_unread([deadly, other]))
    row = workers._of_death(several[0], settings).batches[0].to_pylist()[0]
    key = key_of(row["id"], row["content"], row["model_hash"])
    done = Done(KeySet(np.array([key], dtype=np.uint64)), is_death(row["content"]))
    computed = workers.compute_chunk(several, settings, "cpu", done)
    assert (computed.seen, computed.skipped) == (2, 1)
    assert [r["id"] for b in computed.batches for r in b.to_pylist()] == [str(other)]
    write(deadly, bulk("NaCl", "rocksalt", a=5.64))  # another file by now
    assert workers.compute_chunk(several, settings, "cpu", done).skipped == 0
