"""Spectra to and from plain dictionaries (JSON)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np

from ase_e3dos import errors
from ase_e3dos.errors import E3DOSError, E3DOSWarning, SpectrumError
from ase_e3dos.spectrum.density import Densities
from ase_e3dos.spectrum.density_of_states import DensityOfStates
from ase_e3dos.spectrum.grid import FrequencyGrid
from ase_e3dos.spectrum.uncertainty import Calibration

Spectrum = TypeVar("Spectrum", bound=DensityOfStates)

FORMAT = "ase-e3dos spectrum 1"
_CRYSTAL = (
    "cell",
    "scaled_positions",
    "species_site",
    "species_number",
    "species_fraction",
    "species_mass",
)
_ARRAYS = ("density", "site_density", "density_std", "members", "log_displacements")


def spectrum_to_dict(spectrum: DensityOfStates) -> dict[str, Any]:
    """Everything in a spectrum as lists, numbers and strings, per cell.

    Parameters
    ----------
    spectrum : DensityOfStates

    Returns
    -------
    dict
        `units` states those of the arrays; `warnings` are dictionaries of category and message.
        Numbers that are not finite are None.
    """
    cell = spectrum.per_cell()
    crystal = {name: getattr(cell.crystal, name).tolist() for name in _CRYSTAL}
    data: dict[str, Any] = {
        "format": FORMAT,
        "units": {
            "wavenumbers": "cm^-1",
            "density": "states/THz per cell",
            "cell": "angstrom",
            "sound_velocity": "km/s",
            "log_displacements": "ln(angstrom^2)",
        },
        "formula": cell.crystal.formula,
        "crystal": {**crystal, "name": cell.crystal.name},
        "wavenumbers": cell.wavenumbers.tolist(),
        "model": cell.model,
        "weights": cell.weights,
        "version": cell.version,
        "label_like": cell.label_like,
        "sound_velocity": cell.sound_velocity,
        "instability": cell.instability,
        "warnings": [{"category": type(w).__name__, "message": str(w)} for w in cell.warnings],
        "origin": None if cell.origin is None else dict(cell.origin),
        "calibration": cell.calibration.to_dict() if cell.calibration else None,
    }
    for name in _ARRAYS:
        value = getattr(cell, name)
        data[name] = None if value is None else value.tolist()
    if cell.log_displacements is not None and not np.isfinite(cell.log_displacements).all():
        logs = cell.log_displacements.astype(object)
        logs[~np.isfinite(cell.log_displacements)] = None  # JSON has no NaN
        data["log_displacements"] = logs.tolist()
    return data


def spectrum_from_dict(data: Mapping[str, Any], kind: type[Spectrum]) -> Spectrum:
    """Spectrum of a class from `spectrum_to_dict`'s dictionary; SpectrumError if damaged.

    Parameters
    ----------
    data : mapping
        Of `spectrum_to_dict`.
    kind : type
        DensityOfStates or a class made of it.

    Returns
    -------
    DensityOfStates
        Of that kind.

    Raises
    ------
    SpectrumError
        If the dictionary is damaged, or of a format that this version does not read.
    """
    from ase_e3dos.structures.crystal import Crystal

    form = data.get("format") if isinstance(data, Mapping) else type(data).__name__
    if form != FORMAT:
        raise SpectrumError(
            f"This is not a spectrum that this version can read (format {form!r}, "
            f"not {FORMAT!r}). Write it again with `PhononSpectrum.write`."
        )
    try:
        arrays: dict[str, Any] = {name: np.array(data["crystal"][name]) for name in _CRYSTAL}
        crystal = Crystal(**arrays, name=data["crystal"]["name"])
        calibration, origin = data["calibration"], data.get("origin")
        grid = FrequencyGrid.of(data["wavenumbers"])
        total, sites = data["density"], data["site_density"]
        members, std = data["members"], data["density_std"]
        densities = Densities.of(grid, total, sites, members, std, crystal.n_sites, crystal.name)
        return kind(
            grid,
            densities.with_digits(total, sites, members, std),
            crystal=crystal,
            model=str(data["model"]),
            calibration=Calibration.from_dict(calibration) if calibration else None,
            log_displacements=data.get("log_displacements"),
            sound_velocity=data.get("sound_velocity"),
            instability=data.get("instability"),
            label_like=bool(data["label_like"]),
            weights=str(data.get("weights", "")),
            version=str(data.get("version", "")) or "of unknown version",
            warnings=tuple(_warning(w) for w in data.get("warnings", ())),
            origin=None if origin is None else dict(origin),
        )
    except E3DOSError:
        raise
    except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
        raise SpectrumError(
            f"The stored spectrum is damaged ({error!r}). Write it again with "
            "`PhononSpectrum.write`."
        ) from error


def _warning(stored: Mapping[str, Any]) -> E3DOSWarning:
    """A warning of its class, or of the base class where a plug-in's is not known."""
    category = getattr(errors, str(stored["category"]), None)
    if not (isinstance(category, type) and issubclass(category, E3DOSWarning)):
        category = E3DOSWarning
    return category(str(stored["message"]))
