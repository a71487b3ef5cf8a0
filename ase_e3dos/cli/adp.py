"""`e3dos adp CRYSTAL`: displacement parameters of the sites, as a table or a CIF."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ase_e3dos.cli.options import (
    DEFAULT_TEMPERATURES,
    AsJson,
    Device,
    Model,
    Temperatures,
    kelvin,
)
from ase_e3dos.cli.output import (
    TABLES,
    check_file,
    print_json,
    print_notes,
    print_table,
    write_table,
    writing,
)

if TYPE_CHECKING:
    from ase_e3dos.spectrum.grid import Array
    from ase_e3dos.structures.crystal import Crystal


def adp_command(
    crystal: Annotated[Path, typer.Argument(metavar="CRYSTAL", help="CIF, POSCAR, ... file.")],
    temperature: Temperatures = DEFAULT_TEMPERATURES,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Write a .cif with U_iso at the first temperature, or the table with every site: "
            ".csv, .json or .parquet.",
        ),
    ] = None,
    as_json: AsJson = False,
    model: Model = "default",
    device: Device = "auto",
) -> None:
    """Predict U_iso and B_iso of the sites of a crystal."""
    from ase_e3dos.analysis.displacements import B_OVER_U, has_interval
    from ase_e3dos.cli.inputs import one_crystal
    from ase_e3dos.export.cif import write_cif
    from ase_e3dos.prediction import predict

    temperatures = kelvin(temperature)
    check_file(output, (".cif", *TABLES), inputs=[crystal])
    (spectrum,) = predict([one_crystal(crystal)], model=model, device=device)
    values = spectrum.u_iso(temperatures)
    many = spectrum.members is not None and len(spectrum.members) > 1
    std = spectrum.u_iso_std(temperatures) if many else None
    ends = spectrum.u_iso_interval(temperatures) if has_interval(spectrum) else None
    symbols = [_species(spectrum.crystal, i) for i in range(spectrum.crystal.n_sites)]
    if output is not None and output.suffix.lower() == ".cif":
        with writing(output):
            write_cif(spectrum, output, temperatures[0])
    elif output is not None:
        write_table(output, _rows(symbols, temperatures, values, std, ends))
    if as_json:
        content = {
            "crystal": str(crystal),
            "formula": spectrum.crystal.formula,
            "model": spectrum.model,
            "provenance": spectrum.provenance,
            "unit": "Å^2",
            "sites": symbols,
            "temperatures": temperatures,
            "u_iso": values.tolist(),
            "u_iso_std": None if std is None else std.tolist(),
            "u_iso_interval_90": None if ends is None else [e.tolist() for e in ends],
            "b_iso": (B_OVER_U * values).tolist(),
            "warnings": [str(w) for w in spectrum.warnings],
        }
        print_json(content)
        return
    bar = ["90 % interval"] if ends is not None else ["±std"] if many else []
    groups, rows = _groups(symbols, values), []
    for equal in groups:
        i = equal[0]
        for k, t in enumerate(temperatures):
            text = []
            if ends is not None:
                text = [f"{ends[0][i, k]:.5f}-{ends[1][i, k]:.5f}"]
            elif std is not None:
                text = [f"{std[i, k]:.5f}"]
            u = values[i, k]
            b = f"{B_OVER_U * u:.4f}"
            rows.append([i, symbols[i], len(equal), f"{t:g}", f"{u:.5f}", *text, b])
    columns = ["site", "species", "n", "T\nK", "U_iso\nÅ^2", *bar, "B_iso\nÅ^2"]
    print_table(columns, rows, left={"species"})
    print_notes(
        f"{spectrum.crystal.formula}, model {spectrum.model}",
        "n: sites of equal species and U_iso, of which the first is named"
        if len(groups) < len(symbols)
        else "",
        "±std: spread of the ensemble, not calibrated and too narrow"
        if many and ends is None
        else "",
    )


def _rows(
    symbols: list[str],
    temperatures: list[float],
    values: Array,
    std: Array | None,
    ends: tuple[Array, Array] | None,
) -> list[dict[str, Any]]:
    """A row for each site and temperature; what there is of errors, in Å^2 like U_iso."""
    from ase_e3dos.analysis.displacements import B_OVER_U

    rows = []
    for i, symbol in enumerate(symbols):
        for k, t in enumerate(temperatures):
            u = float(values[i, k])
            row = {"site": i, "species": symbol, "temperature_K": t, "u_iso": u}
            if std is not None:
                row["u_iso_std"] = float(std[i, k])
            if ends is not None:
                row |= {"u_iso_low": float(ends[0][i, k]), "u_iso_high": float(ends[1][i, k])}
            rows.append(row | {"b_iso": B_OVER_U * u})
    return rows


def _species(crystal: Crystal, site: int) -> str:
    """Symbol of a site, or its species with their fractions: Si0.5Ge0.5."""
    from ase.data import chemical_symbols

    here = crystal.species_site == site
    numbers, fractions = crystal.species_number[here], crystal.species_fraction[here]
    if len(numbers) == 1 and abs(fractions[0] - 1) < 1e-9:
        return str(chemical_symbols[numbers[0]])
    return "".join(f"{chemical_symbols[z]}{f:.3g}" for z, f in zip(numbers, fractions, strict=True))


def _groups(symbols: list[str], values: Array) -> list[list[int]]:
    """Sites with the same species and, to 0.1 %, the same U_iso at all temperatures."""
    groups: list[list[int]] = []
    for i, symbol in enumerate(symbols):
        for group in groups:
            first = group[0]
            if (
                symbols[first] == symbol
                and (abs(values[i] - values[first]) <= 1e-3 * values[first]).all()
            ):
                group.append(i)
                break
        else:
            groups.append([i])
    return groups
