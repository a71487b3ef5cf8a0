"""Lattices with exact phonons, to check what follows from spectra: EMT metals, SiC, springs.

Forces come from an ASE calculator (`calculated`) or from springs between neighbours; phonopy
makes the phonons. `LatticeModel.with_masses` changes masses and keeps the force constants.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import Calculator
from ase.calculators.emt import EMT
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS
from phonopy import Phonopy
from phonopy.structure.atoms import PhonopyAtoms

from ase_e3dos.phonon_spectrum import PhononSpectrum
from ase_e3dos.spectrum import named_grid
from ase_e3dos.spectrum.constants import constants
from ase_e3dos.structures.crystal import Crystal


class LatticeModel:
    """A crystal with force constants, and its phonons by phonopy.

    Parameters
    ----------
    atoms
        Primitive cell.
    phonon
        With force constants; its primitive cell is `atoms`.
    """

    def __init__(self, atoms: Atoms, phonon: Phonopy) -> None:
        self.atoms, self.phonon = atoms, phonon
        self._fourier: dict[int, np.ndarray] = {}

    def with_masses(self, masses: Mapping[str, float]) -> LatticeModel:
        """The same force constants with other masses (amu) of some elements."""
        atoms = self.atoms.copy()
        atoms.set_masses([masses.get(a.symbol, a.mass) for a in atoms])
        changed = LatticeModel(atoms, self.phonon)
        changed._fourier = self._fourier
        return changed

    def modes(self, mesh: int = 12) -> tuple[np.ndarray, np.ndarray]:
        """Frequencies (cm^-1) and shares of the sites in all modes of a mesh.

        Returns
        -------
        wavenumbers : ndarray, shape (n_modes,)
        shares : ndarray, shape (n_sites, n_modes)
            Squared eigenvector components; they sum to one over the sites.
        """
        if mesh not in self._fourier:
            self._fourier[mesh] = self._force_constants_at(mesh)
        root = np.repeat(np.sqrt(self.atoms.get_masses()), 3)
        squares, vectors = np.linalg.eigh(self._fourier[mesh] / np.outer(root, root))
        thz = np.sign(squares) * np.sqrt(np.abs(squares)) * self.phonon.unit_conversion_factor
        n_q, n = squares.shape
        shares = (np.abs(vectors) ** 2).reshape(n_q, n // 3, 3, n).sum(axis=2)
        wavenumbers = thz.ravel() * constants().thz_to_cm
        return wavenumbers, shares.transpose(1, 0, 2).reshape(n // 3, -1)

    def _force_constants_at(self, mesh: int) -> np.ndarray:
        """Fourier transforms of the force constants by phonopy, half a step off the Gamma point."""
        steps = (np.arange(mesh) + 0.5) / mesh - 0.5
        points = np.stack(np.meshgrid(steps, steps, steps[: mesh // 2]), axis=-1).reshape(-1, 3)
        dynamical, found = self.phonon.dynamical_matrix, []  # the other half is its conjugate
        for q in points:
            dynamical.run(q)
            found.append(dynamical.dynamical_matrix)
        root = np.repeat(np.sqrt(self.phonon.primitive.masses), 3)
        return np.array(found) * np.outer(root, root)

    def spectrum(self, mesh: int = 12, wavenumbers: np.ndarray | None = None) -> PhononSpectrum:
        """Histogram of the modes, by default on the grid of the default model (10 cm^-1)."""
        x = named_grid("default").wavenumbers if wavenumbers is None else wavenumbers
        modes, shares = self.modes(mesh)
        step = x[1] - x[0]
        edges = np.append(x - step / 2, x[-1] + step / 2)
        rows = [np.histogram(modes, edges, weights=row)[0] for row in shares]
        return PhononSpectrum(x, site_density=rows, crystal=Crystal.from_any(self.atoms))


def emt(name: str, repeat: int = 3) -> LatticeModel:
    """Copper, gold, ... (fcc), CuAu, AuPt, ... (L1_0), NiAl, AlPd, ... (B2), Cu3Au (L1_2), relaxed.

    Parameters
    ----------
    name
        "Cu", "CuAu L1_0", "NiAl B2", "Cu3Au L1_2", and so on with the elements of EMT.
    repeat
        Of the primitive cell in the supercell, along each axis.
    """
    formula, _, structure = name.partition(" ")
    elements = Atoms(formula).get_chemical_symbols()
    if not structure:
        atoms = bulk(formula, "fcc")
    elif structure == "B2":
        atoms = bulk(formula, "cesiumchloride", a=3.0)
    elif structure == "L1_0":
        atoms = Atoms(elements, cell=[2.75, 2.75, 3.8], scaled_positions=[[0] * 3, [0.5] * 3])
    else:
        half = [[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0], [0, 0, 0]]
        atoms = Atoms(elements, cell=[3.8] * 3, scaled_positions=half)
    atoms.pbc = True
    return calculated(atoms, EMT(), repeat)


def silicon_carbide(repeat: int = 3) -> LatticeModel:
    """Zincblende SiC with the potential of J. Tersoff, *Phys. Rev. B* 39, 5566 (1989), relaxed.

    Needs ASE 3.25 or later.
    """
    from ase.calculators.tersoff import Tersoff, TersoffParameters

    columns = "A", "B", "lambda", "mu", "beta", "n", "c", "d", "h", "R", "S"
    silicon = 1830.8, 471.18, 2.4799, 1.7322, 1.1e-6, 0.78734, 1.0039e5, 16.217, -0.59825, 2.7, 3.0
    carbon = 1393.6, 346.74, 3.4879, 2.2119, 1.5724e-7, 0.72751, 38049, 4.3484, -0.57058, 1.8, 2.1
    own = {
        "Si": dict(zip(columns, silicon, strict=True)),
        "C": dict(zip(columns, carbon, strict=True)),
    }

    def parameters(i: str, j: str, k: str) -> TersoffParameters:
        a, b, third = own[i], own[j], own[k]
        inner, outer = (np.sqrt(a[name] * third[name]) for name in ("R", "S"))
        return TersoffParameters(
            m=3,
            gamma=1,
            lambda3=0,
            **{name: a[name] for name in ("c", "d", "h", "n", "beta")},
            lambda1=(a["lambda"] + b["lambda"]) / 2,
            lambda2=(a["mu"] + b["mu"]) / 2,
            A=np.sqrt(a["A"] * b["A"]),
            B=np.sqrt(a["B"] * b["B"]) * (1.0 if i == j else 0.9776),
            R=(inner + outer) / 2,
            D=(outer - inner) / 2,
        )

    triples = itertools.product(own, repeat=3)
    potential = Tersoff({triple: parameters(*triple) for triple in triples})
    return calculated(bulk("SiC", "zincblende", a=4.32), potential, repeat)


def calculated(atoms: Atoms, calculator: Calculator, repeat: int = 3) -> LatticeModel:
    """A crystal relaxed and displaced with an ASE calculator.

    Parameters
    ----------
    atoms
        Primitive cell.
    calculator
        Gives forces and stresses.
    repeat
        Of the primitive cell in the supercell, along each axis.
    """
    atoms = atoms.copy()
    atoms.calc = calculator
    BFGS(FrechetCellFilter(atoms), logfile=None).run(fmax=1e-4, steps=200)
    atoms.calc = None
    phonon = _phonon(atoms, np.eye(3, dtype=int) * repeat)
    phonon.generate_displacements(distance=0.01)
    forces = []
    for displaced in phonon.supercells_with_displacements or []:
        cell = Atoms(
            numbers=displaced.numbers, cell=displaced.cell, positions=displaced.positions, pbc=True
        )
        cell.calc = calculator
        forces.append(cell.get_forces())
    phonon.forces = forces
    phonon.produce_force_constants()
    phonon.symmetrize_force_constants()
    return LatticeModel(atoms, phonon)


def springs(
    atoms: Atoms,
    constants_by_distance: Sequence[tuple[float, float, float]],
    repeat: int = 3,
) -> LatticeModel:
    """A crystal held together by springs between neighbours.

    Parameters
    ----------
    atoms
        Primitive cell.
    constants_by_distance
        (distance in Å up to which it holds, along the bond, across the bond), ascending; the
        force constants are in eV/Å^2.
    repeat
        Of the primitive cell in the supercell, along each axis.
    """
    from ase.neighborlist import neighbor_list

    phonon = _phonon(atoms, np.eye(3, dtype=int) * repeat)
    cell = phonon.supercell
    big = Atoms(
        numbers=cell.numbers, cell=cell.cell, scaled_positions=cell.scaled_positions, pbc=True
    )
    limits = np.array([row[0] for row in constants_by_distance])
    i, j, d, vectors = neighbor_list("ijdD", big, float(limits[-1]))
    values = np.array([row[1:] for row in constants_by_distance])[np.searchsorted(limits, d)]
    n = vectors / d[:, None]
    projector = n[:, :, None] * n[:, None, :]
    blocks = values[:, :1, None] * projector + values[:, 1:, None] * (np.eye(3) - projector)
    force_constants = np.zeros((len(big), len(big), 3, 3))
    np.add.at(force_constants, (i, j), -blocks)
    np.add.at(force_constants, (i, i), blocks)
    phonon.force_constants = force_constants
    return LatticeModel(atoms, phonon)


def _phonon(atoms: Atoms, supercell_matrix: np.ndarray) -> Phonopy:
    cell = PhonopyAtoms(
        symbols=atoms.get_chemical_symbols(),
        cell=atoms.cell[:],
        scaled_positions=atoms.get_scaled_positions(),
        masses=atoms.get_masses(),
    )
    return Phonopy(cell, supercell_matrix, primitive_matrix=np.eye(3))
