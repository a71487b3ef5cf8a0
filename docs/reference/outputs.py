"""Predictions of the example crystals, to compare environments with other versions of packages.

Run in one environment: python docs/reference/outputs.py ONE.npz
and in another:         python docs/reference/outputs.py OTHER.npz ONE.npz

The second prints the largest share of modes in other bins, over crystals and models.
"""

from __future__ import annotations

import sys
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np

from ase_e3dos import predict

CRYSTALS = Path(__file__).resolve().parents[1] / "crystals"
PACKAGES = ("torch", "e3nn", "numpy", "scipy", "ase", "phonopy", "pymatgen", "spglib")


def main(path: str, other: str | None) -> None:
    """Write the densities, and compare them with another file's."""
    warnings.simplefilter("ignore")
    files = sorted(p for p in CRYSTALS.iterdir() if p.suffix in (".cif", ".vasp"))
    densities = {
        f"{model} {file.name}": spectrum.density / spectrum.density.sum()
        for model in ("default", "paper")
        for file, spectrum in zip(files, predict(files, model=model), strict=True)
    }
    np.savez(path, **densities)
    print(", ".join(f"{name} {version(name)}" for name in PACKAGES))
    if other is not None:
        reference = np.load(other)
        found = {k: float(np.abs(v - reference[k]).sum() / 2) for k, v in densities.items()}
        worst = max(found, key=lambda k: found[k])
        print(f"largest difference of {len(found)} spectra: {found[worst]:.1e} ({worst})")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None)
