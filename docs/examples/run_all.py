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
    (HERE / "output" / f"{name}.txt").write_text(done.stdout, encoding="utf-8")
