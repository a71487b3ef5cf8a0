"""Densities of states of a spectrum as phonopy's own result objects, and its files of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ase_e3dos.errors import NotPredictedError, SpectrumError
from ase_e3dos.export.phonopy.mesh import SpectrumMesh
from ase_e3dos.export.phonopy.options import MOST_POINTS, is_number, known_options
from ase_e3dos.export.samples import ZERO_SHIFT, samples
from ase_e3dos.spectrum.constants import constants
from ase_e3dos.spectrum.density_of_states import DensityOfStates
from ase_e3dos.spectrum.grid import Array, bin_edges

__all__ = ["projected_dos", "resampled_total_dos", "total_dos", "write_dos"]


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
    dos: Any = TotalDos(mesh, sigma=sigma, **known_options(TotalDos, options))
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
    from ase_e3dos.export.phonopy.site_dos import SiteDos

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
    assert rows is not None
    return SiteDos(SpectrumMesh(spectrum), frequencies, rows, sigma)


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


def _check_smearing(sigma: float | None, function: str) -> None:
    if sigma is not None and not (is_number(sigma) and sigma > 0):
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
