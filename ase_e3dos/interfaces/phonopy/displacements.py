"""phonopy's thermal displacements and moments of a predicted spectrum, as phonopy's own objects."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ase_e3dos.analysis.displacements import u_iso, u_tensor
from ase_e3dos.errors import NotPredictedError
from ase_e3dos.export.phonopy import SpectrumMesh, phonopy_temperatures
from ase_e3dos.spectrum.constants import constants
from ase_e3dos.spectrum.density_of_states import DensityOfStates
from ase_e3dos.spectrum.displacement_tensors import cif_tensors
from ase_e3dos.spectrum.grid import Array


def thermal_displacements(
    spectrum: DensityOfStates,
    primitive: Any,
    *,
    t_min: float = 0.0,
    t_max: float = 1000.0,
    t_step: float = 10.0,
    temperatures: ArrayLike | None = None,
    direction: ArrayLike | None = None,
) -> Any:
    """`phonopy.phonon.thermal_displacement.ThermalDisplacements` of a spectrum, run.

    Parameters
    ----------
    spectrum : DensityOfStates
        With site densities.
    primitive : phonopy cell
        Its masses and lattice.
    t_min, t_max, t_step, temperatures
        K.
    direction : array_like, shape (3,), optional
        In reduced coordinates. Where the model gives no tensors, displacements are isotropic.

    Returns
    -------
    ThermalDisplacements
        `thermal_displacements` in Å^2, shape (n_temperatures, 3 n_atoms), or (n_temperatures,
        n_atoms) along a direction; `write_yaml` and `plot` work.

    Raises
    ------
    SpectrumError
        Without site densities, or for temperatures that are not valid.
    """
    from phonopy.phonon.thermal_displacement import ThermalDisplacements

    asked = phonopy_temperatures(t_min, t_max, t_step, temperatures)
    mesh: Any = _CellOf(primitive)
    along = None if direction is None else np.dot(direction, primitive.cell)
    result = ThermalDisplacements(mesh, projection_direction=along)
    result.temperatures = asked
    if spectrum.log_displacements is None:
        values = u_iso(spectrum, asked).T
        result._displacements = values if along is not None else np.repeat(values, 3, axis=1)
        return result
    tensors = u_tensor(spectrum, asked).swapaxes(0, 1)
    if along is None:
        result._displacements = np.diagonal(tensors, axis1=2, axis2=3).reshape(len(asked), -1)
    else:
        unit = along / np.linalg.norm(along)
        result._displacements = np.einsum("i,tnij,j->tn", unit, tensors, unit)
    return result


def thermal_displacement_matrices(
    spectrum: DensityOfStates,
    primitive: Any,
    *,
    t_min: float = 0.0,
    t_max: float = 1000.0,
    t_step: float = 10.0,
    temperatures: ArrayLike | None = None,
) -> Any:
    """`phonopy.phonon.thermal_displacement.ThermalDisplacementMatrices` of a spectrum, run.

    Parameters
    ----------
    spectrum : DensityOfStates
        Of a model that gives displacement tensors.
    primitive : phonopy cell
        Its masses and lattice.
    t_min, t_max, t_step, temperatures
        K.

    Returns
    -------
    ThermalDisplacementMatrices
        `thermal_displacement_matrices` in Å^2, Cartesian, shape (n_temperatures, n_atoms, 3, 3);
        the same `_cif` in the definition of CIF; `write_yaml` and `write_cif` work.

    Raises
    ------
    SpectrumError
        The model gives no tensors, or a temperature is not valid.
    """
    from phonopy.phonon.thermal_displacement import ThermalDisplacementMatrices

    asked = phonopy_temperatures(t_min, t_max, t_step, temperatures)
    mesh: Any = _CellOf(primitive)
    result = ThermalDisplacementMatrices(mesh, lattice=primitive.cell.T)
    result.temperatures = asked
    tensors = u_tensor(spectrum, asked).swapaxes(0, 1)
    result._disp_matrices = tensors
    result._disp_matrices_cif = cif_tensors(tensors, primitive.cell)
    return result


def moment(
    spectrum: DensityOfStates,
    mesh: SpectrumMesh,
    order: int = 1,
    is_projection: bool = False,
    freq_min: float | None = None,
    freq_max: float | None = None,
) -> Any:
    """`phonopy.phonon.moment.PhononMoment` of a spectrum, run; parameters are phonopy's.

    Raises
    ------
    NotPredictedError
        If moments of atoms are asked for, and the model has no site densities.
    """
    from phonopy.phonon.moment import PhononMoment

    vectors: Any = _vectors(spectrum, mesh) if is_projection else None
    result = PhononMoment(mesh.frequencies, weights=mesh.weights, eigenvectors=vectors)
    if freq_min is not None or freq_max is not None:
        result.set_frequency_range(freq_min=freq_min, freq_max=freq_max)
    result.run(order=order)
    return result


class _CellOf:
    """The part of a mesh that phonopy's displacements need where their values are known."""

    gamma_index = None

    def __init__(self, primitive: Any) -> None:
        self.dynamical_matrix = self
        self.primitive = primitive


def _vectors(spectrum: DensityOfStates, mesh: SpectrumMesh) -> Array:
    """Vectors whose squares are the shares of the sites in each quantile, a third for each axis."""
    if spectrum.site_density is None:
        raise NotPredictedError(
            f"The model {spectrum.model or 'unnamed'!r} gives no site densities, so there are no "
            "moments of single atoms. Leave out is_projection, or use a model that has them."
        )
    grid = spectrum.grid
    at = mesh.frequencies * constants().thz_to_cm
    index = np.rint((at - grid.wavenumbers[0]) / grid.step).astype(np.int64)
    shares = spectrum.site_density / np.maximum(spectrum.site_density.sum(axis=0), 1e-300)
    of_modes = shares[:, np.clip(index, 0, len(grid) - 1)]  # sites, rows, bands
    return np.asarray(np.sqrt(np.repeat(of_modes, 3, axis=0) / 3).transpose(1, 0, 2))
