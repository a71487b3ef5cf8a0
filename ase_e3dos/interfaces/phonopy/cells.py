"""Cells as phonopy keeps them, from and to crystals."""

from __future__ import annotations

import inspect
import warnings
from typing import Any

import numpy as np

from ase_e3dos.errors import CrystalError, PartialOccupationWarning
from ase_e3dos.structures.crystal import Crystal
from ase_e3dos.structures.sites import Sites

#: Larger tolerances take neighbours for one atom.
_LARGEST_SYMPREC = 1.0


def phonopy_cells(unitcell: Any, supercell_matrix: Any, *args: Any, **options: Any) -> Any:
    """Crystal of a unit cell, and a `phonopy.Phonopy` that holds its cells and nothing else.

    Parameters
    ----------
    unitcell : anything that `Crystal.from_any` takes
        A PhonopyAtoms in the length unit of `options["calculator"]`, others in Å.
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
        If the unit cell is not a crystal, or phonopy makes no cells of it with these options.

    Notes
    -----
    phonopy has no cells with several species on a site. Such a crystal stands
    there with its main species; where sites of different content share it, the
    unit cell itself is the primitive cell, so that no two of them are taken for equal.
    """
    from phonopy import Phonopy
    from phonopy.structure.atoms import PhonopyAtoms

    _check_options(unitcell, supercell_matrix, args, options)
    scale = _angstrom(options.get("calculator"))
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
    if not crystal.is_ordered and not args and _contents_share_elements(crystal):
        options["primitive_matrix"] = "P"
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            cells = Phonopy(cell, supercell_matrix, *args, **options)
    except TypeError as error:
        if "unexpected keyword" in str(error) or "positional argument" in str(error):
            raise  # a misspelt option
        raise _no_cells(crystal.name, error) from error
    except Exception as error:  # phonopy and spglib have no class of errors in common
        raise _no_cells(crystal.name, error) from error
    for warning in said:  # phonopy's, such as that its default chose a smaller cell: at the caller
        warnings.warn(warning.message, stacklevel=3)
    return crystal, cells


def _no_cells(name: str, error: Exception) -> CrystalError:
    return CrystalError(
        f"{name}: phonopy makes no supercell and primitive cell of this ({type(error).__name__}: "
        f"{str(error).strip()}). Check supercell_matrix, primitive_matrix and symprec."
    )


def _check_options(
    unitcell: Any, supercell_matrix: Any, args: tuple[Any, ...], options: dict[str, Any]
) -> None:
    """Refuse what phonopy and spglib do not survive, wherever in the arguments it stands."""
    from phonopy import Phonopy

    bound = inspect.signature(Phonopy).bind_partial(unitcell, supercell_matrix, *args, **options)
    symprec = bound.arguments.get("symprec", 1e-5)
    number = isinstance(symprec, (int, float, np.number)) and not isinstance(symprec, bool)
    if not (number and 0 < symprec <= _LARGEST_SYMPREC):
        raise CrystalError(
            f"symprec={symprec!r} is not a tolerance for symmetry. Give a distance above zero and "
            f"up to {_LARGEST_SYMPREC:g} in the unit of the cell; phonopy's default is 1e-5."
        )


def primitive_crystal(cells: Any, unitcell: Crystal) -> Crystal:
    """Crystal of phonopy's primitive cell in Å, with the masses that phonopy has.

    Parameters
    ----------
    cells : phonopy.Phonopy
    unitcell : Crystal
        Its unit cell, where mixed sites are known.
    """
    primitive, supercell = cells.primitive, cells.supercell
    cell = primitive.cell * _angstrom(cells.calculator)
    positions = primitive.scaled_positions
    # Those of partial occupations are made anew.
    remarks = tuple(r for r in unitcell.remarks if r.kind is not PartialOccupationWarning)
    if unitcell.is_ordered:
        site = np.arange(len(primitive))
        ones = np.ones(len(primitive))
        found = Sites(cell, positions, site, primitive.numbers, ones, primitive.masses, remarks)
        return Crystal.quietly(found, unitcell.name)
    unit_index = {u: i for i, u in enumerate(supercell.u2s_map.tolist())}
    sites = [unit_index[int(supercell.s2u_map[s])] for s in primitive.p2s_map]
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


def _contents_share_elements(crystal: Crystal) -> bool:
    contents: dict[int, set[tuple[tuple[int, float], ...]]] = {}
    for site, main in enumerate(crystal.numbers.tolist()):
        on = crystal.species_site == site
        species = zip(
            crystal.species_number[on].tolist(),
            np.round(crystal.species_fraction[on], 6).tolist(),
            strict=True,
        )
        contents.setdefault(main, set()).add(tuple(sorted(species)))
    return any(len(kinds) > 1 for kinds in contents.values())


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
