"""Densities near zero for integrands that diverge there: pieces above the acoustic edge.

The edge and the pieces are those of `ase_e3dos.spectrum.thermal`; here they are kept apart, because
below the edge an integrand such as 1/w^2 is integrated with the w^2 law by its own formula.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ase_e3dos.spectrum.constants import constants
from ase_e3dos.spectrum.grid import Array, FrequencyGrid
from ase_e3dos.spectrum.pieces import first_real, knots_of, last_acoustic, pieces_of
from ase_e3dos.spectrum.thermal import ACOUSTIC_SHARE


@dataclass(frozen=True, slots=True)
class AcousticSplit:
    """Densities above the acoustic edge as linear pieces, and modes below it.

    Attributes
    ----------
    knots : ndarray, shape (n_knots,)
        cm^-1, ascending: ends of the pieces from zero on.
    left, right : ndarray, shape (n_structures, n_knots - 1)
        states/THz at the ends of the pieces.
    first : ndarray of int, shape (n_structures,)
        The first piece above the edge.
    edge : ndarray, shape (n_structures,)
        cm^-1; zero without the repair.
    modes : ndarray, shape (n_structures,)
        Below the edge.
    """

    knots: Array
    left: Array
    right: Array
    first: np.ndarray[tuple[int], np.dtype[np.int64]]
    edge: Array
    modes: Array

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
    pieces, start = pieces_of(grid, densities), first_real(grid)
    knots = knots_of(grid)[start:]
    masses, slopes = (part[:, start:] for part in pieces)
    widths = np.diff(knots) / constants().thz_to_cm
    left, right = (masses - slopes / 2) / widths, (masses + slopes / 2) / widths
    n = len(densities)
    if not repair:
        nothing = np.zeros(n)
        return AcousticSplit(knots, left, right, nothing.astype(np.int64), nothing, nothing)
    whole = masses if total is None else pieces_of(grid, total[None]).masses[:, start:]
    last, _ = last_acoustic(whole, ACOUSTIC_SHARE * whole.sum(axis=1))
    last = np.broadcast_to(last, n)
    modes = np.cumsum(masses, axis=1)[np.arange(n), last]
    return AcousticSplit(knots, left, right, last + 1, knots[last + 1], modes)
