"""Print what the commands of docs/howto/thermochemistry.md print."""

from __future__ import annotations

import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import typer

CRYSTALS = Path(__file__).resolve().parents[1] / "crystals"
COMMANDS = (
    'e3dos reaction "CaCO3 -> CaO + CO2" CaCO3.cif CaO.cif -T 300 -T 600 -T 900 -T 1200',
    'e3dos reaction "CaCO3 -> CaO + CO2" CaCO3.cif CaO.cif '
    "--enthalpies CaCO3=-1206.9,CaO=-635.1 --pressure CO2=0.0004 -T 300:1500:100",
    "e3dos coefficients CaCO3.cif --enthalpies CaCO3=-1206.9 -o calcite.tdb",
)

with tempfile.TemporaryDirectory() as folder:
    for crystal in CRYSTALS.glob("*.cif"):
        (Path(folder) / crystal.name).write_bytes(crystal.read_bytes())
    for command in COMMANDS:
        arguments = [sys.executable, "-c", "from ase_e3dos.cli import main; main()"]
        done = subprocess.run(
            [*arguments, *shlex.split(command)[1:]], capture_output=True, text=True, cwd=folder
        )
        typer.echo(f"$ {command}")
        if done.returncode:
            sys.exit(done.stderr)
        typer.echo(done.stdout)
    typer.echo((Path(folder) / "calcite.tdb").read_text(encoding="utf-8"))
