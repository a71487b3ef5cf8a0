"""Volumes of the crystals that the labels speak for, from composition alone: volumes.py DATA

Ridge regression of the logarithm of the volume per atom (PBEsol, of the phonon database) on the
fractions of the elements and their products with those of the anions. Writes
ase_e3dos/models/volumes.json, by which a prediction warns of unlikely cells, and prints what it is
worth on formulas that took no part.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from ase_e3dos.prediction.volumes import ANIONS, LEAST_ANIONS, LIMIT, N_ELEMENTS, features

RIDGE = 0.03
OUTPUT = Path(__file__).parents[2] / "ase_e3dos" / "models" / "volumes.json"


def read(path: Path) -> tuple[np.ndarray, np.ndarray, list[dict]]:
    """Compositions (n, N_ELEMENTS), logarithms of Å^3 an atom, and rows."""
    names = ["numbers", "cell"]
    schema = pq.read_schema(path).names
    names += [c for c in ("split", "in_petretto_valid", "formula") if c in schema]
    rows = pq.read_table(path, columns=names).to_pylist()
    rows = [r for r in rows if max(r["numbers"]) < N_ELEMENTS]
    shares = np.array(
        [np.bincount(r["numbers"], minlength=N_ELEMENTS) / len(r["numbers"]) for r in rows]
    )
    cells = np.array([np.reshape(r["cell"], (3, 3)) for r in rows])
    volumes = np.abs(np.linalg.det(cells)) / [len(r["numbers"]) for r in rows]
    return shares, np.log(volumes), rows


def main() -> None:
    """Fit, write and judge."""
    folder = Path(sys.argv[1])
    shares, target, rows = read(folder / "dft_phonondb.parquet")
    apart = np.array([r["split"] == "valid" or bool(r["in_petretto_valid"]) for r in rows])
    a = features(shares[~apart])
    moment = a.T @ a + RIDGE * np.eye(a.shape[1])
    weights = np.linalg.solve(moment, a.T @ target[~apart]).reshape(1 + len(ANIONS), N_ELEMENTS)
    counts = (shares[~apart] > 0).sum(axis=0)
    about = {
        "what": "ln(volume per atom / Å^3), PBEsol; weights of fractions, then of products",
        "data": "dft_phonondb.parquet but for its validation sets, CC BY 4.0",
        "elements": [int(z) for z in np.flatnonzero(counts >= 20)],
        "weights": np.round(weights, 4).tolist(),
    }
    OUTPUT.write_text(json.dumps(about) + "\n", encoding="utf-8")
    wrong = target - features(shares) @ weights.ravel()
    for name, part in (("fitted", ~apart), ("kept apart", apart)):
        beyond = np.abs(wrong[part]) > LIMIT
        print(f"{name}: {part.sum()} crystals, std {wrong[part].std():.3f}, "
              f"{beyond.mean():.2%} beyond {LIMIT}")  # fmt: skip
    shares, target, _ = read(folder / "structures_mp.parquet")
    wrong = target - features(shares) @ weights.ravel()
    known = (shares[:, counts < 20] == 0).all(axis=1)
    known &= shares[:, ANIONS].sum(axis=1) >= LEAST_ANIONS
    print(f"structures_mp: {known.sum()} known, median {np.median(wrong[known]):+.3f}, "
          f"{(np.abs(wrong[known]) > LIMIT).mean():.2%} beyond {LIMIT}")  # fmt: skip


if __name__ == "__main__":
    main()
