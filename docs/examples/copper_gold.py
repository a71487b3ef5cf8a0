"""Copper and gold: the prediction, the linear mixture, the virtual crystal, and a real supercell.

Run: python docs/examples/copper_gold.py
ASE's EMT potential stands for the forces, so that nothing has to be installed. With it the virtual
crystal can be compared with what it approximates: the phonons of a special quasi-random
structure of 32 atoms, displaced atom by atom.
Writes docs/figures/copper_gold.png.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

from ase.build import bulk
from ase.calculators.emt import EMT
from ase.io import read

from ase_e3dos import Crystal, PhononSpectrum, reference_spectrum
from ase_e3dos.alloy import (
    AlloyComparison,
    SolidSolution,
    VirtualCrystal,
    composition_sweep,
    linear_mixture,
    plot_sweep,
    supercell_comparison,
)
from ase_e3dos.alloy.comparison import spectral_distance
from ase_e3dos.errors import E3DOSWarning
from ase_e3dos.potentials.relaxation import relaxed

DOCS = Path(__file__).parents[1]


def explicit(crystal: Crystal) -> PhononSpectrum:
    """Spectrum of a crystal by finite displacements, relaxed first."""
    return reference_spectrum(
        crystal, "emt", supercell=7.0, displacement=0.03, relax="cell", fmax=1e-3
    )


def main() -> None:
    """Sweep, compare, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="default")
    parser.add_argument("-n", type=int, default=9)
    options = parser.parse_args()
    warnings.simplefilter("ignore", E3DOSWarning)

    ends = [relaxed(bulk(name, cubic=True), EMT(), "cell", 1e-3)[0] for name in ("Cu", "Au")]
    solution = SolidSolution(ends)
    sweep = composition_sweep(solution, options.n, model=options.model)
    quasi_random = Crystal.from_any(read(DOCS / "crystals" / "Cu16Au16_sqs.vasp"), "SQS")

    virtual = VirtualCrystal(solution, EMT(), supercell=[3, 3, 3]).compare(sweep)
    predicted = supercell_comparison(sweep, [quasi_random], "SQS, predicted")
    true = explicit(quasi_random)
    half = predicted.predicted
    calculated = AlloyComparison("SQS (EMT)", predicted.fractions, (true,), half)
    mixture = linear_mixture(sweep)

    print("Cu0.5Au0.5, per atom at 300 K")
    print(f"{'':24}mean freq.     C_V      S   distance from the SQS with EMT (cm^-1)")
    middle = len(sweep) // 2
    for name, spectrum in {
        "prediction": half[0],
        "linear mixture": mixture.spectra[middle],
        virtual.name: virtual.spectra[middle],
        predicted.name: predicted.spectra[0],
        calculated.name: true,
    }.items():
        atom = spectrum.per_atom()
        print(
            f"{name:24}{atom.mean_wavenumber:8.1f} {atom.heat_capacity(300.0):10.3f} "
            f"{atom.entropy(300.0):7.2f} {spectral_distance(spectrum, true):8.1f}"
        )
    print("ends: distance of the prediction from EMT (cm^-1)")
    for k, name in ((0, "Cu"), (-1, "Au")):
        print(f"{name:24}{spectral_distance(sweep.spectra[k], virtual.spectra[k]):8.1f}")
    plot_sweep(
        sweep,
        DOCS / "figures" / "copper_gold.png",
        comparisons=[mixture, virtual, predicted, calculated],
    )


if __name__ == "__main__":
    main()
