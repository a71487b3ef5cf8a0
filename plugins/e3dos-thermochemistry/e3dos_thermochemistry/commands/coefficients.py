"""`e3dos coefficients calcite.cif -o calcite.tdb --enthalpies CaCO3=-1207.6`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ase_e3dos.cli.options import AsJson, Device, Model
from ase_e3dos.cli.output import check_file, print_json, print_notes, print_table
from e3dos_thermochemistry.commands.options import BulkModulus, Enthalpies, by_formula, of_solid

if TYPE_CHECKING:
    from e3dos_thermochemistry.coefficients import Coefficients
    from e3dos_thermochemistry.polynomials import Form


class FormName(StrEnum):
    """Polynomials: `e3dos_thermochemistry.polynomials`."""

    SHOMATE = "shomate"
    NASA9 = "nasa9"
    MAIER_KELLEY = "maier-kelley"
    SGTE = "sgte"


def coefficients_command(
    files: Annotated[list[Path], typer.Argument(metavar="FILES", help="Structures of the solids.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Write .tdb (pycalphad), .yaml (Cantera) or .json (burnman)."
        ),
    ] = None,
    form: Annotated[
        FormName | None, typer.Option(help="[default: what the file takes, else shomate]")
    ] = None,
    ranges: Annotated[
        str, typer.Option("--range", metavar="T:T[:T...]", help="Ends of the ranges, K.")
    ] = "298.15:1500",
    enthalpies: Enthalpies = None,
    bulk_modulus: BulkModulus = None,
    as_json: AsJson = False,
    model: Model = "default",
    device: Device = "auto",
) -> None:
    """Fit coefficients for thermochemical databases, and write them for other programs."""
    from ase_e3dos import predict
    from e3dos_thermochemistry.coefficients import fit
    from e3dos_thermochemistry.errors import FitError
    from e3dos_thermochemistry.expansion import thermal_expansion
    from e3dos_thermochemistry.formats import FORMATS, form_for, write_coefficients
    from e3dos_thermochemistry.solid import Solid

    check_file(output, tuple(FORMATS), inputs=files)
    asked: Form | None = None if form is None else form.value
    wanted: Form = (asked or "shomate") if output is None else form_for(output, asked)
    ends = _ranges(ranges)
    formation = by_formula(enthalpies, "--enthalpies")
    moduli = by_formula(bulk_modulus, "--bulk-modulus")
    used, found = set(), []
    for spectrum in predict([str(f) for f in files], model=model, device=device):
        solid = Solid(spectrum)
        of_formation, of_modulus = of_solid(formation, solid), of_solid(moduli, solid)
        expansion = None
        if of_modulus is not None:
            expansion = thermal_expansion(
                spectrum.crystal, of_modulus[1], model=model, device=device
            )
        named = {match[0] for match in (of_formation, of_modulus) if match is not None}
        used |= named
        solid = Solid(spectrum, next(iter(sorted(named)), ""), expansion)
        enthalpy = None if of_formation is None else of_formation[1]
        found.append(fit(solid, wanted, ranges=ends, enthalpy_of_formation=enthalpy))
    if strangers := sorted((formation.keys() | moduli.keys()) - used):
        raise FitError(
            f"There is no structure of {', '.join(strangers)}, for which a value is given. Give "
            "one, or leave the value out."
        )
    if output is not None:
        write_coefficients(output, found)
    if as_json:
        print_json([c.to_dict() for c in found])
        return
    for c in found:
        _print(c)
    if output is not None:
        typer.echo(f"written to {output}")


def _ranges(text: str) -> list[float]:
    from e3dos_thermochemistry.errors import FitError

    try:
        return [float(p) for p in text.split(":")]
    except ValueError:
        raise FitError(f"--range {text}: give temperatures in K, as 298.15:1000:2000.") from None


def _print(c: Coefficients) -> None:
    kind = "C_V" if c.solid.expansion is None else "C_P"
    typer.echo(f"{c.name}, {c.form}, {kind} by the model {c.solid.spectrum.model}")
    typer.echo(c.polynomial.text)
    names = list(c.pieces[0].coefficients)
    rows = [[n, *(f"{p.coefficients[n]: .8e}" for p in c.pieces)] for n in names]
    for quantity, symbol, unit in (
        ("heat_capacity", "C", "J/(K mol)"),
        ("entropy", "S", "J/(K mol)"),
        ("enthalpy", "H", "kJ/mol"),
        ("gibbs", "G", "kJ/mol"),
    ):
        rows.append(
            [f"error of {symbol}, {unit}", *(f"{p.errors[quantity]:.2g}" for p in c.pieces)]
        )
    print_table(["", *(f"{p.low:g} to {p.high:g} K" for p in c.pieces)], rows, left=[""])
    reference = "the solid at 298.15 K" if c.enthalpy_of_formation is None else "the elements"
    bars = [
        f"{symbol}(298.15 K) {c.intervals[name][0]:.1f} to {c.intervals[name][1]:.1f} J/(K mol)"
        for name, symbol in (("entropy", "S"), ("heat_capacity", "C"))
        if name in c.intervals
    ]
    print_notes(
        f"per mole of {c.name}, H relative to {reference}",
        "errors are the fit's largest",
        f"the model's with 90 %: {', '.join(bars)}" if bars else "",
    )
