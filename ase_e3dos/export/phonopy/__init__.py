"""Spectra as phonopy's own result objects.

phonopy computes on a mesh of q-points. `SpectrumMesh` offers the quantiles of a
density as such a mesh, so that phonopy's own classes, not imitations, give the
thermal properties, the smearing, the plots and the files.
"""

from __future__ import annotations

from ase_e3dos.export.phonopy.densities import (
    projected_dos,
    resampled_total_dos,
    total_dos,
    write_dos,
)
from ase_e3dos.export.phonopy.mesh import N_MODES, SpectrumMesh, formula_units
from ase_e3dos.export.phonopy.thermal import phonopy_temperatures, thermal_properties, write_yaml

__all__ = [
    "N_MODES",
    "SpectrumMesh",
    "formula_units",
    "phonopy_temperatures",
    "projected_dos",
    "resampled_total_dos",
    "thermal_properties",
    "total_dos",
    "write_dos",
    "write_yaml",
]
