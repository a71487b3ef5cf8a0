"""The setting that a CIF block means where its symmetry leaves several, and doubts about it."""

from __future__ import annotations

import itertools

import numpy as np
from ase.data import covalent_radii
from numpy.typing import NDArray

from ase_e3dos.errors import SymmetryWarning
from ase_e3dos.structures.cif.contents import Contents, filled, follows
from ase_e3dos.structures.cif.sites import AtomSites, SiteError
from ase_e3dos.structures.cif.symmetry import METRIC_TOLERANCE, Symmetry
from ase_e3dos.structures.composition import Stated, disagreements
from ase_e3dos.structures.sites import Remark
from ase_e3dos.structures.symmetry.operations import metric_deviation

_MOST_COMPARED = 64
#: Contact of an atom over the sum of the covalent radii, as structures have it.
_CONTACT = (0.87, 1.5)
#: The same as no crystal has it, and as short bonds (Ti-O in anatase) still have it.
_IMPOSSIBLE, _POSSIBLE = 0.62, 0.8
#: Share of the cell in spheres of covalent radius that structures exceed.
_FILLING = 0.15


def chosen_contents(
    unit: AtomSites,
    symmetry: Symmetry,
    stated: Stated,
    cell: NDArray[np.float64],
) -> tuple[Contents, list[str], list[Remark]]:
    """Contents by the symmetry that the file means, with what speaks against them."""
    if len(symmetry.candidates) == 1:
        contents = filled(unit, symmetry.candidates[0][1], cell)
        doubts = _doubts(contents, stated, unit, cell)
        return contents, doubts + _unlike_its_name(contents, symmetry, cell), []
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
    contents: Contents, symmetry: Symmetry, cell: NDArray[np.float64]
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
