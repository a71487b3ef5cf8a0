"""Errors of displacement parameters, and the error model behind their intervals.

References are the displacement tensors that a data file gives, or else the U_iso of its site
spectra: crystals of site-labelled data whose formulas were left out of training. The errors are
those of ln U_iso, which are alike for stiff and soft crystals. Sites of one formula are not
independent, so formulas stay together wherever data are divided.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ase_e3dos.data.labels import DEFAULT_GRID
from ase_e3dos.errors import TrainingError
from ase_e3dos.evaluation.coverage import REPORTED_LEVELS
from ase_e3dos.evaluation.predictions import Predictions, Section
from ase_e3dos.phonon_spectrum import PhononSpectrum
from ase_e3dos.spectrum.displacement_tensors import DISPLACEMENT_TEMPERATURES, tensors_from_logs
from ase_e3dos.spectrum.grid import Array
from ase_e3dos.spectrum.spread_fit import fit_spread
from ase_e3dos.spectrum.thermal import IMAGINARY_TOLERANCE
from ase_e3dos.spectrum.uncertainty import Spread

#: K; zero-point motion to the classical limit.
TEMPERATURES = (0.0, 25.0, 50.0, 100.0, 200.0, 300.0, 600.0, 1000.0)
REPORTED = (100.0, 300.0, 600.0)
#: Sites drawn from each formula, with replacement.
_SITES_PER_FORMULA = 16
#: Divisions into halves whose coverage is averaged.
_REPEATS = 10


@dataclass(frozen=True)
class DisplacementErrors:
    """Errors of ln U_iso of sites, and what the ensemble thinks of them.

    Attributes
    ----------
    temperatures : tuple of float
        K, shape (n_temperatures,).
    residuals, stds : ndarray
        ln U_iso, predicted minus reference, and its standard deviation over the members, shape
        (n_sites, n_temperatures).
    formulas : ndarray
        Of each site's crystal, shape (n_sites,).
    covariates : ndarray
        `error_covariates` of each site's crystal but for the number of its sites, shape
        (n_sites, n_covariates).
    """

    temperatures: tuple[float, ...]
    residuals: Array
    stds: Array
    formulas: np.ndarray[tuple[Any, ...], np.dtype[np.str_]]
    covariates: Array

    def of(self, formulas: np.ndarray[tuple[Any, ...], np.dtype[np.str_]]) -> DisplacementErrors:
        """The sites of some formulas."""
        keep = np.isin(self.formulas, formulas)
        return DisplacementErrors(
            self.temperatures,
            self.residuals[keep],
            self.stds[keep],
            self.formulas[keep],
            self.covariates[keep],
        )

    def spreads(self, seed: int = 0) -> dict[float, Spread]:
        """Error model at each temperature; every formula counts alike.

        Raises
        ------
        SpectrumError
            There are fewer than ten formulas.
        """
        rng = np.random.default_rng(seed)
        drawn = np.array(
            [
                rng.choice(np.flatnonzero(self.formulas == f), _SITES_PER_FORMULA)
                for f in np.unique(self.formulas)
            ]
        )
        # The sites of a formula stay together; where it has several crystals, the first speaks.
        of_formula = self.covariates[drawn[:, 0]]
        return {
            t: fit_spread(self.residuals[drawn, k], self.stds[drawn, k], of_formula)
            for k, t in enumerate(self.temperatures)
        }


def displacement_errors(
    found: Predictions, temperatures: Sequence[float] = TEMPERATURES
) -> DisplacementErrors:
    """Errors for the crystals of a site-labelled set whose reference is stable.

    Parameters
    ----------
    found : Predictions
        Predictions with site spectra and members, for site labels.
    temperatures : sequence of float, optional
        K.

    Raises
    ------
    TrainingError
        The labels are not of sites, the model gives no site spectra or has one member, or no
        reference is stable.
    """
    if found.labelled.kind != "site":
        raise TrainingError(
            f"displacements need site spectra, and the labels of {found.labelled.source!r} are "
            f"{found.labelled.kind}. Use a file with the column site_dos."
        )
    if any(s.site_density is None or s.members is None for s in found.spectra):
        raise TrainingError(
            f"the model {found.model!r} has no site spectra or no ensemble, so that there is no "
            "displacement or no error bar. Use an ensemble of the network 'site'."
        )
    t = np.asarray(temperatures, dtype=float)
    tensors = found.labelled.log_displacements
    if tensors is not None:
        t = t[np.isin(t, DISPLACEMENT_TEMPERATURES)]
    residuals, stds, formulas, covariates = [], [], [], []
    for k, (spectrum, formula) in enumerate(
        zip(found.spectra, found.labelled.formulas, strict=True)
    ):
        reference = _reference(found, k, t)
        if reference is None:
            continue
        value = spectrum.u_iso(t)
        residuals.append(np.log(value / reference))
        stds.append(spectrum.u_iso_std(t) / value)
        formulas += [formula] * len(value)
        covariates += [spectrum.covariates_per_atom] * len(value)
    if not formulas:
        raise TrainingError(f"no crystal of {found.labelled.source!r} is stable.")
    return DisplacementErrors(
        tuple(map(float, t)),
        np.concatenate(residuals),
        np.concatenate(stds),
        np.array(formulas),
        np.array(covariates),
    )


def _reference(found: Predictions, k: int, temperatures: Array) -> Array | None:
    """U_iso of the sites of crystal k, (n_sites, n_temperatures); None if unstable or unknown."""
    tensors = found.labelled.log_displacements
    if tensors is not None:
        logs = tensors[k]
        if logs is None:
            return None
        chosen = np.searchsorted(DISPLACEMENT_TEMPERATURES, temperatures)
        return np.asarray(np.trace(tensors_from_logs(logs[:, chosen]), axis1=-2, axis2=-1) / 3)
    bins, crystal = found.labelled.bins[k], found.spectra[k].crystal
    reference = PhononSpectrum(DEFAULT_GRID, site_density=bins, crystal=crystal)
    if reference.imaginary_fraction > IMAGINARY_TOLERANCE:
        return None
    return np.asarray(reference.u_iso(temperatures))


def displacement_section(errors: DisplacementErrors, temperature: float) -> Section:
    """Errors at one temperature, and whether error bars hold what they promise.

    Parameters
    ----------
    errors : DisplacementErrors
    temperature : float
        K, one of `errors.temperatures`.

    Returns
    -------
    dict
        `median`, `q90`: of |ln U/U_ref|. `bias`: median of ln U/U_ref. `spread90`: share of sites
        within 1.645 standard deviations of the ensemble, which is not a calibrated interval.
        `cover50` to `cover95`: of intervals fitted on half of the formulas, on the sites of the
        other half, mean over ten divisions. `factor90`: median of the factor between an end of
        the 90 % interval and U_iso. `rank`: Spearman's correlation of error and half width.
    """
    from scipy.stats import spearmanr

    k = errors.temperatures.index(temperature)
    size, std = np.abs(errors.residuals[:, k]), errors.stds[:, k]
    names = np.unique(errors.formulas)
    covered: dict[float, list[float]] = {level: [] for level in REPORTED_LEVELS}
    factors: list[float] = []
    for seed in range(_REPEATS):
        order = np.random.default_rng(seed).permutation(len(names))
        halves = names[order[: len(names) // 2]], names[order[len(names) // 2 :]]
        spread = errors.of(halves[0]).spreads(seed)[temperature]
        other = errors.of(halves[1])
        for level in REPORTED_LEVELS:
            half = spread.half_width(other.stds[:, k], level, other.covariates)
            covered[level].append(float((np.abs(other.residuals[:, k]) <= half).mean()))
        wide = spread.half_width(other.stds[:, k], 0.9, other.covariates)
        factors += np.exp(wide).tolist()
    return {
        "n_sites": float(len(size)),
        "n_formulas": float(len(names)),
        "median": float(np.median(size)),
        "q90": float(np.quantile(size, 0.9)),
        "bias": float(np.median(errors.residuals[:, k])),
        "spread90": float((size <= 1.645 * std).mean()),
        **{f"cover{100 * level:.0f}": float(np.mean(c)) for level, c in covered.items()},
        "factor90": float(np.median(factors)),
        "rank": float(spearmanr(size, std).statistic),
    }


def displacement_coverage(found: Predictions) -> dict[float, Section]:
    """What the model's own intervals of U_iso cover, sites of one formula counting as one.

    Parameters
    ----------
    found : Predictions
        As for `displacement_errors`.

    Returns
    -------
    dict
        Temperature -> `cover50`, `cover68`, `cover90`, `cover95`; `factor90`, the median of the
        factor between an end of the 90 % interval and U_iso; `rank`, Spearman's correlation of
        error and half width over the formulas' means. Empty for a model without such intervals.
    """
    from scipy.stats import spearmanr

    from ase_e3dos.analysis.displacements import QUANTITY

    calibration = found.spectra[0].calibration if found.spectra else None
    known = {} if calibration is None else calibration.spreads.get(QUANTITY, {})
    errors = displacement_errors(found, REPORTED)
    names, index = np.unique(errors.formulas, return_inverse=True)
    sites = np.bincount(index)
    rows: dict[float, Section] = {}
    for k, t in enumerate(errors.temperatures):
        if t not in known:
            continue
        size = np.abs(errors.residuals[:, k])
        half = {
            level: known[t].half_width(errors.stds[:, k], level, errors.covariates)
            for level in REPORTED_LEVELS
        }
        error, width = (np.bincount(index, v) / sites for v in (size, half[0.9]))
        rows[t] = {
            "n_formulas": float(len(names)),
            **{
                f"cover{100 * level:.0f}": float((np.bincount(index, size <= h) / sites).mean())
                for level, h in half.items()
            },
            "factor90": float(np.median(np.exp(width))),
            "rank": float(spearmanr(error, width).statistic),
        }
    return rows
