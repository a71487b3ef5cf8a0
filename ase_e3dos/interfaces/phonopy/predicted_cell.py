"""The cells of an `E3DOSPhonopy`, its spectrum and mesh, and what it refuses."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from ase_e3dos.errors import CrystalError, NotPredictedError
from ase_e3dos.export.phonopy import SpectrumMesh
from ase_e3dos.export.writing import writing
from ase_e3dos.interfaces.phonopy.cells import phonopy_cells, primitive_crystal
from ase_e3dos.interfaces.phonopy.refusals import (
    HINTS,
    NO_FORCE_CONSTANTS,
    PASSED_OVER,
    not_predicted,
    pass_over,
    ran,
)
from ase_e3dos.phonon_spectrum import PhononSpectrum
from ase_e3dos.structures.crystal import Crystal


class PredictedCell:
    """Phonopy's cells with the spectrum of the primitive one; parameters as for `E3DOSPhonopy`."""

    def __init__(
        self,
        unitcell: Any,
        supercell_matrix: ArrayLike | None = None,
        *args: Any,
        model: str = "default",
        device: str = "auto",
        strict: bool = True,
        _predict: Callable[[Crystal], PhononSpectrum] | None = None,
        **options: Any,
    ) -> None:
        self._unitcell_crystal, self._cells = phonopy_cells(
            unitcell, supercell_matrix, *args, **options
        )
        self._model, self._device, self._predict = model, device, _predict
        self._strict = strict
        self._reset()

    def _reset(self) -> None:
        self._spectrum: PhononSpectrum | None = None
        self._mesh: SpectrumMesh | None = None
        self._total_dos: Any = None
        self._projected_dos: Any = None
        self._thermal_properties: Any = None
        self._thermal_displacements: Any = None
        self._thermal_displacement_matrices: Any = None
        self._moment: Any = None

    def __repr__(self) -> str:
        formula = self._unitcell_crystal.formula
        n = len(self._cells.primitive)
        return (
            f"{type(self).__name__}({formula}, primitive cell of {n} atoms, model {self._model!r})"
        )

    @property
    def spectrum(self) -> PhononSpectrum:
        """Predicted spectrum of the primitive cell."""
        if self._spectrum is None:
            crystal = primitive_crystal(self._cells, self._unitcell_crystal)
            if self._predict is not None:
                self._spectrum = self._predict(crystal)
            else:
                from ase_e3dos.prediction import predict

                self._spectrum = predict([crystal], model=self._model, device=self._device)[0]
        return self._spectrum

    @property
    def masses(self) -> Any:
        """Masses of the primitive cell in amu; setting them predicts anew."""
        return self._cells.masses

    @masses.setter
    def masses(self, masses: Sequence[float]) -> None:
        if not self._unitcell_crystal.is_ordered:
            raise NotPredictedError(
                "Setting Phonopy.masses of a cell with mixed sites does not say which species they "
                "are of. Give a Crystal with species_mass."
            )
        n = len(self._cells.primitive)
        try:
            values = np.array(masses, dtype=np.float64)
            good = values.shape == (n,) and bool(np.isfinite(values).all() and (values > 0).all())
        except (TypeError, ValueError):
            good = False
        if not good:
            raise CrystalError(
                f"Phonopy.masses of this primitive cell are {n} positive numbers in amu, one for "
                f"each atom; got {masses!r}."
            )
        self._cells.masses = values
        self._reset()

    @property
    def force_constants(self) -> Any:
        """An object that is not None, as `run_qha` asks, and raises where numbers are wanted."""
        return NO_FORCE_CONSTANTS

    @force_constants.setter
    def force_constants(self, force_constants: Any) -> None:
        if not self._strict:
            pass_over("setting force_constants", stacklevel=5)  # two frames are of __setattr__
            return
        raise not_predicted(
            "setting Phonopy.force_constants",
            "Delete this step: they are not needed. To use force constants that you have, take "
            "phonopy.Phonopy.",
        )

    def save(
        self,
        filename: str | Path = "phonopy_params.yaml",
        settings: dict[str, Any] | None = None,
        hdf5_settings: dict[str, Any] | None = None,
        compression: str | bool = False,
    ) -> Any:
        """Write the cells as phonopy does: there are no displacements, forces or force constants.

        Parameters and the value returned are those of `Phonopy.save`. The spectrum itself is
        saved by ``phonon.spectrum.write("spectrum.json")``.
        """
        with writing(filename):
            return self._cells.save(filename, settings, hdf5_settings, compression)

    def replicate(self, log_level: int | None = None) -> Self:
        """A new one of the same cells, model and device, without results.

        Parameters
        ----------
        log_level : int, optional
            Accepted, as by phonopy; of no effect.

        Returns
        -------
        E3DOSPhonopy
        """
        new = copy.deepcopy(self)
        new._reset()
        return new

    def copy(self, log_level: int | None = None) -> Self:
        """As `replicate`."""
        return self.replicate(log_level)

    def __getattr__(self, name: str) -> Any:
        from phonopy import Phonopy

        if name.startswith("_") or not hasattr(Phonopy, name):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        if not self._strict:
            if name == "supercells_with_displacements":
                return []
            if name in PASSED_OVER:
                return lambda *_args, **_options: pass_over(name)
        if isinstance(getattr(Phonopy, name), property):
            try:  # the cells, and None where phonopy ran nothing
                return getattr(self._cells, name)
            except RuntimeError as error:
                raise not_predicted(f"Phonopy.{name}", HINTS.get(name, "")) from error

        def refuse(*_args: Any, **_options: Any) -> Any:
            raise not_predicted(f"Phonopy.{name}", HINTS.get(name, ""))

        return refuse

    def __setattr__(self, name: str, value: Any) -> None:
        from phonopy import Phonopy

        if name in ("model", "device"):
            raise AttributeError(
                f"E3DOSPhonopy takes {name} when it is made: E3DOSPhonopy(cell, {name}={value!r})."
            )
        ours = name.startswith("_") or hasattr(type(self), name)
        if ours or not hasattr(Phonopy, name):  # ours, or a note that a script pins on
            object.__setattr__(self, name, value)
        elif not self._strict:
            pass_over(f"setting {name}")
        else:
            raise not_predicted(f"setting Phonopy.{name}", "Delete this step: it is not needed.")

    # -- mesh ---------------------------------------------------------------------------

    @property
    def mesh(self) -> SpectrumMesh | None:
        """Quantiles of the spectrum in the form of phonopy's mesh, after `run_mesh`."""
        return self._mesh

    def init_mesh(
        self,
        mesh: float | ArrayLike = 100.0,
        shift: ArrayLike | None = None,
        is_time_reversal: bool = True,
        is_mesh_symmetry: bool = True,
        with_eigenvectors: bool = False,
        with_group_velocities: bool = False,
        is_gamma_center: bool = False,
        use_iter_mesh: bool = False,
    ) -> None:
        """As `run_mesh`; `use_iter_mesh` is accepted as well."""
        self.run_mesh()

    def run_mesh(
        self,
        mesh: float | ArrayLike = 100.0,
        shift: ArrayLike | None = None,
        is_time_reversal: bool = True,
        is_mesh_symmetry: bool = True,
        with_eigenvectors: bool = False,
        with_group_velocities: bool = False,
        is_gamma_center: bool = False,
    ) -> SpectrumMesh:
        """Predict the spectrum; phonopy's arguments are accepted and have no effect.

        Parameters
        ----------
        mesh, shift, is_time_reversal, is_mesh_symmetry, is_gamma_center
            Accepted; there are no q-points.
        with_eigenvectors, with_group_velocities : bool
            Accepted; there are neither.

        Returns
        -------
        SpectrumMesh
            Quantiles of the density of states.
        """
        self._mesh = SpectrumMesh(self.spectrum)
        return self._mesh

    def get_mesh_dict(self) -> dict[str, Any]:
        """`frequencies` (THz) and `weights` of the quantiles, as on a mesh.

        A spectrum has no q-points: `qpoints`, shape (n, 3), are not a number; `eigenvectors` and
        `group_velocities` are None, as where phonopy did not compute them.
        """
        mesh = ran(self._mesh, "run_mesh")
        return {
            "qpoints": np.full((len(mesh.weights), 3), np.nan),
            "weights": mesh.weights,
            "frequencies": mesh.frequencies,
            "eigenvectors": None,
            "group_velocities": None,
        }
