"""The quantiles of a spectrum in the place of phonopy's mesh of q-points."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ase_e3dos.errors import NotPredictedError, SpectrumError
from ase_e3dos.spectrum.density_of_states import DensityOfStates
from ase_e3dos.spectrum.grid import Array
from ase_e3dos.spectrum.modes import quantile_modes
from ase_e3dos.spectrum.thermal import Acoustic

__all__ = ["MESH_WEIGHT", "N_MODES", "SpectrumMesh", "formula_units"]

#: Modes on the mesh at least: thermal properties agree with the exact integrals to 0.1 %.
N_MODES = 12000

#: Sum of the weights: finer than the share of any mode that a few kelvin can see.
MESH_WEIGHT = 2**24


class _Primitive:
    """What phonopy asks of the primitive cell behind a mesh."""

    def __init__(self, n_atoms: int, formula_units: int) -> None:
        self.Z = formula_units
        self.primitive = self
        self._n_atoms = n_atoms

    def __len__(self) -> int:
        return self._n_atoms


class SpectrumMesh:
    """The quantiles of a density in the place of `phonopy.phonon.mesh.Mesh`.

    Parameters
    ----------
    spectrum : DensityOfStates
        Its number of modes has to be a multiple of 3 (per cell, atom or whole formula unit).
    n_modes : int
        Number of quantiles at least.
    acoustic : {"debye", None}
        Repair of the density near zero (`ase_e3dos.spectrum.thermal`).

    Attributes
    ----------
    frequencies : ndarray, shape (n_qpoints, n_bands)
        THz, ascending in each row.
    weights : ndarray of int, shape (n_qpoints,)
        They add up to 2^24.
    n_qpoints : int
        Number of q-points of equal weight that a mesh as fine as this one would have.
    """

    gamma_index = None
    eigenvectors = None
    with_eigenvectors = False

    def __init__(
        self, spectrum: DensityOfStates, n_modes: int = N_MODES, acoustic: Acoustic = "debye"
    ) -> None:
        n_atoms = round(spectrum.n_modes / 3)
        if n_atoms < 1 or abs(3 * n_atoms - spectrum.n_modes) > 1e-6:
            raise SpectrumError(
                f"phonopy counts whole atoms, but this spectrum has {spectrum.n_modes:g} modes "
                f"per {spectrum.normalization}. Use the spectrum of the cell, or `per_atom`."
            )
        bands = 3 * n_atoms
        n_qpoints = self.n_qpoints = max(8, -(-n_modes // bands))
        # Each band holds the same share of the modes. Towards zero frequency, at `start`
        # within its band, the rows are halved again and again: a few kelvin see only that end.
        start = spectrum.imaginary_fraction * bands % 1.0
        edges = np.concatenate(
            [np.arange(n_qpoints + 1) / n_qpoints, start + 0.5 ** np.arange(4, 22), [start]]
        )
        ends = np.unique(np.round(edges[edges <= 1.0] * MESH_WEIGHT).astype(np.int64))
        levels = (ends[1:] + ends[:-1])[:, None] / (2 * MESH_WEIGHT) + np.arange(bands)
        self.frequencies: Array = np.ascontiguousarray(
            quantile_modes(spectrum.grid, spectrum.density, levels / bands, acoustic=acoustic)
        )
        self.weights: NDArray[np.int64] = np.diff(ends)
        self.mesh_numbers: NDArray[np.int64] = np.array([len(self.weights), 1, 1])
        self.primitive = _Primitive(n_atoms, formula_units(spectrum))
        self.dynamical_matrix = self.primitive

    @property
    def qpoints(self) -> Any:
        """None: a spectrum has no q-points."""
        raise NotPredictedError(
            "A predicted spectrum has no q-points (phonopy's Mesh.qpoints): its mesh only lists "
            "quantiles of the density of states. Compute force constants with phonopy for bands."
        )


def formula_units(spectrum: DensityOfStates) -> int:
    """Whole number of formula units in what the spectrum is normalised to, at least one.

    Parameters
    ----------
    spectrum : DensityOfStates

    Returns
    -------
    int
    """
    per_unit = spectrum.per_formula_unit().n_modes
    return max(1, round(spectrum.n_modes / per_unit))
