"""Densities of states of an `E3DOSPhonopy`, total and projected."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike

from ase_e3dos.export.phonopy import (
    projected_dos,
    resampled_total_dos,
    total_dos,
    write_dos,
)
from ase_e3dos.export.writing import writing
from ase_e3dos.interfaces.phonopy import plots
from ase_e3dos.interfaces.phonopy.predicted_cell import PredictedCell
from ase_e3dos.interfaces.phonopy.refusals import not_predicted, ran


class DosMethods(PredictedCell):
    """Total and projected densities of states, in THz and states/THz per primitive cell."""

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
        points = {"freq_min": freq_min, "freq_max": freq_max, "freq_pitch": freq_pitch}
        self._total_dos = resampled_total_dos(
            self.spectrum, sigma=sigma, smearing_function=smearing_function, **points
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
        """Run, and if asked write and draw, the total density of states.

        Parameters
        ----------
        mesh, is_time_reversal, is_mesh_symmetry, is_gamma_center
            Accepted; there are no q-points.
        plot : bool
            Whether to draw.
        xlabel, ylabel, with_tight_frequency_range
            Of `plot_total_dos`.
        write_dat : bool
            Whether to write `filename`.
        filename : str or Path

        Returns
        -------
        module or None
            matplotlib.pyplot, with `plot`.
        """
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
        """Draw the total density of states; returns matplotlib.pyplot.

        The curve is that of `spectrum.plot()`, within the range of `run_total_dos`; with a
        smearing of phonopy's it is the smeared one.
        """
        dos = plots.as_predicted(
            ran(self._total_dos, "run_total_dos"), lambda: total_dos(self.spectrum)
        )
        return plots.plot_dos(
            dos, dos.dos, with_tight_frequency_range, xlabel=xlabel, ylabel=ylabel
        )

    def write_total_dos(self, filename: str | Path = "total_dos.dat") -> None:
        """Write total_dos.dat.

        Parameters
        ----------
        filename : str or Path
        """
        self._write(ran(self._total_dos, "run_total_dos"), filename)

    def set_Debye_frequency(self, freq_max_fit: float | None = None) -> None:  # noqa: N802
        """Fit phonopy's Debye frequency to the total density of states.

        Parameters
        ----------
        freq_max_fit : float, optional
            THz; the highest frequency of the fit, phonopy's choice if not given.
        """
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

        Parameters
        ----------
        sigma, freq_min, freq_max, freq_pitch, use_tetrahedron_method, smearing_function
            As for `run_total_dos`, in THz.
        direction, xyz_projection
            Refused.

        Returns
        -------
        phonopy.phonon.dos.ProjectedDos
            `projected_dos` of shape (n_atoms, n) in states/THz.

        Raises
        ------
        NotPredictedError
            If a direction is asked for, or the model has no site densities.
        """
        if direction is not None or xyz_projection:
            raise not_predicted(
                "a direction in Phonopy.run_projected_dos", "Leave out direction or xyz_projection."
            )
        points = {"freq_min": freq_min, "freq_max": freq_max, "freq_pitch": freq_pitch}
        smearing: Any = {"sigma": sigma, "smearing_function": smearing_function}
        total = resampled_total_dos(self.spectrum, **smearing, **points)
        self._projected_dos = projected_dos(self.spectrum, total.frequency_points, **smearing)
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
        """Run, and if asked write and draw, the projected densities of states.

        Parameters
        ----------
        mesh, is_time_reversal, is_gamma_center
            Accepted; there are no q-points.
        plot : bool
            Whether to draw.
        pdos_indices, legend, legend_prop, legend_frameon
            Of `plot_projected_dos`.
        xlabel, ylabel, with_tight_frequency_range
            Of `plot_projected_dos`.
        write_dat : bool
            Whether to write `filename`.
        filename : str or Path

        Returns
        -------
        module or None
            matplotlib.pyplot, with `plot`.
        """
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
        """Draw the projected densities of states, as `plot_total_dos` does the total."""
        dos = plots.as_predicted(
            ran(self._projected_dos, "run_projected_dos"), lambda: projected_dos(self.spectrum)
        )
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
        """Write projected_dos.dat.

        Parameters
        ----------
        filename : str or Path
        """
        self._write(ran(self._projected_dos, "run_projected_dos"), filename)

    def _write(self, dos: Any, filename: str | Path) -> None:
        with writing(filename):
            write_dos(dos, filename, self.spectrum)
