"""Errors of trial networks and ensembles against the targets that trade with each other.

    python docs/models/trials.py --data-dir DATA NAME=WEIGHTS.safetensors ...

evaluates weights files as `e3dos evaluate` does and adds them to docs/models/trials.csv; several
files joined by commas are an ensemble. Without files it draws what is there:
docs/figures/trials.png.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt

from ase_e3dos.evaluation.predictions import evaluate
from ase_e3dos.evaluation.sections import with_sections
from ase_e3dos.network.weights import read_header
from ase_e3dos.training.ensemble import join_members

DOCS = Path(__file__).resolve().parents[1]
TABLE = DOCS / "models" / "trials.csv"
FIGURE = DOCS / "figures" / "trials.png"
DFPT, JARVIS, SITES = "dfpt_petretto.parquet", "dft_jarvis.parquet", "mlip_site_phonons.parquet"

# column -> (label, target); all are asked for on formulas or splits that no network saw
AXES = {
    "strain_correlation": ("correlation of the change with strain", 0.85),
    "jarvis_R2": ("R², JARVIS validation", 0.62),
    "dfpt_R2": ("R², DFPT validation", 0.82),
}


def errors(weights: Path, data_dir: Path) -> dict[str, str]:
    """The columns of the table for one weights file."""
    dfpt = evaluate(weights, data_dir / DFPT, "valid").errors
    jarvis = evaluate(weights, data_dir / JARVIS, "valid", source="jarvis").errors
    strain = with_sections(evaluate(weights, data_dir / SITES, source="mlip")).sections["strain"]
    values = {f"dfpt_{key}": dfpt[key] for key in ("R2", "MAE", "WD", "Cv_atom", "wbar")}
    values |= {f"jarvis_{key}": jarvis[key] for key in ("R2", "MAE", "WD")}
    values |= {f"strain_{key}": strain[key] for key in ("correlation", "slope", "sign")}
    return {key: f"{value:.4g}" for key, value in values.items()}


def rows() -> dict[str, dict[str, str]]:
    """The table by the names of its trials."""
    if not TABLE.is_file():
        return {}
    with TABLE.open(encoding="utf-8", newline="") as file:
        return {row["trial"]: row for row in csv.DictReader(file)}


def add(trials: list[str], data_dir: Path) -> None:
    """Evaluate trials and write the table."""
    table = rows()
    for trial in trials:
        name, _, files = trial.partition("=")
        paths = [Path(file) for file in files.split(",")]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "joined.safetensors"
            path = join_members(paths, path) if len(paths) > 1 else paths[0]
            networks = str(read_header(path).members)
            table[name] = {"trial": name, "networks": networks, **errors(path, data_dir)}
        print(", ".join(f"{key} {value}" for key, value in table[name].items()))
    with TABLE.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(next(iter(table.values()))), lineterminator="\n")
        writer.writeheader()
        writer.writerows(table.values())


def draw() -> None:
    """The two targets that are missed, against the one that holds."""
    table = rows()
    figure, panels = plt.subplots(
        1, 3, figsize=(10, 4.2), layout="constrained", width_ratios=(1, 1, 0.45)
    )
    y, wanted = AXES["dfpt_R2"]
    for panel, column in zip(panels[:2], ("strain_correlation", "jarvis_R2"), strict=True):
        label, target = AXES[column]
        for number, (name, row) in enumerate(table.items()):
            where = float(row[column]), float(row["dfpt_R2"])
            many, ships = int(row["networks"]) > 1, name == "default"
            panel.plot(*where, "s" if many else "o", color="C3" if ships else "C0", ms=5)
            panel.annotate(str(number), where, (4, 3), textcoords="offset points", fontsize=8)
        panel.axvline(target, color="0.6", lw=0.8, ls="--")
        panel.axhline(wanted, color="0.6", lw=0.8, ls="--")
        panel.set_xlabel(label)
        panel.set_ylabel(y)
    legend = "\n".join(f"{number}  {name}" for number, name in enumerate(table))
    panels[2].text(0, 1, legend, va="top", fontsize=8, linespacing=1.5)
    panels[2].set_axis_off()
    figure.savefig(FIGURE, dpi=200)
    print(f"figure: {FIGURE}")


def main() -> None:
    """Add trials, if any are given, and draw all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("trials", nargs="*", metavar="NAME=WEIGHTS[,WEIGHTS...]")
    options = parser.parse_args()
    if options.trials:
        if options.data_dir is None:
            parser.error("--data-dir is needed to evaluate")
        add(options.trials, options.data_dir)
    draw()


if __name__ == "__main__":
    main()
