"""The cell of a CIF block."""

from __future__ import annotations

from math import cos, radians, sin, sqrt

import numpy as np
from numpy.typing import NDArray

from ase_e3dos.structures.checks import MAX_LENGTH
from ase_e3dos.structures.cif.sites import SiteError
from ase_e3dos.structures.cif.text import Block
from ase_e3dos.structures.numerals import number_in

_LENGTHS = ("_cell_length_a", "_cell_length_b", "_cell_length_c")
ANGLES = ("_cell_angle_alpha", "_cell_angle_beta", "_cell_angle_gamma")


def cell_of(block: Block) -> NDArray[np.float64]:
    """Lattice vectors in rows, Å: the first along x, the second in the xy plane."""
    texts = [block.value(tag) for tag in (*_LENGTHS, *ANGLES)]
    if any(text is None for text in texts[:3]):
        raise SiteError(
            "the file does not state the lengths of its cell. Give _cell_length_a, _b and _c"
        )
    try:
        a, b, c, *angles = (90.0 if text is None else number_in(text) for text in texts)
    except ValueError as error:
        raise SiteError(
            f"the cell: {error}. Give numbers alone, lengths in Å and angles in degrees"
        ) from None
    alpha, beta, gamma = angles
    if max(a, b, c) > MAX_LENGTH:
        raise SiteError(
            f"the cell is {max(a, b, c):.3g} Å long, more than {MAX_LENGTH:g} Å. Check its unit, "
            "which is Å, and whether the file is damaged"
        )
    if 0.0 < max(angles) < 3.2:
        raise SiteError(
            f"the angles of its cell are {alpha:g}, {beta:g} and {gamma:g}, as if they were in "
            "radians. Give them in degrees"
        )
    square = 0.0
    if min(a, b, c) > 0 and all(0.0 < angle < 180.0 for angle in angles):
        x, y, z = (_cosine(angle) for angle in angles)
        square = 1 - x * x - y * y - z * z + 2 * x * y * z
    if square <= 1e-12:
        raise SiteError(
            f"there is no cell with lengths {a:g}, {b:g}, {c:g} and angles {alpha:g}, {beta:g}, "
            f"{gamma:g}. Correct it"
        )
    s = _sine(gamma)
    return np.array(
        [
            [a, 0.0, 0.0],
            [b * z, b * s, 0.0],
            [c * y, c * (x - y * z) / s, c * sqrt(square) / s],
        ]
    )


def _cosine(angle: float) -> float:
    """Exact where the angle is a special one."""
    special = {90.0: 0.0, 120.0: -0.5, 60.0: 0.5}
    return special[angle] if angle in special else cos(radians(angle))


def _sine(angle: float) -> float:
    return 1.0 if angle == 90.0 else sin(radians(angle))
