"""AlloyReport: the rows of an alloy study as a table, as JSON, and as files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ase_e3dos.alloy.comparison import AlloyComparison, spectral_distance
from ase_e3dos.alloy.sweep import (
    QUANTITIES,
    CompositionSweep,
    PropertyRow,
    grouped_warnings,
    property_row,
)
from ase_e3dos.errors import E3DOSWarning
from ase_e3dos.export.writing import save_table
from ase_e3dos.phonon_spectrum import PhononSpectrum

__all__ = ["PREDICTION", "AlloyReport", "ReportEntry"]

#: `ReportEntry.method` of what is not a comparison.
PREDICTION = "prediction"
UNITS = {
    "mean_wavenumber": "cm^-1",
    "heat_capacity": "J/(K mol of atoms)",
    "entropy": "J/(K mol of atoms)",
    "distance": "cm^-1",
    "wavenumbers": "cm^-1",
    "density": "states/THz per atom",
    "temperature": "K",
}


@dataclass(frozen=True, slots=True, eq=False)
class ReportEntry:
    """One spectrum of the study at one temperature.

    Attributes
    ----------
    method : str
        "prediction", or the name of a comparison.
    row : PropertyRow
        Its composition and properties.
    spectrum : PhononSpectrum
        The spectrum.
    distance : float or None
        `spectral_distance` from the prediction at the same composition, cm^-1.
    """

    method: str
    row: PropertyRow
    spectrum: PhononSpectrum
    distance: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class AlloyReport:
    """What `e3dos alloy` prints and writes: a row for each spectrum and temperature.

    Attributes
    ----------
    end_members : tuple of str
        Formulas; empty for a single structure.
    entries : tuple of ReportEntry
        Predictions first, then each comparison.
    warnings : tuple of E3DOSWarning
        About the predictions.
    """

    end_members: tuple[str, ...]
    entries: tuple[ReportEntry, ...]
    warnings: tuple[E3DOSWarning, ...]

    @classmethod
    def of_sweep(
        cls,
        sweep: CompositionSweep,
        comparisons: Sequence[AlloyComparison],
        temperatures: Sequence[float],
    ) -> AlloyReport:
        """Report on a sweep and its comparisons at some temperatures (K).

        Parameters
        ----------
        sweep : CompositionSweep
        comparisons : sequence of AlloyComparison
            What its spectra are compared with.
        temperatures : sequence of float
            K.

        Returns
        -------
        AlloyReport
        """
        entries = [
            ReportEntry(PREDICTION, property_row(p, s, t), s)
            for p, s in sweep
            for t in temperatures
        ]
        calibrated = all(entry.row.calibrated for entry in entries)
        for other in comparisons:
            for p, s, distance in zip(
                other.fractions, other.spectra, other.distances(), strict=True
            ):
                for t in temperatures:
                    row = property_row(p, s, t)
                    if calibrated and not row.calibrated:  # a bar of another meaning misleads
                        row = replace(row, intervals={})
                    entries.append(ReportEntry(other.name, row, s, float(distance)))
        members = tuple(member.formula for member in sweep.solution.members)
        return cls(members, tuple(entries), sweep.warnings)

    @classmethod
    def of_structure(
        cls,
        spectrum: PhononSpectrum,
        others: Sequence[tuple[str, PhononSpectrum]],
        temperatures: Sequence[float],
    ) -> AlloyReport:
        """Report on one structure and supercells for it at some temperatures (K).

        Parameters
        ----------
        spectrum : PhononSpectrum
            Of the structure.
        others : sequence of (str, PhononSpectrum)
            Names and spectra of supercells for it.
        temperatures : sequence of float
            K.

        Returns
        -------
        AlloyReport
        """
        none = np.zeros(0)
        entries = [
            ReportEntry(PREDICTION, property_row(none, spectrum, t), spectrum) for t in temperatures
        ]
        for name, other in others:
            distance = spectral_distance(other, spectrum)
            for t in temperatures:
                row = property_row(none, other, t)
                entries.append(ReportEntry(f"supercell {name}", row, other, distance))
        found = grouped_warnings([spectrum, *(other for _, other in others)])
        return cls((), tuple(entries), found)

    def to_json(self) -> str:
        """JSON object with units, end members and a list of entries."""
        return json.dumps(
            {
                "units": UNITS,
                "end_members": list(self.end_members),
                "entries": [_entry(e) for e in self.entries],
                "warnings": [{"type": type(w).__name__, "message": str(w)} for w in self.warnings],
            },
            indent=1,
            allow_nan=False,
        )

    def write(self, folder: Path) -> None:
        """Write table.csv, alloy.json, and a CIF and a spectrum for each prediction.

        Parameters
        ----------
        folder : Path
            Made where it is not there.
        """
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "alloy.json").write_text(self.to_json() + "\n", encoding="utf-8")
        save_table(self._table(), folder / "table.csv")
        first = self.entries[0].row.temperature  # spectra and cells are the same at all of them
        for entry in self.entries:
            if entry.method == PREDICTION and entry.row.temperature == first:
                parts = [f"{p:.4f}" for p in entry.row.fractions]
                stem = "_".join([entry.row.formula, *parts[1:]])
                entry.spectrum.write(folder / f"{stem}.json")
                _write_cif(entry.spectrum, folder / f"{stem}.cif")

    def fraction_names(self) -> tuple[str, ...]:
        """End members whose fractions are shown: the second where there are two, else all."""
        return self.end_members[1:] if len(self.end_members) == 2 else self.end_members

    def _table(self) -> list[dict[str, Any]]:
        members = [f"fraction_{member}" for member in self.end_members]
        if len(set(members)) < len(members):  # isotopes: as many columns all the same
            members = [f"{member}_{k + 1}" for k, member in enumerate(members)]
        rows = []
        for entry in self.entries:
            row = entry.row
            cells: dict[str, Any] = {"method": entry.method}
            fractions = map(float, row.fractions)
            cells |= dict(zip(members, fractions, strict=False))  # comparisons may have none
            cells |= {"formula": row.formula, "temperature_K": row.temperature}
            for quantity in QUANTITIES:
                low, high = row.intervals.get(quantity, (None, None))
                cells |= {quantity: getattr(row, quantity), f"{quantity}_low": low}
                cells[f"{quantity}_high"] = high
            rows.append(cells | {"distance_cm-1": entry.distance})
        return rows


def _entry(entry: ReportEntry) -> dict[str, Any]:
    row, atom = entry.row, entry.spectrum.per_atom()
    std = atom.density_std
    return {
        "method": entry.method,
        "fractions": list(row.fractions),
        "formula": row.formula,
        "n_sites": entry.spectrum.crystal.n_sites,
        "cell": entry.spectrum.crystal.cell.tolist(),
        "model": entry.spectrum.model,
        "provenance": entry.spectrum.provenance,
        "temperature": row.temperature,
        **{quantity: getattr(row, quantity) for quantity in QUANTITIES},
        "intervals": {name: list(ends) for name, ends in row.intervals.items()},
        "intervals_calibrated": row.calibrated,
        "distance": entry.distance,
        "imaginary_fraction": entry.spectrum.imaginary_fraction,
        "wavenumbers": atom.wavenumbers.tolist(),
        "density": atom.density.tolist(),
        "density_std": None if std is None else std.tolist(),
    }


def _write_cif(spectrum: PhononSpectrum, path: Path) -> None:
    """CIF with occupations, by pymatgen."""
    from ase.data import chemical_symbols
    from pymatgen.core.lattice import Lattice
    from pymatgen.core.structure import Structure
    from pymatgen.io.cif import CifWriter

    crystal = spectrum.crystal
    sites: list[dict[str, float]] = [{} for _ in range(crystal.n_sites)]
    for site, z, p in zip(
        crystal.species_site.tolist(),
        crystal.species_number.tolist(),
        crystal.species_fraction.tolist(),
        strict=True,
    ):
        sites[site][chemical_symbols[z]] = sites[site].get(chemical_symbols[z], 0.0) + p
    structure = Structure(Lattice(crystal.cell), sites, crystal.scaled_positions)
    CifWriter(structure, significant_figures=8).write_file(path)
