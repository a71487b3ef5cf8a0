"""`e3dos reaction "CaCO3 -> CaO + CO2" calcite.cif lime.cif --energies ...`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
from e3dos_thermochemistry.commands.options import (
    BulkModulus,
    Enthalpies,
    ErrorModel,
    Errors,
    GasTable,
    by_formula,
    of_solid,
)

if TYPE_CHECKING:
    from ase_e3dos import PhononSpectrum
    from e3dos_thermochemistry.expansion import ThermalExpansion
    from e3dos_thermochemistry.reactions import ReactionResult

#: Equilibria are looked for between these temperatures.
_RANGE = ["200:2000:10"]
#: Rows of the printed table.
_ROWS = 13


def reaction_command(
    equation: Annotated[str, typer.Argument(help='Such as "CaCO3 -> CaO + CO2".')],
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FILES", help="Structures of the solids; what has none is a gas."),
    ] = None,
    energies: Annotated[
        str | None,
        typer.Option(
            metavar="FORMULA=EV,...",
            help="Energies without vibrations of all species, eV a formula unit of the equation. "
            "Or a YAML or JSON file.",
        ),
    ] = None,
    enthalpies: Enthalpies = None,
    energy_error: Annotated[
        float, typer.Option(min=0, help="Half the 90 % interval of the reaction's energy, kJ/mol.")
    ] = 0.0,
    gases: Annotated[
        GasTable, typer.Option(help="ASE's IdealGasThermo or Cantera's polynomials.")
    ] = GasTable.ASE,
    pressure: Annotated[
        str, typer.Option(metavar="BAR|FORMULA=BAR,...", help="Of the gases.")
    ] = "1",
    temperature: Temperatures = _RANGE,
    bulk_modulus: BulkModulus = None,
    errors: Errors = ErrorModel.MEASURED,
    output: TableFile = None,
    plot: Plot = None,
    as_json: AsJson = False,
    model: Model = "default",
    device: Device = "auto",
) -> None:
    """Enthalpy, entropy and Gibbs energy of a reaction, and where it is in equilibrium.

    Without energies or enthalpies: the entropy and the heat capacity alone.
    """
    from ase_e3dos import predict
    from e3dos_thermochemistry.equations import balanced
    from e3dos_thermochemistry.reactions import react

    check_figure(plot)
    check_file(output, inputs=files or [])
    asked = sorted(kelvin(temperature))
    temperatures = [t for t in asked if t > 0 or asked == [t]]
    written = balanced(equation)
    given, formation = by_formula(energies, "--energies"), by_formula(enthalpies, "--enthalpies")
    at, moduli = _pressure(pressure), by_formula(bulk_modulus, "--bulk-modulus")
    paths = [str(f) for f in files or []]
    spectra = predict(paths, model=model, device=device) if paths else []
    found = react(
        written,
        spectra,
        energies=given or None,
        enthalpies=formation or None,
        gases=gases.value,
        pressures=at,
        temperatures=temperatures,
        energy_error=energy_error,
        errors=errors.value,
        expansions=_expansions(moduli, spectra, model, device),
    )
    if output is not None:
        write_table(output, found.rows())
    if plot is not None:
        from e3dos_thermochemistry.figures import plot_reaction

        write_panel(plot, lambda ax: plot_reaction(found, ax))
    name = spectra[0].model if spectra else "none"
    if as_json:
        print_json({"model": name} | found.to_dict())
        return
    _print(found, name, "pressure" if moduli else "volume", energy_error)
    if len(temperatures) < len(asked):
        typer.echo("0 K is left out: gases are not ideal there")


def _pressure(text: str) -> float | dict[str, float]:
    from e3dos_thermochemistry.errors import ReactionError

    if "=" in text:
        return by_formula(text, "--pressure")
    try:
        return float(text)
    except ValueError:
        raise ReactionError(f'--pressure {text}: give bar, as 1 or as "CO2=0.0004".') from None


def _expansions(
    moduli: dict[str, float], spectra: list[PhononSpectrum], model: str, device: str
) -> dict[str, ThermalExpansion]:
    from e3dos_thermochemistry.errors import ReactionError
    from e3dos_thermochemistry.expansion import thermal_expansion
    from e3dos_thermochemistry.solid import Solid

    found = {}
    for spectrum in spectra:
        match = of_solid(moduli, Solid(spectrum))
        if match is not None:
            formula, modulus = match
            found[formula] = thermal_expansion(
                spectrum.crystal, modulus, model=model, device=device
            )
    if strangers := sorted(moduli.keys() - found.keys()):
        raise ReactionError(
            f"--bulk-modulus: there is no structure of {', '.join(strangers)}. Give one, or leave "
            "the value out."
        )
    return found


def _print(found: ReactionResult, model: str, constant: str, energy_error: float) -> None:
    import numpy as np

    headings = {
        "enthalpy": "ΔH\nkJ/mol",
        "entropy": "ΔS\nJ/(K mol)",
        "gibbs": "ΔG\nkJ/mol",
        "heat_capacity": "ΔC_P\nJ/(K mol)",
    }
    shown = {n: s for n, s in headings.items() if getattr(found, n) is not None}
    typer.echo(f"{found.equation}, model {model}, solids at constant {constant}")
    t = found.temperatures
    rows = []
    shown_at = np.unique(np.linspace(0, len(t) - 1, min(len(t), _ROWS)).round().astype(int))
    for k in shown_at:
        row = [f"{t[k]:g}"]
        for name in shown:
            half = found.half_widths.get(name)
            bar = "" if half is None else f" ±{half[k]:.1f}"
            row.append(f"{getattr(found, name)[k]:.1f}{bar}")
        rows.append(row)
    print_table(["T\nK", *shown.values()], rows)
    at = ", ".join(f"{g} at {p:g} bar" for g, p in found.pressures.items())
    bars = (
        "± half a 90 % interval of the model's errors and of --energy-error "
        f"({energy_error:g} kJ/mol)"
        if found.half_widths
        else "no error bars: this model has no calibrated intervals"
    )
    some = f"{len(shown_at)} of {len(t)} temperatures; --json has all"
    print_notes(
        "per mole of the equation as written",
        at and f"gases: {at}",
        bars,
        some if len(shown_at) < len(t) else "",
    )
    if found.gibbs is None:
        typer.echo("no energies were given: whether it happens is not known")
        return
    for crossing in found.equilibrium:
        onward = "below" if crossing.rising else "above"
        typer.echo(f"equilibrium at {crossing}; products favoured {onward}")
    if not found.equilibrium:
        way = "right" if found.gibbs[0] < 0 else "left"
        typer.echo(f"no equilibrium from {t[0]:g} to {t[-1]:g} K: to the {way} throughout")
