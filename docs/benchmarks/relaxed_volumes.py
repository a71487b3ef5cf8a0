"""What the cell does to the entropy: relaxed_volumes.py DATA [CALCULATOR] [-n 30]

For crystals that the Materials Project (PBE cells) and the phonon database (PBEsol cells, and
entropies) both hold, with the same formula and number of sites: volumes, and the entropy at 300 K
that is predicted for the PBE cell as it is, scaled to the mean PBEsol volume, relaxed with a
calculator (a few crystals), and in the PBEsol cell; beside that of the database's spectrum.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from ase_e3dos import Crystal, PhononSpectrum, predict_iter
from ase_e3dos.data.labels import DEFAULT_GRID


def crystal(row: dict) -> Crystal:
    """Of a row of either file."""
    n = len(row["numbers"])
    cell, positions = np.reshape(row["cell"], (3, 3)), np.reshape(row["positions_frac"], (n, 3))
    return Crystal(cell, positions, np.arange(n), row["numbers"], name=row["id"])


def entropies(structures: list[Crystal], **options: object) -> np.ndarray:
    """J/(K mol of atoms) at 300 K; NaN where a crystal cannot be relaxed."""
    found = predict_iter(structures, uncertainty=False, errors="yield", **options)
    return np.array(
        [s.per_atom().entropy(300.0) if isinstance(s, PhononSpectrum) else np.nan for s in found]
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("calculator", nargs="?")
    parser.add_argument("-n", type=int, default=30, help="crystals to relax")
    parser.add_argument("--most", type=int, default=400, help="crystals in all")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    columns = ["id", "numbers", "cell", "positions_frac"]
    more = [*columns, "site_dos", "imaginary_fraction", "split"]
    sol = pq.read_table(options.data / "dft_phonondb.parquet", columns=more).to_pylist()
    pbe = pq.read_table(options.data / "structures_mp.parquet", columns=columns)
    ids = {row["id"] for row in sol}
    pbe = {r["id"]: r for r in pbe.filter([i in ids for i in pbe["id"].to_pylist()]).to_pylist()}
    rows = [
        r for r in sol
        if r["id"] in pbe and sorted(r["numbers"]) == sorted(pbe[r["id"]]["numbers"])
        and r["imaginary_fraction"] < 0.002 and len(r["numbers"]) <= 12
    ]  # fmt: skip
    rows = [rows[k] for k in np.random.default_rng(0).permutation(len(rows))[: options.most]]
    rows.sort(key=lambda r: len(r["numbers"]) > 4)  # small ones first: they are relaxed
    given = [crystal(pbe[r["id"]]) for r in rows]
    wanted = [crystal(r) for r in rows]
    ratio = np.array([a.volume / b.volume for a, b in zip(given, wanted, strict=True)])
    known = np.array(
        [
            PhononSpectrum(
                DEFAULT_GRID[: len(r["site_dos"]) // c.n_sites],
                site_density=np.reshape(r["site_dos"], (c.n_sites, -1)),
                crystal=c,
            )
            .per_atom()
            .entropy(300.0)
            for r, c in zip(rows, wanted, strict=True)
        ]
    )
    scale = float(np.median(ratio)) ** (-1 / 3)
    shrunk = [
        Crystal(c.cell * scale, c.scaled_positions, np.arange(c.n_sites), c.numbers, name=c.name)
        for c in given
    ]
    low, high = np.quantile(ratio - 1, [0.1, 0.9])
    print(
        f"{len(rows)} crystals; PBE over PBEsol volume: median {np.median(ratio) - 1:+.1%}, "
        f"80 % between {low:+.1%} and {high:+.1%}"
    )
    at_sol = entropies(wanted)
    table = {
        "PBE cell as it is": entropies(given),
        f"PBE cell, lengths times {scale:.4f}": entropies(shrunk),
        "PBEsol cell": at_sol,
    }
    if options.calculator:
        few = given[: options.n]
        found = list(
            predict_iter(
                few, uncertainty=False, errors="yield", relax=options.calculator, fmax=0.02
            )
        )
        relaxed = np.full(len(rows), np.nan)
        volumes = []
        for k, s in enumerate(found):
            if isinstance(s, PhononSpectrum):
                relaxed[k] = s.per_atom().entropy(300.0)
                volumes.append(s.crystal.volume / wanted[k].volume - 1)
        print(
            f"{len(volumes)} of {len(few)} relaxed with {options.calculator}: volume over PBEsol "
            f"median {np.median(volumes):+.1%}"
        )
        part = np.isfinite(relaxed)
        table |= {f"{name} (those relaxed)": np.where(part, v, np.nan) for name, v in table.items()}
        table["relaxed with the calculator"] = relaxed
    print(
        "entropy at 300 K, J/(K mol of atoms): minus that in the PBEsol cell; minus the database's"
    )
    heads = 2 * f"{'mean':>7s} {'abs.':>6s}   "
    print(f"{'':44s} {heads}of {known.mean():.1f}")
    for name, values in table.items():
        a, b = values - at_sol, values - known
        print(
            f"{name:44s} {np.nanmean(a):+7.2f} {np.nanmean(np.abs(a)):6.2f}   "
            f"{np.nanmean(b):+7.2f} {np.nanmean(np.abs(b)):6.2f}"
        )


if __name__ == "__main__":
    main()
