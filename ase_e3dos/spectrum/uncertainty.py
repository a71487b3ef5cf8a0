"""Calibrated intervals from the spread of an ensemble, by cross-conformal prediction.

The half width of an interval per atom is `factor(level) * scale`, with the scale
a * (s / s_0)^b * prod_k x_k^c_k, where s is the standard deviation of the
ensemble's members and the x_k are covariates that do not depend on the
quantity (`error_covariates`); the last of them stand for kinds of chemistry, e where one applies
and 1 where not, so that their exponents are logarithms of factors. a, b and c are fitted on
held-out crystals; the factor of a level is the conformal quantile of |residual| / scale, each
crystal's scale fitted without its fifth of them, so that coverage holds for new crystals drawn as
these were, however wrong the form of the scale is (Vovk, Ann. Math. Artif. Intell. 74, 9 (2015)).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ase_e3dos.errors import SpectrumError, shortly
from ase_e3dos.spectrum.grid import Array, FrequencyGrid
from ase_e3dos.structures.chemistry import chemistry_of
from ase_e3dos.structures.crystal import Crystal
from ase_e3dos.structures.json_text import parse_json

#: Quantities that are calibrated per temperature; the others hold for all.
THERMAL = ("heat_capacity", "entropy", "free_energy")
#: Name of the error model of the logarithm of the sound velocity.
SOUND = "log_sound_velocity"
#: Parts that held-out crystals are divided into: the scale of one is fitted on the others.
_PARTS = 5
#: Levels whose factors are kept, and the one that is shown where none is asked for.
CALIBRATED_LEVELS = (0.5, 0.6, 0.68, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99)
INTERVAL_LEVEL = 0.9


#: What `error_covariates` gives first, in this order; kinds of chemistry follow.
COVARIATES = (
    "relative spread of the spectrum",
    "imaginary weight",
    "sites",
    "average frequency",
)


def error_covariates(
    grid: FrequencyGrid,
    members: ArrayLike,
    n_sites: ArrayLike,
    crystals: Sequence[Crystal] | None = None,
) -> Array:
    """What errors depend on besides the spread of a quantity over the members.

    Parameters
    ----------
    grid : FrequencyGrid
    members : array_like, shape (..., n_members, n)
        Densities by the members, in any unit.
    n_sites : array_like, shape (...)
        Sites of each crystal.
    crystals : sequence of Crystal, optional
        The crystals, of which there is one for each of the leading axis; what the errors depend on
        besides is then in further columns.

    Returns
    -------
    ndarray, shape (..., 4), or (n_crystals, 4 + n_kinds) with crystals
        Each positive and of order one: the mean Wasserstein distance of the members from
        their mean over the average frequency (in units of 2 %), the imaginary weight (in units
        of 1 %, and 1 added), the number of sites (in units of 5), and the average frequency (in
        units of 200 cm^-1); then e for each kind of `ase_e3dos.structures.chemistry.CHEMISTRY`
        that applies to the crystal, and 1 for the others.
    """
    shares = np.asarray(members, dtype=np.float64) * grid.trapezoid
    shares = shares / np.maximum(shares.sum(axis=-1, keepdims=True), 1e-300)
    mean = shares.mean(axis=-2)
    apart = np.abs(np.cumsum(shares - mean[..., None, :], axis=-1)).sum(axis=-1).mean(axis=-1)
    average = np.maximum(mean @ grid.wavenumbers, 10.0)
    imaginary = mean[..., grid.wavenumbers < 0].sum(axis=-1)
    covariates = np.stack(
        [
            np.maximum(apart * grid.step / average, 1e-3) / 0.02,
            1.0 + imaginary / 0.01,
            np.asarray(n_sites, dtype=np.float64) / 5.0,
            average / 200.0,
        ],
        axis=-1,
    )
    if crystals is None:
        return covariates
    return np.concatenate([covariates, np.exp(chemistry_of(crystals).astype(np.float64))], axis=-1)


@dataclass(frozen=True, slots=True)
class Spread:
    """Error model of one quantity at one temperature, per atom.

    Attributes
    ----------
    a : float
        Scale of the residuals where spread and covariates are one in their units.
    b : float
        Exponent of the ensemble's spread.
    unit : float
        Unit of the spread; spreads far below it count as half of it, since members may agree
        by accident. Zero where all spreads were zero, and the scale depends on none.
    exponents : tuple of float
        Of the first so many of the `error_covariates` in the scale; empty where none are used.
    levels, factors : tuple of float
        Half width over scale that covers each level of probability.
    n : int
        Number of crystals that the factors come from.
    """

    a: float
    b: float
    levels: tuple[float, ...]
    factors: tuple[float, ...]
    n: int
    unit: float
    exponents: tuple[float, ...] = ()

    def scale(self, std: ArrayLike, covariates: ArrayLike | None = None) -> Array:
        """Scale of the residuals for member spreads `std`, same shape.

        Parameters
        ----------
        std : array_like
            Standard deviation of the members, per atom.
        covariates : array_like, shape (..., n_covariates), optional
            `error_covariates` of the same crystals; their leading axes are the first of `std`'s.

        Returns
        -------
        ndarray
            Of the shape of `std`.

        Raises
        ------
        SpectrumError
            If the model needs the covariates and they are not given.
        """
        spread = np.asarray(std, dtype=np.float64)
        scale = np.full(spread.shape, self.a)
        if self.unit > 0:
            scale = scale * np.hypot(0.5, spread / self.unit) ** self.b
        if not self.exponents:
            return np.asarray(scale)
        if covariates is None:
            raise SpectrumError(
                "These error bars depend on more than the spread of the quantity: give the "
                "`error_covariates` of the prediction too, as `PhononSpectrum.interval` does."
            )
        logs = np.log(np.asarray(covariates, dtype=np.float64))
        known = logs[..., : len(self.exponents)]
        if known.shape[-1] < len(self.exponents):
            raise SpectrumError(
                f"These error bars depend on {len(self.exponents)} covariates, and "
                f"{known.shape[-1]} were given: let `error_covariates` have the crystals too."
            )
        factor = np.exp(known @ np.array(self.exponents))
        # several values of one crystal, such as bins or sites, have its covariates in common
        shape = factor.shape + (1,) * (scale.ndim - factor.ndim) * (factor.ndim > 0)
        return np.asarray(scale * factor.reshape(shape))

    def half_width(
        self, std: ArrayLike, level: float, covariates: ArrayLike | None = None
    ) -> Array:
        """Half width of the interval; parameters and errors as for `scale`.

        Parameters
        ----------
        std : array_like
            Standard deviation of the members, per atom.
        level : float
            Share of crystals whose reference lies inside.
        covariates : array_like, shape (..., n_covariates), optional
            As for `scale`.

        Returns
        -------
        ndarray
            Of the shape of `std`.

        Raises
        ------
        SpectrumError
            If the level was not calibrated.
        """
        number = isinstance(level, (int, float, np.number)) and not isinstance(level, bool)
        if not number or not self.levels[0] <= level <= self.levels[-1]:
            raise SpectrumError(
                f"Intervals are calibrated for levels from {self.levels[0]:g} to "
                f"{self.levels[-1]:g} with the {self.n} held-out crystals that there were; "
                f"{shortly(level)} was asked for."
            )
        # between two calibrated levels the wider one holds
        factor = self.factors[int(np.searchsorted(self.levels, level - 1e-9))]
        return factor * self.scale(std, covariates)


@dataclass(frozen=True, slots=True)
class Calibration:
    """Error models by quantity and temperature; JSON through `to_dict` and `from_dict`.

    Attributes
    ----------
    spreads : dict
        quantity -> temperature (K; 0 for the quantities that have none) -> Spread.
        Units per atom: J/(K mol), kJ/mol, cm^-1 (mean_wavenumber), states/THz (density).
    source : str
        What the crystals were.
    """

    spreads: Mapping[str, Mapping[float, Spread]] = field(default_factory=dict)
    source: str = ""

    @property
    def depends_on_chemistry(self) -> bool:
        """Whether a width depends on more of the crystal than its spectra."""
        each = (s for by_temperature in self.spreads.values() for s in by_temperature.values())
        return any(len(s.exponents) > len(COVARIATES) for s in each)

    def half_width(
        self,
        quantity: str,
        std: ArrayLike,
        *,
        level: float = INTERVAL_LEVEL,
        temperature: float = 300.0,
        covariates: ArrayLike | None = None,
    ) -> Array:
        """Half width per atom.

        Between calibrated temperatures it is interpolated. Below the lowest,
        heat capacity and entropy errors shrink in proportion to T; above the
        highest, free-energy errors grow in proportion to T.

        Parameters
        ----------
        quantity : str
            heat_capacity, entropy, free_energy, mean_wavenumber or density.
        std : array_like
            Standard deviation of the members, per atom.
        level : float
            Probability that the interval covers the reference value.
        temperature : float
            K; of no effect for mean_wavenumber and density.
        covariates : array_like, shape (..., n_covariates), optional
            `error_covariates` of the predictions; models that were fitted with them need them.

        Returns
        -------
        ndarray
            As `std`.

        Raises
        ------
        SpectrumError
            If the quantity or the level was not calibrated, or covariates are missing.
        """
        if quantity not in self.spreads:
            known = ", ".join(self.spreads) or "nothing"
            raise SpectrumError(
                f"This model's intervals are calibrated for {known}, not for {quantity!r}. "
                "Use `spread` for the uncalibrated standard deviation of the members."
            )
        by_temperature = self.spreads[quantity]
        known_t = np.array(sorted(by_temperature))
        widths = [by_temperature[t].half_width(std, level, covariates) for t in known_t]
        if len(widths) == 1 and known_t[0] == 0:
            return widths[0]
        t = float(temperature)
        if t <= known_t[0]:
            return widths[0] * (t / known_t[0] if quantity != "free_energy" else 1.0)
        if t >= known_t[-1]:
            return widths[-1] * (t / known_t[-1] if quantity == "free_energy" else 1.0)
        k = int(np.searchsorted(known_t, t))
        share = (t - known_t[k - 1]) / (known_t[k] - known_t[k - 1])
        return np.asarray(widths[k - 1] * (1 - share) + widths[k] * share)

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary for JSON."""
        return {
            "source": self.source,
            "spreads": {
                quantity: {
                    f"{t:g}": {
                        "a": s.a,
                        "b": s.b,
                        "levels": list(s.levels),
                        "factors": list(s.factors),
                        "n": s.n,
                        "unit": s.unit,
                        "exponents": list(s.exponents),
                    }
                    for t, s in by_temperature.items()
                }
                for quantity, by_temperature in self.spreads.items()
            },
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Calibration:
        """Calibration from `to_dict`'s dictionary; SpectrumError where it is damaged.

        Parameters
        ----------
        data : mapping
            Of `to_dict`.

        Returns
        -------
        Calibration

        Raises
        ------
        SpectrumError
            If it is damaged.
        """
        try:
            spreads = {
                quantity: {
                    float(t): Spread(
                        float(s["a"]),
                        float(s["b"]),
                        tuple(map(float, s["levels"])),
                        tuple(map(float, s["factors"])),
                        int(s["n"]),
                        float(s["unit"]),
                        tuple(map(float, s.get("exponents", ()))),
                    )
                    for t, s in by_temperature.items()
                }
                for quantity, by_temperature in data["spreads"].items()
            }
            return cls(spreads, str(data.get("source", "")))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise SpectrumError(
                f"The calibration is damaged ({error!r}); fit it again with `fit_spread`."
            ) from error

    def save(self, path: str | Path) -> None:
        """Write as a JSON file.

        Parameters
        ----------
        path : str or Path
        """
        Path(path).write_text(json.dumps(self.to_dict(), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> Calibration:
        """Read a file that `save` wrote."""
        return cls.from_dict(parse_json(Path(path).read_text(encoding="utf-8")))


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


#: Range of each covariate's exponent: the first two never narrow an interval. Those of chemistry
#: all have the last one.
_BOUNDS = ((0.0, 1.5), (0.0, 1.5), (-0.75, 0.25), (-4.0, 2.0))
_BOUND_OF_CHEMISTRY = (-1.0, 1.5)
#: Of the squares of exponents, against the mean logarithm of the likelihood.
_PENALTY = 1e-3
#: The same of chemistry times the number of crystals: the factor of a kind is near one, within
#: exp(0.55) either way, before a crystal is seen.
_PENALTY_OF_CHEMISTRY = 1.65


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
