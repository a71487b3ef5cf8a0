"""Convex hulls at temperature: energies of entries plus predicted vibrational free energies."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram
from pymatgen.core import Composition
from pymatgen.entries.computed_entries import ComputedEntry
from scipy.spatial import ConvexHull, QhullError

from ase_e3dos import PhononSpectrum, predict
from ase_e3dos.errors import E3DOSWarning
from e3dos_thermochemistry.constants import EV
from e3dos_thermochemistry.entries import named, without_structure
from e3dos_thermochemistry.error_bars import (
    LEVEL,
    WIDTH,
    Array,
    Errors,
    JointErrors,
    joint_errors,
)
from e3dos_thermochemistry.errors import EntriesError, HarmonicPhaseWarning
from e3dos_thermochemistry.gases import Gas, gas, ideal_gases
from e3dos_thermochemistry.solid import Solid

#: Probability from which a composition that is not on the hull is named beside those that are.
_WORTH_NAMING = 0.05
#: Imaginary weight above which a harmonic free energy means little.
_STABLE = 0.01


@dataclass(frozen=True)
class Hulls:
    """Phase diagrams of one set of entries at several temperatures.

    Attributes
    ----------
    entries : tuple of ComputedEntry
        As given, but for those that a gas took the place of.
    names : tuple of str
    temperatures : ndarray, shape (n_temperatures,)
        K.
    vibrational : ndarray, shape (n_temperatures, n_entries)
        What adds to each entry's energy, eV per atom.
    covariance : ndarray, shape (n_temperatures, n_entries, n_entries), or None
        Of the errors of that, (eV per atom)^2; None without error bars.
    spectra : tuple of PhononSpectrum or None
        None for gases.
    pressure : float
        Of each gas, bar.
    samples : int
        Draws from the errors behind `probability`.
    """

    entries: tuple[ComputedEntry, ...]
    names: tuple[str, ...]
    temperatures: Array
    vibrational: Array
    covariance: Array | None
    spectra: tuple[PhononSpectrum | None, ...]
    pressure: float
    samples: int

    @cached_property
    def static(self) -> PhaseDiagram:
        """Phase diagram of the energies alone, without vibrations."""
        return PhaseDiagram(self._with(np.zeros(len(self.entries))))

    @cached_property
    def diagrams(self) -> tuple[PhaseDiagram, ...]:
        """Phase diagram at each temperature, pymatgen's own."""
        return tuple(PhaseDiagram(self._with(row)) for row in self.vibrational)

    def at(self, temperature: float) -> PhaseDiagram:
        """Phase diagram at one of the temperatures.

        Raises
        ------
        EntriesError
            If it is not one of them.
        """
        return self.diagrams[self._row(temperature)]

    @cached_property
    def stable(self) -> NDArray[np.bool_]:
        """Whether each entry is on the hull, shape (n_temperatures, n_entries)."""
        return np.array([self._marks(d) for d in self.diagrams])

    @cached_property
    def above_hull(self) -> Array:
        """Energy above the hull in eV per atom, shape (n_temperatures, n_entries)."""
        return np.array(
            [[d.get_e_above_hull(e) for e in self._of(d)] for d in self.diagrams], dtype=np.float64
        )

    @cached_property
    def _decompositions(self) -> list[list[tuple[dict[int, float], float]]]:
        """By temperature and entry: share of atoms in each product, and the energy."""
        found = []
        for diagram in self.diagrams:
            row = []
            stable = self._marks(diagram)
            for entry in self._of(diagram):
                if stable[entry.attribute]:
                    products, energy = diagram.get_decomp_and_phase_separation_energy(entry)
                else:
                    products, energy = diagram.get_decomp_and_e_above_hull(entry)
                row.append(({p.attribute: float(x) for p, x in products.items()}, float(energy)))
            found.append(row)
        return found

    @cached_property
    def decomposition(self) -> Array:
        """Energy of each entry less that of what it would fall into, eV per atom.

        Shape (n_temperatures, n_entries). Negative on the hull, where it says how far the phase is
        below its competitors; elsewhere it is what `above_hull` is. Elements that are stable have
        no competitor and zero.
        """
        return np.array([[energy for _, energy in row] for row in self._decompositions])

    @cached_property
    def half_widths(self) -> Array | None:
        """Half widths of the 90 % intervals of `decomposition`, eV per atom, or None."""
        if self.covariance is None:
            return None
        result = np.zeros(self.decomposition.shape)
        for k, row in enumerate(self._decompositions):
            amounts = np.eye(len(self.entries))
            for i, (products, _) in enumerate(row):
                for j, share in products.items():
                    amounts[i, j] -= share
            variance = np.einsum("ij,jk,ik->i", amounts, self.covariance[k], amounts)
            result[k] = WIDTH * np.sqrt(np.maximum(variance, 0.0))
        return result

    def products(self, temperature: float, entry: int) -> str:
        """What an entry falls into, or competes with, at one of the temperatures."""
        products, _ = self._decompositions[self._row(temperature)][entry]
        return " + ".join(self.names[j] for j in sorted(products, key=lambda j: -products[j]))

    @cached_property
    def probability(self) -> Array | None:
        """Probability that each entry is on the hull, shape (n_temperatures, n_entries).

        The share of `samples` draws of all errors at once, normally distributed; None without
        error bars. Of the vibrational free energies and of `energy_error` alone: the energies are
        taken as right.
        """
        if self.covariance is None:
            return None
        random = np.random.default_rng(0)
        base = np.array([e.energy_per_atom for e in self.entries])
        result = np.zeros(self.vibrational.shape)
        for k, covariance in enumerate(self.covariance):
            values, vectors = np.linalg.eigh(covariance)
            root = vectors * np.sqrt(np.maximum(values, 0.0))
            noise = random.standard_normal((self.samples, len(base))) @ root.T
            for energies in base + self.vibrational[k] + noise:
                result[k] += self._on_hull(energies)
        return result / self.samples

    def formulas(self, temperature: float) -> dict[str, float | None]:
        """Compositions on the hull at one of the temperatures, and the probability of each.

        A composition is on the hull if its lowest polymorph is, so that the probabilities of
        polymorphs add; None without error bars. Those that are not on the hull, but may be with a
        probability of 5 % or more, are listed as well.
        """
        row = self._row(temperature)
        found: dict[str, float | None] = {}
        for group in self._groups:
            formula = self.entries[group[0]].composition.reduced_formula
            on = bool(self.stable[row, group].any())
            if self.probability is None:
                if on:
                    found[formula] = None
                continue
            probability = float(self.probability[row, group].sum())
            if on or probability >= _WORTH_NAMING:
                found[formula] = min(probability, 1.0)
        return dict(sorted(found.items()))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        half, probability = self.half_widths, self.probability
        return {
            "units": {"decomposition": "eV/atom", "vibrational": "eV/atom", "temperature": "K"},
            "temperatures": self.temperatures.tolist(),
            "pressure_bar": self.pressure,
            "interval_level": LEVEL,
            "entries": [
                {
                    "name": name,
                    "formula": entry.composition.reduced_formula,
                    "gas": spectrum is None,
                    "energy_per_atom": float(entry.energy_per_atom),
                    "vibrational": self.vibrational[:, k].tolist(),
                    "decomposition": self.decomposition[:, k].tolist(),
                    "half_width": None if half is None else half[:, k].tolist(),
                    "on_hull": self.stable[:, k].tolist(),
                    "probability": None if probability is None else probability[:, k].tolist(),
                    "competes_with": [self.products(t, k) for t in self.temperatures],
                }
                for k, (name, entry, spectrum) in enumerate(
                    zip(self.names, self.entries, self.spectra, strict=True)
                )
            ],
        }

    def _row(self, temperature: float) -> int:
        near = np.flatnonzero(np.isclose(self.temperatures, temperature))
        if not len(near):
            raise EntriesError(
                f"There is no hull at {temperature!r} K: the temperatures are "
                f"{', '.join(f'{t:g}' for t in self.temperatures)} K."
            )
        return int(near[0])

    def _with(self, additions: Array) -> list[PDEntry]:
        """Entries with energies added (eV per atom), their index as attribute."""
        return [
            PDEntry(
                e.composition, e.energy + float(a) * e.composition.num_atoms, name=n, attribute=k
            )
            for k, (e, a, n) in enumerate(zip(self.entries, additions, self.names, strict=True))
        ]

    def _of(self, diagram: PhaseDiagram) -> list[PDEntry]:
        return sorted(diagram.all_entries, key=lambda e: int(e.attribute))

    def _marks(self, diagram: PhaseDiagram) -> list[bool]:
        on = {e.attribute for e in diagram.stable_entries}
        return [k in on for k in range(len(self.entries))]

    @cached_property
    def _fractions(self) -> Array:
        """Atomic fractions of all elements, shape (n_entries, n_elements)."""
        elements = sorted({el for e in self.entries for el in e.composition})
        return np.array(
            [[e.composition.get_atomic_fraction(el) for el in elements] for e in self.entries]
        )

    @cached_property
    def _groups(self) -> list[NDArray[np.intp]]:
        """Entries of each composition."""
        keys = np.unique(self._fractions.round(8), axis=0, return_inverse=True)[1].ravel()
        return [np.flatnonzero(keys == k) for k in range(keys.max() + 1)]

    def _on_hull(self, energies: Array) -> NDArray[np.bool_]:
        """Whether each entry is on the hull of energies per atom, by the Qhull that pymatgen uses.

        Thousands of hulls are asked for, and only their vertices: pymatgen's PhaseDiagram takes a
        hundred times as long for what is not needed here. The tests compare the two.
        """
        lowest = np.array([group[energies[group].argmin()] for group in self._groups])
        x, e = self._fractions[lowest], energies[lowest]
        of_element = x.max(axis=1) > 1 - 1e-8
        references = np.zeros(x.shape[1])
        references[x[of_element].argmax(axis=1)] = e[of_element]
        formation = e - x @ references
        marks = np.zeros(len(energies), dtype=np.bool_)
        marks[lowest[of_element]] = True
        bound = formation < -1e-9
        if x.shape[1] < 2 or not bound.any():
            return marks
        candidates = np.flatnonzero(of_element | bound)
        top = np.append(x[candidates].mean(axis=0)[1:], 1.0)
        points = np.vstack([np.column_stack([x[candidates, 1:], formation[candidates]]), top])
        try:
            hull = ConvexHull(points)
        except QhullError:  # pragma: no cover - a plane with a point above is no plane
            return marks
        lower = hull.simplices[(hull.simplices < len(candidates)).all(axis=1)]
        marks[lowest[candidates[np.unique(lower)]]] = True
        return marks


def hulls_of(
    entries: Sequence[ComputedEntry],
    temperatures: ArrayLike = (0.0, 300.0, 600.0, 1000.0, 1500.0, 2000.0),
    *,
    gases: Mapping[str, float | None] | None = None,
    pressure: float = 1.0,
    energy_error: float = 0.0,
    errors: Errors = "measured",
    samples: int = 500,
    spectra: Sequence[PhononSpectrum | None] | None = None,
    model: str = "default",
    device: str = "auto",
) -> Hulls:
    """Phase diagrams at temperature.

    Parameters
    ----------
    entries : sequence of ComputedEntry
        With structures (`ComputedStructureEntry`), energies by one method with the corrections
        that belong to it, and at least one for each element.
    temperatures : array_like, shape (n_temperatures,)
        K.
    gases : mapping of str to float or None, optional
        Molecules that are ideal gases, with their energy without vibrations in eV, or None for
        that of the lowest entry of this formula. Entries of the formula are left out. By default
        the elements that are gases: H2, N2, O2, F2, Cl2. An empty mapping: none.
    pressure : float
        Of each gas, bar.
    energy_error : float
        Half the 90 % interval of an entry's energy, eV per atom, independent between entries.
    errors : str
        Which errors cancel: `joint_errors`.
    samples : int
        Draws for the probability to be on the hull.
    spectra : sequence of PhononSpectrum or None, optional
        Of the entries, in their order, in place of predictions.
    model, device : str
        As for `predict`.

    Returns
    -------
    Hulls

    Raises
    ------
    EntriesError
        If an entry has no structure and is no gas, or an element has no entry.
    """
    t = _temperatures(temperatures)
    if not entries:
        raise EntriesError("There are no entries: a hull needs one for each element at least.")
    if not (np.isfinite(pressure) and pressure > 0):
        raise EntriesError(f"The pressure {pressure!r} has to be positive, in bar.")
    if not (np.isfinite(energy_error) and energy_error >= 0):
        raise EntriesError(f"energy_error={energy_error!r} has to be 0 or more, in eV per atom.")
    if samples < 1:
        raise EntriesError(f"samples={samples!r} has to be one or more.")
    given = list(spectra) if spectra is not None else [None] * len(entries)
    if len(given) != len(entries):
        raise EntriesError(
            f"There are {len(entries)} entries and {len(given)} spectra: give one for each."
        )
    molecules = _molecules(entries, gases)
    formulas = {Composition(name).reduced_composition for name in molecules}
    solid = [
        (e, s)
        for e, s in zip(entries, given, strict=True)
        if e.composition.reduced_composition not in formulas
    ]
    found = _predicted(solid, model, device)
    vibrational = np.zeros((len(t), len(solid) + len(molecules)))
    atoms = np.array([s.crystal.n_sites for s in found])
    for k, spectrum in enumerate(found):
        values = Solid(spectrum)
        vibrational[:, k] = values.gibbs(t) / values.composition.num_atoms / EV
    of_gases = []
    for k, (molecule, energy) in enumerate(molecules.items(), len(solid)):
        of_gas = gas(molecule)
        entry_id = f"gas, {pressure:g} bar"
        of_gases.append(ComputedEntry(molecule, energy, entry_id=entry_id))
        vibrational[:, k] = _of_gas(of_gas, t, pressure) / of_gas.composition.num_atoms / EV
    everything = (*(e for e, _ in solid), *of_gases)
    _check_elements(everything)
    return Hulls(
        entries=everything,
        names=named(everything),
        temperatures=t,
        vibrational=vibrational,
        covariance=_covariance(joint_errors(found, errors), t, atoms, len(molecules), energy_error),
        spectra=(*found, *[None] * len(molecules)),
        pressure=float(pressure),
        samples=samples,
    )


def elemental_gases(entries: Sequence[ComputedEntry]) -> dict[str, None]:
    """Molecules of the elements that are gases and of which there is an entry."""
    have = {e.composition.reduced_composition for e in entries}
    molecules = {m: Composition(m) for m in ideal_gases()}
    return dict.fromkeys(
        m for m, c in molecules.items() if c.is_element and c.reduced_composition in have
    )


def _temperatures(temperatures: ArrayLike) -> Array:
    try:
        t = np.atleast_1d(np.asarray(temperatures, dtype=np.float64))
        good = t.ndim == 1 and len(t) > 0 and bool(((t >= 0) & (t < np.inf)).all())
    except (TypeError, ValueError):
        good = False
    if not good:
        raise EntriesError(
            f"The temperatures {temperatures!r} have to be finite and not negative, in kelvin."
        )
    return t


def _molecules(
    entries: Sequence[ComputedEntry], gases: Mapping[str, float | None] | None
) -> dict[str, float]:
    """Energies (eV a molecule) of the gases."""
    lowest: dict[Composition, float] = {}
    for e in entries:
        key = e.composition.reduced_composition
        lowest[key] = min(lowest.get(key, np.inf), e.energy_per_atom)
    found = {}
    for molecule, energy in (elemental_gases(entries) if gases is None else gases).items():
        composition = gas(molecule).composition
        if energy is None:
            per_atom = lowest.get(composition.reduced_composition)
            if per_atom is None:
                raise EntriesError(
                    f"There is no entry of {molecule} to take the energy of the gas from. Give its "
                    "energy in eV a molecule, by the method of the other entries."
                )
            energy = per_atom * composition.num_atoms
        found[molecule] = float(energy)
    return found


def _of_gas(of_gas: Gas, t: Array, pressure: float) -> Array:
    """What adds to the energy of a molecule without vibrations, kJ/mol."""
    low = np.maximum(t, of_gas.range[0])
    values = of_gas.gibbs(low, pressure) + of_gas.above_energy
    at_zero = of_gas.zero_point_energy or 0.0
    return np.asarray(np.where(t < of_gas.range[0], at_zero, values), dtype=np.float64)


def _predicted(
    solid: Sequence[tuple[ComputedEntry, PhononSpectrum | None]], model: str, device: str
) -> list[PhononSpectrum]:
    """Spectra of the solids, predicted where they are not given."""
    missing = [(e, s) for e, s in solid if s is None]
    bare = without_structure(e for e, _ in missing)
    if bare:
        raise EntriesError(
            f"{len(bare)} entries have no structure, {named(bare)[0]} for one, so that nothing can "
            "be predicted for them. Give ComputedStructureEntry (with the Materials Project's "
            "client, inc_structure=True), or name them as gases."
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", E3DOSWarning)
        new = iter(predict([e.structure for e, _ in missing], model=model, device=device))
        found = [next(new) if s is None else s for _, s in solid]
    for (e, _), s in zip(solid, found, strict=True):
        own = Composition(s.crystal.formula)
        if own.reduced_composition != e.composition.reduced_composition:
            raise EntriesError(
                f"The spectrum given for {named([e])[0]} is of {own.reduced_formula}. Give the "
                "spectra in the order of the entries."
            )
    shaky = [named([e])[0] for (e, _), s in zip(solid, found, strict=True) if not _is_stable(s)]
    if shaky:
        warnings.warn(
            f"{len(shaky)} of {len(found)} entries have more than {_STABLE:.0%} imaginary weight: "
            f"{', '.join(shaky[:5])}{', ...' if len(shaky) > 5 else ''}. Their modes below "
            "zero are left out, so their free energies are not those of stable crystals; where one "
            "matters, calculate it.",
            HarmonicPhaseWarning,
            stacklevel=3,
        )
    return found


def _is_stable(spectrum: PhononSpectrum) -> bool:
    return spectrum.imaginary_fraction <= _STABLE


def _covariance(
    model: JointErrors | None, t: Array, atoms: NDArray[Any], n_gases: int, energy_error: float
) -> Array | None:
    if model is None:
        return None
    n = len(atoms)
    per_atom = model.covariance("free_energy", t) / np.multiply.outer(atoms, atoms) / EV**2
    result = np.zeros((len(t), n + n_gases, n + n_gases))
    result[:, :n, :n] = per_atom
    of_energies = np.full(n + n_gases, (energy_error / WIDTH) ** 2)
    return np.asarray(result + np.diag(of_energies))


def _check_elements(entries: Sequence[ComputedEntry]) -> None:
    elements = {el for e in entries for el in e.composition}
    have = {el for e in entries for el in e.composition if e.composition.is_element}
    if elements - have:
        lacking = ", ".join(sorted(el.symbol for el in elements - have))
        raise EntriesError(
            f"No entry is of elemental {lacking}. A hull needs one for each element: add them "
            "(the Materials Project's get_entries_in_chemsys gives them all)."
        )
