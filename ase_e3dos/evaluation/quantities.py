"""Quantities of spectra per atom, and how far the members of an ensemble spread."""

from __future__ import annotations

from ase_e3dos.phonon_spectrum import PhononSpectrum


def quantity_values(spectrum: PhononSpectrum, quantity: str, temperature: float) -> float:
    """A quantity per atom: J/(K mol), kJ/mol or cm^-1."""
    if quantity == "mean_wavenumber":
        return spectrum.mean_wavenumber
    return float(getattr(spectrum, quantity)(temperature)) / spectrum.crystal.n_sites


def member_spread(spectrum: PhononSpectrum, quantity: str, temperature: float) -> float:
    """Standard deviation of a quantity over the members, per atom."""
    value = float(spectrum.spread(quantity, temperature=temperature))
    return value if quantity == "mean_wavenumber" else value / spectrum.crystal.n_sites
