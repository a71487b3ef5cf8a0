"""Figure 3: six materials that were measured, predicted, with DFPT and measured points at hand."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ase_e3dos.analysis.measurement import (
    Measurement,
    MeasurementComparison,
    compare,
    read_measurement,
)
from ase_e3dos.errors import DataError, E3DOSWarning
from ase_e3dos.evaluation.reference import reference_spectra
from ase_e3dos.phonon_spectrum import PhononSpectrum
from ase_e3dos.structures.crystal import Crystal
from e3dos_paper.pictures import save_picture
from e3dos_paper.table_s2 import one_entry

if TYPE_CHECKING:
    from ase import Atoms
    from matplotlib.figure import Figure

#: The six crystals and where they were measured. The paper's text names ZrSiO4, SrTiO3, Nd and U;
#: the other two are chosen from the materials of its reference 47.
MATERIALS = {
    "SrTiO3": "Choudhury 2008",
    "Nd2CuO4": "Lynn 1991, Sumarlin 1993",
    "Bi2Te3": "Rauh 1981",
    "Sb2Te3": "Rauh 1981",
    "UO2": "Pang 2014",
    "ZrSiO4": "Chaplot 2006, Nipko 1997",
}
_MEV = 8.065544
#: Full width at half maximum of an instrument in meV.
_RESOLUTION = 2.0


def measured_crystals() -> dict[str, Crystal]:
    """The six crystals by their measured lattice constants and positions.

    Room temperature values: SrTiO3 a = 3.905 Å; Nd2CuO4 (T') 3.945 and 12.17 Å; Bi2Te3 4.386 and
    30.497 Å; Sb2Te3 4.264 and 30.458 Å; UO2 5.471 Å; ZrSiO4 6.607 and 5.982 Å.
    """
    from ase.spacegroup import crystal

    def tetragonal(a: float, c: float) -> list[float]:
        return [a, a, c, 90, 90, 90]

    def hexagonal(a: float, c: float) -> list[float]:
        return [a, a, c, 90, 90, 120]

    def tellurides(metal: str, a: float, c: float, z: float, outer: float) -> Atoms:
        sites = [(0, 0, z), (0, 0, 0), (0, 0, outer)]
        return crystal([metal, "Te", "Te"], sites, spacegroup=166, cellpar=hexagonal(a, c),
                       primitive_cell=True)  # fmt: skip

    half = 0.5
    atoms = {
        "SrTiO3": crystal(["Sr", "Ti", "O"], [(0, 0, 0), (half, half, half), (half, half, 0)],
                          spacegroup=221, cellpar=[3.905] * 3 + [90] * 3),
        "Nd2CuO4": crystal(["Nd", "Cu", "O", "O"],
                           [(0, 0, 0.352), (0, 0, 0), (0, half, 0), (0, half, 0.25)],
                           spacegroup=139, cellpar=tetragonal(3.945, 12.17), primitive_cell=True),
        "Bi2Te3": tellurides("Bi", 4.386, 30.497, 0.4005, 0.2097),
        "Sb2Te3": tellurides("Sb", 4.264, 30.458, 0.3988, 0.2128),
        "UO2": crystal(["U", "O"], [(0, 0, 0), (0.25, 0.25, 0.25)], spacegroup=225,
                       cellpar=[5.471] * 3 + [90] * 3, primitive_cell=True),
        "ZrSiO4": crystal(["Zr", "Si", "O"],
                          [(0, 0.75, 0.125), (0, 0.25, 0.375), (0, 0.066, 0.195)],
                          spacegroup=141, setting=2, cellpar=tetragonal(6.607, 5.982),
                          primitive_cell=True),
    }  # fmt: skip
    return {name: Crystal.from_any(found, name=name) for name, found in atoms.items()}


@dataclass(frozen=True)
class MeasuredMaterial:
    """One panel of the figure.

    Attributes
    ----------
    formula : str
    spectra : dict of str to PhononSpectrum
        Predictions by the model's name.
    dfpt : PhononSpectrum or None
        The paper's DFPT spectrum, where the data hold it.
    comparison : MeasurementComparison or None
        Points of the user's against the first model, as the instrument sees it.
    """

    formula: str
    spectra: dict[str, PhononSpectrum]
    dfpt: PhononSpectrum | None
    comparison: MeasurementComparison | None


def measured_materials(
    models: Sequence[str],
    data: Path | None = None,
    points: Path | None = None,
    device: str = "auto",
) -> list[MeasuredMaterial]:
    """Predictions for the six, with DFPT and points where they are.

    Parameters
    ----------
    models : sequence of str
        Names of models or weights files; points are compared with the first.
    data : Path, optional
        File of the paper's DFPT spectra. SrTiO3 is one of its test crystals, which may be
        missing.
    points : Path, optional
        Folder of digitised points: FORMULA.csv with energy, intensity and perhaps error, as
        `ase_e3dos.analysis.measurement.read_measurement` reads them.
    device : str, optional
        Where to predict.

    Raises
    ------
    DataError
        The folder of points holds none of the six.
    """
    from ase_e3dos import predict

    crystals = measured_crystals()
    if points is not None and not any((points / f"{name}.csv").is_file() for name in crystals):
        raise DataError(
            f"{points}: none of {', '.join(f'{name}.csv' for name in crystals)} is there. Name the "
            "files of your digitised points by the formulas."
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", E3DOSWarning)  # they stay with the spectra, and are listed
        every = {m: predict(list(crystals.values()), model=m, device=device) for m in models}
    found = []
    for k, name in enumerate(crystals):
        spectra = {m: every[m][k] for m in models}
        file = None if points is None else points / f"{name}.csv"
        comparison = None
        if file is not None and file.is_file():
            comparison = _compared(spectra[models[0]], read_measurement(file))
        dfpt = None if data is None else _dfpt(data, name)
        found.append(MeasuredMaterial(name, spectra, dfpt, comparison))
    return found


def figure_3(found: Sequence[MeasuredMaterial], path: str | Path | None = None) -> Figure:
    """Predictions of each model, DFPT dashed, measured points.

    Curves are filtered as the paper's labels are, each over its maximum; points are scaled to the
    prediction as an instrument sees it, in its place.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.5, 4.8), layout="constrained")
    axes = figure.subplots(2, 3, squeeze=False).ravel()
    x = np.arange(0.0, 1100.0, 4.0)
    colors = ("#d9731a", "#3b6fb6", "#4f9d4f")
    for ax, material in zip(axes, found, strict=True):
        highest = 0.0
        for (model, spectrum), color in zip(material.spectra.items(), colors, strict=False):
            y = spectrum.as_paper_label(x)
            warned = any(type(w).__name__ == "UnseenElementWarning" for w in spectrum.warnings)
            label = model + (" (element unseen)" if warned else "")
            ax.plot(x / _MEV, y / y.max(), color=color, linewidth=1.1, label=label)
            highest = max(highest, float(x[y > 0.02 * y.max()].max()))
        if material.dfpt is not None:
            y = material.dfpt.as_paper_label(x)
            ax.plot(x / _MEV, y / y.max(), "k--", linewidth=0.8, label="DFPT, of its training data")
        if material.comparison is not None:
            seen, points = material.comparison.predicted, material.comparison.measurement
            scale = material.comparison.scale / float(seen.weighted.max())
            ax.plot(points.wavenumbers / _MEV, points.intensity * scale, ".", ms=4,
                    color="#0b3d91", label="your points")  # fmt: skip
        ax.set_title(f"{material.formula} ({MATERIALS[material.formula]})", fontsize=8)
        ax.set(yticks=[], xlim=(0, 1.08 * highest / _MEV), ylim=(0, 1.35))
        ax.legend(frameon=False, fontsize=6, loc="upper right", ncols=2)
        ax.tick_params(labelsize=7)
    figure.supxlabel("energy (meV)", fontsize=8)
    if path is not None:
        save_picture(figure, path)
    return figure


def measured_text(found: Sequence[MeasuredMaterial]) -> str:
    """A line for each prediction: average energy, where it ends, warnings, overlap with points."""
    lines = [f"{'':9} {'':9} {'mean (meV)':>10} {'99 % below':>11}  overlap with points, warnings"]
    for material in found:
        every = dict(material.spectra)
        if material.dfpt is not None:
            every["DFPT"] = material.dfpt
        for k, (name, spectrum) in enumerate(every.items()):
            notes = [type(w).__name__ for w in spectrum.warnings]
            if k == 0 and material.comparison is not None:
                notes.insert(0, f"overlap {material.comparison.overlap:.2f}")
            share = np.cumsum(spectrum.density) / spectrum.density.sum()
            end = float(spectrum.wavenumbers[np.searchsorted(share, 0.99)]) / _MEV
            lines.append(
                f"{material.formula if k == 0 else '':9} {name:9} "
                f"{spectrum.mean_wavenumber / _MEV:10.1f} {end:11.1f}  {', '.join(notes)}".rstrip()
            )
    return "\n".join(lines)


def _compared(spectrum: PhononSpectrum, points: Measurement) -> MeasurementComparison:
    weighting = "none" if spectrum.site_density is None else "neutron"
    return compare(spectrum, points, resolution=_RESOLUTION, unit="meV", weighting=weighting)


def _dfpt(data: Path, formula: str) -> PhononSpectrum | None:
    import pyarrow.parquet as pq

    ids = pq.read_table(data, columns=["id"], filters=[("formula", "=", formula)]).to_pydict()["id"]
    return reference_spectra(one_entry(data, ids[0]))[0] if ids else None
