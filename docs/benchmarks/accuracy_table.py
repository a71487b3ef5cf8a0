"""Write the README's table of errors.

Run: python docs/benchmarks/accuracy_table.py DATA.parquet MODEL [MODEL ...]
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"

# key in the output of `e3dos evaluate --json`, heading, format
COLUMNS = (
    ("MSE", "MSE", "{:.4f}"),
    ("R2", "R²", "{:.3f}"),
    ("MAE", "MAE", "{:.3f}"),
    ("WD", "Wasserstein (cm⁻¹)", "{:.1f}"),
    ("wbar", "average frequency (cm⁻¹)", "{:.1f}"),
    ("within10", "within 10 % of it", "{:.0%}"),
    ("Cv_atom", "C_V(300 K) (J/K per mol of atoms)", "{:.2f}"),
)


def main(data: str, models: list[str]) -> None:
    """Evaluate the models and put the table between the README's marks."""
    options = [part for model in models for part in ("-m", model)]
    command = [sys.executable, "-c", "from ase_e3dos.cli import main; main()"]
    done = subprocess.run(
        [*command, "evaluate", "--data", data, "--json", *options],
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [
        "| model | " + " | ".join(heading for _, heading, _ in COLUMNS) + " |",
        "| --- |" + " ---: |" * len(COLUMNS),
    ]
    for found in json.loads(done.stdout):
        cells = (form.format(found["errors"][key]) for key, _, form in COLUMNS)
        lines.append(f"| `{found['model']}` | " + " | ".join(cells) + " |")
    print("\n".join(lines))
    marks = re.compile(r"(<!-- accuracy: begin.*?-->\n).*?(\n<!-- accuracy: end -->)", re.DOTALL)
    text = README.read_text(encoding="utf-8")
    table = "\n".join(lines)
    README.write_text(marks.sub(lambda m: f"{m[1]}\n{table}\n{m[2]}", text), encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2:])
