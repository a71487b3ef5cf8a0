"""Every figure and table of the paper that docs/benchmarks/paper.md shows, anew.

    python docs/benchmarks/paper_figures.py --data-dir DATA [--screened FOLDER] [STEP ...]
    python docs/benchmarks/paper_figures.py --control runs/cnn

Needs the plug-in plugins/e3dos-paper. Writes docs/figures/paper/*.png, and what the commands print
into docs/examples/output/paper_*.txt. Steps are overview, data, models, measured, materials and
screening; all without any. The 4,012 crystals are screened into --screened where they are not yet.
Figure 4 is that of docs/examples/mg3sb2_bi2.py, S5 that of biaxial_strain.py, S7 and S9 those of
imaginary_modes.py, S4 that of docs/models/paper_recipes.py. --control keeps the picture S16 and the
errors of a folder that `e3dos paper control` wrote, and makes nothing else unless steps are named.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from ase_e3dos.evaluation.metrics import format_errors

DOCS = Path(__file__).resolve().parents[1]
PICTURES = DOCS / "figures" / "paper"
OUTPUT = DOCS / "examples" / "output"
DFPT, STRUCTURES = "dfpt_petretto.parquet", "structures_mp.parquet"
LARGEST = 150_000  # bytes of a picture

# model -> its figures that the page shows
SHOWN = {
    "paper": ("figure-2", "figure-s11", "figure-s12", "figure-s13"),
    "default": ("figure-2", "figure-s11"),
    "imaginary": ("figure-s8",),
}


def run(step: str, *arguments: str | Path, keep: bool = True) -> None:
    """One command of `e3dos paper`; its text is kept without the names of files."""
    start = "from e3dos_paper.command_line import paper; paper()"
    command = [sys.executable, "-W", "ignore", "-c", start, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    lines = [line for line in done.stdout.splitlines() if not line.startswith("figure: ")]
    text = "\n".join(lines) + "\n"
    print(text, end="", flush=True)
    if keep:
        (OUTPUT / f"paper_{step}.txt").write_text(text, encoding="utf-8")


def draw_models(data: Path) -> None:
    """Figures 2, S8 and S11 to S13."""
    for model, names in SHOWN.items():
        with tempfile.TemporaryDirectory() as folder:
            run("models", "figures", "--data", data / DFPT, "-m", model, "-o", folder, keep=False)
            for name in names:
                shutil.copy(Path(folder) / f"{model}-{name}.png", PICTURES)


def draw_screening(data: Path, screened: Path) -> None:
    """Figures 5a to 5c, S1 and S14, and what was known before."""
    if not any(screened.glob("*.parquet")):
        script = DOCS / "examples" / "paper_screen.py"
        subprocess.run([sys.executable, script, "--data", data, "-o", screened], check=True)
    run("screening", "screening", screened, "--data-dir", data, "-o", PICTURES)


def keep_control(trained: Path) -> None:
    """Figure S16, and the errors of the CNN's best epoch."""
    results = json.loads((trained / "results.json").read_text(encoding="utf-8"))
    rows = (trained / "history.jsonl").read_text(encoding="utf-8").splitlines()
    best = min(map(json.loads, rows), key=lambda row: row["valid_MSE"])
    text = f"epoch {best['epoch'] + 1:.0f} of {len(rows)}: {format_errors(results['errors'])}\n"
    print(text, end="")
    (OUTPUT / "paper_control.txt").write_text(text, encoding="utf-8")
    shutil.copy(trained / "figure-s16.png", PICTURES)


def main() -> None:
    """Run the steps."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data-dir", type=Path, default=os.environ.get("E3DOS_DATA"))
    parser.add_argument("--screened", type=Path, default=Path("paper_screen"))
    parser.add_argument("steps", nargs="*", metavar="STEP")
    parser.add_argument("--control", type=Path, help="folder of `e3dos paper control`")
    options = parser.parse_args()
    if options.control:
        keep_control(options.control)
        if not options.steps:
            return
    if options.data_dir is None:
        parser.error("where are the data? Give --data-dir, or set E3DOS_DATA")
    data: Path = options.data_dir
    PICTURES.mkdir(parents=True, exist_ok=True)
    steps = {
        "overview": lambda: run("overview", "overview", "-o", PICTURES),
        "data": lambda: run("data", "data", "--data", data / DFPT, "-o", PICTURES),
        "models": lambda: draw_models(data),
        "measured": lambda: run("measured", "measured", "--data", data / DFPT, "-o", PICTURES),
        "materials": lambda: run("materials", "materials", "--data-dir", data, "-o", PICTURES),
        "screening": lambda: draw_screening(data, options.screened),
    }
    for name in options.steps or steps:
        print(f"-- {name}", flush=True)
        steps[name]()
    for path in sorted(PICTURES.glob("*.png")):
        size = path.stat().st_size
        print(f"{path.name:28} {size / 1000:6.0f} kB{' TOO LARGE' if size > LARGEST else ''}")


if __name__ == "__main__":
    main()
