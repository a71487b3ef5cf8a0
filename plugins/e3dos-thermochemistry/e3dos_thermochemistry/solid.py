"""A solid in a reaction, in a hull or in a fit: per mole of formula units."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from pymatgen.core import Composition

from ase_e3dos import PhononSpectrum
from ase_e3dos.errors import LowTemperatureWarning
from e3dos_thermochemistry.constants import ROOM
from e3dos_thermochemistry.error_bars import Array
from e3dos_thermochemistry.errors import ThermochemistryError
from e3dos_thermochemistry.expansion import ThermalExpansion


@dataclass(frozen=True, slots=True)
class Solid:
    """Thermal properties of a solid per mole of formula units.

    Parameters
    ----------
    spectrum : PhononSpectrum
        Of its cell.
    formula : str, optional
        The formula unit, such as "CaCO3" or "Mg2Si2O6"; the reduced formula if not given.
    expansion : ThermalExpansion, optional
        Of the same cell, for properties at constant pressure rather than constant volume.

    Raises
    ------
    ThermochemistryError
        If the formula is not the crystal's.

    Notes
    -----
    Without `expansion`, "gibbs" is the Helmholtz energy at the volume given. The term p V is
    neglected: 1 bar adds some 1e-3 kJ/mol.
    """

    spectrum: PhononSpectrum
    formula: str = ""
    expansion: ThermalExpansion | None = None

    def __post_init__(self) -> None:
        own = Composition(self.spectrum.crystal.formula)
        if not self.formula:
            object.__setattr__(self, "formula", own.reduced_formula)
        if self.composition.reduced_composition != own.reduced_composition:
            raise ThermochemistryError(
                f"The structure {self.spectrum.crystal.name} is {own.reduced_formula}, given as "
                f"{self.formula}. Give the structure of {self.formula}, or correct the formula."
            )
        if self.expansion is not None:
            sites = self.expansion.small.crystal.n_sites
            if sites != self.spectrum.crystal.n_sites:
                raise ThermochemistryError(
                    f"The expansion given for {self.formula} is of a cell of {sites} sites, its "
                    f"spectrum of {self.spectrum.crystal.n_sites}. Take both from one structure."
                )

    @property
    def composition(self) -> Composition:
        """The formula unit."""
        return Composition(self.formula)

    @property
    def units(self) -> float:
        """Formula units in the cell."""
        return float(self.spectrum.crystal.n_sites / self.composition.num_atoms)

    @property
    def volume(self) -> float:
        """Å^3 a formula unit."""
        return float(self.spectrum.crystal.volume / self.units)

    def gibbs(self, temperature: ArrayLike) -> Array:
        """Vibrational free energy with the zero-point energy, kJ/mol."""
        return self._values("free_energy", "gibbs", temperature)

    def enthalpy(self, temperature: ArrayLike) -> Array:
        """Vibrational enthalpy with the zero-point energy, kJ/mol."""
        return self._values("internal_energy", "enthalpy", temperature)

    def entropy(self, temperature: ArrayLike) -> Array:
        """Entropy, J/(K mol)."""
        return self._values("entropy", "entropy", temperature)

    def heat_capacity(self, temperature: ArrayLike) -> Array:
        """C_V, or C_P with an expansion, J/(K mol)."""
        return self._values("heat_capacity", "heat_capacity", temperature)

    def anchored_gibbs(self, temperature: ArrayLike) -> Array:
        """G(T) - H(298.15 K), kJ/mol."""
        return self.gibbs(temperature) - self.enthalpy(ROOM)

    def _values(self, of_spectrum: str, of_expansion: str, temperature: ArrayLike) -> Array:
        t = np.asarray(temperature, dtype=np.float64)
        with warnings.catch_warnings():
            # next to nothing beside the zero-point energy, and not what is asked for here
            warnings.simplefilter("ignore", LowTemperatureWarning)
            values = np.asarray(getattr(self.spectrum, of_spectrum)(t), dtype=np.float64)
            if self.expansion is not None:
                values = values + getattr(self.expansion, of_expansion)(t)
        return np.asarray(values / self.units)
