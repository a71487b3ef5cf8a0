"""Kinds of chemistry: the class of a crystal by its anion, and bonds between like atoms.

Both are properties of the crystal, the same in every cell that it is written in.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import product

import numpy as np
from ase.data import atomic_numbers, chemical_symbols, covalent_radii
from numpy.typing import NDArray

from ase_e3dos.structures.contacts import close_pairs, compact, heights_of
from ase_e3dos.structures.crystal import Crystal

__all__ = ["ANIONS", "CHEMISTRY", "MAGNETIC", "anion_class", "chemistry_of", "like_bonds"]

#: Classes by anion, the most electronegative (on Pauling's scale) first: it is the one that counts.
ANIONS = {
    "F": "fluoride",
    "O": "oxide",
    "Cl": "chloride",
    "N": "nitride",
    "Br": "bromide",
    "I": "iodide",
    "S": "sulfide",
    "Se": "selenide",
    "C": "carbide",
    "P": "phosphide",
    "As": "arsenide",
    "Te": "telluride",
    "Sb": "antimonide",
    "B": "boride",
    "Bi": "bismuthide",
    "Ge": "germanide",
    "Si": "silicide",
}
#: Partners of oxygen that make complex anions (carbonates, sulfates, silicates and the like).
OXYANION_CENTRES = frozenset(
    ["B", "C", "N", "Si", "P", "S", "Cl", "Ge", "As", "Se", "Br", "Te", "I"]
)
#: Å; nearer to an oxygen, such a partner is bonded to it.
OXYANION_BOND = 2.0
#: Halogens and chalcogens, two of which make mixed anions.
_MIXED = frozenset({"F", "O", "Cl", "Br", "I", "S", "Se", "Te"})
#: Elements whose bonds between like atoms count, and the length beyond which there is none, over
#: twice the covalent radius (a bond in a solid may be a tenth longer).
LIKE_BONDS = ("B", "C", "N", "O", "Si", "P", "S", "Ge", "As", "Se", "Sb", "Te")
LIKE_BOND = 1.2
#: That length in Å by atomic number.
_REACH = {
    atomic_numbers[s]: 2 * LIKE_BOND * float(covalent_radii[atomic_numbers[s]]) for s in LIKE_BONDS
}

#: Share of the sites from which an element decides a class: error bars do not jump for a trace.
TRACE = 0.01

#: Elements whose spin states and magnetic order phonons depend on, and which no model is told of.
MAGNETIC = frozenset(("Cr", "Mn", "Fe", "Co", "Ni"))

#: What `chemistry_of` tells apart, in its order. Error bars in weights files go by their places:
#: a new kind comes last.
CHEMISTRY = (
    *("oxyanion", "mixed anions", "hydrogen", *ANIONS.values(), "intermetallic", "element"),
    *("two elements", "three elements", "B-B bonds", "C-C bonds", "other bonds of like atoms"),
    "Cr, Mn, Fe, Co, Ni",
)


def anion_class(crystal: Crystal) -> str:
    """The class of a crystal by its most electronegative element.

    Parameters
    ----------
    crystal : Crystal
        The structure; mixed sites count with every element on them that is no trace.

    Returns
    -------
    str
        "element" of one element; "hydrogen" where hydrogen is on a site; "oxyanion" where oxygen
        is bonded to carbon, sulfur, phosphorus or the like (nearer than 2 Å); "fluoride", "oxide",
        "nitride" and so on by the first of `ANIONS` in it, and "mixed anions" where a halogen or
        oxygen has another halogen or chalcogen beside it; else "intermetallic".
    """
    symbols = _symbols(crystal)
    if len(symbols) == 1:
        return "element"
    if "H" in symbols:
        return "hydrogen"
    if "O" in symbols and symbols & OXYANION_CENTRES and _has_oxyanion(crystal):
        return "oxyanion"
    if len(symbols & _MIXED) > 1:
        return "mixed anions"
    return next((name for anion, name in ANIONS.items() if anion in symbols), "intermetallic")


def _symbols(crystal: Crystal) -> set[str]:
    """Elements of at least `TRACE` of the occupied sites."""
    numbers, fractions = crystal.species_number, crystal.species_fraction
    if len(numbers) == crystal.n_sites:  # no mixed sites: all of a large cell count
        return {chemical_symbols[z] for z in set(numbers.tolist())}
    amounts = np.bincount(numbers, fractions)
    # Rounding must not tell two cells of one crystal apart.
    least = TRACE * (1 - 1e-6) * amounts.sum()
    return {chemical_symbols[z] for z in np.flatnonzero(amounts >= least).tolist()}


def _has_oxyanion(crystal: Crystal) -> bool:
    cell, scaled = compact(crystal.cell, crystal.scaled_positions, crystal.name)
    centre, oxygen = _is_centre()[crystal.numbers], crystal.numbers == 8
    some = centre | oxygen
    i, j, _ = close_pairs(cell, scaled[some], OXYANION_BOND)
    return bool((centre[some][i] != centre[some][j]).any())


@cache
def _is_centre() -> NDArray[np.bool_]:
    return np.isin(np.arange(len(chemical_symbols)), [atomic_numbers[s] for s in OXYANION_CENTRES])


def like_bonds(crystal: Crystal) -> frozenset[str]:
    """Elements of `LIKE_BONDS` with a bond between two of their atoms.

    Parameters
    ----------
    crystal : Crystal
        The structure; a mixed site counts as its foremost element.

    Returns
    -------
    frozenset of str
        Symbols; an element with one atom in the cell may be bonded to its own images.
    """
    z = crystal.numbers
    present = [number for number in set(z.tolist()) if number in _REACH]
    if not present:
        return frozenset()
    cell, scaled = compact(crystal.cell, crystal.scaled_positions, crystal.name)
    image = _nearest_image(cell, max(_REACH[number] for number in present))
    return frozenset(
        chemical_symbols[number]
        for number in present
        if image < _REACH[number] or _touch(cell, scaled[z == number], _REACH[number])
    )


def _touch(cell: NDArray[np.float64], scaled: NDArray[np.float64], reach: float) -> bool:
    """Whether two of some sites are nearer to each other than `reach`."""
    return len(scaled) > 1 and len(close_pairs(cell, scaled, reach)[0]) > 0


def _nearest_image(cell: NDArray[np.float64], reach: float) -> float:
    """Shortest lattice translation in Å, infinite where none is shorter than `reach`."""
    most = [int(reach / height) for height in heights_of(cell, "the structure")]
    if not any(most):
        return float("inf")
    shifts = np.array(list(product(*(range(-n, n + 1) for n in most))), dtype=np.float64)
    lengths = np.linalg.norm(shifts[(shifts != 0).any(axis=1)] @ cell, axis=1)
    return float(lengths.min())


def chemistry_of(crystals: Sequence[Crystal]) -> NDArray[np.bool_]:
    """Which of `CHEMISTRY` applies to each crystal.

    Parameters
    ----------
    crystals : sequence of Crystal

    Returns
    -------
    ndarray of bool, shape (n_crystals, n_kinds)
        One class of anion each, and what else holds.
    """
    found = np.zeros((len(crystals), len(CHEMISTRY)), dtype=bool)
    for row, crystal in zip(found, crystals, strict=True):
        names = {anion_class(crystal)}
        names |= {
            {"B": "B-B bonds", "C": "C-C bonds"}.get(s, "other bonds of like atoms")
            for s in like_bonds(crystal)
        }
        elements = _symbols(crystal)
        names |= {2: {"two elements"}, 3: {"three elements"}}.get(len(elements), set())
        if elements & MAGNETIC:
            names.add("Cr, Mn, Fe, Co, Ni")
        row[[CHEMISTRY.index(name) for name in names]] = True
    return found
