"""Mean-square displacements of the sites, from their spectra.

A harmonic crystal with the site spectra g_i (each integrates to 3) has, along any axis on
average, the quantum mean-square displacement (Willis and Pryor, *Thermal Vibrations in
Crystallography*, Cambridge 1975; phonopy's thermal displacements are the same sum over modes)

    U_iso,i = 1/3 integral of hbar / (2 m_i w) coth(hbar w / 2 k_B T) g_i(w) dw .

The integrand grows as 1/w^2 towards zero, where a binned density cannot follow the acoustic
law g ~ w^2. Below an edge (`ase_e3dos.analysis.acoustic`: 0.4 % of the modes at most) the
density is therefore replaced by a w^2 that holds as many modes, of which each site takes its
share of the mass, m_i / M: in acoustic modes all atoms move alike. The integral over the w^2
is done analytically in w and converges at any temperature.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from ase_e3dos.analysis.acoustic import acoustic_split, nodes
from ase_e3dos.errors import ImaginaryModesError, SpectrumError
from ase_e3dos.spectrum.constants import constants
from ase_e3dos.spectrum.density import normalised_rows
from ase_e3dos.spectrum.displacement_tensors import (
    DISPLACEMENT_TEMPERATURES,
    tensors_from_logs,
)
from ase_e3dos.spectrum.grid import Array, FrequencyGrid
from ase_e3dos.spectrum.thermal import (
    IMAGINARY_TOLERANCE,
    Acoustic,
    checked_temperatures,
)
from ase_e3dos.spectrum.uncertainty import INTERVAL_LEVEL

if TYPE_CHECKING:
    from ase_e3dos.spectrum.density_of_states import DensityOfStates

#: B_iso / U_iso.
B_OVER_U = 8 * np.pi**2
#: Name of the error model of ln U_iso in a model's calibration.
QUANTITY = "u_iso"


def u_iso(
    spectrum: DensityOfStates,
    temperature: ArrayLike,
    *,
    imaginary: str = "drop",
    acoustic: Acoustic = "debye",
) -> Any:
    """Isotropic displacement parameters of the sites.

    Parameters
    ----------
    spectrum : DensityOfStates
        With site densities. Mixed sites have their average mass.
    temperature : array_like
        K, not negative; any shape.
    imaginary : {"drop", "refuse"}
        Modes below zero are left out (phonopy's way), or an error where their share is above
        0.2 %. A crystal with imaginary modes has no harmonic displacements.
    acoustic : {"debye", None}
        Repair near zero; without it values depend on the width of the bins.

    Returns
    -------
    ndarray, shape (n_sites, *temperature.shape)
        U_iso in Å^2, the mean-square displacement along one axis.

    Raises
    ------
    SpectrumError
        Without site densities, for temperatures that are negative or not finite, or options
        that are not known.
    ImaginaryModesError
        If `imaginary="refuse"` and more than 0.2 % of the modes are imaginary.
    """
    _check_imaginary(spectrum, imaginary)
    if acoustic not in ("debye", None):
        raise SpectrumError(f"acoustic={acoustic!r} has to be 'debye' or None.")
    densities, masses = _sites(spectrum), spectrum.crystal.masses
    t = checked_temperatures(temperature)
    values = _u_iso(spectrum.grid, densities, masses, t, acoustic)
    if acoustic is not None:
        values = values * np.exp(_correction(spectrum, densities, t))
    return values.reshape(len(values), *np.shape(temperature))


def u_tensor(spectrum: DensityOfStates, temperature: ArrayLike, **options: Any) -> Any:
    """Mean-square displacement tensors of the sites, in Cartesian axes.

    The model gives their logarithms at 100, 300 and 600 K. In between they are interpolated over
    ln T; beyond, the shape stays that of the nearest temperature, and the size follows `u_iso`.

    Parameters
    ----------
    spectrum : DensityOfStates
        With site densities and `log_displacements`.
    temperature : array_like
        K, not negative; any shape.
    **options
        `imaginary`, as for `u_iso`.

    Returns
    -------
    ndarray, shape (n_sites, *temperature.shape, 3, 3)
        Å^2; a third of the trace is `u_iso`. Symmetric and positive definite; on a site whose
        symmetry says so, isotropic.

    Raises
    ------
    SpectrumError
        The model gives no tensors; else as for `u_iso`.
    ImaginaryModesError
        As for `u_iso`.
    """
    logs = spectrum.log_displacements
    if logs is None:
        raise SpectrumError(
            f"The model {spectrum.model or 'unnamed'!r} gives no displacement tensors, only how "
            "far atoms move on average: use `u_iso`, or a model that has them, such as 'default'."
        )
    size = u_iso(spectrum, temperature, **options)
    t = checked_temperatures(temperature)
    shape = _over_temperatures(logs[:, :, 1:], t)
    tensors = tensors_from_logs(np.concatenate([np.zeros_like(shape[..., :1]), shape], axis=-1))
    tensors = tensors * (3 / np.trace(tensors, axis1=-2, axis2=-1))[..., None, None]
    tensors = tensors.reshape(*size.shape, 3, 3)
    return size[..., None, None] * tensors


def principal_axes(tensors: ArrayLike) -> tuple[Array, Array]:
    """Principal axes of displacement tensors.

    Parameters
    ----------
    tensors : array_like, shape (..., 3, 3)
        Å^2.

    Returns
    -------
    lengths : ndarray, shape (..., 3)
        Mean-square displacements along the axes in Å^2, ascending.
    axes : ndarray, shape (..., 3, 3)
        Unit vectors in rows, in the order of the lengths.
    """
    lengths, vectors = np.linalg.eigh(np.asarray(tensors, dtype=np.float64))
    return lengths, np.swapaxes(vectors, -1, -2)


def _over_temperatures(values: Array, temperatures: Array) -> Array:
    """Values at the model's temperatures, (n, 3, k), at others: (n, n_temperatures, k)."""
    known = np.log(DISPLACEMENT_TEMPERATURES)
    at = np.log(np.clip(temperatures, DISPLACEMENT_TEMPERATURES[0], DISPLACEMENT_TEMPERATURES[-1]))
    upper = np.clip(np.searchsorted(known, at), 1, len(known) - 1)
    share = ((at - known[upper - 1]) / (known[upper] - known[upper - 1]))[:, None]
    return np.asarray(values[:, upper - 1] * (1 - share) + values[:, upper] * share)


def _correction(spectrum: DensityOfStates, densities: Array, temperatures: Array) -> Array:
    """Logarithm of the model's own U_iso over that of its site spectra, (n_sites, n_temperatures).

    Displacements weigh the lowest frequencies as 1/w^2, where binned spectra say least; what the
    model says of displacements themselves is closer. Zero where it says nothing (NaN), as in files
    of former versions on crystals with other masses.
    """
    logs = spectrum.log_displacements
    if logs is None:
        return np.zeros((len(densities), len(temperatures)))
    known = np.array(DISPLACEMENT_TEMPERATURES)
    of_spectra = _u_iso(spectrum.grid, densities, spectrum.crystal.masses, known, "debye")
    own = np.trace(tensors_from_logs(np.nan_to_num(logs)), axis1=-2, axis2=-1) / 3
    ratio = np.where(np.isnan(logs[..., 0]), 0.0, np.log(own / of_spectra))
    return _over_temperatures(ratio[..., None], temperatures)[..., 0]


def logs_for_masses(
    logs: ArrayLike,
    wavenumbers: ArrayLike,
    sites: tuple[ArrayLike, ArrayLike],
    masses: tuple[Array, Array],
) -> Array:
    """Logarithms of displacement tensors for other masses and the same force constants.

    What the model's own tensors are over those of its site spectra comes from the force constants
    and stays, as the axes do. In the classical limit no displacement depends on masses, which is
    exact; what moved spectra lack of it is of low frequencies and grows with T.

    Parameters
    ----------
    logs : array_like, shape (n_sites, 3, 6)
        For the first masses (`ase_e3dos.spectrum.displacement_tensors`).
    wavenumbers : array_like, shape (n,)
        Grid in cm^-1.
    sites : tuple of two array_like, shape (n_sites, n)
        Site spectra for either masses, in any unit.
    masses : tuple of two ndarray, shape (n_sites,)
        amu.

    Returns
    -------
    ndarray, shape (n_sites, 3, 6)
        For the second masses; as for the first where a site has no real modes.
    """
    grid = FrequencyGrid.of(wavenumbers)
    known, classical = np.array(DISPLACEMENT_TEMPERATURES), 1e5
    temperatures = np.append(known, classical)
    before, after = (
        _u_iso(grid, normalised_rows(grid, rows, 3.0, "a site's density"), m, temperatures, "debye")
        for rows, m in zip(sites, masses, strict=True)
    )
    lacking = (before[:, -1:] - after[:, -1:]) * (known / classical)
    before, after = before[:, :-1], np.maximum(after[:, :-1] + lacking, 0.5 * after[:, :-1])
    moved = np.array(logs, dtype=np.float64)
    real = (before > 0) & (after > 0)
    moved[..., 0] += np.log(np.where(real, after, 1.0) / np.where(real, before, 1.0))
    return moved


def u_iso_std(spectrum: DensityOfStates, temperature: ArrayLike) -> Any:
    """Standard deviation of `u_iso` over the ensemble's members, not calibrated.

    The members are totals; at each frequency the sites take the shares of the mean spectrum.

    Parameters
    ----------
    spectrum : DensityOfStates
        With site densities and at least two members.
    temperature : array_like
        K; any shape.

    Returns
    -------
    ndarray, shape (n_sites, *temperature.shape)
        Å^2.

    Raises
    ------
    SpectrumError
        Without site densities or members.
    """
    members = spectrum.members
    if members is None or len(members) < 2:
        raise SpectrumError(
            f"There is no ensemble behind this spectrum of {spectrum.crystal.name}, so its "
            "displacements have no error bars: predict with uncertainty=True and a model of "
            "several members, such as 'default'."
        )
    t, masses = checked_temperatures(temperature), spectrum.crystal.masses
    sites = _sites(spectrum)
    factor = 3.0 * spectrum.crystal.n_sites / spectrum.n_modes
    shares = sites / np.maximum(sites.sum(axis=0), 1e-300)
    values = [_u_iso(spectrum.grid, shares * m * factor, masses, t, "debye") for m in members]
    return np.std(values, axis=0, ddof=1).reshape(len(sites), *np.shape(temperature))


def u_iso_interval(
    spectrum: DensityOfStates, temperature: ArrayLike, level: float = INTERVAL_LEVEL
) -> Any:
    """Calibrated interval of `u_iso`.

    The error is one of ln U_iso: interval ends are U_iso times and over the same factor. Its size
    comes from sites whose spectra are known and whose formulas the networks never saw
    (`ase_e3dos.evaluation.displacement_errors`); between calibrated temperatures it is
    interpolated, beyond the last, where displacements are classical, it stays.

    Parameters
    ----------
    spectrum : DensityOfStates
        With site densities, at least two members and a calibration of displacements.
    temperature : array_like
        K; any shape.
    level : float
        Share of sites like the calibration's whose reference lies inside.

    Returns
    -------
    low, high : ndarray, shape (n_sites, *temperature.shape)
        Å^2.

    Raises
    ------
    SpectrumError
        Without site densities, members or a calibration of displacements.
    """
    std = u_iso_std(spectrum, temperature)  # refuses what has no ensemble
    if not has_interval(spectrum):
        raise SpectrumError(
            f"The error bars of the model {spectrum.model or 'unnamed'!r} are not calibrated for "
            "displacements. `u_iso_std` gives the spread of its ensemble, which is too narrow; "
            "`python docs/models/calibrate_displacements.py WEIGHTS` calibrates a model of yours."
        )
    assert spectrum.calibration is not None
    spreads = spectrum.calibration.spreads[QUANTITY]
    t = checked_temperatures(temperature)
    value = u_iso(spectrum, temperature).reshape(len(std), len(t))
    relative = std.reshape(value.shape) / value
    known = np.array(sorted(spreads))
    covariates = spectrum.error_covariates
    half = np.array([spreads[k].half_width(relative, level, covariates) for k in known])
    factor = np.exp(
        [[np.interp(x, known, half[:, i, k]) for k, x in enumerate(t)] for i in range(len(value))]
    )
    shape = (len(value), *np.shape(temperature))
    return (value / factor).reshape(shape), (value * factor).reshape(shape)


def has_interval(spectrum: DensityOfStates) -> bool:
    """Whether `u_iso_interval` has what it needs."""
    return (
        spectrum.site_density is not None
        and spectrum.members is not None
        and len(spectrum.members) > 1
        and spectrum.calibration is not None
        and bool(spectrum.calibration.spreads.get(QUANTITY))
    )


def mean_square_displacements(
    spectrum: DensityOfStates, temperature: ArrayLike, **options: Any
) -> Any:
    """<u^2> of the sites over all three axes in Å^2: three times `u_iso`, same parameters.

    Parameters
    ----------
    spectrum : DensityOfStates
        With site densities.
    temperature : array_like
        K.
    **options
        As for `u_iso`.

    Returns
    -------
    ndarray, shape (n_sites, ...)
        Å^2; the further axes are those of `temperature`.

    Raises
    ------
    SpectrumError
        Without site densities, or if a temperature is impossible.
    """
    return 3.0 * u_iso(spectrum, temperature, **options)


def b_iso(spectrum: DensityOfStates, temperature: ArrayLike, **options: Any) -> Any:
    """B_iso = 8 pi^2 U_iso of the sites in Å^2; same parameters as `u_iso`.

    Parameters
    ----------
    spectrum : DensityOfStates
        With site densities.
    temperature : array_like
        K.
    **options
        As for `u_iso`.

    Returns
    -------
    ndarray, shape (n_sites, ...)
        Å^2; the further axes are those of `temperature`.

    Raises
    ------
    SpectrumError
        Without site densities, or if a temperature is impossible.
    """
    return B_OVER_U * u_iso(spectrum, temperature, **options)


def _check_imaginary(spectrum: DensityOfStates, imaginary: str) -> None:
    if imaginary not in ("drop", "refuse"):
        raise SpectrumError(
            f"imaginary={imaginary!r} has to be 'drop' or 'refuse': an imaginary mode has no "
            "mean-square displacement."
        )
    share = spectrum.imaginary_fraction
    if imaginary == "refuse" and share > IMAGINARY_TOLERANCE:
        raise ImaginaryModesError(
            f"{share:.1%} of the modes of {spectrum.crystal.name} are imaginary, and "
            "imaginary='refuse' was asked for. Relax the structure, or choose 'drop'."
        )


def _sites(spectrum: DensityOfStates) -> Array:
    """Site densities in states/THz, each of which integrates to 3 whatever the view."""
    sites = spectrum.site_density
    if sites is None:
        raise SpectrumError(
            f"The model {spectrum.model or 'unnamed'!r} gives no site densities, so nothing is "
            "known of how far each atom moves. Use a model that has them, such as 'default'."
        )
    return np.asarray(sites * (3.0 * spectrum.crystal.n_sites / spectrum.n_modes))


def _u_iso(
    grid: FrequencyGrid,
    densities: Array,
    masses: Array,
    temperatures: Array,
    acoustic: Acoustic,
) -> Array:
    """U_iso in Å^2, shape (n_sites, n_temperatures), of site densities (n_sites, n)."""
    total = densities.sum(axis=0)
    sites = acoustic_split(grid, densities, acoustic is not None, total)
    held, edge = float(sites.modes.sum()), float(sites.edge[0])
    at, weights = sites.at_nodes(), nodes()[1]
    # u^2 times 3/u^2 dw: the mean over a w^2 density that ends at the edge
    u, v = np.polynomial.legendre.leggauss(64)
    u, v = (u + 1) / 2, v / 2 * 3 * ((u + 1) / 2) ** 2
    result = np.empty((len(densities), len(temperatures)))
    for k, temperature in enumerate(temperatures):
        value = sites.integrals(_per_mode(at, float(temperature)), weights)
        if edge > 0:
            debye = float(_per_mode(u * edge, float(temperature)) @ v)
            value = value + held * debye * masses / masses.sum()
        result[:, k] = value / (3 * masses)
    return result


def _per_mode(wavenumbers: Array, temperature: float) -> Array:
    """Product m <u^2> of a mode in amu Å^2: hbar^2 / (2 E) coth(E / 2 k_B T)."""
    from scipy.constants import atomic_mass, elementary_charge, hbar

    c = constants()
    energy = np.maximum(wavenumbers, 1e-9) * (c.thz_to_ev / c.thz_to_cm)
    unit = hbar**2 / (atomic_mass * 1e-20) / elementary_charge  # hbar^2 / (amu Å^2) in eV
    if temperature == 0.0:
        return np.asarray(unit / (2 * energy))
    x = np.clip(energy / (2 * c.boltzmann_ev * temperature), 1e-12, 350.0)
    return np.asarray(unit / (2 * energy) / np.tanh(x))
