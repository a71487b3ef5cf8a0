"""Figure of a prediction beside a measured spectrum."""

from __future__ import annotations

from typing import Any

import numpy as np

from ase_e3dos.analysis.measurement import MeasurementComparison
from ase_e3dos.analysis.neutron import unit_in_cm
from ase_e3dos.export.plots.styles import COLOURS, axes, legend_above


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

    Returns
    -------
    matplotlib Axes
    """
    ax = axes(ax)
    measured, seen = comparison.measurement, comparison.predicted
    unit = unit or measured.unit
    to_unit = unit_in_cm("cm-1") / unit_in_cm(unit)
    per_unit = unit_in_cm(unit) / unit_in_cm("THz")
    x, y = seen.wavenumbers * to_unit, seen.weighted * per_unit
    ax.plot(x, y, color=COLOURS[1], label="predicted")
    if seen.std is not None:
        std = seen.std * per_unit
        band = {"color": COLOURS[1], "alpha": 0.2, "lw": 0, "label": "± two standard deviations"}
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
    legend_above(ax)
    return ax
