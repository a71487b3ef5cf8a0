"""A `phonopy.Phonopy` with predicted force constants: everything that it does is phonopy's."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from ase_e3dos.errors import ConvergenceWarning, NotPredictedError
from ase_e3dos.interfaces.phonopy.cells import phonopy_arguments, phonopy_cells, primitive_crystal
from ase_e3dos.network.dipoles import COULOMB
from ase_e3dos.network.lattice_dynamics import WAVENUMBER
from ase_e3dos.prediction.force_constants import doubts, force_constants_of
from ase_e3dos.structures.contacts import heights_of
from ase_e3dos.structures.crystal import Crystal

if TYPE_CHECKING:
    from phonopy import Phonopy

    from ase_e3dos.network.springs import ForceConstants

__all__ = ["with_force_constants"]

#: Distance of opposite faces of the supercell that is chosen, Å. Modes between the wave vectors
#: that fit into it are phonopy's interpolation: at 14 Å within about 0.1 cm^-1 of the springs' own;
#: at 12 Å a soft mode of rutile was 46 cm^-1 off. In larger ones phonopy takes seconds to find the
#: symmetry.
_SUPERCELL = 14.0
#: Below this distance of its faces, Å, a supercell that was asked for is said to be small: one and
#: a half times as far as springs reach. (Soft modes may need more.)
_SMALL = 9.0
#: Charges in e below which there is nothing for a correction to do.
_NEUTRAL = 0.02


def with_force_constants(
    unitcell: Any,
    supercell_matrix: ArrayLike | None = None,
    *args: Any,
    model: str | Path,
    device: str = "auto",
    strict: bool = True,
    **options: Any,
) -> Phonopy:
    """An object of phonopy for a cell with force constants, Born charges and dielectric tensor.

    Parameters
    ----------
    unitcell, supercell_matrix, *args, model, device, strict, **options
        As for `E3DOSPhonopy`.

    Returns
    -------
    phonopy.Phonopy
        `force_constants` in eV/Å^2, compact; `nac_params` where sites are charged.

    Raises
    ------
    CrystalError
        The cell is not a crystal, or phonopy makes no cells of it.
    NotPredictedError
        The cell has mixed sites, which phonopy has no force constants for, or the units of
        `calculator` are not eV and Å.

    Warns
    -----
    E3DOSWarning
        As `predict` does of the same cell, with imaginary modes at the wave vectors that the
        supercell holds. Of masses nothing: those of any isotope are exact here.
    ConvergenceWarning
        Opposite faces of the supercell are less than 9 Å apart.
    """
    calculator = phonopy_arguments(unitcell, supercell_matrix, *args, **options).get("calculator")
    if calculator not in (None, "vasp"):
        raise NotPredictedError(
            f"force constants in the units of calculator={calculator!r} are not made. "
            "Leave the argument out and give the cell in Å: they are in eV/Å^2."
        )
    if supercell_matrix is None:
        supercell_matrix = _supercell(Crystal.quietly(unitcell))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        crystal, phonon = phonopy_cells(unitcell, supercell_matrix, *args, **options)
    for warning in said:  # at the line that makes the object
        warnings.warn(warning.message, stacklevel=3)
    if not crystal.is_ordered:
        raise NotPredictedError(
            f"{crystal.name}: force constants of a cell with mixed sites; phonopy has one element "
            "a site. Give an ordered cell, such as a special quasi-random structure, or take "
            "model='default' for its spectrum."
        )
    least = min(heights_of(np.asarray(phonon.supercell.cell), crystal.name))
    if least < _SMALL:
        warnings.warn(
            f"{crystal.name}: opposite faces of the supercell are {least:.1f} Å apart, so close "
            "that force constants reach around it, and modes between the wave vectors that fit "
            "into it are wrong. Leave supercell_matrix out, or give a larger one: "
            f"{np.diag(_supercell(crystal)).tolist()} has {_SUPERCELL:g} Å or more.",
            ConvergenceWarning,
            stacklevel=3,
        )
    primitive = primitive_crystal(phonon, crystal)
    constants = force_constants_of(primitive, model, device)
    polar = bool(constants.born.abs().max() > _NEUTRAL)
    phonon.force_constants, wavenumbers = _in_supercell(phonon, constants, polar)
    for doubt in doubts(primitive, wavenumbers, model, device):
        warnings.warn(doubt, stacklevel=3)
    phonon.symmetrize_force_constants()  # what rounding leaves of the sum rule
    if polar:
        phonon.nac_params = {
            "born": constants.born.numpy(),
            "dielectric": constants.dielectric.numpy(),
            "factor": COULOMB,
            "method": "gonze",
        }
    return phonon


def _supercell(crystal: Crystal) -> NDArray[np.int64]:
    heights = np.array(heights_of(crystal.cell, crystal.name))
    return np.diag(np.ceil(_SUPERCELL / heights - 1e-6).astype(np.int64))


def _in_supercell(
    phonon: Phonopy, constants: ForceConstants, polar: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compact force constants from the dynamical matrices that fit into the supercell.

    Also the wavenumbers in cm^-1 of these, shape (n_q, 3 n).
    """
    from phonopy.harmonic.dynmat_to_fc import DynmatToForceConstants
    from phonopy.structure.brillouin_zone import BrillouinZone

    primitive = phonon.primitive
    back = DynmatToForceConstants(primitive, phonon.supercell, is_full_fc=False)
    # Dipoles are not periodic over the reciprocal lattice: phonopy takes the first zone as well.
    reciprocal = np.linalg.inv(primitive.cell).astype(np.float64)
    zone = BrillouinZone(reciprocal)
    zone.run(back.commensurate_points)
    points = np.array([found[0] for found in zone.shortest_qpoints], dtype="double", order="C")
    back.commensurate_points = points
    root = np.repeat(1 / np.sqrt(primitive.masses), 3)
    q = torch.from_numpy(points @ reciprocal.T)
    matrices = constants.at(q, dipoles=polar).numpy() * np.outer(root, root)
    back.dynamical_matrices = list(matrices)
    back.run()
    values = np.linalg.eigvalsh(matrices)
    return np.asarray(back.force_constants), WAVENUMBER * np.sign(values) * np.sqrt(np.abs(values))
