"""Thermal displacements of the atoms and moments of the spectrum of an `E3DOSPhonopy`."""

from __future__ import annotations

from typing import Any

from numpy.typing import ArrayLike

from ase_e3dos.export.phonopy import write_yaml
from ase_e3dos.export.writing import writing
from ase_e3dos.interfaces.phonopy import displacements, plots
from ase_e3dos.interfaces.phonopy.predicted_cell import PredictedCell
from ase_e3dos.interfaces.phonopy.refusals import not_predicted, ran


class Vibrations(PredictedCell):
    """Mean-square displacements in Å^2, their matrices, and moments in powers of THz."""

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

        Parameters
        ----------
        t_min, t_max, t_step : float
            Temperatures in K.
        temperatures : array_like, optional
            Temperatures in K instead.
        direction : array_like, shape (3,), optional
            Along which they are; along the three axes if not given.
        freq_min, freq_max
            Refused.
        exclude_gamma_acoustic : bool
            Accepted; there are no modes at Gamma.

        Returns
        -------
        phonopy.phonon.thermal_displacement.ThermalDisplacements
            Å^2.

        Raises
        ------
        NotPredictedError
            If a range of frequencies is given.
        """
        _refuse_range("run_thermal_displacements", freq_min, freq_max)
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

        Parameters
        ----------
        t_min, t_max, t_step : float
            Temperatures in K.
        temperatures : array_like, optional
            Temperatures in K instead.
        freq_min, freq_max
            Refused.
        exclude_gamma_acoustic : bool
            Accepted; there are no modes at Gamma.

        Returns
        -------
        phonopy.phonon.thermal_displacement.ThermalDisplacementMatrices
            Å^2.

        Raises
        ------
        NotPredictedError
            If a range of frequencies is given.
        SpectrumError
            If the model gives no displacement tensors.
        """
        _refuse_range("run_thermal_displacement_matrices", freq_min, freq_max)
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
        result = self._matrices()
        return {
            "temperatures": result.temperatures,
            "thermal_displacement_matrices": result.thermal_displacement_matrices,
            "thermal_displacement_matrices_cif": result.thermal_displacement_matrices_cif,
        }

    def write_yaml_thermal_displacement_matrices(self) -> None:
        """Write thermal_displacement_matrices.yaml."""
        result = self._matrices()
        with writing("thermal_displacement_matrices.yaml"):
            write_yaml(result, "thermal_displacement_matrices.yaml", self.spectrum)

    def write_thermal_displacement_matrix_to_cif(self, temperature_index: int) -> None:
        """Write tdispmat.cif with the matrices at one of the temperatures.

        Parameters
        ----------
        temperature_index : int
            Of the temperatures that were run.
        """
        result = self._matrices()
        with writing("tdispmat.cif"):
            result.write_cif(self._cells.primitive, temperature_index)

    def _matrices(self) -> Any:
        return ran(self._thermal_displacement_matrices, "run_thermal_displacement_matrices")

    def get_thermal_displacements_dict(self) -> dict[str, Any]:
        """`temperatures` (K) and `thermal_displacements` (Å^2)."""
        result = ran(self._thermal_displacements, "run_thermal_displacements")
        return {
            "temperatures": result.temperatures,
            "thermal_displacements": result.thermal_displacements,
        }

    def plot_thermal_displacements(self, is_legend: bool = False) -> Any:
        """Draw the displacements against temperature; returns matplotlib.pyplot.

        Parameters
        ----------
        is_legend : bool
            Whether to draw a legend.

        Returns
        -------
        module
            matplotlib.pyplot.
        """
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
        """Moment of the spectrum in THz^order, or those of the atoms, as phonopy's object.

        Parameters
        ----------
        order : int
        is_projection : bool
            Whether to give the moments of the atoms.
        freq_min, freq_max : float, optional
            THz; the range to count.

        Returns
        -------
        phonopy.phonon.moment.PhononMoment
        """
        mesh = ran(self._mesh, "run_mesh")
        self._moment = displacements.moment(
            self.spectrum, mesh, order, is_projection, freq_min, freq_max
        )
        return self._moment

    def get_moment(self) -> Any:
        """Moment in THz^order after `run_moment`."""
        return ran(self._moment, "run_moment").moment


def _refuse_range(method: str, freq_min: float | None, freq_max: float | None) -> None:
    if freq_min is not None or freq_max is not None:
        raise not_predicted(
            f"a range of frequencies in Phonopy.{method}",
            "Leave out freq_min and freq_max: the acoustic modes are integrated to zero.",
        )
