"""Warnings that go with spectra, issued where a user sees them."""

from __future__ import annotations

import warnings

from ase_e3dos.errors import E3DOSWarning
from ase_e3dos.phonon_spectrum import PhononSpectrum

__all__ = ["warn_about"]


def warn_about(spectrum: PhononSpectrum, stacklevel: int = 3) -> None:
    """Issue the warnings that a spectrum carries.

    Parameters
    ----------
    spectrum : PhononSpectrum
    stacklevel : int, optional
        As for `warnings.warn`.
    """
    for warning in spectrum.warnings:
        if isinstance(warning, E3DOSWarning):
            warnings.warn(warning, stacklevel=stacklevel)
