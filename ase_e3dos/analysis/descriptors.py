"""Numbers that describe a spectrum: edges, gaps, moments, Debye and Einstein temperatures.

All are functions of the density alone. `describe` gathers them for one spectrum and
`descriptor_columns` for the rows of a screen. Imaginary modes are left out throughout.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from ase_e3dos.analysis.acoustic import acoustic_split, nodes
from ase_e3dos.errors import SpectrumError
from ase_e3dos.spectrum.constants import constants
from ase_e3dos.spectrum.grid import Array, FrequencyGrid
from ase_e3dos.spectrum.thermal import thermal_property

if TYPE_CHECKING:
    from ase_e3dos.spectrum.density_of_states import DensityOfStates

#: Density below which a frequency counts as empty, as a fraction of the mean over the band.
GAP_THRESHOLD = 0.1
#: Narrowest gap that is reported, cm^-1.
NARROWEST_GAP = 15.0
#: Shares of the modes below the lower and above the upper edge of the band.
EDGE_SHARES = (2e-3, 1e-2)
#: Share beyond which there is no gap to look for, on either side.
_OUTSIDE = 2e-3
#: Height of the last peak over the highest one, as in pymatgen's `PhononDos.get_last_peak`.
PEAK_THRESHOLD = 0.1


@dataclass(frozen=True, slots=True)
class Gap:
    """An empty range between two bands, cm^-1."""

    low: float
    high: float

    @property
    def width(self) -> float:
        """cm^-1."""
        return self.high - self.low


def band_gaps(
    spectrum: DensityOfStates,
    *,
    threshold: float = GAP_THRESHOLD,
    narrowest: float = NARROWEST_GAP,
) -> list[Gap]:
    """Gaps between the bands, ascending.

    Parameters
    ----------
    spectrum : DensityOfStates
    threshold : float
        A frequency is empty where the density is below this fraction of the mean density
        over the band, its outermost 0.2 % at either end left out.
    narrowest : float
        Gaps narrower than this (cm^-1) are left out.
    """
    return [Gap(*g) for g in _gaps(spectrum.grid, spectrum.density, threshold, narrowest)]


def band_edges(
    spectrum: DensityOfStates, shares: tuple[float, float] = EDGE_SHARES
) -> tuple[float, float]:
    """Wavenumbers (cm^-1) below and above which these shares of the real modes lie."""
    levels = [shares[0], 1 - shares[1]]
    low, high = _quantiles(spectrum.grid, spectrum.density[None], levels)[0]
    return float(low), float(high)


def peaks(
    spectrum: DensityOfStates, *, threshold: float = PEAK_THRESHOLD, prominence: float = 0.05
) -> Array:
    """Wavenumbers of the maxima in cm^-1, refined by a parabola through three points.

    Parameters
    ----------
    spectrum : DensityOfStates
    threshold, prominence : float
        Least height, and least height above the higher of the neighbouring minima, as
        fractions of the highest density.

    Returns
    -------
    ndarray, shape (n_peaks,)
        cm^-1, ascending.
    """
    return peak_positions(spectrum.wavenumbers, spectrum.density, threshold, prominence)


def peak_positions(
    x: Array, y: Array, threshold: float = PEAK_THRESHOLD, prominence: float = 0.05
) -> Array:
    """Positions of the maxima of sampled values at uniform x > 0; see `peaks`.

    Parameters
    ----------
    x : ndarray, shape (n,)
        Uniform, ascending, in any unit.
    y : ndarray, shape (n,)
    threshold, prominence : float
        As for `peaks`.

    Returns
    -------
    ndarray, shape (n_peaks,)
        In the unit of x.
    """
    from scipy.signal import find_peaks

    y = np.where(x > 0, y, 0.0)
    top = float(y.max(initial=0.0))
    padded = np.concatenate([[0.0], y, [0.0]])
    found = find_peaks(padded, height=threshold * top, prominence=prominence * top)[0]
    before, at, after = (padded[found + k] for k in (-1, 0, 1))
    bend = before - 2 * at + after
    shift = np.where(bend < 0, 0.5 * (before - after) / np.minimum(bend, -1e-300), 0.0)
    return np.asarray(x[found - 1] + np.clip(shift, -0.5, 0.5) * (x[1] - x[0]))


def last_peak(spectrum: DensityOfStates, threshold: float = PEAK_THRESHOLD) -> float:
    """Wavenumber (cm^-1) of the last maximum at least `threshold` as high as the highest one.

    The target of Matbench's phonon task (Dunn et al., *npj Comput. Mater.* 6, 138 (2020)), as
    pymatgen's `PhononDos.get_last_peak` finds it, refined between the points of the grid.
    """
    return float(_last_peaks(spectrum.grid, spectrum.density[None], threshold)[0])


def moment(spectrum: DensityOfStates, order: int) -> float:
    """<w^order> over the real modes, in cm^-order; order 0 is exp<ln w> in cm^-1.

    Orders from -2 to any positive one; near zero the density follows the acoustic w^2 law (see
    `ase_e3dos.spectrum.thermal`), so that negative orders are finite.
    """
    return float(_moments(spectrum.grid, spectrum.density[None], order)[0])


def debye_temperature(spectrum: DensityOfStates, order: int = 2) -> float:
    """Debye temperature in K of the Debye solid with the same moment.

    k_B theta_n = hbar ((n + 3)/3 <w^n>)^(1/n), and hbar exp(1/3 + <ln w>) for n = 0 (G. Grimvall,
    *Thermophysical Properties of Materials*, 1999, ch. 6). n = 2 governs C_V at high
    temperature, n = 0 the entropy, n = 1 the zero-point energy, n = -2 displacements.
    """
    return float(_debye(spectrum.grid, spectrum.density[None], order)[0])


def debye_temperature_from_heat_capacity(
    spectrum: DensityOfStates, temperature: ArrayLike = 300.0
) -> Any:
    """Debye temperature in K of the Debye solid with the same C_V; float or array.

    At temperatures where C_V is within 0.1 % of its classical limit the answer is that of the
    second moment, to which it tends; nan where there is no heat capacity to speak of.

    Parameters
    ----------
    spectrum : DensityOfStates
    temperature : array_like
        K.

    Returns
    -------
    float or ndarray
        K, of the shape of `temperature`.

    Raises
    ------
    SpectrumError
        If a temperature is impossible.
    """
    t = np.asarray(temperature, dtype=np.float64)
    real = spectrum.n_modes * (1 - spectrum.imaginary_fraction)
    c = np.asarray(spectrum.heat_capacity(t)) / (real * constants().gas_constant)
    high = debye_temperature(spectrum, 2)
    x, share = _debye_heat_capacity()
    found = np.interp(c, share[::-1], x[::-1], left=np.nan) * t
    theta = np.where(c > 0.999, high, found)
    return theta if theta.ndim else float(theta)


def einstein_fit(
    spectrum: DensityOfStates, n_modes: int = 1, temperatures: ArrayLike | None = None
) -> tuple[Array, Array]:
    """Einstein temperatures and weights whose C_V follows that of the spectrum.

    Parameters
    ----------
    spectrum : DensityOfStates
    n_modes : int
        Number of Einstein modes, 1 to 4.
    temperatures : array_like, optional
        Where C_V is fitted, K; 30 to 1000 K in equal logarithmic steps if not given.

    Returns
    -------
    temperatures : ndarray, shape (n_modes,)
        K, ascending.
    weights : ndarray, shape (n_modes,)
        Shares of the real modes; they sum to one.

    Raises
    ------
    SpectrumError
        If `n_modes` is not from 1 to 4, or a temperature is impossible.
    """
    from scipy.optimize import least_squares

    if not 1 <= n_modes <= 4:
        raise SpectrumError(f"An Einstein fit has 1 to 4 modes; got {n_modes!r}.")
    t = np.geomspace(30.0, 1000.0, 60) if temperatures is None else np.ravel(temperatures)
    real = spectrum.n_modes * (1 - spectrum.imaginary_fraction)
    wanted = np.asarray(spectrum.heat_capacity(t)) / (real * constants().gas_constant)
    levels = (np.arange(n_modes) + 0.5) / n_modes
    start = _quantiles(spectrum.grid, spectrum.density[None], levels)[0]
    start = np.maximum(start, 10.0) * constants().kelvin_per_cm

    def unpacked(p: Array) -> tuple[Array, Array]:
        shares = np.exp(np.append(p[n_modes:], 0.0) - max(0.0, *p[n_modes:], 0.0))
        return np.exp(p[:n_modes]), shares / shares.sum()

    def residual(p: Array) -> Array:
        theta, shares = unpacked(p)
        x = np.clip(theta / t[:, None], 1e-9, 600.0)
        return np.asarray((x**2 * np.exp(-x) / np.expm1(-x) ** 2) @ shares - wanted)

    fit = least_squares(residual, np.append(np.log(start), np.zeros(n_modes - 1)))
    theta, shares = unpacked(fit.x)
    order = np.argsort(theta)
    return theta[order], shares[order]


def similarity(a: DensityOfStates, b: DensityOfStates, kind: str = "overlap") -> float:
    """How alike two densities per mode are, on the finer of their grids.

    Parameters
    ----------
    a, b : DensityOfStates
    kind : {"overlap", "cosine", "tanimoto", "wasserstein"}
        Integral of the smaller of the two normalised densities (1 for equal ones); their
        cosine; a.b / (a.a + b.b - a.b), the measure of pymatgen's fingerprints; or the mean
        distance in cm^-1 by which modes move from one to the other (0 for equal ones).

    Returns
    -------
    float
        Without unit, or in cm^-1 for "wasserstein".

    Raises
    ------
    SpectrumError
        If the kind is unknown.
    """
    step = min(a.grid.step, b.grid.step)
    low = min(a.wavenumbers[0], b.wavenumbers[0]) - step
    high = max(a.wavenumbers[-1], b.wavenumbers[-1]) + step
    edges = np.arange(low, high + step, step)
    p, q = (np.diff(s.grid.cumulative(s.density, edges)) / s.n_modes for s in (a, b))
    if kind == "wasserstein":
        return float(np.abs(np.cumsum(p - q)).sum() * step)
    if kind == "overlap":
        return float(np.minimum(p, q).sum())
    if kind == "cosine":
        return float(p @ q / np.sqrt((p @ p) * (q @ q)))
    if kind == "tanimoto":
        return float(p @ q / (p @ p + q @ q - p @ q))
    raise SpectrumError(
        f"kind={kind!r} has to be 'overlap', 'cosine', 'tanimoto' or 'wasserstein'."
    )


#: Column -> (unit, meaning), in order.
COLUMNS: dict[str, tuple[str, str]] = {
    "lower_edge": ("cm^-1", "0.2 % of the real modes lie below"),
    "upper_edge": ("cm^-1", "1 % of the real modes lies above"),
    "band_width": ("cm^-1", "upper edge minus lower edge"),
    "last_peak": ("cm^-1", "last maximum of at least a tenth of the largest one"),
    "n_gaps": ("", "gaps of 15 cm^-1 and more"),
    "largest_gap": ("cm^-1", "width; 0 without a gap"),
    "largest_gap_center": ("cm^-1", "nan without a gap"),
    "mean_wavenumber": ("cm^-1", "<w>"),
    "rms_wavenumber": ("cm^-1", "<w^2>^(1/2)"),
    "log_wavenumber": ("cm^-1", "exp <ln w>"),
    "inverse_wavenumber": ("cm^-1", "<w^-1>^-1"),
    "skewness": ("", "of the distribution of the modes"),
    "debye_temperature_2": ("K", "from <w^2>: heat capacity at high temperature"),
    "debye_temperature_0": ("K", "from <ln w>: entropy at high temperature"),
    "debye_temperature_minus2": ("K", "from <w^-2>: displacements"),
    "debye_temperature_heat_capacity": ("K", "from C_V at 100 K"),
    "einstein_temperature": ("K", "of one mode with the same C_V at 100 K"),
}


def describe(spectrum: DensityOfStates) -> dict[str, float]:
    """All descriptors of `COLUMNS` for one spectrum."""
    columns = descriptor_columns(spectrum.grid, spectrum.density[None])
    return {name: float(values[0]) for name, values in columns.items()}


def descriptor_columns(grid: FrequencyGrid, densities: Array) -> dict[str, Array]:
    """All descriptors of `COLUMNS` for many spectra on one grid.

    Parameters
    ----------
    grid : FrequencyGrid
    densities : ndarray, shape (n_structures, n)
        In any unit; the density per mode is meant.

    Returns
    -------
    dict
        Column -> ndarray of shape (n_structures,).
    """
    y = np.asarray(densities, dtype=np.float64)
    edges = _quantiles(grid, y, [EDGE_SHARES[0], 1 - EDGE_SHARES[1]])
    gaps = [_gaps(grid, row, GAP_THRESHOLD, NARROWEST_GAP) for row in y]
    largest = [max(g, key=lambda gap: gap[1] - gap[0], default=None) for g in gaps]
    first, second, third = (_moments(grid, y, k) for k in (1, 2, 3))
    variance = np.maximum(second - first**2, 1e-300)
    real = _real_modes(grid, y)
    share = thermal_property(grid, y, "heat_capacity", [100.0])[:, 0]
    share = share / (real * constants().gas_constant)
    x, debye = _debye_heat_capacity()
    u = np.geomspace(1e-3, 100.0, 4000)
    einstein = u**2 * np.exp(-u) / np.expm1(-u) ** 2
    return {
        "lower_edge": edges[:, 0],
        "upper_edge": edges[:, 1],
        "band_width": edges[:, 1] - edges[:, 0],
        "last_peak": _last_peaks(grid, y, PEAK_THRESHOLD),
        "n_gaps": np.array([float(len(g)) for g in gaps]),
        "largest_gap": np.array([g[1] - g[0] if g else 0.0 for g in largest]),
        "largest_gap_center": np.array([(g[1] + g[0]) / 2 if g else np.nan for g in largest]),
        "mean_wavenumber": first,
        "rms_wavenumber": np.sqrt(second),
        "log_wavenumber": _moments(grid, y, 0),
        "inverse_wavenumber": 1 / _moments(grid, y, -1),
        "skewness": (third - 3 * first * second + 2 * first**3) / variance**1.5,
        "debye_temperature_2": _debye(grid, y, 2),
        "debye_temperature_0": _debye(grid, y, 0),
        "debye_temperature_minus2": _debye(grid, y, -2),
        "debye_temperature_heat_capacity": np.interp(share, debye[::-1], x[::-1]) * 100.0,
        "einstein_temperature": np.interp(share, einstein[::-1], u[::-1]) * 100.0,
    }


def _real_modes(grid: FrequencyGrid, densities: Array) -> Array:
    masses = grid.pieces(densities)[2][:, max(grid.zero_knot, 0) :]
    return np.asarray(np.maximum(masses.sum(axis=1), 1e-300))


def _quantiles(grid: FrequencyGrid, densities: Array, levels: ArrayLike) -> Array:
    """Wavenumbers below which shares of the real modes lie, shape (n_structures, n_levels)."""
    from ase_e3dos.spectrum.modes import quantile_modes

    wanted = np.asarray(levels, dtype=np.float64)
    zero = max(grid.zero_knot, 0)
    found = []
    for row in densities:
        masses = grid.pieces(row)[2]
        below = masses[:zero].sum() / masses.sum()
        modes = quantile_modes(grid, row, below + wanted * (1 - below))
        found.append(modes * constants().thz_to_cm)
    return np.asarray(found)


def _gaps(
    grid: FrequencyGrid, density: Array, threshold: float, narrowest: float
) -> list[tuple[float, float]]:
    low, high = _quantiles(grid, density[None], [_OUTSIDE, 1 - _OUTSIDE])[0]
    inside = (grid.wavenumbers >= low) & (grid.wavenumbers <= high)
    if inside.sum() < 3:
        return []
    empty = inside & (density < threshold * density[inside].mean())
    steps = np.diff(np.concatenate([[0], empty.astype(int), [0]]))
    starts, ends = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1) - 1
    x, half = grid.wavenumbers, grid.step / 2
    found = [(float(x[a] - half), float(x[b] + half)) for a, b in zip(starts, ends, strict=True)]
    # the rise from zero and the fall to zero at the ends of the band are not gaps
    return [(a, b) for a, b in found if b - a >= narrowest and a > low + half and b < high - half]


def _last_peaks(grid: FrequencyGrid, densities: Array, threshold: float) -> Array:
    found = []
    for row in densities:
        positions = peak_positions(grid.wavenumbers, row, threshold, 0.0)
        found.append(positions[-1] if len(positions) else np.nan)
    return np.asarray(found)


def _moments(grid: FrequencyGrid, densities: Array, order: int) -> Array:
    """<w^order> in cm^-order, or exp<ln w>, over the real modes of each density."""
    if order < -2:
        raise SpectrumError(
            f"The moment of order {order} of an acoustic density does not exist: -2 is the lowest."
        )

    def power(w: Array) -> Array:
        return np.asarray(np.log(w) if order == 0 else w ** float(order))

    split = acoustic_split(grid, densities)
    above = split.integrals(power(np.maximum(split.at_nodes(), 1e-9)), nodes()[1])
    ends = split.edge
    # mean of w^n over 3 w^2 / W^3: 3 / (n + 3) W^n; of ln w: ln W - 1/3
    debye = np.log(ends) - 1 / 3 if order == 0 else 3 / (order + 3) * ends ** float(order)
    total = (above + split.modes * debye) / _real_modes(grid, densities)
    total[np.asarray(split.modes + above == 0)] = np.nan  # no real modes
    return np.exp(total) if order == 0 else total


def _debye(grid: FrequencyGrid, densities: Array, order: int) -> Array:
    value = _moments(grid, densities, order)
    cutoff = value * np.exp(1 / 3) if order == 0 else ((order + 3) / 3 * value) ** (1 / order)
    return np.asarray(cutoff * constants().kelvin_per_cm)


def _debye_heat_capacity() -> tuple[Array, Array]:
    """Values of theta / T ascending, and C_V over its classical limit there, descending."""
    x = np.geomspace(1e-3, 100.0, 4000)
    u, v = np.polynomial.legendre.leggauss(96)
    u, v = (u + 1) / 2, v / 2
    y = x[:, None] * u
    f = y**2 * np.exp(-y) / np.expm1(-y) ** 2
    return x, (3 * u**2 * f) @ v
