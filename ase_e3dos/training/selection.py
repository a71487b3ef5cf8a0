"""Which entries of a data file take part: splits, folds, and formulas that are kept out."""

from __future__ import annotations

import numpy as np
from ase.data import atomic_numbers
from numpy.typing import NDArray

from ase_e3dos.data.composition import composition_key, kept_out
from ase_e3dos.data.labelled_set import LabelledSet
from ase_e3dos.errors import TrainingError
from ase_e3dos.structures.crystal import Crystal
from ase_e3dos.training.config import DataConfig

Mask = NDArray[np.bool_]
#: Of the division into folds; fixed, so that a fold means the same in every run.
_FOLD_SEED = 12345
_LIMIT_SEED = 2004


def select(labelled: LabelledSet, part: DataConfig) -> LabelledSet:
    """The entries of a file that a configuration asks for.

    Filters act in this order: split, formulas of the DFPT validation set, formulas kept out,
    folds, elements, size, limit.

    Parameters
    ----------
    labelled : LabelledSet
        The whole file.
    part : DataConfig
        What to take of it.

    Raises
    ------
    TrainingError
        Nothing is left.
    DataError
        The split does not exist.
    """
    chosen = candidates(labelled, part)
    if part.leave_out_fold is not None:
        chosen = chosen.subset(~in_fold(len(chosen), *part.leave_out_fold))
    if part.with_elements:
        chosen = chosen.subset(contains(chosen.crystals, part.with_elements))
    if part.without_elements:
        chosen = chosen.subset(~contains(chosen.crystals, part.without_elements))
    if part.largest is not None:
        chosen = chosen.subset(chosen.n_sites <= part.largest)
    if part.limit is not None:
        order = np.random.default_rng(_LIMIT_SEED).permutation(len(chosen))
        chosen = chosen.subset(np.sort(order[: part.limit]))
    if not len(chosen):
        raise TrainingError(
            f"{part.path}: no entry is left after the choice of split, folds, formulas and "
            "elements. Loosen the configuration."
        )
    return chosen


def candidates(labelled: LabelledSet, part: DataConfig) -> LabelledSet:
    """The entries before folds, elements and limit are considered."""
    chosen = labelled.split(part.split) if part.split else labelled
    marked = chosen.reference.get("in_petretto_valid")
    if part.leave_out_petretto_valid and marked is not None:
        chosen = chosen.subset(~marked.astype(bool))
    if part.leave_out_formulas:
        chosen = chosen.subset(~kept_out(chosen.formulas, part.leave_out_formulas))
    return chosen


def in_fold(n: int, fold: int, n_folds: int) -> Mask:
    """Members of one fold among n entries, the division drawn once and for all.

    Raises
    ------
    TrainingError
        There is no such fold.
    """
    if not 0 <= fold < n_folds:
        raise TrainingError(f"fold {fold} of {n_folds}: folds count from 0 to {n_folds - 1}.")
    return np.asarray(np.random.default_rng(_FOLD_SEED).permutation(n) % n_folds == fold)


def left_out(labelled: LabelledSet, part: DataConfig) -> LabelledSet | None:
    """The fold that `select` skips, to predict on; None where there are no folds."""
    if part.leave_out_fold is None:
        return None
    chosen = candidates(labelled, part)
    return chosen.subset(in_fold(len(chosen), *part.leave_out_fold))


def contains(crystals: list[Crystal], symbols: list[str]) -> Mask:
    """Which crystals contain one of the elements.

    Raises
    ------
    TrainingError
        A symbol is not that of an element.
    """
    unknown = [s for s in symbols if s not in atomic_numbers]
    if unknown:
        raise TrainingError(f"{', '.join(unknown)}: no such element; write symbols such as Ti.")
    wanted = [atomic_numbers[s] for s in symbols]
    return np.array([np.isin(c.species_number, wanted).any() for c in crystals], dtype=bool)


def without_compositions(labelled: LabelledSet, other: LabelledSet) -> LabelledSet:
    """The entries whose composition does not occur in another set."""
    known = {composition_key(c) for c in other.crystals}
    return labelled.subset(
        np.array([composition_key(c) not in known for c in labelled.crystals], dtype=bool)
    )
