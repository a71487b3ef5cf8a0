"""SpectralDensity: a crystal's density of modes as a value; its normalisations, and other grids."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike

from ase_e3dos.errors import E3DOSWarning, SpectrumError
from ase_e3dos.spectrum import thermal
from ase_e3dos.spectrum.constants import constants
from ase_e3dos.spectrum.density import Densities, NetworkDensities
from ase_e3dos.spectrum.grid import (
    Array,
    FrequencyGrid,
    bin_edges,
    finite_wavenumbers,
    paper_label,
)
from ase_e3dos.spectrum.uncertainty import Calibration
from ase_e3dos.version import __version__

if TYPE_CHECKING:
    from ase_e3dos.structures.crystal import Crystal

PAPER_GRID = np.arange(0.0, 1001.0, 20.0)
PAPER_GRID.flags.writeable = False


class SpectralDensity:
    """Density of modes of a crystal: its values, and where they come from.

    Parameters, errors and conventions are those of `ase_e3dos.PhononSpectrum`, which is this with
    what the modules and rooms above make of it.
    """

    __slots__ = (
        "_crystal",
        "_densities",
        "_density_std",
        "_grid",
        "_instability",
        "_log_displacements",
        "_sound_velocity",
        "calibration",
        "label_like",
        "model",
        "origin",
        "version",
        "warnings",
        "weights",
    )

    def __init__(
        self,
        wavenumbers: ArrayLike | FrequencyGrid,
        density: ArrayLike | Densities | NetworkDensities | None = None,
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
        warnings: tuple[E3DOSWarning, ...] = (),
        origin: Mapping[str, Any] | None = None,
    ) -> None:
        self._grid = FrequencyGrid.of(wavenumbers)
        self._crystal = crystal
        if not isinstance(density, (Densities, NetworkDensities)):
            density = Densities.of(
                self._grid, density, site_density, members, density_std, crystal.n_sites,
                crystal.name,
            )  # fmt: skip
        self._densities = density
        self._density_std = density.std
        self._log_displacements = _checked_displacements(log_displacements, crystal)
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
        self._sound_velocity, self._instability = sound_velocity, instability
        self.model, self.calibration, self.label_like = model, calibration, label_like
        self.weights, self.version = weights, version
        #: What is unusual about the prediction, as `ase_e3dos.prediction.trust` found it.
        self.warnings = warnings
        #: How structure and numbers came about where the model's name does not say it all: a
        #: relaxation, a calculator with supercell, displacement and mesh. Plain values, or None.
        self.origin = origin

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
        return self._densities.total

    @property
    def site_density(self) -> Array | None:
        """Densities of the sites in states/THz, shape (n_sites, n), or None; they sum to the total.

        In the cell's normalisation each integrates to 3.
        """
        return self._densities.sites

    @property
    def members(self) -> Array | None:
        """Densities by the ensemble's members in states/THz, shape (n_members, n), or None."""
        return self._densities.members

    @property
    def normalization(self) -> str:
        """What the values are per: "cell", "atom", "formula unit" or "kilogram"."""
        return self._densities.per

    @property
    def density_std(self) -> Array | None:
        """Standard deviation over the ensemble in states/THz, shape (n,), or None."""
        members = self._densities.members
        if self._density_std is None and members is not None and len(members) > 1:
            self._density_std = members.std(axis=0, ddof=1)
        return self._density_std

    @property
    def n_modes(self) -> float:
        """Integral of the density: 3 n_sites for the cell."""
        return 3.0 * self._crystal.n_sites * self._densities.scale

    @property
    def imaginary_fraction(self) -> float:
        """Share of the modes below zero."""
        return float(thermal.imaginary_fraction(self._grid, self.density))

    @property
    def mean_wavenumber(self) -> float:
        """Mean over all modes in cm^-1, imaginary ones counted as negative."""
        return float(self._mean_wavenumbers(self.density))

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
        return (grid.binned if whole_bins else grid.cumulative)(self.density, edges)

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
        per_cm = self.density / constants().thz_to_cm
        if self.label_like:
            x = finite_wavenumbers(wavenumbers)
            return np.interp(x, self.wavenumbers, per_cm, left=0.0, right=0.0)
        return paper_label(self._grid, per_cm, wavenumbers)

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
        return self._view(1000.0 / (self.molar_mass / self._densities.scale), "kilogram")

    def per_cell(self) -> Self:
        """Return the spectrum of the cell, whatever this one is per."""
        return self if self.normalization == "cell" else self._view(1.0, "cell")

    @property
    def molar_mass(self) -> float:
        """g/mol of what `normalization` says."""
        return float(self._crystal.masses.sum()) * self._densities.scale

    def _view(self, scale: float, normalization: str) -> Self:
        return type(self)(
            self._grid,
            self._densities.scaled(scale, normalization),
            crystal=self._crystal,
            model=self.model,
            calibration=self.calibration,
            label_like=self.label_like,
            log_displacements=self._log_displacements,
            sound_velocity=self._sound_velocity,
            instability=self._instability,
            weights=self.weights,
            version=self.version,
            warnings=self.warnings,
            origin=self.origin,
        )

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
        names = ("density", "site_density", "members", "density_std", "log_displacements")
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
        return hash((*about, self.density.tobytes()))

    def __repr__(self) -> str:
        x = self.wavenumbers
        return (
            f"{type(self).__name__}({self._crystal.formula}, {x[0]:g}..{x[-1]:g} cm^-1 every "
            f"{self._grid.step:g}, {self.n_modes:g} modes per {self.normalization}"
            + (f", model {self.model!r})" if self.model else ")")
        )

    def _mean_wavenumbers(self, densities: Array) -> Array:
        weights = self._grid.trapezoid
        return np.asarray(densities @ (weights * self.wavenumbers) / (densities @ weights))


def _checked_displacements(given: ArrayLike | None, crystal: Crystal) -> Array | None:
    """Logarithms of the displacement tensors, of the shape that the crystal needs."""
    if given is None:
        return None
    values = np.asarray(given, dtype=np.float64)
    if values.shape != (crystal.n_sites, 3, 6):
        raise SpectrumError(
            f"log_displacements of {crystal.name} has shape {values.shape}; its "
            f"{crystal.n_sites} sites at three temperatures need ({crystal.n_sites}, 3, 6)."
        )
    return values


def _same_array(ours: Array | None, theirs: Array | None) -> bool:
    if ours is None or theirs is None:
        return ours is theirs
    return np.array_equal(ours, theirs, equal_nan=True)


def _same_crystal(ours: Crystal, theirs: Crystal) -> bool:
    """Cells, sites and species are the same; names are not compared."""
    names = ("cell", "scaled_positions", "species_site", "species_number", "species_fraction",
             "species_mass")  # fmt: skip
    return ours is theirs or all(
        np.array_equal(getattr(ours, name), getattr(theirs, name)) for name in names
    )
