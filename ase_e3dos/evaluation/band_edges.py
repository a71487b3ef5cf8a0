"""Upper edges, last peaks and gaps of spectra, and how well they are predicted."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ase_e3dos.analysis.descriptors import descriptor_columns
from ase_e3dos.data.labels import DEFAULT_GRID
from ase_e3dos.evaluation.predictions import Predictions, Section
from ase_e3dos.evaluation.reference import reference_spectra
from ase_e3dos.phonon_spectrum import PhononSpectrum
from ase_e3dos.spectrum.grid import Array, FrequencyGrid

#: Compared of the descriptors; all in cm^-1.
EDGES = ("upper_edge", "last_peak")


def band_edges(spectra: Iterable[PhononSpectrum]) -> dict[str, Array]:
    """Descriptors of spectra, all of them averaged over the bins of `default` (10 cm^-1).

    Parameters
    ----------
    spectra : iterable of PhononSpectrum
        On any grids: n of them.

    Returns
    -------
    dict
        `upper_edge`, `last_peak` and `largest_gap` as `ase_e3dos.analysis.descriptors.describe`
        has them, in cm^-1, shape (n,) each.
    """
    densities = np.array([s.on_grid(DEFAULT_GRID) for s in spectra])
    columns = descriptor_columns(FrequencyGrid.of(DEFAULT_GRID), densities)
    return {name: columns[name] for name in (*EDGES, "largest_gap")}


def band_edge_errors(found: Predictions) -> Section:
    """Errors of band edges against the raw spectra.

    Returns
    -------
    dict
        Mean and median absolute errors of `upper_edge` and `last_peak` (cm^-1); of the gaps
        (at least 15 cm^-1 wide), `gap_precision` and `gap_recall`, and `gap`, the mean absolute
        error of the width where the reference has one.
    """
    predicted = band_edges(found.spectra)
    reference = band_edges(reference_spectra(found.labelled))
    section: Section = {}
    for name in EDGES:
        error = np.abs(predicted[name] - reference[name])
        section[name] = float(np.nanmean(error))
        section[f"{name}_median"] = float(np.nanmedian(error))
    p, y = predicted["largest_gap"], reference["largest_gap"]
    both = float(((p > 0) & (y > 0)).sum())
    section["gap_n"] = float((y > 0).sum())
    section["gap_precision"] = both / max(float((p > 0).sum()), 1.0)
    section["gap_recall"] = both / max(float((y > 0).sum()), 1.0)
    if (y > 0).any():
        section["gap"] = float(np.abs(p - y)[y > 0].mean())
    return section
