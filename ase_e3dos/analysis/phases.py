"""Which of several phases is stable at which temperature: energies plus vibrational free energy.

The Helmholtz free energy of a phase is F(T) = E + F_vib(T), at the volume given: thermal
expansion, configurational and electronic entropy are left out. Two phases change places where
their free energies cross.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ase_e3dos.analysis.crossings import Bounds, bounds_of, crossing_at
from ase_e3dos.errors import EnergyWarning, LowTemperatureWarning, SpectrumError
from ase_e3dos.spectrum.constants import constants
from ase_e3dos.spectrum.grid import Array
from ase_e3dos.spectrum.thermal import checked_temperatures, thermal_property
from ase_e3dos.spectrum.uncertainty import INTERVAL_LEVEL

if TYPE_CHECKING:
    from ase_e3dos.spectrum.density_of_states import DensityOfStates


#: Half width of a difference over that of two independent errors, for a calibrated model:
#: polymorphs share a part of theirs. As much as holds 90 % of the pairs of
#: `docs/examples/phases.py`.
SHARED = 0.85
#: For a model without calibration, half widths over the standard deviation of the members'
#: differences: as much as held 90 % of these pairs for an ensemble of seven networks.
WIDENING = 5.5
#: Least half width for phases that differ, kJ/mol of atoms up to 300 K and growing as T beyond.
LEAST = 0.05
#: eV per atom; polymorphs seldom differ by more.
UNLIKELY_DIFFERENCE = 0.5


@dataclass(frozen=True, slots=True)
class Transition:
    """A crossing of the free energies of two phases.

    Attributes
    ----------
    low_phase, high_phase : str
        Stable below and above.
    temperature : float
        K.
    bounds : Bounds or None
        Where the crossing may lie within the error of the free-energy difference. None without
        an ensemble.
    entropy : float
        Of the high phase minus the low one at the transition, J/(K mol of formula units).
    """

    low_phase: str
    high_phase: str
    temperature: float
    bounds: Bounds | None
    entropy: float

    @property
    def interval(self) -> tuple[float, float] | None:
        """Where the crossing may lie, K; None without an ensemble."""
        return None if self.bounds is None else self.bounds.interval

    @property
    def open_ends(self) -> tuple[bool, bool]:
        """Whether the ends of the interval are those of the temperatures, and no bounds."""
        return (False, False) if self.bounds is None else self.bounds.open_ends

    @property
    def interval_text(self) -> str:
        """The interval in words, empty without one."""
        return "" if self.bounds is None else str(self.bounds)


@dataclass(frozen=True, slots=True)
class PhaseComparison:
    """Free energies of phases relative to the first, in kJ/mol of formula units.

    Attributes
    ----------
    names : tuple of str
    formula : str
    temperatures : ndarray, shape (n,)
        K.
    energy : ndarray, shape (n_phases,)
        Relative energies without vibrations.
    vibrational : ndarray, shape (n_phases, n)
        Relative vibrational free energies with the zero-point energy.
    pair_half_width : ndarray, shape (n_phases, n_phases, n), or None
        Of the 90 % interval of the difference of two phases, the error of the energies included.
        None without an ensemble.
    transitions : tuple of Transition
        Of the stable phase, by temperature.
    """

    names: tuple[str, ...]
    formula: str
    temperatures: Array
    energy: Array
    vibrational: Array
    pair_half_width: Array | None
    transitions: tuple[Transition, ...]

    @property
    def half_width(self) -> Array | None:
        """Half widths of the intervals of `free_energy`, shape (n_phases, n), or None."""
        return None if self.pair_half_width is None else self.pair_half_width[0]

    @property
    def decided(self) -> NDArray[np.bool_] | None:
        """Whether the stable phase is below all others by more than the error, shape (n,)."""
        if self.pair_half_width is None:
            return None
        free, at = self.free_energy, np.arange(len(self.temperatures))
        stable = free.argmin(axis=0)
        beyond = free - free[stable, at] > self.pair_half_width[stable, :, at].T
        beyond[stable, at] = True
        return np.asarray(beyond.all(axis=0), dtype=np.bool_)

    @property
    def free_energy(self) -> Array:
        """Relative free energies, shape (n_phases, n)."""
        return self.energy[:, None] + self.vibrational

    @property
    def stable(self) -> list[str]:
        """Name of the stable phase at each temperature."""
        return [self.names[k] for k in self.free_energy.argmin(axis=0)]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        half, decided = self.half_width, self.decided
        return {
            "names": list(self.names),
            "formula": self.formula,
            "units": {"energy": "kJ/mol of formula units", "temperature": "K"},
            "temperatures": self.temperatures.tolist(),
            "energy": self.energy.tolist(),
            "vibrational": self.vibrational.tolist(),
            "half_width": None if half is None else half.tolist(),
            "interval_level": INTERVAL_LEVEL,
            "stable": self.stable,
            "decided": None if decided is None else decided.tolist(),
            "transitions": [
                {
                    "low_phase": t.low_phase,
                    "high_phase": t.high_phase,
                    "temperature": t.temperature,
                    "interval": t.interval,
                    "open_ends": t.open_ends,
                    "entropy": t.entropy,
                }
                for t in self.transitions
            ],
        }


def compare_phases(
    spectra: Sequence[DensityOfStates],
    energies: ArrayLike | None = None,
    *,
    per: Literal["cell", "atom", "formula"] = "cell",
    temperatures: ArrayLike | None = None,
    names: Sequence[str] | None = None,
    energy_error: float = 0.0,
) -> PhaseComparison:
    """Free energies of phases of one composition against temperature.

    Parameters
    ----------
    spectra : sequence of DensityOfStates
        Two or more, by the same model for the errors to mean something.
    energies : array_like, shape (n_phases,), optional
        eV, from one calculator or experiment; only differences count. Zero for all if not given:
        then only the vibrations speak.
    per : {"cell", "atom", "formula"}
        What the energies are per; "cell" is the cell of each spectrum.
    temperatures : array_like, optional
        K, ascending; 0 to 2000 K every 5 K if not given. Transitions are sought among them.
    names : sequence of str, optional
        The crystals' names if not given.
    energy_error : float
        Half width of the 90 % interval of an energy difference, in eV per atom whatever `per`.

    Returns
    -------
    PhaseComparison

    Raises
    ------
    SpectrumError
        Fewer than two phases, different compositions, or numbers that do not fit.

    Warns
    -----
    EnergyWarning
        Energies per cell that differ by more than 0.5 eV per atom between cells of different
        numbers of formula units.
    """
    crystals = [s.crystal for s in spectra]
    if len(spectra) < 2:
        raise SpectrumError("Comparing phases takes two structures or more.")
    formulas = [c.formula for c in crystals]
    if len(set(formulas)) > 1:
        raise SpectrumError(
            f"The structures are {', '.join(formulas)}: phases of one composition have to be "
            "given, so that the same atoms are compared."
        )
    t = checked_temperatures(np.arange(0.0, 2001.0, 5.0) if temperatures is None else temperatures)
    if len(t) < 2 or (np.diff(t) <= 0).any():
        raise SpectrumError("The temperatures have to be two or more, ascending, in kelvin.")
    labels = tuple(names) if names is not None else tuple(c.name for c in crystals)
    try:
        given = np.ravel(
            np.zeros(len(spectra)) if energies is None else np.asarray(energies, float)
        )
    except (TypeError, ValueError):
        raise SpectrumError(f"The energies {energies!r} have to be numbers, in eV.") from None
    if len(given) != len(spectra) or len(labels) != len(spectra) or not np.isfinite(given).all():
        raise SpectrumError(
            f"There are {len(spectra)} structures, {len(given)} energies and {len(labels)} names; "
            "give one finite energy (eV) and one name for each structure."
        )
    if not (np.isfinite(energy_error) and energy_error >= 0):
        raise SpectrumError(
            f"energy_error={energy_error!r} has to be finite and not negative, in eV per atom."
        )
    units = np.array([s.per_formula_unit().n_modes / 3 for s in spectra])  # atoms in a formula
    cells = np.array([c.n_sites for c in crystals]) / units  # formula units in a cell
    factor = {"cell": 1 / cells, "atom": units, "formula": np.ones(len(units))}.get(per)
    if factor is None:
        raise SpectrumError(f"per={per!r} has to be 'cell', 'atom' or 'formula'.")
    per_atom = given * factor / units
    if per == "cell" and np.ptp(cells) > 1e-6 and np.ptp(per_atom) > UNLIKELY_DIFFERENCE:
        said = ", ".join(f"{n:g} in {label}" for n, label in zip(cells, labels, strict=True))
        warnings.warn(
            f"The energies, taken per cell, differ by {np.ptp(per_atom):.2g} eV per atom, and the "
            f"cells hold different numbers of formula units ({said}). If they are per formula "
            "unit or per atom, say so: per='formula' or 'atom' (--per formula, --per atom).",
            EnergyWarning,
            stacklevel=2,
        )
    energy = given * factor * constants().ev_to_kj_mol
    energy -= energy[0]
    views = [s.per_formula_unit() for s in spectra]
    with warnings.catch_warnings():
        # poorly known near 0 K, where both are next to nothing beside the zero-point energy
        warnings.simplefilter("ignore", LowTemperatureWarning)
        free = np.array([v.free_energy(t) for v in views])
        entropy = np.array([v.entropy(t) for v in views])
    half = _half_widths(views, t, float(energy_error) * constants().ev_to_kj_mol * units[0])
    return PhaseComparison(
        names=labels,
        formula=formulas[0],
        temperatures=t,
        energy=energy,
        vibrational=free - free[0],
        pair_half_width=half,
        transitions=tuple(_transitions(labels, t, energy[:, None] + free, entropy, half)),
    )


def _half_widths(views: list[DensityOfStates], t: Array, of_energy: float) -> Array | None:
    """Half widths of the 90 % intervals of all differences, shape (n_phases, n_phases, n).

    From the calibrated intervals of both, or else from the differences of the members, which
    share errors too, hence `WIDENING`.
    """
    if any(v.members is None or len(v.members) < 2 for v in views):
        return None
    errors = _calibrated(views, t)
    values = [thermal_property(v.grid, np.asarray(v.members), "free_energy", t) for v in views]
    half = np.zeros((len(views), len(views), len(t)))
    for i, j in zip(*np.triu_indices(len(views), 1), strict=True):
        alike = _of_one_crystal(views[i], views[j])
        spread = WIDENING * _spread_of_difference(values[i], values[j])
        if errors is not None and not alike:
            spread = SHARED * np.hypot(errors[i], errors[j])
        least = 0.0 if alike else LEAST * views[i].n_modes / 3
        noise = least * np.maximum(t / 300.0, 1.0)
        half[i, j] = half[j, i] = np.sqrt(spread**2 + noise**2 + of_energy**2)
    return half


def _calibrated(views: list[DensityOfStates], t: Array) -> Array | None:
    """Half widths of the free energies, shape (n_phases, n); None where one is not calibrated."""
    if any(v.calibration is None or "free_energy" not in v.calibration.spreads for v in views):
        return None
    return np.array(
        [
            [np.ptp(v.interval("free_energy", INTERVAL_LEVEL, float(x))) / 2 for x in t]
            for v in views
        ]
    )


def _spread_of_difference(a: Array, b: Array) -> Array:
    """Standard deviation over the members (n_members, n) of b - a, or of models that differ."""
    if len(a) == len(b):
        return np.asarray(np.std(b - a, axis=0, ddof=1))
    return np.asarray(np.hypot(a.std(axis=0, ddof=1), b.std(axis=0, ddof=1)))


def _of_one_crystal(a: DensityOfStates, b: DensityOfStates) -> bool:
    """Whether two predictions are of one crystal, in whatever cell."""
    if a.density.shape != b.density.shape:
        return False
    volumes = [s.crystal.volume / s.crystal.n_sites for s in (a, b)]
    alike = np.abs(a.density - b.density).max() < 1e-4 * a.density.max()
    return bool(alike and abs(volumes[0] / volumes[1] - 1) < 1e-5)


def _transitions(
    names: tuple[str, ...], t: Array, free: Array, entropy: Array, halves: Array | None
) -> list[Transition]:
    stable = free.argmin(axis=0)
    found = []
    for k in map(int, np.flatnonzero(np.diff(stable))):
        low, high = int(stable[k]), int(stable[k + 1])
        gap = free[high] - free[low]
        at = crossing_at(t, gap, k)
        bounds = None if halves is None else bounds_of(t, gap, halves[low, high], k)
        change = float(np.interp(at, t, entropy[high] - entropy[low]))
        found.append(Transition(names[low], names[high], at, bounds, change))
    return found
