"""Chemical elements by the names that structure files have for them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from functools import lru_cache
from typing import Any

import numpy as np
from ase.data import atomic_masses, atomic_numbers, chemical_symbols
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "DEUTERIUM_MASS",
    "TRITIUM_MASS",
    "NotAnElementError",
    "ambiguous_labels",
    "element_against_label",
    "element_of_label",
    "element_of_symbol",
    "isotope_masses",
    "look_like_types",
]

DEUTERIUM_MASS = 2.01410178
"""Mass of deuterium in amu, however a file says that it is meant."""
TRITIUM_MASS = 3.01604928
"""Mass of tritium in amu."""

_HYDROGEN = {"D": DEUTERIUM_MASS, "T": TRITIUM_MASS, "2H": DEUTERIUM_MASS, "3H": TRITIUM_MASS}
_MOST_TYPES = 30
_SAME_ISOTOPE = 2e-3

#: Heaviest element whose symbol is known in capitals too: those beyond occur in no crystal, and
#: NO, CF, NH, CN and the like are molecules.
_HEAVIEST = 94
#: Symbols in capitals that are as likely two atoms.
_PAIRS = frozenset(("CO", "PO", "HO"))
#: In capitals any rare earth, and rhenium only where the formula has it.
_RARE_EARTH = "RE"
#: Names of scattering factors in the International Tables, vol. C.
_SCATTERING = {"CVAL": 6, "SIVA": 14, "SIVAL": 14}
#: Names for water, hydroxyl and vacancies that begin like an element.
_GROUPS = frozenset(
    ("OH", "HO", "OW", "WO", "OH2", "H2O", "HOH", "WAT", "WATER", "OWAT", "AQ", "VA", "VAC", "VC")
)

#: Symbols that stay what they are in capitals beside their first letter: no carbon is called CL.
_UNMISTAKABLE = frozenset(("Cl", "Br", "Si"))
#: Elements whose sites are often named by letters.
_ORGANIC = frozenset("CHNO")
#: Elements of one letter by which sites are seldom called.
_SELDOM_SITES = frozenset("HCNOFK")

_MOLECULES = ("H2O", "H3O", "NH4", "D2O")

_SYMBOL = re.compile(
    r"""(?P<letters>[23]H|[A-Za-z]{1,2})
        (?:(?:\d*\.?\d*[+-]|[+-]\d*\.?\d*)\d*  # charge
           |(?P<number>\d{1,3}))?
        (?P<tail>[_(/].*|\.(?:[A-Za-z].*)?)?$  # "Na_pv", "H(SDS)", "O2-.", "Na.pbe", "Na/0f3e"
    """,
    re.VERBOSE,
)
#: What separates the words behind a symbol, and these.
_BEHIND = re.compile(r"(?P<between>[^A-Za-z]+)(?P<word>[A-Za-z]+)")
#: Between two elements of a mixture, and never between an element and the name of its site.
_MIXING = re.compile(r".*[/,;:&|\s].*|0?\.\d+", re.DOTALL)
_LABEL = re.compile(r"[\d+-]*(?:[/,;]\s*([A-Z][a-z]?)|_([A-Z][a-z]))(?![A-Za-z])")
_LABEL = re.compile(r"(?P<letters>[A-Za-z]+)(?P<rest>.*)", re.DOTALL)
_MINUS = str.maketrans({"\N{MINUS SIGN}": "-", "\N{EN DASH}": "-", "\N{HYPHEN}": "-"})


class NotAnElementError(ValueError):
    """A name in a file that stands for no chemical element."""


@lru_cache(maxsize=4096)
def element_of_symbol(
    symbol: str, capitals: bool = True, known: frozenset[str] = frozenset()
) -> tuple[int, float]:
    """Atomic number and mass of an atom type, in capital or small letters, with charge or number.

    Parameters
    ----------
    symbol : str
        Such as "Na", "NA", "na", "Fe3+", "O2-", "D", "Na1", "Na_pv" or "Cval".
    capitals : bool
        Whether the file writes all symbols in capitals, so that "CO" is cobalt; if not, it is
        refused, because it may be carbon monoxide as well.
    known : frozenset of str
        Elements of the formula that the file states, if it states one: "CO" and "PO4" then are
        elements where the formula has them.

    Returns
    -------
    number : int
    mass : float
        In amu: the element's standard one, of deuterium and tritium their own.

    Raises
    ------
    NotAnElementError
        It is not an element.
    """
    found = _SYMBOL.match(symbol.strip().translate(_MINUS))
    if found is None:
        name = symbol.strip().upper()
        if name in _SCATTERING:
            return _element(_SCATTERING[name])
        raise NotAnElementError(_saying(symbol))
    letters = found["letters"]
    if _names_another(letters, found["tail"] or "", of_type=True):
        raise NotAnElementError(_saying(symbol))
    if letters.upper() in _HYDROGEN:
        if letters.upper() == "T" and found["number"]:  # a tetrahedral site, as a rule
            raise NotAnElementError(_saying(symbol))
        return 1, _HYDROGEN[letters.upper()]
    number = _number(letters)
    if number == 0:
        raise NotAnElementError(_saying(symbol))
    if letters == _RARE_EARTH and "Re" not in known:
        raise NotAnElementError(_saying(symbol))
    group = letters.upper() in _PAIRS and letters.isupper()
    if group and letters.capitalize() not in known and (not capitals or found["number"]):
        raise NotAnElementError(_saying(symbol))
    return _element(number)


@lru_cache(maxsize=4096)
def element_of_label(
    label: str, capitals: bool = False, known: frozenset[str] = frozenset()
) -> tuple[int, float]:
    """Atomic number and mass by the label of a site, where the file gives no atom type.

    The label begins with the symbol (component 0 of the CIF dictionary), followed by anything but
    a small letter: "Na1", "Fe3+17b", "O_a", "CaM2". Where a formula is known, letters that are no
    element of it are names of sites ("OB" in a feldspar), and an element that it lacks is refused.

    Parameters
    ----------
    label : str
    capitals : bool
        Whether the file writes all labels in capitals: then two letters that are an element are
        one ("NA1", "CL1").
    known : frozenset of str
        Elements of the formula that the file states, if it states one.

    Returns
    -------
    number : int
    mass : float
        In amu.

    Raises
    ------
    NotAnElementError
        The label does not begin with an element, or it may be read in two ways.
    """
    found = _LABEL.match(label.strip())
    if found is None:
        raise NotAnElementError(_saying(label))
    letters = found["letters"]
    if letters.upper() in _GROUPS or label.strip().upper().startswith(_MOLECULES):
        raise NotAnElementError(_saying(label))
    if letters.upper() == "T" and "T" not in known:  # a tetrahedral site, as a rule
        raise NotAnElementError(_saying(label))
    symbol, rest = _split(letters, capitals, known)
    if letters == _RARE_EARTH and "Re" not in known:
        raise NotAnElementError(_saying(label))
    if symbol is None or (known and not _is_known(symbol, known)):
        raise NotAnElementError(_saying(label))
    if _names_another(symbol, found["rest"], of_type=False):
        raise NotAnElementError(_saying(label))
    if rest and _begins_with_element(rest, known):
        raise NotAnElementError(_saying(label))
    if symbol in _HYDROGEN:
        return 1, _HYDROGEN[symbol]
    return _element(atomic_numbers[symbol])


def ambiguous_labels(labels: Iterable[str]) -> dict[str, str]:
    """Labels in capitals that are two letters of a symbol, or one and the name of a site.

    "CA1" is calcium by the standard, and carbon where carbon atoms are called CA, CB, CG. It is
    ambiguous where other labels say that there is carbon ("C1").

    Parameters
    ----------
    labels : iterable of str
        All labels of a file that writes them in capitals, and states no formula.

    Returns
    -------
    dict of str to str
        Each such label with the symbol of two letters.

    Raises
    ------
    NotAnElementError
        Other labels name sites of that element by letters ("CB1"), so that this may be one, too.
    """
    both: dict[str, tuple[str, str]] = {}
    plain: set[str] = set()
    lettered: dict[str, str] = {}
    for label in labels:
        found = _LABEL.match(label.strip())
        if found is None:
            continue
        letters = found["letters"].upper()
        one, two = letters[:1], letters[:2].capitalize()
        if len(two) == 2 and _is_element(two) and letters not in _GROUPS:
            if _is_element(one) and two not in _UNMISTAKABLE:
                both[label] = (one, two)
        elif _is_element(one):
            plain.add(one)
            if len(two) == 2:
                lettered.setdefault(one, label)
    for label, (one, two) in both.items():
        if one in lettered:
            raise NotAnElementError(
                f"the label {label!r} may be {two} or {one}, as that of {lettered[one]!r} is. Give "
                "_atom_site_type_symbol, or the formula in _chemical_formula_sum"
            )
    return {label: two for label, (one, two) in both.items() if one in plain & _ORGANIC}


def element_against_label(number: int, mass: float, label: str) -> bool:
    """Whether a label clearly names another element than that of the type of its site.

    Single letters name sites more often than elements ("T1", "M2", "W1" for water), so only those
    count that are seldom used so.

    Parameters
    ----------
    number : int
        Atomic number of the type.
    mass : float
        amu; tells hydrogen from its isotopes.
    label : str

    Returns
    -------
    bool
    """
    found = _LABEL.match(label.strip())
    if found is None:
        return False
    letters = found["letters"]
    if letters.upper().startswith(("DUM", "CENT", "VAC")):
        return True
    if letters in ("D", "T") and found["rest"].isdigit() and number == 1:
        return letters == "D" and mass < 1.5
    if len(letters) == 2 and letters[1].islower():
        named = _is_element(letters)
    else:
        named = letters in _SELDOM_SITES and not found["rest"].strip("0123456789")
    return named and letters != chemical_symbols[number] and letters in atomic_numbers


def isotope_masses(numbers: NDArray[np.integer], masses: ArrayLike | None) -> Any:
    """Masses in amu with one value for deuterium and one for tritium, however they are given.

    Tables differ: 2.014, 2.0141 and 2.01355 (the bare nucleus) all are deuterium.

    Parameters
    ----------
    numbers : array of int, shape (n,)
        Atomic numbers.
    masses : array_like, shape (n,), or None

    Returns
    -------
    array, shape (n,), or None
    """
    hydrogen = np.asarray(numbers) == 1
    if masses is None or not hydrogen.any():
        return masses
    found = np.array(masses, dtype=np.float64)
    if found.shape != hydrogen.shape:
        return masses  # refused later
    for own in (DEUTERIUM_MASS, TRITIUM_MASS):
        found[hydrogen & (np.abs(found - own) <= _SAME_ISOTOPE * own)] = own
    return found


def look_like_types(numbers: ArrayLike) -> bool:
    """Whether atomic numbers are 1, 2, ... without a gap, as programs number their types.

    Hydrogen and helium form no crystal together; a lone 1 may be hydrogen.

    Parameters
    ----------
    numbers : array_like of int

    Returns
    -------
    bool
    """
    each = np.asarray(numbers).ravel()
    if each.size < 2 or each.min() != 1 or each.max() > _MOST_TYPES:
        return False
    found = set(each.tolist())
    return len(found) > 1 and found == set(range(1, len(found) + 1))


def _names_another(first: str, rest: str, of_type: bool) -> bool:
    """Whether what follows a symbol holds a second element, or makes a group of it.

    Mixtures are "Fe/Mg", "Fe0.5Mg0.5", "Fe1Mg1", "Si4+/Al3+", "Fe(Mg)"; groups "O-H1", "O/OH",
    "O(H2)". None are "O1A", "C12B", "H1W", "H(N1)", "Na_pv", "H(SDS)", "Fe_T".

    Parameters
    ----------
    first : str
        The symbol.
    rest : str
        What follows its letters.
    of_type : bool
        Whether this is an atom type; else it is the label of a site, which letters may name.
    """
    own = 1 if first.upper() in _HYDROGEN else _number(first)
    for found in _BEHIND.finditer(rest):
        between, word, direct = found["between"], found["word"], found.start() == 0
        mixing = _MIXING.fullmatch(between) is not None
        if own == 1 and not of_type and not mixing:
            continue  # "H(N1)" and "H-O2" are hydrogen by what it is bound to
        separated = not between[-1].isdigit() and between[-1] not in "'*\""
        if separated and word.upper() in _GROUPS and (mixing or between[-1] != "_"):
            return True
        if len(word) == 1:
            if direct or mixing:
                if _is_second_letter(own, between, word, mixing, of_type):
                    return True
            elif word == "H" and between[-1] in "-(" and not of_type:
                return True
            continue
        pair = word[:2]
        ordinary = pair[0].isupper() and pair[1].islower() and not word[2:3].islower()
        same_case = word[2:] == "" and (
            word.isupper() or (word.islower() and first.islower() and len(first) > 1)
        )
        plain = same_case and (mixing or (separated and between[-1] in "-+([{<"))
        if (ordinary or plain) and _number(pair.capitalize()) not in (0, own):
            return True
    return False


def _is_second_letter(own: int, between: str, word: str, mixing: bool, of_type: bool) -> bool:
    """Whether a letter by itself behind a symbol is an element, and not the name of the site."""
    if word == "h":
        return own != 1 and between in ("-", "(", "/")
    if word in "DT" and word.isupper():
        return (own == 1 and of_type) or (word == "D" and own in (7, 8) and between in ("-", "("))
    number = _number(word) if word.isupper() else 0
    if number in (0, own) or (between[-1].isdigit() and not mixing):
        return False
    if mixing or (of_type and not any(c.isdigit() for c in between)):
        return True
    if between[-1] not in "-+([{<" or word in "BC":
        return False
    return not any(c.isdigit() for c in between) or word == "H" or "+" in between


def _split(letters: str, capitals: bool, known: Collection[str]) -> tuple[str | None, str]:
    """Symbol at the beginning of some letters, and the letters behind it."""
    one, two = letters[:1].upper(), letters[:2].capitalize()
    if len(letters) == 1:
        return (one, "") if _is_element(one) else (None, "")
    if letters[1].islower():  # "Na", "CaM"; "Ow" and "Wat" are none
        ends = len(letters) == 2 or letters[2].isupper()
        return (two, letters[2:]) if ends and _is_element(two) else (None, "")
    candidates = [(two, letters[2:])] if capitals or len(letters) == 2 else []
    candidates.append((one, letters[1:]))
    good = [
        (symbol, rest)
        for symbol, rest in candidates
        if _is_element(symbol) and (not known or _is_known(symbol, known))
    ]
    if not good:
        return None, ""
    if len(good) == 2 and not capitals and not known and two not in _UNMISTAKABLE:
        return None, ""  # "CO1" or "CA1" among "Na1" and "Cl1": a metal, or carbon with a name
    return good[0]


def _begins_with_element(rest: str, known: Collection[str]) -> bool:
    """Whether letters behind a symbol are a second one ("SiAl", "OH"): a mixture or a group."""
    for length in (2, 1):
        symbol = rest[:length].capitalize()
        if len(symbol) == length and _is_element(symbol) and symbol != "T":
            if known and not _is_known(symbol, known):
                continue
            if length == 2 and not rest[1:2].islower():
                continue
            return True
    return False


def _is_element(symbol: str) -> bool:
    return symbol in ("D", "T") or 0 < atomic_numbers.get(symbol, 0) <= _HEAVIEST


def _is_known(symbol: str, known: Collection[str]) -> bool:
    return symbol in known or (symbol in ("D", "H") and bool({"D", "H"} & set(known)))


def _number(letters: str) -> int:
    if letters in atomic_numbers:  # spelled as it should be
        return int(atomic_numbers[letters])
    number = int(atomic_numbers.get(letters.capitalize(), 0))
    return number if number <= _HEAVIEST else 0


def _element(number: int) -> tuple[int, float]:
    return number, float(atomic_masses[number])


def _saying(name: str) -> str:
    return (
        f"{name!r} is not a chemical element. Give the element of each site (for a mixture, a "
        "vacancy or a group of atoms: the species with their fractions, one line for each)"
    )
