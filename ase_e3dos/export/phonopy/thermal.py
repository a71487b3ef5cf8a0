"""Thermal properties of a spectrum by phonopy's own formulas, and its files of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from ase_e3dos.errors import SpectrumError
from ase_e3dos.export.phonopy.mesh import MESH_WEIGHT, SpectrumMesh
from ase_e3dos.export.phonopy.options import MOST_POINTS, is_number, known_options
from ase_e3dos.spectrum.density_of_states import DensityOfStates
from ase_e3dos.spectrum.grid import Array
from ase_e3dos.spectrum.thermal import (
    IMAGINARY_TOLERANCE,
    Acoustic,
    checked_temperatures,
    warn_of_low_temperatures,
)

if TYPE_CHECKING:
    from ase_e3dos.export.thermal_table import ThermalTable

__all__ = ["phonopy_temperatures", "thermal_properties", "write_yaml"]


def thermal_properties(
    spectrum: DensityOfStates,
    *,
    t_min: float = 0.0,
    t_max: float = 1000.0,
    t_step: float = 10.0,
    temperatures: Sequence[float] | ArrayLike | None = None,
    acoustic: Acoustic = "debye",
    **options: Any,
) -> ThermalTable:
    """`phonopy.phonon.thermal_properties.ThermalProperties`, run by phonopy's own formulas.

    Parameters
    ----------
    spectrum : DensityOfStates
    t_min, t_max, t_step : float
        Temperatures in K.
    temperatures : array_like, optional
        Temperatures in K instead.
    acoustic : {"debye", None}
        Repair of the density near zero (`ase_e3dos.spectrum.thermal`).
    **options
        Of `Phonopy.run_thermal_properties`: cutoff_frequency, pretend_real,
        band_indices, classical, exclude_gamma_acoustic (a spectrum has no modes
        at Gamma, so this one has no effect).

    Returns
    -------
    ase_e3dos.export.thermal_table.ThermalTable
        phonopy's `ThermalProperties` in kJ/mol and J/(K mol), with its `write_yaml` and `plot`,
        and `to_dataframe` and `to_csv` besides.

    Raises
    ------
    SpectrumError
        If there are no temperatures, or one is negative or not finite.
    """
    from ase_e3dos.export.thermal_table import ThermalTable

    cutoff = options.get("cutoff_frequency")
    if cutoff is not None and not is_number(cutoff):
        raise SpectrumError(
            f"cutoff_frequency={cutoff!r} is not a frequency. Give one in THz, or None for all "
            "modes."
        )
    asked = phonopy_temperatures(t_min, t_max, t_step, temperatures)
    mesh: Any = SpectrumMesh(spectrum, acoustic=acoustic)
    result = ThermalTable(mesh, **known_options(ThermalTable, options))
    result.spectrum = spectrum
    result.plain = acoustic == "debye" and not any(options.values())
    result.temperatures = asked
    warn_of_low_temperatures(spectrum.grid, asked, spectrum.crystal.name, 3)
    result.run()
    _count_modes(result, mesh, **options)
    return result


def _count_modes(
    result: Any,
    mesh: SpectrumMesh,
    pretend_real: bool = False,
    band_indices: Any = None,
    **_options: Any,
) -> None:
    """Count modes as on a mesh of equal weights, where phonopy's tools see three as none.

    `phonopy-qha` leaves out a volume of which more than three modes were not integrated. On a real
    mesh these are the acoustic ones at Gamma; here a share of imaginary modes that means nothing
    (`IMAGINARY_TOLERANCE`) is not counted.
    """
    modes = mesh.frequencies
    if band_indices is not None:
        modes = modes[:, np.hstack(band_indices).astype(np.int64)]
    missing = 1.0 - result.number_of_integrated_modes / result.number_of_modes
    imaginary = float(mesh.weights @ (modes < 0).mean(axis=1)) / MESH_WEIGHT
    if not pretend_real and imaginary <= IMAGINARY_TOLERANCE:
        missing -= imaginary
    result._num_modes = mesh.n_qpoints * modes.shape[1]
    result._num_integrated_modes = result._num_modes - round(missing * result._num_modes)


def phonopy_temperatures(
    t_min: float, t_max: float, t_step: float, temperatures: ArrayLike | None = None
) -> Array:
    """Temperatures (K) of phonopy's arguments.

    Parameters
    ----------
    t_min, t_max, t_step : float
        A range with both ends.
    temperatures : array_like, optional
        Instead of it.

    Returns
    -------
    ndarray, shape (n_temperatures,)
        K.

    Raises
    ------
    SpectrumError
        If none is given, or one is negative, not finite or beyond any crystal.
    """
    checked = checked_temperatures([t_min, t_max] if temperatures is None else temperatures)
    if temperatures is not None:
        return checked
    if not (is_number(t_step) and t_step > 0 and (t_max - t_min) / t_step < MOST_POINTS):
        raise SpectrumError(
            f"t_step={t_step!r} K from t_min={t_min!r} to t_max={t_max!r} gives no list of "
            "temperatures. Give a positive step that leaves at most a million of them."
        )
    return np.arange(t_min, max(t_max, t_min) + t_step / 2.0, t_step, dtype=np.float64)


def write_yaml(result: Any, filename: Any, spectrum: DensityOfStates, **options: Any) -> None:
    """Write a result of phonopy's as its YAML file, below lines that say what it is of.

    Parameters
    ----------
    result : phonopy.phonon.thermal_properties.ThermalProperties and others
    filename : str or Path
    spectrum : DensityOfStates
        What the result was made of.
    **options
        Of its `write_yaml`.
    """
    result.write_yaml(filename=filename, **options)
    path = Path(filename)
    body = path.read_text(encoding="utf-8").split("\n", 1)[1]  # phonopy's line says: a unit cell
    what = type(result).__name__
    title = "".join(f" {c.lower()}" if c.isupper() else c for c in what).strip().capitalize()
    head = f"# {title} of {spectrum.crystal.formula} per {spectrum.normalization}, predicted\n"
    path.write_text(f"{head}# {spectrum.provenance}\n{body}", encoding="utf-8")
