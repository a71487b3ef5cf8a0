"""PhononSpectrum: a phonon density of states with all that can be asked of it; Spectra: many."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, SupportsIndex, overload

from numpy.typing import ArrayLike

from ase_e3dos.spectrum.density_of_states import DensityOfStates
from ase_e3dos.spectrum.uncertainty import INTERVAL_LEVEL

if TYPE_CHECKING:
    from ase_e3dos.analysis.neutron import WeightedSpectrum
    from ase_e3dos.export.curves import FrequencyUnit, Projection
    from ase_e3dos.export.overlays import Overlay
    from ase_e3dos.export.page import PageLayout
    from ase_e3dos.export.thermal_curves import EnergyUnit, Panel
    from ase_e3dos.export.thermal_table import ThermalTable
    from ase_e3dos.spectrum.thermal import Acoustic, Quantity


class PhononSpectrum(DensityOfStates):
    """Phonon density of states of a crystal, with its thermal properties and exports.

    Parameters
    ----------
    wavenumbers : array_like, shape (n,), or FrequencyGrid
        Uniform, ascending grid in cm^-1; imaginary modes are negative.
    density : array_like, shape (n,), or Densities, optional
        Total density in any unit; it is scaled so that its trapezoid integral
        over frequencies in THz is 3 `crystal.n_sites`. An array of shape
        (n_sites, n) is taken as `site_density`. `Densities` are scaled already, and
        hold those of sites and members.
    site_density : array_like, shape (n_sites, n), optional
        Densities of the sites in any unit; each is scaled to 3, their sum is the total.
    crystal : Crystal
        The cell that the spectrum is of.
    density_std : array_like, shape (n,), optional
        Standard deviation of `density`, in its unit.
    members : array_like, shape (n_members, n), optional
        Densities by the members of an ensemble, in any unit.
    model : str, optional
        Name of the model.
    calibration : Calibration, optional
        Error model behind `interval`.
    label_like : bool, optional
        Whether the values are already paper labels (smoothed), so that
        `as_paper_label` only interpolates.
    log_displacements : array_like, shape (n_sites, 3, 6), optional
        Logarithms of the sites' displacement tensors (Å^2) at 100, 300 and 600 K, as
        `ase_e3dos.spectrum.displacement_tensors` has them.
    sound_velocity : float, optional
        Debye mean of the sound velocities over directions and branches, km/s.
    instability : float, optional
        Probability that more than 1 % of the modes are imaginary.
    weights : str, optional
        SHA-256 of the weights of the model.
    version : str, optional
        Version of the package that made the spectrum; this one by default.
    warnings : tuple of E3DOSWarning, optional
        What is unusual about the prediction.
    origin : mapping, optional
        How structure and numbers came about where the model's name does not say it all.

    Raises
    ------
    SpectrumError
        If shapes do not fit, a value is negative or not finite, or all are zero.

    Notes
    -----
    Thermal methods are per mole of what `normalization` says, take temperatures
    as a float or an array (K, not negative), and share two options, documented
    in `ase_e3dos.spectrum.thermal`: `imaginary` ("drop", as phonopy does, so that
    C_V tends to 3N k_B (1 - imaginary_fraction); "pretend_real"; "refuse") and
    `acoustic` ("debye" repairs the w^2 law near zero; None does not).
    """

    __slots__ = ()

    # -- experiments and descriptors --------------------------------------------------

    def neutron_weighted(self, *, resolution: Any = None, **options: Any) -> WeightedSpectrum:
        """Spectrum as a scattering experiment sees it; see `ase_e3dos.analysis.neutron`."""
        from ase_e3dos.analysis.neutron import neutron_weighted

        return neutron_weighted(self, resolution=resolution, **options)

    def u_iso(self, temperature: ArrayLike = 300.0, **options: Any) -> Any:
        """U_iso of each site in Å^2, shape (n_sites, ...): `ase_e3dos.analysis.displacements`."""
        from ase_e3dos.analysis.displacements import u_iso

        return u_iso(self, temperature, **options)

    def u_iso_std(self, temperature: ArrayLike = 300.0) -> Any:
        """Standard deviation of `u_iso` over the ensemble's members in Å^2, not calibrated."""
        from ase_e3dos.analysis.displacements import u_iso_std

        return u_iso_std(self, temperature)

    def u_iso_interval(self, temperature: ArrayLike = 300.0, level: float = INTERVAL_LEVEL) -> Any:
        """Calibrated interval (low, high) of `u_iso`: `ase_e3dos.analysis.displacements`."""
        from ase_e3dos.analysis.displacements import u_iso_interval

        return u_iso_interval(self, temperature, level)

    def u_tensor(self, temperature: ArrayLike = 300.0, **options: Any) -> Any:
        """Displacement tensors in Å^2, (n_sites, ..., 3, 3): `ase_e3dos.analysis.displacements`."""
        from ase_e3dos.analysis.displacements import u_tensor

        return u_tensor(self, temperature, **options)

    def b_iso(self, temperature: ArrayLike = 300.0, **options: Any) -> Any:
        """B_iso = 8 pi^2 U_iso of each site in Å^2, shape (n_sites, ...).

        Parameters
        ----------
        temperature : array_like
            K.
        **options
            As for `u_iso`.

        Returns
        -------
        ndarray, shape (n_sites, ...)
            Å^2.
        """
        from ase_e3dos.analysis.displacements import b_iso

        return b_iso(self, temperature, **options)

    def mean_square_displacements(self, temperature: ArrayLike = 300.0, **options: Any) -> Any:
        """<u^2> of each site over all axes in Å^2, shape (n_sites, ...).

        Parameters
        ----------
        temperature : array_like
            K.
        **options
            As for `u_iso`.

        Returns
        -------
        ndarray, shape (n_sites, ...)
            Å^2.
        """
        from ase_e3dos.analysis.displacements import mean_square_displacements

        return mean_square_displacements(self, temperature, **options)

    def describe(self) -> dict[str, float]:
        """Gaps, edges, moments, Debye temperatures: see `ase_e3dos.analysis.descriptors`."""
        from ase_e3dos.analysis.descriptors import describe

        return describe(self)

    # -- exports ----------------------------------------------------------------------

    def to_phonopy(self) -> Any:
        """`phonopy.phonon.dos.TotalDos` (that very class), THz and states/THz."""
        from ase_e3dos.export.phonopy import total_dos

        return total_dos(self)

    def thermal_properties(
        self,
        temperatures: ArrayLike | None = None,
        *,
        t_min: float = 0.0,
        t_max: float = 1000.0,
        t_step: float = 10.0,
        acoustic: Acoustic = "debye",
        **options: Any,
    ) -> ThermalTable:
        """Return phonopy's ThermalProperties, run, with `to_dataframe` and `to_csv` besides.

        Parameters
        ----------
        temperatures : array_like, optional
            K; else `t_min` to `t_max` every `t_step`.
        t_min, t_max, t_step : float
            K.
        acoustic : {"debye", None}
            Repair of the density near zero (`ase_e3dos.spectrum.thermal`).
        **options
            Of `Phonopy.run_thermal_properties`; see `ase_e3dos.export.phonopy`.

        Returns
        -------
        ThermalTable
            Per mole of what `normalization` says.
        """
        from ase_e3dos.export.phonopy import thermal_properties

        return thermal_properties(
            self,
            temperatures=temperatures,
            t_min=t_min,
            t_max=t_max,
            t_step=t_step,
            acoustic=acoustic,
            **options,
        )

    def to_pymatgen(self) -> Any:
        """Return a pymatgen CompletePhononDos where sites are known and ordered, else PhononDos."""
        from ase_e3dos.export.pymatgen import phonon_dos

        return phonon_dos(self)

    def to_ase(self) -> Any:
        """`ase.spectrum.dosdata.GridDOSData` in eV and states/eV."""
        from ase_e3dos.export.ase import grid_dos_data

        return grid_dos_data(self)

    def write(self, path: str | Path, **options: Any) -> None:
        """Write a file whose kind its name tells; see `ase_e3dos.export.files.write`."""
        from ase_e3dos.export.files import write

        write(self, path, **options)

    def plot(
        self,
        ax: Any = None,
        *,
        units: FrequencyUnit = "THz",
        projection: Projection | None = None,
        stacked: bool = False,
        band: float | None = INTERVAL_LEVEL,
        smoothing: float = 0.0,
        label: str | None = None,
        color: str | None = None,
        overlays: Sequence[Overlay] = (),
    ) -> Any:
        """Draw on Matplotlib axes and return them; see `ase_e3dos.export.plots.plot_spectrum`."""
        from ase_e3dos.export.plots import plot_spectrum

        return plot_spectrum(
            self,
            ax,
            units=units,
            projection=projection,
            stacked=stacked,
            band=band,
            smoothing=smoothing,
            label=label,
            color=color,
            overlays=overlays,
        )

    def plot_thermal(
        self,
        ax: Any = None,
        *,
        quantity: Quantity = "heat_capacity",
        temperatures: ArrayLike | None = None,
        energy_units: EnergyUnit = "kJ/mol",
        band: float | None = INTERVAL_LEVEL,
        label: str | None = None,
        color: str | None = None,
    ) -> Any:
        """Draw C_V, S, F or U over temperature; see `ase_e3dos.export.plots.plot_thermal`."""
        from ase_e3dos.export.plots import plot_thermal

        return plot_thermal(
            self,
            ax,
            quantity=quantity,
            temperatures=temperatures,
            energy_units=energy_units,
            band=band,
            label=label,
            color=color,
        )

    def show(
        self,
        *,
        units: FrequencyUnit = "THz",
        projection: Projection | Literal["auto"] | None = "auto",
        stacked: bool = False,
        panels: Sequence[Panel] | None = None,
        style: str | None = "publication",
        temperatures: ArrayLike | None = None,
        energy_units: EnergyUnit = "kJ/mol",
        band: float | None = INTERVAL_LEVEL,
        smoothing: float = 0.0,
        overlays: Sequence[Overlay] = (),
    ) -> None:
        """Open the interactive figure in the notebook or the browser; see `export.page`."""
        Spectra([self]).show(
            units=units,
            projection=projection,
            stacked=stacked,
            panels=panels,
            style=style,
            temperatures=temperatures,
            energy_units=energy_units,
            band=band,
            smoothing=smoothing,
            overlays=overlays,
        )

    def _repr_html_(self) -> str:
        """What a notebook shows: formula, thumbnail, C_V, S and F with error bars, warnings."""
        from ase_e3dos.export.cards import card

        return card(self)

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Spectrum from a JSON file that `write` wrote."""
        from ase_e3dos.export.json_file import read_json

        return cls.from_dict(read_json(path))

    def as_dict(self) -> dict[str, Any]:
        """Plain dictionary for JSON, in the cell's normalisation, with monty's @module and @class.

        jobflow, `monty.serialization` and pymatgen's tools make a spectrum of it again.
        """
        from ase_e3dos.spectrum.serialization import spectrum_to_dict

        kind = {"@module": type(self).__module__, "@class": type(self).__name__}
        return {**kind, "@version": self.version, **spectrum_to_dict(self)}

    def to_dict(self) -> dict[str, Any]:
        """As `as_dict`, which is monty's name for it."""
        return self.as_dict()

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Spectrum from `as_dict`'s dictionary."""
        from ase_e3dos.spectrum.serialization import spectrum_from_dict

        return spectrum_from_dict(data, cls)

    def to_dataframe(self) -> Any:
        """`pandas.DataFrame` with a row for each point of the grid; see `export.tables`.

        `thermal_properties(T).to_dataframe()` is the one over temperature.
        """
        from ase_e3dos.export.tables import dataframe

        return dataframe(self)


class Spectra(list[PhononSpectrum]):
    """A list of spectra that shows itself in notebooks, draws itself, and becomes tables."""

    @overload
    def __getitem__(self, index: SupportsIndex) -> PhononSpectrum: ...

    @overload
    def __getitem__(self, index: slice) -> Spectra: ...

    def __getitem__(self, index: SupportsIndex | slice) -> PhononSpectrum | Spectra:
        """One spectrum, or the `Spectra` of a slice."""
        if isinstance(index, slice):
            return Spectra(super().__getitem__(index))
        return super().__getitem__(index)

    def __repr__(self) -> str:
        if len(self) <= 3:
            return super().__repr__()
        return f"[{self[0]!r}, {self[1]!r}, ..., {self[-1]!r}]  # {len(self)} spectra"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """What a notebook shows: a table with thumbnails, C_V, S and F with error bars."""
        from ase_e3dos.export.cards import table

        return {"text/plain": repr(self), "text/html": table(self)}

    def plot(
        self,
        ax: Any = None,
        *,
        units: FrequencyUnit = "THz",
        waterfall: bool = False,
        band: float | None = INTERVAL_LEVEL,
        smoothing: float = 0.0,
        labels: Sequence[str] | None = None,
        overlays: Sequence[Overlay] = (),
    ) -> Any:
        """Draw all on Matplotlib axes, per atom; see `ase_e3dos.export.plots.plot_spectra`."""
        from ase_e3dos.export.plots import plot_spectra

        return plot_spectra(
            self,
            ax,
            units=units,
            waterfall=waterfall,
            band=band,
            smoothing=smoothing,
            labels=labels,
            overlays=overlays,
        )

    def show(
        self,
        *,
        units: FrequencyUnit = "THz",
        projection: Projection | Literal["auto"] | None = "auto",
        stacked: bool = False,
        panels: Sequence[Panel] | None = None,
        layout: PageLayout = "overlay",
        style: str | None = "publication",
        temperatures: ArrayLike | None = None,
        energy_units: EnergyUnit = "kJ/mol",
        band: float | None = INTERVAL_LEVEL,
        smoothing: float = 0.0,
        labels: Sequence[str] | None = None,
        overlays: Sequence[Overlay] = (),
    ) -> None:
        """Open one interactive figure in the notebook or the browser; see `export.page`."""
        from ase_e3dos.export.page import figure
        from ase_e3dos.export.thermal_curves import PANELS

        figure(
            self,
            units=units,
            projection=projection,
            stacked=stacked,
            panels=PANELS if panels is None else panels,
            layout=layout,
            style=style,
            temperatures=temperatures,
            energy_units=energy_units,
            band=band,
            smoothing=smoothing,
            labels=labels,
            overlays=overlays,
        ).show()

    def to_dataframe(self, temperatures: ArrayLike = 300.0) -> Any:
        """`pandas.DataFrame` with a row for each spectrum and temperature (K), per cell.

        Columns as `ase_e3dos.export.tables.thermal_columns` has them.
        """
        from ase_e3dos.export.tables import thermal_dataframe

        return thermal_dataframe(self, temperatures)
