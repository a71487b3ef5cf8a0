"""Entropies and heat capacities at 298.15 K: predicted, by DFT where the data have it, measured.

Needs the training data (E3DOS_DATA), and chemicals, cantera and burnman for the tables. Writes
docs/benchmarks/measured_entropies_table.txt and _summary.md; see make_pages.py.

The compounds are those of measured.csv: `id` is that of the data sets (a file of ../crystals, or
"ase" for a metal at ASE's measured lattice constant), `table` and `key` say where the measured
values are looked up:

crc   CRC Handbook of Chemistry and Physics, "Standard Thermodynamic Properties of Chemical
      Substances", in the package chemicals; the key is the CAS number
nasa  NASA's polynomials of condensed phases (McBride et al. 1993, after JANAF), in Cantera
hp    T. J. B. Holland and R. Powell, J. Metamorph. Geol. 29, 333 (2011), data set 6.2, in burnman;
      the key is the end member (/2: of half of it)

`modulus` is the bulk modulus for C_P: a number in GPa (C. Kittel, Introduction to Solid State
Physics), or an end member of hp.
"""

from __future__ import annotations

import csv
import os
import sys
import warnings
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import typer
from ase import Atoms
from ase.build import bulk
from e3dos_thermochemistry import Solid, thermal_expansion

from ase_e3dos import PhononSpectrum, predict
from ase_e3dos.errors import OutOfDistributionWarning

ROOT = Path(__file__).resolve().parents[3]
HERE = Path(__file__).resolve().parent
DATA = Path(os.environ.get("E3DOS_DATA", ROOT.parent / "shared" / "data"))
ROOM = 298.15
SOURCES = {"crc": "CRC", "nasa": "NASA", "hp": "HP"}


@dataclass
class Compound:
    """A row of measured.csv with what was found for it."""

    row: dict[str, str]
    atoms: Any
    split: str
    dft: PhononSpectrum | None
    entropy: float
    capacity: float
    modulus: float | None
    expansion: float | None  # measured, 1/K


def end_member(key: str) -> tuple[Any, float]:
    """Mineral of burnman's at 298.15 K, and the share of it that the key means."""
    from burnman.minerals import HP_2011_ds62

    name, _, parts = key.partition("/")
    mineral = getattr(HP_2011_ds62, name)()
    mineral.set_state(1e5, ROOM)
    return mineral, 1 / float(parts or 1)


def measured(table: str, key: str) -> tuple[float, float]:
    """Entropy and heat capacity in J/(K mol)."""
    if table == "crc":
        from chemicals.heat_capacity import CRC_standard_data

        row = CRC_standard_data.loc[key]
        return float(row.S0s), float(row.Cps)
    if table == "nasa":
        import cantera

        (species,) = (
            s for s in cantera.Species.list_from_file("nasa_condensed.yaml") if s.name == key
        )
        return species.thermo.s(ROOM) / 1e3, species.thermo.cp(ROOM) / 1e3
    mineral, share = end_member(key)
    return float(mineral.S) * share, float(mineral.molar_heat_capacity_p) * share


def crystals() -> dict[str, tuple[Atoms, str, PhononSpectrum]]:
    """Structures of both data sets with their splits and spectra, by id."""
    with (HERE / "measured.csv").open(encoding="utf-8") as file:
        wanted = {row["id"] for row in csv.DictReader(file)}
    found = {}
    for name in ("dfpt_petretto", "dft_phonondb"):
        path = DATA / f"{name}.parquet"
        for row in pq.read_table(path, filters=[("id", "in", sorted(wanted))]).to_pylist():
            atoms = Atoms(
                row["numbers"],
                cell=np.reshape(row["cell"], (3, 3)),
                scaled_positions=np.reshape(row["positions_frac"], (-1, 3)),
                pbc=True,
            )
            if name == "dft_phonondb":
                bins = np.reshape(row["site_dos"], (len(atoms), -1))
                grid = -395.0 + 10.0 * np.arange(bins.shape[1])
                spectrum = PhononSpectrum(grid, site_density=bins, crystal=_crystal(atoms))
            else:
                dos = np.array(row["dos_per_cm1"])
                grid = row["dos_start_cm1"] + row["dos_step_cm1"] * np.arange(len(dos))
                spectrum = PhononSpectrum(grid, np.maximum(dos, 0), crystal=_crystal(atoms))
            found[row["id"]] = atoms, row["split"], spectrum
    return found


def _crystal(atoms: Atoms) -> Any:
    from ase_e3dos import Crystal

    return Crystal.from_any(atoms)


def compounds() -> list[Compound]:
    """All rows of measured.csv."""
    known, found = crystals(), []
    with (HERE / "measured.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            atoms, split, dft = known.get(row["id"], (None, "no", None))
            if row["id"] == "ase":
                atoms = bulk(row["formula"])
            elif atoms is None:
                atoms = str(HERE.parent / "crystals" / row["id"])
            modulus = alpha = None
            if row["modulus"][:1].isdigit():
                modulus = float(row["modulus"])
            elif row["modulus"]:
                mineral, _ = end_member(row["modulus"])
                modulus, alpha = mineral.params["K_0"] / 1e9, mineral.params["a_0"]
            values = measured(row["table"], row["key"])
            found.append(Compound(row, atoms, split, dft, *values, modulus, alpha))
    return found


def main() -> None:
    """Write the table and what it sums up to."""
    warnings.simplefilter("ignore")
    model = sys.argv[1] if len(sys.argv) > 1 else "default"
    listed = compounds()
    spectra = predict([c.atoms for c in listed], model=model)
    lines = [
        "| | phase | in training | S, predicted | S, DFT | S, measured | C_V, predicted "
        "| C_V, DFT | C_P, predicted | C_P, measured | table |",
        "|---|---|---|---:|---:|---:|---:|---:|---:|---:|---|",
    ]
    errors: dict[str, list[tuple[float, ...]]] = defaultdict(list)
    kind = ""
    for c, spectrum in zip(listed, spectra, strict=True):
        solid = Solid(spectrum, c.row["formula"])
        s, cv = float(solid.entropy(ROOM)), float(solid.heat_capacity(ROOM))
        bar, low, high = "", np.nan, np.nan
        if spectrum.calibration is not None:
            low, high = (v / solid.units for v in spectrum.interval("entropy", 0.9, ROOM))
            bar = f" ({low:.1f} to {high:.1f})"
        s_dft = cv_dft = cp = alpha = np.nan
        if c.dft is not None and c.dft.imaginary_fraction < 0.01:
            reference = Solid(c.dft, c.row["formula"])
            s_dft, cv_dft = float(reference.entropy(ROOM)), float(reference.heat_capacity(ROOM))
        if c.modulus is not None:
            expansion = thermal_expansion(spectrum.crystal, c.modulus, model=model)
            cp = cv + float(expansion.heat_capacity(ROOM)) / solid.units
            alpha = float(expansion.coefficient(ROOM))
        if c.row["class"] != kind:
            kind = c.row["class"]
            lines.append(f"| **{kind}** |" + " |" * 10)
        texts = (f"{v:.1f}" if np.isfinite(v) else "" for v in (s_dft, c.entropy, cv, cv_dft, cp))
        warned = any(isinstance(w, OutOfDistributionWarning) for w in spectrum.warnings)
        cells = [c.row["formula"] + " †" * warned, c.row["phase"], c.split, f"{s:.1f}{bar}", *texts]
        cells += [f"{c.capacity:.1f}", SOURCES[c.row["table"]]]
        lines.append("| " + " | ".join(cells) + " |")
        measured_alpha = c.expansion or np.nan
        values = (s, s_dft, c.entropy, cv, cv_dft, cp, c.capacity, low, high, alpha)
        errors[kind].append((*values, measured_alpha, float(c.split != "train")))
    out = ROOT / "docs" / "benchmarks"
    (out / "measured_entropies_table.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    summary = "\n".join(summed(errors, model)) + "\n"
    (out / "measured_entropies_summary.txt").write_text(summary, encoding="utf-8")
    typer.echo(summary)


def summed(errors: dict[str, list[tuple[float, ...]]], model: str) -> list[str]:
    """Errors by class, as lines of Markdown."""
    lines = [
        "| class | compounds | S: median error | bias | DFT: median error | bias | C: median error "
        "| DFT's |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    everything = np.array([v for values in errors.values() for v in values])
    unseen = everything[everything[:, 11] > 0]
    groups = {k: np.array(v) for k, v in errors.items()}
    for name, v in (
        *groups.items(),
        ("no PBEsol label in training", unseen),
        ("**all**", everything),
    ):
        s, s_dft, known, cv, cv_dft, _, capacity = v[:, :7].T
        both = np.isfinite(s_dft)
        cells = [name, str(len(v)), _median(s / known), _bias(s / known)]
        cells += [_median(s_dft[both] / known[both]), _bias(s_dft[both] / known[both])]
        cells += [_median(cv / capacity), _median(cv_dft[both] / capacity[both])]
        lines.append("| " + " | ".join(cells) + " |")
    s, s_dft, known, cv, _, cp, capacity, low, high, alpha, measured_alpha, _ = everything.T
    both, with_cp = np.isfinite(s_dft), np.isfinite(cp)
    lines.append("")
    lines.append(f"Model `{model}`. Errors are relative; the bias is their median with sign.")
    if np.isfinite(low).all():
        of_dft = np.mean((low[both] <= s_dft[both]) & (s_dft[both] <= high[both]))
        of_nature = np.mean((low <= known) & (known <= high))
        lines.append(
            f"The 90 % intervals of S hold DFT's value for {of_dft:.0%} of the "
            f"{both.sum()} compounds that have one, and the measured value for {of_nature:.0%} of "
            f"all {len(known)}."
        )
    before, after = (np.abs(c / capacity - 1)[with_cp] for c in (cv, cp))
    lines.append(
        f"For the {with_cp.sum()} compounds with a bulk modulus, the median error against the "
        f"measured C_P is {np.median(before):.1%} (bias {_bias((cv / capacity)[with_cp])}) for C_V "
        f"and {np.median(after):.1%} (bias {_bias((cp / capacity)[with_cp])}) for C_P; C_P is "
        f"nearer for {np.mean(after < before):.0%}."
    )
    known_alpha = np.isfinite(measured_alpha) & np.isfinite(alpha)
    if known_alpha.any():
        ratio = alpha[known_alpha] / measured_alpha[known_alpha]
        lines.append(
            f"Predicted coefficients of thermal expansion at 298.15 K are {np.median(ratio):.2f} "
            f"times those of data set HP in the median of {known_alpha.sum()} minerals (quartiles "
            f"{np.quantile(ratio, 0.25):.2f} and {np.quantile(ratio, 0.75):.2f})."
        )
    return lines


def _median(ratio: np.ndarray) -> str:
    return f"{np.median(np.abs(ratio - 1)):.1%}" if len(ratio) else ""


def _bias(ratio: np.ndarray) -> str:
    return f"{np.median(ratio - 1):+.1%}" if len(ratio) else ""


if __name__ == "__main__":
    main()
