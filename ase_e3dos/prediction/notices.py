"""Warnings that go with spectra, issued where a user sees them."""

from __future__ import annotations

import warnings

from ase_e3dos.errors import E3DOSWarning, MagnetismWarning
from ase_e3dos.phonon_spectrum import PhononSpectrum

__all__ = ["warn_about", "warn_about_moments"]


def warn_about(spectrum: PhononSpectrum, stacklevel: int = 3) -> None:
    """Issue the warnings that a spectrum carries."""
    for warning in spectrum.warnings:
        if isinstance(warning, E3DOSWarning):
            warnings.warn(warning, stacklevel=stacklevel)


def warn_about_moments(spectrum: PhononSpectrum, stacklevel: int = 3) -> None:
    """Say that moments do not enter, where no warning of the spectrum has said so."""
    if any(isinstance(w, MagnetismWarning) for w in spectrum.warnings):
        return
    warnings.warn(
        f"{spectrum.crystal.name}: the atoms have magnetic moments, which do not enter the "
        "prediction: any magnetic order gives the same spectrum, and it is that of the state "
        "which the training calculations happened to find. Check it with a calculation.",
        MagnetismWarning,
        stacklevel=stacklevel,
    )
