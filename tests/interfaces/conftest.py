from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path

import matplotlib as mpl
import pytest
from ase import Atoms
from ase.build import bulk

from ase_e3dos import PhononSpectrum, predict

mpl.use("Agg")


@pytest.fixture
def salt(default_model: str) -> PhononSpectrum:
    return predict(bulk("NaCl", "rocksalt", a=5.64), model=default_model)[0]


@pytest.fixture
def copper_volumes() -> list[Atoms]:
    """Primitive copper cells over the volumes of a quasi-harmonic calculation."""
    return [bulk("Cu", "fcc", a=3.6 * (1 + strain / 100)) for strain in range(-2, 4)]


@pytest.fixture
def run_tool(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a console script of the installed phonopy in `tmp_path`; it must succeed."""
    scripts = {e.name: e.value for e in entry_points(group="console_scripts")}

    def run(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        if name not in scripts:
            pytest.skip(f"the installed phonopy has no {name}")
        module, _, function = scripts[name].partition(":")
        code = f"import sys; from {module} import {function} as f; sys.argv[0] = {name!r}; f()"
        done = subprocess.run(
            [sys.executable, "-c", f"import matplotlib; matplotlib.use('Agg'); {code}", *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    return run
