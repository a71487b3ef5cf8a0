"""E3DOSPhonopy: stands where a `phonopy.Phonopy` stood, with predicted spectra."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ase_e3dos.errors import CrystalError, NotPredictedError
from ase_e3dos.export.phonopy import (
    SpectrumMesh,
    projected_dos,
    resampled_total_dos,
    thermal_properties,
    write_dos,
    write_yaml,
)
from ase_e3dos.export.writing import writing
from ase_e3dos.interfaces import phonopy_displacements as displacements
from ase_e3dos.interfaces import phonopy_plots as plots
from ase_e3dos.interfaces.phonopy_cells import phonopy_cells, primitive_crystal
from ase_e3dos.interfaces.phonopy_refusals import (
    HINTS,
    NO_FORCE_CONSTANTS,
    PASSED_OVER,
    not_predicted,
    pass_over,
    ran,
)
from ase_e3dos.phonon_spectrum import PhononSpectrum
from ase_e3dos.structures.crystal import Crystal


class E3DOSPhonopy:
    """Phonon densities of states and thermal properties in the manner of `phonopy.Phonopy`.

    Nothing is displaced and no forces are needed: the spectrum of phonopy's
    primitive cell is predicted when a result is first asked for. Results are
    per that cell, as the installed phonopy chooses it; units, signatures, files
    and result objects are phonopy's. `run_qha` takes a list of these.

    Parameters
    ----------
    unitcell : ase.Atoms, PhonopyAtoms, pymatgen Structure, Crystal or path
        Å; a PhonopyAtoms in the length unit of `calculator`.
    supercell_matrix : array_like, optional
        Accepted; a predicted spectrum does not depend on it.
    model : str
        Name of the model.
    device : str
        "auto", "cpu", "cuda", ...
    strict : bool
        False passes over, with a warning, what a script with displaced supercells does and sets
        (`generate_displacements`, `dataset`, `forces`, `produce_force_constants`, `nac_params`,
        ...), so that it runs with one line changed; there are no displaced supercells. True
        refuses these steps.
    **options
        Further arguments of the installed `phonopy.Phonopy`: primitive_matrix,
        symprec, is_symmetry, calculator, ...

    Raises
    ------
    CrystalError
        If the cell is not a crystal.
    NotPredictedError
        By everything that a spectrum cannot give: bands, eigenvectors, force constants.

    Examples
    --------
    >>> from ase.build import bulk
    >>> phonon = E3DOSPhonopy(bulk("NaCl", "rocksalt", a=5.64))
    >>> len(phonon.primitive)
    2
    """

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
        return f"E3DOSPhonopy({formula}, primitive cell of {n} atoms, model {self._model!r})"

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

    # -- cells ------------------------------------------------------------------------

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

    def replicate(self, log_level: int | None = None) -> E3DOSPhonopy:
        """A new one of the same cells, model and device, without results."""
        new = copy.deepcopy(self)
        new._reset()
        return new

    def copy(self, log_level: int | None = None) -> E3DOSPhonopy:
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

    def init_mesh(self, mesh: Any = 100.0, *args: Any, **options: Any) -> None:
        """As `run_mesh`."""
        self.run_mesh(mesh, *args, **options)

    def run_mesh(self, mesh: Any = 100.0, *_args: Any, **_options: Any) -> SpectrumMesh:
        """Predict the spectrum; phonopy's arguments are accepted and have no effect."""
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

    # -- densities of states --------------------------------------------------------------

    @property
    def total_dos(self) -> Any:
        """`phonopy.phonon.dos.TotalDos` after `run_total_dos`, else None."""
        return self._total_dos

    @property
    def projected_dos(self) -> Any:
        """`phonopy.phonon.dos.ProjectedDos` after `run_projected_dos`, else None."""
        return self._projected_dos

    def run_total_dos(
        self,
        sigma: float | None = None,
        freq_min: float | None = None,
        freq_max: float | None = None,
        freq_pitch: float | None = None,
        use_tetrahedron_method: bool = True,
        smearing_function: str = "Normal",
    ) -> Any:
        """Total density of states on phonopy's frequency points.

        Parameters
        ----------
        sigma : float, optional
            Width of phonopy's smearing in THz, on top of the grid of the model;
            without it the density is averaged around each point.
        freq_min, freq_max, freq_pitch : float, optional
            THz.
        use_tetrahedron_method : bool
            Accepted; there are no tetrahedra.
        smearing_function : {"Normal", "Cauchy"}

        Returns
        -------
        phonopy.phonon.dos.TotalDos
            THz and states/THz per primitive cell.
        """
        self._total_dos = resampled_total_dos(
            self.spectrum,
            sigma=sigma,
            freq_min=freq_min,
            freq_max=freq_max,
            freq_pitch=freq_pitch,
            smearing_function=smearing_function,
        )
        return self._total_dos

    def auto_total_dos(
        self,
        mesh: Any = 100.0,
        is_time_reversal: bool = True,
        is_mesh_symmetry: bool = True,
        is_gamma_center: bool = False,
        plot: bool = False,
        xlabel: str | None = None,
        ylabel: str | None = None,
        with_tight_frequency_range: bool = False,
        write_dat: bool = False,
        filename: str | Path = "total_dos.dat",
    ) -> Any:
        """Run, and if asked write and draw, the total density of states."""
        self.run_mesh(mesh)
        self.run_total_dos()
        if write_dat:
            self.write_total_dos(filename)
        if plot:
            return self.plot_total_dos(xlabel, ylabel, with_tight_frequency_range)
        return None

    def get_total_dos_dict(self) -> dict[str, Any]:
        """`frequency_points` (THz) and `total_dos` (states/THz)."""
        dos = ran(self._total_dos, "run_total_dos")
        return {"frequency_points": dos.frequency_points, "total_dos": dos.dos}

    def plot_total_dos(
        self,
        xlabel: str | None = None,
        ylabel: str | None = None,
        with_tight_frequency_range: bool = False,
    ) -> Any:
        """Draw the total density of states; returns matplotlib.pyplot."""
        dos = ran(self._total_dos, "run_total_dos")
        return plots.plot_dos(
            dos, dos.dos, with_tight_frequency_range, xlabel=xlabel, ylabel=ylabel
        )

    def write_total_dos(self, filename: str | Path = "total_dos.dat") -> None:
        """Write total_dos.dat."""
        dos = ran(self._total_dos, "run_total_dos")
        with writing(filename):
            write_dos(dos, filename, self.spectrum)

    def set_Debye_frequency(self, freq_max_fit: float | None = None) -> None:  # noqa: N802
        """Fit phonopy's Debye frequency to the total density of states."""
        dos = ran(self._total_dos, "run_total_dos")
        if hasattr(dos, "run_debye_frequency"):
            dos.run_debye_frequency(freq_max_fit=freq_max_fit)
        else:  # phonopy 3
            dos.set_Debye_frequency(len(self._cells.primitive), freq_max_fit=freq_max_fit)

    def get_Debye_frequency(self) -> Any:  # noqa: N802
        """Debye frequency in THz, after `set_Debye_frequency`."""
        dos = ran(self._total_dos, "run_total_dos")
        return dos.debye_frequency if hasattr(dos, "debye_frequency") else dos.get_Debye_frequency()

    def run_projected_dos(
        self,
        sigma: float | None = None,
        freq_min: float | None = None,
        freq_max: float | None = None,
        freq_pitch: float | None = None,
        use_tetrahedron_method: bool = True,
        direction: ArrayLike | None = None,
        xyz_projection: bool = False,
        smearing_function: str = "Normal",
    ) -> Any:
        """Densities of states of the atoms in the primitive cell, as `run_total_dos`.

        Raises
        ------
        NotPredictedError
            If a direction is asked for, or the model has no site densities.
        """
        if direction is not None or xyz_projection:
            raise not_predicted(
                "a direction in Phonopy.run_projected_dos", "Leave out direction or xyz_projection."
            )
        points = resampled_total_dos(
            self.spectrum,
            sigma=sigma,
            freq_min=freq_min,
            freq_max=freq_max,
            freq_pitch=freq_pitch,
            smearing_function=smearing_function,
        ).frequency_points
        self._projected_dos = projected_dos(
            self.spectrum, points, sigma=sigma, smearing_function=smearing_function
        )
        return self._projected_dos

    def auto_projected_dos(
        self,
        mesh: Any = 100.0,
        is_time_reversal: bool = True,
        is_gamma_center: bool = False,
        plot: bool = False,
        pdos_indices: Sequence[Sequence[int]] | None = None,
        legend: Sequence[Any] | None = None,
        legend_prop: dict[str, Any] | None = None,
        legend_frameon: bool = True,
        xlabel: str | None = None,
        ylabel: str | None = None,
        with_tight_frequency_range: bool = False,
        write_dat: bool = False,
        filename: str | Path = "projected_dos.dat",
    ) -> Any:
        """Run, and if asked write and draw, the projected densities of states."""
        self.run_mesh(mesh)
        self.run_projected_dos()
        if write_dat:
            self.write_projected_dos(filename)
        if not plot:
            return None
        return self.plot_projected_dos(
            pdos_indices,
            legend,
            legend_prop,
            legend_frameon,
            xlabel,
            ylabel,
            with_tight_frequency_range,
        )

    def get_projected_dos_dict(self) -> dict[str, Any]:
        """`frequency_points` (THz) and `projected_dos` (n_atoms, n) (states/THz)."""
        dos = ran(self._projected_dos, "run_projected_dos")
        return {"frequency_points": dos.frequency_points, "projected_dos": dos.projected_dos}

    def plot_projected_dos(
        self,
        pdos_indices: Sequence[Sequence[int]] | None = None,
        legend: Sequence[Any] | None = None,
        legend_prop: dict[str, Any] | None = None,
        legend_frameon: bool = True,
        xlabel: str | None = None,
        ylabel: str | None = None,
        with_tight_frequency_range: bool = False,
    ) -> Any:
        """Draw the projected densities of states; returns matplotlib.pyplot."""
        dos = ran(self._projected_dos, "run_projected_dos")
        return plots.plot_dos(
            dos,
            dos.projected_dos.sum(axis=0),
            with_tight_frequency_range,
            indices=pdos_indices,
            legend=legend,
            legend_prop=legend_prop,
            legend_frameon=legend_frameon,
            xlabel=xlabel,
            ylabel=ylabel,
        )

    def write_projected_dos(self, filename: str | Path = "projected_dos.dat") -> None:
        """Write projected_dos.dat."""
        dos = ran(self._projected_dos, "run_projected_dos")
        with writing(filename):
            write_dos(dos, filename, self.spectrum)

    # -- thermal properties ---------------------------------------------------------------

    @property
    def thermal_properties(self) -> Any:
        """Phonopy's ThermalProperties after `run_thermal_properties`, else None."""
        return self._thermal_properties

    def run_thermal_properties(
        self,
        t_min: float = 0,
        t_max: float = 1000,
        t_step: float = 10,
        temperatures: ArrayLike | None = None,
        cutoff_frequency: float | None = None,
        pretend_real: bool = False,
        band_indices: Any = None,
        classical: bool = False,
        exclude_gamma_acoustic: bool = False,
        **options: Any,
    ) -> Any:
        """Thermal properties by phonopy's own formulas, per mole of primitive cells.

        Parameters are those of `Phonopy.run_thermal_properties`.

        Returns
        -------
        phonopy.phonon.thermal_properties.ThermalProperties
            kJ/mol and J/(K mol).

        Raises
        ------
        NotPredictedError
            If `band_indices` are given: a spectrum has no bands.
        """
        if band_indices is not None:
            raise not_predicted("band_indices in Phonopy.run_thermal_properties", "Leave them out.")
        self._thermal_properties = thermal_properties(
            self.spectrum,
            t_min=t_min,
            t_max=t_max,
            t_step=t_step,
            temperatures=temperatures,
            cutoff_frequency=cutoff_frequency,
            pretend_real=pretend_real,
            classical=classical,
            exclude_gamma_acoustic=exclude_gamma_acoustic,
            **options,
        )
        return self._thermal_properties

    def get_thermal_properties_dict(self) -> dict[str, Any]:
        """`temperatures` (K), `free_energy` (kJ/mol), `entropy`, `heat_capacity` (J/(K mol))."""
        result = ran(self._thermal_properties, "run_thermal_properties")
        names = ("temperatures", "free_energy", "entropy", "heat_capacity")
        return dict(zip(names, result.thermal_properties, strict=True))

    def plot_thermal_properties(
        self,
        xlabel: str | None = None,
        ylabel: str | None = None,
        with_grid: bool = True,
        divide_by_Z: bool = False,
        legend_style: str | None = "normal",
    ) -> Any:
        """Draw the thermal properties; returns matplotlib.pyplot."""
        return plots.plot_thermal(
            ran(self._thermal_properties, "run_thermal_properties"),
            xlabel=xlabel,
            ylabel=ylabel,
            with_grid=with_grid,
            divide_by_Z=divide_by_Z,
            legend_style=legend_style,
        )

    def write_yaml_thermal_properties(
        self, filename: str | Path = "thermal_properties.yaml"
    ) -> None:
        """Write thermal_properties.yaml."""
        result = ran(self._thermal_properties, "run_thermal_properties")
        with writing(filename):
            write_yaml(result, filename, self.spectrum)

    # -- thermal displacements and moments ------------------------------------------------

    @property
    def thermal_displacements(self) -> Any:
        """Phonopy's ThermalDisplacements after `run_thermal_displacements`, else None."""
        return self._thermal_displacements

    def run_thermal_displacements(
        self,
        t_min: float = 0,
        t_max: float = 1000,
        t_step: float = 10,
        temperatures: ArrayLike | None = None,
        direction: ArrayLike | None = None,
        freq_min: float | None = None,
        freq_max: float | None = None,
        exclude_gamma_acoustic: bool = False,
    ) -> Any:
        """Mean-square displacements of the atoms in Å^2; isotropic for a model without tensors.

        Parameters are those of `Phonopy.run_thermal_displacements`; no mesh has to be run. Modes
        near zero frequency are those of `PhononSpectrum.u_iso`, which needs no smallest frequency.

        Raises
        ------
        NotPredictedError
            If a range of frequencies is given.
        """
        if freq_min is not None or freq_max is not None:
            raise not_predicted(
                "a range of frequencies in Phonopy.run_thermal_displacements",
                "Leave out freq_min and freq_max: the acoustic modes are integrated to zero.",
            )
        self._thermal_displacements = displacements.thermal_displacements(
            self.spectrum,
            self._cells.primitive,
            t_min=t_min,
            t_max=t_max,
            t_step=t_step,
            temperatures=temperatures,
            direction=direction,
        )
        return self._thermal_displacements

    @property
    def thermal_displacement_matrices(self) -> Any:
        """Phonopy's ThermalDisplacementMatrices after `run_thermal_displacement_matrices`."""
        return self._thermal_displacement_matrices

    def run_thermal_displacement_matrices(
        self,
        t_min: float = 0,
        t_max: float = 1000,
        t_step: float = 10,
        temperatures: ArrayLike | None = None,
        freq_min: float | None = None,
        freq_max: float | None = None,
        exclude_gamma_acoustic: bool = False,
    ) -> Any:
        """Mean-square displacement matrices of the atoms in Å^2.

        Parameters are those of `Phonopy.run_thermal_displacement_matrices`; no mesh has to be run.

        Raises
        ------
        NotPredictedError
            If a range of frequencies is given.
        SpectrumError
            If the model gives no displacement tensors.
        """
        if freq_min is not None or freq_max is not None:
            raise not_predicted(
                "a range of frequencies in Phonopy.run_thermal_displacement_matrices",
                "Leave out freq_min and freq_max: the acoustic modes are integrated to zero.",
            )
        self._thermal_displacement_matrices = displacements.thermal_displacement_matrices(
            self.spectrum,
            self._cells.primitive,
            t_min=t_min,
            t_max=t_max,
            t_step=t_step,
            temperatures=temperatures,
        )
        return self._thermal_displacement_matrices

    def get_thermal_displacement_matrices_dict(self) -> dict[str, Any]:
        """`temperatures` (K) and the matrices (Å^2), Cartesian and as CIF defines them."""
        result = ran(self._thermal_displacement_matrices, "run_thermal_displacement_matrices")
        return {
            "temperatures": result.temperatures,
            "thermal_displacement_matrices": result.thermal_displacement_matrices,
            "thermal_displacement_matrices_cif": result.thermal_displacement_matrices_cif,
        }

    def write_yaml_thermal_displacement_matrices(self) -> None:
        """Write thermal_displacement_matrices.yaml."""
        result = ran(self._thermal_displacement_matrices, "run_thermal_displacement_matrices")
        with writing("thermal_displacement_matrices.yaml"):
            result.write_yaml()

    def write_thermal_displacement_matrix_to_cif(self, temperature_index: int) -> None:
        """Write tdispmat.cif with the matrices at one of the temperatures."""
        result = ran(self._thermal_displacement_matrices, "run_thermal_displacement_matrices")
        with writing("tdispmat.cif"):
            result.write_cif(self._cells.primitive, temperature_index)

    def get_thermal_displacements_dict(self) -> dict[str, Any]:
        """`temperatures` (K) and `thermal_displacements` (Å^2)."""
        result = ran(self._thermal_displacements, "run_thermal_displacements")
        return {
            "temperatures": result.temperatures,
            "thermal_displacements": result.thermal_displacements,
        }

    def plot_thermal_displacements(self, is_legend: bool = False) -> Any:
        """Draw the displacements against temperature; returns matplotlib.pyplot."""
        result = ran(self._thermal_displacements, "run_thermal_displacements")
        return plots.plot_displacements(result, is_legend)

    def write_yaml_thermal_displacements(self) -> None:
        """Write thermal_displacements.yaml."""
        result = ran(self._thermal_displacements, "run_thermal_displacements")
        with writing("thermal_displacements.yaml"):
            write_yaml(result, "thermal_displacements.yaml", self.spectrum)

    @property
    def moment(self) -> Any:
        """Phonopy's PhononMoment after `run_moment`, else None."""
        return self._moment

    def run_moment(
        self,
        order: int = 1,
        is_projection: bool = False,
        freq_min: float | None = None,
        freq_max: float | None = None,
    ) -> Any:
        """Moment of the spectrum in THz^order, or those of the atoms, as phonopy's object."""
        mesh = ran(self._mesh, "run_mesh")
        self._moment = displacements.moment(
            self.spectrum, mesh, order, is_projection, freq_min, freq_max
        )
        return self._moment

    def get_moment(self) -> Any:
        """Moment in THz^order after `run_moment`."""
        return ran(self._moment, "run_moment").moment
