"""Alloys: composition sweeps between end members, and what to compare them with.

`SolidSolution` matches the sites of the end members and interpolates (Vegard);
`composition_sweep` predicts one pure cell per composition; `linear_mixture`,
`VirtualCrystal` and `supercell_comparison` are the other answers that people would give.
"""

from ase_e3dos.alloy.comparison import AlloyComparison, linear_mixture, supercell_comparison
from ase_e3dos.alloy.figure import plot_sweep
from ase_e3dos.alloy.solution import SolidSolution
from ase_e3dos.alloy.sweep import CompositionSweep, composition_sweep
from ase_e3dos.alloy.virtual_crystal import VirtualCrystal

__all__ = [
    "AlloyComparison",
    "CompositionSweep",
    "SolidSolution",
    "VirtualCrystal",
    "composition_sweep",
    "linear_mixture",
    "plot_sweep",
    "supercell_comparison",
]
