"""POSCAR and CONTCAR files of VASP, of its versions 4 to 6."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from math import isfinite

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray

from ase_e3dos.errors import CompositionWarning, CrystalError, UnreadableFileError
from ase_e3dos.structures.checks import MOST_SITES
from ase_e3dos.structures.composition import formula_amounts
from ase_e3dos.structures.elements import NotAnElementError, element_of_symbol
from ase_e3dos.structures.masses import STANDARD_MASSES
from ase_e3dos.structures.numerals import number_in
from ase_e3dos.structures.sites import Remark, Sites

__all__ = ["poscar_sites"]

#: Of VASP's pseudopotentials with a fractional nuclear charge: H.5, H1.25.
_PSEUDO_HYDROGEN = re.compile(r"[Hh][_]?\d?\.\d+$")

#: Comments of one word that are English rather than the symbol of an element.
_ENGLISH = frozenset(("No", "I", "He", "At", "Am"))


def poscar_sites(text: str, label: str) -> Sites:
    """Sites of a POSCAR.

    Elements are those of the line of symbols; without one (VASP 4) those behind the positions, or
    those of the comment, if it is nothing but the symbols or a formula with these numbers of
    atoms. Blank lines and what follows the positions are passed over.

    Parameters
    ----------
    text : str
    label : str
        What messages call the file.

    Returns
    -------
    Sites

    Raises
    ------
    UnreadableFileError
        It is not a complete POSCAR.
    CrystalError
        Its elements are not known.
    """
    try:
        return _sites(text)
    except _PoscarError as error:
        raise UnreadableFileError(
            f"{label}: not a complete POSCAR: {error}. Correct it, or write it again."
        ) from None
    except NotAnElementError as error:
        raise CrystalError(f"{label}: {error}.") from None


class _PoscarError(ValueError):
    """What is wrong with a file."""


class _Lines:
    """The lines that are not blank, one after the other, with their numbers."""

    def __init__(self, text: str) -> None:
        lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")  # a comment holds any
        self.comment = lines[0].strip() if lines else ""
        self._lines = lines
        self.number = 1  # of the line that was taken last

    def next(self, what: str) -> str:
        """The next line that is not blank."""
        while self.number < len(self._lines):
            line = self._lines[self.number]
            self.number += 1
            if line and not line.isspace():
                return line
        raise _PoscarError(f"{what} is missing at its end")

    def following(self) -> str:
        """The next line, blank or not; none is taken."""
        return self._lines[self.number] if self.number < len(self._lines) else ""

    def plain_positions(self, n: int) -> NDArray[np.float64] | None:
        """The next n lines, if each is just three plain numbers; else None, and none is taken."""
        rows = [line.split() for line in self._lines[self.number : self.number + n]]
        if len(rows) < n or any(len(row) != 3 for row in rows):
            return None
        try:
            found = np.array([(float(x), float(y), float(z)) for x, y, z in rows])
        except ValueError:
            return None
        if not np.isfinite(found).all():
            return None
        self.number += n
        return found

    def numbers(self, what: str, n: int) -> list[float]:
        """The first n numbers of the next line."""
        words = self.next(what).split()
        try:
            found = [float(word) for word in words[:n]]
            if len(found) == n and all(map(isfinite, found)):
                return found
        except ValueError:
            pass
        try:
            found = [number_in(word) for word in words[:n]]
        except ValueError as error:
            raise _PoscarError(f"{what}, line {self.number}: {error}") from None
        if len(found) < n:
            raise _PoscarError(f"{what}, line {self.number}: there are fewer than {n} numbers")
        return found


def _sites(text: str) -> Sites:
    lines = _Lines(text)
    scale = _scale(lines.next("the scale"), lines)
    cell = np.array([lines.numbers("a lattice vector", 3) for _ in range(3)])
    stretch = _stretch(scale, cell)
    symbols, counts = _species(lines)
    line = lines.next("the line Direct or Cartesian")
    if line.lstrip()[0] in "sS":  # selective dynamics
        line = lines.next("the line Direct or Cartesian")
    cartesian = line.lstrip()[0] in "cCkK"
    if not cartesian and line.lstrip()[0] not in "dD":
        raise _PoscarError(
            f"line {lines.number} is {line.strip()[:40]!r} instead of Direct or Cartesian"
        )
    n = sum(counts)
    if n > MOST_SITES:
        raise _PoscarError(f"it announces {n} atoms, more than {MOST_SITES}")
    positions, names = _positions(lines, n)
    remarks = tuple(_further_positions(lines, n))
    if symbols is None:
        elements = _unnamed_elements(lines.comment, counts, names)
    else:
        pseudo = [symbol for symbol in symbols if _PSEUDO_HYDROGEN.match(symbol)]
        of_kind = [element_of_symbol("H" if s in pseudo else s) for s in symbols]
        elements = [e for e, count in zip(of_kind, counts, strict=True) for _ in range(count)]
        remarks += tuple(_contradiction(names, elements))
        if pseudo:
            remarks += (
                Remark(
                    CompositionWarning,
                    f"{pseudo[0]} is a pseudo-hydrogen atom that saturates a surface, and was read "
                    "as hydrogen. Phonons of such a slab are none of a crystal.",
                ),
            )
    cell = cell * stretch
    if cartesian:
        positions = positions * stretch @ np.linalg.inv(cell)
    number = np.array([z for z, _ in elements], dtype=np.int64)
    mass = np.array([m for _, m in elements])
    if np.array_equal(mass, STANDARD_MASSES[number]):
        return Sites(cell, positions, np.arange(n), number, remarks=remarks)
    return Sites(cell, positions, np.arange(n), number, None, mass, remarks)


def _scale(line: str, lines: _Lines) -> list[float]:
    """One factor, or three: those numbers with which the line begins."""
    found = []
    for word in line.split()[:3]:
        try:
            found.append(number_in(word))
        except ValueError:
            break
    if not found or 0.0 in found:
        raise _PoscarError(f"line {lines.number} holds no scale other than zero")
    return found if len(found) == 3 else found[:1]


def _stretch(scale: list[float], cell: NDArray[np.float64]) -> float | NDArray[np.float64]:
    """Factor of all lengths, or of those along x, y and z."""
    if len(scale) == 3:
        if min(scale) < 0:
            raise _PoscarError("one of its three scales is negative")
        return np.array(scale)
    if scale[0] > 0:
        return scale[0]
    volume = abs(float(np.linalg.det(cell)))
    if volume == 0.0:
        raise _PoscarError("its lattice vectors lie in a plane")
    return float((-scale[0] / volume) ** (1 / 3))


def _species(lines: _Lines) -> tuple[list[str] | None, list[int]]:
    """Symbols, if there is a line of them, and the number of atoms of each."""
    words = _uncommented(lines.next("the line of numbers of atoms"))
    symbols = None
    if words and not words[0].isdigit():
        symbols = words
        words = _uncommented(lines.next("the line of numbers of atoms"))
    counts = []
    for word in words:
        if not word.isdigit():
            break
        counts.append(int(word[:12]))
    if not counts or (symbols is not None and len(counts) != len(symbols)):
        what = f"{len(symbols or ())} symbols and {len(counts)} numbers of atoms"
        raise _PoscarError(f"line {lines.number}: there are {what}")
    if sum(counts) == 0:
        raise _PoscarError(f"line {lines.number} announces no atoms")
    return symbols, counts


def _uncommented(line: str) -> list[str]:
    return re.split(r"[!#]", line, maxsplit=1)[0].split()


def _positions(lines: _Lines, n: int) -> tuple[NDArray[np.float64], list[str]]:
    """Positions, and what stands behind each of them."""
    plain = lines.plain_positions(n)
    if plain is not None:
        return plain, []
    rows: list[tuple[float, ...]] = []
    names = []
    for k in range(n):
        words = lines.next(f"the position of atom {k + 1} of {n}").split()
        try:
            x, y, z = words[:3]
            rows.append((float(x), float(y), float(z)))
        except ValueError:
            rows.append(_position(words, lines.number))
        names.append(_name_behind(words) if len(words) > 3 else "")
    positions = np.array(rows)
    if not np.isfinite(positions).all():
        raise _PoscarError("a position is not finite")
    return positions, names


#: Flags of selective dynamics, and what begins a remark.
_FLAGS = frozenset(("t", "f", ".true.", ".false.", ".t.", ".f.", "true", "false", "!", "#"))


def _position(words: list[str], number: int) -> tuple[float, ...]:
    """A position whose numbers are not written as Python would."""
    if len(words) < 3:
        raise _PoscarError(f"a position, line {number}: there are fewer than 3 numbers")
    try:
        return tuple(number_in(word) for word in words[:3])
    except ValueError as error:
        raise _PoscarError(f"a position, line {number}: {error}") from None


def _name_behind(words: list[str]) -> str:
    """The symbol behind a position, beside flags."""
    return next((w for w in words[3:] if w.lower() not in _FLAGS), "")


def _unnamed_elements(comment: str, counts: list[int], names: list[str]) -> list[tuple[int, float]]:
    """Elements of a file without a line of symbols, if it says them elsewhere."""
    if names and all(names):
        try:
            elements = [element_of_symbol(name) for name in names]
        except NotAnElementError:
            elements = []
        groups = np.cumsum([0, *counts])
        if elements and all(
            len({z for z, _ in elements[a:b]}) <= 1 for a, b in pairwise(groups.tolist())
        ):
            return elements
    symbols = _symbols_in(comment, counts)
    if symbols is None:
        raise NotAnElementError(
            f"the file has no line of element symbols (as VASP 4 wrote it), and its comment "
            f"{comment[:60]!r} is not just the symbols of {len(counts)} species. Write the symbols "
            "into a line of their own above the numbers of atoms"
        )
    return [
        element_of_symbol(symbol)
        for symbol, count in zip(symbols, counts, strict=True)
        for _ in range(count)
    ]


def _symbols_in(comment: str, counts: list[int]) -> list[str] | None:
    """Symbols of the species, if the comment is exactly these or a formula that fits."""
    words = comment.split()
    if comment.strip() in _ENGLISH:
        return None
    if len(words) == len(counts) and all(w in chemical_symbols[1:] or w in "DT" for w in words):
        return words
    parts = re.findall(r"[A-Z][a-z]?", comment)
    if not re.fullmatch(r"(?:[A-Z][a-z]?\d*\s*)+", comment) or len(parts) != len(counts):
        return None
    amounts = formula_amounts(comment)
    order = [chemical_symbols.index(p) if p in chemical_symbols else 0 for p in parts]
    if len(set(order)) < len(order) or any(z not in amounts for z in order):
        return None
    ratio = {counts[k] / amounts[z] for k, z in enumerate(order)}
    return parts if max(ratio) - min(ratio) < 1e-9 * max(ratio) else None


def _further_positions(lines: _Lines, n: int) -> Iterator[Remark]:
    """Whether there are more positions than announced (a blank line comes before velocities)."""
    words = lines.following().split()
    try:
        more = len(words) >= 3 and all(isfinite(number_in(word)) for word in words[:3])
    except ValueError:
        more = False
    if more:
        yield Remark(
            CompositionWarning,
            f"behind the {n} positions that are announced are more numbers, without a blank line "
            "between. Check the numbers of atoms.",
        )


def _contradiction(names: list[str], elements: list[tuple[int, float]]) -> Iterator[Remark]:
    """Whether the symbols behind the positions are others than those of the line of symbols."""
    for k, (name, (z, _)) in enumerate(zip(names, elements, strict=False)):
        if not name or name == chemical_symbols[z]:
            continue
        try:
            written = element_of_symbol(name)[0]
        except NotAnElementError:
            return
        if written != z:
            yield Remark(
                CompositionWarning,
                f"the file does not agree with itself: behind the position of atom {k + 1} stands "
                f"{name!r}, and by the line of symbols, which was taken, it is "
                f"{chemical_symbols[z]}. Check the order of the species.",
            )
            return
