"""CIF files with the predicted displacement parameters of the sites, anisotropic where known."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from ase.cell import Cell
from ase.data import chemical_symbols

from ase_e3dos.analysis.displacements import (
    has_interval,
    u_iso,
    u_iso_interval,
    u_iso_std,
    u_tensor,
)
from ase_e3dos.export.writing import writing
from ase_e3dos.spectrum.displacement_tensors import COMPONENTS, cif_tensors

if TYPE_CHECKING:
    from ase_e3dos.spectrum.density_of_states import DensityOfStates

#: Probability within one standard uncertainty.
_ONE_SIGMA = 0.68


def write_cif(spectrum: DensityOfStates, path: str | Path, temperature: float = 300.0) -> None:
    """Write the crystal with the displacement parameters of each site at a temperature.

    U_iso and, where the model gives tensors, the anisotropic loop with U_ij as CIF defines them. In
    the space group P1 with all sites; species of a mixed site share a position and a U_iso.
    Standard uncertainties, in brackets, are half the calibrated 68 % interval, or the standard
    deviations over the ensemble where the model has no calibration of displacements; a comment
    in the file says which.

    Parameters
    ----------
    spectrum : DensityOfStates
        With site densities.
    path : str or Path
    temperature : float
        K.

    Raises
    ------
    SpectrumError
        Without site densities.
    OutputError
        If the file cannot be written.
    """
    crystal = spectrum.crystal
    values = u_iso(spectrum, float(temperature))
    members = spectrum.members
    std, kind = None, "none"
    if has_interval(spectrum):
        low, high = u_iso_interval(spectrum, float(temperature), _ONE_SIGMA)
        std, kind = (high - low) / 2, f"half the calibrated {_ONE_SIGMA:.0%} interval"
    elif members is not None and len(members) > 1:
        std, kind = u_iso_std(spectrum, float(temperature)), "spread of the ensemble, too small"
    a, b, c, alpha, beta, gamma = Cell(crystal.cell).cellpar()
    lines = [
        f"# U_iso predicted by ase-e3dos, model {spectrum.model or 'unnamed'}, harmonic",
        f"# standard uncertainties of U_iso: {kind}",
        f"data_{crystal.formula}",
        *(f"_cell_length_{n} {v:.6f}" for n, v in zip("abc", (a, b, c), strict=True)),
        f"_cell_angle_alpha {alpha:.6f}",
        f"_cell_angle_beta {beta:.6f}",
        f"_cell_angle_gamma {gamma:.6f}",
        f"_cell_volume {crystal.volume:.6f}",
        f"_diffrn_ambient_temperature {float(temperature):g}",
        "_symmetry_space_group_name_H-M 'P 1'",
        "_symmetry_Int_Tables_number 1",
        "loop_",
        " _symmetry_equiv_pos_as_xyz",
        " 'x, y, z'",
        "loop_",
        *(
            f" _atom_site_{name}"
            for name in (
                "label", "type_symbol", "fract_x", "fract_y", "fract_z", "occupancy",
                "adp_type", "U_iso_or_equiv",
            )
        ),
    ]  # fmt: skip
    kind_of = "Uiso" if spectrum.log_displacements is None else "Uani"
    columns = (crystal.species_site, crystal.species_number, crystal.species_fraction)
    for k, (site, number, fraction) in enumerate(zip(*columns, strict=True)):
        symbol = chemical_symbols[number]
        position = " ".join(f"{x:.8f}" for x in crystal.scaled_positions[site])
        u = _with_uncertainty(float(values[site]), None if std is None else float(std[site]))
        lines.append(f" {symbol}{k + 1} {symbol} {position} {fraction:.6g} {kind_of} {u}")
    if spectrum.log_displacements is not None:
        lines += ["loop_", " _atom_site_aniso_label"]
        lines += [f" _atom_site_aniso_U_{i + 1}{j + 1}" for i, j in COMPONENTS]
        tensors = cif_tensors(u_tensor(spectrum, float(temperature)), crystal.cell)
        for k, (site, number) in enumerate(zip(*columns[:2], strict=True)):
            row = " ".join(f"{tensors[site][c]:.5f}" for c in COMPONENTS)
            lines.append(f" {chemical_symbols[number]}{k + 1} {row}")
    with writing(path):
        Path(path).write_text("\n".join(lines) + "\n", encoding="ascii")


def _with_uncertainty(value: float, std: float | None) -> str:
    """0.0271(19) or 0.027(6): the uncertainty in units of the last digit, 2 to 19."""
    if std is None or not np.isfinite(std) or std <= 0 or std >= value:
        return f"{value:.5f}"
    digits = max(0, -int(np.floor(np.log10(std / 1.95))))
    digits = min(digits, 8)
    return f"{value:.{digits}f}({max(1, round(std * 10**digits))})"
