"""reference_spectrum: the spectrum of a crystal by finite displacements, as a PhononSpectrum."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
from numpy.typing import ArrayLike

from ase_e3dos.errors import (
    ConvergenceWarning,
    E3DOSError,
    E3DOSWarning,
    ImaginaryWeightWarning,
    PotentialError,
)
from ase_e3dos.phonon_spectrum import PhononSpectrum
from ase_e3dos.potentials.choice import CalculatorFactory, calculator_name, calculator_of
from ase_e3dos.potentials.displacements import (
    finite_displacements,
    forces_of,
    larger_supercell,
    supercell_matrix,
    whole_matrix,
)
from ase_e3dos.potentials.mode_counts import START, STEP, STOP, mode_counts
from ase_e3dos.potentials.relaxation import Relax, check_ordered, failed, relax_crystal
from ase_e3dos.spectrum.grid import Array
from ase_e3dos.structures.crystal import Crystal
from ase_e3dos.version import __version__

if TYPE_CHECKING:
    from ase.calculators.calculator import Calculator

#: Largest force (eV/Å) on a site of a structure whose forces may be expanded there.
FORCE_LIMIT = 0.05
#: Relative change of entropy or heat capacity at 300 K above which a spectrum is not converged.
CHANGE_LIMIT = 0.01
#: Å; forces are far from linear before.
LARGEST_DISPLACEMENT = 0.5
#: Share of imaginary modes above which a spectrum has a warning, as predicted ones have.
IMAGINARY_LIMIT = 0.01


@dataclass(frozen=True)
class ReferenceSettings:
    """How a reference spectrum is calculated.

    Attributes
    ----------
    supercell : float or nested tuple of int
        Least distance in Å between a site and its image in the supercell, or phonopy's
        repetitions or matrix.
    displacement : float
        Å.
    mesh : float
        Density of the mesh: the length that phonopy takes, Å.
    relax : {"none", "positions", "cell"}
        What is relaxed before.
    fmax : float
        Largest force after relaxation, eV/Å.
    step : float
        Width of the bins in which modes are counted, cm^-1.
    """

    supercell: Any = 9.0
    displacement: float = 0.01
    mesh: float = 40.0
    relax: Relax = "none"
    fmax: float = 1e-3
    step: float = STEP


def reference_spectrum(
    structure: Any,
    calculator: str | Calculator | CalculatorFactory,
    *,
    supercell: float | ArrayLike = 9.0,
    displacement: float = 0.01,
    mesh: float = 40.0,
    relax: Relax = "none",
    fmax: float = 1e-3,
    born: str | Path | Mapping[str, Any] | None = None,
    step: float = STEP,
    check: bool = False,
    device: str = "cpu",
) -> PhononSpectrum:
    """Calculate the spectrum of a crystal by finite displacements with any ASE calculator.

    phonopy makes the displacements and the force constants, and its tetrahedron method the
    integrals: each bin holds its modes exactly, for the total and for every site.

    Parameters
    ----------
    structure : object or path
        One crystal: whatever `ase_e3dos.structures.read` takes. One element on every site.
    calculator : str, Calculator or callable
        Name of a registered calculator (``e3dos plugins`` lists them), an ASE calculator, or a
        function that returns one.
    supercell : float or array_like, optional
        Least distance in Å between a site and its image in the supercell, or phonopy's three
        repetitions or matrix.
    displacement : float, optional
        Å.
    mesh : float, optional
        Density of the mesh of q-points: the length that phonopy's `run_mesh` takes, Å.
    relax : {"none", "positions", "cell"}, optional
        What is relaxed before, with the same calculator; "cell" relaxes positions and cell.
    fmax : float, optional
        Largest force after the relaxation, eV/Å.
    born : str, path or mapping, optional
        Born charges for the non-analytical correction: a file BORN of phonopy for this cell, or
        "born" (n_sites, 3, 3) in e and "dielectric" (3, 3).
    step : float, optional
        Width of the bins in cm^-1, which divides 400: 10, as the default model has them, 5, 2, ...
    check : bool, optional
        Calculate three times more, with a finer mesh, half the displacement and a larger
        supercell; what changes stands in `origin["convergence"]`, and a `ConvergenceWarning` is
        added where it is more than 1 % of entropy or heat capacity at 300 K.
    device : str, optional
        Where a calculator given by its name runs.

    Returns
    -------
    PhononSpectrum
        Of the cell given (relaxed, if so), with site densities, without error bars. Its `origin`
        says how it was calculated, its `warnings` what is unusual: forces above 0.05 eV/Å at the
        undisplaced structure, imaginary modes, volumes that relaxation changed much.

    Raises
    ------
    DisorderError
        Sites are mixed or partly occupied.
    PotentialError
        There is no such calculator, it fails on this crystal or gives no forces, a relaxation does
        not converge, or a setting has no meaning.
    SpectrumError
        Frequencies that no crystal has.

    Examples
    --------
    >>> from ase.build import bulk
    >>> spectrum = reference_spectrum(bulk("Cu"), "emt", supercell=8.0)
    >>> round(spectrum.entropy(300.0), 1), spectrum.members is None
    (31.9, True)
    """
    settings = ReferenceSettings(supercell, displacement, mesh, relax, fmax, step)
    crystal = Crystal.from_any(structure)
    return calculated(crystal, calculator, settings, born=born, check=check, device=device)


def check_settings(settings: ReferenceSettings) -> None:
    """Refuse settings that have no meaning, before any work.

    Parameters
    ----------
    settings : ReferenceSettings

    Raises
    ------
    PotentialError
        A length, displacement, force or width of bins that is not positive, a displacement above
        0.5 Å, no supercell, or an unknown relaxation.
    """
    lengths: dict[str, Any] = {
        "mesh": settings.mesh,
        "fmax": settings.fmax,
        "step": settings.step,
    }
    if isinstance(settings.supercell, Real) or settings.supercell is None:
        lengths["supercell"] = settings.supercell
    else:
        whole_matrix(settings.supercell)
    for name, value in lengths.items():
        if not _is_positive(value):
            raise PotentialError(f"{name}={value!r}: give a finite number above 0.")
    if not _is_positive(settings.displacement) or settings.displacement > LARGEST_DISPLACEMENT:
        raise PotentialError(
            f"displacement={settings.displacement!r}: give a length in Å above 0 and up to "
            f"{LARGEST_DISPLACEMENT}; 0.01 suits most calculators."
        )
    if settings.relax not in get_args(Relax):
        raise PotentialError(f"relax={settings.relax!r}: give one of {', '.join(get_args(Relax))}.")


def _is_positive(value: Any) -> bool:
    return isinstance(value, Real) and bool(np.isfinite(float(value))) and float(value) > 0


def calculated(
    crystal: Crystal,
    calculator: str | Calculator | CalculatorFactory,
    settings: ReferenceSettings,
    *,
    born: str | Path | Mapping[str, Any] | None = None,
    check: bool = False,
    device: str = "cpu",
    name: str | None = None,
) -> PhononSpectrum:
    """`reference_spectrum` of a Crystal, with its settings as an object.

    Parameters
    ----------
    name : str, optional
        Of the calculator, where it is made already; what `calculator_name` says by default.
    """
    check_settings(settings)
    name = name or calculator_name(calculator)
    check_ordered(crystal, name)
    forces = calculator_of(calculator, device)
    origin: dict[str, Any] = {"method": "finite displacements", "calculator": name}
    warnings: tuple[E3DOSWarning, ...] = crystal.warnings
    if settings.relax != "none":
        relaxation = relax_crystal(crystal, forces, name, settings.relax, settings.fmax)
        crystal = relaxation.crystal
        origin["relaxation"] = {"what": settings.relax, **relaxation.as_dict()}
        warnings += relaxation.warnings
    matrix = supercell_matrix(crystal, settings.supercell)
    origin |= {
        "supercell_matrix": matrix.tolist(),
        "displacement_angstrom": settings.displacement,
        "mesh_length_angstrom": settings.mesh,
        "non_analytical_correction": born is not None,
        "bins": "modes counted by the tetrahedron method",
    }
    density, about = _binned(crystal, forces, name, settings, born)
    origin |= about
    if about["largest_force_eV_per_angstrom"] > FORCE_LIMIT:
        warnings += (
            ConvergenceWarning(
                f"{crystal.name}: forces of {name} reach "
                f"{about['largest_force_eV_per_angstrom']:.2f} eV/Å before any displacement, so "
                "that frequencies are not those at a minimum. Relax positions first "
                "(relax='positions')."
            ),
        )
    spectrum = _spectrum(density, crystal, name, settings.step)
    imaginary = spectrum.imaginary_fraction
    if imaginary > IMAGINARY_LIMIT:
        warnings += (
            ImaginaryWeightWarning(
                f"{crystal.name}: {imaginary:.1%} of the modes of {name} are imaginary: the "
                "structure is not a minimum of it. Relax it first, or check structure and "
                "supercell."
            ),
        )
    if check:
        origin["convergence"] = _changes(spectrum, crystal, forces, name, settings, born)
        warnings += _unconverged(crystal, origin["convergence"])
    spectrum.origin, spectrum.warnings = origin, warnings
    return spectrum


def _binned(
    crystal: Crystal,
    calculator: Calculator,
    name: str,
    settings: ReferenceSettings,
    born: str | Path | Mapping[str, Any] | None,
) -> tuple[Array, dict[str, Any]]:
    """Counts of modes, (n_sites, n_bins), and what is said about them."""
    try:
        atoms = crystal.to_atoms()
        atoms.calc = calculator
        at_rest = float(np.linalg.norm(forces_of(atoms), axis=1).max())
        phonon = finite_displacements(
            crystal, calculator, settings.supercell, settings.displacement, born
        )
        counts, lowest, highest = mode_counts(phonon, settings.mesh, settings.step)
    except PotentialError as error:
        raise PotentialError(f"{crystal.name}: {error}") from error
    except E3DOSError as error:
        raise type(error)(f"{crystal.name}: {error}") from error
    except (Exception, SystemExit) as error:
        raise failed(crystal, name, error) from error
    return counts, {
        "n_displacements": len(phonon.supercells_with_displacements or []),
        "n_supercell_sites": len(phonon.supercell),
        "mesh": [int(n) for n in phonon.mesh.mesh_numbers],
        "largest_force_eV_per_angstrom": at_rest,
        "lowest_wavenumber": lowest,
        "highest_wavenumber": highest,
    }


def _spectrum(counts: Array, crystal: Crystal, name: str, step: float) -> PhononSpectrum:
    centres = START + step * (np.arange(round((STOP - START) / step)) + 0.5)
    return PhononSpectrum(
        centres, site_density=counts, crystal=crystal, model=name, version=__version__
    )


def _changes(
    spectrum: PhononSpectrum,
    crystal: Crystal,
    calculator: Calculator,
    name: str,
    settings: ReferenceSettings,
    born: str | Path | Mapping[str, Any] | None,
) -> dict[str, dict[str, float]]:
    """How entropy, heat capacity and the spectrum change with each of three settings."""
    matrix = supercell_matrix(crystal, settings.supercell)
    larger = tuple(map(tuple, larger_supercell(matrix).tolist()))
    finer = {
        "mesh": replace(settings, mesh=1.5 * settings.mesh),
        "displacement": replace(settings, displacement=settings.displacement / 2),
        "supercell": replace(settings, supercell=larger),
    }
    found = {}
    for what, other in finer.items():
        counts, _ = _binned(crystal, calculator, name, other, born)
        changed = _spectrum(counts, crystal, name, settings.step)
        distance = np.abs(np.cumsum(changed.density - spectrum.density)).sum()
        found[what] = {
            "entropy": float(changed.entropy(300.0) / spectrum.entropy(300.0) - 1),
            "heat_capacity": float(changed.heat_capacity(300.0) / spectrum.heat_capacity(300.0))
            - 1.0,
            "wasserstein": float(distance / spectrum.density.sum() * settings.step),
        }
    return found


def _unconverged(
    crystal: Crystal, changes: dict[str, dict[str, float]]
) -> tuple[ConvergenceWarning, ...]:
    bad = {
        what: change
        for what, change in changes.items()
        if max(abs(change["entropy"]), abs(change["heat_capacity"])) > CHANGE_LIMIT
    }
    if not bad:
        return ()
    said = ", ".join(f"{c['entropy']:+.1%} with a better {what}" for what, c in bad.items())
    return (
        ConvergenceWarning(
            f"{crystal.name}: the entropy at 300 K changes by {said}. Take a larger supercell, a "
            "denser mesh or a smaller displacement."
        ),
    )


def settings_dict(settings: ReferenceSettings) -> dict[str, Any]:
    """Settings as plain values for JSON, with what tells the way of counting from older ones.

    Parameters
    ----------
    settings : ReferenceSettings

    Returns
    -------
    dict
    """
    return {**asdict(settings), "bins": "tetrahedra"}
