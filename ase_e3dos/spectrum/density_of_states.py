"""DensityOfStates: a phonon density of states as a value, and what follows from it alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike

from ase_e3dos.errors import E3DOSWarning, SpectrumError
from ase_e3dos.spectrum import thermal
from ase_e3dos.spectrum.constants import constants
from ase_e3dos.spectrum.density import normalised_density, normalised_rows
from ase_e3dos.spectrum.grid import (
    Array,
    FrequencyGrid,
    bin_edges,
    finite_wavenumbers,
    paper_label,
)
from ase_e3dos.spectrum.thermal import Acoustic, Imaginary, Quantity, checked_temperatures
from ase_e3dos.spectrum.uncertainty import (
    INTERVAL_LEVEL,
    SOUND,
    THERMAL,
    Calibration,
    error_covariates,
)
from ase_e3dos.version import __version__

if TYPE_CHECKING:
    from ase_e3dos.structures.crystal import Crystal

PAPER_GRID = np.arange(0.0, 1001.0, 20.0)
PAPER_GRID.flags.writeable = False


class DensityOfStates:
    """Phonon density of states of a crystal, with its thermal properties and error bars.

    Parameters, errors and conventions are those of `ase_e3dos.PhononSpectrum`, which is this with
    what the rooms above make of it.
    """

    _density_std: Array | None

    __slots__ = (
        "_crystal",
        "_density",
        "_density_std",
        "_grid",
        "_instability",
        "_log_displacements",
        "_members",
        "_scale",
        "_site_density",
        "_sound_velocity",
        "calibration",
        "label_like",
        "model",
        "normalization",
        "origin",
        "version",
        "warnings",
        "weights",
    )

    def __init__(
        self,
        wavenumbers: ArrayLike,
        density: ArrayLike | None = None,
        site_density: ArrayLike | None = None,
        *,
        crystal: Crystal,
        density_std: ArrayLike | None = None,
        members: ArrayLike | None = None,
        model: str = "",
        calibration: Calibration | None = None,
        label_like: bool = False,
        log_displacements: ArrayLike | None = None,
        sound_velocity: float | None = None,
        instability: float | None = None,
        weights: str = "",
        version: str = __version__,
    ) -> None:
        grid = FrequencyGrid.of(wavenumbers)
        total, sites, factor = normalised_density(
            grid, density, site_density, crystal.n_sites, crystal.name
        )
        if members is not None:
            members = normalised_rows(
                grid, members, 3.0 * crystal.n_sites, f"a member's density of {crystal.name}"
            )
        if density_std is not None:
            density_std = np.asarray(density_std, dtype=np.float64) * factor
            if density_std.shape != total.shape or not np.isfinite(density_std).all():
                raise SpectrumError(
                    f"density_std of {crystal.name} has shape {density_std.shape} and needs finite "
                    f"values of shape {total.shape}: one for each point of the grid."
                )
        if log_displacements is not None:
            log_displacements = np.asarray(log_displacements, dtype=np.float64)
            if log_displacements.shape != (crystal.n_sites, 3, 6):
                raise SpectrumError(
                    f"log_displacements of {crystal.name} has shape {log_displacements.shape}; its "
                    f"{crystal.n_sites} sites at three temperatures need ({crystal.n_sites}, 3, 6)."
                )
        if sound_velocity is not None and not 0 < sound_velocity < np.inf:
            raise SpectrumError(
                f"The sound velocity of {crystal.name} has to be positive and finite, in km/s; "
                f"got {sound_velocity!r}."
            )
        if instability is not None and not 0 <= instability <= 1:
            raise SpectrumError(
                f"The instability of {crystal.name} is a probability, from 0 to 1; "
                f"got {instability!r}."
            )
        self._fill(
            grid,
            crystal,
            total,
            sites,
            members,
            density_std,
            model=model,
            calibration=calibration,
            label_like=label_like,
            log_displacements=log_displacements,
            sound_velocity=sound_velocity,
            instability=instability,
            weights=weights,
            version=version,
        )

    # -- the spectrum ---------------------------------------------------------------

    @property
    def crystal(self) -> Crystal:
        """The crystal that the spectrum is of."""
        return self._crystal

    @property
    def grid(self) -> FrequencyGrid:
        """The frequency grid."""
        return self._grid

    @property
    def wavenumbers(self) -> Array:
        """Grid in cm^-1, shape (n,)."""
        return self._grid.wavenumbers

    @property
    def frequencies(self) -> Array:
        """Grid in THz, shape (n,)."""
        return self._grid.frequencies

    @property
    def density(self) -> Array:
        """Total density in states/THz, shape (n,); it integrates to `n_modes`."""
        return self._density

    @property
    def site_density(self) -> Array | None:
        """Densities of the sites in states/THz, shape (n_sites, n), or None; they sum to the total.

        In the cell's normalisation each integrates to 3.
        """
        return self._site_density

    @property
    def members(self) -> Array | None:
        """Densities by the ensemble's members in states/THz, shape (n_members, n), or None."""
        return self._members

    @property
    def density_std(self) -> Array | None:
        """Standard deviation over the ensemble in states/THz, shape (n,), or None."""
        members = self._members
        if self._density_std is None and members is not None and len(members) > 1:
            self._density_std = members.std(axis=0, ddof=1)
        return self._density_std

    @property
    def n_modes(self) -> float:
        """Integral of the density: 3 n_sites for the cell."""
        return 3.0 * self._crystal.n_sites * self._scale

    @property
    def imaginary_fraction(self) -> float:
        """Share of the modes below zero."""
        return float(thermal.imaginary_fraction(self._grid, self._density))

    @property
    def mean_wavenumber(self) -> float:
        """Mean over all modes in cm^-1, imaginary ones counted as negative."""
        return float(self._mean_wavenumbers(self._density))

    @property
    def log_displacements(self) -> Array | None:
        """Logarithms of the displacement tensors, (n_sites, 3, 6), or None; see `u_tensor`."""
        return self._log_displacements

    @property
    def sound_velocity(self) -> float | None:
        """Debye mean of the sound velocities in km/s; None where the model does not give it.

        It fixes the limit of low frequencies, g(w) = 3 V w^2 / (2 pi^2 v^3).
        """
        return self._sound_velocity

    @property
    def instability(self) -> float | None:
        """Probability that more than 1 % of the modes are imaginary.

        None for a model without it, and for a crystal of one element (no data to judge by).
        """
        return self._instability

    @property
    def debye_temperature(self) -> float | None:
        """Debye temperature in K of the sound velocity (the limit of low temperatures), or None.

        hbar / k_B (6 pi^2 N / V)^(1/3) v, for all N sites of the cell (Anderson, *J. Phys. Chem.
        Solids* 24, 909 (1963)).
        """
        if self._sound_velocity is None:
            return None
        return float(self._debye_scale * self._sound_velocity)

    @property
    def _debye_scale(self) -> float:
        """Debye temperature in K over sound velocity in km/s."""
        from scipy.constants import hbar, k

        number_density = self._crystal.n_sites / self._crystal.volume * 1e30
        return float(hbar / k * np.cbrt(6 * np.pi**2 * number_density) * 1e3)

    def on_grid(self, wavenumbers: ArrayLike) -> Array:
        """Density averaged over bins around other wavenumbers.

        The edges lie half-way between the wavenumbers. Weight outside is
        dropped, not moved; `weight_outside` says how much it is. Where the
        spectrum's own points are centres of bins no wider than those asked for,
        each keeps its weight in its bin; else the density is linear between points.

        Parameters
        ----------
        wavenumbers : array_like, shape (m,)
            cm^-1, ascending.

        Returns
        -------
        ndarray, shape (m,)
            states/cm^-1.

        Raises
        ------
        SpectrumError
            If they are fewer than two, not finite, or do not ascend.
        """
        edges = bin_edges(wavenumbers)
        modes = np.diff(self._modes_below(edges))
        return np.asarray(np.maximum(modes, 0.0) / np.diff(edges))

    def _modes_below(self, edges: Array) -> Array:
        """Modes below each edge of bins (cm^-1)."""
        grid = self._grid
        whole_bins = grid.is_binned and float(np.diff(edges).min()) > 0.999 * grid.step
        return (grid.binned if whole_bins else grid.cumulative)(self._density, edges)

    def weight_outside(self, wavenumbers: ArrayLike) -> float:
        """Share of the modes outside the bins around wavenumbers.

        Parameters
        ----------
        wavenumbers : array_like, shape (m,)
            cm^-1, ascending.

        Returns
        -------
        float

        Raises
        ------
        SpectrumError
            If they are fewer than two, not finite, or do not ascend.
        """
        ends = self._modes_below(bin_edges(wavenumbers))[[0, -1]]
        return float(np.clip(1.0 - (ends[1] - ends[0]) / self.n_modes, 0.0, 1.0))

    def as_paper_label(self, wavenumbers: ArrayLike = PAPER_GRID) -> Array:
        """Density as the paper's training labels are made.

        Savitzky-Golay smoothing (window 101, order 3) of the spectrum at 1 cm^-1, sampled and
        clipped at zero. A `label_like` spectrum is only interpolated, with zero outside its grid.

        Parameters
        ----------
        wavenumbers : array_like, shape (m,)
            cm^-1; the paper's 51 points if not given.

        Returns
        -------
        ndarray, shape (m,)
            states/cm^-1.

        Raises
        ------
        SpectrumError
            If a wavenumber is not finite.
        """
        per_cm = self._density / constants().thz_to_cm
        if self.label_like:
            x = finite_wavenumbers(wavenumbers)
            return np.interp(x, self.wavenumbers, per_cm, left=0.0, right=0.0)
        return paper_label(self._grid, per_cm, wavenumbers)

    # -- thermal properties -----------------------------------------------------------

    def heat_capacity(
        self, temperature: ArrayLike, *, imaginary: Imaginary = "drop", acoustic: Acoustic = "debye"
    ) -> Any:
        """Heat capacity at constant volume.

        Parameters
        ----------
        temperature : array_like
            K, not negative.
        imaginary, acoustic
            See the notes of the class.

        Returns
        -------
        float or ndarray
            J/(K mol), of the shape of `temperature`.

        Raises
        ------
        SpectrumError
            If a temperature is impossible.
        ImaginaryModesError
            For "refuse", if there is imaginary weight.
        """
        return self._thermal("heat_capacity", temperature, imaginary, acoustic)

    def entropy(
        self, temperature: ArrayLike, *, imaginary: Imaginary = "drop", acoustic: Acoustic = "debye"
    ) -> Any:
        """Vibrational entropy.

        Parameters
        ----------
        temperature : array_like
            K, not negative.
        imaginary, acoustic
            See the notes of the class.

        Returns
        -------
        float or ndarray
            J/(K mol), of the shape of `temperature`.

        Raises
        ------
        SpectrumError
            If a temperature is impossible.
        ImaginaryModesError
            For "refuse", if there is imaginary weight.
        """
        return self._thermal("entropy", temperature, imaginary, acoustic)

    def free_energy(
        self, temperature: ArrayLike, *, imaginary: Imaginary = "drop", acoustic: Acoustic = "debye"
    ) -> Any:
        """Vibrational Helmholtz free energy with the zero-point energy.

        Parameters
        ----------
        temperature : array_like
            K, not negative.
        imaginary, acoustic
            See the notes of the class.

        Returns
        -------
        float or ndarray
            kJ/mol, of the shape of `temperature`.

        Raises
        ------
        SpectrumError
            If a temperature is impossible.
        ImaginaryModesError
            For "refuse", if there is imaginary weight.
        """
        return self._thermal("free_energy", temperature, imaginary, acoustic)

    def internal_energy(
        self, temperature: ArrayLike, *, imaginary: Imaginary = "drop", acoustic: Acoustic = "debye"
    ) -> Any:
        """Vibrational internal energy with the zero-point energy.

        Parameters
        ----------
        temperature : array_like
            K, not negative.
        imaginary, acoustic
            See the notes of the class.

        Returns
        -------
        float or ndarray
            kJ/mol, of the shape of `temperature`.

        Raises
        ------
        SpectrumError
            If a temperature is impossible.
        ImaginaryModesError
            For "refuse", if there is imaginary weight.
        """
        return self._thermal("internal_energy", temperature, imaginary, acoustic)

    @property
    def zero_point_energy(self) -> float:
        """Zero-point energy of the real modes in kJ/mol."""
        return float(self._thermal("internal_energy", 0.0, "drop", "debye"))

    def specific_heat(self, temperature: ArrayLike = 293.15, **options: Any) -> Any:
        """Heat capacity per kilogram (equation 2 of the paper).

        Parameters
        ----------
        temperature : array_like
            K, not negative.
        **options
            As for `heat_capacity`, whose errors it raises.

        Returns
        -------
        float or ndarray
            J/(kg K), of the shape of `temperature`.
        """
        return self.heat_capacity(temperature, **options) * (1000.0 / self.molar_mass)

    @property
    def molar_mass(self) -> float:
        """g/mol of what `normalization` says."""
        return float(self._crystal.masses.sum()) * self._scale

    # -- uncertainty ------------------------------------------------------------------

    def spread(self, quantity: str, *, temperature: ArrayLike = 300.0) -> Any:
        """Standard deviation of a quantity over the ensemble's members, not calibrated.

        Parameters
        ----------
        quantity : str
            As for `interval`.
        temperature : array_like
            K, for thermal properties.

        Returns
        -------
        float or ndarray
            In the unit of the quantity: of the shape of `temperature` for thermal properties, (n,)
            for "density".

        Raises
        ------
        SpectrumError
            Without an ensemble, or for a quantity or temperature that is not known.
        """
        if self._members is None or len(self._members) < 2:
            raise SpectrumError(
                f"There is no ensemble behind this spectrum of {self._crystal.name} (model "
                f"{self.model or 'unnamed'!r}), so it has no error bars: predict with "
                "uncertainty=True and a model of several members, such as 'default'."
            )
        if quantity == "density":
            return self._members.std(axis=0, ddof=1)
        if quantity not in THERMAL:
            return float(np.std(self._values(quantity, self._members, 300.0), ddof=1))
        spreads = [
            np.std(self._values(quantity, self._members, float(t)), ddof=1)
            for t in checked_temperatures(temperature)
        ]
        shape = np.shape(temperature)
        return np.reshape(spreads, shape) if shape else float(spreads[0])

    @property
    def error_covariates(self) -> Array | None:
        """What errors depend on besides the spread, shape (4,); None without an ensemble."""
        if self._members is None or len(self._members) < 2:
            return None
        return error_covariates(self._grid, self._members, self._crystal.n_sites)

    def interval(
        self, quantity: str, level: float = INTERVAL_LEVEL, temperature: ArrayLike = 300.0
    ) -> Any:
        """Calibrated interval around the predicted value.

        Parameters
        ----------
        quantity : {"heat_capacity", "entropy", "free_energy", "mean_wavenumber", "density", \
"sound_velocity", "debye_temperature"}
        level : float
            Share of crystals like the calibration's whose reference lies inside.
        temperature : float or array_like
            K; of effect for heat capacity, entropy and free energy.

        Returns
        -------
        low, high : float, or ndarray of shape (n,) for "density"
            Arrays of the temperatures' shape where they are several. In the unit of the
            quantity, within its physical range.

        Raises
        ------
        SpectrumError
            If there is no ensemble or no calibration behind the spectrum.
        """
        shape = np.shape(temperature) if quantity in THERMAL else ()
        if shape:
            several = checked_temperatures(temperature)
            pairs = [self.interval(quantity, level, float(t)) for t in several]
            return tuple(np.reshape(pairs, (-1, 2)).T.reshape(2, *shape))
        kelvin = float(checked_temperatures(temperature)[0]) if quantity in THERMAL else 300.0
        if quantity in ("sound_velocity", "debye_temperature"):
            return self._sound_interval(quantity, level)
        std = self.spread(quantity, temperature=kelvin)
        if self.calibration is None:
            raise SpectrumError(
                f"The model {self.model or 'unnamed'!r} carries no calibration, so an interval "
                "would promise what nobody checked. `spread` gives the standard deviation of the "
                "members; `ase_e3dos.spectrum.uncertainty.fit_spread` calibrates it."
            )
        atoms = 1.0 if quantity == "mean_wavenumber" else self.n_modes / 3
        width = atoms * self.calibration.half_width(
            quantity,
            np.asarray(std) / atoms,
            level=level,
            temperature=kelvin,
            covariates=self.error_covariates,
        )
        if quantity == "density":
            # Calibrated on bins that hold a percent of the highest density; emptier ones get less.
            width = width * np.minimum(1.0, self._density / (0.01 * self._density.max()))
            return np.maximum(self._density - width, 0.0), self._density + width
        value = float(self._values(quantity, self._density[None], kelvin)[0])
        low, high = value - float(width), value + float(width)
        if quantity in ("heat_capacity", "entropy"):
            low = max(low, 0.0)
        if quantity == "heat_capacity":
            high = min(high, self.n_modes * constants().gas_constant)
        return low, high

    def _sound_interval(self, quantity: str, level: float) -> tuple[float, float]:
        """Interval of the sound velocity or the Debye temperature: the error is of the log."""
        value = getattr(self, quantity)
        known = self.calibration is not None and SOUND in self.calibration.spreads
        if value is None or self.calibration is None or not known:
            raise SpectrumError(
                f"The model {self.model or 'unnamed'!r} gives no calibrated sound velocity for "
                f"{self._crystal.name}; use the default model with uncertainty=True."
            )
        half = float(
            self.calibration.half_width(
                SOUND,
                self.relative_spread,
                level=level,
                covariates=self.error_covariates,
            )
        )
        return value * float(np.exp(-half)), value * float(np.exp(half))

    @property
    def relative_spread(self) -> float:
        """Standard deviation of the members' average frequency over its mean.

        Raises
        ------
        SpectrumError
            There is no ensemble behind the spectrum.
        """
        return float(self.spread("mean_wavenumber") / max(abs(self.mean_wavenumber), 1.0))

    # -- views ------------------------------------------------------------------------

    def per_atom(self) -> Self:
        """Return the spectrum per atom (site): it integrates to 3, values are per mole of atoms."""
        return self._view(1.0 / self._crystal.n_sites, "atom")

    def per_formula_unit(self) -> Self:
        """Return the spectrum per formula unit, as `crystal.formula` writes it."""
        amounts = re.findall(r"[A-Z][a-z]?([\d.]*)", self._crystal.formula)
        in_formula = sum(float(amount or 1.0) for amount in amounts)
        return self._view(in_formula / float(self._crystal.species_fraction.sum()), "formula unit")

    def per_kilogram(self) -> Self:
        """Return the spectrum per kilogram: J/(K kg) and kJ/kg instead of per mole."""
        return self._view(1000.0 / (self.molar_mass / self._scale), "kilogram")

    @classmethod
    def of_normalised(
        cls,
        grid: FrequencyGrid,
        densities: tuple[Array, Array | None, Array | None],
        crystal: Crystal,
        **about: Any,
    ) -> Self:
        """Spectrum of one crystal of `normalised_batch`, which did the checks.

        Parameters
        ----------
        grid : FrequencyGrid
        densities : tuple
            Total, of the sites, and of the members.
        crystal : Crystal
        **about
            `model`, `calibration`, `label_like`, `warnings`, `log_displacements`,
            `sound_velocity` and `instability`.
        """
        density, site_density, members = densities
        dos = object.__new__(cls)
        dos._fill(grid, crystal, density, site_density, members, **about)
        return dos

    def per_cell(self) -> Self:
        """Return the spectrum of the cell, whatever this one is per."""
        return self if self.normalization == "cell" else self._view(1.0, "cell")

    def _view(self, scale: float, normalization: str) -> Self:
        factor = scale / self._scale
        arrays = (self._density, self._site_density, self._members, self._density_std)
        view = object.__new__(type(self))
        view._fill(
            self._grid,
            self._crystal,
            *(None if array is None else array * factor for array in arrays),
            scale=scale,
            normalization=normalization,
            model=self.model,
            calibration=self.calibration,
            label_like=self.label_like,
            weights=self.weights,
            version=self.version,
            warnings=self.warnings,
            origin=self.origin,
            log_displacements=self._log_displacements,
            sound_velocity=self._sound_velocity,
            instability=self._instability,
        )
        return view

    def _fill(
        self,
        grid: FrequencyGrid,
        crystal: Crystal,
        density: Any,
        site_density: Array | None,
        members: Array | None,
        density_std: Array | None = None,
        *,
        scale: float = 1.0,
        normalization: str = "cell",
        model: str = "",
        calibration: Calibration | None = None,
        label_like: bool = False,
        weights: str = "",
        version: str = __version__,
        warnings: tuple[E3DOSWarning, ...] = (),
        log_displacements: Array | None = None,
        sound_velocity: float | None = None,
        instability: float | None = None,
        origin: Mapping[str, Any] | None = None,
    ) -> None:
        """The one place where a spectrum gets its values."""
        self._grid, self._crystal, self._scale = grid, crystal, scale
        self._density: Array = density
        self._site_density, self._members = site_density, members
        self._density_std = density_std
        self._log_displacements, self._sound_velocity = log_displacements, sound_velocity
        self._instability = instability
        self.normalization = normalization
        self.model, self.calibration, self.label_like = model, calibration, label_like
        self.weights, self.version = weights, version
        #: What is unusual about the prediction, as `ase_e3dos.prediction.trust.assess` found it.
        self.warnings = warnings
        #: How structure and numbers came about where the model's name does not say it all: a
        #: relaxation, a calculator with supercell, displacement and mesh. Plain values, or None.
        self.origin = origin

    def restore_digits(self, stored: Mapping[str, Any]) -> None:
        """Take back values that were stored, where scaling changed no more than their last digits.

        Parameters
        ----------
        stored : mapping
            "density", "site_density", "density_std" and "members", each array_like or None.
        """
        for name, values in stored.items():
            ours = getattr(self, f"_{name}")
            if values is None or ours is None:
                continue
            given = np.array(values, dtype=np.float64)
            if given.shape == ours.shape and np.allclose(given, ours, rtol=1e-9, atol=1e-300):
                given.flags.writeable = False
                setattr(self, f"_{name}", given)

    @property
    def provenance(self) -> str:
        """Package with version, model, and the beginning of the hash of its weights."""
        said = f"ase-e3dos {self.version}"
        if self.model:
            is_calculated = "calculator" in (self.origin or {})
            said += f", {'calculator' if is_calculated else 'model'} {self.model}"
        if self.weights:
            said += f", weights {self.weights[:12]}"
        if "relaxation" in (self.origin or {}):
            said += f", relaxed with {(self.origin or {})['relaxation']['calculator']}"
        return said

    def __eq__(self, other: object) -> bool:
        """Whether crystal, grid, all densities, model and its calibration are the same."""
        if type(other) is not type(self):
            return NotImplemented
        names = ("_density", "_site_density", "_members", "density_std", "_log_displacements")
        about = ("normalization", "model", "weights", "label_like", "calibration",
                 "_sound_velocity", "_instability")  # fmt: skip
        return (
            all(getattr(self, name) == getattr(other, name) for name in about)
            and np.array_equal(self.wavenumbers, other.wavenumbers)
            and all(_same_array(getattr(self, name), getattr(other, name)) for name in names)
            and _same_crystal(self._crystal, other._crystal)
        )

    def __hash__(self) -> int:
        about = (self._crystal.formula, self.model, self.normalization)
        return hash((*about, self._density.tobytes()))

    def __repr__(self) -> str:
        x = self.wavenumbers
        return (
            f"{type(self).__name__}({self._crystal.formula}, {x[0]:g}..{x[-1]:g} cm^-1 every "
            f"{self._grid.step:g}, {self.n_modes:g} modes per {self.normalization}"
            + (f", model {self.model!r})" if self.model else ")")
        )

    # -- helpers ----------------------------------------------------------------------

    def _thermal(
        self, quantity: Quantity, temperature: ArrayLike, imaginary: Imaginary, acoustic: Acoustic
    ) -> Any:
        if quantity in ("heat_capacity", "entropy"):
            thermal.warn_of_low_temperatures(self._grid, temperature, self._crystal.name, 3)
        values = thermal.thermal_property(
            self._grid,
            self._density[None],
            quantity,
            temperature,
            imaginary=imaginary,
            acoustic=acoustic,
        )[0]
        shape = np.shape(temperature)
        return values.reshape(shape) if shape else float(values[0])

    def _mean_wavenumbers(self, densities: Array) -> Array:
        weights = self._grid.trapezoid
        return np.asarray(densities @ (weights * self.wavenumbers) / (densities @ weights))

    def _values(self, quantity: str, densities: Array, temperature: float) -> Array:
        if quantity == "mean_wavenumber":
            return self._mean_wavenumbers(densities)
        if quantity in thermal.QUANTITIES:
            return thermal.thermal_property(self._grid, densities, quantity, temperature)[:, 0]
        known = ", ".join((*thermal.QUANTITIES, "mean_wavenumber", "density"))
        raise SpectrumError(f"No error bars are known for {quantity!r}: choose from {known}.")


def _same_array(ours: Array | None, theirs: Array | None) -> bool:
    if ours is None or theirs is None:
        return ours is theirs
    return np.array_equal(ours, theirs)


def _same_crystal(ours: Crystal, theirs: Crystal) -> bool:
    """Cells, sites and species are the same; names are not compared."""
    names = ("cell", "scaled_positions", "species_site", "species_number", "species_fraction",
             "species_mass")  # fmt: skip
    return ours is theirs or all(
        np.array_equal(getattr(ours, name), getattr(theirs, name)) for name in names
    )
