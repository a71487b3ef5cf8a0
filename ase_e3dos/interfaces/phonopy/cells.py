"""Cells as phonopy keeps them, from and to crystals."""

from __future__ import annotations

import inspect
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ase_e3dos.errors import CrystalError, PartialOccupationWarning, SymmetryWarning, shortly
from ase_e3dos.structures.crystal import Crystal
from ase_e3dos.structures.masses import ISOTOPE_TOLERANCE
from ase_e3dos.structures.sites import Sites

if TYPE_CHECKING:
    from phonopy import Phonopy

#: Larger tolerances take neighbours for one atom.
_LARGEST_SYMPREC = 1.0


def phonopy_cells(
    unitcell: Any, supercell_matrix: Any, *args: Any, **options: Any
) -> tuple[Crystal, Phonopy]:
    """Crystal of a unit cell, and a `phonopy.Phonopy` that holds its cells and nothing else.

    Parameters
    ----------
    unitcell : anything that `Crystal.from_any` takes
        A PhonopyAtoms in the length unit of the argument `calculator`, others in Å.
    supercell_matrix : array_like or None
    *args, **options
        Of the installed `phonopy.Phonopy`.

    Returns
    -------
    crystal : Crystal
        Of the unit cell.
    cells : phonopy.Phonopy

    Raises
    ------
    CrystalError
        If the unit cell is not a crystal, phonopy makes no cells of it with these options, or
        sites of different content would be one in the primitive cell of a `primitive_matrix`.
    TypeError
        If the installed phonopy has no such argument.

    Warns
    -----
    SymmetryWarning
        If `primitive_matrix="auto"` is asked for and sites of different content would be one.

    Notes
    -----
    phonopy has no cells with several species on a site, and does not look at masses where it
    looks for a primitive cell. A crystal with mixed sites stands there with its main species.
    Where sites of different content (species, fractions or masses) would be one in the
    primitive cell, the unit cell itself is the primitive cell.
    """
    from phonopy import Phonopy
    from phonopy.structure.atoms import PhonopyAtoms

    asked = phonopy_arguments(unitcell, supercell_matrix, *args, **options)
    _check_symprec(asked.get("symprec", 1e-5))
    scale = _angstrom(asked.get("calculator"))
    given = isinstance(unitcell, PhonopyAtoms)
    crystal = Crystal.quietly(_in_angstrom(unitcell, scale) if given else unitcell)
    if given and crystal.is_ordered:
        cell = unitcell
    else:
        total = np.bincount(crystal.species_site, weights=crystal.species_fraction)
        cell = PhonopyAtoms(
            numbers=crystal.numbers,
            cell=crystal.cell / scale,
            scaled_positions=crystal.scaled_positions,
            masses=crystal.masses / total,
        )

    def made(**changed: Any) -> tuple[Phonopy, list[warnings.WarningMessage]]:
        try:
            with warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("always")
                return Phonopy(cell, **{**asked, **changed}), said
        except Exception as error:  # phonopy and spglib have no class of errors in common
            raise _no_cells(crystal.name, error) from error

    cells, said = made()
    if _unlike_sites_are_one(cells, crystal):
        wanted = asked.get("primitive_matrix")
        if not (wanted is None or (isinstance(wanted, str) and wanted == "auto")):
            matrix = wanted if isinstance(wanted, str) else np.asarray(wanted).tolist()
            raise CrystalError(
                f"{crystal.name}: primitive_matrix={shortly(matrix)} makes sites of different "
                "species, fractions or masses one: the primitive cell is of another crystal. Leave "
                "it out or give 'P': then the unit cell is the primitive cell."
            )
        cells, said = made(primitive_matrix="P")
        if wanted is not None:
            warnings.warn(
                f"{crystal.name}: primitive_matrix='auto' makes sites of different species, "
                "fractions or masses one, since phonopy looks at main species alone. The unit cell "
                "is the primitive cell instead: give 'P' to say so.",
                SymmetryWarning,
                stacklevel=3,
            )
    for warning in said:  # phonopy's, such as that its default chose a smaller cell: at the caller
        warnings.warn(warning.message, stacklevel=3)
    return crystal, cells


def phonopy_arguments(
    unitcell: Any, supercell_matrix: Any, *args: Any, **options: Any
) -> dict[str, Any]:
    """Arguments after the unit cell, wherever they stand, by the installed phonopy's names.

    Parameters
    ----------
    unitcell, supercell_matrix, *args, **options
        Of the installed `phonopy.Phonopy`.

    Returns
    -------
    dict
        Those that are given.

    Raises
    ------
    TypeError
        If phonopy has no such argument.
    """
    from phonopy import Phonopy

    bound = inspect.signature(Phonopy).bind(unitcell, supercell_matrix, *args, **options)
    _, *given = bound.arguments.items()
    return dict(given)


def _no_cells(name: str, error: Exception) -> CrystalError:
    return CrystalError(
        f"{name}: phonopy makes no supercell and primitive cell of this ({type(error).__name__}: "
        f"{str(error).strip()}). Check supercell_matrix, primitive_matrix and symprec."
    )


def _check_symprec(symprec: Any) -> None:
    """Refuse what phonopy and spglib do not survive."""
    number = isinstance(symprec, (int, float, np.number)) and not isinstance(symprec, bool)
    if not (number and 0 < symprec <= _LARGEST_SYMPREC):
        raise CrystalError(
            f"symprec={symprec!r} is not a tolerance for symmetry. Give a distance above zero and "
            f"up to {_LARGEST_SYMPREC:g} in the unit of the cell; phonopy's default is 1e-5."
        )


def primitive_crystal(cells: Phonopy, unitcell: Crystal) -> Crystal:
    """Crystal of phonopy's primitive cell in Å, with the masses that phonopy has.

    Parameters
    ----------
    cells : phonopy.Phonopy
    unitcell : Crystal
        Its unit cell, where mixed sites are known.
    """
    primitive = cells.primitive
    cell = primitive.cell * _angstrom(cells.calculator)
    positions = primitive.scaled_positions
    # Those of partial occupations are made anew.
    remarks = tuple(r for r in unitcell.remarks if r.kind is not PartialOccupationWarning)
    if unitcell.is_ordered:
        site = np.arange(len(primitive))
        ones = np.ones(len(primitive))
        found = Sites(cell, positions, site, primitive.numbers, ones, primitive.masses, remarks)
        return Crystal.quietly(found, unitcell.name)
    sites = _sites_in_supercell(cells)[primitive.p2s_map].tolist()
    chosen = [np.flatnonzero(unitcell.species_site == site) for site in sites]
    species = np.concatenate(chosen)
    found = Sites(
        cell,
        positions,
        np.repeat(np.arange(len(sites)), [len(c) for c in chosen]),
        unitcell.species_number[species],
        unitcell.species_fraction[species],
        unitcell.species_mass[species],
        remarks,
    )
    return Crystal.quietly(found, unitcell.name)


def _sites_in_supercell(cells: Phonopy) -> NDArray[np.int64]:
    """Site of the unit cell of which each atom of the supercell is an image."""
    supercell = cells.supercell
    index = {u: i for i, u in enumerate(supercell.u2s_map.tolist())}
    return np.array([index[u] for u in supercell.s2u_map.tolist()])


def _unlike_sites_are_one(cells: Phonopy, crystal: Crystal) -> bool:
    """Whether sites of different content are one atom of the primitive cell."""
    site = _sites_in_supercell(cells)
    pairs = np.unique(np.stack([site, site[cells.primitive.s2p_map]], axis=1), axis=0)
    order = np.lexsort([crystal.species_mass, crystal.species_number, crystal.species_site])
    ends = np.cumsum(np.bincount(crystal.species_site))[:-1]
    numbers, fractions, masses = (
        np.split(of[order], ends)
        for of in (crystal.species_number, crystal.species_fraction, crystal.species_mass)
    )
    return not all(
        np.array_equal(numbers[a], numbers[b])
        and np.allclose(fractions[a], fractions[b], rtol=0, atol=1e-6)
        and np.allclose(masses[a], masses[b], rtol=ISOTOPE_TOLERANCE, atol=0)
        for a, b in pairs.tolist()
        if a != b
    )


def _angstrom(calculator: str | None) -> float:
    """Å per unit of length of phonopy's interface to a calculator."""
    if calculator is None:
        return 1.0
    from phonopy.interface import calculator as interface

    known = getattr(interface, "calculator_info", None)
    if known is not None and calculator not in known:
        raise CrystalError(
            f"phonopy has no interface to a calculator {calculator!r}. There are: "
            f"{', '.join(sorted(known))}."
        )
    if hasattr(interface, "get_calculator_physical_units"):
        return float(interface.get_calculator_physical_units(calculator).distance_to_A)
    return float(interface.get_default_physical_units(calculator)["distance_to_A"])


def _in_angstrom(cell: Any, scale: float) -> Any:
    if scale == 1.0:
        return cell
    scaled = cell.copy()
    scaled.cell = cell.cell * scale
    return scaled
