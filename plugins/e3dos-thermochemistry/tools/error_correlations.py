"""Which errors go together: the measurements behind `e3dos_thermochemistry.error_bars`.

Predicts the validation crystals of the Kyoto phonon database, whose formulas no training set
holds, and compares free energies and entropies with DFT's: the correlation of the errors of two
crystals, and how often the 90 % intervals of sums over several hold. Needs the training data
(E3DOS_DATA). Writes docs/benchmarks/error_correlations.txt; see make_pages.py.
"""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import typer
from ase import Atoms
from e3dos_thermochemistry.error_bars import INTERVAL_LEVEL, SAME_COMPOSITION, WIDENING, WIDTH
from pymatgen.core import Composition

from ase_e3dos import PhononSpectrum, predict
from ase_e3dos.errors import SpectrumError

ROOT = Path(__file__).resolve().parents[3]
DATA = Path(os.environ.get("E3DOS_DATA", ROOT.parent / "shared" / "data"))
QUANTITIES = (("free_energy", 300.0), ("free_energy", 1000.0), ("entropy", 300.0))
#: Sums that are drawn, and species in them.
DRAWS, SPECIES = 20000, (2, 3, 4)


def crystals() -> list[dict]:
    """Rows of the validation crystals, without those that are not stable."""
    columns = ["formula", "numbers", "cell", "positions_frac", "site_dos", "split"]
    columns += ["imaginary_fraction", "in_petretto_valid"]
    table = pq.read_table(DATA / "dft_phonondb.parquet", columns=columns)
    return [
        row
        for row in table.to_pylist()
        if (row["split"] == "valid" or row["in_petretto_valid"])
        and row["imaginary_fraction"] < 0.01
        and len(row["numbers"]) <= 40
    ]


def main() -> None:
    """Print and write what was found."""
    warnings.simplefilter("ignore")
    model = sys.argv[1] if len(sys.argv) > 1 else "default"
    rows, found = crystals(), []
    for row in rows:
        atoms = Atoms(
            row["numbers"],
            cell=np.reshape(row["cell"], (3, 3)),
            scaled_positions=np.reshape(row["positions_frac"], (-1, 3)),
            pbc=True,
        )
        (spectrum,) = predict(atoms, model=model)
        bins = np.reshape(row["site_dos"], (len(atoms), -1))
        grid = -395.0 + 10.0 * np.arange(bins.shape[1])
        known = PhononSpectrum(grid, site_density=bins, crystal=spectrum.crystal)
        found.append([_values(spectrum, known, q, t) for q, t in QUANTITIES])
    lines = [f"{len(rows)} crystals whose formulas no training set holds, model {model}"]
    formulas = np.array([Composition(r["formula"]).reduced_formula for r in rows])
    shares = _shares(formulas)
    for k, (quantity, t) in enumerate(QUANTITIES):
        error, half = (np.array([f[k][i] for f in found]) for i in (0, 1))
        members = [f[k][2] for f in found]
        lines += _lines(f"{quantity} at {t:g} K", error, half, members, formulas, shares)
    text = "\n".join(lines) + "\n"
    (ROOT / "docs" / "benchmarks" / "error_correlations.txt").write_text(text, encoding="utf-8")
    typer.echo(text)


def _values(
    spectrum: PhononSpectrum, known: PhononSpectrum, quantity: str, t: float
) -> tuple[float, float, np.ndarray | None]:
    """Error, half width of the interval, and deviations of the members, per atom."""
    n = spectrum.crystal.n_sites
    value = getattr(spectrum, quantity)(t)
    error = (value - getattr(known, quantity)(t)) / n
    try:
        low, high = spectrum.interval(quantity, INTERVAL_LEVEL, t)
    except SpectrumError:
        sys.exit("This model has no calibrated intervals: there is nothing to correlate.")
    members = None
    if spectrum.members is not None:
        of_members = [
            getattr(PhononSpectrum(spectrum.wavenumbers, m, crystal=spectrum.crystal), quantity)(t)
            for m in spectrum.members
        ]
        members = np.array(of_members) / n
    return error, (high - low) / 2 / n, members


def _shares(formulas: np.ndarray) -> np.ndarray:
    """Cosine between the compositions of all pairs."""
    compositions = [Composition(f).fractional_composition for f in formulas]
    elements = sorted({e for c in compositions for e in c})
    x = np.array([[c[e] for e in elements] for c in compositions])
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    return x @ x.T


def _lines(
    title: str,
    error: np.ndarray,
    half: np.ndarray,
    members: list[np.ndarray | None],
    formulas: np.ndarray,
    alike: np.ndarray,
) -> list[str]:
    z = np.clip(error / (half / WIDTH), -4, 4)
    product = np.outer(z, z) / np.mean(z**2)
    first, second = np.triu_indices(len(error), 1)
    product, alike = product[first, second], alike[first, second]
    same = formulas[first] == formulas[second]
    lines = [f"{title}: inside the 90 % interval {np.mean(np.abs(error) <= half):.0%}"]
    shown = [
        ("no element in common", alike < 1e-9),
        ("alike (cosine 0.6 to 0.9)", (alike >= 0.6) & (alike < 0.9)),
        ("very alike (above 0.9)", (alike >= 0.9) & ~same),
        ("one composition", same),
    ]
    for name, pairs in shown:
        lines.append(
            f"  correlation of errors, {name}: {product[pairs].mean():.2f} ({pairs.sum()} pairs)"
        )
    random = np.random.default_rng(0)
    has_members = all(m is not None for m in members)
    for n in SPECIES:
        drawn = random.integers(0, len(error), (DRAWS, n))
        amounts = random.choice([-2, -1, 1, 2], (DRAWS, n))
        total = np.abs((amounts * error[drawn]).sum(axis=1))
        width = np.sqrt(((amounts * half[drawn]) ** 2).sum(axis=1))
        inside, median = np.mean(total <= width), np.median(width)
        text = f"  sums of {n}: inside {inside:.0%}, half width {median:.2f}"
        if has_members:
            values = np.array(members)
            spread = np.std((amounts[:, :, None] * values[drawn]).sum(axis=1), axis=1, ddof=1)
            width = WIDENING * WIDTH * spread
            text += (
                f"; by the members' differences {np.mean(total <= width):.0%}, "
                f"{np.median(width):.2f}"
            )
        lines.append(text)
    one, other = first[same], second[same]
    variance = half[one] ** 2 + half[other] ** 2 - 2 * SAME_COMPOSITION * half[one] * half[other]
    inside = np.abs(error[one] - error[other]) <= np.sqrt(variance)
    lines.append(f"  differences within a composition: inside {inside.mean():.0%}")
    return lines


if __name__ == "__main__":
    main()
