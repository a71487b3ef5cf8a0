"""Spectra as phonopy's own result objects.

phonopy computes on a mesh of q-points. `SpectrumMesh` offers the quantiles of a
density as such a mesh, so that phonopy's own classes, not imitations, give the
thermal properties, the smearing, the plots and the files.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ase_e3dos.errors import NotPredictedError, SpectrumError
from ase_e3dos.export.samples import ZERO_SHIFT, samples
from ase_e3dos.spectrum.constants import constants
from ase_e3dos.spectrum.density_of_states import DensityOfStates
from ase_e3dos.spectrum.grid import Array, bin_edges
from ase_e3dos.spectrum.modes import quantile_modes
from ase_e3dos.spectrum.thermal import (
    IMAGINARY_TOLERANCE,
    Acoustic,
    checked_temperatures,
    warn_of_low_temperatures,
)

if TYPE_CHECKING:
    from ase_e3dos.export.thermal_table import ThermalTable

#: Modes on the mesh at least: thermal properties agree with the exact integrals to 0.1 %.
N_MODES = 12000

#: Frequency points or temperatures in one table.
MOST_POINTS = 1_000_000

#: Sum of the weights: finer than the share of any mode that a few kelvin can see.
_WEIGHT = 2**24


class _Primitive:
    """What phonopy asks of the primitive cell behind a mesh."""

    def __init__(self, n_atoms: int, formula_units: int) -> None:
        self.Z = formula_units
        self.primitive = self
        self._n_atoms = n_atoms

    def __len__(self) -> int:
        return self._n_atoms


class SpectrumMesh:
    """The quantiles of a density in the place of `phonopy.phonon.mesh.Mesh`.

    Parameters
    ----------
    spectrum : DensityOfStates
        Its number of modes has to be a multiple of 3 (per cell, atom or whole formula unit).
    n_modes : int
        Number of quantiles at least.
    acoustic : {"debye", None}
        Repair of the density near zero (`ase_e3dos.spectrum.thermal`).

    Attributes
    ----------
    frequencies : ndarray, shape (n_qpoints, n_bands)
        THz, ascending in each row.
    weights : ndarray of int, shape (n_qpoints,)
        They add up to 2^24.
    n_qpoints : int
        Number of q-points of equal weight that a mesh as fine as this one would have.
    """

    gamma_index = None
    eigenvectors = None
    with_eigenvectors = False

    def __init__(
        self, spectrum: DensityOfStates, n_modes: int = N_MODES, acoustic: Acoustic = "debye"
    ) -> None:
        n_atoms = round(spectrum.n_modes / 3)
        if n_atoms < 1 or abs(3 * n_atoms - spectrum.n_modes) > 1e-6:
            raise SpectrumError(
                f"phonopy counts whole atoms, but this spectrum has {spectrum.n_modes:g} modes "
                f"per {spectrum.normalization}. Use the spectrum of the cell, or `per_atom`."
            )
        bands = 3 * n_atoms
        n_qpoints = self.n_qpoints = max(8, -(-n_modes // bands))
        # Each band holds the same share of the modes. Towards zero frequency, at `start`
        # within its band, the rows are halved again and again: a few kelvin see only that end.
        start = spectrum.imaginary_fraction * bands % 1.0
        edges = np.concatenate(
            [np.arange(n_qpoints + 1) / n_qpoints, start + 0.5 ** np.arange(4, 22), [start]]
        )
        ends = np.unique(np.round(edges[edges <= 1.0] * _WEIGHT).astype(np.int64))
        levels = (ends[1:] + ends[:-1])[:, None] / (2 * _WEIGHT) + np.arange(bands)
        self.frequencies: Array = np.ascontiguousarray(
            quantile_modes(spectrum.grid, spectrum.density, levels / bands, acoustic=acoustic)
        )
        self.weights: NDArray[np.int64] = np.diff(ends)
        self.mesh_numbers: NDArray[np.int64] = np.array([len(self.weights), 1, 1])
        self.primitive = _Primitive(n_atoms, formula_units(spectrum))
        self.dynamical_matrix = self.primitive

    @property
    def qpoints(self) -> Any:
        """None: a spectrum has no q-points."""
        raise NotPredictedError(
            "A predicted spectrum has no q-points (phonopy's Mesh.qpoints): its mesh only lists "
            "quantiles of the density of states. Compute force constants with phonopy for bands."
        )


def formula_units(spectrum: DensityOfStates) -> int:
    """Whole number of formula units in what the spectrum is normalised to, at least one."""
    per_unit = spectrum.per_formula_unit().n_modes
    return max(1, round(spectrum.n_modes / per_unit))


def total_dos(spectrum: DensityOfStates) -> Any:
    """`phonopy.phonon.dos.TotalDos` of a spectrum.

    Parameters
    ----------
    spectrum : DensityOfStates

    Returns
    -------
    phonopy.phonon.dos.TotalDos
        `frequency_points` in THz and `dos` in states/THz (those of
        `ase_e3dos.export.samples`); `plot`, `write` and `run_debye_frequency` work.
    """
    from phonopy.phonon.dos import TotalDos

    points = samples(spectrum)
    mesh: Any = SpectrumMesh(spectrum)
    dos = TotalDos(mesh, sigma=spectrum.grid.step / constants().thz_to_cm)
    dos._frequency_points, dos._dos = points.frequencies, points.density
    return dos


def resampled_total_dos(
    spectrum: DensityOfStates,
    *,
    sigma: float | None = None,
    freq_min: float | None = None,
    freq_max: float | None = None,
    freq_pitch: float | None = None,
    **options: Any,
) -> Any:
    """TotalDos as `Phonopy.run_total_dos` samples it.

    Parameters
    ----------
    spectrum : DensityOfStates
    sigma : float, optional
        Width of phonopy's smearing in THz. Without it the density is averaged
        over the intervals around the points.
    freq_min, freq_max, freq_pitch : float, optional
        Range and spacing in THz; phonopy's choice of 201 points if not given.
    **options
        Of phonopy's TotalDos, such as `smearing_function`.

    Returns
    -------
    phonopy.phonon.dos.TotalDos

    Raises
    ------
    SpectrumError
        If the range is empty or has more than a million points, or the smearing function is
        unknown.
    """
    from phonopy.phonon.dos import TotalDos

    _check_smearing(sigma, options.get("smearing_function", "Normal"))
    mesh: Any = SpectrumMesh(spectrum)
    _check_range(mesh, freq_min, freq_max, freq_pitch)
    dos: Any = TotalDos(mesh, sigma=sigma, **_known(TotalDos, options))
    if "smearing_function" in options and hasattr(dos, "set_smearing_function"):
        dos.set_smearing_function(options["smearing_function"])  # phonopy 3
    dos.set_draw_area(freq_min, freq_max, freq_pitch)
    if sigma is not None:
        dos.run()
        points = np.array(dos.frequency_points)
        points[np.abs(points) < ZERO_SHIFT] = ZERO_SHIFT  # older pymatgen: NaN from a zero
        dos._frequency_points = points
        return dos
    points, rows = _averaged(spectrum, dos.frequency_points, spectrum.density[None])
    dos._frequency_points, dos._dos = points, rows[0]
    dos._sigma, dos.averaged = float(points[1] - points[0]), True
    return dos


def projected_dos(
    spectrum: DensityOfStates,
    frequency_points: ArrayLike | None = None,
    *,
    sigma: float | None = None,
    smearing_function: str = "Normal",
) -> Any:
    """`phonopy.phonon.dos.ProjectedDos` from the densities of the sites.

    Parameters
    ----------
    spectrum : DensityOfStates
    frequency_points : array_like, shape (n,), optional
        THz; those of `total_dos` if not given.
    sigma : float, optional
        Width of phonopy's smearing in THz; without it the densities are averaged
        over the intervals around the points.
    smearing_function : {"Normal", "Cauchy"}

    Returns
    -------
    phonopy.phonon.dos.ProjectedDos
        `projected_dos` has shape (n_sites, n) in states/THz.

    Raises
    ------
    NotPredictedError
        If the model gives no densities of sites.
    SpectrumError
        If the smearing function is unknown.
    """
    from phonopy.phonon.dos import ProjectedDos

    _check_smearing(sigma, smearing_function)

    if spectrum.site_density is None:
        raise NotPredictedError(
            f"The model {spectrum.model or 'unnamed'!r} predicts the total density of states "
            "only, no projection (phonopy's run_projected_dos). Use a model with site densities, "
            "such as 'default'."
        )
    if frequency_points is None:
        points = samples(spectrum)
        frequencies, rows = points.frequencies, points.site_density
    elif sigma is None:
        frequencies, rows = _averaged(
            spectrum, np.asarray(frequency_points, dtype=np.float64), spectrum.site_density
        )
    else:
        frequencies = np.asarray(frequency_points, dtype=np.float64)
        rows = _smeared(spectrum, frequencies, sigma, smearing_function)
    dos: Any = object.__new__(ProjectedDos)  # its __init__ asks for eigenvectors
    dos._mesh_object = SpectrumMesh(spectrum)
    dos._frequency_points, dos._projected_dos = frequencies, rows
    dos._use_tetrahedron_method, dos._tetrahedron_mesh = False, None
    dos._sigma = float(frequencies[-1] - frequencies[-2]) if sigma is None else float(sigma)
    dos.averaged = sigma is None
    return dos


def write_yaml(result: Any, filename: Any, spectrum: DensityOfStates, **options: Any) -> None:
    """Write a result of phonopy's as its YAML file, below lines that say what it is of.

    Parameters
    ----------
    result : phonopy.phonon.thermal_properties.ThermalProperties and others
    filename : str or Path
    spectrum : DensityOfStates
        What the result was made of.
    **options
        Of its `write_yaml`.
    """
    result.write_yaml(filename=filename, **options)
    path = Path(filename)
    body = path.read_text(encoding="utf-8").split("\n", 1)[1]  # phonopy's line says: a unit cell
    what = type(result).__name__
    title = "".join(f" {c.lower()}" if c.isupper() else c for c in what).strip().capitalize()
    head = f"# {title} of {spectrum.crystal.formula} per {spectrum.normalization}, predicted\n"
    path.write_text(f"{head}# {spectrum.provenance}\n{body}", encoding="utf-8")


def write_dos(dos: Any, filename: Any, spectrum: DensityOfStates) -> None:
    """Phonopy's total_dos.dat or projected_dos.dat, whose first line says how it was made.

    phonopy's own `write` knows tetrahedra and smearing only, and calls a density that was averaged
    over the intervals around the points smeared.

    Parameters
    ----------
    dos : phonopy.phonon.dos.TotalDos or ProjectedDos
        Of `resampled_total_dos` or `projected_dos`.
    filename : str or Path
    spectrum : DensityOfStates
        What it was made of.
    """
    from phonopy.phonon import dos as phonopy_dos

    points = dos.frequency_points
    if getattr(dos, "averaged", False):
        comment = f"Averages over intervals of {points[-1] - points[-2]:f} THz"
    else:
        comment = f"Sigma = {dos._sigma:f} THz"
    comment += f", predicted per {spectrum.normalization} by {spectrum.provenance}"
    if hasattr(dos, "projected_dos"):
        phonopy_dos.write_projected_dos(points, dos.projected_dos, comment, filename)
    else:
        phonopy_dos.write_total_dos(points, dos.dos, comment, filename)


def thermal_properties(
    spectrum: DensityOfStates,
    *,
    t_min: float = 0.0,
    t_max: float = 1000.0,
    t_step: float = 10.0,
    temperatures: Sequence[float] | ArrayLike | None = None,
    acoustic: Acoustic = "debye",
    **options: Any,
) -> ThermalTable:
    """`phonopy.phonon.thermal_properties.ThermalProperties`, run by phonopy's own formulas.

    Parameters
    ----------
    spectrum : DensityOfStates
    t_min, t_max, t_step : float
        Temperatures in K.
    temperatures : array_like, optional
        Temperatures in K instead.
    acoustic : {"debye", None}
        Repair of the density near zero (`ase_e3dos.spectrum.thermal`).
    **options
        Of `Phonopy.run_thermal_properties`: cutoff_frequency, pretend_real,
        band_indices, classical, exclude_gamma_acoustic (a spectrum has no modes
        at Gamma, so this one has no effect).

    Returns
    -------
    ase_e3dos.export.thermal_table.ThermalTable
        phonopy's `ThermalProperties` in kJ/mol and J/(K mol), with its `write_yaml` and `plot`,
        and `to_dataframe` and `to_csv` besides.

    Raises
    ------
    SpectrumError
        If there are no temperatures, or one is negative or not finite.
    """
    from ase_e3dos.export.thermal_table import ThermalTable

    cutoff = options.get("cutoff_frequency")
    if cutoff is not None and not _is_number(cutoff):
        raise SpectrumError(
            f"cutoff_frequency={cutoff!r} is not a frequency. Give one in THz, or None for all "
            "modes."
        )
    asked = phonopy_temperatures(t_min, t_max, t_step, temperatures)
    mesh: Any = SpectrumMesh(spectrum, acoustic=acoustic)
    result = ThermalTable(mesh, **_known(ThermalTable, options))
    result.spectrum = spectrum
    result.plain = acoustic == "debye" and not any(options.values())
    result.temperatures = asked
    warn_of_low_temperatures(spectrum.grid, asked, spectrum.crystal.name, 3)
    result.run()
    _count_modes(result, mesh, **options)
    return result


def _count_modes(
    result: Any,
    mesh: SpectrumMesh,
    pretend_real: bool = False,
    band_indices: Any = None,
    **_options: Any,
) -> None:
    """Count modes as on a mesh of equal weights, where phonopy's tools see three as none.

    `phonopy-qha` leaves out a volume of which more than three modes were not integrated. On a real
    mesh these are the acoustic ones at Gamma; here a share of imaginary modes that means nothing
    (`IMAGINARY_TOLERANCE`) is not counted.
    """
    modes = mesh.frequencies
    if band_indices is not None:
        modes = modes[:, np.hstack(band_indices).astype(np.int64)]
    missing = 1.0 - result.number_of_integrated_modes / result.number_of_modes
    imaginary = float(mesh.weights @ (modes < 0).mean(axis=1)) / _WEIGHT
    if not pretend_real and imaginary <= IMAGINARY_TOLERANCE:
        missing -= imaginary
    result._num_modes = mesh.n_qpoints * modes.shape[1]
    result._num_integrated_modes = result._num_modes - round(missing * result._num_modes)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.number)) and bool(np.isfinite(value))


def phonopy_temperatures(
    t_min: float, t_max: float, t_step: float, temperatures: ArrayLike | None = None
) -> Array:
    """Temperatures (K) of phonopy's arguments.

    Parameters
    ----------
    t_min, t_max, t_step : float
        A range with both ends.
    temperatures : array_like, optional
        Instead of it.

    Raises
    ------
    SpectrumError
        If none is given, or one is negative, not finite or beyond any crystal.
    """
    checked = checked_temperatures([t_min, t_max] if temperatures is None else temperatures)
    if temperatures is not None:
        return checked
    if not (_is_number(t_step) and t_step > 0 and (t_max - t_min) / t_step < MOST_POINTS):
        raise SpectrumError(
            f"t_step={t_step!r} K from t_min={t_min!r} to t_max={t_max!r} gives no list of "
            "temperatures. Give a positive step that leaves at most a million of them."
        )
    return np.arange(t_min, max(t_max, t_min) + t_step / 2.0, t_step, dtype=np.float64)


def _check_smearing(sigma: float | None, function: str) -> None:
    if sigma is not None and not (_is_number(sigma) and sigma > 0):
        raise SpectrumError(
            f"sigma={sigma!r} THz is not a width to smear with. Give a positive one, or None for "
            "the average around each point."
        )
    if function not in ("Normal", "Cauchy"):
        raise SpectrumError(
            f"smearing_function={function!r} has to be 'Normal' or 'Cauchy', as in phonopy."
        )


def _check_range(
    mesh: SpectrumMesh, low: float | None, high: float | None, pitch: float | None
) -> None:
    """Refuse ranges (THz) that make phonopy's list of points empty, endless or huge."""
    low = float(mesh.frequencies.min()) if low is None else low
    high = float(mesh.frequencies.max()) if high is None else high
    step = (high - low) / 2 if pitch is None else pitch
    if not (low < high < np.inf and -np.inf < low and 0 < step < high - low):
        raise SpectrumError(
            f"From freq_min={low:g} to freq_max={high:g} THz in steps of freq_pitch={step:g} there "
            "are fewer than two points. Give a range that ascends and a positive, smaller step."
        )
    if (high - low) / step > MOST_POINTS:
        raise SpectrumError(
            f"freq_pitch={step:g} THz means more than {MOST_POINTS:,} points. The model's own grid "
            "is coarser than 0.1 THz: give a larger step."
        )


def _averaged(spectrum: DensityOfStates, points: Array, densities: Array) -> tuple[Array, Array]:
    """Points (THz) without a zero, and densities averaged over the intervals around them."""
    edges = bin_edges(points)
    at = edges * constants().thz_to_cm
    rows = np.stack([np.diff(spectrum.grid.cumulative(row, at)) for row in densities])
    rows = np.maximum(rows, 0.0) / np.diff(edges)
    at_zero = np.abs(points) < ZERO_SHIFT
    return np.where(at_zero, ZERO_SHIFT, points), np.where(at_zero, 0.0, rows)


def _smeared(spectrum: DensityOfStates, points: Array, sigma: float, function: str) -> Array:
    """Site densities (n_sites, n) smeared by phonopy's functions, at points in THz.

    The modes are those of the total, each shared as the sites share the density there, so that
    the sites add up to the smeared total.
    """
    from phonopy.phonon import dos

    kernel = (dos.CauchyDistribution if function == "Cauchy" else dos.NormalDistribution)(sigma)
    assert spectrum.site_density is not None
    mesh, grid = SpectrumMesh(spectrum), spectrum.grid
    at = np.rint((mesh.frequencies * constants().thz_to_cm - grid.wavenumbers[0]) / grid.step)
    shares = spectrum.site_density / np.maximum(spectrum.site_density.sum(axis=0), 1e-300)
    shares = shares[:, np.clip(at.astype(np.int64), 0, len(grid) - 1)]
    weights = shares * (mesh.weights / mesh.weights.sum())[:, None]
    values = kernel.calc(points[:, None] - mesh.frequencies.ravel())
    return np.asarray(weights.reshape(len(shares), -1) @ values.T)


def _known(factory: Any, options: dict[str, Any]) -> dict[str, Any]:
    """Options that the installed phonopy knows; those that it may lack are dropped, not typos."""
    known = inspect.signature(factory).parameters
    later = {"exclude_gamma_acoustic", "smearing_function", "lang"}
    return {name: value for name, value in options.items() if name in known or name not in later}
