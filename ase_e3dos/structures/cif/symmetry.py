"""The symmetry that a CIF block states: its operations, else a name with the shape of the cell."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ase_e3dos.structures.cif.text import Block
from ase_e3dos.structures.symmetry.operations import (
    NotAGroupError,
    Operations,
    metric_deviation,
    operations_of,
)
from ase_e3dos.structures.symmetry.space_groups import (
    Setting,
    hall_operations,
    number_of,
    number_of_operations,
    setting_of_operations,
    settings_coded,
    settings_named,
    settings_numbered,
)

__all__ = ["METRIC_TOLERANCE", "Symmetry", "UnknownSymmetryError", "symmetry_of"]

METRIC_TOLERANCE = 0.1
"""Largest relative change of a product of two lattice vectors by a symmetry operation."""

_MAGNETIC = "_space_group_symop_magn_operation_xyz"
_MAGNETIC_CENTRING = "_space_group_symop_magn_centering_xyz"
_TRIPLETS = (
    "_space_group_symop_operation_xyz",
    "_symmetry_equiv_pos_as_xyz",
    "_symmetry_equiv_posn_as_xyz",
    "_symmetry_equiv_as_xyz",
)
_HALL = (
    "_space_group_name_hall",
    "_symmetry_space_group_name_hall",
    "_symmetry_name_hall",
)
_NAMES = (
    "_space_group_name_h_m_full",
    "_symmetry_pdbx_full_space_group_name_h_m",
    "_symmetry_space_group_name_h_m_full",
    "_space_group_name_h_m_alt",
    "_space_group_name_h_m",
    "_symmetry_space_group_name_h_m",
    "_symmetry_space_group_name_h_m_alt",
    "_space_group_name",
    "_symmetry_space_group_name",
)
_REFERENCE = ("_space_group_name_h_m_ref",)
_NUMBERS = (
    "_space_group_it_number",
    "_symmetry_int_tables_number",
    "_symmetry_it_number",
    "_space_group_number",
    "_symmetry_int_tables_no",
)
_CODES = ("_space_group_it_coordinate_system_code",)
_MODULATED = (
    "_space_group_symop_ssg_",
    "_space_group_symop_magn_ssg_",
    "_space_group_ssg_",
    "_cell_wave_vector",
    "_cell_modulation_dim",
    "_cell_commen_",
    "_cell_subsystem",
    "_atom_site_displace_",
    "_atom_site_occ_fourier_",
    "_atom_site_occ_special_",
)
_ABOUT_SYMMETRY = re.compile(
    r"_(symmetry|space_?group|spacegroup|symop|cod_original_sg|parent_space_group)"
)
#: The same somewhere in a name that is none of the dictionary, but not where it is about an atom,
#: a distance, a reflection or a molecule.
_ALSO_ABOUT_SYMMETRY = re.compile(
    r"_(?!atom_|geom_|refln|diffrn_|exptl_|pdbx_|struct_|publ_|audit_|citation_)\w*"
    r"(space_?group|sym_?op|symmetry|cell_setting|crystal_system|point_group|schoenflies)"
)


class UnknownSymmetryError(ValueError):
    """A symmetry that is not stated, not known or contradicts itself."""


class _ContradictionError(UnknownSymmetryError):
    """Names of which each one is known, and that are not of one space group or setting."""


@dataclass(frozen=True, slots=True)
class Symmetry:
    """What a block says about its symmetry.

    Attributes
    ----------
    candidates : tuple of (str, Operations)
        With what they are called. Both origins where a name leaves the choice open.
    named : tuple of Setting
        Settings that its names stand for, for a check against the operations that it lists.
    contradiction : str
        A name that is not that of the operations taken, in words; empty if there is none.
    stated : bool
        Whether it says anything; if not, the candidate is P 1.
    """

    candidates: tuple[tuple[str, Operations], ...]
    named: tuple[Setting, ...] = ()
    contradiction: str = ""
    stated: bool = True


def symmetry_of(block: Block, cell: NDArray[np.float64]) -> Symmetry:
    """Symmetry of a block: operations before the Hall symbol before Hermann-Mauguin and number.

    Parameters
    ----------
    block : Block
    cell : array, shape (3, 3)
        Lattice vectors in rows, Å.

    Returns
    -------
    Symmetry

    Raises
    ------
    UnknownSymmetryError
        It is not known, contradicts itself, or does not fit the cell.
    """
    names = tuple(v for v in (block.value(tag) for tag in _NAMES) if v)
    hall, code = block.value(*_HALL), block.value(*_CODES)
    number, reference = block.value(*_NUMBERS), block.value(*_REFERENCE)
    operations = _listed(block)
    if operations is not None:
        if metric_deviation(operations, cell) > METRIC_TOLERANCE:
            raise UnknownSymmetryError(
                "the symmetry operations of the file do not fit the shape of its cell. Correct one "
                "of them"
            )
        named: tuple[Setting, ...] = ()
        said = "" if _MAGNETIC in block else _other_group(operations, hall, names, number)
        try:
            named = _named(names, number, reference, code)
        except _ContradictionError:
            if _MAGNETIC not in block:
                claims = [*map(repr, names), *([f"number {number}"] if number else [])]
                claims += [f"the code {code!r}"] if code else []
                said = said or (
                    f"it lists {len(operations)} symmetry operation(s), which were taken, and its "
                    f"names {', '.join(claims)} contradict each other"
                )
        except UnknownSymmetryError:
            pass
        return Symmetry((("the operations listed", operations),), named, said)
    if hall is not None:
        found = _by_hall(hall, names, number)
        if found is not None:
            if metric_deviation(found, cell) > METRIC_TOLERANCE:
                raise UnknownSymmetryError(_misfit(hall))
            return Symmetry(((hall, found),), (), _other_setting(found, hall, names))
    settings = _named(names, number, reference, code)
    if settings:
        fitting = _fitting(settings, cell)
        if not fitting:
            raise UnknownSymmetryError(_misfit(names[0] if names else f"number {number}"))
        if all(3 <= s.number <= 15 for s in fitting) and (
            len({s.number for s in fitting}) == 1 or _has_axis_b(fitting[0])
        ):
            # The unique axis that is left open by a cell with right angles is b, as in short
            # symbols. Glide planes called e ("C 2/m 2/m 2/e") leave open what nothing else tells.
            first = fitting[0].symbol
            fitting = tuple(s for s in fitting if s.symbol == first)
        if len({s.number for s in fitting}) > 1:
            several = " or ".join(s.symbol for s in fitting)
            raise UnknownSymmetryError(
                f"the space group {names[0]!r} may be {several}. Write the full symbol, or list "
                "the operations"
            )
        return Symmetry(tuple((s.symbol, s.operations) for s in fitting))
    about = sorted(name for name in block.names() if _is_about_symmetry(block, name))
    if about:
        raise UnknownSymmetryError(
            f"no symmetry is known from {', '.join(about[:4])}. List the operations in "
            "_space_group_symop_operation_xyz, or give the symbol in _space_group_name_H-M_alt "
            "('P 1' if all atoms are listed)"
        )
    return Symmetry((("P 1", operations_of(("x,y,z",))),), stated=False)


def _listed(block: Block) -> Operations | None:
    """Operations that the block lists, magnetic ones without their time reversal."""
    try:
        magnetic = _known(block.column(_MAGNETIC))
        if magnetic:
            operations = operations_of(magnetic)
            centring = _known(block.column(_MAGNETIC_CENTRING))
            return operations if not centring else _product(magnetic, centring)
        if _is_modulated(block):
            raise UnknownSymmetryError(
                "the structure is modulated (it has a superspace group), which three dimensions "
                "cannot hold. Give a commensurate approximant"
            )
        listed = [found for tag in _TRIPLETS if (found := _known(block.column(tag)))]
        if not listed:
            return None
        groups = [operations_of(triplets) for triplets in dict.fromkeys(listed)]
    except NotAGroupError as error:
        raise UnknownSymmetryError(
            f"the symmetry operations of the file cannot be used: {error}. Correct the list, or "
            "delete it and give the full symbol of the space group"
        ) from None
    if any(not groups[0].is_same(other) for other in groups[1:]):
        raise UnknownSymmetryError(
            "the file has two lists of symmetry operations that differ. Delete the wrong one"
        )
    return groups[0]


@lru_cache(maxsize=1024)
def _other_group(
    operations: Operations, hall: str | None, names: tuple[str, ...], number: str | None
) -> str:
    """The names of a group that the operations listed are not, in words; "" if there is none.

    A part of the operations of a group is no contradiction here: it is looked at with the atoms.
    """
    if len(operations) == 1:
        return ""
    own = number_of_operations(operations)
    if own is None:
        return ""
    claims: list[tuple[str, set[int | None], list[Operations]]] = [
        (repr(name), {s.number for s in found}, [s.operations for s in found])
        for name in names
        if (found := settings_named(name))
    ]
    if hall is not None:
        with suppress(ValueError):
            group = hall_operations(hall)
            claims.append((repr(hall), {number_of_operations(group)}, [group]))
    with suppress(UnknownSymmetryError):
        if (value := _number(number)) is not None:
            groups = [s.operations for s in settings_numbered(value, every=True)]
            claims.append((f"number {value}", {value}, groups))
    wrong = [
        said
        for said, numbers, groups in claims
        if own not in numbers and not any(operations.is_part_of(group) for group in groups)
    ]
    if not wrong:
        return _named_otherwise(operations, claims)
    return (
        f"it lists the operations of space group {own}, which were taken, and it also says "
        f"{', '.join(wrong)}"
    )


def _named_otherwise(
    operations: Operations, claims: list[tuple[str, set[int | None], list[Operations]]]
) -> str:
    """The names of another setting than that of the operations, in words; "" if there is none.

    Only operations that are just those of a setting in the table tell: others may have another
    origin under the same symbol.
    """
    setting = setting_of_operations(operations)
    if setting is None:
        return ""
    wrong = [
        said for said, _, groups in claims if not any(operations.is_part_of(g) for g in groups)
    ]
    if not wrong:
        return ""
    return (
        f"it lists the operations of the setting {setting.symbol}, which were taken, and it also "
        f"says {', '.join(wrong)}"
    )


@lru_cache(maxsize=1024)
def _other_setting(operations: Operations, hall: str, names: tuple[str, ...]) -> str:
    """The names of another setting than that of the Hall symbol, in words; "" if there is none."""
    if number_of(hall) is None:  # of no table, so that no name fits it
        return ""
    wrong = [
        repr(name)
        for name in names
        if (settings := settings_named(name))
        and not any(operations.is_same(s.operations) for s in settings)
    ]
    if not wrong:
        return ""
    return f"the setting of its Hall symbol {hall!r}, which was taken, is not {' or '.join(wrong)}"


def _is_about_symmetry(block: Block, name: str) -> bool:
    """Whether an item says something about symmetry that is not understood."""
    if _ABOUT_SYMMETRY.match(name):
        return True
    if not _ALSO_ABOUT_SYMMETRY.match(name):
        return False
    value = block.value(name)
    return value is not None and value.lower() not in ("triclinic", "p1", "p 1", "none", "no")


def _is_modulated(block: Block) -> bool:
    if block.value("_cell_modulation_dimension") == "0":
        return False
    return any(name.startswith(_MODULATED) and block.value(name) for name in block.names())


def _known(column: list[str | None] | None) -> tuple[str, ...]:
    """Triplets of a column; those that were divided at their blanks are joined again."""
    if column is None or all(v is None for v in column):
        return ()
    if any(v is None for v in column):
        raise NotAGroupError("one is not given")
    values = [v for v in column if v]
    if all(v.count(",") >= 2 for v in values):
        return tuple(values)
    joined: list[str] = []
    for value in values:  # x, y, z without quotation marks
        if joined and (joined[-1].count(",") < 2 or joined[-1].endswith(",")):
            joined[-1] += value
        else:
            joined.append(value)
    return tuple(joined)


@lru_cache(maxsize=256)
def _product(magnetic: tuple[str, ...], centring: tuple[str, ...]) -> Operations:
    return operations_of(magnetic).times(operations_of(centring))


def _by_hall(hall: str, names: tuple[str, ...], number: str | None) -> Operations | None:
    """Operations of a Hall symbol, or None if it is none and other names are there."""
    try:
        operations = hall_operations(hall)
    except ValueError as error:
        if names or number:
            return None
        raise UnknownSymmetryError(f"{error}. Correct it, or list the operations") from None
    own = number_of(hall) or number_of_operations(operations)
    others = {_number(number)} if number else set()
    others |= {s.number for name in names for s in settings_named(name)}
    others -= {None}
    if own is not None and others and own not in others:
        raise UnknownSymmetryError(
            f"the Hall symbol {hall!r} is that of space group {own}, and the file also says "
            f"{', '.join(map(str, [*names, *([number] if number else [])]))}. Correct one of them"
        )
    return operations


def _number(text: str | None) -> int | None:
    """Number of a space group; None for 0, with which programs say that they know none."""
    if text is None:
        return None
    try:
        stated = float(text)
        value = int(stated) if stated == int(stated) else -1
    except (ValueError, OverflowError):
        value = -1
    if value == 0:
        return None
    if not 1 <= value <= 230:
        raise UnknownSymmetryError(f"there is no space group number {text}. Correct it")
    return value


@lru_cache(maxsize=1024)
def _named(
    names: tuple[str, ...], number: str | None, reference: str | None, code: str | None
) -> tuple[Setting, ...]:
    """Settings that agree with all names given; empty if none is given."""
    value = _number(number)
    known = [found for name in names if (found := settings_named(name))]
    if names and not known:
        raise UnknownSymmetryError(
            f"the space group {names[0]!r} is not known. Check its spelling, list the operations "
            "in _space_group_symop_operation_xyz, or give the Hall symbol"
        )
    if not known and reference is not None and value is None:
        value = next((s.number for s in settings_named(reference)), None)
    if not known:
        if value is None:
            return ()
        known = [settings_numbered(value)]
        if code is not None and (coded := settings_coded(value, code)):
            known = [tuple(s for s in known[0] if s in coded) or coded]
    settings = tuple(s for s in known[0] if all(s in other for other in known[1:]))
    if value is not None:
        settings = tuple(s for s in settings if s.number == value)
    if not settings:
        said = [repr(name) for name in names] + ([f"number {value}"] if value else [])
        raise _ContradictionError(
            f"the file contradicts itself about the space group: {', '.join(said)}. Correct it"
        )
    if code is None:
        return settings
    coded = tuple(
        s for number in {s.number for s in settings} for s in settings_coded(number, code)
    )
    symbol = repr(names[0]) if names else f"number {value}"
    if not coded:
        raise UnknownSymmetryError(
            f"the code {code!r} (_space_group_IT_coordinate_system_code) is none of the settings "
            f"of the space group {symbol}. Correct it, or give the symbol of the setting"
        )
    agreeing = tuple(s for s in settings if s in coded)
    if not agreeing:
        raise _ContradictionError(
            f"the file contradicts itself about the space group: {symbol} is not the setting of "
            f"the code {code!r} (_space_group_IT_coordinate_system_code), "
            f"{' or '.join(s.symbol for s in coded)}. Correct one of them"
        )
    # "1" and "2" are the standard axes where the symbol leaves them open.
    return tuple(s for s in agreeing if s.choice == code.strip()) or agreeing


def _fitting(settings: tuple[Setting, ...], cell: NDArray[np.float64]) -> tuple[Setting, ...]:
    """Those whose operations keep the shape of the cell best."""
    if not settings:
        return ()
    deviations = [metric_deviation(s.operations, cell) for s in settings]
    best = min(deviations)
    if best > METRIC_TOLERANCE:
        return ()
    return tuple(s for s, d in zip(settings, deviations, strict=True) if d <= best + 1e-5)


def _has_axis_b(setting: Setting) -> bool:
    words = setting.symbol.split()
    return len(words) == 4 and words[1] == words[3] == "1"


def _misfit(name: str) -> str:
    return (
        f"the cell does not have the shape that the space group {name!r} needs, in any of its "
        "settings. Correct the cell or the symbol, or list the operations"
    )
