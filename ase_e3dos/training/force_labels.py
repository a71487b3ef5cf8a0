"""Crystals labelled with dynamical matrices or spectra, in the form that training takes.

The loss of a matrix is what its error does to the frequencies: in the eigenvectors of the label,
an error E_ab of the dynamical matrix moves frequencies by E_ab / (2 sqrt(w_a w_b)) to first
order (Hellmann-Feynman on the diagonal), with a floor under the softest modes. Its Frobenius norm
over the modes is in cm^-1, needs no eigenvalues of the prediction and so no care for degenerate
ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ase_e3dos.data.force_sets import ForceSets, LabelledMatrices, labelled_matrices
from ase_e3dos.encoders import MassOneHot
from ase_e3dos.network.graph import CrystalGraph, build_graph
from ase_e3dos.network.lattice_dynamics import WAVENUMBER
from ase_e3dos.structures.crystal import Crystal

__all__ = [
    "MatrixEntry",
    "SpectrumEntry",
    "acoustic_loss",
    "entropy_loss",
    "matrix_entries",
    "matrix_loss",
    "rounded_root",
    "softening_loss",
]

Array = NDArray[np.float64]

#: Floor under the modes in the loss of matrices, cm^-1.
_FLOOR = 40.0
#: The same for acoustic modes near the zone's centre.
_ACOUSTIC_FLOOR = 12.0
#: Crystals that are labelled between two lines of a report.
_REPORTED = 1000
#: Where logarithms of frequencies are rounded off, and roots, cm^-1.
_SOFT, _ROUND = 20.0, 15.0


@dataclass
class MatrixEntry:
    """A labelled crystal with what each step needs of it.

    Attributes
    ----------
    label : LabelledMatrices
        The label.
    graph : CrystalGraph
        Its edges.
    """

    label: LabelledMatrices
    graph: CrystalGraph

    @cached_property
    def features(self) -> NDArray[np.float32]:
        """Of the encoder."""
        return MassOneHot().encode(self.label.crystal)

    @cached_property
    def wavenumbers(self) -> Array:
        """Of the label in cm^-1, shape (n_q, 3 n)."""
        values = np.linalg.eigvalsh(self.label.total.astype(np.complex128))
        return np.asarray(WAVENUMBER * np.sign(values) * np.sqrt(np.abs(values)))

    @cached_property
    def modes(self) -> Tensor:
        """Eigenvectors, weighted so that errors come out in cm^-1, shape (n_q, 3 n, 3 n)."""
        return _weighted_modes(self.label.total, _FLOOR)

    @cached_property
    def total(self) -> Tensor:
        """Short-range part and dipoles in eV/(Å^2 amu), shape (n_q, 3 n, 3 n)."""
        return torch.from_numpy(self.label.total)

    @cached_property
    def stable(self) -> bool:
        """Whether the label has no mode below -5 cm^-1."""
        return bool(self.wavenumbers.min() > -5)

    @cached_property
    def near_modes(self) -> Tensor:
        """As `modes`, of the points near the zone's centre, where acoustic modes are soft."""
        return _weighted_modes(self.label.near_total, _FLOOR, _ACOUSTIC_FLOOR)

    @cached_property
    def near_total(self) -> Tensor:
        """As `total`, of the points near the zone's centre."""
        return torch.from_numpy(self.label.near_total)


def _weighted_modes(
    matrices: NDArray[np.complex64], floor: float, acoustic_floor: float | None = None
) -> Tensor:
    values, vectors = np.linalg.eigh(matrices.astype(np.complex128))
    least = np.full(values.shape, floor)
    if acoustic_floor is not None:
        least[:, :3] = acoustic_floor
    wavenumbers = np.maximum(WAVENUMBER * np.sqrt(np.abs(values)), least)
    weights = WAVENUMBER / np.sqrt(2 * wavenumbers)
    return torch.from_numpy((vectors * weights[:, None, :]).astype(np.complex64))


def matrix_loss(found: Tensor, target: Tensor, modes: Tensor) -> Tensor:
    """Error of dynamical matrices in cm^-1; see the module.

    Parameters
    ----------
    found, target : torch.Tensor
        Dynamical matrices in eV/(Å^2 amu), shape (n, 3 n_sites, 3 n_sites).
    modes : torch.Tensor
        Weighted eigenvectors of the label, of the same shape.
    """
    error = modes.mH @ (found - target) @ modes
    square = torch.view_as_real(error).square().sum((1, 2, 3)) / error.shape[1]
    return torch.sqrt(square + 1.0).mean()


def entropy_loss(found: Tensor, target: Tensor) -> Tensor:
    """Difference of the mean logarithms of the frequencies: the error of S in units of k_B a mode.

    Parameters
    ----------
    found, target : torch.Tensor
        Squares of wavenumbers in cm^-2, negative where imaginary, shapes (n, m). Below 20 cm^-1
        the logarithm is rounded off.
    """
    return (_log_root(found).mean() - _log_root(target).mean()).abs()


def softening_loss(found: Tensor) -> Tensor:
    """Sum of the imaginary wavenumbers in cm^-1 a wave vector, of squares as for `entropy_loss`."""
    return torch.relu(-rounded_root(found)).sum(1).mean()


def rounded_root(squares: Tensor) -> Tensor:
    """Signed root in cm^-1 whose slope stays finite at zero."""
    return squares.sign() * (torch.sqrt(squares.abs() + _ROUND**2) - _ROUND)


def _log_root(squares: Tensor) -> Tensor:
    return 0.25 * torch.log(squares.square() + _SOFT**4)


def acoustic_loss(found: Tensor, target: Tensor, modes: Tensor) -> Tensor:
    """As `matrix_loss`, of the three lowest modes alone."""
    error = (modes.mH @ (found - target) @ modes)[:, :3, :3]
    return torch.sqrt(torch.view_as_real(error).square().sum((1, 2, 3)) / 3 + 0.5).mean()


@dataclass
class SpectrumEntry:
    """A crystal with its spectrum.

    Attributes
    ----------
    crystal : Crystal
        The structure.
    edges, cumulative : ndarray
        cm^-1, and the share of the modes below, shape (n_bins + 1,).
    dipoles : bool
        Whether the spectrum has the splitting by dipoles.
    """

    crystal: Crystal
    edges: Array
    cumulative: Array
    dipoles: bool
    cutoff: float

    @classmethod
    def of(
        cls, crystal: Crystal, bins: Array, scale: float, dipoles: bool, cutoff: float
    ) -> SpectrumEntry:
        """From the shares of the modes in bins of 10 cm^-1 from -400 cm^-1."""
        edges = scale * (-400.0 + 10.0 * np.arange(len(bins) + 1))
        total = np.concatenate([[0.0], np.cumsum(bins)])
        # Empty bins have no quantiles of their own.
        kept = np.concatenate([[True], np.diff(total) > 1e-7])
        kept[:-1] |= kept[1:]
        return cls(crystal, edges[kept], total[kept] / total[-1], dipoles, cutoff)

    @cached_property
    def graph(self) -> CrystalGraph:
        """Its edges."""
        return build_graph(self.crystal, self.cutoff)

    @cached_property
    def features(self) -> NDArray[np.float32]:
        """Of the encoder."""
        return MassOneHot().encode(self.crystal)

    def quantiles(self, n: int) -> Tensor:
        """Wavenumbers in cm^-1 below which (k + 1/2) / n of the modes lie, shape (n,)."""
        at = (np.arange(n) + 0.5) / n
        return torch.from_numpy(np.interp(at, self.cumulative, self.edges)).float()


def matrix_entries(
    sets: ForceSets,
    split: str,
    cutoff: float,
    without: frozenset[str] = frozenset(),
    near: int = 0,
    report: Callable[[str], None] | None = None,
) -> list[MatrixEntry]:
    """Labelled crystals of one split with their graphs, but for some ids.

    phonopy takes a tenth of a second for each, so that `report` gets a line for every thousand.
    """
    found = []
    for row in sets.rows(split):
        if str(row["id"]) not in without:
            label = labelled_matrices(row, near=near)
            found.append(MatrixEntry(label, build_graph(label.crystal, cutoff)))
            if report is not None and len(found) % _REPORTED == 0:
                report(f"dynamical matrices of {len(found)} crystals of the split {split!r}")
    return found
