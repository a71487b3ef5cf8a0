"""DensityOfStates: a phonon density of states, with its thermal properties and error bars."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ase_e3dos.errors import SpectrumError, shortly
from ase_e3dos.spectrum import thermal
from ase_e3dos.spectrum.constants import constants
from ase_e3dos.spectrum.grid import Array
from ase_e3dos.spectrum.spectral_density import SpectralDensity
from ase_e3dos.spectrum.thermal import Acoustic, Imaginary, Quantity, checked_temperatures
from ase_e3dos.spectrum.uncertainty import (
    COVARIATES,
    INTERVAL_LEVEL,
    SOUND,
    THERMAL,
    error_covariates,
)

#: Quantities that `DensityOfStates.interval` takes.
INTERVALS = (*THERMAL, "mean_wavenumber", "density", "sound_velocity", "debye_temperature")


class DensityOfStates(SpectralDensity):
    """Phonon density of states of a crystal, with its thermal properties and error bars.

    Parameters, errors and conventions are those of `ase_e3dos.PhononSpectrum`, which is this with
    what the rooms above make of it.
    """

    __slots__ = ("_covariates",)

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
        if self.members is None or len(self.members) < 2:
            raise SpectrumError(
                f"There is no ensemble behind this spectrum of {self._crystal.name} (model "
                f"{self.model or 'unnamed'!r}), so it has no error bars: predict with "
                "uncertainty=True and a model of several members, such as 'default'."
            )
        if quantity == "density":
            return self.members.std(axis=0, ddof=1)
        if quantity not in THERMAL:
            return float(np.std(self._values(quantity, self.members, [300.0]), ddof=1))
        several = checked_temperatures(temperature)
        spreads = np.std(self._values(quantity, self.members, several), axis=0, ddof=1)
        shape = np.shape(temperature)
        return spreads.reshape(shape) if shape else float(spreads[0])

    @property
    def error_covariates(self) -> Array | None:
        """What errors depend on besides the spread, shape (n,); None without an ensemble."""
        if self.members is None or len(self.members) < 2:
            return None
        known: Array | None = getattr(self, "_covariates", None)
        if known is None:  # the same for every quantity and temperature
            one = error_covariates(
                self._grid, self.members[None], [self._crystal.n_sites], [self._crystal]
            )
            known = one[0]
            known.flags.writeable = False
            self._covariates = known
        return known

    @property
    def covariates_per_atom(self) -> Array:
        """`error_covariates` but for the number of sites, which is one in its unit, shape (n,).

        Error models are fitted with these: error bars per atom must be the same in every cell of
        a crystal.

        Raises
        ------
        SpectrumError
            There is no ensemble behind the spectrum.
        """
        known = self.error_covariates
        if known is None:
            self.spread("mean_wavenumber")  # raises, and says what to do
            raise AssertionError
        covariates = known.copy()
        covariates[COVARIATES.index("sites")] = 1.0
        return covariates

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
        if quantity not in INTERVALS:
            raise _unknown(quantity)
        if quantity in ("sound_velocity", "debye_temperature"):
            return self._sound_interval(quantity, level)
        shape = np.shape(temperature) if quantity in THERMAL else ()
        several = checked_temperatures(temperature if quantity in THERMAL else 300.0)
        if not len(several):
            return np.empty(shape), np.empty(shape)
        std = np.atleast_1d(self.spread(quantity, temperature=several))
        if self.calibration is None:
            raise SpectrumError(
                f"The model {self.model or 'unnamed'!r} carries no calibration, so an interval "
                "would promise what nobody checked. `spread` gives the standard deviation of the "
                "members; `ase_e3dos.spectrum.fit_spread` calibrates it."
            )
        atoms = 1.0 if quantity == "mean_wavenumber" else self.n_modes / 3
        covariates = self.error_covariates
        if quantity == "density":
            width = atoms * self.calibration.half_width(
                quantity, std / atoms, level=level, covariates=covariates
            )
            # Calibrated on bins that hold a percent of the highest density; emptier ones get less.
            width = width * np.minimum(1.0, self.density / (0.01 * self.density.max()))
            return np.maximum(self.density - width, 0.0), self.density + width
        value = self._values(quantity, self.density[None], several)[0]
        widths = [
            self.calibration.half_width(
                quantity, s, level=level, temperature=float(t), covariates=covariates, value=v
            )
            for s, t, v in zip(std / atoms, several, value / atoms, strict=True)
        ]
        low, high = value - atoms * np.array(widths), value + atoms * np.array(widths)
        if quantity in ("heat_capacity", "entropy"):
            low = np.maximum(low, 0.0)
        if quantity == "heat_capacity":
            high = np.minimum(high, self.n_modes * constants().gas_constant)
        if not shape:
            return float(low[0]), float(high[0])
        return low.reshape(shape), high.reshape(shape)

    def _sound_interval(self, quantity: str, level: float) -> tuple[float, float]:
        """Interval of the sound velocity or the Debye temperature: the error is of the log."""
        value = getattr(self, quantity)
        known = self.calibration is not None and SOUND in self.calibration.spreads
        if value is None and known:
            raise SpectrumError(
                f"{self._crystal.name} is predicted with imaginary modes, and then has no sound "
                "velocity. Relax the structure, or look at `imaginary_fraction`."
            )
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

    # -- helpers ----------------------------------------------------------------------

    def _thermal(
        self, quantity: Quantity, temperature: ArrayLike, imaginary: Imaginary, acoustic: Acoustic
    ) -> Any:
        if quantity in ("heat_capacity", "entropy"):
            thermal.warn_of_low_temperatures(self._grid, temperature, self._crystal.name, 3)
        values = thermal.thermal_property(
            self._grid,
            self.density[None],
            quantity,
            temperature,
            imaginary=imaginary,
            acoustic=acoustic,
        )[0]
        shape = np.shape(temperature)
        return values.reshape(shape) if shape else float(values[0])

    def _values(self, quantity: str, densities: Array, temperatures: ArrayLike) -> Array:
        """A quantity of densities at temperatures, shape (n_densities, n_temperatures or 1)."""
        if quantity == "mean_wavenumber":
            return self._mean_wavenumbers(densities)[:, None]
        if quantity in thermal.QUANTITIES:
            return thermal.thermal_property(self._grid, densities, quantity, temperatures)
        raise _unknown(quantity)


def _unknown(quantity: object) -> SpectrumError:
    return SpectrumError(
        f"No error bars are known for {shortly(quantity)}: `interval` takes "
        f"{', '.join(INTERVALS)}, and `u_iso_interval(temperature)` gives those of displacements. "
        "`spread` gives the standard deviation of the members, not calibrated, for thermal "
        "properties (internal_energy too), mean_wavenumber and density."
    )
