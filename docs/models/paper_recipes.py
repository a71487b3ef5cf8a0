"""The trials of the paper's recipe as the pages show them: record, tables and figure S4.

    python docs/models/paper_recipes.py [--runs runs/recipes] [--data-dir DATA] [--history NAME]

Needs the plug-in plugins/e3dos-paper. With --runs, the folder that `e3dos paper recipes` wrote, it
takes in the finished networks first: their errors into docs/models/paper-recipes.json, the history
of --history (preset/seed-1) and that of the best network into docs/models/paper-training. Then it
writes the tables into docs/benchmarks/paper.md and draws docs/figures/paper/figure-s4.png.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from pathlib import Path

from e3dos_paper.pictures import save_picture
from e3dos_paper.recipes import (
    CHANGES,
    Trial,
    best_network,
    finished_trials,
    judged,
    network_errors,
    read_trials,
    trial_table,
    write_trials,
)

from ase_e3dos.evaluation.figures import find_histories, learning_curves, read_history
from ase_e3dos.training.config import read_config

DOCS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(DOCS / "benchmarks"))

from data_tables import table, written  # noqa: E402

RECORD = DOCS / "models" / "paper-recipes.json"
HISTORIES = DOCS / "models" / "paper-training"
FIGURE = DOCS / "figures" / "paper" / "figure-s4.png"
PAGE = DOCS / "benchmarks" / "paper.md"
#: What of a row of a history is kept.
KEPT = ("epoch", "loss", "valid_MSE", "valid_R2", "valid_within10")


def rounded(row: dict[str, float], digits: int = 5) -> dict[str, float]:
    """The same numbers with fewer digits."""
    return {key: float(f"{value:.{digits}g}") for key, value in row.items()}


def take_in(runs: Path, data_dir: str | None, history: str) -> None:
    """Keep errors and two histories of finished networks beside what is known of others."""
    trials = finished_trials(runs)
    former = {trial.name: trial for trial in read_trials(RECORD)}
    labelled = None
    for trial in trials:
        for seed, row in trial.rows.items():
            folder = runs / trial.name / f"seed-{seed}"
            if "silent" not in row:  # of a run before this was counted
                labelled = labelled or judged(read_config("paper"), data_dir)
                row |= network_errors(folder / "weights.safetensors", labelled, "cpu")
            epochs = read_history(folder)
            best = min(epochs, key=lambda e: e["valid_criterion"])
            row |= {"epochs": len(epochs), "best_epoch": best["epoch"] + 1}
            trial.rows[seed] = rounded(row)
            print(f"{trial.name}, seed {seed}: {trial.rows[seed]}", flush=True)
    trials = merged(former, {trial.name: trial for trial in trials})
    write_trials(trials, RECORD)
    found = best_network(trials)
    assert found is not None
    names = dict.fromkeys([history, f"{found[0].name}/seed-{found[1]}"])
    for name in names:
        kept = HISTORIES / name / "history.jsonl"
        if (runs / name).is_dir():
            rows = [rounded({k: e[k] for k in KEPT}) for e in read_history(runs / name)]
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    for path in HISTORIES.glob("*/seed-*"):
        if str(path.relative_to(HISTORIES)) not in names:
            shutil.rmtree(path)


def merged(former: dict[str, Trial], found: dict[str, Trial]) -> list[Trial]:
    """Trials of both, in the order of `CHANGES`; a network of both is taken from the second."""
    trials = []
    for name in (name for name in CHANGES if name in former or name in found):
        mine = [each[name] for each in (former, found) if name in each]
        rows = {seed: row for trial in mine for seed, row in trial.rows.items()}
        trials.append(Trial(name, mine[-1].change, dict(sorted(rows.items()))))
    return trials


def networks(trials: list[Trial]) -> str:
    """A row for each network, the smallest error first."""
    heads = ["network", "R²", "MSE", "within 10 %", "silent points", "best epoch", "epochs"]
    every = [(row["MSE"], t.name, seed, row) for t in trials for seed, row in t.rows.items()]
    rows = [
        [f"{name}, seed {seed}", f"{row['R2']:.3f}", f"{mse:.4f}", f"{row['within10']:.1%}",
         f"{row['silent']:.0f}", f"{row['best_epoch']:.0f}", f"{row['epochs']:.0f}"]
        for mse, name, seed, row in sorted(every, key=lambda found: found[0])
    ]  # fmt: skip
    return table(heads, rows)


def main() -> None:
    """Take in what was run, write the tables and draw the figure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=Path, help="folder of `e3dos paper recipes`")
    parser.add_argument("--data-dir", default=os.environ.get("E3DOS_DATA"))
    parser.add_argument("--history", default="preset/seed-1", help="a network, for figure S4")
    options = parser.parse_args()
    if options.runs:
        take_in(options.runs, options.data_dir, options.history)
    trials = read_trials(RECORD)
    tables = {"recipes": trial_table(trials), "networks": networks(trials)}
    written(PAGE, tables, "docs/models/paper_recipes.py")
    save_picture(learning_curves(find_histories([HISTORIES]), measures=["MSE"]), FIGURE)
    print(f"figure: {FIGURE.relative_to(DOCS)}")


if __name__ == "__main__":
    main()
