"""Fit of an error model on held-out crystals, by cross-conformal prediction.

The scale's a and exponents (`ase_e3dos.spectrum.uncertainty`) are fitted on held-out crystals; the
factor of a level is the conformal quantile of |residual| / scale, each crystal's scale fitted
without its fifth of them, so that coverage holds for new crystals drawn as these were, however
wrong the form of the scale is (Vovk, Ann. Math. Artif. Intell. 74, 9 (2015)).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ase_e3dos.errors import SpectrumError
from ase_e3dos.spectrum.grid import Array
from ase_e3dos.spectrum.uncertainty import Spread

#: Levels whose factors are kept.
CALIBRATED_LEVELS = (0.5, 0.6, 0.68, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99)
#: Parts that held-out crystals are divided into: the scale of one is fitted on the others.
_PARTS = 5
#: Range of each covariate's exponent: the first two never narrow an interval. Those of chemistry
#: all have the last one.
_BOUNDS = ((0.0, 1.5), (0.0, 1.5), (-0.75, 0.25), (-4.0, 2.0))
_BOUND_OF_CHEMISTRY = (-1.0, 1.5)
#: Of the squares of exponents, against the mean logarithm of the likelihood.
_PENALTY = 1e-3
#: The same of chemistry times the number of crystals: the factor of a kind is near one, within
#: exp(0.55) either way, before a crystal is seen.
_PENALTY_OF_CHEMISTRY = 1.65


def fit_spread(
    residuals: ArrayLike,
    stds: ArrayLike,
    covariates: ArrayLike | None = None,
    *,
    weights: ArrayLike | None = None,
    aside: ArrayLike | None = None,
    levels: Sequence[float] = CALIBRATED_LEVELS,
    seed: int = 0,
) -> Spread:
    """Fit the error model of one quantity on held-out crystals.

    Parameters
    ----------
    residuals : array_like, shape (n_crystals,) or (n_crystals, n_bins)
        Prediction minus reference, per atom. With bins, a crystal's bins stay
        together in one fifth.
    stds : array_like, same shape
        Standard deviation of the ensemble's members, per atom.
    covariates : array_like, shape (n_crystals, n_covariates), optional
        `error_covariates` of the predictions; without them the scale depends on the spread alone.
    weights : array_like, shape (n_crystals,), optional
        How much each crystal counts; all alike if not given.
    aside : array_like of bool, shape (n_crystals,), optional
        Crystals with labels of another method: they say how errors depend on spread and
        covariates, but their own factor of the scale is dropped, and no level's factor is theirs.
    levels : sequence of float
        Levels of probability; those that so few crystals cannot support are left out.
    seed : int
        Of the division into fifths.

    Returns
    -------
    Spread

    Raises
    ------
    SpectrumError
        If there are fewer than 10 crystals or values are not finite.
    """
    r, s = np.asarray(residuals, dtype=np.float64), np.asarray(stds, dtype=np.float64)
    logs = (
        np.zeros((len(r), 0)) if covariates is None else np.log(np.asarray(covariates, dtype=float))
    )
    w = np.ones(len(r)) if weights is None else np.asarray(weights, dtype=np.float64)
    other = np.zeros(len(r), dtype=bool) if aside is None else np.asarray(aside, dtype=bool)
    finite = all(np.isfinite(values).all() for values in (r, s, logs, w))
    alike = r.shape == s.shape and len(logs) == len(w) == len(other) == len(r)
    if not alike or len(r) - other.sum() < 10 or not finite:
        raise SpectrumError(
            "A calibration needs finite residuals, member spreads and covariates of one length, "
            f"for at least 10 crystals; got shapes {r.shape}, {s.shape} and {logs.shape}."
        )
    parts = np.array_split(np.random.default_rng(seed).permutation(len(r)), _PARTS)
    scores = np.zeros(r.shape)
    for part in parts:
        some = np.setdiff1d(np.arange(len(r)), part)
        fitted = _fit_scale(np.abs(r[some]), s[some], logs[some], w[some], other[some])
        of_part = None if covariates is None else np.exp(logs[part])
        scores[part] = np.abs(r[part]) / fitted.scale(s[part], of_part)
    kept, factors = _quantiles(scores[~other], w[~other], sorted(levels))
    fitted = _fit_scale(np.abs(r), s, logs, w, other)
    return replace(fitted, levels=kept, factors=factors, n=int((~other).sum()))


def _quantiles(
    scores: Array, weights: Array, levels: Sequence[float]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Levels that so many scores support, and for each the score that so much weight is up to.

    With equal weights the factor of a level is the score of rank (n + 1) times the level.
    """
    every = np.broadcast_to(weights.reshape(-1, *(1,) * (scores.ndim - 1)), scores.shape).ravel()
    order = np.argsort(scores.ravel(), kind="stable")
    up_to = np.cumsum(every[order]) / every.sum()
    effective = every.sum() ** 2 / (every**2).sum()
    wanted = {level: level * (effective + 1) / effective - 1e-9 for level in levels}
    kept = tuple(level for level in levels if wanted[level] <= 1.0)
    at = [min(int(np.searchsorted(up_to, wanted[level])), len(order) - 1) for level in kept]
    return kept, tuple(float(scores.ravel()[order[k]]) for k in at)


def _fit_scale(r: Array, s: Array, logs: Array, w: Array, aside: NDArray[np.bool_]) -> Spread:
    """Most likely scale if residuals follow Laplace's law, heavy tails being usual.

    The negative logarithm of the likelihood is convex in the logarithm of a and the exponents.
    """
    from scipy.optimize import minimize

    unit, size = float(np.median(s[~aside])), max(float(r[~aside].mean()), 1e-12)
    shape = (len(r), *(1,) * (r.ndim - 1))
    known = [*logs.T, aside.astype(np.float64)] if aside.any() else [*logs.T]
    columns = [np.broadcast_to(column.reshape(shape), r.shape).ravel() for column in known]
    log_s = np.log(np.hypot(0.5, s / unit)) if unit > 0 else np.zeros(r.shape)
    x = np.column_stack([np.ones(r.size), log_s.ravel(), *columns])
    y = r.ravel() / size
    share = np.broadcast_to(w.reshape(shape), r.shape).ravel()
    share = share / share.sum()
    penalty = np.full(x.shape[1], _PENALTY)
    penalty[2 + len(_BOUNDS) : 2 + logs.shape[1]] = _PENALTY_OF_CHEMISTRY / len(r)
    penalty[0] = 0.0

    def loss(c: Array) -> tuple[float, Array]:
        relative = y * np.exp(-x @ c)
        value = share @ (x @ c + relative) + penalty @ c**2
        gradient = x.T @ (share * (1 - relative)) + 2 * penalty * c
        return float(value), gradient

    of_chemistry = (_BOUND_OF_CHEMISTRY,) * (logs.shape[1] - len(_BOUNDS))
    bounds = [(None, None), (0.0, 1.5), *_BOUNDS[: logs.shape[1]], *of_chemistry]
    bounds += [(None, None)] * (x.shape[1] - len(bounds))
    c = minimize(loss, np.zeros(x.shape[1]), jac=True, method="L-BFGS-B", bounds=bounds).x
    exponents = tuple(map(float, c[2 : 2 + logs.shape[1]]))
    return Spread(size * float(np.exp(c[0])), float(c[1]), (), (), 0, unit, exponents)
