"""The Atoms objects that a calculator is attached to."""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ase_e3dos.errors import E3DOSWarning

if TYPE_CHECKING:
    from ase import Atoms
    from ase.calculators.calculator import Calculator

__all__ = ["AttachedAtoms"]


class AttachedAtoms:
    """Atoms that were attached to a calculator, as long as others hold them.

    Parameters
    ----------
    atoms : iterable of ase.Atoms, optional
        The latest last.
    """

    def __init__(self, atoms: Iterable[Atoms] = ()) -> None:
        self._references = [weakref.ref(one) for one in atoms]

    def add(self, atoms: Atoms) -> None:
        """Note atoms as those that were attached last.

        Parameters
        ----------
        atoms : ase.Atoms
        """
        others = [r for r in self._references if r() is not None and r() is not atoms]
        self._references = [*others, weakref.ref(atoms)]

    def of(self, calculator: Calculator) -> list[Atoms]:
        """Atoms that a calculator is still attached to.

        Parameters
        ----------
        calculator : ase.calculators.calculator.Calculator

        Returns
        -------
        list of ase.Atoms
            The latest last.
        """
        return [a for r in self._references if (a := r()) is not None and a.calc is calculator]

    def latest(self, calculator: Calculator) -> Atoms | None:
        """The atoms that a calculator answers for when it is not told; warns where there are more.

        Parameters
        ----------
        calculator : ase.calculators.calculator.Calculator

        Returns
        -------
        ase.Atoms or None
            None if it is attached to none.
        """
        living = self.of(calculator)
        if len(living) > 1:
            warnings.warn(
                "this calculator is attached to several Atoms objects and answers for the one "
                "attached last. Pass the atoms, as in calc.get_phonon_dos(atoms), or give each a "
                "calculator of its own (the weights are shared).",
                E3DOSWarning,
                stacklevel=5,
            )
        return living[-1] if living else None
