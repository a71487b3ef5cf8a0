"""The JSON files of Petretto et al., Sci. Data 5, 180065 (2018), figshare collection 3938023.

One file a material: `metadata.material_id`, `metadata.structure` (CIF), `phonon.dos_frequencies`
(cm^-1), `phonon.ph_dos` (states/cm^-1), `flags`, `thermodynamic` (per mole of formula units).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ase_e3dos.data.importers.json_files import json_contents
from ase_e3dos.data.importers.records import rejecting
from ase_e3dos.data.importers.structures import crystal_of_record
from ase_e3dos.data.labelled_file import LabelledEntry, Reject
from ase_e3dos.structures.crystal import Crystal

_FLAGS = ("has_neg_fr", "small_q_neg_fr", "large_asr_break", "large_cnsr_break")
_THERMAL = {"heat_capacity_300K": "heat_capacity", "entropy_300K": "entropy"}


def read(paths: Sequence[Path]) -> Iterator[LabelledEntry | Reject]:
    """Entries of the files."""
    for name, record in json_contents(paths):
        yield record if isinstance(record, Reject) else _entry(name, record)


@rejecting
def _entry(name: str, record: Any) -> LabelledEntry | Reject:
    try:
        metadata, phonon = record["metadata"], record["phonon"]
        identity = str(metadata.get("material_id", name))
        frequencies = np.asarray(phonon["dos_frequencies"], dtype=float)
        density = np.asarray(phonon["ph_dos"], dtype=float)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        return Reject(name, f"not a file of this collection (no {error})")
    crystal = crystal_of_record(identity, metadata.get("structure", record.get("structure")))
    if isinstance(crystal, Reject):
        return crystal
    if frequencies.ndim != 1 or len(frequencies) < 11 or density.shape != frequencies.shape:
        return Reject(identity, "a spectrum without a grid")
    steps = np.diff(frequencies)
    step = float(steps.mean())
    if np.abs(steps - step).max() > 1e-3 * abs(step):
        return Reject(identity, "a grid that is not uniform")
    density = scaled_to_modes(density, step, crystal.n_sites)
    flags = record.get("flags") or {}
    scalars: dict[str, Any] = {
        f"flag_{k}": bool(flags[k]) for k in _FLAGS if flags.get(k) is not None
    }
    scalars |= _thermal(record.get("thermodynamic"), crystal)
    return LabelledEntry(
        identity, crystal, density, float(frequencies[0]), step, scalars, f"{name}.json"
    )


def scaled_to_modes(density: np.ndarray, step: float, n_sites: int) -> np.ndarray:
    """Densities per cell as they are; those normalised to three or to one are scaled to 3N.

    Anything else is left alone, for the check of the integral to reject.
    """
    integral = float(density.sum() * step)
    for usual in (3.0, 1.0):
        if abs(integral / usual - 1) < 0.05:
            return np.asarray(density * (3 * n_sites / integral))
    return density


def _thermal(record: Any, crystal: Crystal) -> dict[str, float]:
    """Values at 300 K per mole of cells; the files have them per mole of formula units."""
    if not isinstance(record, Mapping):
        return {}
    temperatures = np.asarray(record.get("temperatures", []), dtype=float)
    at = np.flatnonzero(np.abs(temperatures - 300.0) < 1e-6)
    if not len(at):
        return {}
    counts = np.unique(crystal.numbers, return_counts=True)[1]
    units = float(np.gcd.reduce(counts))
    return {
        column: units * float(record[key][at[0]])
        for column, key in _THERMAL.items()
        if key in record
    }
