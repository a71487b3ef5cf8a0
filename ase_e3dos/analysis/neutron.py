"""Spectra as scattering experiments see them: weighted by site, and broadened.

Inelastic neutron scattering on a powder, averaged over momentum transfer in the incoherent
approximation, measures (Price and Skoeld, *Methods of Experimental Physics* 23A (1986);
Squires, *Introduction to the Theory of Thermal Neutron Scattering*, 1978)

    G(E) ~ sum over sites i of sigma_i / m_i g_i(E),

with the total scattering cross-section sigma_i. Inelastic X-ray scattering at small momentum
transfer has Z_i^2 in the place of sigma_i (form factors are left out), and nuclear resonant
scattering sees the sites of one element alone. Debye-Waller factors and multi-phonon
scattering, which a measurement is corrected for, are left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from ase.data import atomic_numbers, chemical_symbols

from ase_e3dos.errors import MissingExtraError, SpectrumError
from ase_e3dos.spectrum.constants import constants
from ase_e3dos.spectrum.grid import Array

if TYPE_CHECKING:
    from ase_e3dos.spectrum.density_of_states import DensityOfStates
    from ase_e3dos.structures.crystal import Crystal

Unit = Literal["meV", "THz", "cm-1"]
Resolution = float | Callable[[Array], Array]

#: A mass closer than this to an isotope's, and off the element's, is that isotope (amu).
ISOTOPE_WINDOW = 0.02

#: FWHM over standard deviation of a Gaussian.
_FWHM = float(np.sqrt(8 * np.log(2)))


@dataclass(frozen=True, slots=True)
class WeightedSpectrum:
    """A spectrum as an experiment sees it.

    Attributes
    ----------
    wavenumbers : ndarray, shape (n,)
        cm^-1, uniform and ascending.
    weighted : ndarray, shape (n,)
        states/THz; the integral is that of the spectrum it comes from, 3 n_sites for a cell.
    std : ndarray, shape (n,), or None
        Standard deviation over the ensemble's members, in states/THz.
    weighting : str
        "neutron", "xray", "none" or an element.
    site_weights : ndarray, shape (n_sites,)
        What each site's density was multiplied with; 3 n_sites / sum for one another.
    """

    wavenumbers: Array
    weighted: Array
    std: Array | None
    weighting: str
    site_weights: Array

    def energies(self, unit: Unit = "meV") -> Array:
        """Grid in meV, THz or cm^-1, shape (n,).

        Parameters
        ----------
        unit : {"meV", "THz", "cm-1"}

        Returns
        -------
        ndarray, shape (n,)
        """
        return self.wavenumbers * (unit_in_cm("cm-1") / unit_in_cm(unit))

    def density(self, unit: Unit = "meV") -> Array:
        """States per unit, shape (n,).

        Parameters
        ----------
        unit : {"meV", "THz", "cm-1"}

        Returns
        -------
        ndarray, shape (n,)
        """
        return self.weighted * (unit_in_cm(unit) / unit_in_cm("THz"))

    def density_std(self, unit: Unit = "meV") -> Array | None:
        """Standard deviation of `density`, shape (n,), or None."""
        return None if self.std is None else self.std * (unit_in_cm(unit) / unit_in_cm("THz"))


def unit_in_cm(unit: str) -> float:
    """cm^-1 of one meV, THz or cm-1; SpectrumError for other units.

    Parameters
    ----------
    unit : {"meV", "THz", "cm-1"}

    Returns
    -------
    float
        cm^-1.

    Raises
    ------
    SpectrumError
        If the unit is unknown.
    """
    c = constants()
    known = {"meV": c.thz_to_cm / c.thz_to_ev / 1000.0, "THz": c.thz_to_cm, "cm-1": 1.0}
    if unit not in known:
        raise SpectrumError(f"The unit {unit!r} is not known: choose from {', '.join(known)}.")
    return known[unit]


def neutron_weighted(
    spectrum: DensityOfStates,
    *,
    resolution: Resolution | None = None,
    unit: Unit = "meV",
    weighting: str = "neutron",
) -> WeightedSpectrum:
    """Spectrum weighted by what each site scatters, with the broadening of the instrument.

    Parameters
    ----------
    spectrum : DensityOfStates
        With site densities, unless the weighting is "none" or all sites weigh the same.
    resolution : float or callable, optional
        Full width at half maximum of a Gaussian, in `unit`: a constant, or a function that
        takes an array of energies in `unit` and returns the widths there.
    unit : {"meV", "THz", "cm-1"}
        Of the resolution.
    weighting : str
        "neutron" (cross-section / mass), "xray" (Z^2 / mass), "none" (the density itself), or
        an element such as "Fe" (its sites alone, as nuclear resonant scattering sees them).

    Returns
    -------
    WeightedSpectrum
        On a finer grid where it is broadened.

    Raises
    ------
    MissingExtraError
        Neutron weights need periodictable.
    SpectrumError
        No site densities, an element that is not there or has no known cross-section, or a
        resolution that is not positive.
    """
    weights = site_weights(spectrum.crystal, weighting)
    sites, total = spectrum.site_density, spectrum.density
    if sites is None:
        if np.ptp(weights) > 1e-9 * weights.max():
            raise SpectrumError(
                f"The model {spectrum.model or 'unnamed'!r} gives no site densities, which "
                f"weighting={weighting!r} needs for {spectrum.crystal.formula}. Use a model that "
                "has them, such as 'default', or weighting='none'."
            )
        weighted = total.copy()
    else:
        weighted = weights @ sites
        weighted *= spectrum.n_modes / float(weighted @ spectrum.grid.trapezoid)
    std = None
    members = spectrum.members
    x = spectrum.wavenumbers
    rows = weighted[None]
    if members is not None and len(members) > 1:
        # Members are totals: at each frequency the sites keep the shares of the mean.
        rows = np.concatenate([rows, members * (weighted / np.maximum(total, 1e-300))])
    if resolution is not None:
        x, rows = _broadened(spectrum, rows, resolution, unit)
    if len(rows) > 1:
        std = rows[1:].std(axis=0, ddof=1)
    return WeightedSpectrum(x, rows[0], std, weighting, weights)


def site_weights(crystal: Crystal, weighting: str = "neutron") -> Array:
    """Weight of each site's density, shape (n_sites,); see `neutron_weighted`.

    In barn/amu for neutrons; averages over the species on mixed sites.

    Parameters
    ----------
    crystal : Crystal
    weighting : str
        "neutron", "xray", "none" or an element.

    Returns
    -------
    ndarray, shape (n_sites,)
        barn/amu for neutrons, else without unit.

    Raises
    ------
    SpectrumError
        If the weighting is unknown.
    MissingExtraError
        For neutrons, without periodictable.
    """
    number, mass = crystal.species_number, crystal.species_mass
    if weighting == "none":
        return np.ones(crystal.n_sites)
    if weighting == "neutron":
        strength = np.array([cross_section(*zm) for zm in zip(number, mass, strict=True)])
        strength /= mass
    elif weighting == "xray":
        strength = number.astype(float) ** 2 / mass
    elif weighting in atomic_numbers and (number == atomic_numbers[weighting]).any():
        strength = (number == atomic_numbers[weighting]).astype(float)
    else:
        raise SpectrumError(
            f"weighting={weighting!r} has to be 'neutron', 'xray', 'none' or an element of "
            f"{crystal.formula}."
        )
    weights = crystal.species_fraction * strength
    return np.bincount(crystal.species_site, weights, crystal.n_sites).astype(np.float64)


def cross_section(number: int, mass: float | None = None) -> float:
    """Total scattering cross-section of bound nuclei for neutrons, in barn.

    Parameters
    ----------
    number : int
        Atomic number.
    mass : float, optional
        amu. Within 0.02 of an isotope's mass and not the natural element's, that isotope's
        value is returned (deuterium: 2.014); between the masses of two tabulated isotopes, that
        of their mixture with this mass (1.511: half hydrogen, half deuterium).

    Raises
    ------
    MissingExtraError
        periodictable, which has the table (V. F. Sears, *Neutron News* 3, 26 (1992), and
        later measurements), is not installed.
    SpectrumError
        Nothing is tabulated, or no isotopes make up the mass.
    """
    try:
        import periodictable
    except ImportError as error:
        raise MissingExtraError(
            "Neutron cross-sections come from the package periodictable, which is not installed: "
            'pip install "ase-e3dos[neutron]". weighting="none" needs no table.'
        ) from error
    from ase_e3dos.structures.masses import ISOTOPE_TOLERANCE, STANDARD_MASSES

    atom = element = periodictable.elements[int(number)]
    natural = float(STANDARD_MASSES[number])
    if mass is not None and abs(mass - natural) > ISOTOPE_TOLERANCE * natural:
        near = [
            element[a] for a in element.isotopes if abs(element[a].mass - mass) < ISOTOPE_WINDOW
        ]
        if not near:
            return _of_mixture([element[a] for a in element.isotopes], number, mass)
        atom = near[0]
    value = getattr(getattr(atom, "neutron", None), "total", None)
    if value is None:
        raise SpectrumError(
            f"No neutron cross-section is tabulated for {chemical_symbols[number]} of mass "
            f"{mass or natural:g}. Choose weighting='xray' or 'none'."
        )
    return float(value)


def _of_mixture(isotopes: list[Any], number: int, mass: float) -> float:
    """Cross-section in barn of the mixture of the two nearest isotopes that has a mass."""
    known = sorted(
        (float(i.mass), float(i.neutron.total))
        for i in isotopes
        if getattr(getattr(i, "neutron", None), "total", None) is not None
    )
    if len(known) < 2 or not known[0][0] <= mass <= known[-1][0]:
        raise SpectrumError(
            f"A mass of {mass:g} amu is neither that of {chemical_symbols[number]} nor that of a "
            "mixture of its isotopes with known neutron cross-sections. Give the mass of an "
            "isotope or mixture, or choose weighting='xray' or 'none'."
        )
    masses, values = zip(*known, strict=True)
    return float(np.interp(mass, masses, values))


def _broadened(
    spectrum: DensityOfStates, rows: Array, resolution: Resolution, unit: Unit
) -> tuple[Array, Array]:
    """Grid in cm^-1 and rows of densities, each point spread by a Gaussian; integrals stay."""
    scale, grid = unit_in_cm(unit), spectrum.grid
    x = spectrum.wavenumbers
    used = np.flatnonzero(rows[0] > 0)
    low, high = x[used[0]] - grid.step / 2, x[used[-1]] + grid.step / 2

    def widths(at: Array) -> Array:
        raw = resolution(at / scale) if callable(resolution) else resolution
        value = np.broadcast_to(np.asarray(raw, dtype=np.float64), at.shape) * scale
        if not (np.isfinite(value) & (value > 0)).all():
            raise SpectrumError(
                "A resolution is a full width at half maximum, finite and positive everywhere "
                f"between {low / scale:g} and {high / scale:g} {unit}; got {value.min() / scale:g}."
            )
        return np.asarray(value / _FWHM)

    edges_sigma = widths(np.array([low, max(high, 0.0)]))
    step = min(grid.step, max(float(edges_sigma.min()) / 2, 0.25))
    fine = np.arange(np.floor(low / step), np.ceil(high / step) + 1) * step
    edges = np.append(fine - step / 2, fine[-1] + step / 2)
    modes = np.array([np.diff(grid.cumulative(row, edges)) for row in rows])
    sigma = widths(fine)
    # Each point gives to its neighbours up to the same number of steps: sums over offsets keep
    # memory small where a band of thousands of points is spread little.
    reach = int(np.ceil(4 * float(sigma.max()) / step))
    offsets = np.arange(-reach, reach + 1)
    norm = np.zeros(len(fine))
    for k in offsets:
        norm += np.exp(-0.5 * (k * step / sigma) ** 2)
    spread = np.zeros((len(modes), len(fine) + 2 * reach))
    given = modes / norm
    for k in offsets:
        start = k + reach
        spread[:, start : start + len(fine)] += given * np.exp(-0.5 * (k * step / sigma) ** 2)
    target = fine[0] + step * np.arange(-reach, len(fine) + reach)
    return target, spread / (step / constants().thz_to_cm)
