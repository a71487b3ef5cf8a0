"""Spectra as files that other programs read."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from ase_e3dos.errors import MissingExtraError, SpectrumError, UnreadableFileError
from ase_e3dos.export.pymatgen import structure_of
from ase_e3dos.export.samples import samples
from ase_e3dos.export.tables import columns
from ase_e3dos.export.writing import writing
from ase_e3dos.spectrum.constants import constants
from ase_e3dos.spectrum.density_of_states import DensityOfStates
from ase_e3dos.spectrum.serialization import spectrum_to_dict
from ase_e3dos.structures.json_text import parse_json


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
        - "csv": `*.csv`, cm^-1, THz, density, standard deviation, sites
        - "plot": `*.png`, `*.pdf`, `*.svg`, the figure of `plot_summary`
    **options
        Of the writer: temperatures for "thermal_properties" (`t_min`, `t_max`,
        `t_step`, ...), figure options for "plot".

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
            f"*.yaml, *.json, *.csv, *.png, *.pdf or *.svg, or give kind={'|'.join(_WRITERS)}."
        )
    with writing(path):
        _WRITERS[kind](spectrum, path, **options)


def read_json(path: str | Path) -> Any:
    """What a JSON file that `write` wrote holds; `PhononSpectrum.read` makes a spectrum of it.

    Raises
    ------
    UnreadableFileError
        If the file cannot be opened.
    SpectrumError
        If it is not such a file.
    """
    try:
        return parse_json(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UnreadableFileError(
            f"{path}: the file cannot be opened ({error.strerror or error}). Check the path."
        ) from error
    except ValueError as error:
        raise SpectrumError(
            f"{path}: this is not a JSON file ({error}). Write it again with "
            "`PhononSpectrum.write`."
        ) from error


def write_total_dos(spectrum: DensityOfStates, path: str | Path) -> None:
    """Phonopy's total_dos.dat, with no sample at zero frequency."""
    points = samples(spectrum)
    _write_columns(spectrum, path, [points.frequencies, points.density], "total")


def write_projected_dos(spectrum: DensityOfStates, path: str | Path) -> None:
    """Phonopy's projected_dos.dat: the frequency, then one column for each site."""
    from ase_e3dos.export.phonopy import projected_dos

    sites = projected_dos(spectrum)
    _write_columns(spectrum, path, [sites.frequency_points, *sites.projected_dos], "sites")


def write_thermal_properties(spectrum: DensityOfStates, path: str | Path, **options: Any) -> None:
    """Phonopy's thermal_properties.yaml; options as in `ase_e3dos.export.phonopy`."""
    from ase_e3dos.export.phonopy import thermal_properties, write_yaml

    result = thermal_properties(spectrum, **options)
    volume = spectrum.crystal.volume if spectrum.normalization == "cell" else None
    write_yaml(result, path, spectrum, volume=volume)


def write_json(spectrum: DensityOfStates, path: str | Path) -> None:
    """All of the spectrum, for `PhononSpectrum.read`."""
    Path(path).write_text(json.dumps(spectrum_to_dict(spectrum)) + "\n", encoding="utf-8")


def write_csv(spectrum: DensityOfStates, path: str | Path) -> None:
    """One row for each point of the grid, with a header that states units."""
    table = columns(spectrum)
    np.savetxt(
        path,
        np.column_stack(list(table.values())),
        fmt="%.8g",
        delimiter=",",
        header=",".join(table),
        comments="",
    )


def emmet_dict(spectrum: DensityOfStates) -> dict[str, Any]:
    """Fields of emmet's `PhononDOS` document.

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
    kinds = {".yaml": "thermal_properties", ".yml": "thermal_properties"}
    kinds |= {".json": "json", ".csv": "csv", ".png": "plot", ".pdf": "plot", ".svg": "plot"}
    return kinds.get(path.suffix.lower(), "")


_WRITERS: dict[str, Callable[..., None]] = {
    "total_dos": write_total_dos,
    "projected_dos": write_projected_dos,
    "thermal_properties": write_thermal_properties,
    "json": write_json,
    "csv": write_csv,
    "plot": _write_plot,
}
