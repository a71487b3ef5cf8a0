"""Hulls from entries: spectra, gases and errors are put together here."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pymatgen.core import Composition
from pymatgen.entries.computed_entries import ComputedEntry

from ase_e3dos import PhononSpectrum, predict
from ase_e3dos.errors import E3DOSWarning
from e3dos_thermochemistry.constants import EV
from e3dos_thermochemistry.entries import named, without_structure
from e3dos_thermochemistry.error_bars import WIDTH, Array, Errors, JointErrors, joint_errors
from e3dos_thermochemistry.errors import EntriesError, HarmonicPhaseWarning
from e3dos_thermochemistry.gases import Gas, gas, ideal_gases
from e3dos_thermochemistry.hulls import Hulls
from e3dos_thermochemistry.solid import Solid

#: Imaginary weight above which a harmonic free energy means little.
_STABLE = 0.01


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
        If an entry has no structure and is not a gas, or an element has no entry.
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
