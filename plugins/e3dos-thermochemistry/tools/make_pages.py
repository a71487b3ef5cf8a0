"""Make every number and figure of docs/howto/thermochemistry.md and docs/benchmarks/measured-*.md.

Run after the default weights change, with the training data (E3DOS_DATA) and the package installed
with its extra `pages`: python plugins/e3dos-thermochemistry/tools/make_pages.py [STEP ...]
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import typer

ROOT = Path(__file__).resolve().parents[3]
TOOLS = Path(__file__).resolve().parent
EXAMPLES = ROOT / "docs" / "examples"
#: Name of a step -> script, and the file that what it prints goes to, if any.
STEPS = {
    "decompositions": (EXAMPLES / "decompositions.py", "decompositions.txt"),
    "hull": (EXAMPLES / "hull_at_temperature.py", "hull_at_temperature.txt"),
    "commands": (TOOLS / "commands.py", "thermochemistry_commands.txt"),
    "measured": (TOOLS / "measured.py", None),
    "errors": (TOOLS / "error_correlations.py", None),
}

for name in sys.argv[1:] or STEPS:
    script, output = STEPS[name]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", script],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "MPLBACKEND": "Agg"},
    )
    typer.echo(f"{name}: exit code {done.returncode}")
    if done.returncode:
        sys.exit(done.stderr)
    if output is not None:
        (EXAMPLES / "output" / output).write_text(done.stdout, encoding="utf-8")
