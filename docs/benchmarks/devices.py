"""A GPU against the CPU: the same spectra, and how much faster; what was not measured is named.

    python docs/benchmarks/devices.py CRYSTALS.parquet

Without a GPU the same script compares the CPU with itself, crystals alone with crystals in one
batch, and says what it could not measure.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms

from ase_e3dos import PhononSpectrum, predict, predict_iter

#: Predictions that a rate on a GPU is measured with.
MANY = 20_000


def largest_difference(ours: list[PhononSpectrum], theirs: list[PhononSpectrum]) -> float:
    """Of the densities of states, over the highest density of the crystal."""
    pairs = zip(ours, theirs, strict=True)
    return max(float(np.abs(a.density - b.density).max() / b.density.max()) for a, b in pairs)


def rate(atoms: list[Atoms], model: str, device: str, n: int) -> float:
    """Structures a second by wall time, from ASE objects to spectra."""
    predict(atoms, model, device)
    many = (atoms[k % len(atoms)] for k in range(n))
    start = time.perf_counter()
    for _ in predict_iter(many, model, device):
        pass
    return n / (time.perf_counter() - start)


def compared(atoms: list[Atoms], n: int = MANY) -> dict[str, Any]:
    """Differences and rates of each model, on the first GPU or on the CPU alone."""
    has_gpu = torch.cuda.is_available()
    found: dict[str, Any] = {
        "device": torch.cuda.get_device_name() if has_gpu else "cpu",
        "not measured": None if has_gpu else NOT_MEASURED,
    }
    for model in ("paper", "default"):
        on_cpu = predict(atoms, model, "cpu")
        if has_gpu:
            difference = largest_difference(predict(atoms, model, "cuda"), on_cpu)
            found[model] = {
                "largest_difference_from_cpu": difference,
                "per_second": rate(atoms, model, "cuda", n),
            }
        else:
            alone = [predict(a, model, "cpu")[0] for a in atoms]
            found[model] = {
                "largest_difference_of_one_from_many": largest_difference(alone, on_cpu)
            }
    return found


NOT_MEASURED = (
    "no CUDA device here: differences of a GPU from the CPU, structures a second on a GPU, and how "
    "well reading and graphs overlap with its work"
)


def main() -> None:
    """Compare, and print the findings as JSON."""
    from inputs import read

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("crystals", type=Path)
    parser.add_argument("-n", type=int, default=96, help="crystals to compare (96)")
    parser.add_argument("--many", type=int, default=MANY, help="predictions to time on a GPU")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    print(json.dumps(compared(read(options.crystals, options.n), options.many), indent=1))


if __name__ == "__main__":
    main()
