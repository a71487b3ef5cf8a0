"""Which crystals a model has met in training: the same structure, by pymatgen's matcher."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import gcd
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from ase_e3dos.data.composition import composition_key
from ase_e3dos.errors import DataError, need_pyarrow
from ase_e3dos.structures.crystal import Crystal

if TYPE_CHECKING:
    from pymatgen.core import Structure

Key = tuple[tuple[int, int], ...]
#: Force sets, and the file that marks which of them belong to validation formulas.
_FORCES, _MARKS = "dft_phonondb_forces.parquet", "dft_phonondb.parquet"
_FORCE_COLUMN = "forces_1e6"


@dataclass(frozen=True)
class KnownCrystal:
    """An entry of a training file.

    Attributes
    ----------
    file, id : str
        Where it is.
    numbers, cell, positions
        As the columns of the file have them.
    """

    file: str
    id: str
    numbers: Sequence[int]
    cell: Sequence[float]
    positions: Sequence[float]

    def structure(self) -> Structure:
        """As pymatgen has it."""
        return _structure(self.numbers, self.cell, self.positions)


class KnownCrystals:
    """Training entries by their composition.

    What counts as known are the rows of the split "train" (all, in a file without splits) that are
    not marked as formulas of the DFPT validation set. Formulas that a training keeps out
    besides, for calibration, are not told apart: they count as known, and the number of
    matches is an upper bound by that.

    Parameters
    ----------
    files : iterable of Path
        Parquet files with the columns of labelled crystals; spectra are not read.
    left_out : frozenset of str, optional
        Ids that do not count in files of force sets, which have no marks of their own.

    Raises
    ------
    DataError
        A file is missing.
    """

    def __init__(self, files: Iterable[Path], left_out: frozenset[str] = frozenset()) -> None:
        self._by_composition: dict[Key, list[KnownCrystal]] = defaultdict(list)
        self._reduced: dict[tuple[str, str], Structure] = {}
        self.n = 0
        for path in files:
            for entry in _entries(path, left_out):
                self._by_composition[_key(entry.numbers)].append(entry)
                self.n += 1

    def of_composition(self, crystal: Crystal) -> list[KnownCrystal]:
        """Entries of the same composition, whatever their structure."""
        return self._by_composition.get(composition_key(crystal), [])

    def matches(self, crystal: Crystal) -> list[KnownCrystal]:
        """Entries of the same composition and structure.

        `StructureMatcher` of pymatgen with its own tolerances, on primitive cells scaled to one
        volume; only entries of the same composition are compared.
        """
        from pymatgen.analysis.structure_matcher import StructureMatcher

        candidates = self.of_composition(crystal)
        if not candidates:
            return []
        matcher = StructureMatcher(primitive_cell=False)
        own = _primitive(_structure(crystal.numbers, crystal.cell, crystal.scaled_positions))
        found = []
        for entry in candidates:
            place = (entry.file, entry.id)
            if place not in self._reduced:
                self._reduced[place] = _primitive(entry.structure())
            other = self._reduced[place]
            if len(other) == len(own) and matcher.fit(own, other):
                found.append(entry)
        return found


def crystal_of(row: Mapping[str, Any]) -> Crystal:
    """The crystal of a row with id, numbers, cell and positions_frac."""
    cell, positions = (np.reshape(row[key], (-1, 3)) for key in ("cell", "positions_frac"))
    n = len(positions)
    return Crystal(cell, positions, np.arange(n), np.asarray(row["numbers"]), name=str(row["id"]))


def trained_on(model: str, data_dir: Path) -> KnownCrystals:
    """The training entries of a model, by the files that its weights name.

    Force sets have no marks of validation formulas; the spectra of the same database have, and
    their ids are left out, as the preset `force-constants` does.

    Raises
    ------
    DataError
        One of the files is not in the folder.
    """
    from ase_e3dos.data.force_sets import marked_ids
    from ase_e3dos.network.weights import read_header
    from ase_e3dos.plugins import get_registry

    header = read_header(get_registry().resolve_model(model).weights_path())
    files = [name for name in header.trained_on if name.endswith(".parquet")]
    left_out = marked_ids(data_dir / _MARKS) if _FORCES in files else frozenset()
    return KnownCrystals((data_dir / name for name in files), left_out)


def _entries(path: Path, left_out: frozenset[str]) -> Iterator[KnownCrystal]:
    need_pyarrow("a file of labelled crystals")
    import pyarrow.parquet as pq

    if not path.is_file():
        raise DataError(f"{path}: no such file. Give the folder with the files of the training.")
    there = set(pq.read_schema(path).names)
    wanted = ["id", "numbers", "cell", "positions_frac", "split", "in_petretto_valid"]
    rows = pq.read_table(path, columns=[name for name in wanted if name in there]).to_pydict()
    n = len(rows["id"])
    splits: list[Any] = rows.get("split", ["train"] * n)
    marked = [_FORCE_COLUMN in there and name in left_out for name in rows["id"]]
    held: list[Any] = rows.get("in_petretto_valid", marked)
    for k in range(n):
        if splits[k] == "train" and not held[k]:
            yield KnownCrystal(
                path.name, rows["id"][k], rows["numbers"][k], rows["cell"][k],
                rows["positions_frac"][k],
            )  # fmt: skip


def _key(numbers: Sequence[int]) -> Key:
    z, counts = np.unique(numbers, return_counts=True)
    divisor = gcd(*counts.tolist())
    return tuple((int(a), int(n) // divisor) for a, n in zip(z, counts, strict=True))


def _structure(numbers: ArrayLike, cell: ArrayLike, positions: ArrayLike) -> Structure:
    from pymatgen.core import Structure

    species = np.asarray(numbers).tolist()
    return Structure(np.reshape(cell, (3, 3)), species, np.reshape(positions, (-1, 3)))


def _primitive(structure: Structure) -> Structure:
    return structure.get_reduced_structure().get_primitive_structure()
