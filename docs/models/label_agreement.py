"""How far near-duplicates within the JARVIS labels agree with each other.

    python docs/models/label_agreement.py DATA/dft_jarvis.parquet

Pairs of one formula with equal numbers of sites, whose volumes and cell lengths differ by less than
one per cent, measured as predictions are: one of the pair stands for the prediction.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from itertools import combinations

import numpy as np

from ase_e3dos.data.labelled_set import read_labelled
from ase_e3dos.data.labels import JARVIS_GRID
from ase_e3dos.evaluation.metrics import format_errors, spectrum_errors

TOLERANCE = 0.01

data = read_labelled(sys.argv[1])
groups: dict[tuple[str, int], list[int]] = defaultdict(list)
for k, crystal in enumerate(data.crystals):
    groups[data.formulas[k], crystal.n_sites].append(k)
size = [(c.volume, *np.sort(np.linalg.norm(c.cell, axis=1))) for c in data.crystals]
pairs = [
    (i, j)
    for group in groups.values()
    for i, j in combinations(group, 2)
    if np.allclose(size[i], size[j], rtol=TOLERANCE)
]
first, second = (np.array([p[k] for p in pairs]) for k in (0, 1))
errors = spectrum_errors(data.label[second], data.label[first], data.n_sites[first], JARVIS_GRID)
shares = [values / values.sum(axis=1, keepdims=True) for values in data.label[[first, second]]]
distance = np.abs(np.cumsum(shares[0] - shares[1], axis=1)).sum(axis=1) * 20
print(f"{len(pairs)} pairs; median Wasserstein distance {np.median(distance):.2f} cm^-1")
print(format_errors(errors))
