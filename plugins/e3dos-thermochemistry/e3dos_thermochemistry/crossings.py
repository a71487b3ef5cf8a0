"""Where a curve with an error bar changes its sign."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from e3dos_thermochemistry.error_bars import Array


@dataclass(frozen=True, slots=True)
class Crossing:
    """A temperature at which a free energy changes its sign.

    Attributes
    ----------
    temperature : float
        K.
    interval : tuple of float or None
        Where it may lie within the 90 % interval, K; None without error bars.
    open_ends : tuple of bool
        Whether the ends of the interval are those of the temperatures asked for, and no bounds.
    rising : bool
        Whether the sign changes from negative to positive.
    """

    temperature: float
    interval: tuple[float, float] | None
    open_ends: tuple[bool, bool]
    rising: bool

    def __str__(self) -> str:
        text = f"{self.temperature:.0f} K"
        if self.interval is None:
            return text
        low, high = (f"{v:.0f}" for v in self.interval)
        if all(self.open_ends):
            return f"{text} (not bounded from {low} to {high} K)"
        if self.open_ends[0]:
            return f"{text} (below {high} K)"
        return f"{text} (above {low} K)" if self.open_ends[1] else f"{text} ({low} to {high} K)"


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
        at = _zero(t, y, k)
        interval, ends = None, (False, False)
        if half is not None:
            within = np.abs(y) <= half
            first, last = k, k + 1
            while first > 0 and within[first]:
                first -= 1
            while last < len(t) - 1 and within[last]:
                last += 1
            ends = bool(within[first]), bool(within[last])
            rising = bool(y[k + 1] > 0)
            bound = half if rising else -half
            start = float(t[0]) if ends[0] else _level(t, y + bound, first)
            end = float(t[-1]) if ends[1] else _level(t, y - bound, last - 1)
            interval = min(start, at), max(end, at)
        found.append(Crossing(at, interval, ends, bool(y[k + 1] > 0)))
    return tuple(found)


def _signs(y: Array) -> Array:
    """Sign of each value; an exact zero takes that of the last nonzero value before it."""
    signs = np.sign(y)
    last = np.maximum.accumulate(np.where(signs != 0, np.arange(len(y)), 0))
    filled = signs[last]
    filled[filled == 0] = next((v for v in filled if v), 0.0)  # zeros at the beginning
    return np.asarray(filled, dtype=np.float64)


def _zero(t: Array, y: Array, k: int) -> float:
    return float(t[k] + (t[k + 1] - t[k]) * y[k] / (y[k] - y[k + 1]))


def _level(t: Array, y: Array, k: int) -> float:
    return _zero(t, y, k) if y[k] * y[k + 1] < 0 else float(t[k])
