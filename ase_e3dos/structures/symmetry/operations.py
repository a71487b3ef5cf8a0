"""Symmetry operations: from the triplets of a file to arrays, as a group, on a lattice."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import gemmi

__all__ = ["NotAGroupError", "Operations", "metric_deviation", "operations_of", "parse_triplet"]

_MOST_ROTATIONS = 48
_MOST_OPERATIONS = 20_000
#: Denominators of the translations that space groups have, to which decimals are rounded.
_PARTS = np.unique(np.concatenate([np.arange(q + 1) / q for q in (1, 2, 3, 4, 6, 8, 12)]))
_SAME = 1e-4
_TERM = re.compile(r"([+-]?)(?:(\d+\.?\d*|\.\d+)(?:/(\d+\.?\d*))?\*?)?([xyz])?")


class NotAGroupError(ValueError):
    """Operations that are none, or that do not form a group."""


@dataclass(frozen=True, slots=True, eq=False)
class Operations:
    """Operations of a space group that take x to W x + w.

    Attributes
    ----------
    rotations : array, shape (n, 3, 3)
        W, in the basis of the cell.
    translations : array, shape (n, 3)
        w, from zero up to one.
    point_group : array, shape (m, 3, 3)
        The different W.
    strain : array, shape (9 m, 9)
        What takes the nine components of a metric to its changes under the W.
    """

    rotations: NDArray[np.float64]
    translations: NDArray[np.float64]
    point_group: NDArray[np.float64]
    strain: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.rotations)

    @classmethod
    def of(cls, rotations: Any, translations: Any) -> Operations:
        """Operations as read-only arrays, each one once.

        Parameters
        ----------
        rotations : array_like of int, shape (n, 3, 3)
        translations : array_like, shape (n, 3)
            In units of the lattice vectors.

        Returns
        -------
        Operations
        """
        w = np.array(rotations, dtype=np.float64).reshape(-1, 3, 3)
        t = np.array(translations, dtype=np.float64).reshape(-1, 3)
        t -= np.floor(t + 1e-9)
        keys = np.column_stack([w.reshape(-1, 9), np.rint(t / _SAME) % round(1 / _SAME)])
        _, first = np.unique(keys, axis=0, return_index=True)
        first.sort()
        w, t = w[first], t[first]
        different = np.unique(w.reshape(-1, 9), axis=0).reshape(-1, 3, 3)
        changes = np.einsum("aki,alj->aijkl", different, different).reshape(-1, 9, 9) - np.eye(9)
        strain = np.ascontiguousarray(changes.reshape(-1, 9))
        for array in (w, t, different, strain):
            array.setflags(write=False)
        return cls(w, t, different, strain)

    @classmethod
    def from_gemmi(cls, group: gemmi.GroupOps) -> Operations:
        """Operations of a group of gemmi.

        Parameters
        ----------
        group : gemmi.GroupOps

        Returns
        -------
        Operations
        """
        each = list(group)
        return cls.of(
            np.array([op.rot for op in each]) / each[0].DEN,
            np.array([op.tran for op in each]) / each[0].DEN,
        )

    def times(self, other: Operations) -> Operations:
        """Every operation of one after every one of the other.

        Parameters
        ----------
        other : Operations

        Returns
        -------
        Operations
        """
        w = np.einsum("aij,bjk->abik", self.rotations, other.rotations)
        t = np.einsum("aij,bj->abi", self.rotations, other.translations)
        return Operations.of(w, t + self.translations[:, None])

    def in_axes(self, axes: NDArray[np.float64]) -> Operations:
        """The operations in other axes, whose rows are made of those of now.

        Parameters
        ----------
        axes : array, shape (3, 3)
            A rotation or an exchange of axes.

        Returns
        -------
        Operations
        """
        back = np.linalg.inv(axes)  # x' = x axes^-1 for rows x
        return Operations.of(np.rint(back.T @ self.rotations @ axes.T), self.translations @ back)

    def is_part_of(self, others: Operations) -> bool:
        """Whether they are among others.

        Parameters
        ----------
        others : Operations

        Returns
        -------
        bool
        """
        if len(self) > len(others):
            return False
        both = Operations.of(
            np.concatenate([others.rotations, self.rotations]),
            np.concatenate([others.translations, self.translations]),
        )
        return len(both) == len(others)

    def is_same(self, others: Operations) -> bool:
        """Whether they are the same operations in any order.

        Parameters
        ----------
        others : Operations

        Returns
        -------
        bool
        """
        return len(self) == len(others) and self.is_part_of(others)


@lru_cache(maxsize=256)
def operations_of(triplets: tuple[str, ...]) -> Operations:
    """Operations from texts such as "-y, x-y, z+1/3" or "x,y+1/2,z+1/2,-1".

    A missing identity is added; a sign of time reversal is passed over.

    Parameters
    ----------
    triplets : tuple of str

    Returns
    -------
    Operations

    Raises
    ------
    NotAGroupError
        One is not an operation, or together they do not form a group (modulo the lattice).
    """
    if len(triplets) > _MOST_OPERATIONS:
        raise NotAGroupError(f"{len(triplets)} operations, more than {_MOST_OPERATIONS}")
    parsed = [parse_triplet(t) for t in triplets]
    group = Operations.of(
        [np.eye(3), *(w for w, _ in parsed)], [np.zeros(3), *(t for _, t in parsed)]
    )
    check_group(group)
    return group


@lru_cache(maxsize=8192)
def parse_triplet(text: str) -> tuple[tuple[tuple[int, ...], ...], tuple[float, ...]]:
    """Matrix and translation of one operation.

    Parameters
    ----------
    text : str
        Such as "-y, x-y, z+1/3".

    Returns
    -------
    matrix : tuple of three tuples of int
    translation : tuple of three float
        In units of the lattice vectors.

    Raises
    ------
    NotAGroupError
        It is none, such as "2x,y,z" or "x,y".
    """
    plain = text.strip().strip("()").lower().replace(" ", "").replace("\t", "")
    if "x2" in plain:
        plain = plain.replace("x1", "x").replace("x2", "y").replace("x3", "z")
    parts = plain.split(",")
    if len(parts) == 4 and parts[3] in ("1", "+1", "-1"):
        parts.pop()
    if len(parts) != 3:
        raise NotAGroupError(f"{text!r} is not a symmetry operation")
    rows = [_row(part, text) for part in parts]
    matrix = tuple(row[0] for row in rows)
    if abs(round(float(np.linalg.det(np.array(matrix, dtype=float))), 6)) != 1.0:
        raise NotAGroupError(f"{text!r} is not a symmetry operation: it does not keep the volume")
    return matrix, tuple(row[1] for row in rows)


def _row(part: str, whole: str) -> tuple[tuple[int, ...], float]:
    coefficients, shift, at = [0, 0, 0], 0.0, 0
    while at < len(part):
        found = _TERM.match(part, at)
        if found is None or found.end() == at or not (found[2] or found[4]):
            raise NotAGroupError(f"{whole!r} is not a symmetry operation")
        sign = -1 if found[1] == "-" else 1
        if at and not found[1]:
            raise NotAGroupError(f"{whole!r} is not a symmetry operation")
        value = _fraction(found[2], found[3], whole)
        if found[4]:
            if value != round(value):
                raise NotAGroupError(f"{whole!r} is not a symmetry operation")
            coefficients["xyz".index(found[4])] += sign * round(value)
        else:
            shift += sign * value
        at = found.end()
    if not any(coefficients):
        raise NotAGroupError(f"{whole!r} is not a symmetry operation")
    return tuple(coefficients), shift


def _fraction(number: str | None, denominator: str | None, whole: str) -> float:
    if number is None:
        return 1.0
    value = float(number)
    if denominator is not None:
        if float(denominator) == 0.0:
            raise NotAGroupError(f"{whole!r} is not a symmetry operation")
        return value / float(denominator)
    decimals = len(number.partition(".")[2])
    if decimals:
        near = _PARTS[np.abs(_PARTS - value % 1.0).argmin()]
        # 0.67 is rounded, 0.66 cut off; a third with one decimal is no longer told from others.
        off = float(near - value % 1.0)
        unit = 10.0**-decimals
        if abs(off) <= min(0.55 * unit, 4e-3) or 0.0 < off < min(unit, 7e-3):
            return float(value - value % 1.0 + near)
    return value


def check_group(operations: Operations) -> None:
    """Raise unless the product of any two operations is among them, modulo the lattice.

    Raises
    ------
    NotAGroupError
        It is not.
    """
    w, t = operations.rotations, operations.translations
    matrices, first, which = np.unique(
        w.reshape(-1, 9), axis=0, return_index=True, return_inverse=True
    )
    which = which.ravel()
    n = len(matrices)
    centring = t[which == int(np.flatnonzero((matrices == np.eye(3).ravel()).all(axis=1))[0])]
    whole = n <= _MOST_ROTATIONS and len(w) == n * len(centring)
    if whole:
        m, r = matrices.reshape(-1, 3, 3), t[first]
        products = np.einsum("aij,bjk->abik", m, m).reshape(-1, 9)
        known = {row.tobytes(): k for k, row in enumerate(matrices + 0.0)}
        target = np.array([known.get(row.tobytes(), -1) for row in products + 0.0])
        shifts = (np.einsum("aij,bj->abi", m, r) + r[:, None]).reshape(-1, 3)
        whole = bool((target >= 0).all()) and _are_among(shifts - r[target], centring)
        sums = (centring[:, None] + centring[None]).reshape(-1, 3)
        whole = whole and _are_among(sums, centring)
        whole = whole and _are_among(np.einsum("aij,bj->abi", m, centring).reshape(-1, 3), centring)
        others = [t[which == k] for k in range(n)]
        whole = whole and all(
            _are_among(other - other[0], centring) for other in others if len(other) > 1
        )
    if not whole:
        raise NotAGroupError(
            f"its {len(w)} operations do not form a group: some are missing or mistyped"
        )


def _are_among(vectors: NDArray[np.float64], centring: NDArray[np.float64]) -> bool:
    """Whether each vector is one of the centring translations, modulo the lattice."""
    found = np.zeros(len(vectors), dtype=bool)
    for translation in centring:
        difference = vectors - translation
        found |= (np.abs(difference - np.rint(difference)) <= 3 * _SAME).all(axis=1)
    return bool(found.all())


def metric_deviation(operations: Operations, cell: NDArray[np.float64]) -> float:
    """How far the operations are from keeping lengths and angles, relative (0: they keep them).

    Parameters
    ----------
    operations : Operations
    cell : array, shape (3, 3)
        Lattice vectors in rows, Å.

    Returns
    -------
    float
    """
    metric = cell @ cell.T
    lengths = np.sqrt(metric.diagonal())
    scale = (lengths[:, None] * lengths).ravel()
    changes = np.abs(operations.strain @ metric.ravel()).reshape(-1, 9)
    return float((changes / scale).max())
