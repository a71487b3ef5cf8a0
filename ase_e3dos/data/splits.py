"""Splits: which entries train, validate and test, so that nothing leaks from one to the other."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from ase_e3dos.data.composition import composition_key
from ase_e3dos.errors import DataError, need_pyarrow
from ase_e3dos.structures.crystal import Crystal

SplitBy = Literal["random", "composition", "prototype", "paper"]
_SHARES = {"train": 0.8, "valid": 0.1, "test": 0.1}


def split_names(
    crystals: Sequence[Crystal],
    by: SplitBy = "random",
    shares: Mapping[str, float] | None = None,
    seed: int = 0,
    ids: Sequence[str] = (),
    paper: str | Path | None = None,
) -> list[str]:
    """The split of each crystal.

    Parameters
    ----------
    crystals : sequence of Crystal
        To divide.
    by : SplitBy, optional
        "random"; "composition" and "prototype" keep crystals of one reduced composition or one
        structure type together; "paper" takes the splits of another file by `ids`, and what that
        file does not know is "test": published files leave out the test set (`unknown_ids`).
    shares : mapping of str to float, optional
        Share of each split; 0.8 train, 0.1 valid, 0.1 test if not given.
    seed : int, optional
        Of the division.
    ids : sequence of str, optional
        Of the crystals, for "paper".
    paper : str or Path, optional
        Parquet file with the columns id and split, such as the published training data.

    Raises
    ------
    DataError
        Shares that do not add up to one; "paper" without its file, or with a file that knows
        none of the ids.
    """
    if by == "paper":
        return _paper_split(ids, paper)
    parts = dict(shares or _SHARES)
    if abs(sum(parts.values()) - 1) > 1e-6 or min(parts.values()) < 0:
        raise DataError(f"the shares of the splits add up to {sum(parts.values()):g}, not to 1.")
    keys: list[Hashable]
    if by == "composition":
        keys = [composition_key(c) for c in crystals]
    elif by == "prototype":
        keys = [prototype(c) for c in crystals]
    else:
        keys = list(range(len(crystals)))
    return _divide(keys, parts, seed)


def empty_splits(counts: Mapping[str, int], by: SplitBy) -> list[str]:
    """A warning, as a line or none, where no entry went to one of the usual splits.

    Parameters
    ----------
    counts : mapping of str to int
        Entries of each split.
    by : SplitBy
        How they were divided; "paper" is as its file has it, and no reason to warn.
    """
    empty = " or ".join(name for name in _SHARES if not counts.get(name))
    if by == "paper" or not empty:
        return []
    n = sum(counts.values())
    if by == "random" or n < 10:
        return [f"warning: no entry is for {empty}, for {n} are too few. Add more (10 at least)."]
    return [
        f"warning: no entry is for {empty}, for entries of one {by} stay together. Add entries of "
        f"more {by}s, or divide otherwise: --split random."
    ]


def _divide(keys: Sequence[Hashable], shares: Mapping[str, float], seed: int) -> list[str]:
    """Whole groups in random order, each to the split that lacks most."""
    groups: dict[Hashable, list[int]] = {}
    for i, key in enumerate(keys):
        groups.setdefault(key, []).append(i)
    order = list(groups.values())
    rng = np.random.default_rng(seed)
    rng.shuffle(order)
    filled = dict.fromkeys(shares, 0)
    names = [""] * len(keys)
    for group in order:
        missing = {name: share * len(keys) - filled[name] for name, share in shares.items()}
        chosen = max(missing, key=lambda name: missing[name])
        filled[chosen] += len(group)
        for i in group:
            names[i] = chosen
    return names


def prototype(crystal: Crystal, tolerance: float = 0.01) -> Hashable:
    """Structure type: space group, occupied Wyckoff positions and stoichiometry, no elements.

    Parameters
    ----------
    crystal : Crystal
        Ordered.
    tolerance : float, optional
        Of the symmetry search in Å. Where none is found, the crystal is a type of its own.
    """
    import spglib

    numbers = crystal.numbers.tolist()
    cell = (crystal.cell.tolist(), crystal.scaled_positions.tolist(), numbers)
    try:
        found = spglib.get_symmetry_dataset(cell, symprec=tolerance)
    except spglib.error.SpglibError:
        found = None
    if found is None:
        return ("unknown", crystal.name)
    wyckoffs: dict[int, list[str]] = {}
    seen: set[int] = set()
    for letter, orbit, z in zip(
        found.wyckoffs, found.crystallographic_orbits, numbers, strict=True
    ):
        if int(orbit) not in seen:
            seen.add(int(orbit))
            wyckoffs.setdefault(z, []).append(letter)
    letters = tuple(sorted(tuple(sorted(v)) for v in wyckoffs.values()))
    counts = tuple(sorted(n for _, n in composition_key(crystal)))
    return (int(found.number), letters, counts)


def unknown_ids(ids: Sequence[str], paper: str | Path | None) -> list[str]:
    """Those ids that a file of splits does not know, and that "paper" makes "test".

    Parameters
    ----------
    ids : sequence of str
        Of the crystals.
    paper : str, Path or None
        Parquet file with the columns id and split.

    Raises
    ------
    DataError
        There is no such file.
    """
    known = _known_splits(paper)
    return [name for name in ids if name not in known]


def _paper_split(ids: Sequence[str], paper: str | Path | None) -> list[str]:
    known = _known_splits(paper)
    if known.keys().isdisjoint(ids):
        raise DataError(
            f"{paper} knows none of the {len(ids)} ids ({', '.join(ids[:3])}, ...); it knows "
            f"{', '.join(list(known)[:3])}, ... Give the file of these data, or divide otherwise: "
            "--split composition."
        )
    return [known.get(name, "test") for name in ids]


def _known_splits(paper: str | Path | None) -> dict[str, str]:
    need_pyarrow("a file of splits")
    import pyarrow as pa
    import pyarrow.parquet as pq

    wanted = "a Parquet file with the columns id and split"
    if paper is None or not Path(paper).is_file():
        raise DataError(f"the paper's split needs {wanted}: give it with --split-file.")
    try:
        table = pq.read_table(paper, columns=["id", "split"]).to_pydict()
        return dict(zip(map(str, table["id"]), map(str, table["split"]), strict=True))
    except (pa.ArrowException, OSError, KeyError) as error:
        raise DataError(f"{paper}: not {wanted} ({error}).") from error
