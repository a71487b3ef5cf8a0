"""Wavenumber grids, and what a density on a grid means between its points."""

from __future__ import annotations

from functools import cache, cached_property, lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ase_e3dos.errors import SpectrumError, shortly
from ase_e3dos.spectrum.constants import constants

Array = NDArray[np.float64]

#: Where the published 1 cm^-1 spectra of stable crystals begin (cm^-1).
PUBLISHED_START = -2.414220753382029


class FrequencyGrid:
    """A uniform, ascending grid of wavenumbers; negative ones are imaginary modes.

    Between its points a density is linear (`ase_e3dos.spectrum.pieces` says where bins are taken
    as bins instead). Where zero falls between two points, each of them keeps its half of the
    trapezoid on its own side of zero, spread evenly, so that weight never crosses from real to
    imaginary modes. Grids are compared and cached by value: `FrequencyGrid.of`.

    Parameters
    ----------
    wavenumbers : array_like, shape (n,)
        cm^-1, at least three, finite, ascending, equally spaced to 1e-6.

    Raises
    ------
    SpectrumError
        If the wavenumbers are not such a grid.
    """

    def __init__(self, wavenumbers: ArrayLike) -> None:
        x = np.array(wavenumbers, dtype=np.float64)
        if x.ndim != 1 or len(x) < 3 or not np.isfinite(x).all():
            raise SpectrumError(
                f"A frequency grid is a list of at least three finite wavenumbers; got an array "
                f"of shape {x.shape}. Give the cm^-1 grid of the densities."
            )
        steps = np.diff(x)
        step = (x[-1] - x[0]) / (len(x) - 1)
        if step <= 0 or np.abs(steps - step).max() > 1e-6 * max(step, abs(x[-1])):
            raise SpectrumError(
                "The wavenumbers of a spectrum have to ascend in equal steps (here they range "
                f"from {steps.min():g} to {steps.max():g} cm^-1). Interpolate the density to a "
                "uniform grid first."
            )
        if x[-1] <= 0:
            raise SpectrumError(
                f"The grid ends at {x[-1]:g} cm^-1, where all modes are imaginary. Spectra need "
                "real frequencies, in cm^-1 and positive."
            )
        x.flags.writeable = False
        self.wavenumbers: Array = x
        self.step = float(step)

    @staticmethod
    def of(wavenumbers: ArrayLike | FrequencyGrid) -> FrequencyGrid:
        """Return the one grid object with these wavenumbers.

        Parameters
        ----------
        wavenumbers : array_like, shape (n,), or FrequencyGrid
            cm^-1, at least three, finite, ascending, equally spaced to 1e-6.

        Returns
        -------
        FrequencyGrid

        Raises
        ------
        SpectrumError
            If they are not such a grid.
        """
        if isinstance(wavenumbers, FrequencyGrid):
            return wavenumbers
        return _grid_of(np.ascontiguousarray(wavenumbers, dtype=np.float64).tobytes())

    def __len__(self) -> int:
        return len(self.wavenumbers)

    def __repr__(self) -> str:
        x = self.wavenumbers
        return f"FrequencyGrid({x[0]:g}..{x[-1]:g} cm^-1, {len(x)} points every {self.step:g})"

    def __reduce__(self) -> tuple[object, ...]:
        return FrequencyGrid.of, (self.wavenumbers,)

    @cached_property
    def frequencies(self) -> Array:
        """Frequencies in THz, shape (n,)."""
        return _frozen(self.wavenumbers / constants().thz_to_cm)

    @cached_property
    def trapezoid(self) -> Array:
        """Weights of the trapezoid rule over the frequencies in THz, shape (n,)."""
        weights = np.full(len(self), self.step / constants().thz_to_cm)
        weights[[0, -1]] /= 2
        return _frozen(weights)

    @cached_property
    def knots(self) -> Array:
        """Ends of the pieces in cm^-1: the points, and zero where it lies between two.

        Returns
        -------
        ndarray, shape (n_pieces + 1,)
            cm^-1, ascending.
        """
        x = self.wavenumbers
        if self.zero_knot < 0 or 0.0 in x:
            return x
        return _frozen(np.insert(x, self.zero_knot, 0.0))

    @cached_property
    def zero_knot(self) -> int:
        """Index of zero among the knots; -1 where the grid does not reach below zero."""
        x = self.wavenumbers
        if x[0] > 0 or x[-1] < 0:
            return -1
        return int(np.searchsorted(x, 0.0))

    @cached_property
    def is_split(self) -> bool:
        """Whether zero lies between two points."""
        return len(self.knots) > len(self)

    def pieces(self, density: Array) -> tuple[Array, Array, Array]:
        """Left values, right values and masses of the pieces between the knots.

        Parameters
        ----------
        density : ndarray, shape (..., n)
            In states/THz.

        Returns
        -------
        left, right : ndarray, shape (..., n_knots - 1)
            states/THz at the ends of each piece, linear between.
        masses : ndarray, shape (..., n_knots - 1)
            Modes in each piece.
        """
        left, right = density[..., :-1], density[..., 1:]
        if self.is_split:
            k, widths = self.zero_knot, np.diff(self.knots)
            below = density[..., k - 1] * (self.step / 2 / widths[k - 1])
            above = density[..., k] * (self.step / 2 / widths[k])
            halves = np.stack([below, above], axis=-1)
            left = np.concatenate([left[..., : k - 1], halves, left[..., k:]], axis=-1)
            right = np.concatenate([right[..., : k - 1], halves, right[..., k:]], axis=-1)
        else:
            widths = np.full(len(self) - 1, self.step)
        return left, right, (left + right) * (widths / (2 * constants().thz_to_cm))

    @cached_property
    def is_binned(self) -> bool:
        """Whether the points are centres of bins, one edge at zero, as in the default model."""
        return self.is_split and abs(self.wavenumbers[self.zero_knot] - self.step / 2) < 1e-9

    def binned(self, density: Array, wavenumbers: ArrayLike) -> Array:
        """Modes below each wavenumber, the weight of each bin spread evenly over it.

        Parameters and result as for `cumulative`; the grid has to be one of bins.

        Parameters
        ----------
        density : ndarray, shape (n,)
            states/THz.
        wavenumbers : ndarray, shape (m,)
            cm^-1, ascending.

        Returns
        -------
        ndarray, shape (m,)
            Modes.
        """
        modes = np.cumsum(density * self.trapezoid)
        edges = bin_edges(self.wavenumbers)
        x = np.asarray(wavenumbers, dtype=np.float64)
        return np.asarray(np.interp(x, edges, np.concatenate([[0.0], modes])))

    def cumulative(self, density: Array, wavenumbers: ArrayLike) -> Array:
        """Modes below each wavenumber: the exact integral of the density of the class docstring.

        Parameters
        ----------
        density : ndarray, shape (n,)
            In states/THz.
        wavenumbers : array_like, shape (m,)
            In cm^-1.

        Returns
        -------
        ndarray, shape (m,)
        """
        left, right, masses = self.pieces(density)
        x = np.clip(np.asarray(wavenumbers, dtype=np.float64), self.knots[0], self.knots[-1])
        k = np.clip(np.searchsorted(self.knots, x, side="right") - 1, 0, len(masses) - 1)
        start = np.concatenate([[0.0], np.cumsum(masses)])[k]
        width = self.knots[k + 1] - self.knots[k]
        t = (x - self.knots[k]) / width
        inside = (left[k] + (right[k] - left[k]) * (t / 2)) * t * width
        return np.asarray(start + inside / constants().thz_to_cm)


def named_grid(name: str) -> FrequencyGrid:
    """Return the grid of a built-in model: "paper", "imaginary" or "default".

    Parameters
    ----------
    name : str
        "paper", "imaginary" or "default".

    Returns
    -------
    FrequencyGrid

    Raises
    ------
    SpectrumError
        If there is no grid of this name.

    Examples
    --------
    >>> named_grid("paper")
    FrequencyGrid(0..1000 cm^-1, 51 points every 20)
    """
    grids = {
        "paper": (0.0, 20.0, 51),
        "imaginary": (-200.0, 20.0, 61),
        "default": (-395.0, 10.0, 480),
    }
    if name not in grids:
        raise SpectrumError(
            f"There is no grid named {name!r}: choose from {', '.join(grids)}, "
            "or give the wavenumbers."
        )
    start, step, n = grids[name]
    return FrequencyGrid.of(start + step * np.arange(n))


def bin_edges(wavenumbers: ArrayLike) -> Array:
    """Edges half-way between wavenumbers, the outer bins symmetric.

    Parameters
    ----------
    wavenumbers : array_like, shape (n,)
        cm^-1, ascending.

    Returns
    -------
    ndarray, shape (n + 1,)
        cm^-1.

    Raises
    ------
    SpectrumError
        If they are fewer than two, not finite, or do not ascend.
    """
    x = finite_wavenumbers(wavenumbers)
    if x.ndim != 1 or len(x) < 2 or (np.diff(x) <= 0).any():
        raise SpectrumError(
            "The wavenumbers to average a spectrum on have to be at least two, finite and "
            "ascending, in cm^-1."
        )
    middle = (x[1:] + x[:-1]) / 2
    return np.concatenate([[1.5 * x[0] - 0.5 * x[1]], middle, [1.5 * x[-1] - 0.5 * x[-2]]])


def finite_wavenumbers(wavenumbers: ArrayLike) -> Array:
    """Wavenumbers as an array.

    Parameters
    ----------
    wavenumbers : array_like
        cm^-1, of any shape.

    Returns
    -------
    ndarray
        Of the same shape.

    Raises
    ------
    SpectrumError
        One is not a finite number.
    """
    try:
        x = np.asarray(wavenumbers, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        x = np.array([np.nan])
    if not np.isfinite(x).all():
        raise SpectrumError(
            f"Wavenumbers have to be finite numbers, in cm^-1; got {shortly(wavenumbers)}."
        )
    return x


def paper_label(grid: FrequencyGrid, density: Array, wavenumbers: ArrayLike) -> Array:
    """Density as the paper's labels are made from 1 cm^-1 spectra.

    The spectrum is resampled at 1 cm^-1 over the range where it has weight,
    smoothed with a Savitzky-Golay filter (window 101, order 3), sampled on the
    grid and clipped at zero (zero outside the range).

    Parameters
    ----------
    grid : FrequencyGrid
        Grid of the density.
    density : ndarray, shape (n,)
        Any unit.
    wavenumbers : array_like, shape (m,)
        cm^-1.

    Returns
    -------
    ndarray, shape (m,)
        In the unit of `density`.

    Raises
    ------
    SpectrumError
        If a wavenumber is not finite.
    """
    counts = np.cumsum(density)
    counts /= counts[-1]
    low, high = grid.wavenumbers[np.searchsorted(counts, [1e-3, 1 - 1e-6])]
    start = PUBLISHED_START if low >= 0 else np.floor(low) - 1.0
    x = np.arange(start, max(high, start + 101.0) + 60.0)
    smooth = _smoothed(np.interp(x, grid.wavenumbers, density, left=0.0, right=0.0))
    at = finite_wavenumbers(wavenumbers)
    return np.asarray(np.maximum(np.interp(at, x, smooth, left=0.0, right=0.0), 0.0))


def _smoothed(y: Array) -> Array:
    """Savitzky-Golay filter of window 101 and order 3, cubic fits at the ends; as scipy's."""
    inside, end = _savitzky_golay()
    middle = np.convolve(y, inside, mode="valid")
    return np.concatenate([end @ y[:101], middle, (end @ y[:-102:-1])[::-1]])


@cache
def _savitzky_golay() -> tuple[Array, Array]:
    """Weights of the middle of a window (101,), and of its first 50 points (50, 101)."""
    powers = np.vander(np.linspace(-1.0, 1.0, 101), 4)
    fit = powers @ np.linalg.pinv(powers)
    return fit[50], fit[:50]


def _frozen(array: Array) -> Array:
    array.flags.writeable = False
    return array


@lru_cache(maxsize=128)
def _grid_of(data: bytes) -> FrequencyGrid:
    return FrequencyGrid(np.frombuffer(data, dtype=np.float64))
