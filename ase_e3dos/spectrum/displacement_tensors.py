"""Mean-square displacement tensors and their logarithms.

A displacement tensor U (Å^2) is symmetric and positive definite. Its matrix logarithm may be any
symmetric matrix, so that a network can predict it freely: a third of the trace, which is the
logarithm of the geometric mean of the axes, and five components of degree l = 2, which rotate as
the spherical harmonics do and vanish on sites whose symmetry makes them isotropic.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

#: Temperatures in K at which models give displacement tensors.
DISPLACEMENT_TEMPERATURES = (100.0, 300.0, 600.0)
#: Order of the components of a tensor in tables: xx, yy, zz, yz, xz, xy.
COMPONENTS = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))


def quadrupoles() -> Array:
    """Orthonormal traceless symmetric matrices in the order of the l = 2 harmonics, (5, 3, 3)."""
    s, t = 1 / np.sqrt(2), 1 / np.sqrt(6)
    q = np.zeros((5, 3, 3))
    q[0, 0, 2] = q[0, 2, 0] = s
    q[1, 0, 1] = q[1, 1, 0] = s
    q[2] = np.diag([-t, 2 * t, -t])
    q[3, 1, 2] = q[3, 2, 1] = s
    q[4] = np.diag([-s, 0, s])
    return q


def tensor_matrices(components: ArrayLike) -> Array:
    """Tensors (..., 6) in the order of `COMPONENTS` as matrices (..., 3, 3).

    Parameters
    ----------
    components : array_like, shape (..., 6)
        In the order of `COMPONENTS`, in any unit.

    Returns
    -------
    ndarray, shape (..., 3, 3)
        Symmetric, in the same unit.
    """
    values = np.asarray(components, dtype=np.float64)
    matrices = np.empty((*values.shape[:-1], 3, 3))
    for k, (i, j) in enumerate(COMPONENTS):
        matrices[..., i, j] = matrices[..., j, i] = values[..., k]
    return matrices


def log_components(matrices: ArrayLike) -> Array:
    """A third of the trace and the l = 2 components of the logarithms of tensors.

    Parameters
    ----------
    matrices : array_like, shape (..., 3, 3)
        Å^2, symmetric and positive definite.

    Returns
    -------
    ndarray, shape (..., 6)
        NaN throughout where a tensor is not positive definite.
    """
    values, axes = np.linalg.eigh(np.asarray(matrices, dtype=np.float64))
    positive = values[..., 0] > 0
    logs = np.log(np.where(positive[..., None], values, np.nan))
    logarithm = np.einsum("...ik,...k,...jk->...ij", axes, logs, axes)
    trace = logs.sum(axis=-1) / 3
    return np.concatenate(
        [trace[..., None], np.einsum("...ij,cij->...c", logarithm, quadrupoles())], axis=-1
    )


def tensors_from_logs(components: ArrayLike) -> Array:
    """Tensors whose logarithms have the given components: the inverse of `log_components`.

    Parameters
    ----------
    components : array_like, shape (..., 6)

    Returns
    -------
    ndarray, shape (..., 3, 3)
        Å^2, symmetric and positive definite.
    """
    c = np.asarray(components, dtype=np.float64)
    traceless = np.einsum("...c,cij->...ij", c[..., 1:], quadrupoles())
    values, axes = np.linalg.eigh(traceless)
    scaled = axes * np.exp(values + c[..., :1])[..., None, :]
    tensors = scaled @ np.swapaxes(axes, -1, -2)
    return np.asarray((tensors + np.swapaxes(tensors, -1, -2)) / 2)


def cif_tensors(tensors: ArrayLike, cell: ArrayLike) -> Array:
    """Tensors in the definition of CIF files, for the axes of the reciprocal lattice.

    U_cart = A N U_cif N^T A^T with the lattice vectors in the columns of A and the lengths of the
    reciprocal ones on the diagonal of N (Grosse-Kunstleve and Adams, *J. Appl. Cryst.* 35, 477
    (2002)).

    Parameters
    ----------
    tensors : array_like, shape (..., 3, 3)
        Å^2, Cartesian.
    cell : array_like, shape (3, 3)
        Lattice vectors in rows, Å.

    Returns
    -------
    ndarray, shape (..., 3, 3)
        Å^2.
    """
    columns = np.asarray(cell, dtype=np.float64).T
    lengths = np.linalg.norm(np.linalg.inv(columns), axis=1)
    inverse = np.linalg.inv(columns * lengths)
    return np.asarray(inverse @ np.asarray(tensors, dtype=np.float64) @ inverse.T)
