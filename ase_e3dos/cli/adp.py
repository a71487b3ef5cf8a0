"""`e3dos adp CRYSTAL`: displacement parameters of the sites, printed or into a CIF."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ase_e3dos.errors import E3DOSError

if TYPE_CHECKING:
    from ase_e3dos.spectrum.grid import Array
    from ase_e3dos.structures.crystal import Crystal


def adp_command(
    crystal: Annotated[Path, typer.Argument(metavar="CRYSTAL", help="CIF, POSCAR, ... file.")],
    temperature: Annotated[
        list[float] | None,
        typer.Option("--temperature", "-T", help="In K; repeatable. [default: 300]"),
    ] = None,
    cif: Annotated[
        Path | None, typer.Option(help="Write a CIF with U_iso at the first temperature.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    model: Annotated[str, typer.Option(help="A model's name or a weights file.")] = "default",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:1.")] = "auto",
) -> None:
    """Predict U_iso and B_iso of the sites of a crystal."""
    from ase_e3dos.analysis.displacements import B_OVER_U, has_interval
    from ase_e3dos.export.cif import write_cif
    from ase_e3dos.prediction import predict

    if cif is not None:
        if cif.exists() and crystal.exists() and cif.samefile(crystal):
            raise E3DOSError(f"--cif {cif}: that is the input, which would be lost. Name another.")
        if not cif.parent.is_dir():
            raise E3DOSError(f"--cif {cif}: there is no folder {cif.parent}. Make it first.")
    (spectrum,) = predict([str(crystal)], model=model, device=device)
    temperatures = temperature or [300.0]
    values = spectrum.u_iso(temperatures)
    many = spectrum.members is not None and len(spectrum.members) > 1
    std = spectrum.u_iso_std(temperatures) if many else None
    ends = spectrum.u_iso_interval(temperatures) if has_interval(spectrum) else None
    if cif is not None:
        write_cif(spectrum, cif, temperatures[0])
    symbols = [_species(spectrum.crystal, i) for i in range(spectrum.crystal.n_sites)]
    if as_json:
        content = {
            "crystal": str(crystal),
            "formula": spectrum.crystal.formula,
            "model": spectrum.model,
            "unit": "Å^2",
            "sites": symbols,
            "temperatures": temperatures,
            "u_iso": values.tolist(),
            "u_iso_std": None if std is None else std.tolist(),
            "u_iso_interval_90": None if ends is None else [e.tolist() for e in ends],
            "b_iso": (B_OVER_U * values).tolist(),
            "warnings": [str(w) for w in spectrum.warnings],
        }
        typer.echo(json.dumps(content, indent=1))
        return
    typer.echo(f"{spectrum.crystal.formula}, model {spectrum.model}; Å^2")
    bar = "      90 % interval" if ends is not None else "     ±std" if many else ""
    width = max(4, *map(len, symbols))
    typer.echo(f"site  {'':{width}s}  n   T (K)    U_iso" + bar + "    B_iso")
    for equal in _groups(symbols, values):
        i = equal[0]
        for k, t in enumerate(temperatures):
            text = ""
            if ends is not None:
                text = f"  {ends[0][i, k]:.5f}-{ends[1][i, k]:.5f}"
            elif std is not None:
                text = f"  {std[i, k]:.5f}"
            u = values[i, k]
            typer.echo(
                f"{i:4d}  {symbols[i]:{width}s} {len(equal):2d} {t:7g}  {u:.5f}{text}  "
                f"{B_OVER_U * u:7.4f}"
            )
    if len(_groups(symbols, values)) < len(symbols):
        typer.echo("n: sites of equal species and U_iso, of which the first is named")
    if many and ends is None:
        typer.echo("±std: spread of the ensemble, not calibrated and too narrow")
    if cif is not None:
        typer.echo(f"{cif}: U_iso at {temperatures[0]:g} K; all sites in P1")


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
