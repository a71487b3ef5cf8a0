"""`e3dos hull entries.json -T 0 -T 1000 -T 2000`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ase_e3dos.cli.options import AsJson, Device, Model, Plot, TableFile, Temperatures, kelvin
from ase_e3dos.cli.output import (
    check_figure,
    check_file,
    print_json,
    print_notes,
    print_table,
    write_panel,
    write_table,
)
from e3dos_thermochemistry.commands.options import ErrorModel, Errors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pymatgen.entries.computed_entries import ComputedEntry

    from e3dos_thermochemistry.error_bars import Array
    from e3dos_thermochemistry.hulls import Hulls

_TEMPERATURES = ["0", "300", "600", "1000", "1500", "2000"]
#: Entries further above every hull than this (eV per atom) are not in the printed table.
_NEAR = 0.05


def hull_command(
    entries: Annotated[Path, typer.Argument(help="JSON of pymatgen's ComputedStructureEntry.")],
    temperature: Temperatures = _TEMPERATURES,
    gas: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MOLECULE|MOLECULE=EV",
            help="An ideal gas, with the energy of its lowest entry or one given; repeatable. "
            "Elements that are gases are gases anyway.",
        ),
    ] = None,
    pressure: Annotated[float, typer.Option(help="Of each gas, bar.")] = 1.0,
    energy_error: Annotated[
        float, typer.Option(min=0, help="Half the 90 % interval of an energy, eV per atom.")
    ] = 0.0,
    errors: Errors = ErrorModel.MEASURED,
    samples: Annotated[int, typer.Option(min=1, help="Draws for the probabilities.")] = 500,
    descriptor: Annotated[
        bool,
        typer.Option("--descriptor", help="Beside it: pymatgen's GibbsComputedStructureEntry."),
    ] = False,
    output: TableFile = None,
    plot: Plot = None,
    as_json: AsJson = False,
    model: Model = "default",
    device: Device = "auto",
) -> None:
    """Which phases are on the convex hull at which temperature, and how surely."""
    from e3dos_thermochemistry.assembly import hulls_of
    from e3dos_thermochemistry.descriptor import RANGE, descriptor_above_hull
    from e3dos_thermochemistry.entries import read_entries

    check_figure(plot)
    check_file(output, inputs=[entries])
    temperatures = sorted(kelvin(temperature))
    read = read_entries(entries)
    found = hulls_of(
        read,
        temperatures,
        gases=_gases(gas, read),
        pressure=pressure,
        energy_error=energy_error,
        errors=errors.value,
        samples=samples,
        model=model,
        device=device,
    )
    other: dict[float, Array] = {}
    if descriptor:
        inside = [t for t in temperatures if RANGE[0] <= t <= RANGE[1]]
        other = {t: descriptor_above_hull(found, t) for t in inside}
    if output is not None:
        write_table(output, _rows(found, other))
    if plot is not None:
        from e3dos_thermochemistry.figures import plot_decomposition

        write_panel(plot, lambda ax: plot_decomposition(found, ax))
    if as_json:
        print_json(found.to_dict())
        return
    _print(found, other)


def _gases(
    texts: list[str] | None, read: Sequence[ComputedEntry]
) -> dict[str, float | None] | None:
    from e3dos_thermochemistry.assembly import elemental_gases
    from e3dos_thermochemistry.errors import EntriesError

    if texts is None:
        return None
    found: dict[str, float | None] = dict(elemental_gases(read))
    for text in texts:
        name, _, energy = text.partition("=")
        try:
            found[name.strip()] = float(energy) if energy else None
        except ValueError:
            raise EntriesError(f"--gas {text}: give a molecule, or as CO2=-22.9 in eV.") from None
    return found


def _print(found: Hulls, other: Mapping[float, Array]) -> None:
    import numpy as np

    near = found.decomposition.min(axis=0) < _NEAR
    rows = []
    for k in np.argsort(found.names):
        element = found.entries[k].composition.is_element
        if not near[k] or (element and not found.stable[:, k].any()):
            continue
        row = [found.names[k]]
        for i in range(len(found.temperatures)):
            text = (
                "on" if element and found.stable[i, k] else f"{1e3 * found.decomposition[i, k]:.0f}"
            )
            if found.half_widths is not None and found.probability is not None:
                bar = f" ±{1e3 * found.half_widths[i, k]:.0f}" if text != "on" else ""
                text += f"{bar} ({found.probability[i, k]:.0%})"
            row.append(text)
        rows.append(row)
    print_table(["phase", *(f"{t:g} K" for t in found.temperatures)], rows, left=["phase"])
    print_notes(
        "decomposition energies in meV/atom: on the hull where negative",
        "no error bars: this model has no calibrated intervals"
        if found.covariance is None
        else "± half a 90 % interval, in brackets the probability to be on the hull",
    )
    for t in map(float, found.temperatures):
        named = [f if p is None else f"{f} ({p:.0%})" for f, p in found.formulas(t).items()]
        typer.echo(f"on the hull at {t:g} K: {', '.join(named)}")
        if t in other:
            theirs = other[t] <= 1e-6
            typer.echo(f"  by pymatgen's descriptor: {_formulas(found, theirs)}")


def _formulas(found: Hulls, marks: Any) -> str:
    on = {e.composition.reduced_formula for e, m in zip(found.entries, marks, strict=True) if m}
    return ", ".join(sorted(on))


def _rows(found: Hulls, other: Mapping[float, Array]) -> list[dict[str, Any]]:
    half, probability = found.half_widths, found.probability
    rows: list[dict[str, Any]] = []
    for k, (name, entry) in enumerate(zip(found.names, found.entries, strict=True)):
        for i, t in enumerate(map(float, found.temperatures)):
            row = {
                "name": name,
                "formula": entry.composition.reduced_formula,
                "gas": found.spectra[k] is None,
                "temperature_K": t,
                "energy_eV_per_atom": float(entry.energy_per_atom),
                "vibrational_eV_per_atom": float(found.vibrational[i, k]),
                "decomposition_eV_per_atom": float(found.decomposition[i, k]),
                "half_width_eV_per_atom": None if half is None else float(half[i, k]),
                "on_hull": bool(found.stable[i, k]),
                "probability": None if probability is None else float(probability[i, k]),
                "competes_with": found.products(t, k),
            }
            if other:
                row["above_hull_by_descriptor_eV_per_atom"] = (
                    float(other[t][k]) if t in other else None
                )
            rows.append(row)
    return rows
