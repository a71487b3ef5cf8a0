"""Thermal properties as curves over temperature, in the units asked for, with bands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from ase_e3dos.errors import SpectrumError
from ase_e3dos.export.curves import interval_name
from ase_e3dos.spectrum.constants import constants
from ase_e3dos.spectrum.density_of_states import DensityOfStates
from ase_e3dos.spectrum.grid import Array
from ase_e3dos.spectrum.thermal import Quantity, checked_temperatures, thermal_property
from ase_e3dos.spectrum.uncertainty import INTERVAL_LEVEL

EnergyUnit = Literal["kJ/mol", "meV", "eV", "kB"]
#: Symbols of the quantities, for axes and commands.
SYMBOLS: dict[Quantity, str] = {
    "heat_capacity": "C_V",
    "entropy": "S",
    "free_energy": "F",
    "internal_energy": "U",
}


Panel = Literal["dos", "heat_capacity", "entropy", "free_energy", "internal_energy"]
#: What figures have panels of.
PANELS: tuple[Panel, ...] = get_args(Panel)


def check_panels(
    panels: Sequence[str],
    *,
    projection: object = None,
    stacked: bool = False,
    layout: str = "auto",
    smoothing: float = 0.0,
    overlays: Sequence[object] = (),
) -> None:
    """Refuse panels that are not such, and options of densities without a panel of them.

    Parameters
    ----------
    panels : sequence of str
    projection, stacked, layout, smoothing, overlays
        As for `ase_e3dos.export.plots.plot_summary`.

    Raises
    ------
    SpectrumError
        If a panel is unknown or named twice, or an option would have no effect.
    """
    if not panels or not set(panels) <= set(PANELS) or len(set(panels)) < len(panels):
        raise SpectrumError(
            f"panels={tuple(panels)!r} has to be one or more of {', '.join(PANELS)}, each once."
        )
    if "dos" in panels:
        return
    given = {
        "projection": projection not in ("auto", None),
        "stacked": stacked,
        "layout": layout == "waterfall",
        "smoothing": smoothing,
        "overlays (--with)": overlays,
    }
    without_effect = [name for name, is_given in given.items() if is_given]
    if without_effect:
        raise SpectrumError(
            f"{', '.join(without_effect)}: of densities of states, but panels="
            f"{tuple(panels)!r} has none. Add 'dos' to the panels."
        )


@dataclass(frozen=True, slots=True)
class ThermalCurve:
    """A thermal property over temperature.

    Attributes
    ----------
    name : str
    quantity : {"heat_capacity", "entropy", "free_energy", "internal_energy"}
    temperatures : ndarray, shape (n,)
        K.
    values : ndarray, shape (n,)
        In `unit`, per what `per` says.
    low, high : ndarray, shape (n,), or None
        Calibrated interval.
    band : str
        What the band is; empty without one.
    unit : str
        "J/(K mol)", "kJ/mol", "meV/K", ...
    per : str
    """

    name: str
    quantity: Quantity
    temperatures: Array
    values: Array
    low: Array | None
    high: Array | None
    band: str
    unit: str
    per: str


def energy_unit(quantity: str, units: str) -> tuple[str, float]:
    """Name of the unit of a quantity, and how many of it its unit here (J or kJ per mole) is.

    Raises
    ------
    SpectrumError
        If quantity or unit are unknown.
    """
    if quantity not in SYMBOLS or units not in get_args(EnergyUnit):
        raise SpectrumError(
            f"quantity={quantity!r} has to be one of {', '.join(SYMBOLS)}, and energy_units="
            f"{units!r} one of {', '.join(get_args(EnergyUnit))}."
        )
    per_kelvin = quantity in ("heat_capacity", "entropy")
    if units == "kJ/mol":
        return ("J/(K mol)" if per_kelvin else "kJ/mol"), 1.0
    gas = constants().gas_constant
    joules = 1.0 if per_kelvin else 1000.0
    if units == "kB":
        return ("k_B" if per_kelvin else "k_B K"), joules / gas
    from scipy.constants import eV, k

    size = joules / gas * k / eV * (1000.0 if units == "meV" else 1.0)
    return (f"{units}/K" if per_kelvin else units), size


def drawn_temperatures(lowest: float = 0.0, highest: float = 1000.0) -> Array:
    """Temperatures in K at which figures draw a range: densest where curves bend most."""
    return np.asarray(lowest + (highest - lowest) * np.linspace(0.0, 1.0, 101) ** 1.5)


def ascending_temperatures(temperatures: ArrayLike) -> Array:
    """Temperatures (K) that a line can be drawn over.

    Raises
    ------
    SpectrumError
        If they are not at least one, in one dimension, ascending.
    """
    t = checked_temperatures(temperatures)
    if len(t) == 0 or np.ndim(temperatures) > 1 or (np.diff(t) <= 0).any():
        raise SpectrumError(
            "Temperatures of a figure are a list of one or more in kelvin, ascending, such as "
            f"numpy.linspace(0, 1000, 201); {len(t)} in {np.ndim(temperatures)} dimensions that "
            "are not so were given. Sort them, each once."
        )
    return t


def thermal_curve(
    spectrum: DensityOfStates,
    quantity: Quantity = "heat_capacity",
    temperatures: ArrayLike | None = None,
    *,
    energy_units: EnergyUnit = "kJ/mol",
    band: float | None = INTERVAL_LEVEL,
    name: str | None = None,
) -> ThermalCurve:
    """Return a thermal property of a spectrum over temperature.

    Parameters
    ----------
    spectrum : DensityOfStates
    quantity : {"heat_capacity", "entropy", "free_energy", "internal_energy"}
    temperatures : array_like, optional
        K; 0 to 1000 if not given.
    energy_units : {"kJ/mol", "meV", "eV", "kB"}
        "kJ/mol" stands for kJ/mol and J/(K mol), "meV" for meV and meV/K, "kB" for k_B K and k_B.
    band : float, optional
        Level of the calibrated interval, where there is one; None for no band.
    name : str, optional
        The formula if not given.

    Returns
    -------
    ThermalCurve

    Raises
    ------
    SpectrumError
        If quantity or unit are unknown, or a temperature is not one.
    """
    unit, scale = energy_unit(quantity, energy_units)
    asked = drawn_temperatures() if temperatures is None else temperatures
    t = np.atleast_1d(checked_temperatures(asked))
    values = thermal_property(spectrum.grid, spectrum.density[None], quantity, t)[0] * scale
    calibration = spectrum.calibration
    known = calibration is not None and quantity in calibration.spreads
    low = high = None
    if band is not None and known and spectrum.members is not None and len(t):
        # at every temperature: widths bend too sharply below 100 K to be interpolated
        low, high = (bound * scale for bound in spectrum.interval(quantity, band, t))
    return ThermalCurve(
        name or spectrum.crystal.formula,
        quantity,
        t,
        values,
        low,
        high,
        "" if low is None or band is None else interval_name(band),
        unit,
        spectrum.normalization,
    )
