"""Space groups by their names: Hermann-Mauguin symbols of every age, Hall symbols, numbers."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import gemmi
import numpy as np

from ase_e3dos.structures.symmetry.operations import Operations

__all__ = [
    "Setting",
    "hall_operations",
    "number_of",
    "number_of_operations",
    "setting_of_operations",
    "settings_coded",
    "settings_named",
    "settings_numbered",
]


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting of a space group.

    Attributes
    ----------
    number : int
        Of the International Tables.
    symbol : str
        Hermann-Mauguin, with its extension: "P n n n:2", "R -3 m:H", "P 1 21/n 1".
    extension : str
        "1" or "2" (origin), "H" or "R" (axes), or "".
    choice : str
        As spglib and the CIF dictionary write it (`IT_coordinate_system_code`): "b1", "2cab".
    hall : str
        Hall symbol.
    """

    number: int
    symbol: str
    extension: str
    choice: str
    hall: str

    @property
    def operations(self) -> Operations:
        """The group's operations."""
        return hall_operations(self.hall)


@lru_cache(maxsize=1024)
def hall_operations(symbol: str) -> Operations:
    """Operations of a Hall symbol, in any case, with blanks or underscores.

    Parameters
    ----------
    symbol : str
        Such as "-F 4 2 3", "-P 2ybc" or "-P 2ybc (x-1/4,y,z)"; axes '"' may be written as "=" or
        as two apostrophes.

    Returns
    -------
    Operations

    Raises
    ------
    ValueError
        It is none.
    """
    return Operations.from_gemmi(_hall_group(symbol))


@lru_cache(maxsize=1024)
def number_of(hall: str) -> int | None:
    """Number of the space group of a Hall symbol, where its setting is in a table.

    Parameters
    ----------
    hall : str
        Hall symbol.

    Returns
    -------
    int or None
    """
    try:
        group = gemmi.find_spacegroup_by_ops(_hall_group(hall))
    except ValueError:
        return None
    return None if group is None else int(group.number)


def _hall_group(symbol: str) -> gemmi.GroupOps:
    text = symbol.strip().replace("_", " ").replace("=", '"').replace("''", '"').lower()
    found = re.match(r"(-?\s*[a-z])(.*)", text, re.DOTALL)
    if found is None:
        raise ValueError(f"{symbol!r} is not a Hall symbol")
    try:
        return gemmi.symops_from_hall(found[1].upper().replace(" ", "") + found[2])
    except (RuntimeError, ValueError) as error:
        raise ValueError(f"{symbol!r} is not a Hall symbol ({error})") from None


@lru_cache(maxsize=1024)
def number_of_operations(operations: Operations) -> int | None:
    """Number of the space group of some operations in any setting; None if it is not found.

    Parameters
    ----------
    operations : Operations

    Returns
    -------
    int or None
    """
    import spglib

    rotations = np.rint(operations.rotations).astype(np.intc)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of its manner to say errors
        try:
            found: Any = spglib.get_spacegroup_type_from_symmetry(
                rotations, operations.translations, symprec=1e-3
            )
        except Exception:  # noqa: BLE001 - errors of spglib are of its own kinds in some versions
            return None
    return None if found is None else int(found.number)


@lru_cache(maxsize=1024)
def setting_of_operations(operations: Operations) -> Setting | None:
    """The setting that has just these operations; None if none in the table has.

    Parameters
    ----------
    operations : Operations

    Returns
    -------
    Setting or None
    """
    number = number_of_operations(operations)
    settings = () if number is None else settings_numbered(number, every=True)
    return next((s for s in settings if operations.is_same(s.operations)), None)


@cache
def _table() -> tuple[Setting, ...]:
    """All settings: the 530 of the International Tables in spglib's order, then gemmi's others."""
    found = [_setting(group) for group in gemmi.spacegroup_table_itb()]
    known = {setting.symbol for setting in found}
    others = (_setting(group) for group in gemmi.spacegroup_table())
    return (*found, *(setting for setting in others if setting.symbol not in known))


def _setting(group: gemmi.SpaceGroup) -> Setting:
    extension = "" if group.ext == "\x00" else str(group.ext)
    choice = f"{extension}{group.qualifier}"
    return Setting(int(group.number), str(group.xhm()), extension, choice, str(group.hall))


@cache
def settings_numbered(number: int, every: bool = False) -> tuple[Setting, ...]:
    """Settings of the space group of a number.

    Parameters
    ----------
    number : int
    every : bool
        All of them; by default those that may be meant when nothing else is said: of groups with
        a unique axis the first choice for each axis, of others the standard one, with both
        origins and both kinds of axes.

    Returns
    -------
    tuple of Setting
    """
    table = [s for s in _table()[:530] if s.number == number]
    if every:
        return tuple(table)
    if 3 <= number <= 15:
        return tuple(s for s in table if s.choice in ("b", "c", "a", "b1", "c1", "a1"))
    standard = table[:1] and table[0].symbol.partition(":")[0]
    return tuple(s for s in table if s.symbol.partition(":")[0] == standard)


#: How the axes of a setting are made of those of the standard one.
_AXES = {
    "abc": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "ba-c": ((0, 1, 0), (1, 0, 0), (0, 0, -1)),
    "cab": ((0, 0, 1), (1, 0, 0), (0, 1, 0)),
    "-cba": ((0, 0, -1), (0, 1, 0), (1, 0, 0)),
    "bca": ((0, 1, 0), (0, 0, 1), (1, 0, 0)),
    "a-cb": ((1, 0, 0), (0, 0, -1), (0, 1, 0)),
}


@lru_cache(maxsize=1024)
def settings_coded(number: int, code: str) -> tuple[Setting, ...]:
    """Settings of a space group by the dictionary's `IT_coordinate_system_code`.

    Parameters
    ----------
    number : int
    code : str
        "b2", "-b1", "cab", "2abc", "1", "h", ..., in any case, with or without blanks.

    Returns
    -------
    tuple of Setting
        Empty if it is not a code of this group. Several where it leaves something open: "1" and "2"
        the axes, "abc" the origin.
    """
    table = settings_numbered(number, every=True)
    plain = re.sub(r"[\s_]", "", code).lower()
    if plain in ("1", "2"):
        return tuple(s for s in table if s.extension == plain)
    if exact := tuple(s for s in table if s.choice.lower() == plain):
        return exact
    if plain == "h" and 143 <= number <= 194 and len(table) == 1:
        return table
    found = re.fullmatch(r"(-?)([abc])([123])", plain)
    if found is not None and 3 <= number <= 15:
        if alone := tuple(s for s in table if s.choice == found[2]):  # of any cell the same
            return alone
        # the axis turned round exchanges two cells: C and A, or glides along c and a
        turned = "213" if number in (5, 8, 12) else "321"
        return tuple(s for s in table if s.choice == found[2] + turned[int(found[3]) - 1])
    found = re.fullmatch(r"([12]?)(abc|ba-c|cab|-cba|bca|a-cb)", plain)
    if found is None or not 16 <= number <= 74:
        return ()
    table = tuple(s for s in table if found[1] in ("", s.extension))
    own = "" if found[2] == "abc" else found[2]
    if exact := tuple(s for s in table if s.choice == s.extension + own):
        return exact
    # Without a symbol of its own: an exchange of axes that gives the operations of another.
    axes = np.array(_AXES[found[2]], dtype=np.float64)
    wanted = [s.operations.in_axes(axes) for s in table if s.choice == s.extension]
    return tuple(s for s in table if any(s.operations.is_same(group) for group in wanted))


@cache
def _index() -> dict[str, tuple[Setting, ...]]:
    """Settings by every way in which their symbols are written, without blanks, small."""
    found: dict[str, list[Setting]] = {}
    # Exact symbols of all settings first, so that a short form never stands before one.
    for setting in _table():
        _enter(found, setting, _spellings(setting.symbol.partition(":")[0]))
    exact = set(found)
    for setting in _table():
        for short in _short(setting):
            if _key(short) not in exact:
                _enter(found, setting, [short])
            elif setting.number >= 143:  # "P 3 2" is not P 32
                found.setdefault(short.lower(), []).append(setting)
    return {key: tuple(settings) for key, settings in found.items()}


@cache
def _full_symbols() -> dict[str, tuple[Setting, ...]]:
    """Settings by their full symbols, such as "F 4/m -3 2/m"."""
    import spglib

    found: dict[str, list[Setting]] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of its manner to say errors
        for k, setting in enumerate(_table()[:530], 1):
            known: Any = spglib.get_spacegroup_type(k)
            _enter(found, setting, _spellings(str(known.international_full)))
    return {key: tuple(settings) for key, settings in found.items()}


def _enter(found: dict[str, list[Setting]], setting: Setting, spellings: Iterable[str]) -> None:
    for spelling in spellings:
        settings = found.setdefault(_key(spelling), [])
        if setting not in settings:
            settings.append(setting)


def _key(symbol: str) -> str:
    return re.sub(r"[\s_(){}~\\^$]", "", symbol).lower()


def _spellings(symbol: str) -> Iterator[str]:
    """A symbol, and how it was written before: "F m 3 m" for "F m -3 m", "e" for a glide."""
    yield symbol
    words = symbol.split()
    if len(words) > 2 and words[2] == "-3":  # cubic
        yield " ".join([*words[:2], "3", *words[3:]])
    place = " ABC".find(words[0])
    if len(words) == 4 and place > 0 and words[place] in ("a", "b", "c"):
        yield " ".join([*words[:place], "e", *words[place + 1 :]])
    if words[0] == "P" and words[1:] and words[1].lstrip("-")[0] in "36":
        yield " ".join(["C", *words[1:]])  # of before 1952


def _short(setting: Setting) -> Iterator[str]:
    """Short forms of a symbol: "P 21/c" for "P 1 21/c 1", "P 3 2" where the number tells more."""
    words = setting.symbol.partition(":")[0].split()
    if 3 <= setting.number <= 15:
        yield " ".join(word for k, word in enumerate(words) if k == 0 or word != "1")
    elif 143 <= setting.number <= 194 and "1" in words[2:]:
        shorter = [word for k, word in enumerate(words) if k < 2 or word != "1"]
        yield from _spellings(" ".join(shorter))
    if len(words) > 2 and words[1] in ("-4", "-6"):  # "F 43m": without its bar, no other group
        yield " ".join([words[0], words[1][1:], *words[2:]])
    if setting.extension == "H":
        yield "H" + setting.symbol.partition(":")[0][1:]  # of the Protein Data Bank


_NUMBERED = re.compile(
    r"[(\[#]?\s*(?:no\.?|number|#)\s*:?\s*\d+\s*[)\]]?\s*$|\(\s*#?\s*\d{1,3}\s*\)$", re.I
)
#: Screw axes as SHELXTL writes them, "2(1)"; no number of a table can be meant by them.
_SCREW = re.compile(r"([2346])\s*\(\s*([1-5])\s*\)")
_CHOICE = re.compile(
    r"""\s*(?:
        :\s*(?P<code>[12HR]|[-\w]+)
      | [,;({\[\s]*(?:origin|o\.?|setting|choice|axes|cell)[\s:@]*(?P<words>.*)
      | [,;({\[\s]+(?P<other>\d\s*(?:st|nd)?\s*(?:origin|setting|choice).*)
      | [({\[]\s*(?P<axes>[HR12]|hex\w*|rhomb\w*|obv\w*|trig\w*)[^)}\]]*
      )[)}\]\s]*$""",
    re.VERBOSE | re.IGNORECASE,
)
_SUFFIX = re.compile(r"^(?P<symbol>.*?[^:])\s*(?P<code>HR|[SZHR12]|O1|O2)\s*$", re.IGNORECASE)


@lru_cache(maxsize=1024)
def settings_named(symbol: str) -> tuple[Setting, ...]:
    """Settings that a Hermann-Mauguin symbol may stand for, the usual one first.

    Parameters
    ----------
    symbol : str
        Full or short, of any age and spelling: "P 21/c", "P2(1)/c", "P2_1/c", "F m 3 m",
        "F 4/m -3 2/m", "FM-3M", "C m c e", with or without an extension such as ":2", ":H",
        " S", " Z" or "{origin @ centre (-3m)}".

    Returns
    -------
    tuple of Setting
        Empty if the symbol is not known. Several where the symbol alone does not tell: origins,
        axes of rhombohedral and monoclinic groups.
    """
    text = _SCREW.sub(_screw, symbol.strip().strip("*"))
    text = _NUMBERED.sub("", text.strip()).strip()
    text = re.sub(r"\\?bar\s*\{?(\d)\}?|\\overline\{(\d)\}|(\d)\s*bar", _barred, text)
    for spelling in dict.fromkeys((text, re.sub(r"(\d)-", r"-\1", text))):  # "Fm3-m"
        for known in (_index, _full_symbols):
            if found := _named(spelling, known()):
                return found
    return ()


def _named(text: str, known: Mapping[str, tuple[Setting, ...]]) -> tuple[Setting, ...]:
    """Settings of a symbol, with or without an extension, by an index."""
    if plain := _listed(text, known):
        return plain
    for name, extension in _divided(text):
        settings = _listed(name, known)
        numbers = {s.number for s in settings}
        others = (s for s in _table() if s.number in numbers and s not in settings)
        for several in (settings, others):  # "P n m a:cab" is "P b n m"
            if chosen := tuple(s for s in several if _fits(s, extension)):
                return chosen
    return ()


def _listed(symbol: str, known: Mapping[str, tuple[Setting, ...]]) -> tuple[Setting, ...]:
    """Settings of a symbol without an extension, by an index."""
    for key in (" ".join(symbol.lower().split()), _key(symbol)):
        if found := known.get(key, ()):
            return found
    return ()


def _screw(found: re.Match[str]) -> str:
    """A screw axis without its brackets; "2 (5)", which is none, as it is."""
    return f" {found[1]}{found[2]} " if found[2] < found[1] else found[0]


def _barred(found: re.Match[str]) -> str:
    return " -" + next(digit for digit in found.groups() if digit)


def _divided(text: str) -> Iterator[tuple[str, str]]:
    """Ways to read a symbol as one with an extension: (symbol, "1", "2", "H", "R" or a choice)."""
    found = _CHOICE.search(text)
    if found is not None and found.start():
        name = text[: found.start()]
        words = found["words"] or found["other"] or found["axes"] or ""
        yield name, found["code"] or _extension(words)
    suffix = _SUFFIX.match(text)
    if suffix is not None:
        code = suffix["code"].upper()
        names = {"S": "1", "Z": "2", "O1": "1", "O2": "2", "HR": "R"}
        yield suffix["symbol"], names.get(code, code)


def _extension(words: str) -> str:
    """Origin or axes that a remark such as "origin at centre (-3m)" means; "?" if neither."""
    small = words.lower().strip(" )}]")
    if re.match(r"hex|h\b|trig|obv", small):
        return "H"
    if re.match(r"rhomb|r\b|prim", small):
        return "R"
    digit = re.search(r"(?:choice|no\.?|setting|origin|^)\s*[:#]?\s*([12])\b(?!/)", small)
    if digit is not None:
        return digit[1]
    if "second" in small or "centre" in small or "center" in small:
        return "2"
    if "first" in small:
        return "1"
    if re.search(r"-\s*[13]|\dm?/m|m\s*m\s*m|/m", small):  # a point of inversion
        return "2"
    return "1" if re.search(r"[2346m]", small) else "?"


def _fits(setting: Setting, extension: str) -> bool:
    own = {setting.extension, setting.choice.upper()} - {""}
    return extension.upper() in own
