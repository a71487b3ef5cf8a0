from __future__ import annotations

import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ase.build import bulk
from ase.io import write
from small_screen import (
    assert_same_rows,
    crystals,
    make_weights,
    rows_by_id,
    start_screen,
    table_of,
)

from ase_e3dos import screen
from ase_e3dos.errors import E3DOSError, ScreeningError, ScreeningWarning
from ase_e3dos.screening import shards

SLOW = Path(__file__).with_name("slow_screen.py")


def start_slowly(weights: Path, output: Path, n: int, seconds: float) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, str(SLOW), str(weights), str(output), str(n), str(seconds)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def wait_for_shards(output: Path, process: subprocess.Popen[bytes], n: int = 1) -> None:
    for _ in range(6000):
        if len(list(output.glob("part-*.parquet"))) >= n or process.poll() is not None:
            return
        time.sleep(0.05)
    raise AssertionError("no shard was written")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_killed_at_random_moments_and_resumed_it_is_as_undisturbed(
    weights: Path, tmp_path: Path, seed: int
) -> None:
    n = 120
    screen(crystals(n), tmp_path / "whole", model=weights, device="cpu")
    random_ = random.Random(seed)
    kills = 0
    for _ in range(3):
        process = start_slowly(weights, tmp_path / "killed", n, 0.02)
        try:
            there = len(list((tmp_path / "killed").glob("part-*.parquet")))
            wait_for_shards(tmp_path / "killed", process, there + 1)
            time.sleep(random_.uniform(0.0, 0.8))
        finally:
            process.kill()
            kills += process.wait() == -signal.SIGKILL
        for shard in (tmp_path / "killed").glob("part-*.parquet"):
            assert rows_by_id(shard), "a shard is damaged"
    assert kills > 0
    before = rows_by_id(tmp_path / "killed")
    summary = screen(crystals(n), tmp_path / "killed", model=weights, device="cpu")
    assert summary.skipped == len(before) > 0
    assert summary.new == n - len(before)
    assert_same_rows(tmp_path / "killed", tmp_path / "whole")
    assert not list((tmp_path / "killed").glob(".tmp-*"))
    after = rows_by_id(tmp_path / "killed")
    assert all(after[name] == row for name, row in before.items()), "a row was computed twice"


@pytest.mark.parametrize("processes", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_inputs_that_raise_in_the_middle_cost_nothing_of_what_they_gave(
    weights: Path, tmp_path: Path, processes: int
) -> None:
    def ending():
        yield from crystals(7)
        raise OSError("the source went away")

    with pytest.raises(OSError, match="the source went away") as caught:
        screen(ending(), tmp_path, model=weights, device="cpu", processes=processes)
    assert "after 7 structures" in "".join(caught.value.__notes__)
    assert len(rows_by_id(tmp_path)) == 7
    assert screen(crystals(9), tmp_path, model=weights, device="cpu").new == 2


def test_ids_are_text_of_any_kind(weights: Path, tmp_path: Path) -> None:
    names = ["Ω-é-日本\u2028", "../../etc/passwd", "", "nul\0byte", "'; drop table", "x" * 5000]
    pairs = [(name, atoms) for name, (_, atoms) in zip(names, crystals(6), strict=True)]
    screen(pairs, tmp_path / "out", model=weights, device="cpu")
    assert set(rows_by_id(tmp_path / "out")) == set(names)
    assert screen(pairs, tmp_path / "out", model=weights, device="cpu").skipped == 6
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_ids_that_end_in_a_number_lose_no_row(weights: Path, tmp_path: Path) -> None:
    pairs = [(n, a) for n, (_, a) in zip(["x", "x", "x#2"], crystals(3), strict=True)]
    assert screen(pairs, tmp_path, model=weights, device="cpu").new == 3
    assert len(rows_by_id(tmp_path)) == 3
    assert screen(pairs, tmp_path, model=weights, device="cpu").skipped == 3
    assert len(rows_by_id(tmp_path)) == 3


@pytest.mark.skipif(sys.platform != "linux", reason="needs file names of any bytes")
def test_names_that_are_no_utf_8_are_rows_like_others(weights: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    write(tmp_path / "salt.vasp", crystals(1)[0][1], format="vasp")
    name = os.fsencode(folder) + b"/caf\xe9.vasp"
    os.rename(os.fsencode(tmp_path / "salt.vasp"), name)  # noqa: PTH104 - bytes
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff.cif")).write_text("no crystal")
    write(folder / "plain.vasp", crystals(2)[1][1], format="vasp")
    summary = screen(folder, tmp_path / "out", model=weights, device="cpu")
    assert (summary.total, summary.failed) == (3, 1)
    rows = {Path(i).name: row for i, row in rows_by_id(tmp_path / "out").items()}
    assert rows["caf\\udce9.vasp"]["error"] is None
    assert rows["\\udcff.cif"]["error"]
    assert rows["plain.vasp"]["error"] is None
    assert screen(folder, tmp_path / "out", model=weights, device="cpu").skipped == 3
    screen([("\ud800", bulk("Si"))], tmp_path / "ids", model=weights, device="cpu")
    assert list(rows_by_id(tmp_path / "ids")) == ["\\ud800"]


def test_no_structures_and_senseless_numbers(weights: Path, tmp_path: Path) -> None:
    assert screen([], tmp_path / "out", model=weights, device="cpu").total == 0
    assert screen(table_of(0), tmp_path / "out", model=weights, device="cpu").total == 0
    for wrong in ({"shard_size": 0}, {"processes": -1}):
        with pytest.raises(ScreeningError, match="at least 1"):
            screen(crystals(1), tmp_path / "out", model=weights, device="cpu", **wrong)


def test_a_second_run_computes_nothing_and_loads_no_network(weights: Path, tmp_path: Path) -> None:
    first = screen(table_of(20), tmp_path, model=weights, device="cpu")
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from small_screen import *\nfrom ase_e3dos import screen\n"
        "print(screen(table_of(20), sys.argv[2], model=sys.argv[3]).skipped)\n"
        "assert 'ase_e3dos.network.site' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(SLOW.parent), str(tmp_path), str(weights)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (first.new, first.skipped) == (20, 0)
    assert done.stdout.strip() == "20", done.stderr


def test_more_input_adds_rows_and_a_changed_structure_replaces_its_row(
    weights: Path, tmp_path: Path
) -> None:
    screen(crystals(10), tmp_path, model=weights, device="cpu", shard_size=4)
    changed = [*crystals(12)]
    changed[3] = ("salt-3", bulk("NaCl", "rocksalt", a=6.0))
    with pytest.warns(ScreeningWarning, match="1 row"):
        summary = screen(changed, tmp_path, model=weights, device="cpu", shard_size=4)
    assert (summary.new, summary.skipped, summary.replaced) == (3, 9, 1)
    rows = rows_by_id(tmp_path)
    assert len(rows) == 12
    assert rows["salt-3"]["formula"] == "NaCl"


def test_rows_of_a_changed_structure_are_cleaned_up_after_a_kill(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen(crystals(6), tmp_path, model=weights, device="cpu")
    changed = [("salt-0", bulk("NaCl", "rocksalt", a=6.0)), *crystals(6)[1:]]
    with monkeypatch.context() as patch:
        patch.setattr(shards.ShardStore, "drop_superseded", lambda self: None)
        with pytest.warns(ScreeningWarning, match="1 row"):
            screen(changed, tmp_path, model=weights, device="cpu")
    with pytest.raises(AssertionError, match="more than one row"):
        rows_by_id(tmp_path)
    summary = screen(changed, tmp_path, model=weights, device="cpu")
    assert summary.new == 0
    assert rows_by_id(tmp_path)["salt-0"]["formula"] == "NaCl"


def test_other_weights_of_the_same_name_replace_and_another_model_stands_beside(
    tmp_path: Path,
) -> None:
    (tmp_path / "new").mkdir()
    old = make_weights(tmp_path / "tiny.safetensors", seed=1)
    new = make_weights(tmp_path / "new" / "tiny.safetensors", seed=2)
    other = make_weights(tmp_path / "other.safetensors", seed=3)
    screen(crystals(4), tmp_path / "out", model=old, device="cpu")
    before = rows_by_id(tmp_path / "out")
    names = {row["model"] for row in before.values()}
    assert screen(crystals(4), tmp_path / "out", model=new, device="cpu").new == 4
    import pyarrow.parquet as pq

    rows = pq.read_table(tmp_path / "out").to_pylist()
    assert {row["model"] for row in rows} == names
    assert len(rows) == 4
    assert {r["model_hash"] for r in rows}.isdisjoint({r["model_hash"] for r in before.values()})
    assert screen(crystals(4), tmp_path / "out", model=other, device="cpu").new == 4
    rows = pq.read_table(tmp_path / "out").to_pylist()
    assert len(rows) == 8
    assert len({row["model"] for row in rows}) == 2


def test_another_temperature_is_refused(weights: Path, tmp_path: Path) -> None:
    screen(crystals(2), tmp_path, model=weights, device="cpu")
    with pytest.raises(ScreeningError, match="asked for"):
        screen(crystals(2), tmp_path, model=weights, device="cpu", temperature=500.0)


def test_rows_with_errors_are_kept_until_a_retry_is_asked_for(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ase_e3dos.network.ensemble import Model

    with monkeypatch.context() as patch:
        patch.setattr(Model, "start", lambda *_: (_ for _ in ()).throw(MemoryError()))
        assert screen(crystals(2), tmp_path, model=weights, device="cpu").failed == 2
    assert screen(crystals(2), tmp_path, model=weights, device="cpu").skipped == 2
    again = screen(crystals(2), tmp_path, model=weights, device="cpu", retry_errors=True)
    assert (again.new, again.failed) == (2, 0)
    assert {row["error"] for row in rows_by_id(tmp_path).values()} == {None}


def test_two_processes_cannot_write_to_one_output(weights: Path, tmp_path: Path) -> None:
    process = start_slowly(weights, tmp_path, 2000, 0.05)
    try:
        wait_for_shards(tmp_path, process)
        with pytest.raises(ScreeningError, match=f"another process.*process {process.pid} on"):
            screen(crystals(2), tmp_path, model=weights, device="cpu")
    finally:
        process.kill()
        process.wait()
    # The lock went with the process.
    screen(crystals(2), tmp_path, model=weights, device="cpu")


def test_a_full_disk_is_said_and_leaves_whole_shards(weights: Path, tmp_path: Path) -> None:
    """A limit on the size of files stands for the full disk: writing fails in its middle."""
    import pyarrow.parquet as pq

    data = tmp_path / "salts.parquet"
    pq.write_table(table_of(60), data)

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))

    arguments = [data, "-o", tmp_path / "out", "--model", weights, "--shard-size", 20]
    process = start_screen(*arguments, preexec_fn=limit)
    output, errors = process.communicate()
    assert process.returncode == 2, errors
    assert "no space left" in errors
    assert "Traceback" not in errors
    assert not list((tmp_path / "out").glob(".tmp-*"))
    assert not list((tmp_path / "out").glob("part-*"))
    process = start_screen(*arguments)
    output, errors = process.communicate()
    assert process.returncode == 0, errors
    assert "60 new" in output
    assert len(rows_by_id(tmp_path / "out")) == 60


def test_rows_before_the_disk_was_full_are_kept(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    calls: list[int] = []
    sync = os.fsync

    def full(handle: int) -> None:
        calls.append(handle)
        if len(calls) == 5:  # each shard syncs its file and the directory
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(handle)

    with monkeypatch.context() as patch:
        patch.setattr(shards.os, "fsync", full)
        with pytest.raises(ScreeningError, match="20 new rows are safe"):
            screen(crystals(30), tmp_path, model=weights, device="cpu", shard_size=10)
    assert len(rows_by_id(tmp_path)) == 20
    assert screen(crystals(30), tmp_path, model=weights, device="cpu").skipped == 20


def test_a_read_only_output_is_an_error_before_anything_is_computed(
    weights: Path, tmp_path: Path
) -> None:
    where = tmp_path / "out"
    where.mkdir()
    where.chmod(0o555)
    try:
        if os.access(where, os.W_OK):  # root writes everywhere: a place where nobody can
            where = Path("/proc/out")
            if not where.parent.is_dir():
                pytest.skip("run as root, and there is no /proc")
        with pytest.raises(ScreeningError, match="cannot be written"):
            screen(crystals(2), where, model=weights, device="cpu")
    finally:
        (tmp_path / "out").chmod(0o755)


def test_an_output_that_is_a_file_or_has_other_parquet_files(weights: Path, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    with pytest.raises(ScreeningError, match="cannot be written"):
        screen(crystals(1), file, model=weights, device="cpu")
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    import pyarrow.parquet as pq

    pq.write_table(table_of(1), foreign / "part-00000.parquet")
    with pytest.raises(ScreeningError, match="not a shard of a screening"):
        screen(crystals(1), foreign, model=weights, device="cpu")


def damaged(shard: Path, how: str) -> None:
    content = shard.read_bytes()
    if how == "empty":
        shard.write_bytes(b"")
    elif how == "cut":
        shard.write_bytes(content[: len(content) // 2])
    elif how == "flipped everywhere":
        shard.write_bytes(content[:4] + bytes(b ^ 0x55 for b in content[4:-8]) + content[-8:])
    else:  # the pages of the first column, which holds the ids
        shard.write_bytes(content[:20] + bytes(b ^ 0x55 for b in content[20:60]) + content[60:])


@pytest.mark.parametrize("how", ["empty", "cut", "flipped everywhere", "flipped ids"])
def test_a_damaged_shard_is_named_by_screen_and_report(
    weights: Path, tmp_path: Path, how: str
) -> None:
    from ase_e3dos.screening.report import read_screen

    screen(crystals(20), tmp_path, model=weights, device="cpu", shard_size=10)
    shard = tmp_path / "part-00001.parquet"
    damaged(shard, how)
    with pytest.raises(ScreeningError, match=r"part-00001\.parquet.*damaged"):
        screen(crystals(20), tmp_path, model=weights, device="cpu")
    with pytest.raises(ScreeningError, match=r"part-00001\.parquet.*damaged"):
        read_screen(tmp_path)
    shard.unlink()
    assert screen(crystals(20), tmp_path, model=weights, device="cpu").new == 10


def test_flipped_bits_of_a_density_are_seen_by_the_report(weights: Path, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    from ase_e3dos.screening.report import read_screen

    screen(crystals(20), tmp_path, model=weights, device="cpu")
    shard = tmp_path / "part-00000.parquet"
    group = pq.read_metadata(shard).row_group(0)
    (column,) = (c for c in map(group.column, range(group.num_columns))
                 if c.path_in_schema.startswith("density"))  # fmt: skip
    middle = column.dictionary_page_offset + column.total_compressed_size // 2
    content = bytearray(shard.read_bytes())
    content[middle] ^= 0x10
    shard.write_bytes(content)
    with pytest.raises(ScreeningError, match="damaged"):
        _ = read_screen(tmp_path).components


def test_a_copy_of_a_shard_is_refused(weights: Path, tmp_path: Path) -> None:
    from ase_e3dos.screening.report import read_screen

    screen(crystals(2), tmp_path, model=weights, device="cpu")
    copy = tmp_path / "part-00000 copy.parquet"
    copy.write_bytes((tmp_path / "part-00000.parquet").read_bytes())
    with pytest.raises(ScreeningError, match=r"copy\.parquet: this is not a shard"):
        screen(crystals(3), tmp_path, model=weights, device="cpu")
    with pytest.raises(ScreeningError, match=r"copy\.parquet: this is not a shard"):
        read_screen(tmp_path)


def test_a_model_that_is_not_there_makes_no_output(tmp_path: Path) -> None:
    with pytest.raises(E3DOSError, match="absent"):
        screen(crystals(1), tmp_path / "out", model="absent")
    assert not (tmp_path / "out").exists()


def test_the_command_line_says_what_failed_and_what_was_replaced(
    weights: Path, tmp_path: Path
) -> None:
    """Both in its last line, and a warning of the latter."""
    folder = tmp_path / "in"
    folder.mkdir()
    write(folder / "salt.vasp", crystals(1)[0][1], format="vasp")
    (folder / "empty.cif").write_text("")
    arguments = [folder, "-o", tmp_path / "out", "--model", weights, "--device", "cpu"]
    output, errors = start_screen(*arguments).communicate()
    assert "2 new" in output
    assert f"1 failed (why: column error, or `e3dos report {tmp_path / 'out'}`)" in output
    assert errors == ""
    write(folder / "salt.vasp", bulk("NaCl", "rocksalt", a=6.0), format="vasp")
    output, errors = start_screen(*arguments).communicate()
    assert "1 already there, 1 replaced, 0 failed" in output
    assert errors.startswith("warning:")
    assert "1 row(s)" in errors
