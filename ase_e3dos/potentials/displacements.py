"""Force constants by finite displacements: phonopy's supercells, forces of an ASE calculator."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ase_e3dos.errors import PotentialError
from ase_e3dos.structures.crystal import Crystal

if TYPE_CHECKING:
    from ase import Atoms
    from ase.calculators.calculator import Calculator

#: A least length in Å, repetitions along the lattice vectors, or a matrix of phonopy's.
Supercell = float | tuple[int, int, int] | tuple[tuple[int, ...], ...]

#: eV/Å^2, the largest of a crystal; those of the softest are above 0.01.
SMALLEST_FORCE_CONSTANT = 1e-6


def forces_of(atoms: Atoms) -> NDArray[np.float64]:
    """Forces of the calculator of a structure in eV/Å, shape (n_sites, 3).

    Raises
    ------
    PotentialError
        They have another shape, or are not finite.
    """
    forces = np.asarray(atoms.get_forces(), dtype=np.float64)
    if forces.shape != (len(atoms), 3):
        raise PotentialError(
            f"the calculator gives forces of shape {forces.shape}, where {len(atoms)} sites need "
            f"({len(atoms)}, 3). Mend the calculator."
        )
    if not np.isfinite(forces).all():
        raise PotentialError(
            "forces that are not finite. The potential diverges here: check the structure, or "
            "take another calculator."
        )
    return forces


def supercell_of(crystal: Crystal, length: float) -> NDArray[np.int64]:
    """Repetitions along each lattice vector so that parallel faces are `length` Å apart."""
    heights = 1.0 / np.linalg.norm(np.linalg.inv(crystal.cell), axis=0)
    return np.asarray(np.maximum(1, np.ceil(length / heights - 1e-6)), dtype=np.int64)


def supercell_matrix(crystal: Crystal, supercell: float | ArrayLike) -> NDArray[np.int64]:
    """Phonopy's supercell matrix, shape (3, 3).

    Parameters
    ----------
    crystal : Crystal
    supercell : float or array_like
        Least distance in Å between a site and its image, or phonopy's repetitions or matrix.

    Returns
    -------
    ndarray of int, shape (3, 3)

    Raises
    ------
    PotentialError
        It is neither a length, nor three numbers, nor a matrix.
    """
    if isinstance(supercell, Real) or getattr(supercell, "ndim", 1) == 0:
        repeat = supercell_of(crystal, float(supercell))  # type: ignore[arg-type]
        return np.asarray(np.diag(repeat), dtype=np.int64)
    return whole_matrix(supercell)


def whole_matrix(supercell: ArrayLike) -> NDArray[np.int64]:
    """Phonopy's supercell matrix of three repetitions or of a matrix, shape (3, 3).

    Raises
    ------
    PotentialError
        It is neither.
    """
    try:
        matrix = np.asarray(supercell, dtype=np.float64)
        if matrix.shape == (3,):
            matrix = np.diag(matrix)
        good = matrix.shape == (3, 3) and bool(np.isfinite(matrix).all())
        good = good and bool((np.rint(matrix) == matrix).all() and np.linalg.det(matrix) > 0.5)
    except (TypeError, ValueError):  # no numbers, or rows of different lengths
        good = False
    if not good:
        raise PotentialError(
            f"supercell={supercell!r}: give a least length in Å, three repetitions, or a matrix of "
            "whole numbers with a positive determinant."
        )
    return np.asarray(np.rint(matrix), dtype=np.int64)


def larger_supercell(matrix: NDArray[np.int64]) -> NDArray[np.int64]:
    """A supercell that is larger along every direction, shape (3, 3).

    One repetition more of a diagonal matrix; otherwise as many times more as the matrix is
    a multiple of another one, twice the matrix where it is of none.
    """
    diagonal = np.diag(matrix)
    if np.array_equal(matrix, np.diag(diagonal)):
        return matrix + np.eye(3, dtype=np.int64)
    return matrix + matrix // int(np.gcd.reduce(matrix, axis=None))


def finite_displacements(
    crystal: Crystal,
    calculator: Calculator,
    supercell: float | ArrayLike = 9.0,
    displacement: float = 0.01,
    born: str | Path | Mapping[str, Any] | None = None,
) -> Any:
    """A phonopy.Phonopy of the cell given (not its primitive cell), with force constants.

    Parameters
    ----------
    crystal : Crystal
        At which forces are expanded; one element on every site.
    calculator : Calculator
        Gives the forces.
    supercell : float or array_like, optional
        Least distance in Å between a site and its image, or phonopy's repetitions or matrix.
    displacement : float, optional
        Å.
    born : str, path or mapping, optional
        Born charges for the non-analytical correction: a file BORN of phonopy for this cell, or
        "born" (n_sites, 3, 3) and "dielectric" (3, 3), in e and relative.

    Returns
    -------
    phonopy.Phonopy
        With force constants.

    Raises
    ------
    PotentialError
        Forces that are not finite or not of the sites, force constants that are all zero, or
        charges that do not fit.
    """
    from ase import Atoms
    from phonopy import Phonopy
    from phonopy.structure.atoms import PhonopyAtoms

    cell = PhonopyAtoms(
        numbers=crystal.numbers,
        cell=crystal.cell,
        scaled_positions=crystal.scaled_positions,
        masses=crystal.masses,
    )
    matrix = supercell_matrix(crystal, supercell)
    phonon = Phonopy(cell, supercell_matrix=matrix, primitive_matrix=np.eye(3))
    phonon.generate_displacements(distance=displacement)
    forces = []
    for displaced in phonon.supercells_with_displacements or []:
        image = Atoms(
            numbers=displaced.numbers,
            cell=displaced.cell,
            scaled_positions=displaced.scaled_positions,
            pbc=True,
        )
        image.calc = calculator
        f = forces_of(image)
        forces.append(f - f.mean(axis=0))
    phonon.forces = np.array(forces)
    phonon.produce_force_constants()
    if np.abs(np.asarray(phonon.force_constants)).max() < SMALLEST_FORCE_CONSTANT:
        raise PotentialError(
            "no force constant: the supercell is too small or the calculator gives no forces. "
            "Take a larger supercell, or another calculator."
        )
    phonon.symmetrize_force_constants()
    if born is not None:
        phonon.nac_params = _charges(born, phonon.primitive, crystal)
    return phonon


def _charges(born: str | Path | Mapping[str, Any], primitive: Any, crystal: Crystal) -> Any:
    """Phonopy's nac_params for the sites of the cell."""
    if isinstance(born, (str, Path)):
        from phonopy.file_IO import parse_BORN

        try:
            found = parse_BORN(primitive, filename=str(born))
        except Exception as error:
            raise PotentialError(
                f"{born}: no file BORN for {crystal.name} ({type(error).__name__}: {error}). It "
                "needs the independent sites of the cell that is calculated."
            ) from error
        charges, dielectric = np.asarray(found["born"]), np.asarray(found["dielectric"])
        factor = found.get("factor")
    else:
        try:
            charges, dielectric = (np.asarray(born[k], float) for k in ("born", "dielectric"))
        except (KeyError, TypeError, ValueError) as error:
            raise PotentialError(
                f"born: give 'born' and 'dielectric' of {crystal.name} ({error!r})."
            ) from error
        factor = born.get("factor")
    if charges.shape != (crystal.n_sites, 3, 3) or dielectric.shape != (3, 3):
        raise PotentialError(
            f"born: charges of shape {charges.shape} and a dielectric tensor of shape "
            f"{dielectric.shape}, where {crystal.name} needs ({crystal.n_sites}, 3, 3) and (3, 3)."
        )
    from ase_e3dos.network.dipoles import COULOMB

    return {"born": charges, "dielectric": dielectric, "factor": factor or COULOMB}
