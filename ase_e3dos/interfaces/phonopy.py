"""E3DOSPhonopy: stands where a `phonopy.Phonopy` stood, with predicted spectra."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ase_e3dos.errors import CrystalError, NotPredictedError
from ase_e3dos.export.files import writing
from ase_e3dos.export.phonopy import (
    SpectrumMesh,
    projected_dos,
    resampled_total_dos,
    thermal_properties,
    write_dos,
)
from ase_e3dos.interfaces import phonopy_plots as plots
from ase_e3dos.interfaces.phonopy_cells import phonopy_cells, primitive_crystal
from ase_e3dos.phonon_spectrum import PhononSpectrum
from ase_e3dos.structures.crystal import Crystal

_HINTS = {
    "generate_displacements": "Delete this step: no displacements are needed.",
    "produce_force_constants": "Delete this step: no forces or force constants are needed.",
    "symmetrize_force_constants": "Delete this step: there are no force constants.",
    "plot_band_structure_and_dos": "Draw the density alone with plot_total_dos.",
    "get_mesh_dict": "The density is in total_dos.",
    "run_thermal_displacements": "Isotropic ones are in phonon.spectrum.u_iso(temperature).",
    "run_thermal_displacement_matrices": "Isotropic ones: phonon.spectrum.u_iso(temperature).",
    "save": "Save the spectrum: phonon.spectrum.write('spectrum.json').",
}


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
    **options
        Further arguments of the installed `phonopy.Phonopy`: primitive_matrix,
        symprec, is_symmetry, calculator, ...

    Raises
    ------
    CrystalError
        If the cell is no crystal.
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
        _predict: Callable[[Crystal], PhononSpectrum] | None = None,
        **options: Any,
    ) -> None:
        self._unitcell_crystal, self._cells = phonopy_cells(
            unitcell, supercell_matrix, *args, **options
        )
        self._model, self._device, self._predict = model, device, _predict
        self._reset()

    def _reset(self) -> None:
        self._spectrum: PhononSpectrum | None = None
        self._mesh: SpectrumMesh | None = None
        self._total_dos: Any = None
        self._projected_dos: Any = None
        self._thermal_properties: Any = None

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
        return _NO_FORCE_CONSTANTS

    @force_constants.setter
    def force_constants(self, force_constants: Any) -> None:
        raise _not_predicted(
            "setting Phonopy.force_constants",
            "Delete this step: they are not needed. To use force constants that you have, take "
            "phonopy.Phonopy.",
        )

    def __getattr__(self, name: str) -> Any:
        from phonopy import Phonopy

        if name.startswith("_") or not hasattr(Phonopy, name):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        if isinstance(getattr(Phonopy, name), property):
            try:  # the cells, and None where phonopy ran nothing
                return getattr(self._cells, name)
            except RuntimeError as error:
                raise _not_predicted(f"Phonopy.{name}", _HINTS.get(name, "")) from error

        def not_predicted(*_args: Any, **_options: Any) -> Any:
            raise _not_predicted(f"Phonopy.{name}", _HINTS.get(name, ""))

        return not_predicted

    def __setattr__(self, name: str, value: Any) -> None:
        from phonopy import Phonopy

        if name in ("model", "device"):
            raise AttributeError(
                f"E3DOSPhonopy takes {name} when it is made: E3DOSPhonopy(cell, {name}={value!r})."
            )
        ours = name.startswith("_") or hasattr(type(self), name)
        if ours or not hasattr(Phonopy, name):  # ours, or a note that a script pins on
            object.__setattr__(self, name, value)
        else:
            raise _not_predicted(f"setting Phonopy.{name}", "Delete this step: it is not needed.")

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
        dos = _ran(self._total_dos, "run_total_dos")
        return {"frequency_points": dos.frequency_points, "total_dos": dos.dos}

    def plot_total_dos(
        self,
        xlabel: str | None = None,
        ylabel: str | None = None,
        with_tight_frequency_range: bool = False,
    ) -> Any:
        """Draw the total density of states; returns matplotlib.pyplot."""
        dos = _ran(self._total_dos, "run_total_dos")
        return plots.plot_dos(
            dos, dos.dos, with_tight_frequency_range, xlabel=xlabel, ylabel=ylabel
        )

    def write_total_dos(self, filename: str | Path = "total_dos.dat") -> None:
        """Write total_dos.dat."""
        dos = _ran(self._total_dos, "run_total_dos")
        with writing(filename):
            write_dos(dos, filename)

    def set_Debye_frequency(self, freq_max_fit: float | None = None) -> None:  # noqa: N802
        """Fit phonopy's Debye frequency to the total density of states."""
        dos = _ran(self._total_dos, "run_total_dos")
        if hasattr(dos, "run_debye_frequency"):
            dos.run_debye_frequency(freq_max_fit=freq_max_fit)
        else:  # phonopy 3
            dos.set_Debye_frequency(len(self._cells.primitive), freq_max_fit=freq_max_fit)

    def get_Debye_frequency(self) -> Any:  # noqa: N802
        """Debye frequency in THz, after `set_Debye_frequency`."""
        dos = _ran(self._total_dos, "run_total_dos")
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
            raise _not_predicted(
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
        dos = _ran(self._projected_dos, "run_projected_dos")
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
        dos = _ran(self._projected_dos, "run_projected_dos")
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
        dos = _ran(self._projected_dos, "run_projected_dos")
        with writing(filename):
            write_dos(dos, filename)

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
            raise _not_predicted(
                "band_indices in Phonopy.run_thermal_properties", "Leave them out."
            )
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
        result = _ran(self._thermal_properties, "run_thermal_properties")
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
            _ran(self._thermal_properties, "run_thermal_properties"),
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
        result = _ran(self._thermal_properties, "run_thermal_properties")
        with writing(filename):
            result.write_yaml(filename=filename)


class _NoForceConstants:
    """Stands for force constants that there are not."""

    def __repr__(self) -> str:
        return "<no force constants: the spectrum is predicted directly>"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise _not_predicted("using Phonopy.force_constants as numbers")

    def _refuse(self, *_args: Any, **_options: Any) -> Any:
        raise _not_predicted("using Phonopy.force_constants as numbers")

    # Python looks these up on the class, past `__getattr__`; in-place ones fall back on them.
    __add__ = __radd__ = _refuse
    __sub__ = __rsub__ = _refuse
    __mul__ = __rmul__ = _refuse
    __matmul__ = __rmatmul__ = _refuse
    __truediv__ = __rtruediv__ = _refuse
    __floordiv__ = __rfloordiv__ = _refuse
    __mod__ = __rmod__ = _refuse
    __divmod__ = __rdivmod__ = _refuse
    __pow__ = __rpow__ = _refuse
    __and__ = __rand__ = _refuse
    __or__ = __ror__ = _refuse
    __xor__ = __rxor__ = _refuse
    __lshift__ = __rlshift__ = _refuse
    __rshift__ = __rrshift__ = _refuse
    __neg__ = __pos__ = __abs__ = __invert__ = __round__ = _refuse
    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _refuse
    __hash__ = object.__hash__
    __len__ = __iter__ = __contains__ = __getitem__ = __setitem__ = __delitem__ = _refuse
    __array__ = __float__ = __int__ = __complex__ = __index__ = _refuse


_NO_FORCE_CONSTANTS = _NoForceConstants()


def _ran(result: Any, method: str) -> Any:
    if result is None:
        raise RuntimeError(f"{method} has to be done before its result is used.")
    return result


def _not_predicted(what: str, hint: str = "") -> NotPredictedError:
    return NotPredictedError(
        f"{what}: a predicted density of states has no bands, eigenvectors or force constants. "
        + (hint or "Use phonopy.Phonopy with finite displacements and a potential for these.")
    )
