"""How well imaginary modes are predicted: errors by sign, and stability as a yes or no."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ase_e3dos.evaluation.predictions import Predictions, Section
from ase_e3dos.evaluation.reference import imaginary_shares
from ase_e3dos.prediction.trust import IMAGINARY_LIMIT, PROBABLY_UNSTABLE

Array = NDArray[np.float64]

#: Share of imaginary modes below which a reference counts as having none.
_NONE = 1e-3
#: Resamples of the interval of the ROC area.
_RESAMPLES = 2000


@dataclass(frozen=True, eq=False)
class Stability:
    """Predicted and reference spectra below and above zero, and the verdicts drawn from them.

    Attributes
    ----------
    model : str
        Its name.
    formulas : list of str
        Of the n crystals.
    wavenumbers : ndarray, shape (n_points,)
        Grid in cm^-1: 61 points from -200 for raw labels, that of the labels for others.
    predicted, reference : ndarray, shape (n, n_points)
        Spectra, each divided by its maximum.
    predicted_share, reference_share : ndarray, shape (n,)
        Share of the modes that are imaginary; that of the prediction by its own grid.
    instability : ndarray or None
        Predicted probability of more than 1 % of imaginary modes, shape (n,); None for a model
        without it.
    """

    model: str
    formulas: list[str]
    wavenumbers: Array
    predicted: Array
    reference: Array
    predicted_share: Array
    reference_share: Array
    instability: Array | None = None

    @property
    def negative(self) -> NDArray[np.bool_]:
        """Which points of the grid lie below zero, shape (n_points,)."""
        return self.wavenumbers < 0

    @property
    def unstable(self) -> NDArray[np.bool_]:
        """Crystals with more than 1 % of their modes imaginary, shape (n,)."""
        return self.reference_share > IMAGINARY_LIMIT

    def squared_errors(self) -> tuple[Array, Array]:
        """Mean squared error of each crystal below zero, and from zero on, shape (n,) each."""
        squared = (self.predicted - self.reference) ** 2
        return squared[:, self.negative].mean(axis=1), squared[:, ~self.negative].mean(axis=1)

    def order(self) -> NDArray[np.int64]:
        """Crystals by the mean of the reference below zero, largest first (figures S8 to S10)."""
        mean = self.reference[:, self.negative].mean(axis=1)
        return np.argsort(-mean, kind="stable")

    def section(self) -> Section:
        """The numbers of `stability_errors`."""
        negative, positive = self.squared_errors()
        nothing = (self.reference[:, self.negative] ** 2).mean()
        called = self.predicted_share > IMAGINARY_LIMIT
        score = self.predicted_share
        if self.instability is not None:
            called, score = called | (self.instability > PROBABLY_UNSTABLE), self.instability
        hits = float((self.unstable & called).sum())
        section = {
            "MSE_negative": float(negative.mean()),
            "MSE_positive": float(positive.mean()),
            "MSE_negative_median": float(np.median(negative)),
            "MSE_positive_median": float(np.median(positive)),
            "MSE_negative_of_nothing": float(nothing),
            "n_unstable": float(self.unstable.sum()),
            "precision": hits / max(float(called.sum()), 1.0),
            "recall": hits / max(float(self.unstable.sum()), 1.0),
        }
        if 0 < self.unstable.sum() < len(self.unstable):
            section["roc_area"] = roc_area(score, self.unstable)
            low, high = roc_interval(score, self.unstable)
            section |= {"roc_low": low, "roc_high": high}
        stable = self.reference_share < _NONE
        if stable.any():
            section["leak"] = float(self.predicted_share[stable].mean())
        return section


def stability(found: Predictions) -> Stability | None:
    """Spectra by sign and verdicts, or None for a model without imaginary modes.

    Parameters
    ----------
    found : Predictions
        Predictions for any labels.
    """
    if found.spectra[0].wavenumbers[0] >= 0:
        return None
    grid, predicted, reference = found.on_label_grid(imaginary=True)
    if found.labelled.kind in ("raw", "site"):
        true_share = imaginary_shares(found.labelled)
    else:
        true_share = reference[:, grid < 0].sum(axis=1) / reference.sum(axis=1)
    share = np.array([s.imaginary_fraction for s in found.spectra])
    odds = [s.instability for s in found.spectra]
    # Of crystals that have no probability their share speaks.
    score = [o if o is not None else float(x) for o, x in zip(odds, share, strict=True)]
    return Stability(
        found.model,
        found.labelled.formulas,
        grid,
        predicted / predicted.max(axis=1, keepdims=True),
        reference / reference.max(axis=1, keepdims=True),
        share,
        true_share,
        np.array(score) if any(o is not None for o in odds) else None,
    )


def stability_errors(found: Predictions) -> Section:
    """Errors below and above zero, and of the verdict "has imaginary modes".

    A crystal counts as unstable with more than 1 % of its modes imaginary.

    Parameters
    ----------
    found : Predictions
        Predictions of a model whose grid reaches below zero.

    Returns
    -------
    dict
        `MSE_negative`, `MSE_positive` of max-normalised spectra on each side of zero (raw
        labels: 61 points), their medians over the crystals, and `MSE_negative_of_nothing`, the
        error below zero of a prediction that has no imaginary modes; `n_unstable`; `precision`
        and `recall` of the verdict (that of the warning); `roc_area` of the predicted probability,
        or else of the imaginary share, as a score, with a 95 %
        bootstrap interval from `roc_low` to `roc_high`; `leak`, the mean imaginary share
        predicted for crystals that have none; empty for a model without imaginary modes.
    """
    verdicts = stability(found)
    return {} if verdicts is None else verdicts.section()


def roc_area(score: ArrayLike, positive: ArrayLike) -> float:
    """Area under the receiver operating characteristic.

    The probability that a positive case has the higher score than a negative one, ties
    counting half (Mann and Whitney).

    Parameters
    ----------
    score : array_like
        Shape (n,).
    positive : array_like
        Boolean, shape (n,); both values must occur.
    """
    from scipy.stats import rankdata

    values, mask = np.asarray(score, dtype=float), np.asarray(positive, dtype=bool)
    n_positive, n_negative = int(mask.sum()), int((~mask).sum())
    ranks = rankdata(values)
    above = ranks[mask].sum() - n_positive * (n_positive + 1) / 2
    return float(above / (n_positive * n_negative))


def roc_interval(
    score: ArrayLike, positive: ArrayLike, level: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Bootstrap interval of `roc_area`, positive and negative cases drawn apart.

    Parameters
    ----------
    score : array_like
        Shape (n,).
    positive : array_like
        Boolean, shape (n,); both values must occur.
    level : float, optional
        Probability of the interval.
    seed : int, optional
        Of the resamples.
    """
    values, mask = np.asarray(score, dtype=float), np.asarray(positive, dtype=bool)
    high, low = values[mask], values[~mask]
    rng = np.random.default_rng(seed)
    drawn_as_positive = np.arange(len(values)) < len(high)
    areas = [
        roc_area(
            np.concatenate([rng.choice(high, len(high)), rng.choice(low, len(low))]),
            drawn_as_positive,
        )
        for _ in range(_RESAMPLES)
    ]
    tail = (1.0 - level) / 2
    return float(np.quantile(areas, tail)), float(np.quantile(areas, 1.0 - tail))


def verdict_curves(score: ArrayLike, positive: ArrayLike) -> tuple[Array, Array, Array, Array]:
    """Verdicts at every threshold, from the strictest to the loosest.

    Parameters
    ----------
    score : array_like
        Shape (n,).
    positive : array_like
        Boolean, shape (n,); both values must occur.

    Returns
    -------
    thresholds : ndarray, shape (n_thresholds,)
        The different scores, falling; "score >= threshold" is the verdict.
    false_positive_rate, recall, precision : ndarray, shape (n_thresholds,)
    """
    values, mask = np.asarray(score, dtype=float), np.asarray(positive, dtype=bool)
    order = np.argsort(-values, kind="stable")
    last = np.flatnonzero(np.append(np.diff(values[order]) != 0, True))  # ties fall together
    hits = np.cumsum(mask[order])[last].astype(float)
    alarms = np.cumsum(~mask[order])[last].astype(float)
    return values[order][last], alarms / (~mask).sum(), hits / mask.sum(), hits / (hits + alarms)
