"""phonopy's projected density of states of densities that are known already."""

from __future__ import annotations

from typing import Any

from phonopy.phonon.dos import Dos, ProjectedDos

from ase_e3dos.export.phonopy.mesh import SpectrumMesh
from ase_e3dos.spectrum.grid import Array

__all__ = ["SiteDos"]


class SiteDos(ProjectedDos):
    """`phonopy.phonon.dos.ProjectedDos` with the densities of a spectrum's sites.

    Parameters
    ----------
    mesh : SpectrumMesh
        Of the same spectrum.
    frequency_points : ndarray, shape (n,)
        THz.
    densities : ndarray, shape (n_sites, n)
        States/THz.
    sigma : float, optional
        Width of the smearing in THz that they have been given.

    Attributes
    ----------
    averaged : bool
        Whether they are averages over the intervals around the points: those without a smearing.
    """

    def __init__(
        self,
        mesh: SpectrumMesh,
        frequency_points: Array,
        densities: Array,
        sigma: float | None = None,
    ) -> None:
        width = float(frequency_points[-1] - frequency_points[-2]) if sigma is None else sigma
        quantiles: Any = mesh
        Dos.__init__(self, quantiles, sigma=float(width))  # the one between wants eigenvectors
        known: Any = densities
        self._frequency_points, self._projected_dos = frequency_points, known
        self.averaged = sigma is None
