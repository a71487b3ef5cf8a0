"""Error models: the widths of calibrated intervals from the spread of an ensemble.

The half width of an interval per atom is `factor(level) * scale`, with the scale
a * (s / s_0)^b * prod_k x_k^c_k, where s is the standard deviation of the
ensemble's members and the x_k are covariates that do not depend on the
quantity (`error_covariates`); the last of them stand for kinds of chemistry, e where one applies
and 1 where not, so that their exponents are logarithms of factors. Where the numbers come from:
`ase_e3dos.spectrum.spread_fit`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ase_e3dos.errors import SpectrumError, shortly
from ase_e3dos.spectrum.grid import Array, FrequencyGrid
from ase_e3dos.structures.chemistry import chemistry_of
from ase_e3dos.structures.crystal import Crystal
from ase_e3dos.structures.json_text import parse_json

#: Quantities that are calibrated per temperature; the others hold for all.
THERMAL = ("heat_capacity", "entropy", "free_energy")
#: Error models at temperatures where these quantities vary over orders of magnitude from crystal to
#: crystal: of their errors as shares of the predicted values.
RELATIVE = {"heat_capacity": "relative_heat_capacity", "entropy": "relative_entropy"}
#: Name of the error model of the logarithm of the sound velocity.
SOUND = "log_sound_velocity"
#: Level of the intervals that are shown where none is asked for.
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
        Units per atom: J/(K mol), kJ/mol, cm^-1 (mean_wavenumber), states/THz (density); none for
        those of `RELATIVE`.
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
        value: ArrayLike | None = None,
    ) -> Array:
        """Half width per atom.

        Between calibrated temperatures it is interpolated. Errors of heat capacity and entropy are
        shares of their values up to the highest temperature for which those were calibrated;
        where they were not, errors shrink in proportion to T below the lowest. Above the highest,
        free-energy errors grow in proportion to T.

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
        value : array_like, optional
            The predicted values per atom, of the shape of `std`; shares of them are not known
            without.

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
        relative = self.spreads.get(RELATIVE.get(quantity, ""))
        if relative and value is not None:
            at = sorted(relative)
            above = int(np.searchsorted(known_t, at[-1], side="right"))
            if above < len(known_t) and t < known_t[above]:
                values = np.asarray(value, dtype=np.float64)
                shares = np.asarray(std, dtype=np.float64) / np.maximum(values, 1e-300)
                low = [values * relative[k].half_width(shares, level, covariates) for k in at]
                known_t, widths = np.array([*at, known_t[above]]), [*low, widths[above]]
                t = max(t, float(at[0]))
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
