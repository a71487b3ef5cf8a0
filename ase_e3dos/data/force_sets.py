"""Displacements and forces of crystals as calculated, and the dynamical matrices they make.

A Parquet file with the columns of ``dft_phonondb_forces.parquet`` (docs/reference/data-format.md):
the cell that the supercell is built from, phonopy's matrices, displaced atoms, displacements and
forces, Born charges and dielectric tensors.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ase_e3dos.data.published import Origin, origin
from ase_e3dos.errors import DataError, need_pyarrow
from ase_e3dos.network.dipoles import COULOMB
from ase_e3dos.structures.crystal import Crystal

__all__ = ["ForceSets", "LabelledMatrices", "labelled_matrices", "marked_ids"]

Array = NDArray[np.float64]

_COLUMNS = (
    "id", "split", "numbers", "cell", "positions_frac", "supercell_matrix", "primitive_matrix",
    "displaced_atom", "displacement", "forces_1e6", "dielectric", "born_charges",
)  # fmt: skip
#: Distances in 1/Å from the zone's centre of the points near it.
_NEAR = (0.015, 0.07)


@dataclass(frozen=True)
class LabelledMatrices:
    """A primitive cell with its dynamical matrices at some commensurate points.

    Attributes
    ----------
    id, split : str
        From the file.
    crystal : Crystal
        Phonopy's primitive cell.
    q : ndarray, shape (n_q, 3)
        1/Å, Cartesian, without 2 pi, in the first zone; the first is its centre.
    total : ndarray of complex64, shape (n_q, 3 n, 3 n)
        eV/(Å^2 amu): what the supercell's force constants make, exact at these points.
    born, dielectric : ndarray or None
        Shapes (n, 3, 3) and (3, 3), in e and without unit.
    near : ndarray, shape (n_near, 3)
        Points close to the zone's centre, as `q`.
    near_total : ndarray of complex64, shape (n_near, 3 n, 3 n)
        Matrices there, by phonopy's interpolation with the non-analytical term; as `total`.
    """

    id: str
    split: str
    crystal: Crystal
    q: Array
    total: NDArray[np.complex64]
    born: Array | None
    dielectric: Array | None
    near: Array
    near_total: NDArray[np.complex64]


class ForceSets:
    """A file of force sets, read row by row.

    Parameters
    ----------
    path : str or Path
        The Parquet file.

    Raises
    ------
    DataError
        The file is not there, or lacks columns.
    """

    def __init__(self, path: str | Path) -> None:
        need_pyarrow("reading force sets")
        import pyarrow.parquet as pq

        self.path = Path(path)
        if not self.path.is_file():
            raise DataError(f"{path}: no such file of force sets.")
        content = self.path.read_bytes()
        self.sha256 = hashlib.sha256(content).hexdigest()
        try:
            table = pq.read_table(self.path)
        except (OSError, ValueError) as error:
            raise DataError(f"{path}: not a readable Parquet file ({error}).") from error
        missing = sorted(set(_COLUMNS) - set(table.column_names))
        if missing:
            raise DataError(
                f"{path}: a file of force sets has the columns {', '.join(missing)} besides; see "
                "docs/reference/data-format.md."
            )
        self._table = table.select(list(_COLUMNS))
        about = {k.decode(): v.decode() for k, v in (table.schema.metadata or {}).items()}
        self.origin: Origin = origin(self.sha256, about)

    def rows(self, split: str | None = None) -> Iterator[dict[str, Any]]:
        """Rows as dictionaries, those of one split or all.

        Parameters
        ----------
        split : str, optional
            Name of the split; rows of all if not given.

        Yields
        ------
        dict
            Columns of the file by name.
        """
        for start in range(0, len(self._table), 64):
            for row in self._table.slice(start, 64).to_pylist():
                if split is None or row["split"] == split:
                    yield row


def marked_ids(path: str | Path, column: str = "in_petretto_valid") -> frozenset[str]:
    """Ids of the rows of a Parquet file whose `column` is true.

    Parameters
    ----------
    path : str or Path
    column : str, optional

    Returns
    -------
    frozenset of str

    Raises
    ------
    DataError
        The file is not there, not readable, or lacks the column.
    """
    need_pyarrow("reading which crystals to leave out")
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path, columns=["id", column])
        ids, marks = table["id"].to_pylist(), table[column].to_pylist()
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{path}: no readable table with the columns id and {column}.") from error
    return frozenset(str(name) for name, mark in zip(ids, marks, strict=True) if mark)


def labelled_matrices(
    row: dict[str, Any],
    most: int = 12,
    near: int = 0,
    rng: np.random.Generator | None = None,
) -> LabelledMatrices:
    """Dynamical matrices of one row, by phonopy.

    Parameters
    ----------
    row : dict
        From `ForceSets.rows`.
    most : int, optional
        Commensurate points to keep: the zone's centre and others drawn at random, one of each
        pair of opposites.
    near : int, optional
        Points close to the zone's centre, in directions drawn at random; none for a crystal that
        is not stable there.
    rng : numpy.random.Generator, optional
        Draws them; a fixed one if not given.

    Returns
    -------
    LabelledMatrices

    Raises
    ------
    DataError
        phonopy makes no force constants of the row.
    """
    from phonopy import Phonopy
    from phonopy.harmonic.dynamical_matrix import DynamicalMatrix, DynamicalMatrixGL
    from phonopy.harmonic.dynmat_to_fc import DynmatToForceConstants
    from phonopy.structure.atoms import PhonopyAtoms

    try:
        phonon = Phonopy(
            PhonopyAtoms(
                numbers=row["numbers"],
                cell=np.reshape(row["cell"], (3, 3)),
                scaled_positions=np.reshape(row["positions_frac"], (-1, 3)),
            ),
            supercell_matrix=np.reshape(row["supercell_matrix"], (3, 3)).astype(int),
            primitive_matrix=np.reshape(row["primitive_matrix"], (3, 3)),
        )
        n_atoms = len(phonon.supercell)
        forces = np.reshape(row["forces_1e6"], (-1, n_atoms, 3)) * 1e-6
        moves = np.reshape(row["displacement"], (-1, 3))
        phonon.dataset = {
            "natom": n_atoms,
            "first_atoms": [
                {"number": int(atom), "displacement": move, "forces": force}
                for atom, move, force in zip(row["displaced_atom"], moves, forces, strict=True)
            ],
        }
        phonon.produce_force_constants(calculate_full_force_constants=False)
        phonon.symmetrize_force_constants()
        born, dielectric = _charges(phonon, row)
        back = DynmatToForceConstants(phonon.primitive, phonon.supercell, is_full_fc=False)
    except (ValueError, RuntimeError, IndexError, TypeError, KeyError) as error:
        raise DataError(
            f"{row.get('id')}: phonopy makes no force constants of it ({error})."
        ) from error
    rng = rng or np.random.default_rng(0)
    points = _chosen(np.asarray(back.commensurate_points), most, rng)
    points = _in_first_zone(points, phonon.primitive.cell)
    cells = (phonon.supercell, phonon.primitive, np.asarray(phonon.force_constants))
    plain = DynamicalMatrix(*cells)
    q = points @ np.linalg.inv(phonon.primitive.cell).T
    total, polar = [], None
    if born is not None:
        charges: Any = {"born": born, "dielectric": dielectric, "factor": COULOMB}
        polar = DynamicalMatrixGL(*cells, nac_params=charges)
    for point in points:
        plain.run(point)
        total.append(np.asarray(plain.dynamical_matrix).astype(np.complex64))
    close, close_total = _near(polar or plain, phonon.primitive.cell, near, rng)
    return LabelledMatrices(
        str(row["id"]),
        str(row["split"]),
        Crystal.quietly(phonon.primitive, str(row["id"])),
        q,
        np.array(total),
        born,
        dielectric,
        close,
        close_total,
    )


def _near(
    matrix: Any, cell: Any, n: int, rng: np.random.Generator
) -> tuple[Array, NDArray[np.complex64]]:
    """Points at random around the zone's centre and the matrices there, or none if unstable."""
    directions = rng.normal(size=(n, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    q = directions * rng.uniform(*_NEAR, (n, 1))
    found = []
    for point in q @ np.asarray(cell).T:
        matrix.run(point)
        found.append(np.asarray(matrix.dynamical_matrix).astype(np.complex64))
    if not found or np.linalg.eigvalsh(np.array(found, dtype=np.complex128)).min() < -1e-4:
        size = 3 * len(matrix.primitive)
        return np.zeros((0, 3)), np.zeros((0, size, size), dtype=np.complex64)
    return q, np.array(found)


def _charges(phonon: Any, row: dict[str, Any]) -> tuple[Array | None, Array | None]:
    """Born charges of all atoms of the primitive cell and dielectric tensor, symmetrised."""
    from phonopy.structure.symmetry import symmetrize_borns_and_epsilon

    if not row["born_charges"]:
        return None, None
    primitive, symmetry = phonon.primitive, phonon.primitive_symmetry
    born = np.zeros((len(primitive), 3, 3))
    born[symmetry.get_independent_atoms()] = np.reshape(row["born_charges"], (-1, 3, 3))
    lattice = primitive.cell.T
    rotations = symmetry.symmetry_operations["rotations"]
    independent = symmetry.get_map_atoms()
    for atom, operation in enumerate(symmetry.get_map_operations()):
        turn = lattice @ rotations[operation] @ np.linalg.inv(lattice)
        born[atom] = turn.T @ born[independent[atom]] @ turn
    dielectric = np.reshape(row["dielectric"], (3, 3))
    return symmetrize_borns_and_epsilon(born, dielectric, primitive)


def _chosen(points: Array, most: int, rng: np.random.Generator) -> Array:
    """Zero and some others, one of each pair of opposites."""
    seen: set[tuple[int, ...]] = set()
    kept = []
    for k, point in enumerate(points):
        keys = [tuple((np.rint(s * point * 5040).astype(int) % 5040).tolist()) for s in (1, -1)]
        if not seen.intersection(keys):
            kept.append(k)
        seen.update(keys)
    unique = points[kept]
    zero = np.abs(unique).max(axis=1) < 1e-8
    others = rng.permutation(np.flatnonzero(~zero))[: most - 1]
    return np.concatenate([unique[zero], unique[others]])


def _in_first_zone(points: Array, cell: Sequence[Sequence[float]] | Array) -> Array:
    """As phonopy does: dipoles are not periodic over the reciprocal lattice."""
    from phonopy.structure.brillouin_zone import BrillouinZone

    zone = BrillouinZone(np.linalg.inv(np.asarray(cell, dtype=np.float64)).astype(np.float64))
    zone.run(points)
    return np.array([images[0] for images in zone.shortest_qpoints], dtype=np.float64)
