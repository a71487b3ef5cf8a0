"""Columns of a screening's Parquet shards, with their units."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

    from ase_e3dos.screening.settings import ScreenSettings

FORMAT = "ase-e3dos-screen/1"

#: Columns that hold one value for each temperature.
THERMAL_COLUMNS = (
    "heat_capacity_per_atom",
    "heat_capacity_per_cell",
    "specific_heat",
    "entropy_per_cell",
    "free_energy_per_cell",
    "uncertainty",
    "entropy_uncertainty",
    "free_energy_uncertainty",
)

#: Column with a calibrated 90 % interval -> column with half its width.
ERROR_BARS = {
    "heat_capacity_per_atom": "uncertainty",
    "entropy_per_cell": "entropy_uncertainty",
    "free_energy_per_cell": "free_energy_uncertainty",
    "mean_wavenumber": "mean_wavenumber_uncertainty",
}

#: Column -> (kind, unit, description), in order.
COLUMNS: dict[str, tuple[str, str, str]] = {
    "id": ("text", "", "what the input calls the structure; unique for each model"),
    "formula": ("text", "", "reduced formula"),
    "n_sites": ("count", "", "sites in the cell given"),
    "density": (
        "density",
        "states/THz",
        "total phonon density of states of the cell on the model's grid; its trapezoid integral "
        "over the frequencies in THz is 3 n_sites",
    ),
    "mean_wavenumber": ("number", "cm^-1", "mean over all modes, imaginary ones negative"),
    "heat_capacity_per_atom": ("thermal", "J/(K mol)", "at constant volume, per mole of atoms"),
    "heat_capacity_per_cell": ("thermal", "J/(K mol)", "at constant volume, per mole of cells"),
    "specific_heat": ("thermal", "J/(kg K)", "heat capacity at constant volume per mass"),
    "entropy_per_cell": ("thermal", "J/(K mol)", "vibrational entropy per mole of cells"),
    "free_energy_per_cell": (
        "thermal",
        "kJ/mol",
        "vibrational Helmholtz energy per mole of cells, zero-point energy included",
    ),
    "zero_point_energy_per_cell": ("number", "kJ/mol", "of the real modes, per mole of cells"),
    "imaginary_fraction": ("number", "", "share of the modes with imaginary frequency"),
    "instability": (
        "number",
        "",
        "probability that more than 1 % of the modes are imaginary; null where the model does not "
        "give it",
    ),
    "uncertainty": (
        "thermal",
        "J/(K mol)",
        "half width of the calibrated 90 % interval of heat_capacity_per_atom; null where the "
        "model has no ensemble or no calibration",
    ),
    "entropy_uncertainty": ("thermal", "J/(K mol)", "the same of entropy_per_cell"),
    "free_energy_uncertainty": ("thermal", "kJ/mol", "the same of free_energy_per_cell"),
    "mean_wavenumber_uncertainty": ("number", "cm^-1", "the same of mean_wavenumber"),
    "average_mass": ("number", "amu", "((1/N) sum over sites of sqrt(mass))^2"),
    "minimum_mass": ("number", "amu", "of the lightest site"),
    "warnings": ("texts", "", "what is unusual about the structure or its prediction"),
    "error": ("text", "", "why there is no prediction; null where there is one"),
    "model": ("text", "", "name of the model"),
    "model_hash": ("text", "", "of weights, source, encoder and ensemble"),
    "content": ("text", "", "hash of the crystal"),
    "numbers": ("counts", "", "atomic number of each site; this and the next two are null where "
                "sites are mixed or masses are not the standard ones"),
    "cell": ("numbers", "Å", "lattice vectors, one after the other"),
    "positions_frac": ("numbers", "", "three for each site, in units of the lattice vectors"),
}  # fmt: skip


@cache
def schema(single_temperature: bool = True) -> pa.Schema:
    """The schema without its metadata; thermal columns are lists for several temperatures."""
    import pyarrow as pa

    number = pa.float64()
    kinds = {
        "text": pa.string(),
        "texts": pa.list_(pa.string()),
        "count": pa.int32(),
        "number": number,
        "thermal": number if single_temperature else pa.list_(number),
        "density": pa.list_(pa.float32()),
        "counts": pa.list_(pa.int32()),
        "numbers": pa.list_(number),
    }
    return pa.schema(
        [
            pa.field(name, kinds[kind], metadata={"unit": unit, "description": text})
            for name, (kind, unit, text) in COLUMNS.items()
        ]
    )


def metadata(settings: ScreenSettings) -> dict[bytes, bytes]:
    """What the shards of a run say about themselves, under the key `ase_e3dos`."""
    from ase_e3dos.version import __version__

    start, step, n = settings.grid
    content: dict[str, Any] = {
        "format": FORMAT,
        "version": __version__,
        "model": settings.model_name,
        "weights": settings.weights_digest,
        "model_hash": settings.model_hash,
        "uncertainty": settings.uncertainty,
        "encoder": settings.encoder,
        "temperatures_K": list(settings.temperatures),
        "grid": {"start": start, "step": step, "n": n, "unit": "cm^-1"},
        "normalization": "density: states/THz per cell, integral over THz = 3 n_sites; imaginary "
        "modes at negative wavenumbers, left out of thermal properties",
        "columns": {
            name: {"unit": unit, "description": text} for name, (_, unit, text) in COLUMNS.items()
        },
    }
    return {b"ase_e3dos": json.dumps(content).encode()}
