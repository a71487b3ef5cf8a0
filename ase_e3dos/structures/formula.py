"""Formulas of crystals, pure and mixed, as chemists write them."""

from __future__ import annotations

from collections import Counter
from math import gcd

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import ArrayLike, NDArray

__all__ = ["Composition", "mixed_formula", "reduced_formula"]

# By electronegativity (Pauling), as chemists write formulas.
_FORMULA_ORDER = (
    "Fr Cs K Rb Ba Ra Na Sr Li Ca Ac La Tb Yb Ce Pm Pr Nd Sm Eu Gd Dy Y Ho Er Tm Lu Pu Am Bk Cf "
    "Cm Es Fm Hf Lr Md No Th Mg Zr Np Sc U Pa Ta Ti Mn Be Nb Al Tl V Zn Cr Cd In Ga Fe Co Cu Re "
    "Si Tc Ni Ag Sn Hg Po Ge Bi B Sb Te Mo As P At H Ir Os Pd Rn Ru Pt Rh Pb W Au C Se S Xe I "
    "Br Kr N Cl O F Ar Bh Cn Db Ds Fl He Hs Lv Mc Mt Ne Nh Og Rf Rg Sg Ts"
)
_FORMULA_RANK = {chemical_symbols.index(s): i for i, s in enumerate(_FORMULA_ORDER.split())}


def reduced_formula(numbers: NDArray[np.int64]) -> str:
    """Formula of whole sites, such as "SrTiO3".

    Parameters
    ----------
    numbers : ndarray of int, shape (n_sites,)
        Atomic numbers, in any order.

    Returns
    -------
    str
        The same for a supercell.
    """
    counts = Counter(numbers.tolist())
    factor = gcd(*counts.values())
    amounts = {z: counts[z] / factor for z in sorted(counts, key=_FORMULA_RANK.__getitem__)}
    return _written(amounts)


def mixed_formula(
    site: NDArray[np.int64], number: NDArray[np.int64], fraction: NDArray[np.float64]
) -> str:
    """Formula of sites that are mixed, such as "Mg3Sb1.5Bi0.5".

    Parameters
    ----------
    site : ndarray of int, shape (n_species,)
        The site on which each species sits, ascending.
    number : ndarray of int, shape (n_species,)
        Atomic numbers.
    fraction : ndarray, shape (n_species,)
        Fractions of the sites.

    Returns
    -------
    str
        The same for a supercell and whatever the order of the sites.
    """
    contents: dict[tuple[tuple[float, int], ...], int] = {}
    starts = np.flatnonzero(np.diff(site, prepend=-1))
    for where in np.split(np.arange(len(site)), starts[1:]):
        species = zip(-fraction[where], number[where], strict=True)
        key = tuple(sorted((round(float(p), 6), int(z)) for p, z in species))
        contents[key] = contents.get(key, 0) + 1
    factor = gcd(*contents.values())
    amounts: dict[int, float] = {}
    for key in sorted(contents, key=lambda k: (_FORMULA_RANK[k[0][1]], k)):
        for negative, z in key:
            amounts[z] = amounts.get(z, 0.0) - negative * contents[key] / factor
    return _written(amounts)


class Composition:
    """Name for messages about a crystal without one, worked out only when it is needed.

    Parameters
    ----------
    numbers : array_like of int
        Atomic numbers, as they were given: they need not be those of elements.
    """

    def __init__(self, numbers: ArrayLike) -> None:
        self.numbers = numbers

    def __str__(self) -> str:
        counts: dict[str, int] = {}
        for z in np.ravel(self.numbers).tolist():
            symbol = chemical_symbols[int(z)] if 0 <= z < len(chemical_symbols) else f"({z})"
            counts[symbol] = counts.get(symbol, 0) + 1
        return "".join(f"{s}{_amount(n)}" for s, n in counts.items()) or "the structure"


def _written(amounts: dict[int, float]) -> str:
    return "".join(f"{chemical_symbols[z]}{_amount(n)}" for z, n in amounts.items())


def _amount(n: float) -> str:
    return "" if abs(n - 1.0) < 1e-6 else f"{round(n, 4):g}"
