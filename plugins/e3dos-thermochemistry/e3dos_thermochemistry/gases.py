"""Ideal gases: ASE's IdealGasThermo with stated vibrations, or Cantera's tables.

Enthalpies are relative to 298.15 K, entropies at 1 bar; both are per mole of molecules.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.resources import files
from typing import Any, Literal, get_args

import numpy as np
import yaml
from ase import units
from ase.build import molecule
from ase.data.g2 import data as g2
from ase.thermochemistry import IdealGasThermo
from numpy.typing import ArrayLike
from pymatgen.core import Composition

from e3dos_thermochemistry.constants import EV, GAS_CONSTANT, ROOM
from e3dos_thermochemistry.error_bars import Array
from e3dos_thermochemistry.errors import GasError, MissingPackageError

GasSource = Literal["ase", "cantera"]
_BAR, _KILOCALORIE = 1e5, 4.184


@dataclass(frozen=True, slots=True)
class Gas:
    """An ideal gas.

    Attributes
    ----------
    name : str
        Formula of the molecule.
    source : str
        Where the numbers come from.
    range : tuple of float
        Temperatures (K) that are known.
    enthalpy_of_formation : float
        At 298.15 K, kJ/mol.
    above_zero : float or None
        H(298.15 K) - H(0), kJ/mol; None where the source does not reach 0 K.
    zero_point_energy : float or None
        kJ/mol.
    """

    name: str
    source: str
    range: tuple[float, float]
    enthalpy_of_formation: float
    above_zero: float | None
    zero_point_energy: float | None
    _functions: Callable[[float], tuple[float, float, float]]

    @property
    def composition(self) -> Composition:
        """The molecule."""
        return Composition(self.name)

    def enthalpy(self, temperature: ArrayLike) -> Array:
        """H(T) - H(298.15 K) in kJ/mol."""
        return self._column(0, temperature)

    def entropy(self, temperature: ArrayLike, pressure: float = 1.0) -> Array:
        """Entropy in J/(K mol) at a pressure in bar."""
        return np.asarray(self._column(1, temperature) - GAS_CONSTANT * np.log(pressure))

    def heat_capacity(self, temperature: ArrayLike) -> Array:
        """Heat capacity at constant pressure in J/(K mol)."""
        return self._column(2, temperature)

    def gibbs(self, temperature: ArrayLike, pressure: float = 1.0) -> Array:
        """G(T, p) - H(298.15 K) in kJ/mol."""
        t = np.asarray(temperature, dtype=np.float64)
        return np.asarray(self.enthalpy(t) - t * self.entropy(t, pressure) / 1000.0)

    @property
    def above_energy(self) -> float:
        """H(298.15 K) less the energy of the molecule without vibrations, kJ/mol.

        Raises
        ------
        GasError
            If the source does not reach 0 K.
        """
        if self.above_zero is None or self.zero_point_energy is None:
            raise GasError(
                f"The table of {self.source} for {self.name} gives no enthalpy relative to 0 K and "
                "no zero-point energy, so it cannot be added to a calculated energy. Give "
                f"enthalpies of formation instead, or a gas of ASE's: {', '.join(ideal_gases())}."
            )
        return self.above_zero + self.zero_point_energy

    def _column(self, k: int, temperature: ArrayLike) -> Array:
        t = np.asarray(temperature, dtype=np.float64)
        low, high = self.range
        if not ((t >= low) & (t <= high)).all():
            raise GasError(
                f"{self.source} knows gaseous {self.name} from {low:g} to {high:g} K, and "
                f"{t.min():g} to {t.max():g} K was asked for. Ask for temperatures in between."
            )
        values = np.array([self._functions(float(x))[k] for x in t.ravel()])
        return np.asarray(values.reshape(t.shape), dtype=np.float64)


def gas(name: str, source: GasSource = "ase") -> Gas:
    """Ideal gas by its formula.

    Parameters
    ----------
    name : str
        Formula of the molecule, such as "CO2".
    source : {"ase", "cantera"}
        ASE's `IdealGasThermo` with the vibrations of `gases.yaml`, or the NASA polynomials that
        Cantera ships (hundreds of molecules, 200 or 300 to 5000 or 6000 K).

    Raises
    ------
    GasError
        If the source does not know the gas.
    MissingPackageError
        If Cantera is asked for and not installed.

    Examples
    --------
    >>> round(float(gas("CO2").entropy(298.15)), 1)
    214.0
    """
    if source not in get_args(GasSource):
        raise GasError(
            f"gases={source!r} is not a source of gases: choose from {get_args(GasSource)}."
        )
    found = _ideal_gas(name) if source == "ase" else _cantera_gas(name)
    if found is None:
        known = f"those known are {', '.join(ideal_gases())}" if source == "ase" else "see its file"
        other = "; Cantera knows more (gases='cantera')" if source == "ase" else ""
        raise GasError(
            f"{source} has no gas {name!r}: {known}{other}. A solid needs a structure file."
        )
    return found


@cache
def ideal_gases() -> tuple[str, ...]:
    """Molecules that ASE's `IdealGasThermo` can do here."""
    return tuple(_table())


@cache
def _table() -> dict[str, dict[str, Any]]:
    text = files(__package__).joinpath("gases.yaml").read_text(encoding="utf-8")
    table: dict[str, dict[str, Any]] = yaml.safe_load(text)
    return table


@cache
def _ideal_gas(name: str) -> Gas | None:
    row = _table().get(name)
    if row is None:
        return None
    thermo = IdealGasThermo(
        vib_energies=[v * units.invcm for v in row["vibrations"]],
        geometry=row["shape"],
        atoms=molecule(row["molecule"]),
        symmetrynumber=row["symmetry"],
        spin=row["spin"],
    )
    harmonic = float(np.sum(row["vibrations"])) * units.invcm / 2

    def above_zero(t: float) -> float:
        """H(T) - H(0) in kJ/mol."""
        return float(thermo.get_enthalpy(t, verbose=False) - harmonic) * EV

    room = above_zero(ROOM)
    of_molecule: Any = g2[row["molecule"]]

    def functions(t: float) -> tuple[float, float, float]:
        # exp(hv/kT) overflows near 0 K, where what it divides is nothing
        with np.errstate(over="ignore"):
            return at(t)

    def at(t: float) -> tuple[float, float, float]:
        entropy = float(thermo.get_entropy(t, _BAR, verbose=False)) * EV * 1000.0
        step = 1e-3 * t
        capacity = (above_zero(t + step) - above_zero(t - step)) / (2 * step) * 1000.0
        return above_zero(t) - room, entropy, capacity

    return Gas(
        name,
        "ASE's IdealGasThermo",
        (1.0, 6000.0),
        float(row["enthalpy"]),
        room,
        float(of_molecule["ZPE"]) * _KILOCALORIE,
        functions,
    )


@cache
def _cantera_gas(name: str) -> Gas | None:
    try:
        cantera = import_module("cantera")
    except ImportError as error:
        raise MissingPackageError(
            "gases='cantera' needs Cantera, which is not installed: pip install cantera."
        ) from error
    species = {s.name: s for s in _cantera_species(cantera)}.get(name)
    if species is None:
        return None
    thermo, ideal = species.thermo, _ideal_gas(name)

    def functions(t: float) -> tuple[float, float, float]:
        return (thermo.h(t) - thermo.h(ROOM)) / 1e6, thermo.s(t) / 1e3, thermo.cp(t) / 1e3

    return Gas(
        name,
        "Cantera's nasa_gas.yaml",
        (thermo.min_temp, thermo.max_temp),
        float(thermo.h(ROOM)) / 1e6,
        None if ideal is None else ideal.above_zero,
        None if ideal is None else ideal.zero_point_energy,
        functions,
    )


@cache
def _cantera_species(cantera: Any) -> tuple[Any, ...]:
    return tuple(cantera.Species.list_from_file("nasa_gas.yaml"))
