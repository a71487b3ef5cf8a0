"""Make every number, table and figure anew that depends on the weights of a model.

    python docs/renew.py --data-dir DATA [--first FILE] [--list] [STEP ...]

Run after their weights were replaced (CONTRIBUTING.md), from an environment with the package, its
extras, and `plugins/e3dos-paper` and `plugins/e3dos-thermochemistry` (with the extra `pages`); all
steps take an hour of one core. With --first, the network that `calibrate_default.py` asks for,
error bars of `default`, `force-constants` and `combined` are fitted anew before all else. A step
that fails is named at the end, and the others run all the same. Then read the differences, the
sentences beside the numbers above all. For new weights of `paper` the steps golden, accuracy, data,
cards, theory, examples and paper are enough.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
#: Examples whose output the pages show; `run_all.py` keeps it.
EXAMPLES = (
    "first_spectrum", "calculator", "phonopy_workflow", "qha", "biaxial_strain", "copper_gold",
    "descriptors", "displacements", "experiments", "imaginary_modes", "isotopes", "mg3sb2_bi2",
    "phases", "bands",
)  # fmt: skip


def steps(data: Path, screened: Path, first: Path | None) -> dict[str, list[list[str]]]:
    """Name of each step -> its commands, as arguments of Python."""
    dfpt = str(data / "dfpt_petretto.parquet")
    return error_bars(data, first) | {
        "golden": [["tests/golden/spectra_of_models.py"]],
        "matrices": [["docs/models/force_constants.py", str(data)]],
        "intervals": [
            ["docs/models/calibrate_force_constants.py", "--data-dir", str(data), "--weights",
             "ase_e3dos/models/force-constants.safetensors", "--check"]
        ],
        "default-intervals": [
            ["docs/models/calibrate_default.py", "--data-dir", str(data), "--weights",
             "ase_e3dos/models/default.safetensors", "--check"]
        ],
        "named": [["docs/models/named_crystals.py", "--data-dir", str(data)]],
        "stability": [["docs/models/stability_trials.py", "--data-dir", str(data)]],
        "accuracy": [["docs/benchmarks/accuracy_table.py", dfpt, "paper", "default", "combined"]],
        "data": [["docs/benchmarks/data_tables.py", "--data", dfpt]],
        "cards": [
            ["docs/models/make_cards.py", "--data-dir", str(data), "default", "combined",
             "force-constants", "paper", "imaginary"],
            ["docs/models/targets.py"],
            ["docs/models/curves.py"],
        ],
        "theory": [["docs/theory/low_temperatures.py", dfpt, "default", "paper"]],
        # The card of `alloy` has lines of the example mg3sb2_bi2, and so comes after it.
        "examples": [
            *(["docs/examples/run_all.py", name] for name in EXAMPLES),
            ["docs/models/make_cards.py", "--data-dir", str(data), "alloy"],
        ],
        "gallery": [
            ["-c", "from ase_e3dos.cli import main; main()", "predict", "docs/crystals/SrTiO3.cif",
             "--plot", "docs/figures/SrTiO3.png"],
            ["docs/examples/gallery.py"],
        ],
        "screen": [
            ["docs/examples/paper_screen.py", "--data", str(data), "--fresh", "-o", str(screened)]
        ],
        "paper": [
            ["docs/benchmarks/paper_figures.py", "--data-dir", str(data), "--screened",
             str(screened)]
        ],
        "thermochemistry": [["plugins/e3dos-thermochemistry/tools/make_pages.py"]],
        "far": [["docs/benchmarks/far_from_data.py"]],
        "by-hand": [["docs/benchmarks/reference_by_hand.py", "emt"]],
        "volumes": [["docs/benchmarks/relaxed_volumes.py", str(data), "--most", "150"]],
    }  # fmt: skip


def error_bars(data: Path, first: Path | None) -> dict[str, list[list[str]]]:
    """The step that fits error bars, in the order in which one needs the other's."""
    if first is None:
        return {}
    default, constants, combined = (
        ["--data-dir", str(data), "--weights", f"ase_e3dos/models/{name}.safetensors"]
        for name in ("default", "force-constants", "combined")
    )
    return {
        "error-bars": [
            ["docs/models/calibrate_default.py", *default, "--first", str(first)],
            ["docs/models/calibrate_force_constants.py", *constants],
            ["docs/models/combine.py"],
            ["docs/models/calibrate_force_constants.py", *combined],
        ]
    }


#: Steps that print what a page shows: the file it goes to.
PRINTED = {
    "matrices": "docs/models/force_constants.txt",
    "intervals": "docs/models/calibrate_force_constants.txt",
    "default-intervals": "docs/models/calibrate_default.txt",
    "named": "docs/models/named_crystals.txt",
    "stability": "docs/models/stability_trials.txt",
    "screen": "docs/examples/output/paper_screen.txt",
    "far": "docs/examples/output/far_from_data.txt",
    "by-hand": "docs/benchmarks/reference_by_hand.txt",
    "volumes": "docs/benchmarks/relaxed_volumes.txt",
}


def main() -> None:
    """Run the steps asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--screened", type=Path, default=Path("paper_screen"))
    parser.add_argument("--first", type=Path, help="network that error bars of default are of")
    parser.add_argument("--list", action="store_true", help="say what would run, and stop")
    parser.add_argument("steps", nargs="*")
    options = parser.parse_args()
    data, screened = options.data_dir.resolve(), options.screened.resolve()
    every = steps(data, screened, options.first and options.first.resolve())
    if "error-bars" in options.steps and options.first is None:
        parser.error("error-bars needs --first: the network that calibrate_default.py asks for")
    if options.first and options.steps and "error-bars" not in options.steps:
        parser.error("--first is for the step error-bars, which is not among those named")
    if unknown := set(options.steps) - set(every):
        parser.error(f"no step {', '.join(sorted(unknown))}; there are {', '.join(every)}")
    failed = []
    environment = {**os.environ, "E3DOS_DATA": str(data), "MPLBACKEND": "Agg"}
    for name in options.steps or every:
        for command in every[name]:
            print("python", *command, flush=True)
            if options.list:
                continue
            start = time.perf_counter()
            done = subprocess.run(
                [sys.executable, "-W", "ignore", *command],
                cwd=ROOT,
                env=environment,
                capture_output=True,
                text=True,
            )
            print(f"  {time.perf_counter() - start:.0f} s, exit code {done.returncode}", flush=True)
            if done.returncode:
                failed.append(" ".join(command))
                print(done.stderr[-2000:], flush=True)
                if name == "error-bars":
                    sys.exit("failed: error bars, which all other steps rest on")
                break  # later commands of a step need what earlier ones leave
            if name in PRINTED:
                (ROOT / PRINTED[name]).write_text(done.stdout, encoding="utf-8")
    if failed:
        sys.exit("failed: " + "; ".join(failed))


if __name__ == "__main__":
    main()
