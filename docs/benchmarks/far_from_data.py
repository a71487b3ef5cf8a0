"""What the model says of crystals unlike its training data: strained cells and random atoms.

    python docs/benchmarks/far_from_data.py [MODEL]

For the ordered crystals of docs/crystals: as they are, with every length compressed or stretched,
and with as many atoms of the same elements thrown at random into the same cell. Printed are the
median over the crystals of the members' relative spread of the average frequency, the median
width of the 90 % interval of the heat capacity at 300 K (per atom, where the model has one), and
the share of crystals that are predicted with a warning about their geometry or about
disagreement. The numbers of data-efficiency.md come from here.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import numpy as np

from ase_e3dos import predict
from ase_e3dos.errors import CrowdedAtomsWarning, OutOfDistributionWarning
from ase_e3dos.phonon_spectrum import PhononSpectrum
from ase_e3dos.structures.crystal import Crystal, read_crystals

STRAINS = (-0.15, -0.10, -0.05, -0.02, 0.0, 0.02, 0.05, 0.10, 0.15)
CRYSTALS = Path(__file__).parents[1] / "crystals"


def ordered_crystals() -> list[Crystal]:
    """The crystals of docs/crystals without mixed sites and supercells."""
    files = sorted(p for p in CRYSTALS.iterdir() if p.suffix in (".cif", ".vasp"))
    found = [c for f in files for c in read_crystals(f)]
    return [c for c in found if c.is_ordered and c.n_sites <= 16]


def strained(crystal: Crystal, strain: float) -> Crystal:
    """The crystal with all lengths changed by a factor 1 + strain."""
    return Crystal(
        crystal.cell * (1 + strain),
        crystal.scaled_positions,
        np.arange(crystal.n_sites),
        crystal.numbers,
        name=crystal.name,
    )


def scrambled(crystal: Crystal, seed: int = 0) -> Crystal:
    """As many atoms of the same elements at random places of the same cell."""
    places = np.random.default_rng(seed).random((crystal.n_sites, 3))
    return Crystal(
        crystal.cell, places, np.arange(crystal.n_sites), crystal.numbers, name=crystal.name
    )


def summary(spectra: list[PhononSpectrum]) -> dict[str, float]:
    """Median spread (%), median interval width (J/(K mol) per atom; nan without), share warned."""
    spreads = [s.spread("mean_wavenumber") / max(s.mean_wavenumber, 1.0) for s in spectra]
    kinds = (OutOfDistributionWarning, CrowdedAtomsWarning)
    widths = [np.nan]
    if all(s.calibration is not None for s in spectra):
        ends = [s.interval("heat_capacity", 0.9, 300.0) for s in spectra]
        widths = [(b - a) / s.crystal.n_sites for (a, b), s in zip(ends, spectra, strict=True)]
    return {
        "spread": 100 * float(np.median(spreads)),
        "width": float(np.median(widths)),
        "warned": float(np.mean([any(isinstance(w, kinds) for w in s.warnings) for s in spectra])),
    }


def main(model: str = "default") -> None:
    """Print one row for each kind of crystal."""
    crystals = ordered_crystals()
    cases = {f"{100 * e:+.0f} %": [strained(c, e) for c in crystals] for e in STRAINS}
    cases["random atoms"] = [scrambled(c) for c in crystals if c.n_sites > 1]
    print(f"{len(crystals)} crystals, model {model}")
    print("| lengths | spread of the average frequency (%) | width of C_V | warned |")
    print("| --- | ---: | ---: | ---: |")
    for name, changed in cases.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            row = summary(predict(changed, model=model))
        print(f"| {name} | {row['spread']:.1f} | {row['width']:.2f} | {row['warned']:.0%} |")


if __name__ == "__main__":
    main(*sys.argv[1:2])
