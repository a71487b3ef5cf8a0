"""Band gap, band width and last peak of spectra, and how well they are predicted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from ase_e3dos.evaluation.predictions import Predictions, Section
from ase_e3dos.evaluation.reference import reference_spectra
from ase_e3dos.phonon_spectrum import PhononSpectrum

_STEP = 10.0
_GRID = np.arange(5.0, 4400.0, _STEP)
#: A gap is a range of at least this width (cm^-1) ...
MINIMUM_GAP = 40.0
#: ... in which the density stays below this share of its maximum.
GAP_DENSITY = 0.05
#: Peaks lower than this share of the maximum do not count.
PEAK_HEIGHT = 0.1


@dataclass(frozen=True)
class BandEdges:
    """What stands out in one spectrum; in cm^-1.

    Attributes
    ----------
    width : float
        Frequency below which 99 % of the modes lie.
    last_peak : float
        Highest peak frequency of the smoothed spectrum, by peaks of at least a tenth of the
        highest one.
    gap : float
        Width of the widest gap; zero where there is none of `MINIMUM_GAP`.
    """

    width: float
    last_peak: float
    gap: float


def band_edges(spectrum: PhononSpectrum) -> BandEdges:
    """Measure one spectrum, averaged over bins of 10 cm^-1."""
    density = spectrum.on_grid(_GRID)
    cumulative = np.cumsum(density) / density.sum()
    top = int(np.searchsorted(cumulative, 0.99))
    before = cumulative[top - 1] if top else 0.0
    share = (0.99 - before) / max(cumulative[top] - before, 1e-12)
    width = _GRID[top] - _STEP / 2 + share * _STEP
    return BandEdges(float(width), _last_peak(spectrum), _gap(density, cumulative))


def _last_peak(spectrum: PhononSpectrum) -> float:
    # Smoothed by a Gaussian of 10 cm^-1: a polynomial filter would ring beyond the band's end.
    grid = np.arange(2.5, 4400.0, 5.0)
    density = gaussian_filter1d(spectrum.on_grid(grid), 2.0)
    inner = density[1:-1]
    high = inner >= PEAK_HEIGHT * density.max()
    where = np.flatnonzero((inner >= density[:-2]) & (inner > density[2:]) & high)
    return float(grid[1:-1][where[-1]] if len(where) else grid[int(density.argmax())])


def _gap(density: np.ndarray, cumulative: np.ndarray) -> float:
    # Between the first and the last percent of the modes: what lies outside is not a gap.
    first, last = np.searchsorted(cumulative, [0.01, 0.99])
    empty = density[first:last] < GAP_DENSITY * density.max()
    longest = run = 0
    for is_empty in empty:
        run = run + 1 if is_empty else 0
        longest = max(longest, run)
    return longest * _STEP if longest * _STEP >= MINIMUM_GAP else 0.0


def band_edge_errors(found: Predictions) -> Section:
    """Errors of band edges against the raw spectra.

    Returns
    -------
    dict
        Mean and median absolute errors of `width` and `last_peak` (cm^-1); of the gaps
        (at least 40 cm^-1 wide), `gap_precision` and `gap_recall`, and `gap`, the mean absolute
        error of the width where the reference has one.
    """
    predicted = [band_edges(s) for s in found.spectra]
    reference = [band_edges(s) for s in reference_spectra(found.labelled)]
    section: Section = {}
    for name in ("width", "last_peak"):
        p = np.array([getattr(e, name) for e in predicted])
        y = np.array([getattr(e, name) for e in reference])
        section[name] = float(np.abs(p - y).mean())
        section[f"{name}_median"] = float(np.median(np.abs(p - y)))
    p, y = np.array([e.gap for e in predicted]), np.array([e.gap for e in reference])
    both = float(((p > 0) & (y > 0)).sum())
    section["gap_n"] = float((y > 0).sum())
    section["gap_precision"] = both / max(float((p > 0).sum()), 1.0)
    section["gap_recall"] = both / max(float((y > 0).sum()), 1.0)
    if (y > 0).any():
        section["gap"] = float(np.abs(p - y)[y > 0].mean())
    return section
