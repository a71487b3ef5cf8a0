"""Figures of spectra."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ase_e3dos.analysis.measurement import MeasurementComparison
from ase_e3dos.analysis.neutron import unit_in_cm
from ase_e3dos.analysis.phases import PhaseComparison
from ase_e3dos.errors import SpectrumError
from ase_e3dos.export.samples import samples
from ase_e3dos.export.writing import save_figure
from ase_e3dos.spectrum.constants import constants
from ase_e3dos.spectrum.density_of_states import DensityOfStates
from ase_e3dos.spectrum.grid import Array
from ase_e3dos.spectrum.thermal import thermal_property
from ase_e3dos.spectrum.uncertainty import INTERVAL_LEVEL

# Okabe and Ito's colours, told apart by colour-blind readers too.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
STYLE: Any = {
    "font.size": 8,
    "axes.linewidth": 0.7,
    "lines.linewidth": 1.2,
    "legend.frameon": False,
    "legend.fontsize": 7,
    "xtick.direction": "in",
    "ytick.direction": "in",
    "xtick.top": True,
    "ytick.right": True,
    "svg.fonttype": "none",
}


def plot_spectrum(
    spectrum: DensityOfStates,
    ax: Any = None,
    *,
    units: str = "THz",
    projection: str | None = None,
    label: str | None = None,
    color: str | None = None,
    smoothing: float | None = None,
) -> Any:
    """Draw a density of states, with a band of one standard deviation where it is known.

    A network's single bins carry noise that its loss does not see; the drawing, not the
    spectrum, is smoothed.

    Parameters
    ----------
    spectrum : DensityOfStates
    ax : matplotlib.axes.Axes, optional
        A new figure's if not given.
    units : {"THz", "cm-1", "meV"}
        Of the frequency; the density is per that unit.
    projection : {"site", "element", None}
        Draw the densities of sites or elements below the total.
    label, color : str, optional
        Of the total.
    smoothing : float, optional
        Standard deviation in cm^-1 of the Gaussian that densities are drawn with; by default one
        bin of the grid for a prediction that is not smooth already, else none. 0 draws the bins.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    SpectrumError
        If units or projection are unknown, smoothing is not a width, or the model has no site
        densities.
    """
    c = constants()
    scales = {"THz": 1.0, "cm-1": c.thz_to_cm, "meV": c.thz_to_ev * 1000.0}
    if units not in scales or projection not in ("site", "element", None):
        raise SpectrumError(
            f"units={units!r} has to be one of {', '.join(scales)}, and projection={projection!r} "
            "'site', 'element' or None."
        )
    if ax is None:
        import matplotlib.pyplot as plt

        ax = plt.subplots()[1]
    points, scale = samples(spectrum), scales[units]
    step = spectrum.grid.step
    if smoothing is None:
        smoothing = step if spectrum.model and not spectrum.label_like else 0.0
    if not 0 <= smoothing < np.inf:
        raise SpectrumError(
            f"smoothing={smoothing!r} has to be a width in cm^-1; 0 draws the bins as they are."
        )
    width = smoothing / step
    x, y = points.frequencies * scale, _smooth(points.density / scale, width)
    color = color or COLOURS[0]
    (line,) = ax.plot(x, y, color=color, label=label or spectrum.crystal.formula)
    if points.std is not None:
        std = np.interp(points.frequencies, spectrum.frequencies, _std(spectrum, width)) / scale
        ax.fill_between(x, np.maximum(y - std, 0), y + std, color=color, alpha=0.25, lw=0)
    for i, (name, row) in enumerate(_parts(spectrum, points.site_density, projection)):
        row = _smooth(row / scale, width)
        ax.plot(x, row, color=COLOURS[(i + 1) % len(COLOURS)], lw=0.9, label=name)
    unit = {"THz": "THz", "cm-1": "cm$^{-1}$", "meV": "meV"}[units]
    ax.set_xlabel(f"{'Wavenumber' if units == 'cm-1' else 'Frequency'} ({unit})")
    ax.set_ylabel(f"DoS (states/{unit} per {spectrum.normalization})")
    ax.set_ylim(bottom=0)
    ax.set_xlim(*_shown_range(x, y))
    if x[0] < -1e-3:
        ax.axvline(0, color="0.6", lw=0.6)
    line.set_zorder(3)
    return ax


def plot_summary(
    spectra: DensityOfStates | Sequence[DensityOfStates],
    path: str | Path | None = None,
    *,
    units: str = "THz",
    t_max: float = 1000.0,
    projection: str | None = "auto",
) -> Any:
    """Two panels: densities of states, and heat capacities per atom over temperature.

    Parameters
    ----------
    spectra : DensityOfStates or sequence of them
        With one, its elements are drawn as well; with several, densities are per atom.
    path : str or Path, optional
        File to write (png, pdf, svg, ...).
    units : {"THz", "cm-1", "meV"}
    t_max : float
        Highest temperature in K.
    projection : {"auto", "site", "element", None}
        "auto": elements, for a single spectrum with site densities and several elements.

    Returns
    -------
    matplotlib.figure.Figure
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    chosen = [spectra] if isinstance(spectra, DensityOfStates) else list(spectra)
    if not chosen:
        raise SpectrumError("There is no spectrum to draw: give one or more.")
    if projection == "auto":
        one = len(chosen) == 1 and chosen[0].site_density is not None
        projection = "element" if one and len(set(chosen[0].crystal.numbers)) > 1 else None
    temperatures = np.linspace(0.0, t_max, 201)
    gas_constant = constants().gas_constant
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.8, 2.6), layout="constrained")
        FigureCanvasAgg(figure)
        dos_ax, heat_ax = figure.subplots(1, 2, width_ratios=[1.5, 1])
        ends: list[tuple[float, float]] = []
        for i, spectrum in enumerate(chosen):
            color = COLOURS[i % len(COLOURS)]
            shown = spectrum if len(chosen) == 1 else spectrum.per_atom()
            plot_spectrum(shown, dos_ax, units=units, projection=projection, color=color)
            atom = spectrum.per_atom()
            heat = thermal_property(atom.grid, atom.density[None], "heat_capacity", temperatures)[0]
            heat_ax.plot(temperatures, heat, color=color, label=spectrum.crystal.formula)
            if spectrum.members is not None and spectrum.calibration is not None:
                at = temperatures[::10]
                band = np.array([atom.interval("heat_capacity", INTERVAL_LEVEL, t) for t in at])
                heat_ax.fill_between(at, band[:, 0], band[:, 1], color=color, alpha=0.25, lw=0)
            ends.append(dos_ax.get_xlim())
        dos_ax.set_xlim(min(low for low, _ in ends), max(high for _, high in ends))
        dos_ax.legend(ncols=2 if len(dos_ax.lines) > 6 else 1)
        heat_ax.axhline(3 * gas_constant, color="0.5", lw=0.7, ls="--")
        heat_ax.text(0.98 * t_max, 3.02 * gas_constant, "$3R$", ha="right", color="0.4")
        heat_ax.set(xlabel="Temperature (K)", ylabel=r"$C_V$ (J K$^{-1}$ mol$^{-1}$ per atom)")
        heat_ax.set_xlim(0, t_max)
        heat_ax.set_ylim(0, 3.35 * gas_constant)
        for ax, letter in ((dos_ax, "a"), (heat_ax, "b")):
            ax.set_title(f"({letter})", loc="left", fontsize=8)
        if path is not None:
            save_figure(figure, path)
    return figure


def _std(spectrum: DensityOfStates, width: float) -> Array:
    """Standard deviation of the drawn densities of the members, states/THz, shape (n,)."""
    if spectrum.members is None or width <= 0:
        return np.asarray(spectrum.density_std)
    return np.asarray(_smooth(spectrum.members, width).std(axis=0, ddof=1))


def _smooth(y: Array, width: float) -> Array:
    """Convolve rows with a Gaussian of `width` points."""
    from scipy.ndimage import gaussian_filter1d

    return y if width <= 0 else np.asarray(gaussian_filter1d(y, width, mode="reflect"))


def _shown_range(x: Array, y: Array) -> tuple[float, float]:
    """From zero, or the lowest imaginary mode that shows, to a little above the highest mode."""
    visible = x[y > 2e-3 * y.max()]
    margin = 0.04 * (visible[-1] - visible[0])
    return (float(visible[0] - margin) if visible[0] < 0 else 0.0), float(visible[-1] + margin)


def _parts(
    spectrum: DensityOfStates, rows: Array | None, projection: str | None
) -> list[tuple[str, Array]]:
    """Names and densities (states/THz) of sites or elements."""
    from ase.data import chemical_symbols

    if projection is None:
        return []
    if rows is None:
        raise SpectrumError(
            f"The model {spectrum.model or 'unnamed'!r} gives no site densities to project on. "
            "Draw with projection=None, or use a model that has them, such as 'default'."
        )
    crystal = spectrum.crystal
    names = ["" for _ in range(crystal.n_sites)]
    for site, number in zip(crystal.species_site, crystal.species_number, strict=True):
        names[site] += ("/" if names[site] else "") + chemical_symbols[number]
    if projection == "site":
        return [(f"{name}{i}", row) for i, (name, row) in enumerate(zip(names, rows, strict=True))]
    sums: dict[str, Array] = {}
    for name, row in zip(names, rows, strict=True):
        sums[name] = sums[name] + row if name in sums else row
    return list(sums.items())


def plot_phases(comparison: PhaseComparison, ax: Any = None) -> Any:
    """Draw relative free energies with their intervals on Matplotlib axes, which are returned."""
    if ax is None:
        import matplotlib.pyplot as plt

        ax = plt.subplots()[1]
    t = comparison.temperatures
    for k, (name, values) in enumerate(zip(comparison.names, comparison.free_energy, strict=True)):
        colour = COLOURS[k % len(COLOURS)]
        ax.plot(t, values, color=colour, label=name)
        if comparison.half_width is not None and k:
            half = comparison.half_width[k]
            ax.fill_between(t, values - half, values + half, color=colour, alpha=0.2, lw=0)
    for transition in comparison.transitions:
        ax.axvline(transition.temperature, color="0.5", lw=0.7, ls="--")
    ax.set(xlabel="Temperature (K)", ylabel=r"$\Delta F$ (kJ/mol per formula unit)")
    ax.set_xlim(t[0], t[-1])
    ax.legend()
    return ax


def plot_comparison(
    comparison: MeasurementComparison, ax: Any = None, unit: str | None = None
) -> Any:
    """Draw both spectra with the error band, on Matplotlib axes that are returned.

    Parameters
    ----------
    comparison : MeasurementComparison
    ax : matplotlib.axes.Axes, optional
        A new figure's if not given.
    unit : {"meV", "THz", "cm-1"}, optional
        The measurement's if not given.
    """
    if ax is None:
        import matplotlib.pyplot as plt

        ax = plt.subplots()[1]
    measured, seen = comparison.measurement, comparison.predicted
    unit = unit or measured.unit
    to_unit = unit_in_cm("cm-1") / unit_in_cm(unit)
    per_unit = unit_in_cm(unit) / unit_in_cm("THz")
    x, y = seen.wavenumbers * to_unit, seen.weighted * per_unit
    ax.plot(x, y, color=COLOURS[1], label="predicted")
    if seen.std is not None:
        std = seen.std * per_unit
        band = {"color": COLOURS[1], "alpha": 0.2, "lw": 0}
        ax.fill_between(x, np.maximum(y - 2 * std, 0), y + 2 * std, **band)
    factor = comparison.scale * per_unit
    error = None if measured.error is None else measured.error * factor
    ax.errorbar(
        measured.wavenumbers * to_unit,
        measured.intensity * factor,
        error,
        fmt="o",
        ms=2.5,
        lw=0.6,
        color=COLOURS[0],
        label="measured",
    )
    shown = max(comparison.cutoff) * 1.2 * to_unit
    label = {"cm-1": "cm$^{-1}$"}.get(unit, unit)
    ax.set(xlim=(0, shown), xlabel=f"Energy ({label})", ylabel=f"DoS (states/{label})")
    ax.set_ylim(bottom=0)
    ax.legend()
    return ax
