"""The module that ASE's experimental plug-in collection loads."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ase_e3dos.interfaces import ase_plugin


def test_import_needs_no_torch_and_survives_any_ase():
    code = (
        "import sys; sys.modules['ase._4'] = None; from ase_e3dos.interfaces import ase_plugin;"
        "assert ase_plugin.__ase_plugins__ == set(); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_calculator_is_offered_to_ase():
    pytest.importorskip("ase._4.plugins.plugin")
    (plugin,) = ase_plugin.__ase_plugins__
    assert plugin.name == "e3dos"
