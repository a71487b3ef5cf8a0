"""Errors of heat capacity and entropy at low temperatures, against raw 1 cm^-1 DFPT spectra.

Run: python docs/theory/low_temperatures.py DATA.parquet [MODEL ...]

Stable crystals of the split "valid". Rows "bins": the raw spectra, binned as the default model's
output is, so that the grid is all that differs. Rows of a model: its predictions. Medians and 90th
percentiles of the absolute relative deviation, and the median with its sign. The table goes to
docs/theory/low_temperatures.txt as well.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from ase_e3dos import PhononSpectrum
from ase_e3dos.data.labelled_set import LabelledSet, read_labelled
from ase_e3dos.evaluation.predictions import open_predictor, predictions
from ase_e3dos.spectrum import FrequencyGrid, named_grid
from ase_e3dos.spectrum.grid import bin_edges
from ase_e3dos.spectrum.thermal import thermal_property

TEMPERATURES = np.array([5.0, 10.0, 20.0, 50.0, 100.0])
#: The published spectra of stable crystals begin at -2.4 cm^-1, smeared: below this wavenumber
#: the reference has the acoustic law with the same number of modes.
SMEARED = 5.5
QUANTITIES = ("heat_capacity", "entropy")


def stable_crystals(path: str) -> LabelledSet:
    """Validation crystals whose raw spectra have no imaginary modes."""
    valid = read_labelled(path).split("valid")
    assert valid.raw is not None
    return valid.subset(np.array([start > -2.5 for start, _, _ in valid.raw]))


def raw_spectra(data: LabelledSet) -> list[tuple[np.ndarray, np.ndarray]]:
    """Wavenumbers and modes of each, per atom."""
    return [
        (start + step * np.arange(len(values)), 3 * values / values.sum())
        for start, step, values in data.raw or ()
    ]


def references(spectra: list[tuple[np.ndarray, np.ndarray]], quantity: str) -> np.ndarray:
    """Property of the raw spectra per mole of atoms, shape (n, n_temperatures)."""
    rows = []
    fine = FrequencyGrid.of(np.arange(0.05, 5000.0, 0.1))
    smeared = fine.wavenumbers < SMEARED
    parabola = np.where(smeared, fine.wavenumbers**2, 0.0)
    for x, modes in spectra:
        low = modes[x < SMEARED].sum()
        density = np.where(smeared, 0.0, np.interp(fine.wavenumbers, x, modes))
        density = density * ((3 - low) / density.sum()) + parabola * (low / parabola.sum())
        density *= 3 / (density @ fine.trapezoid)
        rows.append(thermal_property(fine, density[None], quantity, TEMPERATURES)[0])
    return np.array(rows)


def binned(spectra: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Densities per atom on the default grid that hold the modes of the raw spectra."""
    grid = named_grid("default")
    edges = bin_edges(grid.wavenumbers)
    rows = []
    for x, modes in spectra:
        below = np.interp(edges, np.append(x - 0.5, x[-1] + 0.5), np.append(0.0, modes.cumsum()))
        below[edges <= 0] = 0.0
        rows.append(np.diff(below))
    density = np.array(rows)
    return density * (3 / (density @ grid.trapezoid))[:, None]


def main(path: str, models: list[str]) -> None:
    """Print and keep the table."""
    data = stable_crystals(path)
    spectra = raw_spectra(data)
    sources: dict[str, tuple[FrequencyGrid, np.ndarray]] = {
        "bins": (named_grid("default"), binned(spectra))
    }
    for model in models:
        found: list[PhononSpectrum] = predictions(open_predictor(model), data).spectra
        sources[model] = (found[0].grid, np.array([s.per_atom().density for s in found]))
    lines = [f"{len(data)} stable crystals of the validation set; median | 90 % | signed median"]
    lines.append(f"{'':10}{'T (K)':>6}{'C_V':>24}{'S':>24}")
    reference = {quantity: references(spectra, quantity) for quantity in QUANTITIES}
    for name, (grid, density) in sources.items():
        for k, t in enumerate(TEMPERATURES):
            line = f"{name:10}{t:6.0f}"
            for quantity in QUANTITIES:
                values = thermal_property(grid, density, quantity, [t])[:, 0]
                error = 100 * (values / reference[quantity][:, k] - 1)
                size = np.abs(error)
                line += f"{np.median(size):9.1f}{np.quantile(size, 0.9):7.1f}"
                line += f"{np.median(error):+7.1f}%"
            lines.append(line)
    table = "\n".join(lines) + "\n"
    print(table, end="")
    Path(__file__).with_suffix(".txt").write_text(table, encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2:] or ["default", "paper"])
