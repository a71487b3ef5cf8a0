"""`e3dos` finds the command of the installed package."""

from __future__ import annotations

from typer.testing import CliRunner

from ase_e3dos.cli import build_app
from ase_e3dos.plugins import get_registry


def test_e3dos_has_the_command():
    assert "paper" in get_registry().commands()
    result = CliRunner().invoke(build_app(), ["paper", "--help"])
    assert result.exit_code == 0
    for name in ("figures", "control", "experiment"):
        assert name in result.output
