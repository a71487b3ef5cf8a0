"""Crystals of a chemistry that earlier models got wrong in silence: right now, or warned of?

    python docs/models/named_crystals.py --data-dir DATA [--model MODEL] [--to FILE]

Entropy and heat capacity at 298.15 K, per mole of formula units, with 90 % intervals. Structures
are those of the data files, by their Materials Project ids. What is compared with, in this order:

DFT        the spectrum of the same structure by PBEsol: the phonon database, or the DFPT set
potential  finite displacements with Nequix-OAM-1-PFT (PBE), from its file of labels
measured   S(298.15 K), and C_P where it differs from C_V by less than the error bar, with the error
           that is stated of them (references in the code)
combined   what `model="combined"` says: a second opinion, no measurement

A line is good where both values lie in their intervals (within the error of a measurement), or
where the prediction has a warning. The last line counts the others. Most of these crystals are in
the training data by now: this is a check of what users meet, not of what networks extrapolate to.
"""

from __future__ import annotations

import argparse
import warnings
from dataclasses import dataclass
from math import gcd
from pathlib import Path

import numpy as np
import torch

from ase_e3dos.data.labelled_set import LabelledSet, read_labelled
from ase_e3dos.errors import E3DOSError
from ase_e3dos.evaluation.reference import imaginary_shares, reference_spectra
from ase_e3dos.phonon_spectrum import PhononSpectrum
from ase_e3dos.prediction.pipeline import Predictor
from ase_e3dos.structures.crystal import Crystal
from ase_e3dos.structures.reading import read_each

ROOM = 298.15
PHONONDB, DFPT = "dft_phonondb.parquet", "dfpt_petretto.parquet"
NEQUIX, STRUCTURES = "mlip_nequix.parquet", "structures_mp.parquet"
#: References with a larger share of imaginary modes say nothing of entropies.
STABLE = 0.01

NBS = "D. D. Wagman et al., J. Phys. Chem. Ref. Data 11, suppl. 2 (1982)"
#: S(298.15 K) and C_P in J/(K mol of formula units), None where not given; the error stated of S;
#: where from.
MEASURED: dict[str, tuple[float, float | None, float, str]] = {
    "diamond": (2.377, 6.113, 0.0, NBS),
    "h-BN": (14.81, 19.71, 0.0, NBS),
    "B4C": (27.11, None, 0.0, NBS),
    "polyethylene": (25.0, None, 2.0, "E. S. Domalski, E. D. Hearing, NIST WebBook (SRD 69)"),
}
#: Kind of chemistry, name, id.
CRYSTALS = (
    ("element", "diamond", "mp-66"),
    ("fluoride", "LiF", "mp-1138"),
    ("carbide", "Be2C", "mp-1569"),
    ("disulfide", "FeS2 pyrite", "mp-226"),
    ("disulfide", "FeS2 marcasite", "mp-1522"),
    ("boron framework", "B4C", "mp-696746"),
    ("boron framework", "B13C2", "mp-576"),
    ("boron framework", "B6O", "mp-1346"),
    ("boron framework", "B6P", "mp-28395"),
    ("boron framework", "B6As", "mp-624"),
    ("carbide, C-C", "CaC2 tetragonal", "mp-2482"),
    ("carbide, C-C", "CaC2", "mp-1575"),
    ("carbide, C-C", "CaC2", "mp-917"),
    ("carbide, C-C", "SrC2", "mp-2630"),
    ("carbide, C-C", "BaC2", "mp-1735"),
    ("carbide, C-C", "Na2C2", "mp-11180"),
    ("carbide, C-C", "Li2C2", "mp-1378"),
    ("carbide, C-C", "Mg2C3", "mp-28793"),
    ("carbide, C-C", "YC2", "mp-313"),
    ("carbide, C-C", "LaC2", "mp-2367"),
    ("carbide, C-C", "CeC2", "mp-2839"),
    ("carbide, C-C", "NdC2", "mp-2297"),
    ("carbide, C-C", "UC2 tetragonal", "mp-2486"),
    ("carbide, C-C", "UC2 cubic", "mp-1008642"),
    ("carbide, C-C", "ThC2", "mp-7224"),
    ("sulfate", "MgSO4", "mp-7572"),
    ("sulfate", "MgSO4", "mp-4967"),
    ("sulfate", "CaSO4", "mp-4406"),
    ("sulfate", "BaSO4", "mp-3164"),
    ("sulfate", "Na2SO4", "mp-4770"),
    ("carbonate", "CaCO3 calcite", "mp-3953"),
    ("carbonate", "CaCO3 aragonite", "mp-4626"),
    ("carbonate", "BaCO3", "mp-5504"),
    ("carbonate", "MgCO3", "mp-5348"),
    ("carbonate", "Li2CO3", "mp-3054"),
    ("carbonate", "CdCO3", "mp-4385"),
    ("ammonium", "NH4Cl", "mp-34337"),
    ("ammonium", "NH4Br", "mp-23675"),
    ("ammonium", "NH4Br", "mp-36248"),
    ("ammonium", "NH4I", "mp-34381"),
    ("ammonium", "NH4F", "mp-23794"),
    ("hydroxide", "LiOH", "mp-23856"),
    ("layered", "h-BN", "mp-604884"),
    ("polymer", "polyethylene", "mp-985782"),
)


@dataclass(frozen=True)
class Line:
    """What is said of one crystal.

    Attributes
    ----------
    kind, name, id : str
        As in `CRYSTALS`.
    spectrum : PhononSpectrum
        The prediction.
    reference : tuple of float
        S and C_V per formula unit in J/(K mol); NaN where there is none.
    source : str
        DFT, potential, measured or combined.
    error : float
        That is stated of a measured entropy.
    """

    kind: str
    name: str
    id: str
    spectrum: PhononSpectrum
    reference: tuple[float, float]
    source: str
    error: float = 0.0

    @property
    def units(self) -> int:
        """Formula units in the cell."""
        return formula_units(self.spectrum.crystal)

    def interval(self, quantity: str) -> tuple[float, float, float]:
        """Value and ends of the interval, per formula unit."""
        low, high = self.spectrum.interval(quantity, temperature=ROOM)
        value = getattr(self.spectrum, quantity)(ROOM)
        return value / self.units, low / self.units, high / self.units

    @property
    def inside(self) -> bool:
        """Whether every value that is known lies in its interval."""
        ends = [self.interval(q)[1:] for q in ("entropy", "heat_capacity")]
        errors = (self.error, 0.0)
        known = [
            (r, e, *ends_of)
            for r, e, ends_of in zip(self.reference, errors, ends, strict=True)
            if np.isfinite(r)
        ]
        return all(low - e <= r <= high + e for r, e, low, high in known)

    @property
    def warned(self) -> list[str]:
        """Kinds of the warnings."""
        return [type(w).__name__.removesuffix("Warning") for w in self.spectrum.warnings]

    def row(self) -> str:
        """Of a Markdown table."""
        cells = [self.kind, f"{self.name} ({self.id})"]
        for quantity, reference in zip(("entropy", "heat_capacity"), self.reference, strict=True):
            value, low, high = self.interval(quantity)
            text = "" if np.isnan(reference) else f"{reference:.2f}"
            cells += [f"{value:.2f} [{low:.2f}, {high:.2f}]", text]
        said = ", ".join(self.warned)
        verdict = "inside" if self.inside else ("warned" if said else "**silent**")
        return "| " + " | ".join([*cells, self.source, verdict, said]) + " |"


def formula_units(crystal: Crystal) -> int:
    """Reduced formula units in a cell."""
    counts = np.unique(crystal.numbers, return_counts=True)[1]
    return gcd(*counts.tolist())


def structures(data_dir: Path, ids: set[str]) -> dict[str, Crystal]:
    """Crystals of the file of structures."""
    found = read_each(data_dir / STRUCTURES)
    return {name: c for name, c in found if name in ids and isinstance(c, Crystal)}


def labelled(data_dir: Path, ids: set[str]) -> dict[str, tuple[Crystal, PhononSpectrum, str]]:
    """Crystals with stable reference spectra; the phonon database counts before the others."""
    found: dict[str, tuple[Crystal, PhononSpectrum, str]] = {}
    for file, source in ((PHONONDB, "DFT"), (DFPT, "DFT"), (NEQUIX, "potential")):
        every: LabelledSet = read_labelled(data_dir / file)
        wanted = np.array([name in ids for name in every.ids], dtype=bool)
        if file == NEQUIX:
            wanted &= every.strain == 0
        some = every.subset(wanted)
        calm = imaginary_shares(some) <= STABLE
        rows = zip(some.ids, some.crystals, reference_spectra(some), calm, strict=True)
        for name, crystal, spectrum, stable in rows:
            if stable:
                found.setdefault(name, (crystal, spectrum, source))
    return found


def lines(data_dir: Path, model: str) -> list[Line]:
    """A line for each crystal."""
    ids = {row[2] for row in CRYSTALS}
    known, others = labelled(data_dir, ids), structures(data_dir, ids)
    crystals = [known[k][0] if k in known else others[k] for _, _, k in CRYSTALS]
    predicted = Predictor(model, "cpu").spectra(crystals)
    alone = [k for _, name, k in CRYSTALS if k not in known and name not in MEASURED]
    opinions = Predictor("combined", "cpu").stream([others[k] for k in alone])
    second = {
        k: spectrum
        for k, spectrum in zip(alone, opinions, strict=True)
        if not isinstance(spectrum, E3DOSError)
    }
    found = []
    for (kind, name, k), spectrum in zip(CRYSTALS, predicted, strict=True):
        units = formula_units(spectrum.crystal)
        reference, source, error = (np.nan, np.nan), "", 0.0
        if k in known or (name not in MEASURED and k in second):
            other, source = known[k][1:] if k in known else (second[k], "combined")
            reference = (other.entropy(ROOM) / units, other.heat_capacity(ROOM) / units)
        elif name in MEASURED:
            entropy, capacity, error, _ = MEASURED[name]
            reference, source = (entropy, np.nan if capacity is None else capacity), "measured"
        found.append(Line(kind, name, k, spectrum, reference, source, error))
    return found


def table(found: list[Line]) -> str:
    """Markdown, and a line that counts."""
    head = "| | crystal | S: model, interval | reference | C_V: model, interval | reference "
    rows = [f"{head}| by | | warnings |", "|---" * 9 + "|", *(line.row() for line in found)]
    silent = [line for line in found if not line.inside and not line.warned]
    names = ", ".join(f"{line.name} ({line.id})" for line in silent)
    inside, warned = sum(x.inside for x in found), sum(bool(x.warned) for x in found)
    said = f"{len(found)} crystals: {inside} inside, {warned} warned of, {len(silent)} silent"
    return "\n".join([*rows, "", said + (f": {names}." if silent else ".")])


def main() -> None:
    """Print the table, and write it where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--model", default="default")
    parser.add_argument("--to", type=Path, help="write it into this file too")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    text = table(lines(options.data_dir, options.model))
    print(text)
    if options.to is not None:
        options.to.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
