"""Convex hulls at temperature: energies of entries plus predicted vibrational free energies."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram
from pymatgen.entries.computed_entries import ComputedEntry
from scipy.spatial import ConvexHull, QhullError

from ase_e3dos import PhononSpectrum
from e3dos_thermochemistry.error_bars import (
    INTERVAL_LEVEL,
    WIDTH,
    Array,
)
from e3dos_thermochemistry.errors import EntriesError

#: Probability from which a composition that is not on the hull is named beside those that are.
_WORTH_NAMING = 0.05


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
            "interval_level": INTERVAL_LEVEL,
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
        except QhullError:  # pragma: no cover - a plane with a point above it has a volume
            return marks
        lower = hull.simplices[(hull.simplices < len(candidates)).all(axis=1)]
        marks[lowest[candidates[np.unique(lower)]]] = True
        return marks
