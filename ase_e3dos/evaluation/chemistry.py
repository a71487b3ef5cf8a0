"""Errors by kind of chemistry: classes of anion, and single elements."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

from ase_e3dos.evaluation.coverage import Coverage, coverage
from ase_e3dos.evaluation.predictions import Predictions, Section
from ase_e3dos.evaluation.reference import reference_spectra
from ase_e3dos.evaluation.stable_errors import stable_crystals
from ase_e3dos.phonon_spectrum import PhononSpectrum
from ase_e3dos.spectrum.uncertainty import INTERVAL_LEVEL
from ase_e3dos.structures.chemistry import anion_class
from ase_e3dos.structures.crystal import Crystal

Grouping = Literal["anion", "element"]
#: K.
ROOM = 300.0


def elements_of(crystal: Crystal) -> list[str]:
    """Symbols of the elements in a crystal, by atomic number."""
    from ase.data import chemical_symbols

    return [chemical_symbols[int(z)] for z in np.unique(crystal.species_number)]


_GROUPS: dict[Grouping, Callable[[Crystal], list[str]]] = {
    "anion": lambda crystal: [anion_class(crystal)],
    "element": elements_of,
}


def chemistry_sections(
    found: Predictions, grouping: Grouping, fewest: int = 5
) -> dict[str, Section]:
    """Errors and coverage of the stable crystals in each class of chemistry.

    Parameters
    ----------
    found : Predictions
        Of raw or site labels.
    grouping : {"anion", "element"}
        By `anion_class`, or by element (a crystal counts for each of its own).
    fewest : int, optional
        Classes with fewer stable crystals are left out.

    Returns
    -------
    dict
        For each class, the largest first: `n`; `Cv_atom`, mean absolute error of C_V(300 K) in
        J/(K mol) per atom; `S_median` and `S_bias`, median absolute and median signed relative
        error of S(300 K); `wbar_median` and `wbar_bias`, those of the average frequency;
        `cover90_Cv`, `cover90_S`, `cover90_wbar`, shares of the 90 % intervals that hold the
        reference, where the model has intervals; `warned`, the share with a warning.
    """
    chosen = stable_crystals(found)
    stable = Predictions(
        found.model, found.labelled.subset(chosen), [found.spectra[i] for i in chosen]
    )
    if not len(chosen):
        return {}
    references = reference_spectra(stable.labelled)
    pairs = list(zip(stable.spectra, references, strict=True))
    groups: dict[str, list[int]] = {}
    for k, crystal in enumerate(stable.labelled.crystals):
        for name in _GROUPS[grouping](crystal):
            groups.setdefault(name, []).append(k)
    rows = coverage(stable)
    ordered = sorted(groups.items(), key=lambda item: -len(item[1]))
    return {
        name: _section([pairs[k] for k in index], _held(rows, index))
        for name, index in ordered
        if len(index) >= fewest
    }


def _section(pairs: list[tuple[PhononSpectrum, PhononSpectrum]], held: Section) -> Section:
    capacity = [
        abs(p.heat_capacity(ROOM) - y.heat_capacity(ROOM)) / y.crystal.n_sites for p, y in pairs
    ]
    entropy = np.array([p.entropy(ROOM) / y.entropy(ROOM) - 1 for p, y in pairs])
    mean = np.array([p.mean_wavenumber / y.mean_wavenumber - 1 for p, y in pairs])
    return {
        "n": float(len(pairs)),
        "Cv_atom": float(np.mean(capacity)),
        "S_median": float(np.median(np.abs(entropy))),
        "S_bias": float(np.median(entropy)),
        "wbar_median": float(np.median(np.abs(mean))),
        "wbar_bias": float(np.median(mean)),
        **held,
        "warned": float(np.mean([bool(p.warnings) for p, _ in pairs])),
    }


def _held(rows: Sequence[Coverage], index: list[int]) -> Section:
    """Shares of the crystals at `index` whose intervals hold the reference."""
    names = {"heat_capacity": "Cv", "entropy": "S", "mean_wavenumber": "wbar"}
    section: Section = {}
    for row in rows:
        if (
            row.quantity in names
            and row.temperature in (ROOM, 0.0)
            and INTERVAL_LEVEL in row.covered
        ):
            inside = row.errors[index] <= row.half_widths[index]
            section[f"cover90_{names[row.quantity]}"] = float(inside.mean())
    return section
