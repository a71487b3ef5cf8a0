"""Calibrated error bars: fitted on predictions for crystals that the networks never saw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ase_e3dos.analysis.displacements import QUANTITY
from ase_e3dos.data.labelled_set import SLOWEST_SOUND
from ase_e3dos.errors import TrainingError
from ase_e3dos.evaluation.displacement_errors import displacement_errors
from ase_e3dos.evaluation.predictions import Predictions
from ase_e3dos.evaluation.quantities import member_spread
from ase_e3dos.evaluation.reference import reference_spectra
from ase_e3dos.phonon_spectrum import PhononSpectrum
from ase_e3dos.spectrum.constants import constants
from ase_e3dos.spectrum.grid import Array
from ase_e3dos.spectrum.spread_fit import fit_spread
from ase_e3dos.spectrum.uncertainty import RELATIVE, SOUND, THERMAL, Calibration, Spread

TEMPERATURES = (50.0, 100.0, 200.0, 300.0, 450.0, 600.0, 1000.0)
#: Where errors of heat capacity and entropy are calibrated as shares of the values, K.
RELATIVE_TEMPERATURES = (10.0, 20.0, 35.0, 50.0, 100.0)
#: Share of the crystals like the training data that pass without a warning of disagreement.
AGREEING_SHARE = 0.99
_BINS_PER_CRYSTAL = 32


@dataclass(frozen=True)
class CalibratedModel:
    """Error model of an ensemble, and the disagreement beyond which it warns.

    Attributes
    ----------
    calibration : Calibration
        For the weights header.
    disagreement : float
        99th percentile of the relative spread of the average frequency.
    """

    calibration: Calibration
    disagreement: float


def fit_calibration(
    predicted: Sequence[PhononSpectrum],
    reference: Sequence[PhononSpectrum],
    temperatures: Sequence[float] = TEMPERATURES,
    source: str = "",
    weights: ArrayLike | None = None,
    aside: ArrayLike | None = None,
) -> CalibratedModel:
    """Fit the error model of an ensemble.

    Parameters
    ----------
    predicted : sequence of PhononSpectrum
        Of crystals that the ensemble was not trained on, each with members.
    reference : sequence of PhononSpectrum
        The true spectra of the same crystals.
    temperatures : sequence of float, optional
        K, for heat capacity, entropy and free energy.
    source : str, optional
        What the crystals are, for the record.
    weights, aside : array_like, shape (n,), optional
        As for `ase_e3dos.spectrum.fit_spread`.

    Raises
    ------
    TrainingError
        The lists differ in length, or a spectrum has no members.
    """
    if len(predicted) != len(reference) or not predicted:
        raise TrainingError(
            f"a calibration needs a reference for each prediction; got {len(predicted)} and "
            f"{len(reference)}."
        )
    lonely = [s.crystal.name for s in predicted if s.members is None]
    if lonely:
        raise TrainingError(
            f"{lonely[0]}: the prediction has no ensemble behind it, so there is nothing to "
            "calibrate. Train at least two members for each fold."
        )
    counted = _Counted(
        np.ones(len(predicted)) if weights is None else np.asarray(weights, dtype=float),
        np.zeros(len(predicted), dtype=bool) if aside is None else np.asarray(aside, dtype=bool),
    )
    covariates = _covariates(predicted)
    spreads: dict[str, dict[float, Spread]] = {}
    for quantity in (*THERMAL, "mean_wavenumber"):
        known = tuple(temperatures) if quantity in THERMAL else (0.0,)
        residuals, stds = _residuals(predicted, reference, quantity, known)
        spreads[quantity] = {
            t: fit_spread(residuals[:, k], stds[:, k], covariates, **vars(counted))
            for k, t in enumerate(known)
        }
    if not predicted[0].label_like:
        for quantity, relative in RELATIVE.items():
            at = RELATIVE_TEMPERATURES
            values = _per_atom(predicted, quantity, at)
            residuals, stds = (x / values for x in _residuals(predicted, reference, quantity, at))
            spreads[relative] = {
                t: fit_spread(residuals[:, k], stds[:, k], covariates, **vars(counted))
                for k, t in enumerate(at)
            }
        spreads["density"] = {0.0: _fit_density(predicted, reference, counted)}
    own = [s for s, other in zip(predicted, counted.aside, strict=True) if not other]
    apart = [s.spread("mean_wavenumber") / max(abs(s.mean_wavenumber), 1.0) for s in own]
    limit = float(np.quantile(apart, AGREEING_SHARE))
    return CalibratedModel(Calibration(spreads, source), limit)


def with_displacements_and_sound(model: CalibratedModel, found: Predictions) -> CalibratedModel:
    """The error model with those of displacements and of sound velocities beside the others.

    Parameters
    ----------
    model : CalibratedModel
        What `fit_calibration` gave.
    found : Predictions
        Predictions for crystals with site labels that the network never saw.
    """
    spreads = {**model.calibration.spreads, QUANTITY: displacement_errors(found).spreads()}
    known = found.labelled.sound_velocity
    if known is not None:
        rows = [
            (np.log(s.sound_velocity / v), s.relative_spread, s)
            for s, v in zip(found.spectra, known.tolist(), strict=True)
            if v > SLOWEST_SOUND and s.sound_velocity is not None
        ]
        if rows:
            residuals, stds, predicted = zip(*rows, strict=True)
            spreads[SOUND] = {0.0: fit_spread(residuals, stds, _covariates(predicted))}
    return replace(model, calibration=replace(model.calibration, spreads=spreads))


@dataclass(frozen=True)
class _Counted:
    """How much crystals count, and those whose labels are of another method."""

    weights: Array
    aside: NDArray[np.bool_]


def _residuals(
    predicted: Sequence[PhononSpectrum],
    reference: Sequence[PhononSpectrum],
    quantity: str,
    temperatures: tuple[float, ...],
) -> tuple[Array, Array]:
    """Errors of a quantity and its spreads over the members, per atom, (n, n_temperatures)."""
    if quantity not in THERMAL:
        residuals = [
            [p.mean_wavenumber - y.mean_wavenumber]
            for p, y in zip(predicted, reference, strict=True)
        ]
        return np.array(residuals), np.array([[p.spread(quantity)] for p in predicted])

    stds = [p.spread(quantity, temperature=temperatures) / p.crystal.n_sites for p in predicted]
    values, true = (_per_atom(s, quantity, temperatures) for s in (predicted, reference))
    return values - true, np.array(stds)


def _per_atom(
    spectra: Sequence[PhononSpectrum], quantity: str, temperatures: tuple[float, ...]
) -> Array:
    """A thermal property per atom, shape (n, n_temperatures)."""
    return np.array([getattr(s, quantity)(temperatures) / s.crystal.n_sites for s in spectra])


def _covariates(predicted: Sequence[PhononSpectrum]) -> Array:
    """`covariates_per_atom` of spectra, shape (n, n_covariates)."""
    return np.array([p.covariates_per_atom for p in predicted])


def _fit_density(
    predicted: Sequence[PhononSpectrum], reference: Sequence[PhononSpectrum], counted: _Counted
) -> Spread:
    """Error model of single bins, those that hold a percent of the highest density or more.

    Per atom, as all of them, so that crystals of many sites do not set the width for all.
    """
    rng = np.random.default_rng(0)
    residuals: list[Array] = []
    spreads: list[Array] = []
    pairs = zip(predicted, reference, strict=True)
    for p, y in ((p.per_atom(), y.per_atom()) for p, y in pairs):
        filled = np.flatnonzero(p.density > 0.01 * p.density.max())
        bins = rng.choice(filled, _BINS_PER_CRYSTAL)
        truth = y.on_grid(p.wavenumbers) * constants().thz_to_cm
        residuals.append((p.density - truth)[bins])
        spreads.append(np.asarray(p.spread("density"))[bins])
    return fit_spread(np.array(residuals), np.array(spreads), **vars(counted))


def transferred(
    model: CalibratedModel,
    fitted: Sequence[PhononSpectrum],
    shipped: Sequence[PhononSpectrum],
) -> CalibratedModel:
    """Error model for another ensemble than the ones whose residuals it was fitted to.

    Members of other kinds or in another number scatter more or less for the same error. Their
    spreads are measured in units of their own medians, which takes no labels.

    Parameters
    ----------
    model : CalibratedModel
        What was fitted.
    fitted, shipped : sequence of PhononSpectrum
        Predictions for the same crystals by an ensemble that it was fitted to, and by the other
        one.
    """
    relative = _relative_spread(shipped) / max(_relative_spread(fitted), 1e-12)
    spreads: dict[str, dict[float, Spread]] = {}
    for quantity, by_temperature in model.calibration.spreads.items():
        spreads[quantity] = {}
        for t, spread in by_temperature.items():
            old, new = (_typical_spread(s, quantity, t or 300.0) for s in (fitted, shipped))
            exponent = spread.exponents[0] if spread.exponents else 0.0
            spreads[quantity][t] = replace(
                spread,
                a=spread.a * relative**-exponent,
                unit=spread.unit * (new / old if old > 0 and new > 0 else 1.0),
            )
    means = [_typical_spread(s, "mean_wavenumber", 300.0) for s in (fitted, shipped)]
    return CalibratedModel(
        replace(model.calibration, spreads=spreads),
        model.disagreement * (means[1] / means[0] if means[0] > 0 else 1.0),
    )


def _relative_spread(spectra: Sequence[PhononSpectrum]) -> float:
    return float(np.median([np.asarray(s.error_covariates)[0] for s in spectra]))


def _typical_spread(spectra: Sequence[PhononSpectrum], quantity: str, temperature: float) -> float:
    if quantity == SOUND:
        return float(np.median([s.relative_spread for s in spectra]))
    for absolute, relative in RELATIVE.items():
        if quantity == relative:
            at = (temperature,)
            stds = [member_spread(s, absolute, temperature) for s in spectra]
            return float(np.median(stds / _per_atom(spectra, absolute, at)[:, 0]))
    if quantity == "density":
        atoms = [s.per_atom() for s in spectra]
        filled = [s.density > 0.01 * s.density.max() for s in atoms]
        bins = [np.asarray(s.spread("density"))[k] for s, k in zip(atoms, filled, strict=True)]
        return float(np.median(np.concatenate(bins)))
    return float(np.median([member_spread(s, quantity, temperature) for s in spectra]))


def calibrate(folds: Sequence[Predictions], source: str = "") -> CalibratedModel:
    """Fit the error model on the out-of-fold predictions of a cross-validation."""
    predicted = [s for fold in folds for s in fold.spectra]
    reference = [s for fold in folds for s in reference_spectra(fold.labelled)]
    return fit_calibration(predicted, reference, source=source)
