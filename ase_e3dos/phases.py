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
from numpy.typing import ArrayLike

from ase_e3dos.errors import LowTemperatureWarning, SpectrumError
from ase_e3dos.spectrum.constants import constants
from ase_e3dos.spectrum.grid import Array
from ase_e3dos.spectrum.thermal import checked_temperatures, thermal_property

if TYPE_CHECKING:
    from ase_e3dos.spectrum.phonon_spectrum import PhononSpectrum

Per = Literal["cell", "atom", "formula"]

#: Probability of the intervals.
LEVEL = 0.9
#: Standard deviations that hold 90 % of a normal distribution, where no calibration is there.
_NORMAL = 1.645


@dataclass(frozen=True, slots=True)
class Transition:
    """A crossing of the free energies of two phases.

    Attributes
    ----------
    low_phase, high_phase : str
        Stable below and above.
    temperature : float
        K.
    interval : tuple of float or None
        Where the crossing may lie within the error of the free-energy difference, in K; an end
        at the edge of the temperatures asked for is that edge. None without an ensemble.
    entropy : float
        Of the high phase minus the low one at the transition, J/(K mol of formula units).
    """

    low_phase: str
    high_phase: str
    temperature: float
    interval: tuple[float, float] | None
    entropy: float


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
    half_width : ndarray, shape (n_phases, n), or None
        Of the 90 % interval of `vibrational`.
    calibrated : bool
        Whether the half widths come from the model's calibration, or from the spread of the
        members alone.
    transitions : tuple of Transition
        Of the stable phase, by temperature.
    """

    names: tuple[str, ...]
    formula: str
    temperatures: Array
    energy: Array
    vibrational: Array
    half_width: Array | None
    calibrated: bool
    transitions: tuple[Transition, ...]

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
        half = self.half_width
        return {
            "names": list(self.names),
            "formula": self.formula,
            "units": {"energy": "kJ/mol of formula units", "temperature": "K"},
            "temperatures": self.temperatures.tolist(),
            "energy": self.energy.tolist(),
            "vibrational": self.vibrational.tolist(),
            "half_width": None if half is None else half.tolist(),
            "interval_level": LEVEL,
            "calibrated": self.calibrated,
            "stable": self.stable,
            "transitions": [
                {
                    "low_phase": t.low_phase,
                    "high_phase": t.high_phase,
                    "temperature": t.temperature,
                    "interval": t.interval,
                    "entropy": t.entropy,
                }
                for t in self.transitions
            ],
        }


def compare_phases(
    spectra: Sequence[PhononSpectrum],
    energies: ArrayLike | None = None,
    *,
    per: Per = "cell",
    temperatures: ArrayLike | None = None,
    names: Sequence[str] | None = None,
) -> PhaseComparison:
    """Free energies of phases of one composition against temperature.

    Parameters
    ----------
    spectra : sequence of PhononSpectrum
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

    Returns
    -------
    PhaseComparison

    Raises
    ------
    SpectrumError
        Fewer than two phases, different compositions, or numbers that do not fit.
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
    units = np.array([s.per_formula_unit().n_modes / 3 for s in spectra])  # atoms in a formula
    cells = np.array([c.n_sites for c in crystals]) / units  # formula units in a cell
    factor = {"cell": 1 / cells, "atom": units, "formula": np.ones(len(units))}.get(per)
    if factor is None:
        raise SpectrumError(f"per={per!r} has to be 'cell', 'atom' or 'formula'.")
    energy = given * factor * constants().ev_to_kj_mol
    energy -= energy[0]
    views = [s.per_formula_unit() for s in spectra]
    with warnings.catch_warnings():
        # poorly known near 0 K, where both are next to nothing beside the zero-point energy
        warnings.simplefilter("ignore", LowTemperatureWarning)
        free = np.array([v.free_energy(t) for v in views])
        entropy = np.array([v.entropy(t) for v in views])
    half, calibrated = _half_widths(views, t)
    return PhaseComparison(
        names=labels,
        formula=formulas[0],
        temperatures=t,
        energy=energy,
        vibrational=free - free[0],
        half_width=half,
        calibrated=calibrated,
        transitions=tuple(_transitions(labels, t, energy[:, None] + free, entropy, views)),
    )


def _half_widths(views: list[PhononSpectrum], t: Array) -> tuple[Array | None, bool]:
    """Of the difference of each phase from the first."""
    pairs = [_half_width(views[0], view, t) for view in views]
    if any(p is None for p in pairs):
        return None, False
    half = np.array([p[0] for p in pairs if p is not None])
    half[0] = 0.0
    return half, all(p[1] for p in pairs if p is not None)


def _half_width(a: PhononSpectrum, b: PhononSpectrum, t: Array) -> tuple[Array, bool] | None:
    """Half width of the 90 % interval of the difference of two free energies, shape (n,).

    With a calibration, those of the two phases added in quadrature, as for independent errors
    (errors of a functional or a network that both phases share cancel, so this is wide). Without
    one, 1.645 standard deviations of the members' differences.
    """
    if any(s.members is None or len(s.members) < 2 for s in (a, b)):
        return None
    calibrations = [s.calibration for s in (a, b)]
    if all(c is not None and "free_energy" in c.spreads for c in calibrations):
        widths = []
        for s in (a, b):
            ends = [s.interval("free_energy", LEVEL, float(x)) for x in t]
            widths.append([(high - low) / 2 for low, high in ends])
        return np.hypot(*np.array(widths)), True
    values = [thermal_property(s.grid, np.asarray(s.members), "free_energy", t) for s in (a, b)]
    if len(values[0]) == len(values[1]):  # the same networks: what they share cancels
        return _NORMAL * np.std(values[1] - values[0], axis=0, ddof=1), False
    return _NORMAL * np.hypot(*(v.std(axis=0, ddof=1) for v in values)), False


def _transitions(
    names: tuple[str, ...], t: Array, free: Array, entropy: Array, views: list[PhononSpectrum]
) -> list[Transition]:
    stable = free.argmin(axis=0)
    found = []
    for k in map(int, np.flatnonzero(np.diff(stable))):
        low, high = int(stable[k]), int(stable[k + 1])
        gap = free[high] - free[low]
        at = _crossing(t, gap, k)
        half = _half_width(views[low], views[high], t)
        interval = None
        if half is not None:
            within = np.abs(gap) <= half[0]
            first, last = k, k + 1
            while first > 0 and within[first]:
                first -= 1
            while last < len(t) - 1 and within[last]:
                last += 1
            start = float(t[0]) if within[first] else _level(t, gap - half[0], first)
            end = float(t[-1]) if within[last] else _level(t, gap + half[0], last - 1)
            interval = (min(start, at), max(end, at))
        change = float(np.interp(at, t, entropy[high] - entropy[low]))
        found.append(Transition(names[low], names[high], at, interval, change))
    return found


def _crossing(t: Array, y: Array, k: int) -> float:
    """Zero of y between t[k] and t[k + 1], on a straight line."""
    return float(t[k] + (t[k + 1] - t[k]) * y[k] / (y[k] - y[k + 1]))


def _level(t: Array, y: Array, k: int) -> float:
    return _crossing(t, y, k) if y[k] * y[k + 1] <= 0 else float(t[k])


def plot_phases(comparison: PhaseComparison, ax: Any = None) -> Any:
    """Draw relative free energies with their intervals on Matplotlib axes, which are returned."""
    from ase_e3dos.export.plots import COLOURS

    if ax is None:
        import matplotlib.pyplot as plt

        ax = plt.subplots()[1]
    t = comparison.temperatures
    for k, (name, values) in enumerate(zip(comparison.names, comparison.free_energy, strict=True)):
        colour = COLOURS[k % len(COLOURS)]
        ax.plot(t, values, color=colour, label=name)
        if comparison.half_width is not None and k:
            half = comparison.half_width[k]
            ax.fill_between(t, values - half, values + half, color=colour, alpha=0.2, lw=0)
    for transition in comparison.transitions:
        ax.axvline(transition.temperature, color="0.5", lw=0.7, ls="--")
    ax.set(xlabel="Temperature (K)", ylabel=r"$\Delta F$ (kJ/mol per formula unit)")
    ax.set_xlim(t[0], t[-1])
    ax.legend()
    return ax
