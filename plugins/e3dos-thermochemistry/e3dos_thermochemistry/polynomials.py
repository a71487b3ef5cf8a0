"""The four polynomials that thermochemical databases are made of.

Each is a heat capacity that is linear in its coefficients, and what integrates from it with two
constants, one for the enthalpy and one for the entropy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from e3dos_thermochemistry.constants import GAS_CONSTANT
from e3dos_thermochemistry.error_bars import Array

Form = Literal["shomate", "nasa9", "maier-kelley", "sgte"]


@dataclass(frozen=True, slots=True)
class Term:
    """A power of the temperature in a heat capacity, J/(K mol), with its integrals.

    Parameters
    ----------
    power : float
    scale : float
        What the coefficient is multiplied with: its unit and sign in the form at hand.
    """

    power: float
    scale: float

    def heat_capacity(self, t: Array) -> Array:
        """`scale` T^power."""
        return np.asarray(self.scale * t**self.power)

    def enthalpy(self, t: Array) -> Array:
        """Integral of the heat capacity, J/mol."""
        if self.power == -1:
            return np.asarray(self.scale * np.log(t))
        return np.asarray(self.scale * t ** (self.power + 1) / (self.power + 1))

    def entropy(self, t: Array) -> Array:
        """Integral of the heat capacity over T, J/(K mol)."""
        if self.power == 0:
            return np.asarray(self.scale * np.log(t))
        return np.asarray(self.scale * t**self.power / self.power)


@dataclass(frozen=True, slots=True)
class Polynomial:
    """A form of heat capacity.

    Attributes
    ----------
    form : str
    terms : tuple of Term
        By coefficient.
    names : tuple of str
        Of the coefficients, the constants of integration last.
    units : tuple of float
        The form's constants of enthalpy and entropy for one J/mol and one J/(K mol).
    shift : float
        What the form's own way to write the entropy adds to its constant, in coefficients of its
        first term: Shomate's has ln(T/1000), the derivative of SGTE's c T ln T has c (1 + ln T).
    text : str
        The formula.
    """

    form: Form
    terms: tuple[Term, ...]
    names: tuple[str, ...]
    units: tuple[float, float]
    shift: float
    text: str

    def constants(self, of_terms: Array, enthalpy: float, entropy: float) -> tuple[float, float]:
        """The form's constants from those of integration, in J/mol and J/(K mol)."""
        shift = self.shift * float(of_terms[0])
        return enthalpy * self.units[0], entropy * self.units[1] + shift

    def evaluate(self, coefficients: Array, t: Array) -> Array:
        """Heat capacity, enthalpy (J/mol) and entropy of all coefficients, shape (3, n)."""
        of_terms, (h0, s0) = coefficients[:-2], coefficients[-2:]
        enthalpy, entropy = self.integrals(of_terms, t)
        s0 = (s0 - self.shift * of_terms[0]) / self.units[1]
        return np.stack([self.design(t) @ of_terms, enthalpy + h0 / self.units[0], entropy + s0])

    def design(self, t: Array) -> Array:
        """Heat capacities of unit coefficients, shape (n_temperatures, n_terms)."""
        return np.column_stack([term.heat_capacity(t) for term in self.terms])

    def integrals(self, coefficients: Array, t: Array) -> tuple[Array, Array]:
        """Integrals of the heat capacity (J/mol) and of it over T (J/(K mol))."""
        enthalpy = np.column_stack([term.enthalpy(t) for term in self.terms]) @ coefficients
        entropy = np.column_stack([term.entropy(t) for term in self.terms]) @ coefficients
        return np.asarray(enthalpy), np.asarray(entropy)


_K = 1000.0

POLYNOMIALS: dict[Form, Polynomial] = {
    # t = T / 1000; H in kJ/mol, relative to elements with F, to 298.15 K with F - H
    "shomate": Polynomial(
        "shomate",
        (Term(0, 1.0), Term(1, 1 / _K), Term(2, 1 / _K**2), Term(3, 1 / _K**3), Term(-2, _K**2)),
        ("A", "B", "C", "D", "E", "F", "G"),
        (1 / _K, 1.0),
        float(np.log(_K)),
        "C_P = A + B t + C t^2 + D t^3 + E / t^2 in J/(K mol), t = T / 1000 K;\n"
        "H = A t + B t^2/2 + C t^3/3 + D t^4/4 - E/t + F in kJ/mol;\n"
        "S = A ln t + B t + C t^2/2 + D t^3/3 - E/(2 t^2) + G in J/(K mol)",
    ),
    "nasa9": Polynomial(
        "nasa9",
        tuple(Term(p, GAS_CONSTANT) for p in (-2, -1, 0, 1, 2, 3, 4)),
        ("a1", "a2", "a3", "a4", "a5", "a6", "a7", "b1", "b2"),
        (1 / GAS_CONSTANT, 1 / GAS_CONSTANT),
        0.0,
        "C_P/R = a1 T^-2 + a2 T^-1 + a3 + a4 T + a5 T^2 + a6 T^3 + a7 T^4;\n"
        "H/RT = -a1 T^-2 + a2 ln(T)/T + a3 + a4 T/2 + a5 T^2/3 + a6 T^3/4 + a7 T^4/5 + b1/T;\n"
        "S/R = -a1 T^-2/2 - a2 T^-1 + a3 ln T + a4 T + a5 T^2/2 + a6 T^3/3 + a7 T^4/4 + b2",
    ),
    "maier-kelley": Polynomial(
        "maier-kelley",
        (Term(0, 1.0), Term(1, 1.0), Term(-2, 1.0)),
        ("a", "b", "c", "H0", "S0"),
        (1.0, 1.0),
        0.0,
        "C_P = a + b T + c T^-2 in J/(K mol); H = a T + b T^2/2 - c/T + H0 in J/mol;\n"
        "S = a ln T + b T - c/(2 T^2) + S0 in J/(K mol)",
    ),
    # G = a + b T + c T ln T + d T^2 + e T^3 + f T^-1
    "sgte": Polynomial(
        "sgte",
        (Term(0, -1.0), Term(1, -2.0), Term(2, -6.0), Term(-2, -2.0)),
        ("c", "d", "e", "f", "a", "b"),
        (1.0, -1.0),
        -1.0,
        "G = a + b T + c T ln T + d T^2 + e T^3 + f T^-1 in J/mol;\n"
        "C_P = -c - 2 d T - 6 e T^2 - 2 f T^-2 in J/(K mol)",
    ),
}
