"""Spectra as files that other programs read."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ase_e3dos.errors import MissingExtraError, SpectrumError
from ase_e3dos.export.json_file import write_json
from ase_e3dos.export.pymatgen import structure_of
from ase_e3dos.export.samples import samples
from ase_e3dos.export.tables import columns, write_columns, write_thermal_csv
from ase_e3dos.export.writing import writing
from ase_e3dos.spectrum.constants import constants
from ase_e3dos.spectrum.density_of_states import DensityOfStates


def write(
    spectrum: DensityOfStates, path: str | Path, kind: str | None = None, **options: Any
) -> None:
    """Write a spectrum as a file.

    Parameters
    ----------
    spectrum : DensityOfStates
    path : str or Path
    kind : str, optional
        What to write; if not given, the name decides:

        - "total_dos": `*.dat`, phonopy's total_dos.dat (THz, states/THz)
        - "projected_dos": `projected_dos*.dat`, phonopy's, a column for each site
        - "thermal_properties": `*.yaml`, phonopy's thermal_properties.yaml
        - "json": `*.json`, all of the spectrum (`PhononSpectrum.from_dict`)
        - "thermal_csv": `*thermal*.csv`, heat capacity, entropy and energies over temperature
        - "csv": other `*.csv`, cm^-1, THz, density, standard deviation, sites
        - "plot": `*.png`, `*.pdf`, `*.svg`, the figure of `plot_summary`
        - "page": `*.html`, the interactive figure of `ase_e3dos.export.page`
    **options
        Of the writer: temperatures for "thermal_properties" (`t_min`, `t_max`,
        `t_step`, ...) and "thermal_csv" (those or `temperatures`), figure options for "plot" and
        "page".

    Raises
    ------
    SpectrumError
        If it is not clear what to write.
    OutputError
        If the file cannot be written.
    """
    path = Path(path)
    kind = kind or _kind(path)
    if kind not in _WRITERS:
        raise SpectrumError(
            f"It is not clear what to write into {path.name!r}: name it *.dat, projected_dos.dat, "
            "*.yaml, *.json, *.csv, thermal*.csv, *.png, *.pdf, *.svg or *.html, or give "
            f"kind={'|'.join(_WRITERS)}."
        )
    with writing(path):
        _WRITERS[kind](spectrum, path, **options)


def write_total_dos(spectrum: DensityOfStates, path: str | Path) -> None:
    """Phonopy's total_dos.dat, with no sample at zero frequency.

    Parameters
    ----------
    spectrum : DensityOfStates
    path : str or Path
    """
    points = samples(spectrum)
    _write_columns(spectrum, path, [points.frequencies, points.density], "total")


def write_projected_dos(spectrum: DensityOfStates, path: str | Path) -> None:
    """Phonopy's projected_dos.dat: the frequency, then one column for each site.

    Parameters
    ----------
    spectrum : DensityOfStates
    path : str or Path
    """
    from ase_e3dos.export.phonopy import projected_dos

    sites = projected_dos(spectrum)
    _write_columns(spectrum, path, [sites.frequency_points, *sites.projected_dos], "sites")


def write_thermal_properties(spectrum: DensityOfStates, path: str | Path, **options: Any) -> None:
    """Phonopy's thermal_properties.yaml; options as in `ase_e3dos.export.phonopy`."""
    from ase_e3dos.export.phonopy import thermal_properties, write_yaml

    result = thermal_properties(spectrum, **options)
    volume = spectrum.crystal.volume if spectrum.normalization == "cell" else None
    write_yaml(result, path, spectrum, volume=volume)


def write_csv(spectrum: DensityOfStates, path: str | Path) -> None:
    """One row for each point of the grid, with a header that states units.

    Parameters
    ----------
    spectrum : DensityOfStates
    path : str or Path
    """
    write_columns(columns(spectrum), path)


def write_thermal_table(
    spectrum: DensityOfStates,
    path: str | Path,
    *,
    t_min: float = 0.0,
    t_max: float = 1000.0,
    t_step: float = 10.0,
    temperatures: ArrayLike | None = None,
) -> None:
    """One row for each temperature, with a header that states units; see `export.tables`."""
    from ase_e3dos.export.phonopy import phonopy_temperatures

    write_thermal_csv([spectrum], path, phonopy_temperatures(t_min, t_max, t_step, temperatures))


def emmet_dict(spectrum: DensityOfStates) -> dict[str, Any]:
    """Fields of emmet's `PhononDOS` document.

    Parameters
    ----------
    spectrum : DensityOfStates

    Returns
    -------
    dict
        `structure` (pymatgen's), `frequencies` (THz), `densities` (states/THz) and
        `projected_densities` (the same for each site; None without site densities).
    """
    points = samples(spectrum)
    sites = points.site_density
    return {
        "structure": structure_of(spectrum),
        "frequencies": points.frequencies.tolist(),
        "densities": points.density.tolist(),
        "projected_densities": None if sites is None else sites.tolist(),
    }


def euphonic_spectrum(spectrum: DensityOfStates) -> Any:
    """`euphonic.Spectrum1D` in meV, normalised to 3 per atom as euphonic does.

    Parameters
    ----------
    spectrum : DensityOfStates

    Returns
    -------
    euphonic.Spectrum1D

    Raises
    ------
    MissingExtraError
        If euphonic is not installed.
    """
    try:
        euphonic = import_module("euphonic")
    except ImportError as error:
        raise MissingExtraError(
            "Export to euphonic needs that package: pip install euphonic."
        ) from error
    points = samples(spectrum.per_atom())
    mev = constants().thz_to_ev * 1000.0
    return euphonic.Spectrum1D(
        points.frequencies * mev * euphonic.ureg("meV"),
        points.density / mev * euphonic.ureg("1/meV"),
        metadata={"label": spectrum.crystal.name, "model": spectrum.model},
    )


def _write_plot(spectrum: DensityOfStates, path: str | Path, **options: Any) -> None:
    from ase_e3dos.export.plots import plot_summary

    plot_summary([spectrum], path, **options)


def _write_page(spectrum: DensityOfStates, path: str | Path, **options: Any) -> None:
    from ase_e3dos.export.page import write_page

    write_page(spectrum, path, **options)


def _write_columns(
    spectrum: DensityOfStates, path: str | Path, columns: list[Any], what: str
) -> None:
    header = (
        f"# {what} phonon DoS of {spectrum.crystal.formula}: THz, states/THz per "
        f"{spectrum.normalization} ({spectrum.n_modes:g} modes), by {spectrum.provenance}\n"
    )
    rows = np.column_stack(columns)
    body = "".join("".join(f"{value:20.10f}" for value in row) + "\n" for row in rows)
    Path(path).write_text(header + body, encoding="utf-8")


def _kind(path: Path) -> str:
    name = path.name.lower()
    if name.endswith(".dat"):
        return "projected_dos" if "projected" in name or "pdos" in name else "total_dos"
    if name.endswith(".csv") and "thermal" in name:
        return "thermal_csv"
    kinds = {".yaml": "thermal_properties", ".yml": "thermal_properties"}
    kinds |= {".json": "json", ".csv": "csv", ".png": "plot", ".pdf": "plot", ".svg": "plot"}
    kinds |= {".html": "page", ".htm": "page"}
    return kinds.get(path.suffix.lower(), "")


_WRITERS: dict[str, Callable[..., None]] = {
    "total_dos": write_total_dos,
    "projected_dos": write_projected_dos,
    "thermal_properties": write_thermal_properties,
    "json": write_json,
    "csv": write_csv,
    "thermal_csv": write_thermal_table,
    "plot": _write_plot,
    "page": _write_page,
}
