"""All settings of the space groups, by every way in which a file may state them.

Against gemmi (operations from its table) and spglib (from its database), composition and every
position of two atoms in general positions.
"""

from __future__ import annotations

import re

import gemmi
import numpy as np
import pytest
import spglib
from cif_texts import amounts, atoms, cell_text, operations, read_cif

from ase_e3dos.errors import CrystalError
from ase_e3dos.structures.symmetry.space_groups import (
    settings_coded,
    settings_named,
    settings_numbered,
)

PLACES = np.array([[0.1131, 0.3077, 0.4093], [0.2717, 0.1613, 0.0577]])
ROWS = [f"{s}1 {s} {x} {y} {z}" for s, (x, y, z) in zip(("Zn", "S"), PLACES, strict=True)]
ITB = list(gemmi.spacegroup_table_itb())
OTHERS = list(gemmi.spacegroup_table())[len(ITB) :]


def cell_of(group: gemmi.SpaceGroup) -> tuple[float, ...]:
    """A cell of the shape that the setting needs, and of no higher symmetry."""
    a, b, c, alpha, beta, gamma = 27.1, 32.3, 39.7, 83.0, 97.0, 104.0
    system = group.crystal_system_str()
    if system == "triclinic":
        return a, b, c, alpha, beta, gamma
    if system == "monoclinic":
        axis = group.monoclinic_unique_axis()
        angles = [
            v if axis == k else 90.0 for k, v in zip("abc", (alpha, beta, gamma), strict=True)
        ]
        return (a, b, c, *angles)
    if system == "orthorhombic":
        return a, b, c, 90.0, 90.0, 90.0
    if system == "cubic":
        return a, a, a, 90.0, 90.0, 90.0
    if group.ext == "R":
        return a, a, a, 77.0, 77.0, 77.0
    return a, a, c, 90.0, 90.0, 90.0 if system == "tetragonal" else 120.0


def expected_places(group: gemmi.SpaceGroup, hall_number: int | None) -> list[np.ndarray]:
    """Places of the two atoms by gemmi's operations, which spglib's are checked to be."""
    each = list(group.operations())
    w, t = np.array([op.rot for op in each]) / 24, np.array([op.tran for op in each]) / 24
    images = [(place @ w.transpose(0, 2, 1) + t) % 1.0 for place in PLACES]
    if hall_number is not None:
        known = spglib.get_symmetry_from_database(hall_number)
        theirs = [
            (p @ known["rotations"].transpose(0, 2, 1) + known["translations"]) % 1.0
            for p in PLACES
        ]
        for one, other in zip(images, theirs, strict=True):
            assert same_places(one, other)
    return images


def same_places(one: np.ndarray, other: np.ndarray) -> bool:
    apart = one[:, None] - other
    apart = np.abs(apart - np.rint(apart)).max(axis=2)
    close = apart < 2e-6
    return len(one) == len(other) and bool(
        (close.sum(axis=0) == 1).all() & (close.sum(axis=1) == 1).all()
    )


def quoted(text: str) -> str:
    return f"'{text}'" if '"' in text or "'" not in text else f'"{text}"'


WAYS = {
    "operations only": lambda g: operations(*(op.triplet() for op in g.operations())),
    "Hall symbol only": lambda g: f"_space_group_name_Hall {quoted(g.hall)}\n",
    "symbol with cell": lambda g: f"_space_group_name_H-M_alt '{g.xhm()}'\n",
    "symbol with number": lambda g: (
        f"_symmetry_space_group_name_H-M '{g.xhm()}'\n_symmetry_Int_Tables_number {g.number}\n"
    ),
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("part", range(10))
@pytest.mark.parametrize("way", WAYS)
def test_every_setting_is_read_by_every_statement(way: str, part: int) -> None:
    settings = [(g, k) for k, g in enumerate(ITB, 1)] + [(g, None) for g in OTHERS]
    wrong = []
    for group, hall_number in settings[part::10]:
        text = f"data_x\n{cell_text(cell_of(group))}{WAYS[way](group)}{atoms(*ROWS)}"
        crystal = read_cif(text)
        for z, places in zip((30, 16), expected_places(group, hall_number), strict=True):
            if not same_places(crystal.scaled_positions[crystal.numbers == z], places):
                wrong.append(group.xhm())
        if crystal.warnings:
            wrong.append(f"{group.xhm()}: {crystal.warnings}")
    assert wrong == []


def named_only(symbol: str, group: gemmi.SpaceGroup, hall_number: int) -> str:
    """What comes of a symbol that stands alone: "right", "wrong" or why it is refused."""
    text = f"data_x\n{cell_text(cell_of(group))}_space_group_name_H-M_alt '{symbol}'\n"
    try:
        crystal = read_cif(text + atoms(*ROWS))
    except CrystalError as error:
        return "origins" if "two origins" in str(error) else str(error)
    places = expected_places(group, hall_number)
    right = all(
        same_places(crystal.scaled_positions[crystal.numbers == z], p)
        for z, p in zip((30, 16), places, strict=True)
    )
    return "right" if right else "wrong"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_symbols_without_an_extension_are_right_or_refused() -> None:
    """Refused where a group has two origins and nothing tells which one is meant."""
    for k, group in enumerate(ITB, 1):
        expected = "origins" if group.ext in ("1", "2") else "right"
        assert named_only(group.hm, group, k) == expected, group.xhm()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_full_symbols_alone_are_right_or_refused() -> None:
    """Those with a glide plane e stand for two settings: "C 2/m 2/m 2/e" is C m m a or C m m b."""
    several = set()
    for k, group in enumerate(ITB, 1):
        full = spglib.get_spacegroup_type(k).international_full
        if "/e" not in full and k % 9:  # all of them: docs/reference/symmetry_table.py
            continue
        found = named_only(full, group, k)
        if "several settings" in found:
            several.add(group.hm)
        else:
            assert found == ("origins" if group.ext in ("1", "2") else "right"), group.xhm()
    assert several == {
        *("C m m a", "C m m b", "A b m m", "A c m m", "B m c m", "B m a m"),
        *("C c c a", "C c c b", "A b a a", "A c a a", "B b c b", "B b a b"),
    }


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_full_symbols_with_the_code_of_the_setting() -> None:
    for k, group in enumerate(ITB, 1):
        known = spglib.get_spacegroup_type(k)
        found = settings_named(known.international_full)
        assert any(s.symbol == group.xhm() and s.choice == known.choice for s in found)


@pytest.mark.parametrize(
    "spelling",
    [str.upper, str.lower, lambda s: s.replace(" ", ""), lambda s: s.replace(" ", "_"),
     lambda s: f" {s} "],
)  # fmt: skip
def test_spellings_of_all_symbols(spelling: object) -> None:
    for group in [*ITB, *OTHERS]:
        (first, *_) = settings_named(spelling(group.xhm()))  # type: ignore[operator]
        assert first.symbol == group.xhm()


def test_screw_axes_in_brackets() -> None:
    wrong = []
    for group in ITB:
        symbol = re.sub(r"([2346])([1-5])(?!\d)", r"\1(\2)", group.xhm())
        spellings = (
            symbol,
            symbol.replace(" ", ""),
            symbol.replace("(", " ( "),
            f"{symbol} (No. 9)",
        )
        for spelling in spellings:
            (first, *_) = settings_named(spelling) or (None,)
            if first is None or first.symbol != group.xhm():
                wrong.append(spelling)
    assert wrong == []
    assert settings_named("P 21 (4)") == settings_named("P 21")  # a number in brackets
    assert settings_named("C 2 (5)") == settings_named("C 2")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_codes_of_settings_alone_and_beside_the_symbol() -> None:
    """Every choice of spglib, with the number alone and with the symbol, in any spelling."""
    wrong = []
    for k, group in enumerate(ITB, 1):
        code = spglib.get_spacegroup_type(k).choice
        if not code:
            continue
        names = f"_symmetry_Int_Tables_number {group.number}\n"
        names += f"_space_group_IT_coordinate_system_code '{code[0].upper()} {code[1:].upper()}'\n"
        if k % 3 == 0:
            names += f"_space_group_name_H-M_alt '{group.hm}'\n"
        elif group.number == 68:  # "C 2/c 2/c 2/e", C c c a or C c c b
            names += (
                f"_space_group_name_H-M_alt '{spglib.get_spacegroup_type(k).international_full}'\n"
            )
        crystal = read_cif(f"data_x\n{cell_text(cell_of(group))}{names}{atoms(*ROWS)}")
        places = expected_places(group, k)
        if crystal.warnings or not all(
            same_places(crystal.scaled_positions[crystal.numbers == z], p)
            for z, p in zip((30, 16), places, strict=True)
        ):
            wrong.append(group.xhm())
    assert wrong == []


def test_codes_of_the_dictionary_for_settings_without_a_symbol_of_their_own() -> None:
    def symbols(number: int, code: str) -> list[str]:
        return [s.symbol for s in settings_coded(number, code)]

    for number in (48, 50, 59, 68, 70):  # two origins
        for origin in "12":
            (first,) = settings_coded(number, f"{origin}abc")
            assert first.choice == origin
    assert symbols(50, "2-cba") == ["P n c b:2"]
    assert symbols(68, "1abc") == ["C c c a:1"]
    assert symbols(62, "abc") == ["P n m a"]
    assert symbols(61, "cab") == ["P b c a"]
    assert symbols(61, "a-cb") == ["P c a b"]
    assert symbols(14, "-b1") == ["P 1 21/a 1"]
    assert symbols(5, "-b1") == ["A 1 2 1"]
    assert symbols(4, "b1") == ["P 1 21 1"]
    assert symbols(167, "h") == ["R -3 c:H"]
    for number in range(1, 231):
        assert not settings_coded(number, "a name")
        assert {s for s in settings_numbered(number) if settings_coded(number, "d1")} == set()


def test_round_numbers_of_atoms() -> None:
    crystal = read_cif(
        f"data_x\n{cell_text((20,) * 3 + (90,) * 3)}_symmetry_Int_Tables_number 225\n{atoms(*ROWS)}"
    )
    assert amounts(crystal) == {"Zn": 192.0, "S": 192.0}
