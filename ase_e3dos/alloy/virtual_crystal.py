"""The virtual-crystal approximation proper: average masses and average force constants.

The force constants of the end members are computed by finite displacements with any ASE
calculator, in the same supercell of the common cell; phonopy diagonalises their average.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import ArrayLike, NDArray

from ase_e3dos.alloy.comparison import AlloyComparison
from ase_e3dos.alloy.solution import SolidSolution
from ase_e3dos.alloy.tetrahedra import states_below
from ase_e3dos.errors import AlloyError
from ase_e3dos.phonon_spectrum import PhononSpectrum
from ase_e3dos.spectrum.constants import constants
from ase_e3dos.structures.crystal import Crystal

if TYPE_CHECKING:
    from ase_e3dos.alloy.sweep import CompositionSweep

Array = NDArray[np.float64]

#: Site and lattice point (modulo the supercell) of each atom of a supercell.
Keys = list[tuple[int, ...]]

#: Defaults: shortest width of the supercell in Å, displacement in Å, and the length in Å that
#: sets the mesh of wave vectors as phonopy's `run_mesh` takes it.
SUPERCELL_LENGTH, DISPLACEMENT, MESH_LENGTH = 10.0, 0.02, 40.0

#: Spacing of the spectra in cm^-1.
PITCH = 2.0


class VirtualCrystal:
    """Virtual crystals between end members labelled with an ASE calculator.

    Parameters
    ----------
    solution : SolidSolution or sequence
        The end members, ordered ones. They are displaced as they are: relax them with the same
        calculator first where its lattice constants differ from the given ones.
    calculator : ase.calculators.calculator.Calculator or callable, optional
        A calculator, or a function that makes one. Not needed with `force_constants`.
    supercell : array_like of int, shape (3,) or (3, 3), optional
        Supercell of the common cell; if not given, wide enough for `SUPERCELL_LENGTH`.
    displacement : float
        Å.
    mesh : float or sequence of int
        As phonopy's `run_mesh` takes it.
    force_constants : sequence of ndarray, shape (n, n, 3, 3), optional
        Those of the end members in eV/Å^2, in the common orientation and in the order of the
        supercell of `phonons` for equal fractions.
    name : str, optional
        Of the calculator, for tables.

    Raises
    ------
    AlloyError
        If an end member has mixed sites, or the calculator cannot compute it.

    Notes
    -----
    Force constants are averaged in the common orientation of `SolidSolution`, atom by atom of
    the supercell. There is no non-analytical term, so the splitting of longitudinal and
    transverse optic modes at the zone centre is missing in polar crystals.
    """

    def __init__(
        self,
        solution: SolidSolution | Sequence[Any],
        calculator: Any = None,
        *,
        supercell: ArrayLike | None = None,
        displacement: float = DISPLACEMENT,
        mesh: float | Sequence[int] = MESH_LENGTH,
        force_constants: Sequence[Array] | None = None,
        name: str | None = None,
    ) -> None:
        if not isinstance(solution, SolidSolution):
            solution = SolidSolution(solution)
        self.solution = solution
        self.mesh = mesh
        for member in solution.members:
            if not member.is_ordered:
                raise AlloyError(
                    f"{member.name}: forces are computed for ordered crystals, and this end member "
                    "has mixed sites. Use ordered end members for the virtual-crystal "
                    "approximation."
                )
        #: Supercell matrix as phonopy takes it, shape (3, 3).
        self.supercell: NDArray[np.int64] = _supercell(solution, supercell)
        equal = np.full(solution.n_members, 1.0 / solution.n_members)
        self._keys = self._phonopy(equal)[1]
        if force_constants is None:
            if calculator is None:
                raise AlloyError(
                    "The virtual-crystal approximation needs the forces in the end members: give "
                    "an ASE calculator, or their force constants."
                )
            make = _maker(calculator)
            self.name = name or type(make()).__name__
            force_constants = [
                self._force_constants(i, make, displacement) for i in range(solution.n_members)
            ]
        else:
            self.name = name or "given force constants"
        self.force_constants: tuple[Array, ...] = tuple(map(np.asarray, force_constants))
        n = solution.n_sites * round(abs(np.linalg.det(self.supercell)))
        for member, array in zip(solution.members, self.force_constants, strict=True):
            if array.shape != (n, n, 3, 3):
                raise AlloyError(
                    f"{member.name}: its force constants have shape {array.shape}; the supercell "
                    f"of {n} atoms needs ({n}, {n}, 3, 3)."
                )

    def phonons(self, fractions: ArrayLike) -> Any:
        """`phonopy.Phonopy` of the virtual crystal, with its masses and force constants.

        Parameters
        ----------
        fractions : array_like, shape (n_members,) or a number
            Of the end members; of two, the fraction of the second is enough.

        Returns
        -------
        phonopy.Phonopy

        Raises
        ------
        AlloyError
            If the fractions are not those of a mixture.
        """
        p = self.solution.weights(fractions)
        phonon, keys = self._phonopy(p)
        average = np.einsum("m,mijab->ijab", p, self.force_constants)
        order = _order(self._keys, keys)
        phonon.force_constants = np.ascontiguousarray(average[np.ix_(order, order)])
        return phonon

    def spectrum(self, fractions: ArrayLike) -> PhononSpectrum:
        """Spectrum of the virtual crystal in bins of `PITCH`, by linear tetrahedra.

        Parameters
        ----------
        fractions : array_like, shape (n_members,) or a number
            Of the end members; of two, the fraction of the second is enough.

        Returns
        -------
        PhononSpectrum

        Raises
        ------
        AlloyError
            If the fractions are not those of a mixture.
        """
        phonon = self.phonons(fractions)
        # all wave vectors: the average of force constants may have less symmetry than its cell
        phonon.run_mesh(self.mesh, is_mesh_symmetry=False, is_gamma_center=False)
        mesh = phonon.mesh
        modes = mesh.frequencies * constants().thz_to_cm
        low = min(np.floor(modes.min() / PITCH - 1), 0.0)
        x = np.arange(low, np.ceil(modes.max() / PITCH + 1)) * PITCH + PITCH / 2
        edges = np.append(x - PITCH / 2, x[-1] + PITCH / 2)
        below = states_below(mesh.qpoints, modes, mesh.mesh_numbers, edges)
        return PhononSpectrum(
            x,
            np.diff(below) / PITCH,
            crystal=self.solution.crystal(fractions),
            model=f"virtual crystal ({self.name})",
        )

    def compare(self, sweep: CompositionSweep) -> AlloyComparison:
        """Virtual crystals at the compositions of a sweep of the same end members.

        Parameters
        ----------
        sweep : CompositionSweep
            Of the same end members.

        Returns
        -------
        AlloyComparison

        Raises
        ------
        AlloyError
            If its end members are others.
        """
        if sweep.solution is not self.solution:
            raise AlloyError(
                "The sweep and the virtual crystal have different end members. Build both from "
                "the same SolidSolution."
            )
        spectra = tuple(self.spectrum(p) for p in sweep.fractions)
        return AlloyComparison(
            f"virtual crystal ({self.name})", sweep.fractions, spectra, sweep.spectra
        )

    def _force_constants(self, index: int, make: Callable[[], Any], displacement: float) -> Array:
        """Finite displacements of one end member in the common orientation, full matrix."""
        from ase import Atoms

        member = self.solution.members[index]
        phonon, keys = self._phonopy(np.eye(self.solution.n_members)[index])
        phonon.generate_displacements(distance=displacement)
        forces = []
        for cell in phonon.supercells_with_displacements:
            atoms = Atoms(cell.symbols, cell=cell.cell, positions=cell.positions, pbc=True)
            atoms.calc = make()
            forces.append(_forces(atoms, member))
        phonon.forces = np.array(forces)
        phonon.produce_force_constants(show_drift=False)
        phonon.symmetrize_force_constants(show_drift=False)
        order = _order(keys, self._keys)
        return np.ascontiguousarray(phonon.force_constants[np.ix_(order, order)])

    def _phonopy(self, p: Array) -> tuple[Any, Keys]:
        """Phonopy of a composition, and what its supercell's atoms are."""
        from phonopy import Phonopy
        from phonopy.structure.atoms import PhonopyAtoms

        solution = self.solution
        scaled = np.einsum("m,mij->ij", p, solution.scaled_positions)
        cell = PhonopyAtoms(
            symbols=[chemical_symbols[z] for z in solution.crystal(p).numbers],
            cell=solution.cell(p),
            scaled_positions=scaled,
            masses=np.einsum("m,mi->i", p, [m.masses for m in solution.members]),
        )
        phonon = Phonopy(cell, self.supercell, primitive_matrix=np.eye(3))
        return phonon, _atom_keys(phonon.supercell, solution.cell(p), scaled)


def _atom_keys(supercell: Any, cell: Array, scaled: Array) -> Keys:
    """Site and lattice point (modulo the supercell) of each atom of a supercell."""
    n = round(abs(np.linalg.det(supercell.cell) / np.linalg.det(cell)))
    sites = np.repeat(np.arange(len(scaled)), n)  # phonopy keeps the images of a site together
    lattice = np.rint(supercell.positions @ np.linalg.inv(cell) - scaled[sites])
    points = np.rint(lattice @ cell @ np.linalg.inv(supercell.cell) * n).astype(int) % n
    return [(int(k), *map(int, point)) for k, point in zip(sites, points, strict=True)]


def _order(keys: Keys, wanted: Keys) -> NDArray[np.int64]:
    """Where the wanted atoms are among others."""
    place = {key: i for i, key in enumerate(keys)}
    return np.array([place[key] for key in wanted])


def _supercell(solution: SolidSolution, supercell: ArrayLike | None) -> NDArray[np.int64]:
    """Supercell matrix, shape (3, 3)."""
    if supercell is None:
        cell = solution.cells.mean(axis=0)
        widths = 1.0 / np.linalg.norm(np.linalg.inv(cell), axis=0)
        return np.diag(np.ceil(SUPERCELL_LENGTH / widths - 1e-6).astype(np.int64))
    matrix = np.asarray(supercell)
    if matrix.shape == (3,):
        matrix = np.diag(matrix)
    if matrix.shape != (3, 3) or (matrix != np.rint(matrix)).any() or np.linalg.det(matrix) < 0.5:
        raise AlloyError(
            f"supercell={np.asarray(supercell).tolist()} is not a supercell: give three positive "
            "integers, or an integer matrix with a positive determinant."
        )
    return np.asarray(np.rint(matrix), dtype=np.int64)


def _maker(calculator: Any) -> Callable[[], Any]:
    """Return a function that gives a calculator, from one or from such a function."""
    if callable(calculator) and not hasattr(calculator, "get_forces"):
        make: Callable[[], Any] = calculator
        return make
    if isinstance(calculator, type):
        return calculator
    return lambda: calculator


def _forces(atoms: Any, member: Crystal) -> Array:
    try:
        forces = np.asarray(atoms.get_forces())
    except Exception as error:
        raise AlloyError(
            f"{member.name}: the calculator {type(atoms.calc).__name__} gave no forces "
            f"({type(error).__name__}: {error}). Use one that knows "
            f"{', '.join(sorted(set(atoms.get_chemical_symbols())))}."
        ) from error
    if not np.isfinite(forces).all():
        raise AlloyError(
            f"{member.name}: the forces by {type(atoms.calc).__name__} are not finite. Check "
            "the structure and the calculator."
        )
    return forces
