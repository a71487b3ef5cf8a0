"""Reference spectra: raw and site labels as PhononSpectrum objects, to be compared."""

from __future__ import annotations

import numpy as np

from ase_e3dos.data.labelled_set import LabelledSet
from ase_e3dos.data.labels import DEFAULT_GRID
from ase_e3dos.errors import DataError
from ase_e3dos.phonon_spectrum import PhononSpectrum

#: Raw spectra of stable crystals reach a little below zero by their smearing alone.
SMEARED_BELOW = -5.0


def reference_spectra(labelled: LabelledSet) -> list[PhononSpectrum]:
    """The raw spectra of a labelled set.

    Weight between -5 cm^-1 and zero is smearing, not instability, and is counted as real: it is
    moved to the mirrored positive frequency.

    Parameters
    ----------
    labelled : LabelledSet
        With raw or site labels.

    Raises
    ------
    DataError
        The labels are of another kind.
    """
    if labelled.kind == "site":
        return [
            PhononSpectrum(DEFAULT_GRID, site_density=bins, crystal=crystal, model="reference")
            for crystal, bins in zip(labelled.crystals, labelled.bins, strict=True)
        ]
    if labelled.raw is None:
        raise DataError(
            f"thermal properties and band edges need whole spectra, but the {labelled.kind} "
            f"labels of {labelled.source!r} are sampled. Use a file with the column dos_per_cm1 "
            "or site_dos."
        )
    spectra = []
    for crystal, (start, step, values) in zip(labelled.crystals, labelled.raw, strict=True):
        grid = start + step * np.arange(len(values))
        density = values.copy()
        smeared = np.flatnonzero((grid < 0) & (grid >= SMEARED_BELOW))
        for k in smeared:
            density[int(np.argmin(np.abs(grid + grid[k])))] += density[k]
            density[k] = 0.0
        spectra.append(PhononSpectrum(grid, density, crystal=crystal, model="reference"))
    return spectra


def imaginary_shares(labelled: LabelledSet) -> np.ndarray:
    """Share of the modes below -5 cm^-1 in each raw or site-resolved spectrum, shape (n,)."""
    stated = labelled.reference.get("imaginary_fraction")
    if stated is not None:
        return np.asarray(stated, dtype=float)
    return np.array([s.imaginary_fraction for s in reference_spectra(labelled)])
