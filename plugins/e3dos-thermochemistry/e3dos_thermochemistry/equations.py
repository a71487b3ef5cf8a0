"""Equations such as "CaCO3 -> CaO + CO2", balanced by pymatgen."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from pymatgen.analysis.reaction_calculator import Reaction
from pymatgen.core import Composition

from e3dos_thermochemistry.errors import ReactionError

_ARROW = re.compile(r"\s*(?:-+>|=+>?|→|⇌)\s*")
#: A coefficient (which balancing replaces) and a formula.
_TERM = re.compile(r"^(?:\d+(?:\.\d+)?\s+|\d+(?:\.\d+)?(?=[A-Z(]))?(?P<formula>[A-Z(]\S*)$")


@dataclass(frozen=True, slots=True)
class Equation:
    """A balanced equation.

    Attributes
    ----------
    species : tuple of str
        Formulas as they were written.
    amounts : tuple of float
        Formula units of each: products positive, reactants negative.
    """

    species: tuple[str, ...]
    amounts: tuple[float, ...]

    def __str__(self) -> str:
        sides = []
        for sign in (-1, 1):
            pairs = zip(self.species, self.amounts, strict=True)
            terms = [(s, abs(a)) for s, a in pairs if a * sign > 0]
            sides.append(" + ".join(s if n == 1 else f"{n:g} {s}" for s, n in terms))
        return " -> ".join(sides)


def balanced(text: str) -> Equation:
    """Balance an equation, so that the first reactant has the least whole amount that does.

    Parameters
    ----------
    text : str
        Formulas joined by "+", the sides by "->" or "=". Amounts may be given, and are balanced
        anew.

    Raises
    ------
    ReactionError
        If it is not an equation, cannot be balanced, or can be in more than one way.

    Examples
    --------
    >>> str(balanced("LiOH -> Li2O + H2O"))
    '2 LiOH -> Li2O + H2O'
    """
    sides = _ARROW.split(text.strip())
    if len(sides) != 2 or not all(sides):
        raise ReactionError(
            f"{text!r} is not an equation: write reactants and products with an arrow between, "
            'such as "CaCO3 -> CaO + CO2".'
        )
    left, right = (_formulas(side, text) for side in sides)
    names = [*left, *right]
    compositions = [Composition(name) for name in names]
    if len({c.reduced_composition for c in compositions}) < len(names):
        raise ReactionError(
            f"{text!r} has one composition twice. Leave out what stands on both sides; "
            "`e3dos phases` compares polymorphs."
        )
    elements = sorted({element for c in compositions for element in c})
    matrix = np.array([[c[element] for c in compositions] for element in elements])
    if len(names) - np.linalg.matrix_rank(matrix) > 1:
        raise ReactionError(
            f"{text!r} can be balanced in more than one way: it is several reactions at once. Give "
            "them one by one."
        )
    try:
        reaction = Reaction(compositions[: len(left)], compositions[len(left) :])
        amounts = [float(reaction.get_coeff(c)) for c in compositions]
    except Exception as error:
        raise ReactionError(
            f"{text!r} cannot be balanced ({type(error).__name__}: {error}). Check the formulas, "
            "and whether a species is missing."
        ) from error
    signs = [-1] * len(left) + [1] * len(right)
    if any(a * sign <= 0 for a, sign in zip(amounts, signs, strict=True)):
        wrong = [n for n, a, sign in zip(names, amounts, signs, strict=True) if a * sign <= 0]
        raise ReactionError(
            f"{text!r} balances only with {', '.join(wrong)} left out or on the other side. "
            "Correct the equation."
        )
    scale = _scale(amounts)
    return Equation(tuple(names), tuple(round(a * scale, 9) for a in amounts))


def _formulas(side: str, text: str) -> list[str]:
    found = []
    for term in re.split(r"\s*\+\s*", side.strip()):
        match = _TERM.match(term)
        try:
            if match is None or not Composition(match["formula"]).valid:
                raise ValueError("no formula")
        except Exception as error:
            raise ReactionError(
                f"{term!r} in {text!r} is not a formula. Write symbols of elements and numbers, "
                "such as Mg(OH)2, and '+' between species."
            ) from error
        found.append(match["formula"])
    return found


def _scale(amounts: list[float]) -> float:
    """Factor that makes the amounts the least whole numbers, 1 where there is none up to 60."""
    least = min(map(abs, amounts))
    for n in range(1, 61):
        if all(abs(a * n / least - round(a * n / least)) < 1e-6 for a in amounts):
            return n / least
    return 1.0
