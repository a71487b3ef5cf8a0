"""What the package does where optional packages are not installed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

# `None` in sys.modules is how Python says that a package cannot be imported.
SCRIPT = """
import sys
sys.modules |= dict.fromkeys({missing!r})
from ase_e3dos.cli import main
for sys.argv[1:] in {commands!r}:
    try:
        main()
    except SystemExit as stop:
        print("exit", stop.code)
"""
EXTRAS = ("pyarrow", "pandas", "dask", "distributed", "plotly", "jobflow", "periodictable")


def test_only_parquet_needs_pyarrow(tmp_path: Path, crystals_folder: Path) -> None:
    """Figure, files and JSON of predictions work without it; else the message names the extra."""
    table = tmp_path / "a.parquet"
    table.write_bytes(b"PAR1")
    crystal = crystals_folder / "SrTiO3.cif"
    commands = [
        ("predict", crystal, "--plot", tmp_path / "a.png", "-o", tmp_path / "out", "--json"),
        ("predict", table),
        ("adp", crystal, "-o", tmp_path / "b.parquet"),
        ("screen", crystal, "-o", tmp_path / "screened"),
        ("evaluate", "--data", table, "--model", "paper"),
    ]
    texts = [[str(a) for a in command] for command in commands]
    script = SCRIPT.format(missing=EXTRAS, commands=texts)
    command = [sys.executable, "-W", "ignore", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert re.findall("^exit (.*)$", done.stdout, re.M) == ["0", *"2222"], done.stderr
    assert (tmp_path / "a.png").stat().st_size > 1000
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 4
    for line in errors:
        assert 'needs pyarrow, which is not installed: pip install "ase-e3dos[parquet]"' in line
