"""Figures of spectra with Matplotlib."""

from ase_e3dos.export.plots.measured import plot_comparison
from ase_e3dos.export.plots.phases import plot_phases
from ase_e3dos.export.plots.several import plot_spectra
from ase_e3dos.export.plots.spectrum import plot_spectrum, plot_thermal
from ase_e3dos.export.plots.styles import COLOURS, STYLE, STYLES
from ase_e3dos.export.plots.summary import plot_summary

__all__ = [
    "COLOURS",
    "STYLE",
    "STYLES",
    "plot_comparison",
    "plot_phases",
    "plot_spectra",
    "plot_spectrum",
    "plot_summary",
    "plot_thermal",
]
