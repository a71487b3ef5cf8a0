"""Where a curve with an error bar changes its sign."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ase_e3dos.spectrum.grid import Array

__all__ = ["Bounds", "Crossing", "bounds_of", "crossing_at", "crossings"]


@dataclass(frozen=True, slots=True)
class Bounds:
    """Where a crossing may lie within the error.

    Attributes
    ----------
    interval : tuple of float
        K.
    open_ends : tuple of bool
        Whether the ends of the interval are those of the temperatures asked for, and no bounds.
    """

    interval: tuple[float, float]
    open_ends: tuple[bool, bool]

    def __str__(self) -> str:
        low, high = (f"{v:.0f}" for v in self.interval)
        if all(self.open_ends):
            return f"not bounded from {low} to {high} K"
        if self.open_ends[0]:
            return f"below {high} K"
        return f"above {low} K" if self.open_ends[1] else f"{low} to {high} K"


@dataclass(frozen=True, slots=True)
class Crossing:
    """A temperature at which a free energy changes its sign.

    Attributes
    ----------
    temperature : float
        K.
    bounds : Bounds or None
        Of the 90 % interval; None without error bars.
    rising : bool
        Whether the sign changes from negative to positive.
    """

    temperature: float
    bounds: Bounds | None
    rising: bool

    @property
    def interval(self) -> tuple[float, float] | None:
        """Where it may lie within the 90 % interval, K; None without error bars."""
        return None if self.bounds is None else self.bounds.interval

    @property
    def open_ends(self) -> tuple[bool, bool]:
        """Whether the ends of the interval are those of the temperatures, and no bounds."""
        return (False, False) if self.bounds is None else self.bounds.open_ends

    def __str__(self) -> str:
        text = f"{self.temperature:.0f} K"
        return text if self.bounds is None else f"{text} ({self.bounds})"


def crossings(t: Array, y: Array, half: Array | None) -> tuple[Crossing, ...]:
    """Where y(t), with intervals y +- half, changes its sign.

    Parameters
    ----------
    t : ndarray, shape (n,)
        K, ascending.
    y : ndarray, shape (n,)
    half : ndarray, shape (n,), or None

    Returns
    -------
    tuple of Crossing
        By temperature.
    """
    found = []
    for k in map(int, np.flatnonzero(np.diff(_signs(y)))):
        bounds = None if half is None else bounds_of(t, y, half, k)
        found.append(Crossing(crossing_at(t, y, k), bounds, bool(y[k + 1] > 0)))
    return tuple(found)


def bounds_of(t: Array, y: Array, half: Array, k: int) -> Bounds:
    """Bounds of the crossing of y between t[k] and t[k + 1] where y is known to +- half.

    Parameters
    ----------
    t, y, half : ndarray, shape (n,)
        Temperatures in K, values, and half widths of their intervals.
    k : int

    Returns
    -------
    Bounds
    """
    within = np.abs(y) <= half
    first, last = k, k + 1
    while first > 0 and within[first]:
        first -= 1
    while last < len(t) - 1 and within[last]:
        last += 1
    ends = bool(within[first]), bool(within[last])
    bound = half if y[k + 1] > y[k] else -half
    start = float(t[0]) if ends[0] else _level(t, y + bound, first)
    end = float(t[-1]) if ends[1] else _level(t, y - bound, last - 1)
    at = crossing_at(t, y, k)
    return Bounds((min(start, at), max(end, at)), ends)


def crossing_at(t: Array, y: Array, k: int) -> float:
    """Zero of y between t[k] and t[k + 1], on a straight line.

    Parameters
    ----------
    t, y : ndarray, shape (n,)
        Places, ascending, and values of opposite signs at the two.
    k : int
        Index of the place before the zero.

    Returns
    -------
    float
        In the unit of `t`.
    """
    return float(t[k] + (t[k + 1] - t[k]) * y[k] / (y[k] - y[k + 1]))


def _level(t: Array, y: Array, k: int) -> float:
    crosses = y[k] * y[k + 1] <= 0 and y[k] != y[k + 1]
    return crossing_at(t, y, k) if crosses else float(t[k])


def _signs(y: Array) -> Array:
    """Sign of each value; an exact zero takes that of the last nonzero value before it."""
    signs = np.sign(y)
    last = np.maximum.accumulate(np.where(signs != 0, np.arange(len(y)), 0))
    filled = signs[last]
    filled[filled == 0] = next((v for v in filled if v), 0.0)  # zeros at the beginning
    return np.asarray(filled, dtype=np.float64)
