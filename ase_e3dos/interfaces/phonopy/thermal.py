"""Thermal properties of an `E3DOSPhonopy`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike

from ase_e3dos.export.phonopy import thermal_properties, write_yaml
from ase_e3dos.export.writing import writing
from ase_e3dos.interfaces.phonopy import plots
from ase_e3dos.interfaces.phonopy.predicted_cell import PredictedCell
from ase_e3dos.interfaces.phonopy.refusals import not_predicted, ran
from ase_e3dos.interfaces.phonopy.signatures import in_phonopys_order


class Thermal(PredictedCell):
    """Thermal properties by phonopy's own formulas, per mole of primitive cells."""

    @property
    def thermal_properties(self) -> Any:
        """Phonopy's ThermalProperties after `run_thermal_properties`, else None."""
        return self._thermal_properties

    @in_phonopys_order
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
        is_projection: bool = False,
    ) -> Any:
        """Thermal properties by phonopy's own formulas, per mole of primitive cells.

        Parameters
        ----------
        t_min, t_max, t_step : float
            Temperatures in K.
        temperatures : array_like, optional
            Temperatures in K instead.
        cutoff_frequency : float, optional
            THz; modes below it are left out.
        pretend_real : bool
            Whether imaginary modes count as real ones.
        band_indices
            Refused.
        classical : bool
            Whether to take classical statistics.
        exclude_gamma_acoustic : bool
            Accepted; a spectrum has no modes at Gamma.
        is_projection : bool
            Refused; older versions of phonopy have it.

        Returns
        -------
        phonopy.phonon.thermal_properties.ThermalProperties
            kJ/mol and J/(K mol).

        Raises
        ------
        NotPredictedError
            If `band_indices` or `is_projection` are given: a spectrum has no bands.
        """
        for name, given in (("band_indices", band_indices), ("is_projection", is_projection)):
            if given is not None and given is not False:
                raise not_predicted(f"{name} in Phonopy.run_thermal_properties", "Leave it out.")
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
        """Draw the thermal properties; returns matplotlib.pyplot.

        Parameters
        ----------
        xlabel, ylabel : str, optional
            Labels of the axes.
        with_grid : bool
        divide_by_Z : bool
            Whether the values are per formula unit.
        legend_style : str, optional
            As phonopy has it.

        Returns
        -------
        module
            matplotlib.pyplot.
        """
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
        """Write thermal_properties.yaml.

        Parameters
        ----------
        filename : str or Path
        """
        result = ran(self._thermal_properties, "run_thermal_properties")
        with writing(filename):
            write_yaml(result, filename, self.spectrum)
