"""Relax with a potential that sets PyTorch to float64, then predict: with and without it.

    tox run -e float64 --notest && .tox/float64/bin/python docs/reference/float64.py

It is MACE's own code with a small network that nobody trained, since its weights are downloaded:
the figures say that the programs live in one process, and nothing about salt.
"""

from __future__ import annotations

import importlib.metadata
import sys
from pathlib import Path

import numpy as np
import torch
from ase.build import bulk
from ase.optimize import BFGS

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "interfaces"))
from test_potentials import mace_calculator

from ase_e3dos import predict

salt = bulk("NaCl", "rocksalt", a=5.64)
before = predict(salt, device="cpu")[0]
relaxed = salt.copy()
relaxed.rattle(0.1, seed=1)
relaxed.calc = mace_calculator()
first = np.abs(relaxed.get_forces()).max()
steps = BFGS(relaxed, logfile=None)
steps.run(fmax=0.1 * first, steps=20)
last = np.abs(relaxed.get_forces()).max()
after = predict(salt, device="cpu")[0]
print(f"mace-torch {importlib.metadata.version('mace-torch')}, PyTorch {torch.__version__}")
print(f"default type after it: {torch.get_default_dtype()}; forces: {relaxed.get_forces().dtype}")
print(f"relaxed in {steps.nsteps} steps, from {first:.3g} to {last:.3g} eV/\u00c5")
print(f"difference of the predicted densities: {np.abs(after.density - before.density).max():g}")
mean = predict(relaxed, device="cpu")[0].mean_wavenumber
print(f"predicted after the relaxation: {mean:.1f} cm^-1")
