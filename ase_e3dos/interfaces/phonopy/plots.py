"""phonopy's figures of its result objects, the same for phonopy 3 and 4."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ase_e3dos.spectrum.grid import Array


def as_predicted(dos: Any, predicted: Callable[[], Any]) -> Any:
    """What is drawn of a result: the density as predicted, where phonopy's was only resampled.

    Parameters
    ----------
    dos : phonopy.phonon.dos.TotalDos or ProjectedDos
        As `run_total_dos` made it.
    predicted : callable
        Makes one on the samples of the spectrum, which `spectrum.plot` draws, too.

    Returns
    -------
    phonopy.phonon.dos.TotalDos or ProjectedDos
        `dos` itself if it is smeared; else the predicted one, within the range of `dos`.
    """
    if not getattr(dos, "averaged", False):
        return dos
    drawn, ends = predicted(), dos.frequency_points[[0, -1]]
    x = drawn.frequency_points
    kept = np.flatnonzero((x > ends[0] - 1e-9) & (x < ends[1] + 1e-9))
    if len(kept) < 2:  # a range narrower than the model's bins
        return dos
    drawn._frequency_points = x[kept]
    if hasattr(drawn, "_projected_dos"):
        drawn._projected_dos = drawn._projected_dos[:, kept]
    else:
        drawn._dos = drawn._dos[kept]
    return drawn


def plot_dos(dos: Any, total: Array, tight: bool = False, **options: Any) -> Any:
    """Draw phonopy's TotalDos or ProjectedDos on a new figure.

    Parameters
    ----------
    dos : phonopy.phonon.dos.TotalDos or ProjectedDos
    total : ndarray, shape (n,)
        Its total, for the range.
    tight : bool
        Whether to show only the range that holds weight.
    **options
        Of its `plot`.

    Returns
    -------
    matplotlib.pyplot
        Call `.show()` or `.savefig(...)` on it.
    """
    import matplotlib.pyplot as plt

    ax = plt.subplots()[1]
    dos.plot(ax, draw_grid=False, **options)
    if tight and (total > 1e-5).any():
        low, high = dos.frequency_points[total > 1e-5][[0, -1]]
        low = min(low, 0.0)
        ax.set_xlim(low, high + 0.05 * (high - low))
    ax.set_ylim(bottom=0)
    return plt


def plot_thermal(thermal_properties: Any, **options: Any) -> Any:
    """Draw phonopy's ThermalProperties on a new figure; options of its `plot`.

    Returns
    -------
    matplotlib.pyplot
        Call `.show()` or `.savefig(...)` on it.
    """
    import matplotlib.pyplot as plt

    ax = plt.subplots()[1]
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_ticks_position("both")
        axis.set_tick_params(which="both", direction="in")
    thermal_properties.plot(ax, **options)
    return plt


def plot_displacements(thermal_displacements: Any, is_legend: bool = False) -> Any:
    """Draw phonopy's ThermalDisplacements on a new figure.

    Returns
    -------
    matplotlib.pyplot
        Call `.show()` or `.savefig(...)` on it.
    """
    import matplotlib.pyplot as plt

    ax = plt.subplots()[1]
    thermal_displacements.plot(ax, is_legend=is_legend)
    ax.set_xlabel("Temperature (K)")
    ax.set_ylabel(r"Displacement ($\mathrm{\AA}^2$)")
    return plt
