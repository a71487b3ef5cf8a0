"""CompositionSweep: the predicted spectra of an alloy over its compositions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ase_e3dos.alloy.solution import SolidSolution
from ase_e3dos.errors import AlloyError, E3DOSWarning, SpectrumError
from ase_e3dos.phonon_spectrum import PhononSpectrum
from ase_e3dos.prediction import predict
from ase_e3dos.spectrum.constants import constants
from ase_e3dos.spectrum.uncertainty import INTERVAL_LEVEL
from ase_e3dos.structures.crystal import Crystal

Array = NDArray[np.float64]

#: Quantities of a row of the table, all per atom.
QUANTITIES = ("mean_wavenumber", "heat_capacity", "entropy")

#: Most compositions of one sweep.
_MAX_COMPOSITIONS = 100_000


@dataclass(frozen=True, slots=True)
class PropertyRow:
    """Average frequency and thermal properties at one composition.

    Attributes
    ----------
    fractions : tuple of float
        Of the end members.
    formula : str
        Of the crystal.
    temperature : float
        K.
    mean_wavenumber : float
        cm^-1.
    heat_capacity, entropy : float
        J/(K mol of atoms).
    intervals : dict
        Quantity -> low and high end of the calibrated interval, or of one standard deviation of
        the ensemble to either side where `calibrated` is false; empty where there is no ensemble.
        Within the physical range (C_V up to 3R), so that the two sides may differ.
    calibrated : bool
        What the intervals are.
    """

    fractions: tuple[float, ...]
    formula: str
    temperature: float
    mean_wavenumber: float
    heat_capacity: float
    entropy: float
    intervals: dict[str, tuple[float, float]]
    calibrated: bool


@dataclass(frozen=True, slots=True, eq=False)
class CompositionSweep:
    """Predicted spectra of a solid solution.

    Attributes
    ----------
    solution : SolidSolution
        The end members.
    fractions : ndarray, shape (n_compositions, n_members)
        Fractions of the end members.
    spectra : tuple of PhononSpectrum
        One for each composition, of the pure cell.
    ends : tuple of PhononSpectrum
        Those of the end members, sites in the common order.
    options : dict
        What `predict` was called with.
    """

    solution: SolidSolution
    fractions: Array
    spectra: tuple[PhononSpectrum, ...]
    ends: tuple[PhononSpectrum, ...]
    options: dict[str, Any]

    def __len__(self) -> int:
        return len(self.spectra)

    def __iter__(self) -> Iterator[tuple[Array, PhononSpectrum]]:
        return zip(self.fractions, self.spectra, strict=True)

    def __repr__(self) -> str:
        return f"CompositionSweep({len(self)} compositions of {self.solution!r})"

    @property
    def warnings(self) -> tuple[E3DOSWarning, ...]:
        """What is unusual about the predictions, each kind once, with the number of times."""
        return grouped_warnings(self.spectra)

    def table(self, temperature: float = 300.0, level: float = INTERVAL_LEVEL) -> list[PropertyRow]:
        """Average frequency, C_V and S per atom at each composition, with error bars.

        Parameters
        ----------
        temperature : float
            K.
        level : float
            Probability of the calibrated intervals.

        Returns
        -------
        list of PropertyRow
            One for each composition.
        """
        return [property_row(p, s, temperature, level) for p, s in self]

    def predict(self, fractions: Sequence[ArrayLike]) -> tuple[PhononSpectrum, ...]:
        """Spectra of further compositions, by the same model.

        Parameters
        ----------
        fractions : sequence of array_like
            As for `composition_sweep`.

        Returns
        -------
        tuple of PhononSpectrum

        Raises
        ------
        AlloyError
            If fractions are not those of a mixture.
        """
        crystals = [self.solution.crystal(p) for p in fractions]
        return tuple(predict(crystals, **self.options)) if crystals else ()


def composition_sweep(
    end_members: SolidSolution | Sequence[Any],
    fractions: int | Sequence[ArrayLike] = 21,
    *,
    model: str = "default",
    device: str = "auto",
    uncertainty: bool = True,
    encoder: str | None = None,
) -> CompositionSweep:
    """Predict the spectra of an alloy at many compositions.

    Each composition costs as much as a pure cell, and all are predicted in one batch.

    Parameters
    ----------
    end_members : SolidSolution or sequence
        Two or more structures of one type; see `SolidSolution`.
    fractions : int or sequence
        The number of compositions from one end member to another (with more than two end
        members: all mixtures on the grid of this spacing), or the compositions; see
        `SolidSolution.weights`.
    model, device, uncertainty, encoder
        As for `ase_e3dos.predict`.

    Returns
    -------
    CompositionSweep

    Raises
    ------
    AlloyError
        If the end members do not match or the fractions make no sense.

    Examples
    --------
    >>> from ase.build import bulk
    >>> sweep = composition_sweep([bulk("Cu"), bulk("Au")], 5)
    >>> [row.formula for row in sweep.table()]
    ['Cu', 'Cu0.75Au0.25', 'Cu0.5Au0.5', 'Au0.75Cu0.25', 'Au']
    """
    if not isinstance(end_members, SolidSolution):
        end_members = SolidSolution(end_members)
    solution = end_members
    if isinstance(fractions, (int, np.integer)):
        weights = composition_grid(solution.n_members, int(fractions))
    elif isinstance(fractions, (Real, str)):
        raise AlloyError(
            f"fractions = {fractions!r} is neither a number of compositions (an integer, such as "
            "21) nor a list of them. A single composition is a list of one: [0.25]."
        )
    else:
        weights = np.array([solution.weights(p) for p in fractions]).reshape(-1, solution.n_members)
    if not len(weights):
        raise AlloyError("There is no composition to predict: give at least one fraction.")
    options = {"model": model, "device": device, "uncertainty": uncertainty, "encoder": encoder}
    crystals = [*solution.members, *(solution.crystal(p) for p in weights if p.max() < 1.0)]
    spectra = predict(crystals, **options)  # type: ignore[arg-type]
    ends, rest = tuple(spectra[: solution.n_members]), iter(spectra[solution.n_members :])
    chosen = tuple(ends[int(p.argmax())] if p.max() == 1.0 else next(rest) for p in weights)
    return CompositionSweep(solution, weights, chosen, ends, options)


def composition_grid(n_members: int, n: int) -> Array:
    """All fractions that are multiples of 1 / (n - 1), shape (n_compositions, n_members).

    With two end members these are n compositions, from the first to the second.

    Parameters
    ----------
    n_members : int
        End members, two or more.
    n : int
        Points along each edge, its ends counted.

    Returns
    -------
    ndarray, shape (n_compositions, n_members)
        Rows sum to one.

    Raises
    ------
    AlloyError
        If there are fewer than two points, or too many compositions.
    """
    from math import comb

    if n < 2:
        raise AlloyError(
            f"A sweep over {n} compositions has no two ends: use at least 2, or give the fractions."
        )
    if comb(n + n_members - 2, n_members - 1) > _MAX_COMPOSITIONS:
        raise AlloyError(
            f"A grid of {n} points along each edge between {n_members} end members has more than "
            f"{_MAX_COMPOSITIONS} compositions. Use fewer points, or give the fractions."
        )
    counts = np.array(list(_parts(n - 1, n_members)), dtype=np.float64)
    return counts / (n - 1)


def _parts(total: int, n: int) -> Iterator[tuple[int, ...]]:
    """Ways to write a total as n numbers, the first from large to small."""
    if n == 1:
        yield (total,)
        return
    for first in range(total, -1, -1):
        for rest in _parts(total - first, n - 1):
            yield (first, *rest)


def property_row(
    fractions: Array,
    spectrum: PhononSpectrum,
    temperature: float = 300.0,
    level: float = INTERVAL_LEVEL,
) -> PropertyRow:
    """Average frequency, C_V and S per atom of a spectrum.

    Parameters
    ----------
    fractions : ndarray, shape (n_members,)
        Of the end members.
    spectrum : PhononSpectrum
    temperature : float
        K.
    level : float
        Of the intervals, where the model is calibrated.

    Returns
    -------
    PropertyRow
        cm^-1 and J/(K mol) per atom.

    Raises
    ------
    SpectrumError
        If the temperature is impossible.
    """
    atom = spectrum.per_atom()
    values = {
        "mean_wavenumber": atom.mean_wavenumber,
        "heat_capacity": float(atom.heat_capacity(temperature)),
        "entropy": float(atom.entropy(temperature)),
    }
    intervals: dict[str, tuple[float, float]] = {}
    calibrated = False
    if atom.members is not None and len(atom.members) > 1:
        try:
            for name in values:
                low, high = atom.interval(name, level, temperature)
                intervals[name] = float(low), float(high)
            calibrated = True
        except SpectrumError:  # no calibration for this model, quantity or level
            for name, value in values.items():
                std = float(atom.spread(name, temperature=temperature))
                least, most = _physical_range(name)
                intervals[name] = max(value - std, least), min(value + std, most)
    return PropertyRow(
        tuple(np.asarray(fractions).tolist()),
        spectrum.crystal.formula,
        float(temperature),
        **values,
        intervals=intervals,
        calibrated=calibrated,
    )


def _physical_range(quantity: str) -> tuple[float, float]:
    """Least and greatest value of a quantity per atom, in its unit."""
    if quantity == "mean_wavenumber":  # below zero where most modes are imaginary
        return -np.inf, np.inf
    return 0.0, 3 * constants().gas_constant if quantity == "heat_capacity" else np.inf


def single_structure(structure: Any, **options: Any) -> PhononSpectrum:
    """Predicted spectrum of one structure, usually a disordered one."""
    return predict([Crystal.quietly(structure)], **options)[0]


def grouped_warnings(spectra: Sequence[PhononSpectrum]) -> tuple[E3DOSWarning, ...]:
    """Warnings of some spectra, the first of each kind, with the number of the others."""
    kinds: dict[type[E3DOSWarning], list[E3DOSWarning]] = {}
    for spectrum in spectra:
        for warning in spectrum.warnings:
            kinds.setdefault(type(warning), []).append(warning)
    return tuple(
        kind(f"{found[0]}{f' (and {len(found) - 1} more like this)' if found[1:] else ''}")
        for kind, found in kinds.items()
    )
