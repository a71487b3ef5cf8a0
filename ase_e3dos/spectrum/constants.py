"""Physical constants, taken from the installed phonopy alone.

They are read on the first use of a constant, not with this module, and phonopy itself, whose import
takes longer than a prediction, is not imported for them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any


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
    get_physical_units = _physical_units()
    if get_physical_units is None:  # phonopy before 2.39
        from phonopy import units

        return Constants(units.THzToCm, units.THzToEv, units.Kb, units.EvTokJmol)
    now = get_physical_units()
    return Constants(now.THzToCm, now.THzToEv, now.KB, now.EvTokJmol)


def _physical_units() -> Callable[[], Any] | None:
    """The function of phonopy's module of constants, without importing all the rest of phonopy."""
    name = "phonopy.physical_units"
    module = sys.modules.get(name)
    if module is None and "phonopy" not in sys.modules:
        module = _loaded_alone("phonopy", "physical_units.py")
    if module is None:
        try:
            module = import_module(name)
        except ImportError:
            return None
    found: Callable[[], Any] = module.get_physical_units
    return found


def _loaded_alone(package: str, file: str) -> ModuleType | None:
    """A module by its file; None where it is not there, or does not stand by itself."""
    spec = find_spec(package)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder) / file
        if not path.is_file():
            continue
        name = f"_e3dos_{package}_{path.stem}"
        alone = spec_from_file_location(name, path)
        if alone is None or alone.loader is None:
            continue
        module = module_from_spec(alone)
        sys.modules[name] = module  # dataclasses look their module up
        try:
            alone.loader.exec_module(module)
        except ImportError:
            del sys.modules[name]
        else:
            return module
    return None
