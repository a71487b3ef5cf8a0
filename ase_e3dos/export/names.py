"""What figures and tables call spectra: names that tell them apart, and how they are written."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ase_e3dos.spectrum.density_of_states import DensityOfStates


def names_of(spectra: Sequence[DensityOfStates]) -> list[str]:
    """Names that tell spectra apart: formulas, with the files' names where formulas repeat.

    Parameters
    ----------
    spectra : sequence of DensityOfStates

    Returns
    -------
    list of str
    """
    return told_apart([s.crystal.formula for s in spectra], [s.crystal.name for s in spectra])


def told_apart(names: Sequence[str], sources: Sequence[str]) -> list[str]:
    """Names, with as much of their sources as it takes where names repeat, and numbers at last.

    Parameters
    ----------
    names : sequence of str
        Formulas, or names of files.
    sources : sequence of str
        The file of each, with a place in it where it holds several: ``run/all.extxyz[3]``.

    Returns
    -------
    list of str
        ``NaCl``; ``Si, relaxed`` by the file's stem; ``Si, a/POSCAR`` by its folder; ``Si #2``.
    """
    groups: defaultdict[str, list[int]] = defaultdict(list)
    for k, name in enumerate(names):
        groups[name].append(k)
    found = list(names)
    for name, members in groups.items():
        of_members = [sources[k] for k in members]
        deepest = max(len(_path(source).parts) for source in of_members)
        longer = [
            [_with_source(name, source, depth, whole) for source in of_members]
            for depth in range(deepest)
            for whole in (False, True)
        ]
        # the shortest of those that tell most apart
        best = max([[name] * len(members), *longer], key=lambda these: len(set(these)))
        for k, chosen in zip(members, best, strict=True):
            found[k] = chosen
    return _numbered(found)


def _numbered(names: Sequence[str]) -> list[str]:
    """Names that are the same to the end, with a number each."""
    repeated = Counter(names)
    seen: Counter[str] = Counter()
    found = []
    for name in names:
        seen[name] += 1
        found.append(f"{name} #{seen[name]}" if repeated[name] > 1 else name)
    return found


def _path(source: str) -> PurePath:
    return PurePath(source.partition("[")[0])


def _with_source(name: str, source: str, depth: int, whole: bool) -> str:
    """A name with the stem or whole name of its file, and as many folders as `depth` says."""
    path, (_, bracket, place) = _path(source), source.partition("[")
    folders = path.parts[:-1][-depth:] if depth else ()
    file = path.name if whole or name.endswith(path.name) else path.stem
    shown = "/".join([*folders, file]).replace("//", "/") + bracket + place
    if not shown or shown.startswith(name) or shown.endswith(f"/{name}"):
        return shown or name
    return f"{name}, {shown}"


def formula_in_mathtext(name: str) -> str:
    """A name for Matplotlib, with the numbers of a formula at its beginning as subscripts.

    Parameters
    ----------
    name : str
        Or several, with "and" between them.

    Returns
    -------
    str
    """
    whole = " and ".join(map(_one_in_mathtext, name.split(" and ")))
    return f"\N{ZERO WIDTH SPACE}{whole}" if whole.startswith("_") else whole  # else no legend


def _one_in_mathtext(name: str) -> str:
    formula = re.match(r"([A-Z][a-z]?[\d.]*)+(?=,| #|$)", name)
    end = formula.end() if formula else 0
    return re.sub(r"(\d[\d.]*)", r"$_{\1}$", name[:end]) + name[end:].replace("$", r"\$")
