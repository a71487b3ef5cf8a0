"""Heat capacity at constant pressure: spectra at two volumes and a bulk modulus.

The entropy's slope with volume, S' = (dS/dV)_T, is by a Maxwell relation the slope of the
pressure with temperature, so that the thermal pressure since a reference temperature at which the
crystal has the volume given is P(T) = F'(T_0) - F'(T), with F' = (dF/dV)_T. To second order in it,

    G(T) = F(T) - V P^2 / 2 K,        S = S_V + V P S' / K,
    C_P = C_V + V (T S'^2 + P C_V') / K,     alpha = S' / K,

with the bulk modulus K. The first part of the second term of C_P is the textbook's alpha^2 K T V.
Derivatives of each line give the next one exactly. Electrons, and what is anharmonic at a fixed
volume, stay left out. Whether it helps depends on how well the network has learned the response to
strain: it is off unless asked for, and the README says on what it was tried.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import ArrayLike

from ase_e3dos import Crystal, PhononSpectrum, predict
from e3dos_thermochemistry.constants import CUBIC_ANGSTROM, ROOM
from e3dos_thermochemistry.error_bars import Array
from e3dos_thermochemistry.errors import ThermochemistryError

_GIGAPASCAL = 1e9


@dataclass(frozen=True, slots=True)
class ThermalExpansion:
    """What a crystal's expansion adds to its thermal properties, per mole of cells.

    Parameters
    ----------
    small, large : PhononSpectrum
        At a smaller and a larger volume, of one cell.
    bulk_modulus : float
        Isothermal, GPa.
    reference : float
        Temperature (K) at which the crystal has the mean of the two volumes.

    Raises
    ------
    ThermochemistryError
        If the volumes, the bulk modulus or the temperature make no sense.
    """

    small: PhononSpectrum
    large: PhononSpectrum
    bulk_modulus: float
    reference: float = ROOM

    def __post_init__(self) -> None:
        sites = {self.small.crystal.n_sites, self.large.crystal.n_sites}
        if len(sites) > 1 or self.small.crystal.volume >= self.large.crystal.volume:
            raise ThermochemistryError(
                "Thermal expansion takes spectra of one cell at a smaller and a larger volume; "
                f"these have {self.small.crystal.n_sites} sites in {self.small.crystal.volume:.2f} "
                f"Å^3 and {self.large.crystal.n_sites} in {self.large.crystal.volume:.2f}. Predict "
                "one structure, scaled, and give the smaller first."
            )
        if not (np.isfinite(self.bulk_modulus) and self.bulk_modulus > 0):
            raise ThermochemistryError(
                f"The bulk modulus {self.bulk_modulus!r} has to be positive, in GPa."
            )
        if not (np.isfinite(self.reference) and self.reference >= 0):
            raise ThermochemistryError(
                f"The reference temperature {self.reference!r} has to be 0 K or more."
            )

    @property
    def volume(self) -> float:
        """Volume of the cell at the reference temperature, Å^3."""
        return (self.small.crystal.volume + self.large.crystal.volume) / 2

    def coefficient(self, temperature: ArrayLike) -> Array:
        """Coefficient of expansion of the volume, 1/K."""
        return np.asarray(self._slope("entropy", temperature) / self._modulus)

    def pressure(self, temperature: ArrayLike) -> Array:
        """Thermal pressure since the reference temperature, GPa."""
        return self._pressure(temperature) / _GIGAPASCAL

    def gruneisen(self, temperature: ArrayLike) -> Array:
        """Thermodynamic Grüneisen parameter V alpha K / C_V, without a unit."""
        t = np.asarray(temperature, dtype=np.float64)
        capacity = (self.small.heat_capacity(t) + self.large.heat_capacity(t)) / 2
        return np.asarray(self._molar_volume * self._slope("entropy", t) / capacity)

    def gibbs(self, temperature: ArrayLike) -> Array:
        """What adds to the free energy at the volume given, kJ/mol."""
        return -self._compliance * self._pressure(temperature) ** 2 / 2000.0

    def entropy(self, temperature: ArrayLike) -> Array:
        """What adds to the entropy at the volume given, J/(K mol)."""
        slope = self._slope("entropy", temperature)
        return np.asarray(self._compliance * self._pressure(temperature) * slope)

    def enthalpy(self, temperature: ArrayLike) -> Array:
        """What adds to the internal energy at the volume given, kJ/mol."""
        t = np.asarray(temperature, dtype=np.float64)
        return self.gibbs(t) + t * self.entropy(t) / 1000.0

    def heat_capacity(self, temperature: ArrayLike) -> Array:
        """C_P less C_V at the volume given, J/(K mol)."""
        t = np.asarray(temperature, dtype=np.float64)
        of_volume = self._pressure(t) * self._slope("heat_capacity", t)
        return np.asarray(self._compliance * (t * self._slope("entropy", t) ** 2 + of_volume))

    @property
    def _modulus(self) -> float:
        return self.bulk_modulus * _GIGAPASCAL

    @property
    def _molar_volume(self) -> float:
        return self.volume * CUBIC_ANGSTROM

    @property
    def _compliance(self) -> float:
        return self._molar_volume / self._modulus

    def _pressure(self, temperature: ArrayLike) -> Array:
        """Pa; free energies are in kJ/mol."""
        t = np.asarray(temperature, dtype=np.float64)
        at_reference = self._slope("free_energy", self.reference)
        return np.asarray((at_reference - self._slope("free_energy", t)) * 1000.0)

    def _slope(self, quantity: str, temperature: ArrayLike) -> Array:
        """Derivative with the molar volume, in units of `quantity` per m^3/mol."""
        step = (self.large.crystal.volume - self.small.crystal.volume) * CUBIC_ANGSTROM
        t = np.asarray(temperature, dtype=np.float64)
        large, small = (getattr(s, quantity)(t) for s in (self.large, self.small))
        return np.asarray((large - small) / step, dtype=np.float64)


def thermal_expansion(
    structure: Any,
    bulk_modulus: float | None = None,
    *,
    calculator: Any = None,
    strain: float = 0.01,
    reference: float = ROOM,
    model: str = "default",
    device: str = "auto",
) -> ThermalExpansion:
    """Expansion of a crystal from two predictions.

    Parameters
    ----------
    structure
        Whatever `predict` takes, one of it.
    bulk_modulus : float, optional
        GPa.
    calculator : ase.calculators.calculator.Calculator, optional
        For the bulk modulus, where it is not given.
    strain : float
        Of the cell's edges, to both sides.
    reference : float
        Temperature (K) at which the crystal has the volume given: room temperature for measured
        structures, 0 for relaxed ones.
    model, device : str
        As for `predict`.

    Raises
    ------
    ThermochemistryError
        If there is neither a bulk modulus nor a calculator, or the strain is not one.
    E3DOSError
        If the structure cannot be predicted.
    """
    if not 0 < strain < 0.2:
        raise ThermochemistryError(
            f"strain={strain!r} has to be positive and small: 0.01 strains all edges by 1 %."
        )
    if bulk_modulus is None and calculator is None:
        raise ThermochemistryError(
            "Thermal expansion needs a bulk modulus, which spectra do not hold: give "
            "bulk_modulus in GPa, or a calculator of ASE's to find it with."
        )
    atoms = Crystal.from_any(structure).to_atoms()
    if bulk_modulus is None:
        bulk_modulus = bulk_modulus_of(atoms, calculator)
    small, large = predict(
        [scaled(atoms, 1 - strain), scaled(atoms, 1 + strain)],
        model=model,
        device=device,
        uncertainty=False,
    )
    return ThermalExpansion(small, large, bulk_modulus, reference)


def scaled(atoms: Atoms, factor: float) -> Atoms:
    """A copy with all edges of the cell, and the positions with them, times a factor."""
    copy: Atoms = atoms.copy()
    copy.set_cell(atoms.cell * factor, scale_atoms=True)
    return copy


def bulk_modulus_of(
    atoms: Atoms, calculator: Any, *, points: int = 7, strain: float = 0.02
) -> float:
    """Bulk modulus in GPa from an equation of state, positions relaxed at each volume.

    Parameters
    ----------
    atoms : ase.Atoms
    calculator : ase.calculators.calculator.Calculator
    points : int
        Volumes.
    strain : float
        Of the edges, largest.

    Raises
    ------
    ThermochemistryError
        If the calculator fails, or the energies have no minimum.
    """
    from ase import units
    from ase.eos import EquationOfState
    from ase.optimize import FIRE

    volumes, energies = [], []
    start = atoms.copy()
    try:
        for factor in 1 + np.linspace(-strain, strain, points):
            copy = scaled(start, float(factor))
            copy.calc = calculator
            with contextlib.closing(FIRE(copy, logfile=None)) as relaxation:
                relaxation.run(fmax=0.01, steps=200)
            volumes.append(copy.get_volume())
            energies.append(copy.get_potential_energy())
        modulus = EquationOfState(volumes, energies, eos="birchmurnaghan").fit(warn=False)[2]
    except Exception as error:
        raise ThermochemistryError(
            f"The bulk modulus could not be found with {type(calculator).__name__} "
            f"({type(error).__name__}: {error}). Check that it can do this crystal, or give "
            "bulk_modulus."
        ) from error
    return float(modulus / units.GPa)
