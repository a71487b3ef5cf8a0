"""Calibrated intervals from the spread of an ensemble, by split conformal prediction.

The half width of an interval per atom is `factor(level) * sqrt(a^2 + (b s)^2)`,
where s is the standard deviation of the ensemble's members. a and b are fitted
on one half of held-out crystals; the factor of a level is the conformal quantile
of |residual| / sqrt(a^2 + (b s)^2) on the other half, so that coverage holds for
new crystals drawn as these were (Vovk et al. 2005; Lei et al., J. Am. Stat.
Assoc. 113, 1094 (2018)), however wrong a and b are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ase_e3dos.errors import SpectrumError
from ase_e3dos.spectrum.grid import Array

#: Quantities that are calibrated per temperature; the others hold for all.
THERMAL = ("heat_capacity", "entropy", "free_energy")
LEVELS = (0.5, 0.6, 0.68, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99)


@dataclass(frozen=True, slots=True)
class Spread:
    """Error model of one quantity at one temperature, per atom.

    Attributes
    ----------
    a, b : float
        Scale sqrt(a^2 + (b s)^2) of the residuals for an ensemble spread s.
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

    def half_width(self, std: ArrayLike, level: float) -> Array:
        """Half width of the interval for member spreads `std`, same shape."""
        if not self.levels[0] <= level <= self.levels[-1]:
            raise SpectrumError(
                f"Intervals are calibrated for levels from {self.levels[0]:g} to "
                f"{self.levels[-1]:g} with the {self.n} held-out crystals that there were; "
                f"{level!r} was asked for."
            )
        # between two calibrated levels the wider one holds
        factor = self.factors[int(np.searchsorted(self.levels, level - 1e-9))]
        return np.asarray(factor * np.hypot(self.a, self.b * np.asarray(std, dtype=np.float64)))


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

    def half_width(
        self, quantity: str, std: ArrayLike, *, level: float = 0.9, temperature: float = 300.0
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

        Returns
        -------
        ndarray
            As `std`.

        Raises
        ------
        SpectrumError
            If the quantity or the level was not calibrated.
        """
        if quantity not in self.spreads:
            known = ", ".join(self.spreads) or "nothing"
            raise SpectrumError(
                f"This model's intervals are calibrated for {known}, not for {quantity!r}. "
                "Use `spread` for the uncalibrated standard deviation of the members."
            )
        by_temperature = self.spreads[quantity]
        known_t = np.array(sorted(by_temperature))
        widths = [by_temperature[t].half_width(std, level) for t in known_t]
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
                    }
                    for t, s in by_temperature.items()
                }
                for quantity, by_temperature in self.spreads.items()
            },
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Calibration:
        """Calibration from `to_dict`'s dictionary; SpectrumError where it is damaged."""
        try:
            spreads = {
                quantity: {
                    float(t): Spread(
                        float(s["a"]),
                        float(s["b"]),
                        tuple(map(float, s["levels"])),
                        tuple(map(float, s["factors"])),
                        int(s["n"]),
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
        """Write as a JSON file."""
        Path(path).write_text(json.dumps(self.to_dict(), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> Calibration:
        """Read a file that `save` wrote."""
        return cls.from_dict(json.loads(Path(path).read_text(encoding="utf-8")))


def fit_spread(
    residuals: ArrayLike,
    stds: ArrayLike,
    *,
    levels: Sequence[float] = LEVELS,
    seed: int = 0,
) -> Spread:
    """Fit the error model of one quantity on held-out crystals.

    Parameters
    ----------
    residuals : array_like, shape (n_crystals,) or (n_crystals, n_bins)
        Prediction minus reference, per atom. With bins, a crystal's bins stay
        together in one half.
    stds : array_like, same shape
        Standard deviation of the ensemble's members, per atom.
    levels : sequence of float
        Levels of probability; those that so few crystals cannot support are left out.
    seed : int
        Of the division into halves.

    Returns
    -------
    Spread

    Raises
    ------
    SpectrumError
        If there are fewer than 10 crystals or values are not finite.
    """
    r, s = np.asarray(residuals, dtype=np.float64), np.asarray(stds, dtype=np.float64)
    if r.shape != s.shape or len(r) < 10 or not (np.isfinite(r).all() and np.isfinite(s).all()):
        raise SpectrumError(
            "A calibration needs finite residuals and member spreads of one shape, for at least "
            f"10 crystals; got shapes {r.shape} and {s.shape}."
        )
    order = np.random.default_rng(seed).permutation(len(r))
    first, second = order[: len(r) // 2], order[len(r) // 2 :]
    a, b = _scale(r[first].ravel(), s[first].ravel())
    scores = np.sort((np.abs(r[second]) / np.hypot(a, b * s[second])).ravel())
    n = len(scores)
    ranks = {level: int(np.ceil((n + 1) * level - 1e-9)) for level in levels}
    kept = tuple(level for level in sorted(levels) if ranks[level] <= n)
    factors = tuple(float(scores[ranks[level] - 1]) for level in kept)
    return Spread(a, b, kept, factors, len(second))


def _scale(r: Array, s: Array) -> tuple[float, float]:
    """Most likely a and b of normal residuals with variance a^2 + (b s)^2, on a grid of ratios."""
    spread = float(np.sqrt(np.mean(s**2)))
    size = max(float(np.sqrt(np.mean(r**2))), 1e-12)
    best = (np.inf, size, 0.0)
    for share in np.linspace(0.0, 1.0, 41) if spread > 0 else [0.0]:
        variance = (1 - share) + share * (s / spread) ** 2 if spread > 0 else np.ones_like(s)
        variance = np.maximum(variance, 1e-6)
        scale = max(float(np.mean(r**2 / variance)), 1e-300)
        loss = float(np.log(scale) + np.mean(np.log(variance)))
        if loss < best[0]:
            b = float(np.sqrt(share * scale)) / spread if spread > 0 else 0.0
            best = (loss, float(np.sqrt(max(1 - share, 1e-6) * scale)), b)
    return max(best[1], 1e-12), best[2]
