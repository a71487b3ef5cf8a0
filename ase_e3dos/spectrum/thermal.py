"""Harmonic thermal properties of densities of states, one or thousands at a time.

Every property is an integral of the density with a known function of
frequency and temperature. For a grid and a temperature it is therefore a dot
product with vectors (`kernel`), computed once by Gauss quadrature over the
pieces of the grid and cached, so that a heat capacity costs microseconds and
a batch is a matrix product.

Integrals are taken over `ase_e3dos.spectrum.pieces`: the bins of the default model with their
slopes, the straight lines between the points of other grids. Near zero neither can follow the
acoustic law g ~ w^2, and at a few kelvin nothing else matters. `acoustic="debye"` (the default)
replaces the density below an edge by a w^2 that holds the same number of modes. The edge is the
end of the last piece up to which lie at most `ACOUSTIC_SHARE` of the real modes (of the first
piece at least): low enough to touch nothing that shows above a few tens of kelvin, high enough
for its weight to be known better than its shape. `acoustic=None` takes the pieces as they stand.

What is lost by binning 1 cm^-1 DFPT spectra to the default model's 10 cm^-1 is in the rows `bins`
of docs/theory/low_temperatures.txt: at 10 K the median deviation is under 1 % in C_V and entropy.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from ase_e3dos.errors import (
    ImaginaryModesError,
    LowTemperatureWarning,
    SpectrumError,
    shortly,
)
from ase_e3dos.spectrum.constants import constants
from ase_e3dos.spectrum.grid import Array, FrequencyGrid
from ase_e3dos.spectrum.pieces import (
    Pieces,
    first_real,
    knots_of,
    last_acoustic,
    low_and_high,
    pieces_of,
)

Quantity = Literal["heat_capacity", "entropy", "free_energy", "internal_energy"]
Imaginary = Literal["drop", "pretend_real", "refuse"]
Acoustic = Literal["debye"] | None

QUANTITIES: tuple[Quantity, ...] = ("heat_capacity", "entropy", "free_energy", "internal_energy")

#: Share of the real modes that the acoustic repair replaces at most.
ACOUSTIC_SHARE = 0.004

#: Thermal energy, in steps of the grid, below which its bins tell too little.
RESOLVED_STEPS = 2 / 3

#: Imaginary share up to which `imaginary="refuse"` lets a spectrum pass.
IMAGINARY_TOLERANCE = 0.002

#: K; beyond, differences of exponentials lose their digits.
HIGHEST_TEMPERATURE = 1e6


@dataclass(frozen=True, slots=True)
class Kernel:
    """What the pieces of a density on a grid add to a property at one temperature.

    Attributes
    ----------
    mean : ndarray, shape (n_pieces,)
        Per mode of a piece, spread evenly over it; of imaginary ones as if they were real.
    tilt : ndarray, shape (n_pieces,)
        Per unit of a piece's slope.
    debye : ndarray, shape (n_pieces,)
        Per mode of a w^2 density from zero to the end of a piece.
    flat : ndarray, shape (n,)
        Per state/THz at a point of a grid of bins; empty for other grids.
    """

    mean: Array
    tilt: Array
    debye: Array
    flat: Array


@lru_cache(maxsize=4096)
def kernel(grid: FrequencyGrid, quantity: Quantity, temperature: float) -> Kernel:
    """Kernel of a property in J/(K mol) or kJ/mol over `ase_e3dos.spectrum.pieces`.

    Parameters
    ----------
    grid : FrequencyGrid
    quantity : {"heat_capacity", "entropy", "free_energy", "internal_energy"}
    temperature : float
        K, not negative.

    Returns
    -------
    Kernel

    Raises
    ------
    SpectrumError
        If there is no such property.
    """
    if quantity not in QUANTITIES:
        raise SpectrumError(
            f"No thermal property is called {quantity!r}: choose from {', '.join(QUANTITIES)}."
        )
    knots = knots_of(grid)
    widths = np.diff(knots)
    nodes, weights = np.polynomial.legendre.leggauss(8)
    t = np.broadcast_to((nodes + 1) / 2, (len(widths), 8)).copy()
    w = np.broadcast_to(weights / 2, t.shape).copy()
    if grid.zero_knot >= 0:  # the entropy diverges as ln(w): nodes crowd towards zero
        for piece, flip in ((grid.zero_knot, False), (grid.zero_knot - 1, True)):
            if 0 <= piece < len(t):
                w[piece] = w[piece] * 2 * t[piece]
                t[piece] = 1 - t[piece] ** 2 if flip else t[piece] ** 2
    values = w * _per_mode(quantity, np.abs(knots[:-1, None] + t * widths[:, None]), temperature)
    debye = _per_debye_mode(quantity, np.abs(knots[1:]), temperature)
    mean = values.sum(1)
    flat = mean * grid.trapezoid if grid.is_binned else np.zeros(0)
    return Kernel(mean, (values * (t - 0.5)).sum(1), debye, flat)


def thermal_property(
    grid: FrequencyGrid,
    densities: Array,
    quantity: Quantity,
    temperatures: ArrayLike,
    *,
    imaginary: Imaginary = "drop",
    acoustic: Acoustic = "debye",
) -> Array:
    """Thermal property of many densities at many temperatures.

    Parameters
    ----------
    grid : FrequencyGrid
        Grid of n points (`FrequencyGrid.of(wavenumbers)`).
    densities : ndarray, shape (n_structures, n)
        In states/THz.
    quantity : {"heat_capacity", "entropy", "free_energy", "internal_energy"}
    temperatures : array_like, shape (n_temperatures,)
        K, not negative, finite.
    imaginary : {"drop", "pretend_real", "refuse"}
        What becomes of modes below zero: left out as in phonopy, taken with
        positive frequencies, or an error where their share is above 0.2 %.
    acoustic : {"debye", None}
        Repair of the density near zero; see the module docstring.

    Returns
    -------
    ndarray, shape (n_structures, n_temperatures)
        Per mole of whatever the densities are of: heat capacity and entropy in
        J/(K mol), free and internal energy (with the zero-point energy) in kJ/mol.

    Raises
    ------
    SpectrumError
        If a temperature is negative or not finite, or an option unknown.
    ImaginaryModesError
        If `imaginary="refuse"` and a density has more than 0.2 % of its modes below zero.

    Examples
    --------
    >>> grid = FrequencyGrid.of(np.arange(0.0, 801.0, 10.0))
    >>> density = np.where(grid.wavenumbers > 300, 1.0, 0.0)[None]
    >>> modes = float(density[0] @ grid.trapezoid)
    >>> c = thermal_property(grid, density, "heat_capacity", [5000.0])
    >>> bool(abs(c[0, 0] / modes - 8.314) < 0.03)
    True
    """
    if imaginary not in ("drop", "pretend_real", "refuse") or acoustic not in ("debye", None):
        raise SpectrumError(
            f"imaginary={imaginary!r} has to be 'drop', 'pretend_real' or 'refuse', and "
            f"acoustic={acoustic!r} 'debye' or None."
        )
    if imaginary == "refuse":
        worst = float(imaginary_fraction(grid, densities).max(initial=0.0))
        if worst > IMAGINARY_TOLERANCE:
            raise ImaginaryModesError(
                f"{worst:.1%} of the modes are imaginary, and imaginary='refuse' was asked for. "
                "Relax the structure, or choose 'drop' (phonopy's way) or 'pretend_real'."
            )
    (masses, slopes), high = low_and_high(grid, densities)
    first, n_low, n_high = first_real(grid), masses.shape[1], high.shape[1]
    if acoustic:
        total = densities[:, first:] @ grid.trapezoid[first:]
        last, held = last_acoustic(masses, ACOUSTIC_SHARE * total)
        above = np.arange(n_low) > last[:, None]
        masses, slopes = masses * above, slopes * above
    if imaginary == "pretend_real":
        below = Pieces(*(part[:, :first] for part in pieces_of(grid, densities)))
    result = np.empty((len(densities), np.size(temperatures)))
    for column, temperature in enumerate(checked_temperatures(temperatures)):
        k = kernel(grid, quantity, float(temperature))
        low = slice(first, first + n_low)
        value = masses @ k.mean[low] + slopes @ k.tilt[low]
        if n_high:
            value += high @ k.flat[-n_high:]
        if acoustic:
            value += held * k.debye[first + last]
        if imaginary == "pretend_real":
            value += below.masses @ k.mean[:first] + below.slopes @ k.tilt[:first]
        result[:, column] = value
    return result


def lowest_temperature(grid: FrequencyGrid) -> float:
    """Lowest temperature in K that a grid resolves: k_B T is two thirds of its step.

    Below, most of what is excited lies in the first bins, and heat capacity and entropy are the
    acoustic law's rather than the spectrum's.

    Parameters
    ----------
    grid : FrequencyGrid

    Returns
    -------
    float
        K.

    Examples
    --------
    >>> round(lowest_temperature(FrequencyGrid.of([5.0, 15.0, 25.0])), 1)
    9.6
    """
    return RESOLVED_STEPS * grid.step * constants().kelvin_per_cm


def warn_of_low_temperatures(
    grid: FrequencyGrid, temperatures: ArrayLike, name: str, stacklevel: int = 2
) -> None:
    """Issue a LowTemperatureWarning where a temperature (K) is above zero and not resolved.

    Parameters
    ----------
    grid : FrequencyGrid
    temperatures : array_like
        K; at zero itself the limits are exact.
    name : str
        Of the crystal.
    stacklevel : int
        As of `warnings.warn`, from the caller.
    """
    t, lowest = checked_temperatures(temperatures), lowest_temperature(grid)
    if ((t > 0) & (t < lowest)).any():
        warnings.warn(
            f"{name}: heat capacity and entropy below {lowest:.3g} K follow from the acoustic law "
            f"and the modes in the first bins of {grid.step:g} cm^-1, which are poorly known. Use "
            "them for their order of magnitude; for more, take sound velocities or force "
            "constants from a calculation (docs/theory/low-frequencies.md has the errors).",
            LowTemperatureWarning,
            stacklevel=stacklevel + 1,
        )


def checked_temperatures(temperatures: ArrayLike) -> Array:
    """Temperatures as a flat array.

    Parameters
    ----------
    temperatures : array_like
        K.

    Returns
    -------
    ndarray, shape (n,)
        K.

    Raises
    ------
    SpectrumError
        If one is not a number, not finite, negative, or beyond any crystal.
    """
    try:
        given = np.asarray(temperatures)
        if given.dtype.kind in "bmM":  # truth, dates: numpy would count them
            raise TypeError
        t = np.asarray(temperatures, dtype=np.float64).ravel()
    except (TypeError, ValueError, OverflowError):
        raise SpectrumError(
            "Temperatures have to be numbers, finite and not negative, in kelvin; got "
            f"{shortly(temperatures)}."
        ) from None
    for wrong, why in (
        (np.isnan(t), "is not a number; temperatures are in kelvin"),
        (np.isinf(t), "is not finite; temperatures are in kelvin"),
        (t < 0, "is negative; temperatures are in kelvin"),
        (t > HIGHEST_TEMPERATURE, "is beyond any crystal"),
    ):
        if wrong.any():
            raise SpectrumError(
                f"A temperature of {t[wrong][0]:g} K {why}. Give values from 0 to "
                f"{HIGHEST_TEMPERATURE:g} K."
            )
    return t


def imaginary_fraction(grid: FrequencyGrid, densities: Array) -> Array:
    """Share of the modes below zero; densities (..., n) in states/THz, result (...).

    Parameters
    ----------
    grid : FrequencyGrid
        Of n points.
    densities : ndarray, shape (..., n)
        states/THz.

    Returns
    -------
    ndarray, shape (...)
        Between 0 and 1.
    """
    total = densities @ grid.trapezoid
    return np.asarray(densities @ imaginary_weights(grid) / total)


@lru_cache(maxsize=128)
def imaginary_weights(grid: FrequencyGrid) -> Array:
    """Weights (n,) that integrate a density over the frequencies below zero."""
    if grid.zero_knot < 0:
        return grid.trapezoid * float(grid.wavenumbers[0] < 0)
    below = grid.trapezoid * (grid.wavenumbers < 0)
    if not grid.is_split and grid.zero_knot > 0:
        below[grid.zero_knot] = grid.step / 2 / constants().thz_to_cm
    return np.asarray(below)


def _per_mode(quantity: Quantity, wavenumbers: Array, temperature: float) -> Array:
    """Property of one mode: J/(K mol) or kJ/mol."""
    c = constants()
    energy = quantity in ("free_energy", "internal_energy")
    zero_point = wavenumbers * (c.cm_to_kj_mol / 2) if energy else np.zeros_like(wavenumbers)
    if temperature == 0.0:
        return zero_point
    x = np.clip(wavenumbers * (c.kelvin_per_cm / temperature), 1e-12, 700.0)
    scale = c.gas_constant * (temperature / 1000.0 if energy else 1.0)
    return zero_point + scale * _in_boltzmann_units(quantity, x)


def _in_boltzmann_units(quantity: Quantity, x: Array) -> Array:
    """Thermal part in k_B or k_B T, at x = h nu / k_B T > 0."""
    e, o = np.exp(-x), -np.expm1(-x)
    if quantity == "heat_capacity":
        return np.asarray(x * x * e / (o * o))
    if quantity == "entropy":
        return np.asarray(x * e / o - np.log(o))
    if quantity == "free_energy":
        return np.asarray(np.log(o))
    return np.asarray(x * e / o)


def _per_debye_mode(quantity: Quantity, cutoffs: Array, temperature: float) -> Array:
    """Property per mode of a w^2 density that ends at each cut-off (cm^-1)."""
    c = constants()
    energy = quantity in ("free_energy", "internal_energy")
    zero_point = cutoffs * (c.cm_to_kj_mol * 3 / 8) if energy else np.zeros_like(cutoffs)
    if temperature == 0.0:
        return zero_point
    x = np.clip(cutoffs * (c.kelvin_per_cm / temperature), 1e-6, None)
    grid, mean = _debye_mean(quantity)
    thermal = np.interp(np.log(x), grid, mean)
    beyond = x > 200.0  # the integral is complete: its mean falls as 1/x^3
    thermal[beyond] = mean[-1] * (200.0 / x[beyond]) ** 3
    scale = c.gas_constant * (temperature / 1000.0 if energy else 1.0)
    return zero_point + scale * thermal


@cache
def _debye_mean(quantity: Quantity) -> tuple[Array, Array]:
    """Logarithm of X and 3/X^3 times the integral of u^2 f(u) up to X, f the thermal part."""
    log_x = np.linspace(np.log(1e-6), np.log(200.0), 12001)
    x = np.exp(log_x)
    integrand = x**3 * _in_boltzmann_units(quantity, x)
    steps = (integrand[1:] + integrand[:-1]) * (log_x[1] - log_x[0]) / 2
    integral = np.cumsum(np.concatenate([[integrand[0] / 3], steps]))
    return log_x, 3 * integral / x**3
