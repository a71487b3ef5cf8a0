"""CIF files: the crystal that each block describes, read with gemmi.

Symmetry is that of the file's operations, else of its Hall symbol, else of its Hermann-Mauguin
symbol and the shape of the cell, else of its number; one that is not known is refused. What the
file says about its contents is compared with what was read. No other reader is asked.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from math import cos, radians, sin, sqrt

import numpy as np
from ase.data import chemical_symbols, covalent_radii
from numpy.typing import NDArray

from ase_e3dos.errors import (
    CompositionWarning,
    CrystalError,
    E3DOSError,
    SymmetryWarning,
    UnreadableFileError,
)
from ase_e3dos.structures.checks import MAX_LENGTH
from ase_e3dos.structures.cif.contents import Contents, filled, follows
from ase_e3dos.structures.cif.sites import AtomSites, SiteError, has_sites, sites_of
from ase_e3dos.structures.cif.symmetry import (
    METRIC_TOLERANCE,
    Symmetry,
    UnknownSymmetryError,
    symmetry_of,
)
from ase_e3dos.structures.cif.text import Block, CifSyntaxError, blocks_of
from ase_e3dos.structures.composition import Stated, disagreements, formula_amounts
from ase_e3dos.structures.elements import DEUTERIUM_MASS
from ase_e3dos.structures.moments import MOMENTS
from ase_e3dos.structures.numerals import number_in
from ase_e3dos.structures.sites import Remark, Sites
from ase_e3dos.structures.symmetry.operations import metric_deviation
from ase_e3dos.structures.uncompressed import decoded

__all__ = ["cif_sites"]

_LENGTHS = ("_cell_length_a", "_cell_length_b", "_cell_length_c")
_ANGLES = ("_cell_angle_alpha", "_cell_angle_beta", "_cell_angle_gamma")
_DEUTERIUM = re.compile(r"(?<![A-Za-z])D(?![a-z])")
_MOST_COMPARED = 64
#: How far the shape of a cell may be from its symmetry without a word.
_METRIC_ROUNDING = 0.01
#: Contact of an atom over the sum of the covalent radii, as structures have it.
_CONTACT = (0.87, 1.5)
#: The same as no crystal has it, and as short bonds (Ti-O in anatase) still have it.
_IMPOSSIBLE, _POSSIBLE = 0.62, 0.8
#: Share of the cell in spheres of covalent radius that structures exceed.
_FILLING = 0.15


def cif_sites(content: bytes | str, label: str) -> Iterator[Sites | E3DOSError]:
    """Sites of every block of a CIF file that holds a structure.

    Parameters
    ----------
    content : bytes or str
        Of the file, uncompressed, in any encoding.
    label : str
        What messages call it; with the number of the structure where there are several.

    Yields
    ------
    Sites
        With what is to be said about the file as remarks; or the `E3DOSError` of a block that
        describes no crystal, or not clearly.

    Raises
    ------
    UnreadableFileError
        It is not a CIF file, or holds no structure.
    """
    try:
        text = decoded(content, label) if isinstance(content, bytes) else content
        blocks = [block for block in blocks_of(text) if has_sites(block)]
    except CifSyntaxError as error:
        raise UnreadableFileError(
            f"{label}: not a readable CIF file ({error}). Correct it there, or write it again."
        ) from None
    if not blocks:
        raise UnreadableFileError(
            f"{label}: no structure could be read: no block of this CIF file holds coordinates of "
            "atoms (_atom_site_fract_x, _y and _z). Is it the file of a structure, and complete?"
        )
    for k, block in enumerate(blocks):
        name = label if len(blocks) == 1 else f"{label}[{k}]"
        try:
            yield _sites(block)
        except CifSyntaxError as error:
            yield UnreadableFileError(f"{name}: {error}. Correct the file.")
        except (SiteError, UnknownSymmetryError) as error:
            yield CrystalError(f"{name}: {error}.")
        except CrystalError as error:
            yield CrystalError(f"{name}: {error}")


def _sites(block: Block) -> Sites:
    cell = _cell(block)
    text = block.value("_chemical_formula_sum", "_chemical_formula_structural") or ""
    formula = formula_amounts(text)
    unit = sites_of(block, cell, frozenset(chemical_symbols[z] for z in formula))
    symmetry = symmetry_of(block, cell)
    stated = _stated(block, formula, text, unit)
    found, doubts, remarks = _chosen(unit, symmetry, stated, cell)
    if not symmetry.stated:
        remarks.append(
            Remark(
                SymmetryWarning,
                "the file says nothing about symmetry, so the atoms that it lists were taken for "
                "all of the cell. If there are more, list the symmetry operations.",
            )
        )
    if symmetry.contradiction:
        remarks.append(
            Remark(
                SymmetryWarning,
                f"the file does not agree with itself: {symmetry.contradiction}. Correct what is "
                "wrong.",
            )
        )
    deviation = metric_deviation(symmetry.candidates[0][1], cell)
    if deviation > _METRIC_ROUNDING:
        remarks.append(
            Remark(
                SymmetryWarning,
                f"the shape of the cell departs by {deviation:.1%} from what its symmetry asks "
                "for. Correct the cell or the symmetry.",
            )
        )
    missing = [tag for tag in _ANGLES if block.value(tag) is None]
    if missing:
        remarks.append(
            Remark(
                SymmetryWarning,
                f"the file does not state {', '.join(missing)}: 90° was taken, the default of the "
                "CIF dictionary. Give the angles if the cell is not rectangular.",
            )
        )
    if doubts:
        remarks.append(
            Remark(
                CompositionWarning,
                f"the file does not agree with itself: {'; '.join(doubts)}. Check whether atoms "
                "are missing, doubled or misread.",
            )
        )
    if unit.guesses:
        remarks.append(
            Remark(
                CompositionWarning,
                f"{'; '.join(unit.guesses)}. Give _atom_site_type_symbol, or the formula in "
                "_chemical_formula_sum.",
            )
        )
    if _has_moments(block):
        remarks.append(MOMENTS)
    whole = len(found.site) == len(found.positions) and bool((found.fraction == 1.0).all())
    return Sites(
        cell,
        found.positions,
        found.site,
        found.number,
        None if whole else found.fraction,
        found.mass,
        tuple(remarks),
    )


def _chosen(
    unit: AtomSites,
    symmetry: Symmetry,
    stated: Stated,
    cell: NDArray[np.float64],
) -> tuple[Contents, list[str], list[Remark]]:
    """Contents by the symmetry that the file means, with what speaks against them."""
    if len(symmetry.candidates) == 1:
        contents = filled(unit, symmetry.candidates[0][1], cell)
        doubts = _doubts(contents, stated, unit, cell)
        return contents, doubts + _unlike_its_name(contents, unit, symmetry, cell), []
    tried: list[tuple[int, str, Contents, list[str]]] = []
    failure: SiteError | None = None
    for symbol, operations in symmetry.candidates:
        try:
            contents = filled(unit, operations, cell)
        except SiteError as error:
            failure = failure or error
            continue
        doubts = _doubts(contents, stated, unit, cell)
        tried.append((len(doubts), symbol, contents, doubts))
    if not tried:
        raise failure or SiteError("no setting of its space group fits")
    fewest = min(row[0] for row in tried)
    agreeing = [row for row in tried if row[0] == fewest]
    _, symbol, contents, doubts = agreeing[0]
    if len(agreeing) < len(tried) and len(agreeing) == 1:
        return contents, doubts, []  # what the file states about its contents tells
    if len(tried) > 1 and all(_is_same(contents, row[2], cell) for row in agreeing[1:]):
        return contents, doubts, []
    several = " and ".join(s for s, _ in symmetry.candidates)
    only = _only_possible([row[2] for row in agreeing], cell)
    if only is None:
        raise SiteError(
            f"its space group has {_kind_of_choice(symmetry)} ({several}), and the file does not "
            "say which is meant. List the symmetry operations, give the Hall symbol, or write the "
            "symbol as it stands here"
        )
    _, symbol, contents, doubts = agreeing[only]
    remark = Remark(
        SymmetryWarning,
        f"the file does not say which of {several} is meant; {symbol} was taken, because atoms "
        "would be too close with the other. List the symmetry operations, give the Hall symbol, or "
        "write the symbol as it stands here.",
    )
    return contents, doubts, [remark]


def _doubts(
    contents: Contents, stated: Stated, unit: AtomSites, cell: NDArray[np.float64]
) -> list[str]:
    """What the file states and the contents do not bear out."""
    volume = float(cell[0, 0] * cell[1, 1] * cell[2, 2])
    found = disagreements(stated, contents.number, contents.fraction, contents.mass, volume)
    if not (stated.formula and not found):  # a formula that agrees tells that the types are right
        found.extend(unit.contradictions[:1])
    if contents.doubled:
        found.append(
            f"{', '.join(contents.doubled[:4])} {'is' if len(contents.doubled) == 1 else 'are'} "
            "listed besides an equal atom on the same place, and counted once"
        )
    if unit.multiplicities is not None and not (stated.formula and stated.units and not found):
        wrong = [
            (label, said, int(m))
            for label, said, m in zip(
                unit.labels, unit.multiplicities, contents.multiplicities.tolist(), strict=True
            )
            if said is not None and said != m
        ]
        if wrong:
            label, said, m = wrong[0]
            found.append(f"it states a multiplicity of {said} for {label}, which has {m} places")
    return found


def _unlike_its_name(
    contents: Contents, unit: AtomSites, symmetry: Symmetry, cell: NDArray[np.float64]
) -> list[str]:
    """Whether operations were left out: fewer than those of the symbol, which is not obeyed."""
    operations = symmetry.candidates[0][1]
    larger = [s for s in symmetry.named if len(s.operations) > len(operations)]
    if not larger or len(larger) < len(symmetry.named):
        return []
    larger = [s for s in larger if metric_deviation(s.operations, cell) <= METRIC_TOLERANCE]
    if not larger:
        return []
    if any(follows(contents, s.operations, cell) for s in larger):
        return []
    return [
        f"it lists {len(operations)} symmetry operation(s), by which the crystal was read, but its "
        f"symbol {larger[0].symbol!r} has {len(larger[0].operations)}"
    ]


def _is_same(one: Contents, other: Contents, cell: NDArray[np.float64]) -> bool:
    """Whether two cells hold the same structure, for all that distances tell."""
    if len(one.positions) != len(other.positions) or len(one.site) != len(other.site):
        return False
    if len(one.positions) > _MOST_COMPARED:
        return False
    return bool(np.allclose(_fingerprint(one, cell), _fingerprint(other, cell), atol=1e-3))


def _fingerprint(contents: Contents, cell: NDArray[np.float64]) -> NDArray[np.float64]:
    weight = np.bincount(contents.site, contents.fraction * contents.number)
    difference = contents.positions[:, None] - contents.positions
    difference -= np.rint(difference)
    shells = [np.array(shift) for shift in itertools.product((-1, 0, 1), repeat=3)]
    distance = np.sort(
        [np.linalg.norm((difference + shift) @ cell, axis=2) for shift in shells], axis=0
    )[:4]
    pairs = np.add.outer(weight, weight) * 7.0 + np.multiply.outer(weight, weight)
    return np.sort((pairs + 100.0 * distance).ravel())


def _kind_of_choice(symmetry: Symmetry) -> str:
    bare = {symbol.partition(":")[0] for symbol, _ in symmetry.candidates}
    return "two origins" if len(bare) == 1 else "several settings"


def _only_possible(found: list[Contents], cell: NDArray[np.float64]) -> int | None:
    """Index of the one whose atoms are not too close; None if there are more, or none."""
    looks = [_look(contents, cell) for contents in found]
    if "sparse" in [look for look, _ in looks]:
        return None  # no structure to go by
    usual = [k for k, (look, _) in enumerate(looks) if look == "usual"]
    possible = [k for k, (_, contact) in enumerate(looks) if contact >= _POSSIBLE]
    if len(usual) == 1:
        return usual[0]
    if len(possible) == 1 and all(
        contact < _IMPOSSIBLE for k, (_, contact) in enumerate(looks) if k != possible[0]
    ):
        return possible[0]
    return None


def _look(contents: Contents, cell: NDArray[np.float64]) -> tuple[str, float]:
    """Whether a cell is "crowded", "sparse" or as "usual", and its closest contact.

    Contacts are in units of the sum of two covalent radii.
    """
    from scipy.spatial import cKDTree

    n = len(contents.positions)
    number = np.zeros(n, dtype=np.int64)
    number[contents.site] = contents.number
    radii = covalent_radii[np.minimum(number, len(covalent_radii) - 1)]
    shifts = np.array(list(itertools.product((0, -1, 1), repeat=3)))
    around = (contents.positions + shifts[:, None]).reshape(-1, 3) @ cell
    distance, nearest = cKDTree(around).query(around[:n], k=2)
    contact = distance[:, 1] / (radii + radii[nearest[:, 1] % n])
    closest = float(contact.min())
    if closest < _CONTACT[0]:
        return "crowded", closest
    filling = 4 / 3 * np.pi * (radii**3).sum() / np.linalg.det(cell)
    sparse = contact.max() > _CONTACT[1] or filling < _FILLING
    return "sparse" if sparse else "usual", closest


def _cell(block: Block) -> NDArray[np.float64]:
    """Lattice vectors in rows, Å: the first along x, the second in the xy plane."""
    texts = [block.value(tag) for tag in (*_LENGTHS, *_ANGLES)]
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


def _stated(block: Block, formula: dict[int, float], text: str, unit: AtomSites) -> Stated:
    hydrogens = sum(unit.hydrogens_of)
    notes = []
    if hydrogens:
        notes.append(
            f"it attaches {hydrogens:g} hydrogen atom(s) to sites, without a place of their own"
        )
    if formula and _DEUTERIUM.search(text) and not (unit.masses == DEUTERIUM_MASS).any():
        notes.append(f"it states {text!r}, and none of its sites is of the type D")
    units, density, volume, weight = (
        _positive(block.value(tag))
        for tag in (
            "_cell_formula_units_z",
            "_exptl_crystal_density_diffrn",
            "_cell_volume",
            "_chemical_formula_weight",
        )
    )
    return Stated(formula, text, units, density, volume, weight, tuple(notes))


def _positive(text: str | None) -> float | None:
    try:
        value = 0.0 if text is None else number_in(text)
    except ValueError:
        return None
    return value if value > 0 else None


def _has_moments(block: Block) -> bool:
    """Whether an atom has a magnetic moment that is not zero."""
    for name in block.names():
        if name.startswith("_atom_site_moment_") and "label" not in name:
            for text in block.column(name) or ():
                try:
                    if text is not None and number_in(text) != 0.0:
                        return True
                except ValueError:
                    continue
    return False
