from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from small_screen import make_weights


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_weights(tmp_path_factory.mktemp("weights") / "tiny.safetensors")


def start(*command: object, cwd: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "DASK_DISTRIBUTED__DASHBOARD__LINK": ""}
    with (cwd / f"{command[2]}-{time.monotonic_ns()}.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, *map(str, command)], stdout=log, stderr=log, env=environment, cwd=cwd
        )


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[Path, list[subprocess.Popen[bytes]]]]:
    """A real scheduler with two workers on loopback; its file, and the processes in this order."""
    pytest.importorskip("distributed", reason="Dask is not installed (extra: screening)")
    file = tmp_path / "scheduler.json"
    processes = [
        start("-m", "dask", "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard",
              "--scheduler-file", file, cwd=tmp_path)
    ]  # fmt: skip
    try:
        for _ in range(1200):
            if file.exists() and file.read_text().strip():
                break
            assert processes[0].poll() is None, "the scheduler did not start"
            time.sleep(0.1)
        processes += [
            start("-m", "dask", "worker", "--scheduler-file", file, "--host", "127.0.0.1",
                  "--nthreads", "1", "--no-nanny", "--no-dashboard", "--name", f"w{k}",
                  "--local-directory", tmp_path / f"w{k}", cwd=tmp_path)
            for k in range(2)
        ]  # fmt: skip
        yield file, processes
    finally:
        for process in reversed(processes):
            process.kill()
            process.wait()
