"""Train the shipped model `paper`: two networks of the preset, with seeds 1 and 3, joined.

python docs/models/train_paper.py --data-dir DATA --output runs/paper
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from ase_e3dos.training.config import read_config
from ase_e3dos.training.ensemble import join_members
from ase_e3dos.training.run import train

SEEDS = (1, 3)


def main() -> None:
    """Train both (or go on with them) and join."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--output", type=Path, default=Path("runs/paper"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    files = []
    for seed in SEEDS:
        folder = options.output / f"seed-{seed}"
        config = read_config("paper", {"seed": seed})
        trained = train(config, options.data_dir, folder, report=print)
        files.append(trained.save(folder / "weights.safetensors"))
    print(join_members(files, options.output / "paper.safetensors"))


if __name__ == "__main__":
    main()
