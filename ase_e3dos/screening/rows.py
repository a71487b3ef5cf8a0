"""Predictions as rows: thermal properties of hundreds of spectra at a time, in arrays."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ase_e3dos.screening.entries import Entry, error_text, storable
from ase_e3dos.screening.schema import schema
from ase_e3dos.screening.settings import ScreenSettings
from ase_e3dos.spectrum.grid import FrequencyGrid
from ase_e3dos.spectrum.thermal import Quantity, imaginary_fraction, thermal_property
from ase_e3dos.spectrum.uncertainty import INTERVAL_LEVEL, Calibration, error_covariates
from ase_e3dos.structures.crystal import Crystal

if TYPE_CHECKING:
    import pyarrow as pa


Array = NDArray[np.float64]

#: Columns of the structure, and the types of their values.
_STRUCTURE = (("numbers", "int32"), ("cell", "float64"), ("positions_frac", "float64"))


@dataclass
class RowBuilder:
    """Collects predictions and errors, and turns them into one record batch.

    Parameters
    ----------
    settings : ScreenSettings
        Of the run.
    wavenumbers : ndarray
        Grid of the model in cm^-1, shape (n_bins,).
    calibration : Calibration or None
        Error model of the ensemble, or None.
    """

    settings: ScreenSettings
    wavenumbers: NDArray[np.float64]
    calibration: Calibration | None
    _good: list[Entry] = field(default_factory=list)
    _shares: list[NDArray[np.float32]] = field(default_factory=list)
    _members: list[NDArray[np.float32]] = field(default_factory=list)
    _instability: list[float] = field(default_factory=list)
    _warnings: list[list[str]] = field(default_factory=list)
    _bad: list[tuple[Entry, str]] = field(default_factory=list)
    _place: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self._place)

    def add(
        self,
        entry: Entry,
        shares: NDArray[np.float32],
        members: NDArray[np.float32] | None,
        warnings: list[str],
        instability: float | None = None,
    ) -> None:
        """Add a prediction.

        Parameters
        ----------
        entry : Entry
            With a crystal.
        shares : ndarray of float32
            Of the modes in each bin, shape (n_bins,).
        members : ndarray of float32 or None
            The same by the members of the ensemble, shape (n_members, n_bins), or None.
        warnings : list of str
            Texts for the column.
        instability : float, optional
            Probability of imaginary modes.
        """
        self._place.append(len(self._good))
        self._good.append(entry)
        self._shares.append(shares)
        self._instability.append(np.nan if instability is None else instability)
        self._warnings.append([storable(text) for text in warnings])
        if members is not None:
            self._members.append(members)

    def add_error(self, entry: Entry, error: BaseException) -> None:
        """Add an entry that cannot be predicted."""
        self._place.append(-1 - len(self._bad))
        self._bad.append((entry, error_text(error)))

    def build(self) -> pa.RecordBatch:
        """All that was added, in order, as a batch of the schema; the builder is empty then."""
        import pyarrow as pa

        n_good = len(self._good)
        entries = [*self._good, *(entry for entry, _ in self._bad)]
        crystals = [e.crystal if isinstance(e.crystal, Crystal) else None for e in entries]
        total_mass, average, lightest = _masses(crystals)
        columns = self._columns(total_mass[:n_good])
        columns["id"] = pa.array([e.id for e in entries])
        columns["content"] = pa.array([e.content for e in entries])
        columns["formula"] = pa.array([c and c.formula for c in crystals], pa.string())
        columns["n_sites"] = pa.array([c and c.n_sites for c in crystals], pa.int32())
        for name, mass in (("average_mass", average), ("minimum_mass", lightest)):
            columns[name] = pa.array(mass, mask=np.isnan(mass))
        columns["warnings"] = pa.array(
            [*self._warnings, *([] for _ in self._bad)], pa.list_(pa.string())
        )
        columns["error"] = pa.array([None] * n_good + [text for _, text in self._bad], pa.string())
        columns["model"] = pa.repeat(self.settings.model_name, len(entries))
        columns["model_hash"] = pa.repeat(self.settings.model_hash, len(entries))

        plain = [c if c and c.is_ordered and not c.has_isotopes else None for c in crystals]
        arrays = [(c.numbers, c.cell.ravel(), c.scaled_positions.ravel()) if c else (None,) * 3
                  for c in plain]  # fmt: skip
        for k, (name, kind) in enumerate(_STRUCTURE):
            columns[name] = pa.array([a[k] for a in arrays], pa.list_(getattr(pa, kind)()))
        form = schema(self.settings.single_temperature)
        batch = pa.RecordBatch.from_arrays([columns[name] for name in form.names], schema=form)
        place = np.array(self._place, dtype=np.int64)
        order = np.where(place >= 0, place, n_good - 1 - place)
        if (np.diff(order) != 1).any():
            batch = batch.take(pa.array(order))
        for values in (
            self._good,
            self._shares,
            self._members,
            self._instability,
            self._warnings,
            self._bad,
            self._place,
        ):
            values.clear()
        return batch

    def _columns(self, total_mass: Array) -> dict[str, Any]:
        """Columns that come from the spectra, null in the rows of errors."""
        import pyarrow as pa

        grid = FrequencyGrid.of(self.wavenumbers)
        n_good, n_bad = len(self._good), len(self._bad)
        crystals = [e.crystal for e in self._good if isinstance(e.crystal, Crystal)]
        n_sites = np.array([c.n_sites for c in crystals], dtype=np.float64)
        shares = np.array(self._shares, dtype=np.float64).reshape(-1, len(grid))
        # In states/THz, per atom; the cell's density is n_sites times it.
        density = shares * (3.0 / np.maximum(shares @ grid.trapezoid, 1e-300))[:, None]
        t = self.settings.temperatures
        per_atom = {
            name: thermal_property(grid, density, name, t)
            for name in ("heat_capacity", "entropy", "free_energy")
        }
        zero_point = thermal_property(grid, density, "internal_energy", [0.0])[:, 0]
        weights = grid.trapezoid * grid.wavenumbers

        cells = (density * n_sites[:, None]).astype(np.float32)
        offsets = np.arange(len(cells) + 1, dtype=np.int32) * len(grid)
        offsets = np.concatenate([offsets, np.full(n_bad, offsets[-1], dtype=np.int32)])
        missing = np.arange(len(cells) + n_bad) >= len(cells)
        columns = {
            "density": pa.ListArray.from_arrays(
                pa.array(offsets), pa.array(cells.ravel()), mask=pa.array(missing)
            ),
            "mean_wavenumber": _nullable(density @ weights / 3.0, n_bad),
            "zero_point_energy_per_cell": _nullable(zero_point * n_sites, n_bad),
            "imaginary_fraction": _nullable(imaginary_fraction(grid, density), n_bad),
            "instability": _nullable(np.array(self._instability), n_bad),
        }
        c_v = per_atom["heat_capacity"]
        per_cell = n_sites[:, None]
        thermal: dict[str, Array | None] = {
            "heat_capacity_per_atom": c_v,
            "heat_capacity_per_cell": c_v * per_cell,
            "specific_heat": c_v * per_cell * (1000.0 / total_mass)[:, None],
            "entropy_per_cell": per_atom["entropy"] * per_cell,
            "free_energy_per_cell": per_atom["free_energy"] * per_cell,
        }
        widths = self._half_widths(grid, crystals, per_atom)
        thermal["uncertainty"] = widths.get("heat_capacity")
        for name in ("entropy", "free_energy"):
            width = widths.get(name)
            thermal[f"{name}_uncertainty"] = None if width is None else width * per_cell
        frequency = widths.get("mean_wavenumber", np.full((n_good, 1), np.nan))
        columns["mean_wavenumber_uncertainty"] = _nullable(frequency[:, 0], n_bad)
        for name, values in thermal.items():
            columns[name] = self._thermal_column(values, n_bad)
        return columns

    def _half_widths(
        self, grid: FrequencyGrid, crystals: list[Crystal], per_atom: dict[str, Array]
    ) -> dict[str, Array]:
        """Of each calibrated interval, per atom; (n_good, n_temperatures), or 1 of a frequency.

        `per_atom` has the predicted values, (n_good, n_temperatures) each.
        """
        calibration = self.calibration
        if not self._members or calibration is None:
            return {}
        members = np.array(self._members, dtype=np.float64)
        n_good, n_members, n_bins = members.shape
        flat = members.reshape(-1, n_bins)
        flat *= (3.0 / np.maximum(flat @ grid.trapezoid, 1e-300))[:, None]
        n_sites = [c.n_sites for c in crystals]
        of_chemistry = crystals if calibration.depends_on_chemistry else None
        covariates = error_covariates(grid, members, n_sites, of_chemistry)
        t = self.settings.temperatures
        found = {}
        thermal: tuple[Quantity, ...] = ("heat_capacity", "entropy", "free_energy")
        values: dict[str, Array] = {
            name: thermal_property(grid, flat, name, t)
            for name in thermal
            if name in calibration.spreads
        }
        if "mean_wavenumber" in calibration.spreads:
            values["mean_wavenumber"] = flat @ (grid.trapezoid * grid.wavenumbers) / 3.0
        for quantity, of_members in values.items():
            std = of_members.reshape(n_good, n_members, -1).std(axis=1, ddof=1)
            predicted = per_atom.get(quantity, std)
            found[quantity] = np.column_stack(
                [
                    calibration.half_width(
                        quantity, of_t, level=INTERVAL_LEVEL, temperature=kelvin,
                        covariates=covariates, value=value,
                    )
                    for of_t, value, kelvin in zip(std.T, predicted.T, t, strict=False)
                ]
            )  # fmt: skip
        return found

    def _thermal_column(self, values: Array | None, n_bad: int) -> Any:
        import pyarrow as pa

        if self.settings.single_temperature:
            if values is None:
                return pa.nulls(len(self._good) + n_bad, pa.float64())
            return _nullable(values[:, 0], n_bad)
        kind = pa.list_(pa.float64())
        if values is None:
            return pa.nulls(len(self._good) + n_bad, kind)
        return pa.array([*values.tolist(), *[None] * n_bad], kind)


def _nullable(values: NDArray[Any], n_bad: int) -> Any:
    """An array with nulls behind it, one for each error, and in the place of NaN."""
    import pyarrow as pa

    padded = np.concatenate([values, np.full(n_bad, np.nan)])
    return pa.array(padded, mask=np.isnan(padded))


def _masses(crystals: list[Crystal | None]) -> Array:
    """Total, average (the paper's) and smallest mass in amu, shape (3, n); nan if no crystal."""
    there = [c for c in crystals if c is not None]
    masses = np.full((3, len(crystals)), np.nan)
    if not there:
        return masses
    n_sites = np.array([c.n_sites for c in there])
    starts = np.concatenate([[0], np.cumsum(n_sites)])
    n_species = [len(c.species_site) for c in there]
    site = np.concatenate([c.species_site for c in there]) + np.repeat(starts[:-1], n_species)
    weight = np.concatenate([c.species_fraction for c in there])
    weight = weight * np.concatenate([c.species_mass for c in there])
    by_site = np.bincount(site, weight, starts[-1])
    masses[:, [c is not None for c in crystals]] = [
        np.add.reduceat(by_site, starts[:-1]),
        (np.add.reduceat(np.sqrt(by_site), starts[:-1]) / n_sites) ** 2,
        np.minimum.reduceat(by_site, starts[:-1]),
    ]
    return masses
