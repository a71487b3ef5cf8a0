"""The label of one crystal from any ASE calculator: phonopy's finite displacements."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ase_e3dos.data.labelled_file import SITE_BINS, SITE_BINS_WIDE, SITE_STEP, LabelledEntry
from ase_e3dos.data.labels import DEFAULT_GRID
from ase_e3dos.errors import DataError
from ase_e3dos.phonon_spectrum import PhononSpectrum
from ase_e3dos.potentials.choice import CalculatorFactory, calculator_name, calculator_of
from ase_e3dos.potentials.reference import ReferenceSettings, calculated
from ase_e3dos.potentials.relaxation import Relax, relax_crystal, with_cell
from ase_e3dos.spectrum.constants import constants
from ase_e3dos.structures.crystal import Crystal

if TYPE_CHECKING:
    from ase.calculators.calculator import Calculator


@dataclass(frozen=True)
class LabelSettings:
    """How labels are calculated.

    Attributes
    ----------
    supercell : float
        Least distance in Å between a site and its image in the supercell.
    displacement : float
        Å.
    mesh : float
        Density of the mesh: the length that phonopy takes, Å.
    strains : tuple of float
        Isotropic strains at which each crystal is calculated.
    relax : {"none", "positions", "cell"}
        "none", "positions" at the fixed cell, or "cell" too (before straining).
    fmax : float
        Largest force after relaxation, eV/Å.
    """

    supercell: float = 9.0
    displacement: float = 0.03
    mesh: float = 40.0
    strains: tuple[float, ...] = (0.0,)
    relax: Relax = "none"
    fmax: float = 1e-3

    def reference(self, relax: Relax) -> ReferenceSettings:
        """Settings of the spectrum at one strain."""
        return ReferenceSettings(
            self.supercell, self.displacement, self.mesh, relax, self.fmax, SITE_STEP
        )


def label(
    crystal: Crystal,
    calculator: str | Calculator | CalculatorFactory,
    settings: LabelSettings,
    strain: float = 0.0,
    name: str | None = None,
) -> LabelledEntry:
    """Site spectra of one crystal at one strain, as `ase_e3dos.reference_spectrum` has them.

    Parameters
    ----------
    crystal : Crystal
        One element on every site.
    calculator : str, Calculator or callable
        As for `ase_e3dos.reference_spectrum`.
    settings : LabelSettings
        How it is calculated.
    strain : float, optional
        Isotropic.
    name : str, optional
        Of the calculator; what `calculator_name` says by default.

    Raises
    ------
    E3DOSError
        The calculator fails, or the relaxation or the frequencies are not usable.
    """
    forces = calculator_of(calculator)
    name = name or calculator_name(calculator)
    relax = settings.relax
    if strain:
        if relax != "none":
            crystal = relax_crystal(crystal, forces, name, relax, settings.fmax).crystal
            relax = "positions"
        atoms = crystal.to_atoms()
        atoms.set_cell(atoms.cell.array * (1 + strain), scale_atoms=True)
        crystal = with_cell(crystal, atoms)
    spectrum = calculated(crystal, forces, settings.reference(relax), name=name)
    return entry_of(crystal.name, spectrum, {"strain": strain})


def entry_of(id_: str, spectrum: PhononSpectrum, scalars: dict[str, Any]) -> LabelledEntry:
    """A calculated spectrum as a labelled entry, in bins of 10 cm^-1.

    Raises
    ------
    DataError
        The spectrum has no site densities or other bins.
    """
    origin = spectrum.origin or {}
    sites = spectrum.site_density
    if sites is None or not np.array_equal(spectrum.wavenumbers, DEFAULT_GRID):
        raise DataError(
            f"{id_}: labels need site densities in bins of 10 cm^-1 from -400 cm^-1, as "
            "reference_spectrum gives them with step=10."
        )
    highest = origin.get("highest_wavenumber", np.inf)
    bins = SITE_BINS if highest < 1590 else SITE_BINS_WIDE
    values = sites[:, :bins] / constants().thz_to_cm
    values = 3.0 * values / (values.sum(axis=1, keepdims=True) * SITE_STEP)
    range_ = {
        "min_wavenumber": origin.get("lowest_wavenumber"),
        "max_wavenumber": origin.get("highest_wavenumber"),
    }
    return LabelledEntry(
        id_,
        spectrum.crystal,
        values,
        scalars={**scalars, **range_},
        provenance=str(origin.get("calculator", "")),
    )
