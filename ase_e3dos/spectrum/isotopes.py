"""Spectra for masses other than the standard ones, with the same force constants.

What is exact. With masses m'_i = R_i m_i and force constants that stay, the site spectra obey

    second moment     integral of w^2 g_i'  =  integral of w^2 g_i / R_i       (Tr Phi_ii / m_i)
    determinant       integral of ln w g'  =  integral of ln w g - 3/2 sum of ln R_i
    first order       dg / d ln m_i         =  1/2 d(w g_i) / dw              (perturbation theory)

Stretching each site's spectrum by R_i^(-1/2) (`stretch`) obeys all three, which is why it gets
the shift of the average frequency right within a few per cent whatever the change. It gets the
shape wrong: it tears a mode in which two sites move into two, where nature keeps one mode.

`with_masses` moves modes whole. A mode with site shares p_i (g_i / g at its frequency) goes from
w to

    w' = w (sum_i p_i R_i^s)^(-1/(2s)),    p_i' proportional to p_i R_i^s,

the solution of the first-order rule along a path of growing masses if shares change as R_i^s.
s = 1 is a mode whose displacements stay, exact for sound; s = -1 one whose momenta stay, exact
for the optic modes of a diatomic crystal at the zone centre. s falls linearly with the number of
modes below, s = a + b (1 - 2x), and a and b are solved for so that the second moment and the
determinant of the whole spectrum are exact. Both hold to first order whatever s, so that it is
their second order in ln R that fixes a and b; as R goes to one, they go to a limit. The sites
then share the moved modes so that each has three and its second moment, while the total stays
(iterative proportional fitting), which keeps the first order. Moving weight between bins leaves
errors of a fraction of a bin; factors exp(beta w + gamma w^2) on each site's spectrum take them
out of its mean and second moment. docs/howto/isotopes.md has the errors against phonopy.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ase_e3dos.spectrum.grid import Array

#: Bounds of a and b.
_LIMITS = ([-3.0, -4.0], [3.0, 4.0])
#: Rounds of proportional fitting.
_ROUNDS = 60
#: Relative error of the sites' modes at which they stop.
_CLOSE = 1e-6
#: Least spread of ln R with which the exponents are solved for; they change little below.
_LEAST_SPREAD = 0.02
#: Largest change of the logarithm of a density in one step of `_tilted`.
_STEP = 1.0


def stretch(weights: ArrayLike, wavenumbers: ArrayLike, factors: ArrayLike) -> Array:
    """Scale the frequencies of spectra, keeping their weight.

    Parameters
    ----------
    weights : array_like
        Weight in each bin, shape (n_spectra, n_bins).
    wavenumbers : array_like
        Uniform bin centres in cm^-1, shape (n_bins,).
    factors : array_like
        Factor on the frequencies of each spectrum, shape (n_spectra,).

    Returns
    -------
    ndarray
        Shape (n_spectra, n_bins). What would leave the grid stays in its last bin.
    """
    rows, grid = np.asarray(weights, float), np.asarray(wavenumbers, float)
    edges = _edges(grid)
    out = np.empty_like(rows)
    for row, factor, target in zip(rows, np.asarray(factors, float), out, strict=True):
        cumulative = np.concatenate([[0.0], np.cumsum(row)])
        at_edges = np.interp(edges, edges * factor, cumulative)
        at_edges[0], at_edges[-1] = 0.0, cumulative[-1]
        target[:] = np.diff(at_edges)
    return out


def with_masses(
    sites: ArrayLike, wavenumbers: ArrayLike, old: ArrayLike, new: ArrayLike
) -> tuple[Array, Array]:
    """Site spectra of the same force constants with other masses; see the module docstring.

    Parameters
    ----------
    sites : array_like
        Weight in each bin, the same sum for each site, shape (n_sites, n_bins).
    wavenumbers : array_like
        Uniform bin centres in cm^-1, shape (n_bins,).
    old, new : array_like
        Masses in amu that the spectra have, and shall have, shape (n_sites,).

    Returns
    -------
    sites : ndarray, shape (n_sites, n_bins)
        With their sums.
    moves : ndarray, shape (n_bins, n_bins)
        What part of each bin (column) goes to each bin (row); columns sum to one.
    """
    g, x = np.asarray(sites, float), np.asarray(wavenumbers, float)
    ratios = np.asarray(new, float) / np.asarray(old, float)
    rows, square = g.sum(axis=1), x * np.abs(x)  # imaginary modes have negative squares
    second = (g @ square) / ratios
    if np.ptp(ratios) < 1e-9 * ratios.max():  # all modes move alike
        factor = float(ratios[0] ** -0.5)
        out = stretch(g, x, np.full(len(g), factor))
        targets = np.stack([g @ x * factor, second], axis=1)
        moves = moves_of(x, np.full(len(x), factor))
        return _tilted(out, np.stack([x, square]), rows, targets), moves
    total = g.sum(axis=0)
    used = total > 1e-12 * total.sum()
    shares, modes = g[:, used] / total[used], total[used]
    exponents = _exponents(shares, modes, x[used], g, x, ratios)
    factors = np.ones(len(x))
    factors[used] = _factors(shares, ratios, exponents)
    moved = shares * ratios[:, None] ** exponents
    moved *= modes / moved.sum(axis=0)
    at = x[used] * factors[used]
    for _ in range(_ROUNDS):
        moved = _tilted(moved, (at * np.abs(at))[None], rows, second[:, None])
        moved *= modes / moved.sum(axis=0)
        if np.abs(moved.sum(axis=1) / rows - 1).max() < _CLOSE:
            break
    moves = moves_of(x, factors)
    out = moved @ moves[:, used].T
    targets = np.stack([moved @ at * (rows / moved.sum(axis=1)), second], axis=1)
    return _tilted(out, np.stack([x, square]), rows, targets), moves


def total_factor(old: ArrayLike, new: ArrayLike) -> float:
    """Factor on all frequencies where the sites' spectra are not known.

    The sites are taken to be bound alike (equal Tr Phi_ii), so that the mean frequency is
    proportional to the sum of m_i^(-1/2).

    Parameters
    ----------
    old, new : array_like, shape (n_sites,)
        Masses in amu.

    Returns
    -------
    float
    """
    before, after = (float((np.asarray(m, float) ** -0.5).sum()) for m in (old, new))
    return after / before


def moves_of(wavenumbers: Array, factors: Array) -> Array:
    """Matrix that moves each bin's weight to its frequency times a factor.

    Parameters
    ----------
    wavenumbers : ndarray
        Uniform bin centres, shape (n_bins,).
    factors : ndarray
        Shape (n_bins,), positive.

    Returns
    -------
    ndarray, shape (n_bins, n_bins)
        Row: where to, column: where from. What would leave the grid stays in its last bin.
    """
    edges = _edges(wavenumbers)
    low, high = edges[:-1] * factors, edges[1:] * factors
    below = np.clip((edges[:, None] - low) / (high - low), 0.0, 1.0)
    below[0], below[-1] = 0.0, 1.0
    return np.diff(below, axis=0)


def _edges(grid: Array) -> Array:
    width = grid[1] - grid[0]
    return np.concatenate([grid - width / 2, [grid[-1] + width / 2]])


def _factors(shares: Array, ratios: Array, exponents: Array) -> Array:
    """Power means of the mass ratios with the shares as weights, to the power -1/2."""
    s = np.where(np.abs(exponents) < 1e-6, 1e-6, exponents)
    return np.asarray(np.exp(-np.log((shares * ratios[:, None] ** s).sum(axis=0)) / (2 * s)))


def _exponents(
    shares: Array, modes: Array, at: Array, sites: Array, wavenumbers: Array, ratios: Array
) -> Array:
    """The exponent s of each occupied bin, with a and b from the two rules."""
    from scipy.optimize import least_squares

    logs = np.log(ratios)
    spread = float(np.ptp(logs))
    if spread < _LEAST_SPREAD:
        ratios, spread = np.exp(logs * (_LEAST_SPREAD / spread)), _LEAST_SPREAD
    below = (np.cumsum(modes) - modes / 2) / modes.sum()
    square = at * np.abs(at)
    second = float((sites @ (wavenumbers * np.abs(wavenumbers))) @ (1 / ratios))
    logarithm = -0.5 * float(sites.sum(axis=1) @ np.log(ratios))
    scale = max(abs(second), 1e-3 * float(modes @ at**2))
    order = min(1.0, spread) ** 2  # both rules hold to first order whatever s

    def residuals(p: Array) -> list[float]:
        f = _factors(shares, ratios, p[0] + p[1] * (1 - 2 * below))
        moment = (float(modes @ (square * f**2)) - second) / scale
        entropy = (float(modes @ np.log(f)) - logarithm) / float(modes.sum())
        return [10 * moment / order, 6 * entropy / order]

    a, b = least_squares(residuals, [0.0, 1.0], bounds=_LIMITS).x
    return np.asarray(a + b * (1 - 2 * below))


def _tilted(rows: Array, basis: Array, sums: Array, targets: Array) -> Array:
    """Rows times exp of a combination of functions, with given sums and moments.

    The nearest positive rows with these moments, by relative entropy (Newton's method on its
    convex dual). Where there are none, the last step is returned.

    Parameters
    ----------
    rows : ndarray
        Weights, shape (n_rows, n_bins).
    basis : ndarray
        Functions of the bins, shape (n_functions, n_bins).
    sums : ndarray
        Sum that each row shall have, shape (n_rows,).
    targets : ndarray
        Sum over each row times each function, shape (n_rows, n_functions).
    """
    scale = np.abs(basis).max(axis=1)
    phi, wanted = basis / scale[:, None], targets / scale / sums[:, None]
    p = rows / rows.sum(axis=1, keepdims=True)
    for _ in range(20):
        mean = p @ phi.T
        miss = wanted - mean
        if np.abs(miss).max() < 1e-11:
            break
        covariance = np.einsum("rn,an,bn->rab", p, phi, phi, optimize=True)
        covariance -= mean[:, :, None] * mean[:, None, :]
        c = (np.linalg.pinv(covariance, rcond=1e-10, hermitian=True) @ miss[:, :, None])[:, :, 0]
        change = c @ phi
        change -= (p * change).sum(axis=1, keepdims=True)
        here = np.where(p > 1e-9 * p.max(), np.abs(change), 0.0).max(axis=1, keepdims=True)
        change *= np.minimum(1.0, _STEP / np.maximum(here, 1e-300))
        p = p * np.exp(np.clip(change, -50.0, 50.0))
        p /= p.sum(axis=1, keepdims=True)
    return np.asarray(p * sums[:, None])
