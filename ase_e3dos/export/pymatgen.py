"""Spectra as pymatgen's phonon densities of states."""

from __future__ import annotations

from typing import Any

from ase_e3dos.errors import NotPredictedError
from ase_e3dos.export.samples import samples
from ase_e3dos.spectrum.density_of_states import DensityOfStates


def phonon_dos(spectrum: DensityOfStates) -> Any:
    """`CompletePhononDos` for an ordered crystal with site densities, else `PhononDos`.

    Parameters
    ----------
    spectrum : DensityOfStates

    Returns
    -------
    pymatgen.phonon.dos.CompletePhononDos or PhononDos
        Frequencies in THz, densities in states/THz per cell. pymatgen's
        energies are in J, not kJ, per mole of cells.
    """
    if spectrum.site_density is not None and spectrum.crystal.is_ordered:
        return complete_phonon_dos(spectrum)
    return plain_phonon_dos(spectrum)


def plain_phonon_dos(spectrum: DensityOfStates) -> Any:
    """`pymatgen.phonon.dos.PhononDos`."""
    from pymatgen.phonon.dos import PhononDos

    points = samples(spectrum)
    return PhononDos(points.frequencies, points.density)


def complete_phonon_dos(spectrum: DensityOfStates) -> Any:
    """`pymatgen.phonon.dos.CompletePhononDos` with the densities of the sites.

    Parameters
    ----------
    spectrum : DensityOfStates

    Returns
    -------
    pymatgen.phonon.dos.CompletePhononDos
        THz and states/THz.

    Raises
    ------
    NotPredictedError
        If the model gives no densities of sites, or sites are mixed.
    """
    from pymatgen.phonon.dos import CompletePhononDos, PhononDos

    points = samples(spectrum)
    if points.site_density is None or not spectrum.crystal.is_ordered:
        raise NotPredictedError(
            f"pymatgen's CompletePhononDos of {spectrum.crystal.name} needs the density of every "
            "site and one species on each. Use `plain_phonon_dos`, or for an ordered crystal a "
            "model with site densities, such as 'default'."
        )
    structure = structure_of(spectrum)
    sites = dict(zip(structure.sites, points.site_density, strict=True))
    return CompletePhononDos(structure, PhononDos(points.frequencies, points.density), sites)


def structure_of(spectrum: DensityOfStates) -> Any:
    """`pymatgen.core.Structure` of the crystal, mixed sites included."""
    from ase.data import chemical_symbols
    from pymatgen.core.structure import Structure

    crystal = spectrum.crystal
    species: list[dict[str, float]] = [{} for _ in range(crystal.n_sites)]
    for site, number, fraction in zip(
        crystal.species_site, crystal.species_number, crystal.species_fraction, strict=True
    ):
        symbol = chemical_symbols[number]
        species[site][symbol] = species[site].get(symbol, 0.0) + float(fraction)
    return Structure(crystal.cell, species, crystal.scaled_positions)
