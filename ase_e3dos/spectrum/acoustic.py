"""Densities near zero for integrands that diverge there: the w^2 law below an edge of a bin.

As in `ase_e3dos.spectrum.thermal`, but the cut-off is an edge between two bins. Modes below an
edge are what a binned density knows exactly; the straight line between two bin centres, which is
harmless in a heat capacity, overestimates them by a third where the density grows as w^2, and
mean-square displacements feel it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ase_e3dos.spectrum.constants import constants
from ase_e3dos.spectrum.grid import Array, FrequencyGrid
from ase_e3dos.spectrum.thermal import ACOUSTIC_SHARE


@dataclass(frozen=True, slots=True)
class AcousticSplit:
    """Densities above the acoustic edge as linear pieces, and modes below it.

    Attributes
    ----------
    knots : ndarray, shape (n_knots,)
        cm^-1, ascending: bin centres and edges from zero on.
    left, right : ndarray, shape (n_structures, n_knots - 1)
        states/THz at the ends of the pieces.
    first : ndarray of int, shape (n_structures,)
        The first piece above the edge.
    edge : ndarray, shape (n_structures,)
        cm^-1; zero without the repair.
    modes : ndarray, shape (n_structures,)
        Below the edge.
    spilled : ndarray, shape (n_structures,)
        Modes that the lines between bin centres carry below the edge, and the bins do not: they
        are counted at the edge.
    """

    knots: Array
    left: Array
    right: Array
    first: np.ndarray[tuple[int], np.dtype[np.int64]]
    edge: Array
    modes: Array
    spilled: Array

    def integrals(self, values: Array, shares: Array) -> Array:
        """Sum over the pieces from `first` on.

        Parameters
        ----------
        values : ndarray, shape (n_knots - 1, n_nodes)
            Integrand per mode at the nodes of `nodes`.
        shares : ndarray, shape (n_nodes,)
            Weights of the nodes.
        """
        t = nodes()[0]
        scale = np.diff(self.knots) / constants().thz_to_cm
        on_left = (values * (shares * (1 - t))).sum(1) * scale
        on_right = (values * (shares * t)).sum(1) * scale
        pieces = self.left * on_left + self.right * on_right
        pieces[np.arange(pieces.shape[1]) < self.first[:, None]] = 0.0
        return np.asarray(pieces.sum(axis=1))

    def at_nodes(self) -> Array:
        """Wavenumbers of the nodes in each piece, shape (n_knots - 1, n_nodes)."""
        return np.asarray(self.knots[:-1, None] + nodes()[0] * np.diff(self.knots)[:, None])


def nodes() -> tuple[Array, Array]:
    """Places in (0, 1) and weights of the quadrature of one piece."""
    x, w = np.polynomial.legendre.leggauss(8)
    return (x + 1) / 2, w / 2


def acoustic_split(
    grid: FrequencyGrid, densities: Array, repair: bool = True, total: Array | None = None
) -> AcousticSplit:
    """Split densities at their acoustic edges.

    Parameters
    ----------
    grid : FrequencyGrid
    densities : ndarray, shape (n_structures, n)
        states/THz.
    repair : bool
        False leaves the densities as they are, with an edge at zero.
    total : ndarray, shape (n,), optional
        Density whose edge is taken for all.
    """
    left, right, _ = grid.pieces(densities)
    start = max(grid.zero_knot, 0)
    left, right = left[:, start:], right[:, start:]
    whole = grid.knots[start:]
    knots = np.empty(2 * len(whole) - 1)
    knots[::2], knots[1::2] = whole, (whole[1:] + whole[:-1]) / 2
    middle = (left + right) / 2
    lefts, rights = np.repeat(left, 2, axis=1), np.repeat(right, 2, axis=1)
    lefts[:, 1::2] = rights[:, ::2] = middle
    n = len(densities)
    if not repair:
        nothing = np.zeros(n)
        return AcousticSplit(knots, lefts, rights, nothing.astype(np.int64), *[nothing] * 3)
    last, below = _last_bin(grid, densities if total is None else total[None])
    last = np.broadcast_to(last, n)
    below = below if total is None else _last_bin(grid, densities)[1]
    modes = below[np.arange(n), last]
    edge = grid.wavenumbers[grid.wavenumbers >= 0][last] + grid.step / 2
    first = np.searchsorted(knots, edge - 1e-6 * grid.step).astype(np.int64)
    lines = np.cumsum((lefts + rights) * (np.diff(knots) / 2 / constants().thz_to_cm), axis=1)
    spilled = lines[np.arange(n), first - 1] - modes
    return AcousticSplit(knots, lefts, rights, first, edge, modes, spilled)


def _last_bin(
    grid: FrequencyGrid, densities: Array
) -> tuple[np.ndarray[tuple[int], np.dtype[np.int64]], Array]:
    """The last bin below the edge, counted from zero on, and modes up to each bin's end."""
    x = grid.wavenumbers[grid.wavenumbers >= 0]
    at_zero = x[0] < grid.step / 4
    bins = densities[:, -len(x) :] * (grid.step / constants().thz_to_cm)
    if at_zero:
        bins[:, 0] /= 2
    below = np.cumsum(bins, axis=1)
    count = (below <= ACOUSTIC_SHARE * below[:, -1:]).sum(axis=1)
    return np.clip(count - 1, int(at_zero), len(x) - 2), below
