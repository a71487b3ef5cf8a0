"""Screen, refine, fine-tune, screen again: what changed on crystals kept apart.

Metals and ordered alloys of the seven elements that ASE's effective-medium theory knows stand for
the million crystals of a real screen, and EMT for the potential: both are quick. Every step is a
command that a user would type. Takes some minutes on one core.

    python docs/examples/two_fidelities.py [FOLDER] [--epochs 20] [--refine 30]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from itertools import combinations
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.io import write

from ase_e3dos.errors import PotentialError
from ase_e3dos.potentials.relaxation import relaxed

LATTICE = {"Al": 4.0, "Ni": 3.49, "Cu": 3.59, "Pd": 3.88, "Ag": 4.06, "Pt": 3.92, "Au": 4.06}
FACES = [[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]
#: Alloys of these are kept apart: neither refined nor learnt from.
APART = ("Cu-Pt", "Ag-Pd", "Al-Ni", "Au-Cu")


def crystals() -> dict[str, Atoms]:
    """fcc metals, L1_0 and L1_2 alloys, each at the minimum of EMT."""
    found = {symbol: bulk(symbol, a=a) for symbol, a in LATTICE.items()}
    for one, two in combinations(sorted(LATTICE), 2):
        for symbols in ([one, two, two, two], [one, one, two, two], [one, one, one, two]):
            a = np.mean([LATTICE[s] for s in symbols])
            name = f"{one}-{two}-{symbols.count(two)}"
            found[name] = Atoms(symbols, scaled_positions=FACES, cell=[a] * 3, pbc=True)
    minima = {}
    for name, atoms in found.items():
        try:
            minima[name] = relaxed(atoms, EMT(), "cell", 0.01)[0]
        except PotentialError:
            print(f"{name} is left out: it does not relax")
    return minima


def e3dos(*arguments: object) -> None:
    """Run a command, and show it."""
    print("$ e3dos", *arguments, flush=True)
    code = "from ase_e3dos.cli import main; main()"
    subprocess.run([sys.executable, "-W", "ignore", "-c", code, *map(str, arguments)], check=True)


def compared(screen: Path) -> dict[str, float]:
    """Errors of a screen's rows against their refined values."""
    (file,) = (screen / "_refined").glob("*.parquet")
    rows = [r for r in pq.read_table(file).to_pylist() if r["error_refined"] is None]
    real = [r for r in rows if r["imaginary_fraction_refined"] < 0.002]
    heat = [r["heat_capacity_per_atom_refined"] - r["heat_capacity_per_atom"] for r in real]
    entropy = [(r["entropy_per_cell_refined"] - r["entropy_per_cell"]) / r["n_sites"] for r in real]
    # Weights that were fine-tuned carry no calibration of their own.
    ratios = [r["difference_in_errors"] for r in real if r["difference_in_errors"] is not None]
    return {
        "crystals": len(real),
        "Wasserstein (cm^-1)": float(np.mean([r["wasserstein"] for r in real])),
        "C_V (J/(K mol of atoms))": float(np.mean(np.abs(heat))),
        "S (J/(K mol of atoms))": float(np.mean(np.abs(entropy))),
        "in the 90 % interval": float(np.mean(np.abs(ratios) < 1)) if ratios else np.nan,
    }


def main() -> None:
    """The circle."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--refine", type=int, default=30)
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp())
    print(f"everything is in {folder}")
    for part in ("many", "apart"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for name, atoms in crystals().items():
        part = "apart" if name.startswith(APART) else "many"
        write(folder / part / f"{name}.vasp", atoms, format="vasp")
    quick = ("--relax", "none", "--supercell", "6", "--mesh", "25", "-c", "emt")
    e3dos("screen", folder / "many", "-o", folder / "screen")
    e3dos("screen", folder / "apart", "-o", folder / "before")
    e3dos("refine", folder / "screen", "--top", options.refine, "--by", "uncertainty", *quick)
    e3dos("refine", folder / "before", "--top", 1000, *quick)
    labels, run = folder / "labels.parquet", folder / "run"
    e3dos("data", "from-screen", folder / "screen", "-o", labels, "--licence", "CC0-1.0")
    e3dos("train", "fine-tune", "--data", labels, "-o", run, "--epochs", options.epochs)
    e3dos(
        "screen", folder / "apart", "-o", folder / "after", "--model", run / "weights.safetensors"
    )
    e3dos("refine", folder / "after", "--top", 1000, *quick)
    before, after = compared(folder / "before"), compared(folder / "after")
    print(f"\n{'alloys kept apart, against EMT':34s} {'default':>9s} {'fine-tuned':>11s}")
    for name, value in before.items():
        print(f"{name:34s} {value:9.3g} {after[name]:11.3g}")


if __name__ == "__main__":
    main()
