"""Figure of free energies of phases."""

from __future__ import annotations

from typing import Any

from ase_e3dos.analysis.phases import PhaseComparison
from ase_e3dos.export.curves import interval_name
from ase_e3dos.export.plots.styles import COLOURS, axes
from ase_e3dos.spectrum.uncertainty import INTERVAL_LEVEL


def plot_phases(comparison: PhaseComparison, ax: Any = None) -> Any:
    """Draw relative free energies with their intervals on Matplotlib axes, which are returned.

    Parameters
    ----------
    comparison : PhaseComparison
    ax : matplotlib Axes, optional
        New ones if not given.

    Returns
    -------
    matplotlib Axes
    """
    ax = axes(ax)
    t = comparison.temperatures
    for k, (name, values) in enumerate(zip(comparison.names, comparison.free_energy, strict=True)):
        colour = COLOURS[k % len(COLOURS)]
        ax.plot(t, values, color=colour, label=name)
        if comparison.half_width is not None and k:
            half = comparison.half_width[k]
            band = interval_name(INTERVAL_LEVEL) if k == 1 else None
            ax.fill_between(
                t, values - half, values + half, color=colour, alpha=0.2, lw=0, label=band
            )
    for transition in comparison.transitions:
        ax.axvline(transition.temperature, color="0.5", lw=0.7, ls="--")
    ax.set(xlabel="Temperature (K)", ylabel=r"$\Delta F$ (kJ/mol per formula unit)")
    ax.set_xlim(t[0], t[-1])
    ax.legend()
    return ax
