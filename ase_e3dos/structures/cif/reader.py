"""CIF files: the crystal that each block describes, read with gemmi.

Symmetry is that of the file's operations, else of its Hall symbol, else of its Hermann-Mauguin
symbol and the shape of the cell, else of its number; one that is not known is refused. What the
file says about its contents is compared with what was read. No other reader is asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ase.data import chemical_symbols

from ase_e3dos.errors import (
    CompositionWarning,
    CrystalError,
    E3DOSError,
    SymmetryWarning,
    UnreadableFileError,
)
from ase_e3dos.structures.cif.cell import ANGLES, cell_of
from ase_e3dos.structures.cif.choice import chosen_contents
from ase_e3dos.structures.cif.sites import AtomSites, SiteError, has_sites, sites_of
from ase_e3dos.structures.cif.symmetry import UnknownSymmetryError, symmetry_of
from ase_e3dos.structures.cif.text import Block, CifSyntaxError, blocks_of
from ase_e3dos.structures.composition import Stated, formula_amounts
from ase_e3dos.structures.elements import DEUTERIUM_MASS
from ase_e3dos.structures.moments import MOMENTS
from ase_e3dos.structures.numerals import number_in
from ase_e3dos.structures.sites import Remark, Sites
from ase_e3dos.structures.symmetry.operations import metric_deviation
from ase_e3dos.structures.uncompressed import decoded

__all__ = ["cif_sites"]

_DEUTERIUM = re.compile(r"(?<![A-Za-z])D(?![a-z])")
#: How far the shape of a cell may be from its symmetry without a word.
_METRIC_ROUNDING = 0.01


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
    cell = cell_of(block)
    text = block.value("_chemical_formula_sum", "_chemical_formula_structural") or ""
    formula = formula_amounts(text)
    unit = sites_of(block, cell, frozenset(chemical_symbols[z] for z in formula))
    symmetry = symmetry_of(block, cell)
    stated = _stated(block, formula, text, unit)
    found, doubts, remarks = chosen_contents(unit, symmetry, stated, cell)
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
    missing = [tag for tag in ANGLES if block.value(tag) is None]
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
