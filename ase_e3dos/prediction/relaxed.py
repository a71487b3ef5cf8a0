"""Predictions of relaxed crystals: relaxed one after the other, predicted in batches."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from ase_e3dos.errors import E3DOSError, PotentialError
from ase_e3dos.phonon_spectrum import PhononSpectrum
from ase_e3dos.potentials.choice import calculator_name, calculator_of
from ase_e3dos.potentials.relaxation import FORCE, Relaxation, check_force, relax_crystal
from ase_e3dos.prediction.pipeline import Predictor
from ase_e3dos.structures.crystal import Crystal

if TYPE_CHECKING:
    from ase.calculators.calculator import Calculator

__all__ = ["stream", "with_relaxation"]


def stream(
    predictor: Predictor,
    crystals: Iterable[Crystal | E3DOSError],
    uncertainty: bool = True,
    relax: str | Calculator | None = None,
    fmax: float = FORCE,
) -> Iterator[PhononSpectrum | E3DOSError]:
    """`Predictor.stream` of crystals that are relaxed before, where a calculator is given.

    Parameters
    ----------
    predictor : Predictor
    crystals : iterable of Crystal or E3DOSError
        Errors are passed on.
    uncertainty : bool, optional
        As for `ase_e3dos.predict`.
    relax : str or Calculator, optional
        Calculator for the relaxation of positions and cell; None to take crystals as they are.
    fmax : float, optional
        Largest force after it, eV/Å.

    Yields
    ------
    PhononSpectrum or E3DOSError
        In order. A crystal that cannot be relaxed has the error in its place.

    Raises
    ------
    PotentialError
        At once: there is no such calculator, or `fmax` is not a positive number, or is given
        without a calculator.
    """
    if relax is None:
        if fmax != FORCE:
            raise PotentialError(
                f"fmax={fmax!r} eV/Å is where a relaxation ends, and nothing is relaxed. Give "
                "relax=CALCULATOR, too, or leave fmax out."
            )
        return predictor.stream(crystals, uncertainty)
    check_force(fmax)
    return _relaxed_stream(
        predictor, crystals, uncertainty, calculator_of(relax), calculator_name(relax), fmax
    )


def _relaxed_stream(
    predictor: Predictor,
    crystals: Iterable[Crystal | E3DOSError],
    uncertainty: bool,
    calculator: Calculator,
    name: str,
    fmax: float,
) -> Iterator[PhononSpectrum | E3DOSError]:
    relaxations: deque[Relaxation | None] = deque()

    def each() -> Iterator[Crystal | E3DOSError]:
        for crystal in crystals:
            relaxation: Relaxation | E3DOSError = (
                crystal if isinstance(crystal, E3DOSError) else _of(crystal)
            )
            is_error = isinstance(relaxation, E3DOSError)
            relaxations.append(None if is_error else relaxation)  # type: ignore[arg-type]
            yield relaxation if isinstance(relaxation, E3DOSError) else relaxation.crystal

    def _of(crystal: Crystal) -> Relaxation | E3DOSError:
        try:
            return relax_crystal(crystal, calculator, name, "cell", fmax)
        except E3DOSError as error:
            return error

    for spectrum in predictor.stream(each(), uncertainty):
        relaxation = relaxations.popleft()
        if relaxation is not None and not isinstance(spectrum, E3DOSError):
            with_relaxation(spectrum, relaxation)
        yield spectrum


def with_relaxation(spectrum: PhononSpectrum, relaxation: Relaxation) -> None:
    """Note in a spectrum how its crystal was relaxed, and what was unlikely about the one given.

    Parameters
    ----------
    spectrum : PhononSpectrum
        Of the relaxed crystal; it is changed.
    relaxation : Relaxation
    """
    spectrum.origin = {"relaxation": {"what": "cell", **relaxation.as_dict()}}
    spectrum.warnings = (*relaxation.warnings, *spectrum.warnings)
