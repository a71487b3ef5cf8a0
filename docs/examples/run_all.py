"""Run the examples and keep what they print in docs/examples/output, their figures in docs/figures.

Every number that the tutorials show comes from here: python docs/examples/run_all.py [NAME ...]
"""

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
EXAMPLES = ("first_spectrum", "calculator", "phonopy_workflow", "qha", "encoder", "biaxial_strain")

for name in sys.argv[1:] or EXAMPLES:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", HERE / f"{name}.py"],
        capture_output=True,
        text=True,
        env={**os.environ, "MPLBACKEND": "Agg"},
    )
    print(f"{name}: exit code {done.returncode}")
    if done.returncode:
        sys.exit(done.stderr)
    said = done.stdout.replace(f"{HERE.parents[1]}{os.sep}", "")  # paths from the repository's root
    (HERE / "output" / f"{name}.txt").write_text(said, encoding="utf-8")
