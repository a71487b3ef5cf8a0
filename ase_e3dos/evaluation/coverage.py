"""Whether intervals hold what they promise: coverage, widths, and errors against spreads."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ase_e3dos.evaluation.predictions import Predictions
from ase_e3dos.evaluation.quantities import member_spread, quantity_values
from ase_e3dos.evaluation.reference import imaginary_shares, reference_spectra
from ase_e3dos.phonon_spectrum import PhononSpectrum
from ase_e3dos.prediction.trust import IMAGINARY_LIMIT
from ase_e3dos.spectrum.grid import Array
from ase_e3dos.spectrum.uncertainty import THERMAL

REPORTED_LEVELS = (0.5, 0.68, 0.9, 0.95)
TEMPERATURES = (20.0, 100.0, 300.0, 600.0)
_DRAWS = 100


@dataclass(frozen=True)
class Coverage:
    """Intervals of one quantity at one temperature.

    Attributes
    ----------
    quantity, temperature
        What; K (zero for the average frequency).
    covered : dict of float to float
        Share of the crystals whose reference lies in the interval, by level.
    width : float
        Median full width of the 90 % interval, per atom: J/(K mol), kJ/mol or cm^-1.
    rank_correlation : float
        Spearman's, between absolute error and predicted half width, per atom.
    rank_of_cells : float
        The same for values of the cell, as `PhononSpectrum.interval` gives them: sizes of cells
        differ, and errors and widths grow with them.
    rank_attainable : float
        What `rank_correlation` is on average where errors are normal with these very widths: the
        most that widths of this variety can reach, since an error is one draw of what they say.
    errors, half_widths : ndarray
        Absolute errors, and half widths of the 90 % intervals (or of the highest level below
        that the calibration supports), per atom, shape (n,).
    """

    quantity: str
    temperature: float
    covered: dict[float, float]
    width: float
    rank_correlation: float
    rank_of_cells: float
    rank_attainable: float
    errors: Array
    half_widths: Array

    def row(self) -> dict[str, float]:
        """The numbers without the arrays."""
        levels = {f"cover{100 * level:.0f}": share for level, share in self.covered.items()}
        return {
            **levels,
            "width90": self.width,
            "rank": self.rank_correlation,
            "rank_cell": self.rank_of_cells,
            "rank_attainable": self.rank_attainable,
        }


def coverage(found: Predictions) -> list[Coverage]:
    """Coverage of the calibrated intervals of an ensemble, against whole spectra.

    Intervals speak for crystals that are stable: references with more than 1 % of their modes
    imaginary are left out, whose thermal properties lack those modes.

    Returns
    -------
    list of Coverage
        For heat capacity, entropy and free energy at 20, 100, 300 and 600 K, and the average
        frequency; empty for a model without ensemble or calibration.
    """
    if not found.spectra or any(s.members is None or s.calibration is None for s in found.spectra):
        return []
    stable = np.flatnonzero(imaginary_shares(found.labelled) <= IMAGINARY_LIMIT)
    if not len(stable):
        return []
    spectra = [found.spectra[i] for i in stable]
    found = Predictions(found.model, found.labelled.subset(stable), spectra)
    reference = reference_spectra(found.labelled)
    asked = [(quantity, t) for quantity in THERMAL for t in TEMPERATURES]
    return [_coverage(found, reference, q, t) for q, t in [*asked, ("mean_wavenumber", 0.0)]]


def _coverage(
    found: Predictions, reference: list[PhononSpectrum], quantity: str, temperature: float
) -> Coverage:
    calibration = found.spectra[0].calibration
    assert calibration is not None
    at = temperature or 300.0
    spread = np.array([member_spread(s, quantity, at) for s in found.spectra])
    covariates = np.array([s.error_covariates for s in found.spectra], dtype=float)
    predicted, true = (
        np.array([quantity_values(s, quantity, at) for s in spectra])
        for spectra in (found.spectra, reference)
    )
    error = np.abs(predicted - true)
    # Few held-out crystals cannot support the highest levels.
    highest = min(s.levels[-1] for s in calibration.spreads[quantity].values())
    half = {
        level: calibration.half_width(
            quantity, spread, level=level, temperature=at, covariates=covariates, value=predicted
        )
        for level in REPORTED_LEVELS
        if level <= highest
    }
    widest = half[max(half, key=lambda level: level if level <= 0.9 else 0.0)]
    extensive = quantity in THERMAL
    sizes = np.array([s.crystal.n_sites if extensive else 1 for s in found.spectra])
    return Coverage(
        quantity,
        temperature,
        {level: float((error <= width).mean()) for level, width in half.items()},
        float(np.median(2 * half[0.9])) if 0.9 in half else np.nan,
        _rank_correlation(error, widest),
        _rank_correlation(error * sizes, widest * sizes),
        rank_attainable(widest),
        error,
        widest,
    )


def rank_attainable(widths: Array) -> float:
    """Spearman's correlation of widths and of the size of normal errors with them, on average.

    Parameters
    ----------
    widths : ndarray, shape (n,)
        Half widths of intervals of one level.

    Returns
    -------
    float
        Mean over `_DRAWS` draws of n errors, the same each time; NaN for equal widths.
    """
    draws = np.abs(np.random.default_rng(0).standard_normal((_DRAWS, len(widths))))
    return float(np.mean([_rank_correlation(draw * widths, widths) for draw in draws]))


def _rank_correlation(errors: Array, widths: Array) -> float:
    from scipy.stats import spearmanr

    varied = len(errors) > 2 and float(np.ptp(widths)) > 0
    return float(spearmanr(errors, widths).statistic) if varied else float("nan")
