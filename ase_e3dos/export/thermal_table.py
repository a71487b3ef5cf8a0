"""phonopy's thermal properties that know how to become tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from phonopy.phonon.thermal_properties import ThermalProperties

from ase_e3dos.errors import SpectrumError
from ase_e3dos.export.tables import (
    THERMAL_UNITS,
    about,
    dataframe_of,
    thermal_columns,
    write_columns,
)
from ase_e3dos.spectrum.density_of_states import DensityOfStates
from ase_e3dos.spectrum.grid import Array


class ThermalTable(ThermalProperties):
    """`phonopy.phonon.thermal_properties.ThermalProperties` of a predicted spectrum.

    Attributes
    ----------
    spectrum : DensityOfStates
        What the properties are of; its calibrated intervals are in the tables.
    plain : bool
        Whether no option changed the values, so that tables hold the exact integrals.
    """

    spectrum: DensityOfStates
    plain: bool = False

    def columns(self) -> dict[str, Array]:
        """Columns of a table by their names, which state units.

        Returns
        -------
        dict
            As `ase_e3dos.export.tables.thermal_columns` has them, with the values here (which
            depend on options such as `pretend_real`) for free energy, entropy, heat
            capacity, and the internal energy that follows from them.

        Raises
        ------
        SpectrumError
            If it has not been run.
        """
        if self.thermal_properties is None:
            raise SpectrumError("There is no table yet: call run() first.")
        temperatures, free_energy, entropy, heat_capacity = self.thermal_properties
        exact = thermal_columns(self.spectrum, temperatures)
        if self.plain:
            return exact
        ours = {"free_energy": free_energy, "entropy": entropy, "heat_capacity": heat_capacity}
        for quantity, values in ours.items():
            unit = THERMAL_UNITS[quantity]
            moved = np.asarray(values) - exact[f"{quantity}_{unit}"]
            for end in ("", "_low", "_high"):
                name = f"{quantity}{end}_{unit}"
                if name in exact:
                    exact[name] = exact[name] + moved
            low = f"{quantity}_low_{unit}"
            if quantity != "free_energy" and low in exact:
                exact[low] = np.maximum(exact[low], 0.0)
        # of the values here, so that F = U - T S holds within the table
        inner = np.asarray(free_energy) + np.asarray(temperatures) * np.asarray(entropy) / 1000.0
        exact[f"internal_energy_{THERMAL_UNITS['internal_energy']}"] = inner
        return exact

    def to_dataframe(self) -> Any:
        """`pandas.DataFrame` with a row for each temperature; MissingExtraError without pandas.

        Columns as `ase_e3dos.export.tables.thermal_dataframe` has them.
        """
        return dataframe_of(self._led(), self.spectrum)

    def to_csv(self, path: str | Path) -> None:
        """Write a CSV file with a row for each temperature and a header that states units.

        Columns as those of `to_dataframe`.

        Parameters
        ----------
        path : str or Path
        """
        write_columns(self._led(), path)

    def _led(self) -> dict[str, Any]:
        """The columns, led by what they are of and per mole of what."""
        found = self.columns()
        n_rows = len(found["temperature_K"])
        return {**about(self.spectrum, self.spectrum.crystal.formula, n_rows), **found}
