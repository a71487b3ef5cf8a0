"""Coefficients for thermochemical databases, fitted to predicted properties."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, get_args

import numpy as np
from numpy.typing import ArrayLike

from ase_e3dos.errors import SpectrumError
from e3dos_thermochemistry.constants import ROOM
from e3dos_thermochemistry.error_bars import INTERVAL_LEVEL, Array
from e3dos_thermochemistry.errors import FitError
from e3dos_thermochemistry.polynomials import POLYNOMIALS, Form, Polynomial
from e3dos_thermochemistry.solid import Solid

#: Temperatures of a fit in each range.
_POINTS = 101


@dataclass(frozen=True, slots=True)
class Piece:
    """Coefficients over one range of temperature.

    Attributes
    ----------
    low, high : float
        K.
    coefficients : dict
        By name, as the form has them.
    errors : dict
        Largest deviations of the fit from the values fitted: "heat_capacity" and "entropy" in
        J/(K mol), "enthalpy" and "gibbs" in kJ/mol.
    """

    low: float
    high: float
    coefficients: dict[str, float]
    errors: dict[str, float]


@dataclass(frozen=True, slots=True)
class Coefficients:
    """A fit: thermal properties of a solid per mole of formula units.

    Attributes
    ----------
    solid : Solid
    form : str
    pieces : tuple of Piece
        By temperature; enthalpy and entropy are continuous.
    enthalpy_of_formation : float or None
        At 298.15 K, kJ/mol; None: enthalpies are relative to the solid at 298.15 K.
    intervals : dict
        90 % intervals at 298.15 K of "entropy" and "heat_capacity", J/(K mol); empty without
        error bars.
    """

    solid: Solid
    form: Form
    pieces: tuple[Piece, ...]
    enthalpy_of_formation: float | None
    intervals: dict[str, tuple[float, float]]

    @property
    def name(self) -> str:
        """Formula of the solid."""
        return self.solid.formula

    @property
    def polynomial(self) -> Polynomial:
        """The form that was fitted."""
        return POLYNOMIALS[self.form]

    @property
    def range(self) -> tuple[float, float]:
        """Lowest and highest temperature, K."""
        return self.pieces[0].low, self.pieces[-1].high

    def heat_capacity(self, temperature: ArrayLike) -> Array:
        """Heat capacity in J/(K mol)."""
        return self._values(temperature)[0]

    def enthalpy(self, temperature: ArrayLike) -> Array:
        """H(T) in kJ/mol, relative to the elements or to the solid at 298.15 K."""
        return self._values(temperature)[1] / 1000.0

    def entropy(self, temperature: ArrayLike) -> Array:
        """Entropy in J/(K mol)."""
        return self._values(temperature)[2]

    def gibbs(self, temperature: ArrayLike) -> Array:
        """H - T S in kJ/mol."""
        t = np.asarray(temperature, dtype=np.float64)
        return np.asarray(self.enthalpy(t) - t * self.entropy(t) / 1000.0)

    def _values(self, temperature: ArrayLike) -> tuple[Array, Array, Array]:
        t = np.asarray(temperature, dtype=np.float64)
        flat = np.ravel(t)
        low, high = self.range
        if not ((flat >= low - 1e-9) & (flat <= high + 1e-9)).all():
            raise FitError(
                f"The coefficients of {self.name} hold from {low:g} to {high:g} K, not at "
                f"{flat.min():g} to {flat.max():g} K. Fit them over a wider range."
            )
        edges = [piece.high for piece in self.pieces[:-1]]
        which = np.searchsorted(edges, flat)
        columns = np.zeros((3, len(flat)))
        for k, piece in enumerate(self.pieces):
            at = which == k
            columns[:, at] = _evaluate(self.polynomial, piece.coefficients, flat[at])
        c, h, s = (column.reshape(t.shape) for column in columns)
        return c, h, s

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "formula": self.name,
            "form": self.form,
            "equations": self.polynomial.text,
            "enthalpy_of_formation_kj_mol": self.enthalpy_of_formation,
            "at_constant": "volume" if self.solid.expansion is None else "pressure",
            "model": self.solid.spectrum.model,
            "interval_level": INTERVAL_LEVEL,
            "intervals_298": {name: list(ends) for name, ends in self.intervals.items()},
            "ranges": [
                {
                    "low": p.low,
                    "high": p.high,
                    "coefficients": p.coefficients,
                    "largest_errors": p.errors,
                }
                for p in self.pieces
            ],
        }


def _evaluate(polynomial: Polynomial, coefficients: dict[str, float], t: Array) -> Array:
    """Heat capacity, enthalpy (J/mol) and entropy, shape (3, n)."""
    return polynomial.evaluate(np.array([coefficients[n] for n in polynomial.names]), t)


def fit(
    solid: Solid,
    form: Form = "shomate",
    *,
    ranges: Sequence[float] = (ROOM, 1500.0),
    enthalpy_of_formation: float | None = None,
) -> Coefficients:
    """Fit coefficients to predicted thermal properties.

    The heat capacity is fitted by least squares; enthalpy and entropy follow, with their values at
    298.15 K (or the end of the ranges that is nearest to it) taken exactly and continuous from
    range to range.

    Parameters
    ----------
    solid : Solid
        With an expansion for C_P; without, C_V stands in its place.
    form : {"shomate", "nasa9", "maier-kelley", "sgte"}
    ranges : sequence of float
        Ends of the ranges in K, ascending: two for one range.
    enthalpy_of_formation : float, optional
        At 298.15 K, kJ/mol of formula units: enthalpies are then relative to the elements.

    Returns
    -------
    Coefficients

    Raises
    ------
    FitError
        If the form is unknown, or the ranges are not valid.
    """
    if form not in get_args(Form):
        raise FitError(f"form={form!r} is not one of {', '.join(get_args(Form))}.")
    ends = np.asarray(ranges, dtype=np.float64)
    if ends.ndim != 1 or len(ends) < 2 or not np.isfinite(ends).all() or (ends < 10).any():
        raise FitError(f"The ranges {ranges!r} have to be two temperatures or more, above 10 K.")
    if (np.diff(ends) < 50).any():
        raise FitError(f"The ranges {ranges!r} have to ascend, each over 50 K at least.")
    if enthalpy_of_formation is not None and not np.isfinite(enthalpy_of_formation):
        raise FitError(f"The enthalpy of formation {enthalpy_of_formation!r} is not finite.")
    polynomial = POLYNOMIALS[form]
    of_terms = [_least_squares(polynomial, solid, a, b) for a, b in pairwise(ends)]
    anchor = float(np.clip(ROOM, ends[0], ends[-1]))
    first = int(np.clip(np.searchsorted(ends, anchor) - 1, 0, len(of_terms) - 1))
    base = 0.0 if enthalpy_of_formation is None else enthalpy_of_formation * 1000.0
    at_anchor = base + 1000.0 * (float(solid.enthalpy(anchor)) - float(solid.enthalpy(ROOM)))
    constants: dict[int, tuple[float, float]] = {}
    constants[first] = _integrate(
        polynomial, of_terms[first], anchor, at_anchor, float(solid.entropy(anchor))
    )
    for k, neighbour in [(k, k - 1) for k in range(first + 1, len(of_terms))] + [
        (k, k + 1) for k in range(first - 1, -1, -1)
    ]:
        edge = float(ends[max(k, neighbour)])
        h, s = _at(polynomial, of_terms[neighbour], constants[neighbour], edge)
        constants[k] = _integrate(polynomial, of_terms[k], edge, h, s)
    pieces = []
    for k, (low, high) in enumerate(pairwise(ends)):
        values = [*of_terms[k], *polynomial.constants(of_terms[k], *constants[k])]
        named = dict(zip(polynomial.names, map(float, values), strict=True))
        errors = _errors(polynomial, named, solid, float(low), float(high), base)
        pieces.append(Piece(float(low), float(high), named, errors))
    return Coefficients(solid, form, tuple(pieces), enthalpy_of_formation, _intervals(solid))


def _grid(low: float, high: float) -> Array:
    """Chebyshev's points, which keep a polynomial from swinging at the ends."""
    x = np.cos(np.pi * np.arange(_POINTS) / (_POINTS - 1))[::-1]
    return np.asarray(low + (high - low) * (x + 1) / 2)


def _least_squares(polynomial: Polynomial, solid: Solid, low: float, high: float) -> Array:
    t = _grid(low, high)
    design = polynomial.design(t)
    size = np.abs(design).max(axis=0)
    solution = np.linalg.lstsq(design / size, solid.heat_capacity(t), rcond=None)[0]
    return np.asarray(solution / size)


def _integrate(
    polynomial: Polynomial, of_terms: Array, t: float, enthalpy: float, entropy: float
) -> tuple[float, float]:
    """Constants of integration from values at one temperature."""
    h, s = polynomial.integrals(of_terms, np.array([t]))
    return enthalpy - float(h[0]), entropy - float(s[0])


def _at(
    polynomial: Polynomial, of_terms: Array, constants: tuple[float, float], t: float
) -> tuple[float, float]:
    h, s = polynomial.integrals(of_terms, np.array([t]))
    return float(h[0]) + constants[0], float(s[0]) + constants[1]


def _errors(
    polynomial: Polynomial,
    coefficients: dict[str, float],
    solid: Solid,
    low: float,
    high: float,
    base: float,
) -> dict[str, float]:
    t = _grid(low, high)
    c, h, s = _evaluate(polynomial, coefficients, t)
    enthalpy = h / 1000.0 - (base / 1000.0 + solid.enthalpy(t) - solid.enthalpy(ROOM))
    entropy = s - solid.entropy(t)
    apart = {
        "heat_capacity": c - solid.heat_capacity(t),
        "enthalpy": enthalpy,
        "entropy": entropy,
        "gibbs": enthalpy - t * entropy / 1000.0,
    }
    return {name: float(np.abs(values).max()) for name, values in apart.items()}


def _intervals(solid: Solid) -> dict[str, tuple[float, float]]:
    """Of what was predicted, at 298.15 K; those of an expansion are not known."""
    found = {}
    for name in ("entropy", "heat_capacity"):
        try:
            low, high = solid.spectrum.interval(name, INTERVAL_LEVEL, ROOM)
        except SpectrumError:
            return {}
        shift = (
            float(getattr(solid, name)(ROOM)) - getattr(solid.spectrum, name)(ROOM) / solid.units
        )
        found[name] = (low / solid.units + shift, high / solid.units + shift)
    return found
