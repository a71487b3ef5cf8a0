"""Train the model `paper`: the best single network of the trials, and write the file that ships.

    python docs/models/train_paper.py --data-dir DATA [--runs runs/recipes] [--network NAME/seed-N]

Needs the plug-in plugins/e3dos-paper. The best is that of docs/models/paper-recipes.json, unless
another is named. A network that is finished in --runs (of `e3dos paper recipes`) is taken as it is.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import torch
from e3dos_paper.recipes import best_network, read_trials, recipe_trials

from ase_e3dos.training.config import read_config
from ase_e3dos.training.ensemble import join_members

ROOT = Path(__file__).resolve().parents[2]
RECORD = Path(__file__).with_name("paper-recipes.json")


def main() -> None:
    """Train the network, or take it, and write it as a model."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data-dir", default=os.environ.get("E3DOS_DATA"))
    parser.add_argument("--runs", type=Path, default=Path("runs/recipes"))
    parser.add_argument("--network", help="NAME/seed-N; the best of the record without it")
    parser.add_argument(
        "--output", type=Path, default=ROOT / "ase_e3dos" / "models" / "paper.safetensors"
    )
    options = parser.parse_args()
    if options.network:
        name, _, number = options.network.partition("/seed-")
        if not number.isdigit():
            parser.error(f"--network {options.network}: write it as neighbors/seed-1")
        seed = int(number)
    else:
        best = best_network(read_trials(RECORD))
        assert best is not None
        name, seed = best[0].name, best[1]
    torch.set_num_threads(1)
    recipe_trials(
        read_config("paper"), [name], [seed], options.data_dir, options.runs, "cpu", print
    )
    weights = options.runs / name / f"seed-{seed}" / "weights.safetensors"
    # the description is what the card and its table of trials go by
    what = f"the paper's network, trial {name}, seed {seed}"
    print(join_members([weights], options.output, description=what))


if __name__ == "__main__":
    main()
