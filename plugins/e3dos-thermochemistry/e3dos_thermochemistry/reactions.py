"""Reactions of solids and gases: enthalpy, entropy and Gibbs energy against temperature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from pymatgen.core import Composition

from ase_e3dos import PhononSpectrum
from ase_e3dos.analysis.crossings import Crossing, crossings
from e3dos_thermochemistry.constants import EV, GAS_CONSTANT, ROOM
from e3dos_thermochemistry.equations import Equation, balanced
from e3dos_thermochemistry.error_bars import (
    INTERVAL_LEVEL,
    Array,
    Errors,
    JointErrors,
    Quantity,
    half_width,
    joint_errors,
)
from e3dos_thermochemistry.errors import ReactionError
from e3dos_thermochemistry.expansion import ThermalExpansion
from e3dos_thermochemistry.gases import Gas, GasSource, gas
from e3dos_thermochemistry.solid import Solid


@dataclass(frozen=True, slots=True)
class ReactionResult:
    """What a reaction, as its equation is written, changes; products less reactants.

    Attributes
    ----------
    equation : Equation
    temperatures : ndarray, shape (n,)
        K.
    entropy, heat_capacity : ndarray, shape (n,)
        J/(K mol), at the pressures given.
    enthalpy, gibbs : ndarray, shape (n,), or None
        kJ/mol, at the pressures given; None without energies.
    half_widths : dict
        Half widths of the 90 % intervals by the names above; empty without error bars.
    pressures : dict
        Of the gases, bar.
    anchor : str
        "energies" (without vibrations), "enthalpies" (of formation at 298.15 K), or "".
    """

    equation: Equation
    temperatures: Array
    entropy: Array
    heat_capacity: Array
    enthalpy: Array | None
    gibbs: Array | None
    half_widths: Mapping[str, Array]
    pressures: Mapping[str, float]
    anchor: str
    _fields: tuple[str, ...] = field(default=("enthalpy", "entropy", "gibbs", "heat_capacity"))

    @property
    def equilibrium(self) -> tuple[Crossing, ...]:
        """Temperatures at which the Gibbs energy changes its sign; none without energies."""
        if self.gibbs is None:
            return ()
        return crossings(self.temperatures, self.gibbs, self.half_widths.get("gibbs"))

    @property
    def gas_amount(self) -> float:
        """Moles of gas that the reaction makes."""
        pairs = zip(self.equation.species, self.equation.amounts, strict=True)
        return sum(amount for name, amount in pairs if name in self.pressures)

    def equilibrium_pressure(self) -> Array:
        """Pressure in bar, the same of all gases, at which solids and gases are in equilibrium.

        Returns
        -------
        ndarray, shape (n,) or (3, n)
            With error bars the value and the ends of its 90 % interval.

        Raises
        ------
        ReactionError
            Without energies, or where as much gas is made as is used.
        """
        if self.gibbs is None or abs(self.gas_amount) < 1e-9:
            raise ReactionError(
                f"{self.equation} has no equilibrium pressure: it takes energies and a change in "
                "the amount of gas."
            )
        pairs = zip(self.equation.species, self.equation.amounts, strict=True)
        logs = sum(a * np.log(self.pressures[s]) for s, a in pairs if s in self.pressures)
        thermal = GAS_CONSTANT / 1000.0 * self.temperatures
        standard = self.gibbs - thermal * logs
        half = self.half_widths.get("gibbs")
        if half is not None:
            standard = np.stack([standard, standard - half, standard + half])
        powers = -standard / (thermal * self.gas_amount)
        pressures = np.exp(np.clip(powers, -700, 700))
        if half is not None:
            pressures[1:].sort(axis=0)
        return np.asarray(pressures)

    def rows(self) -> list[dict[str, float | None]]:
        """A row for each temperature, with units in the names of the columns.

        Returns
        -------
        list of dict
            ``temperature_K``, and in kJ/mol or J/(K mol) what is known of enthalpy, entropy, Gibbs
            energy and heat capacity; ``half_width_...`` beside each, None without error bars.
        """
        units = dict.fromkeys(("entropy", "heat_capacity"), "J_per_K_mol")
        rows = []
        for k, t in enumerate(self.temperatures):
            row: dict[str, float | None] = {"temperature_K": float(t)}
            for name in self._fields:
                values, half = getattr(self, name), self.half_widths.get(name)
                if values is not None:
                    unit = units.get(name, "kJ_per_mol")
                    row[f"{name}_{unit}"] = float(values[k])
                    row[f"half_width_{name}_{unit}"] = None if half is None else float(half[k])
            rows.append(row)
        return rows

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        columns = {n: getattr(self, n) for n in self._fields if getattr(self, n) is not None}
        return {
            "equation": str(self.equation),
            "units": {"enthalpy": "kJ/mol", "gibbs": "kJ/mol", "entropy": "J/(K mol)"}
            | {"heat_capacity": "J/(K mol)", "temperature": "K", "pressure": "bar"},
            "pressures": dict(self.pressures),
            "energies": self.anchor or None,
            "temperatures": self.temperatures.tolist(),
            **{name: values.tolist() for name, values in columns.items()},
            "half_widths": {name: half.tolist() for name, half in self.half_widths.items()},
            "interval_level": INTERVAL_LEVEL,
            "equilibrium": [
                {
                    "temperature": c.temperature,
                    "interval": c.interval,
                    "open_ends": c.open_ends,
                    "rising": c.rising,
                }
                for c in self.equilibrium
            ],
        }


def react(
    equation: str | Equation,
    solids: Sequence[PhononSpectrum] | Mapping[str, PhononSpectrum],
    *,
    energies: Mapping[str, float] | None = None,
    enthalpies: Mapping[str, float] | None = None,
    gases: GasSource = "ase",
    pressures: float | Mapping[str, float] = 1.0,
    temperatures: ArrayLike | None = None,
    energy_error: float = 0.0,
    errors: Errors | JointErrors = "measured",
    expansions: Mapping[str, ThermalExpansion] | None = None,
) -> ReactionResult:
    """Thermochemistry of a reaction of solids, whose phonons are known, and ideal gases.

    Parameters
    ----------
    equation : str or Equation
        Such as "CaCO3 -> CaO + CO2"; it is balanced here.
    solids : sequence or mapping of PhononSpectrum
        Of the solids, found by their composition. What has no spectrum is a gas.
    energies : mapping of str to float, optional
        Energy without vibrations in eV a formula unit (a molecule for gases), by the equation's
        formulas, all by one method. Gases get their zero-point energy added.
    enthalpies : mapping of str to float, optional
        In place of `energies`: enthalpies of formation at 298.15 K of the solids in kJ/mol. Those
        of the gases are known.
    gases : {"ase", "cantera"}
        Source of the gases' properties: `gas`.
    pressures : float or mapping
        Of the gases in bar.
    temperatures : array_like, optional
        K, ascending; 200 to 2000 K every 10 K if not given.
    energy_error : float
        Half the 90 % interval of the energy or enthalpy of the reaction as balanced, kJ/mol.
    errors : str or JointErrors
        Which errors cancel: `joint_errors`. A model of one's own is for the solids in the order
        in which the equation has them, in their cells.
    expansions : mapping of str to ThermalExpansion, optional
        By formula, for solids at constant pressure rather than constant volume. Errors of the
        expansion are not in the intervals.

    Returns
    -------
    ReactionResult

    Raises
    ------
    ReactionError
        If the equation is not one, or spectra, energies and species do not fit.
    GasError
        If a gas is not known.

    Notes
    -----
    Errors of the enthalpy are bounded by those of the zero-point energy; see
    `e3dos_thermochemistry.error_bars`.
    """
    equation = balanced(equation) if isinstance(equation, str) else equation
    t = _temperatures(temperatures)
    phases, gaseous = _phases(equation, solids, gases, expansions or {})
    pressure = _pressures(gaseous, pressures)
    if energies is not None and enthalpies is not None:
        raise ReactionError(
            "Both energies and enthalpies are given. Energies are without vibrations, enthalpies "
            "at 298.15 K: give one of them."
        )
    if not (np.isfinite(energy_error) and energy_error >= 0):
        raise ReactionError(f"energy_error={energy_error!r} has to be 0 or more, in kJ/mol.")
    columns = {"enthalpy": np.zeros(len(t)), "entropy": np.zeros(len(t))}
    columns["heat_capacity"] = np.zeros(len(t))
    reference = 0.0
    given = energies if energies is not None else enthalpies
    for name, amount in zip(equation.species, equation.amounts, strict=True):
        phase = phases.get(name)
        g = gaseous.get(name)
        if phase is not None:
            columns["entropy"] += amount * phase.entropy(t)
            columns["heat_capacity"] += amount * phase.heat_capacity(t)
            base = phase.enthalpy(ROOM) if enthalpies is not None else 0.0
            columns["enthalpy"] += amount * (phase.enthalpy(t) - base)
        if g is not None:
            columns["entropy"] += amount * g.entropy(t, pressure[name])
            columns["heat_capacity"] += amount * g.heat_capacity(t)
            columns["enthalpy"] += amount * g.enthalpy(t)
            if energies is not None:
                columns["enthalpy"] += amount * g.above_energy
        if given is not None:
            value = _energy(name, given, g if enthalpies is not None else None)
            reference += amount * value * (EV if energies is not None else 1.0)
    enthalpy = gibbs = None
    if given is not None:
        enthalpy = reference + columns["enthalpy"]
        gibbs = enthalpy - t * columns["entropy"] / 1000.0
    anchor = "energies" if energies is not None else "enthalpies" if enthalpies is not None else ""
    return ReactionResult(
        equation=equation,
        temperatures=t,
        entropy=columns["entropy"],
        heat_capacity=columns["heat_capacity"],
        enthalpy=enthalpy,
        gibbs=gibbs,
        half_widths=_half_widths(equation, phases, t, errors, energy_error, anchor),
        pressures=pressure,
        anchor=anchor,
    )


def _temperatures(temperatures: ArrayLike | None) -> Array:
    if temperatures is None:
        return np.arange(200.0, 2001.0, 10.0)
    try:
        t = np.atleast_1d(np.asarray(temperatures, dtype=np.float64))
        good = t.ndim == 1 and len(t) > 0 and bool(((t > 0) & (t < np.inf)).all())
    except (TypeError, ValueError):
        good = False
    if not good or (np.diff(t) <= 0).any():
        raise ReactionError(
            f"The temperatures {temperatures!r} have to be above 0 K, finite and ascending."
        )
    return t


def _phases(
    equation: Equation,
    solids: Sequence[PhononSpectrum] | Mapping[str, PhononSpectrum],
    source: GasSource,
    expansions: Mapping[str, ThermalExpansion],
) -> tuple[dict[str, Solid], dict[str, Gas]]:
    """Solids and gases by the equation's formulas."""
    spectra = list(solids.values()) if isinstance(solids, Mapping) else list(solids)
    reduced = {Composition(name).reduced_composition: name for name in equation.species}
    phases: dict[str, Solid] = {}
    for spectrum in spectra:
        composition = Composition(spectrum.crystal.formula)
        name = reduced.get(composition.reduced_composition)
        if name is None:
            raise ReactionError(
                f"The structure {spectrum.crystal.name} ({composition.reduced_formula}) is not in "
                f"{equation}. Leave it out, or correct the equation."
            )
        if name in phases:
            raise ReactionError(
                f"There are two structures of {name}. Give the stable one, or find it with "
                "`e3dos phases`."
            )
        phases[name] = Solid(spectrum, name, expansions.get(name))
    for name in expansions:
        if name not in phases:
            raise ReactionError(f"An expansion is given for {name!r}, of which there is no solid.")
    gaseous = {}
    for name in equation.species:
        if name not in phases:
            gaseous[name] = gas(name, source)
    return phases, gaseous


def _pressures(
    gaseous: Mapping[str, Gas], pressures: float | Mapping[str, float]
) -> dict[str, float]:
    given = dict(pressures) if isinstance(pressures, Mapping) else dict.fromkeys(gaseous, pressures)
    for name, value in given.items():
        if name not in gaseous:
            raise ReactionError(
                f"A pressure is given for {name!r}, which is not a gas of this reaction: its gases "
                f"are {', '.join(gaseous) or 'none'}."
            )
        if not (np.isfinite(value) and value > 0):
            raise ReactionError(f"The pressure {value!r} of {name} has to be positive, in bar.")
    return {name: float(given.get(name, 1.0)) for name in gaseous}


def _energy(name: str, given: Mapping[str, float], known: Gas | None) -> float:
    wanted = Composition(name)
    found = [v for key, v in given.items() if Composition(key) == wanted]
    if not found and known is not None:
        return known.enthalpy_of_formation
    if not found or not np.isfinite(found[0]):
        raise ReactionError(
            f"There is no energy of {name} among those of {', '.join(given) or 'nothing'}. Give "
            "one finite number for each species, for the formula as the equation has it."
        )
    return float(found[0])


def _half_widths(
    equation: Equation,
    phases: Mapping[str, Solid],
    t: Array,
    errors: Errors | JointErrors,
    energy_error: float,
    anchor: str,
) -> dict[str, Array]:
    names = [name for name in equation.species if name in phases]
    spectra = [phases[name].spectrum for name in names]
    model = joint_errors(spectra, errors) if isinstance(errors, str) else errors
    if model is None:
        return {}
    amount = dict(zip(equation.species, equation.amounts, strict=True))
    cells = np.array([amount[name] / phases[name].units for name in names])
    gibbs: Quantity = "anchored" if anchor == "enthalpies" else "free_energy"
    wanted: dict[str, Quantity] = {"entropy": "entropy", "heat_capacity": "heat_capacity"}
    if anchor:
        wanted |= {"enthalpy": "internal_energy", "gibbs": gibbs}
    halves = {name: half_width(model, quantity, t, cells) for name, quantity in wanted.items()}
    for name in ("enthalpy", "gibbs"):
        if name in halves:
            halves[name] = np.hypot(halves[name], energy_error)
    return halves
