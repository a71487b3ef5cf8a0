"""Other answers for an alloy, next to the predicted one, and the distance between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ase_e3dos.alloy.solution import SolidSolution
from ase_e3dos.errors import AlloyError
from ase_e3dos.phonon_spectrum import PhononSpectrum
from ase_e3dos.prediction import predict
from ase_e3dos.structures.crystal import Crystal

if TYPE_CHECKING:
    from ase_e3dos.alloy.sweep import CompositionSweep

__all__ = [
    "AlloyComparison",
    "linear_mixture",
    "mixed_spectrum",
    "spectral_distance",
    "supercell_comparison",
]


@dataclass(frozen=True, slots=True, eq=False)
class AlloyComparison:
    """Spectra by another method at some compositions.

    Attributes
    ----------
    name : str
        Of the method.
    fractions : ndarray, shape (n_compositions, n_members)
        Fractions of the end members.
    spectra : tuple of PhononSpectrum
        By this method; compare them per atom, their cells may have other sizes.
    predicted : tuple of PhononSpectrum
        The alloy's predicted spectra at the same compositions.
    """

    name: str
    fractions: NDArray[np.float64]
    spectra: tuple[PhononSpectrum, ...]
    predicted: tuple[PhononSpectrum, ...]

    def distances(self) -> NDArray[np.float64]:
        """`spectral_distance` at each composition, shape (n_compositions,), cm^-1."""
        pairs = zip(self.spectra, self.predicted, strict=True)
        return np.array([spectral_distance(a, b) for a, b in pairs])


def spectral_distance(first: PhononSpectrum, second: PhononSpectrum) -> float:
    """Wasserstein-1 distance of two spectra, each normalised to one, in cm^-1.

    How far a mode has to be moved on average to turn one spectrum into the other; grids and
    sizes of cells may differ.

    Parameters
    ----------
    first, second : PhononSpectrum

    Returns
    -------
    float
        cm^-1.
    """
    ends = [s.wavenumbers[[0, -1]] for s in (first, second)]
    step = min(first.grid.step, second.grid.step, 2.0)
    x = np.arange(min(e[0] for e in ends) - step, max(e[1] for e in ends) + 2 * step, step)
    shares = [s.grid.cumulative(s.density, x) / s.n_modes for s in (first, second)]
    return float(np.trapezoid(np.abs(shares[0] - shares[1]), x))


def linear_mixture(sweep: CompositionSweep) -> AlloyComparison:
    """Spectra of the end members mixed in proportion: what phase-separated grains would have.

    Frequencies stay those of the end members, only their weights change. The error bars are the
    mixed members of the ensemble, without a calibration.

    Parameters
    ----------
    sweep : CompositionSweep

    Returns
    -------
    AlloyComparison
        At the compositions of the sweep.
    """
    spectra = [mixed_spectrum(sweep.solution, sweep.ends, p) for p in sweep.fractions]
    return AlloyComparison("linear mixture", sweep.fractions, tuple(spectra), sweep.spectra)


def mixed_spectrum(
    solution: SolidSolution, ends: Sequence[PhononSpectrum], fractions: Any
) -> PhononSpectrum:
    """Sum of fraction times spectrum of the end members, as the spectrum of the mixed crystal.

    Parameters
    ----------
    solution : SolidSolution
    ends : sequence of PhononSpectrum
        Of the end members.
    fractions : array_like, shape (n_members,)
        Of the end members.

    Returns
    -------
    PhononSpectrum
    """
    p = solution.weights(fractions)
    present = [i for i in range(len(p)) if p[i] > 0]
    parts = [ends[i] for i in present]

    def mixed(name: str) -> NDArray[np.float64] | None:
        values = [getattr(end, name) for end in parts]
        if any(value is None for value in values):
            return None
        return np.asarray(sum(p[i] * value for i, value in zip(present, values, strict=True)))

    site_density = mixed("site_density")
    return PhononSpectrum(
        parts[0].wavenumbers,
        None if site_density is not None else mixed("density"),
        site_density,
        crystal=solution.crystal(p),
        members=mixed("members"),
        model=f"linear mixture ({parts[0].model})",
        label_like=parts[0].label_like,
    )


def supercell_comparison(
    sweep: CompositionSweep, structures: Sequence[Any], name: str | None = None
) -> AlloyComparison:
    """Predicted spectra of ordered supercells (special quasi-random structures, say).

    Parameters
    ----------
    sweep : CompositionSweep
        Of the alloy; its model is used.
    structures : sequence
        Whatever `Crystal.from_any` takes, each a mixture of the end members.
    name : str, optional
        What to call them; the names of the structures if not given.

    Returns
    -------
    AlloyComparison
        At the compositions of the structures, in their order.

    Raises
    ------
    AlloyError
        If a structure is not a mixture of the end members.
    """
    cells = [Crystal.from_any(s) for s in structures]
    if not cells:
        raise AlloyError("There is no supercell to compare with: give at least one.")
    fractions = np.array([sweep.solution.fractions_of(c) for c in cells])
    spectra = predict(cells, **sweep.options)
    label = name or "supercell " + ", ".join(c.name for c in cells)
    return AlloyComparison(label, fractions, tuple(spectra), sweep.predict(list(fractions)))
