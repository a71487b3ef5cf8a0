"""Damaged inputs end in a finite spectrum or an error of the package, in bounded time and memory.

`E3DOS_FUZZ=1000 pytest tests/robustness` tries more of them; the counts are printed at the end.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
READ_KINDS = ("read-cif", "read-extxyz", "read-poscar", "read-yaml")
KINDS = (*READ_KINDS, "cif", "poscar", "extxyz", "json", "parquet", "weights", "forged", "spectrum")


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_damaged_inputs(kind: str, request: pytest.FixtureRequest, crystals_folder: Path) -> None:
    n = os.environ.get("E3DOS_FUZZ", "60")
    done = subprocess.run(
        [sys.executable, str(HERE / "fuzz.py"), kind, n],
        capture_output=True,
        text=True,
        timeout=1800,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    result = json.loads(done.stdout.splitlines()[-1])
    conftest = request.config.pluginmanager.get_plugin(str(HERE / "conftest.py"))
    if conftest is not None:
        conftest.COUNTS.append(result)
    assert result["failures"] == []
    assert result["memory_over_start_MB"] < 2000
    assert sum(result["outcomes"].values()) == int(n)
