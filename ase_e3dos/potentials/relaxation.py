"""Relaxed structures: positions, and the cell where it is wanted, to a stated force."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ase_e3dos.errors import (
    DisorderError,
    E3DOSWarning,
    PotentialError,
    UnlikelyVolumeWarning,
)
from ase_e3dos.structures.crystal import Crystal

if TYPE_CHECKING:
    from ase import Atoms
    from ase.calculators.calculator import Calculator

#: What may move: nothing, the atoms in the cell as it is, or both.
Relax = Literal["none", "positions", "cell"]

#: Largest force after a relaxation that precedes a prediction, eV/Å.
FORCE = 0.01
#: Steps of the minimiser after which a relaxation has failed.
STEPS = 500
#: Relative change of the volume above which the cell given was an unlikely one.
VOLUME_LIMIT = 0.05


@dataclass(frozen=True)
class Relaxation:
    """A relaxed crystal, and how it was relaxed.

    Attributes
    ----------
    crystal : Crystal
        Relaxed, with the name and sites of the one given.
    calculator : str
        What gave the forces.
    force : float
        Largest force (of the cell's generalised ones too) that was to be reached, eV/Å.
    steps : int
        Of the minimiser.
    volume_change : float
        Relative, of the volume.
    displacement : float
        Largest change of a site's place beyond the cell's own, Å.
    """

    crystal: Crystal
    calculator: str
    force: float
    steps: int
    volume_change: float
    displacement: float

    def as_dict(self) -> dict[str, Any]:
        """Everything but the crystal, for JSON."""
        return {
            "calculator": self.calculator,
            "force_eV_per_angstrom": self.force,
            "steps": self.steps,
            "volume_change": self.volume_change,
            "displacement_angstrom": self.displacement,
        }

    @property
    def warnings(self) -> tuple[UnlikelyVolumeWarning, ...]:
        """What the change of the volume says about the cell that was given."""
        if abs(self.volume_change) <= VOLUME_LIMIT:
            return ()
        more = "larger" if self.volume_change < 0 else "smaller"
        given = abs(1 / (1 + self.volume_change) - 1)
        return (
            UnlikelyVolumeWarning(
                f"{self.crystal.name}: the cell given was {given:.1%} {more} than the one relaxed "
                f"with {self.calculator}, which the spectrum is of. Check cell and units, or the "
                "calculator."
            ),
        )


def relaxed(
    atoms: Atoms, calculator: Calculator, what: Relax = "cell", fmax: float = FORCE
) -> tuple[Atoms, int]:
    """A relaxed copy of some atoms, and the steps that it took.

    Parameters
    ----------
    atoms : Atoms
        Of the crystal.
    calculator : Calculator
        Gives forces, and stresses where the cell is relaxed.
    what : {"none", "positions", "cell"}, optional
        "cell" relaxes both, by ASE's `FrechetCellFilter`.
    fmax : float, optional
        eV/Å.

    Returns
    -------
    atoms : ase.Atoms
        New ones, without a calculator; those given for "none".
    steps : int

    Raises
    ------
    PotentialError
        It does not converge in 500 steps.
    """
    from ase.filters import FrechetCellFilter
    from ase.optimize import BFGS, FIRE

    if what == "none":
        return atoms, 0
    for minimiser in (BFGS, FIRE):  # the second goes where the first, which is faster, fails
        moved = atoms.copy()
        moved.calc = calculator
        target: Any = FrechetCellFilter(moved) if what == "cell" else moved
        run = minimiser(target, logfile=None)
        if run.run(fmax=fmax, steps=STEPS) and np.isfinite(moved.cell.array).all():
            moved.calc = None
            return moved, int(run.nsteps)
    raise PotentialError(
        f"the relaxation did not reach {fmax:g} eV/Å in {STEPS} steps. Start from a structure "
        "closer to the minimum, allow a larger force, or take another calculator."
    )


def check_force(fmax: float) -> None:
    """Refuse a largest force that no relaxation ends at.

    Parameters
    ----------
    fmax : float
        eV/Å.

    Raises
    ------
    PotentialError
        It is not a finite number above zero.
    """
    good = isinstance(fmax, Real) and math.isfinite(float(fmax)) and float(fmax) > 0
    if not good:
        raise PotentialError(f"fmax={fmax!r}: give a finite force above 0 in eV/Å.")


def relax_crystal(
    crystal: Crystal,
    calculator: Calculator,
    name: str,
    what: Relax = "cell",
    fmax: float = FORCE,
) -> Relaxation:
    """Relax a crystal.

    Parameters
    ----------
    crystal : Crystal
        One element on every site.
    calculator : Calculator
        Gives the forces.
    name : str
        Of the calculator, for the record.
    what, fmax
        As for `relaxed`.

    Returns
    -------
    Relaxation

    Raises
    ------
    DisorderError
        Sites are mixed or partly occupied.
    PotentialError
        The calculator fails, or the relaxation does not converge.
    """
    check_ordered(crystal, name)
    before = crystal.to_atoms()
    try:
        atoms, steps = relaxed(before, calculator, what, fmax)
    except PotentialError as error:
        raise PotentialError(f"{crystal.name}: {error}") from error
    except (Exception, SystemExit) as error:
        raise failed(crystal, name, error) from error
    volumes = atoms.get_volume() / before.get_volume()
    shift = atoms.get_scaled_positions(wrap=False) - before.get_scaled_positions(wrap=False)
    moved = (shift - np.round(shift)) @ atoms.cell.array
    return Relaxation(
        with_cell(crystal, atoms),
        name,
        fmax,
        steps,
        float(volumes - 1),
        float(np.linalg.norm(moved, axis=1).max()),
    )


def with_cell(crystal: Crystal, atoms: Atoms) -> Crystal:
    """The crystal with cell and positions of some atoms, its species and masses kept."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", E3DOSWarning)  # the remarks were made when it was read
        return Crystal(
            atoms.cell.array,
            atoms.get_scaled_positions(wrap=False),
            crystal.species_site,
            crystal.species_number,
            crystal.species_fraction,
            crystal.species_mass,
            name=crystal.name,
            remarks=crystal.remarks,
        )


def check_ordered(crystal: Crystal, name: str) -> None:
    """Refuse sites that have no forces.

    Parameters
    ----------
    crystal : Crystal
    name : str
        Of the calculator, for the message.

    Raises
    ------
    DisorderError
        Sites are mixed or partly occupied.
    """
    if not crystal.is_ordered:
        raise DisorderError(
            f"{crystal.name}: forces of {name} need one element on every site, and some here are "
            "mixed or partly occupied. Give an ordered approximant, or predict without it."
        )


def failed(crystal: Crystal, name: str, error: BaseException) -> PotentialError:
    """What is said where a calculator raises: of which crystal, and what it said.

    Parameters
    ----------
    crystal : Crystal
    name : str
        Of the calculator.
    error : Exception
        What it raised.

    Returns
    -------
    PotentialError
    """
    said = " ".join(str(error).split())[:200]
    return PotentialError(
        f"{crystal.name}: {name} failed ({type(error).__name__}: {said}). If this is about an "
        "element, take another calculator: `e3dos plugins` says what each was made for."
    )
