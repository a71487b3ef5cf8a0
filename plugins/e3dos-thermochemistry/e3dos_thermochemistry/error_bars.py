"""Error bars of sums over several crystals: which errors cancel and which add.

The interval of a reaction or of a decomposition energy needs the errors of several predictions
together. An error model answers with their covariance; what a model may be is `JointErrors`, and
`joint_errors` makes one:

"measured" (the default)
    The spectra's own calibrated intervals, independent between compositions, and with a
    correlation of `SAME_COMPOSITION` between crystals of one composition. Measured on crystals
    whose formulas no training set holds (docs/benchmarks/error_correlations.txt of the repository):
    errors of crystals of different composition are all but uncorrelated; where the compositions
    are one the correlation is 0.3 or more, by quantity and weights, and the least of it is taken,
    since a correlation that is too high makes intervals of differences too narrow.
"independent", "together"
    Bounds of it: no errors cancel or add beyond chance; all have one sign, so that they cancel
    between the two sides of an equation as far as they are alike.
"members"
    The differences between the members of an ensemble, widened as `e3dos phases` does for
    a model without calibration. What the members disagree on says nothing about which errors go
    together, and the heads of one network disagree far less than they err.

`tools/error_correlations.py` measures all of this anew for the model that is installed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pymatgen.core import Composition
from scipy.stats import norm

from ase_e3dos import PhononSpectrum
from ase_e3dos.errors import SpectrumError
from ase_e3dos.spectrum.uncertainty import INTERVAL_LEVEL
from e3dos_thermochemistry.constants import ROOM
from e3dos_thermochemistry.errors import ThermochemistryError

Array = NDArray[np.float64]
Errors = Literal["measured", "independent", "together", "members"]
#: "anchored" is F(T) - U(298.15 K): the free energy where the enthalpy at 298.15 K is given.
Quantity = Literal["free_energy", "anchored", "internal_energy", "entropy", "heat_capacity"]

#: Half width of a normal distribution's interval at `INTERVAL_LEVEL` over its standard deviation.
WIDTH = float(norm.ppf((1 + INTERVAL_LEVEL) / 2))
#: Correlation of the errors of two crystals of one composition.
SAME_COMPOSITION = 0.3
#: Standard deviation of an error over that of the members' difference, from `e3dos phases`.
WIDENING = 5.5 / WIDTH
#: Temperatures (K) at which intervals are asked for; linear between them.
_NODES = np.array([0.0, 50, 100, 200, ROOM, 400, 600, 800, 1000, 1500, 2000, 3000])


class JointErrors(Protocol):
    """Errors of several predictions together."""

    def covariance(self, quantity: Quantity, temperatures: ArrayLike) -> Array:
        """Covariance of the errors of a quantity.

        Parameters
        ----------
        quantity : {"free_energy", "anchored", "internal_energy", "entropy", "heat_capacity"}
        temperatures : array_like, shape (n_temperatures,)
            K.

        Returns
        -------
        ndarray, shape (n_temperatures, n_spectra, n_spectra)
            For the spectra as they were given (their cells): (kJ/mol)^2, or (J/(K mol))^2 for
            entropy and heat capacity.
        """


class CalibratedErrors:
    """Calibrated intervals with a given correlation.

    Parameters
    ----------
    spectra : sequence of PhononSpectrum
    correlation : ndarray, shape (n_spectra, n_spectra)

    Raises
    ------
    SpectrumError
        If a spectrum has no calibrated intervals.
    """

    def __init__(self, spectra: Sequence[PhononSpectrum], correlation: Array) -> None:
        self._spectra = tuple(spectra)
        self._correlation = correlation
        self._known: dict[tuple[str, float], Array] = {}
        self._widths("free_energy", ROOM)  # refused at once where there is no calibration

    def covariance(self, quantity: Quantity, temperatures: ArrayLike) -> Array:
        """Covariance of the errors; see `JointErrors`."""
        t = np.asarray(temperatures, dtype=np.float64).ravel()
        std = self._half_widths(quantity, t) / WIDTH
        return np.asarray(std[:, :, None] * std[:, None, :] * self._correlation)

    def _half_widths(self, quantity: Quantity, t: Array) -> Array:
        """Shape (n_temperatures, n_spectra)."""
        if quantity == "internal_energy":  # its error is largest at 0 K, where it is F's
            return np.broadcast_to(self._widths("free_energy", 0.0), (len(t), len(self._spectra)))
        if quantity == "anchored":
            # - T_0 S(T_0) - the integral of S from T_0 to T, whose errors have one sign
            grid = np.unique(np.concatenate([_NODES, t, [ROOM]]))
            of_entropy = self._half_widths("entropy", grid) / 1000.0
            steps = (of_entropy[1:] + of_entropy[:-1]) / 2 * np.diff(grid)[:, None]
            integral = np.concatenate([np.zeros((1, len(self._spectra))), np.cumsum(steps, axis=0)])
            room, at = np.searchsorted(grid, ROOM), np.searchsorted(grid, t)
            return np.asarray(ROOM * of_entropy[room] + np.abs(integral[at] - integral[room]))
        nodes = _NODES[: np.searchsorted(_NODES, t.max(initial=0.0)) + 1]
        if t.max(initial=0.0) > nodes[-1]:
            nodes = np.append(nodes, t.max())
        known = np.array([self._widths(quantity, float(node)) for node in nodes])
        columns = [np.interp(t, nodes, column) for column in known.T]
        return np.asarray(columns).T.reshape(len(t), len(self._spectra))

    def _widths(self, quantity: str, temperature: float) -> Array:
        """Half widths of all spectra at one temperature, shape (n_spectra,)."""
        key = quantity, temperature
        if key not in self._known:
            widths = []
            for spectrum in self._spectra:
                if temperature == 0.0 and quantity != "free_energy":
                    widths.append(0.0)  # third law
                    continue
                low, high = spectrum.interval(quantity, INTERVAL_LEVEL, temperature)
                value = getattr(spectrum, quantity)(temperature)
                widths.append(max(high - value, value - low))  # one side may end at a bound
            self._known[key] = np.array(widths, dtype=np.float64)
        return self._known[key]


class MemberErrors:
    """Differences between the members of an ensemble, widened.

    Parameters
    ----------
    spectra : sequence of PhononSpectrum
        All by one ensemble.
    widening : float
        Standard deviation of an error over that of the members.

    Raises
    ------
    SpectrumError
        If there is no ensemble behind them, or not one and the same.
    """

    def __init__(self, spectra: Sequence[PhononSpectrum], widening: float = WIDENING) -> None:
        counts = {0 if s.members is None else len(s.members) for s in spectra}
        if len(counts) != 1 or counts.pop() < 2:
            raise SpectrumError(
                "errors='members' needs spectra by one ensemble of networks, but these have none "
                "or different ones. Predict all with one model of several members and "
                "uncertainty=True, or use errors='measured'."
            )
        self._members = [
            [PhononSpectrum(s.wavenumbers, m, crystal=s.crystal) for m in np.asarray(s.members)]
            for s in spectra
        ]
        self._widening = widening

    def covariance(self, quantity: Quantity, temperatures: ArrayLike) -> Array:
        """Covariance of the errors; see `JointErrors`."""
        t = np.asarray(temperatures, dtype=np.float64).ravel()
        values = np.array([[_value(m, quantity, t) for m in members] for members in self._members])
        apart = self._widening * (values - values.mean(axis=1, keepdims=True))
        return np.asarray(np.einsum("imt,jmt->tij", apart, apart) / (values.shape[1] - 1))


def _value(spectrum: PhononSpectrum, quantity: Quantity, t: Array) -> Array:
    if quantity == "anchored":
        return np.asarray(spectrum.free_energy(t) - spectrum.internal_energy(ROOM))
    return np.asarray(getattr(spectrum, quantity)(t))


def joint_errors(
    spectra: Sequence[PhononSpectrum], errors: Errors = "measured"
) -> JointErrors | None:
    """Error model of several predictions.

    Parameters
    ----------
    spectra : sequence of PhononSpectrum
    errors : {"measured", "independent", "together", "members"}
        See the module.

    Returns
    -------
    JointErrors or None
        None where a spectrum has no calibrated intervals: then there are no error bars.

    Raises
    ------
    ThermochemistryError
        If there is no such model.
    SpectrumError
        If "members" is asked for, and a model has none.
    """
    if errors not in get_args(Errors):
        raise ThermochemistryError(
            f"errors={errors!r} is not an error model: choose from {', '.join(get_args(Errors))}."
        )
    if not spectra:
        return None
    if errors == "members":
        return MemberErrors(spectra)
    try:
        return CalibratedErrors(spectra, _correlation(spectra, errors))
    except SpectrumError:
        return None


def _correlation(spectra: Sequence[PhononSpectrum], errors: Errors) -> Array:
    if errors == "together":
        return np.ones((len(spectra), len(spectra)))
    correlation = np.eye(len(spectra))
    if errors == "measured":
        formulas = [Composition(s.crystal.formula).reduced_formula for s in spectra]
        alike = np.equal.outer(np.array(formulas), np.array(formulas))
        # one crystal given twice has one error, so that its polymorphs' cancel in full
        same = np.array([[a is b for b in spectra] for a in spectra])
        correlation = np.where(same, 1.0, np.where(alike, SAME_COMPOSITION, correlation))
    return correlation


def half_width(errors: JointErrors, quantity: Quantity, t: ArrayLike, amounts: ArrayLike) -> Array:
    """Half widths of the 90 % intervals of a sum over the spectra.

    Parameters
    ----------
    errors : JointErrors
    quantity : str
        As in `JointErrors.covariance`.
    t : array_like, shape (n_temperatures,)
        K.
    amounts : array_like, shape (n_spectra,) or (n_temperatures, n_spectra)
        Cells of each spectrum in the sum; products positive, reactants negative.

    Returns
    -------
    ndarray, shape (n_temperatures,)
    """
    covariance = errors.covariance(quantity, t)
    c = np.broadcast_to(np.asarray(amounts, dtype=np.float64), covariance.shape[:2])
    variance = np.einsum("ti,tij,tj->t", c, covariance, c)
    return np.asarray(WIDTH * np.sqrt(np.maximum(variance, 0.0)))
