"""Physical constants, taken from the installed phonopy alone.

phonopy is imported on the first use of a constant, not with this module.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True, slots=True)
class Constants:
    """The constants that spectra need.

    Attributes
    ----------
    thz_to_cm : float
        cm^-1 per THz.
    thz_to_ev : float
        eV per THz (Planck's constant).
    boltzmann_ev : float
        Boltzmann's constant in eV/K.
    ev_to_kj_mol : float
        kJ/mol per eV.
    """

    thz_to_cm: float
    thz_to_ev: float
    boltzmann_ev: float
    ev_to_kj_mol: float

    @property
    def gas_constant(self) -> float:
        """Boltzmann's constant in J/(K mol)."""
        return self.boltzmann_ev * self.ev_to_kj_mol * 1000.0

    @property
    def kelvin_per_cm(self) -> float:
        """Temperature of one wavenumber, h c / k_B, in K cm."""
        return self.thz_to_ev / self.thz_to_cm / self.boltzmann_ev

    @property
    def cm_to_kj_mol(self) -> float:
        """Energy of one wavenumber in kJ/mol."""
        return self.thz_to_ev / self.thz_to_cm * self.ev_to_kj_mol


@cache
def constants() -> Constants:
    """Constants of the installed phonopy (`phonopy.physical_units`; before, `phonopy.units`)."""
    try:
        from phonopy.physical_units import get_physical_units
    except ImportError:  # phonopy before 2.39
        from phonopy import units

        return Constants(units.THzToCm, units.THzToEv, units.Kb, units.EvTokJmol)
    now = get_physical_units()
    return Constants(now.THzToCm, now.THzToEv, now.KB, now.EvTokJmol)
