"""What `e3dos predict` prints: a table for people, JSON for machines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ase_e3dos.cli.options import Per
from ase_e3dos.cli.output import MIXED_SITES, print_json, print_notes, print_table, print_warnings
from ase_e3dos.errors import E3DOSError, E3DOSWarning, SpectrumError
from ase_e3dos.export.cards import with_error
from ase_e3dos.spectrum.uncertainty import INTERVAL_LEVEL

if TYPE_CHECKING:
    from ase_e3dos.phonon_spectrum import PhononSpectrum

_UNITS = {
    "mean_wavenumber": "cm^-1",
    "heat_capacity": "J/(K mol)",
    "entropy": "J/(K mol)",
    "free_energy": "kJ/mol",
    "specific_heat": "J/(K kg)",
}
_HEADINGS = {
    "mean_wavenumber": "mean freq.\ncm^-1",
    "heat_capacity": "C_V\nJ/(K mol)",
    "entropy": "S\nJ/(K mol)",
    "free_energy": "F\nkJ/mol",
    "specific_heat": "c_V\nJ/(K kg)",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one structure.

    Attributes
    ----------
    source : str
        The file it was read from, as the user wrote it.
    result : PhononSpectrum or E3DOSError
        The spectrum, or the error that says why there is none.
    warnings : tuple of E3DOSWarning
        About reading and predicting it.
    """

    source: str
    result: PhononSpectrum | E3DOSError
    warnings: tuple[E3DOSWarning, ...]


def show_table(outcomes: list[Outcome], temperatures: list[float], per: Per) -> None:
    """Print a row for each structure and temperature, then warnings."""
    good = [o for o in outcomes if not isinstance(o.result, E3DOSError)]
    if not good:
        return
    columns = ["file", "crystal", "sites", _HEADINGS["mean_wavenumber"], "T\nK"]
    thermal = ("heat_capacity", "entropy", "free_energy", "specific_heat")
    rows, with_bars, model = [], False, ""
    for outcome in good:
        spectrum = view(outcome.result, per)
        model = spectrum.model
        for i, temperature in enumerate(temperatures):
            row = _values(spectrum, temperature)
            bars = _intervals(spectrum, temperature)
            with_bars = with_bars or bool(bars)
            cells = {name: _with_bar(row[name], bars.get(name)) for name in row}
            about = (spectrum.crystal.name, spectrum.crystal.formula, spectrum.crystal.n_sites)
            first = [*about, cells["mean_wavenumber"]] if i == 0 else [""] * 4
            rows.append([*first, f"{temperature:g}", *(cells[name] for name in thermal)])
    print_table([*columns, *(_HEADINGS[n] for n in thermal)], rows, left={"file", "crystal"})
    mole = {"cell": "cells", "formula": "formula units", "atom": "atoms"}[per.value]
    bars_are = f"± half a calibrated {INTERVAL_LEVEL:.0%} interval" if with_bars else ""
    changes = [(o.result.origin or {}).get("relaxation") for o in good]  # type: ignore[union-attr]
    if found := [c for c in changes if c is not None]:
        volumes = ", ".join(f"{c['volume_change']:+.1%}" for c in found[:8])
        volumes += ", ..." if len(found) > 8 else ""
        print_notes(f"relaxed with {found[0]['calculator']}; volumes changed by {volumes}")
    print_notes(f"model {model}; C_V, S and F per mole of {mole}", bars_are)
    if with_bars and any(not o.result.crystal.is_ordered for o in good):  # type: ignore[union-attr]
        print_notes(MIXED_SITES)
    for outcome in good:
        print_warnings(outcome.warnings)


def show_json(outcomes: list[Outcome], temperatures: list[float], per: Per) -> None:
    """Print one JSON object with a list of structures, failed ones included."""
    print_json(
        {
            "units": {
                **_UNITS,
                "density": "states/THz",
                "wavenumbers": "cm^-1",
                "temperature": "K",
            },
            "per": per.value,
            "interval_level": INTERVAL_LEVEL,
            "structures": [_structure_row(o, temperatures, per) for o in outcomes],
        }
    )


def _structure_row(outcome: Outcome, temperatures: list[float], per: Per) -> dict[str, Any]:
    result = outcome.result
    if isinstance(result, E3DOSError):
        return {
            "file": outcome.source,
            "error": {"type": type(result).__name__, "message": str(result)},
        }
    spectrum = view(result, per)
    thermal = []
    for temperature in temperatures:
        values = _values(spectrum, temperature)
        mean = values.pop("mean_wavenumber")
        intervals = _intervals(spectrum, temperature)
        mean_interval = intervals.pop("mean_wavenumber", None)
        thermal.append({"temperature": temperature, **values, "intervals": intervals})
    std = spectrum.density_std
    return {
        "file": outcome.source,
        "name": spectrum.crystal.name,
        "formula": spectrum.crystal.formula,
        "n_sites": spectrum.crystal.n_sites,
        "model": spectrum.model,
        "provenance": spectrum.provenance,
        "origin": spectrum.origin,
        "mean_wavenumber": mean,
        "mean_wavenumber_interval": mean_interval,
        "imaginary_fraction": spectrum.imaginary_fraction,
        "instability": spectrum.instability,
        "thermal": thermal,
        "warnings": [{"type": type(w).__name__, "message": str(w)} for w in outcome.warnings],
        "wavenumbers": spectrum.wavenumbers.tolist(),
        "density": spectrum.density.tolist(),
        "density_std": None if std is None else std.tolist(),
    }


def view(result: Any, per: Per) -> PhononSpectrum:
    """The spectrum per what `per` says."""
    spectrum: PhononSpectrum = result
    if per.value == "atom":
        return spectrum.per_atom()
    return spectrum.per_formula_unit() if per.value == "formula" else spectrum


def _values(spectrum: PhononSpectrum, temperature: float) -> dict[str, float]:
    return {
        "mean_wavenumber": spectrum.mean_wavenumber,
        "heat_capacity": spectrum.heat_capacity(temperature),
        "entropy": spectrum.entropy(temperature),
        "free_energy": spectrum.free_energy(temperature),
        "specific_heat": spectrum.specific_heat(temperature),
    }


def _intervals(spectrum: PhononSpectrum, temperature: float) -> dict[str, list[float]]:
    """Calibrated intervals of the quantities and at the temperatures that have one."""
    if spectrum.members is None or spectrum.calibration is None:
        return {}
    found: dict[str, list[float]] = {}
    for name in ("mean_wavenumber", "heat_capacity", "entropy", "free_energy"):
        try:
            low, high = spectrum.interval(name, INTERVAL_LEVEL, temperature)
        except SpectrumError:  # not calibrated at this temperature
            continue
        found[name] = [float(low), float(high)]
    if "heat_capacity" in found:
        per_kilogram = 1000.0 / spectrum.molar_mass
        found["specific_heat"] = [x * per_kilogram for x in found["heat_capacity"]]
    return found


def _with_bar(value: float, interval: list[float] | None) -> str:
    """As many digits as mean something: by the error bar, four without one."""
    if interval is None:
        if abs(value) < 1e4:
            return f"{value:.3g}" if abs(value) < 1e-3 else f"{value:#.4g}".rstrip(".")
        return f"{value:.0f}"
    return with_error(value, max(value - interval[0], interval[1] - value), " ±")
