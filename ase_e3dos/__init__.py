"""Phonon density of states and thermal properties from a crystal structure alone."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ase_e3dos.version import __version__ as __version__

if TYPE_CHECKING:
    from ase_e3dos.interfaces.calculator import E3DOSPredictor
    from ase_e3dos.interfaces.phonopy import E3DOSPhonopy
    from ase_e3dos.phonon_spectrum import PhononSpectrum
    from ase_e3dos.potentials.reference import reference_spectrum
    from ase_e3dos.prediction import predict, predict_iter
    from ase_e3dos.screening import screen
    from ase_e3dos.structures.crystal import Crystal

__all__ = [
    "Crystal",
    "E3DOSPhonopy",
    "E3DOSPredictor",
    "PhononSpectrum",
    "predict",
    "predict_iter",
    "reference_spectrum",
    "screen",
]

# Public name -> module that defines it; imported on first use, so that
# `import ase_e3dos` loads neither torch nor pymatgen nor matplotlib.
_HOMES = {
    "Crystal": "ase_e3dos.structures.crystal",
    "E3DOSPhonopy": "ase_e3dos.interfaces.phonopy",
    "E3DOSPredictor": "ase_e3dos.interfaces.calculator",
    "PhononSpectrum": "ase_e3dos.phonon_spectrum",
    "predict": "ase_e3dos.prediction",
    "predict_iter": "ase_e3dos.prediction",
    "reference_spectrum": "ase_e3dos.potentials.reference",
    "screen": "ase_e3dos.screening",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
