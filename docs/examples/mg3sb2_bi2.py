"""Phonons of Mg3Sb2(1-p)Bi2p from one five-atom cell per composition (figure 4 of the paper).

Run: python docs/examples/mg3sb2_bi2.py
Writes docs/figures/mg3sb2_bi2.png: the spectra that the models `alloy` and `default` predict, the
linear mixture of those of the end members, and a special quasi-random structure of 40 atoms. Where
the data of the project are at hand (the folder named by E3DOS_DATA, or ../shared/data beside the
repository), the end members are compared with their DFPT spectra.

    python docs/examples/mg3sb2_bi2.py --calculator chgnet.model.dynamics:CHGNetCalculator

adds the virtual crystal with the forces of any ASE calculator (this one: `pip install chgnet`),
and writes docs/figures/mg3sb2_bi2_vca.png beside. Universal potentials are too soft, and by
different factors for the two end members; with the DFPT spectra at hand the virtual crystal
is therefore also shown with its frequencies scaled, so that the average frequencies at both
ends are those of DFPT.
"""

from __future__ import annotations

import argparse
import json
import os
import warnings
from pathlib import Path

import numpy as np

from ase_e3dos import Crystal, PhononSpectrum, predict
from ase_e3dos.alloy import (
    AlloyComparison,
    CompositionSweep,
    SolidSolution,
    VirtualCrystal,
    composition_sweep,
    linear_mixture,
    plot_sweep,
    supercell_comparison,
)
from ase_e3dos.alloy.comparison import spectral_distance
from ase_e3dos.errors import E3DOSWarning
from ase_e3dos.plugins import get_registry
from ase_e3dos.potentials.choice import calculator_of
from ase_e3dos.potentials.relaxation import relaxed

DOCS = Path(__file__).parents[1]
DATA = Path(os.environ.get("E3DOS_DATA", DOCS.parents[1] / "shared" / "data"))
GRID = np.arange(0.0, 1001.0, 20.0)  # of the paper, cm^-1


def published(name: str) -> tuple[PhononSpectrum, float] | None:
    """DFPT spectrum of an end member and its fraction of Bi, or None where the file is absent."""
    if name == "Mg3Bi2":
        path = DATA / "mg3bi2.json"
        if not path.is_file():
            print(f"no {path.name} in {DATA}: Mg3Bi2 is not compared (set E3DOS_DATA)")
            return None
        row = json.loads(path.read_text())
        x, y = np.array(row["wavenumbers_cm1"]), np.array(row["dos_max_normalised"])
        # the table ends in a constant floor, not in modes
        y = np.where(y > y[-1], y, 0.0)
        return PhononSpectrum(x, y, crystal=crystal(row, name), label_like=True), 1.0
    path = DATA / "dfpt_petretto.parquet"
    if not path.is_file():
        print(f"no {path.name} in {DATA}: Mg3Sb2 is not compared (set E3DOS_DATA)")
        return None
    import pyarrow.parquet as pq

    row = pq.read_table(path, filters=[("formula", "=", name)]).to_pylist()[0]
    y = np.clip(row["dos_per_cm1"], 0.0, None)
    x = row["dos_start_cm1"] + row["dos_step_cm1"] * np.arange(len(y))
    return PhononSpectrum(x, y, crystal=crystal(row, name)), 0.0


def crystal(row: dict, name: str) -> Crystal:
    """Structure of a row of the data."""
    numbers = row["numbers"]
    cell, scaled = (np.reshape(row[key], (-1, 3)) for key in ("cell", "positions_frac"))
    return Crystal(cell, scaled, np.arange(len(numbers)), numbers, name=name)


def compare(reference: PhononSpectrum, model: str) -> None:
    """Print the errors of the prediction for the structure of the data."""
    spectrum = predict(reference.crystal, model=model)[0]
    labels = [s.as_paper_label(GRID) for s in (spectrum, reference)]
    mae = np.abs(labels[0] / labels[0].max() - labels[1] / labels[1].max()).mean()
    cosine = labels[0] @ labels[1] / np.linalg.norm(labels[0]) / np.linalg.norm(labels[1])
    print(
        f"{reference.crystal.name}, {model}: MAE {mae:.4f}, cosine similarity {cosine:.3f} "
        f"(51 points); distance {spectral_distance(spectrum, reference):.1f} cm^-1; mean frequency "
        f"{spectrum.mean_wavenumber:.1f} (DFPT {reference.mean_wavenumber:.1f}) cm^-1; C_V(300 K) "
        f"{spectrum.heat_capacity(300.0) / 5:.2f} ({reference.heat_capacity(300.0) / 5:.2f}) "
        "J/(K mol of atoms)"
    )


def virtual_crystal(
    sweep: CompositionSweep, calculator: str, relax: str
) -> tuple[AlloyComparison, float]:
    """Virtual crystals at the compositions of a sweep, and their largest imaginary share."""
    forces = calculator_of(calculator)
    solution = sweep.solution
    if relax != "none":
        ends = [
            relaxed(end.to_atoms(), forces, relax, 1e-3)[0]  # type: ignore[arg-type]
            for end in solution.members
        ]
        solution = SolidSolution(ends)
    virtual = VirtualCrystal(
        solution, forces, name=calculator.rpartition(":")[2].removesuffix("Calculator")
    )
    spectra = tuple(virtual.spectrum(p) for p in sweep.fractions)
    name = f"virtual crystal ({virtual.name})"
    worst = max(spectrum.imaginary_fraction for spectrum in spectra)
    return AlloyComparison(name, sweep.fractions, spectra, sweep.spectra), worst


def scaled(comparison: AlloyComparison, references: list[PhononSpectrum]) -> AlloyComparison:
    """All frequencies times a factor, linear in p, that puts both ends on their references."""
    ends = [comparison.spectra[0], comparison.spectra[-1]]
    factors = [
        reference.mean_wavenumber / end.mean_wavenumber
        for reference, end in zip(references, ends, strict=True)
    ]
    spectra = []
    for p, spectrum in zip(comparison.fractions, comparison.spectra, strict=True):
        x = spectrum.wavenumbers * float(p @ factors)
        spectra.append(
            PhononSpectrum(x, spectrum.density, crystal=spectrum.crystal, model=spectrum.model)
        )
    print(f"frequencies of the virtual crystal scaled by {factors[0]:.2f} to {factors[1]:.2f}")
    name = f"{comparison.name}, scaled"
    return AlloyComparison(name, comparison.fractions, tuple(spectra), comparison.predicted)


def second_sweep(sweep: CompositionSweep, model: str) -> AlloyComparison | None:
    """The same compositions by the default model, where the sweep is another's."""
    if model == "default":
        return None
    other = composition_sweep(sweep.solution.members, len(sweep), model="default")
    return AlloyComparison("model default", sweep.fractions, other.spectra, sweep.spectra)


def between(spectrum: PhononSpectrum) -> float:
    """Share of the modes from 100 to 140 cm^-1, between the acoustic and the optical bands."""
    x = np.arange(0.0, 400.0)
    label = spectrum.as_paper_label(x)
    return float(label[(x >= 100) & (x < 140)].sum() / label.sum())


def at_three_quarters(sweep: CompositionSweep, others: list[AlloyComparison]) -> None:
    """Print the comparison of the paper's inset, Mg3Sb0.5Bi1.5."""
    here = [k for k, p in enumerate(sweep.fractions) if abs(p[1] - 0.75) < 1e-9]
    if not here:
        return
    predicted = sweep.spectra[here[0]]
    print("Mg3Sb0.5Bi1.5 (p = 0.75), per atom")
    print("mean freq. (cm^-1)  S(300 K)  distance (cm^-1)  modes in 100 to 140 cm^-1")
    spectra = {
        f"model {sweep.spectra[0].model}": predicted,
        **{o.name: o.spectra[here[0]] for o in others},
    }
    for name, spectrum in spectra.items():
        atom = spectrum.per_atom()
        print(
            f"{atom.mean_wavenumber:12.1f} {atom.entropy(300.0):14.2f} "
            f"{spectral_distance(spectrum, predicted):12.1f} "
            f"{100 * between(spectrum):14.1f} %   {name}"
        )


def main() -> None:
    """Sweep, compare, draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", help="the alloy model where it is installed, else the default")
    parser.add_argument("-n", type=int, default=21, help="compositions (21)")
    parser.add_argument("--calculator", help="package.module:function returning an ASE calculator")
    parser.add_argument(
        "--relax",
        choices=("none", "positions", "cell"),
        default="none",
        help="of the end members with the calculator; none keeps the measured cells",
    )
    parser.add_argument("-o", "--output", type=Path, help="figure to write")
    options = parser.parse_args()
    model = options.model or ("alloy" if "alloy" in get_registry().models() else "default")
    warnings.simplefilter("ignore", E3DOSWarning)

    ends = [DOCS / "crystals" / "Mg3Sb2.cif", DOCS / "crystals" / "Mg3Bi2.cif"]
    sweep = composition_sweep(ends, options.n, model=model)
    mixture = linear_mixture(sweep)
    print(f"{len(sweep)} compositions with the model {model!r}; per atom at 300 K")
    print("   p   mean freq.   C_V     S      distance from the linear mixture (cm^-1)")
    for row, distance in zip(sweep.table(), mixture.distances(), strict=True):
        values = f"{row.mean_wavenumber:8.1f} {row.heat_capacity:9.3f} {row.entropy:7.2f}"
        print(f"{row.fractions[1]:5.2f} {values} {distance:8.2f}")
    for warning in sweep.warnings:
        print(f"warning: {warning}")

    supercell = DOCS / "crystals" / "Mg24Sb8Bi8_sqs.vasp"
    quasi_random = supercell_comparison(sweep, [supercell], "SQS, same model")
    print(
        f"quasi-random supercell at p = 0.5: mean freq. "
        f"{quasi_random.spectra[0].mean_wavenumber:.1f}, mixed sites "
        f"{quasi_random.predicted[0].mean_wavenumber:.1f} cm^-1; distance "
        f"{quasi_random.distances()[0]:.1f} cm^-1"
    )

    second = second_sweep(sweep, model)
    curves, references = [], []
    for name in ("Mg3Sb2", "Mg3Bi2"):
        found = published(name)
        if found is not None:
            reference, p = found
            for tried in dict.fromkeys((model, "default")):
                compare(reference, tried)
            print(f"  modes in 100 to 140 cm^-1: DFPT {100 * between(reference):.1f} %")
            references.append(reference)
            label = reference.as_paper_label(GRID) / reference.crystal.n_sites
            shown = GRID <= 400
            curves.append((p, GRID[shown], label[shown], f"{name} DFPT"))

    others, stem = [mixture, quasi_random], "mg3sb2_bi2"
    compared = [mixture]
    if options.calculator:
        virtual, imaginary = virtual_crystal(sweep, options.calculator, options.relax)
        stem += "_vca"
        print(f"{virtual.name}: up to {100 * imaginary:.1f} % of the modes imaginary")
        for k, name in ((0, "Mg3Sb2"), (-1, "Mg3Bi2")):
            line = f"  {name}: mean freq. {virtual.spectra[k].mean_wavenumber:.1f} cm^-1"
            if len(references) == 2:
                distance = spectral_distance(virtual.spectra[k], references[k])
                line += f", distance from DFPT {distance:.1f} cm^-1"
            print(line)
        compared.append(virtual)
        if len(references) == 2:
            compared.append(scaled(virtual, references))
        others.append(compared[-1])
    if second is not None:
        others.append(second)
        compared.insert(0, second)
    at_three_quarters(sweep, compared)

    out = options.output or DOCS / "figures" / f"{stem}.png"
    out.parent.mkdir(exist_ok=True)
    figure = plot_sweep(sweep, comparisons=others, references=curves, paper_labels=True)
    figure.savefig(out, dpi=100)
    print(f"figure: {out.name}")


if __name__ == "__main__":
    main()
