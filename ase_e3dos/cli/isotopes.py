"""`e3dos isotopes CRYSTAL --mass H=2.014`: what other masses of some elements change."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ase_e3dos.cli.inputs import one_crystal
from ase_e3dos.cli.options import (
    DEFAULT_TEMPERATURES,
    AsJson,
    Device,
    Model,
    Plot,
    TableFile,
    Temperatures,
    Units,
    kelvin,
)
from ase_e3dos.cli.output import (
    check_figure,
    check_file,
    print_json,
    print_notes,
    print_table,
    write_panel,
    write_table,
)
from ase_e3dos.errors import E3DOSError

if TYPE_CHECKING:
    from ase_e3dos.export.curves import FrequencyUnit
    from ase_e3dos.phonon_spectrum import PhononSpectrum
    from ase_e3dos.structures.crystal import Crystal


def isotopes_command(
    crystal: Annotated[Path, typer.Argument(metavar="CRYSTAL", help="CIF, POSCAR, ... file.")],
    mass: Annotated[
        list[str],
        typer.Option(help="Element and mass in amu: H=2.014, Li=6.015, Si=27.977; repeatable."),
    ],
    temperature: Temperatures = DEFAULT_TEMPERATURES,
    output: TableFile = None,
    plot: Plot = None,
    units: Annotated[Units, typer.Option(help="Frequency axis of the figure.")] = Units.CM,
    as_json: AsJson = False,
    model: Model = "default",
    device: Device = "auto",
) -> None:
    """Compare the spectra of a crystal with standard masses and with other ones."""
    from ase_e3dos.prediction import predict
    from ase_e3dos.structures.masses import STANDARD_MASSES

    temperatures = kelvin(temperature)
    check_figure(plot)
    check_file(output, inputs=[crystal])
    given = one_crystal(crystal)
    before = _with_masses(given, STANDARD_MASSES[given.species_number])
    after = _with_masses(given, _masses(given, mass))
    spectra = predict([before, after], model=model, device=device)
    values = [_values(s, temperatures) for s in spectra]
    compared = _compared(values[0], values[1], temperatures)
    if output is not None:
        write_table(output, compared)
    if plot is not None:
        write_panel(plot, lambda ax: _draw(spectra, ax, units.value))
    if as_json:
        print_json(
            {
                "crystal": str(crystal),
                "formula": given.formula,
                "model": spectra[0].model,
                "temperatures": temperatures,
                "warnings": [str(w) for w in spectra[1].warnings],
                "standard": values[0],
                "changed": values[1],
            }
        )
        return
    rows = [_cells(**row) for row in compared]
    columns = ("quantity", "T\nK", "standard", "changed", "ratio")
    print_table(columns, rows, left={"quantity"})
    exact = spectra[0].site_density is not None
    print_notes(
        f"{given.formula}, model {spectra[0].model}; per mole of cells",
        "each site's <w^2> follows 1/mass, exactly; see docs/howto/isotopes.md" if exact else "",
    )


def _compared(
    before: dict[str, float | list[float]],
    after: dict[str, float | list[float]],
    temperatures: list[float],
) -> list[dict[str, Any]]:
    """A row for each quantity and, where it depends on it, temperature."""
    rows = []
    for name, old in before.items():
        new = after[name]
        if isinstance(old, list) and isinstance(new, list):
            triples: list[Any] = list(zip(temperatures, old, new, strict=True))
        else:
            triples = [(None, old, new)]
        rows += [
            {"quantity": name, "temperature_K": t, "standard": x, "changed": y}
            for t, x, y in triples
        ]
    return rows


def _cells(
    quantity: str, temperature_K: float | None, standard: float, changed: float
) -> list[str]:
    at = "" if temperature_K is None else f"{temperature_K:g}"
    ratio = f"{changed / standard:.4f}" if standard else ""
    return [quantity, at, f"{standard:.4g}", f"{changed:.4g}", ratio]


def _masses(crystal: Crystal, given: list[str]) -> Any:
    """Masses of the species with those of the command line, shape (n_species,)."""
    from ase.data import atomic_numbers

    from ase_e3dos.structures.masses import STANDARD_MASSES

    masses = STANDARD_MASSES[crystal.species_number].copy()
    for text in given:
        symbol, _, value = text.partition("=")
        number = atomic_numbers.get(symbol.strip())
        here = crystal.species_number == number
        try:
            amu = float(value)
        except ValueError:
            amu = float("nan")
        if number is None or not here.any() or not 0.1 <= amu < 400:
            raise E3DOSError(
                f"--mass {text}: give an element of {crystal.formula} and a mass in amu, such as "
                "H=2.014."
            )
        masses[here] = amu
    return masses


def _with_masses(crystal: Crystal, masses: Any) -> Crystal:
    from ase_e3dos.structures.crystal import Crystal

    return Crystal(
        crystal.cell,
        crystal.scaled_positions,
        crystal.species_site,
        crystal.species_number,
        crystal.species_fraction,
        masses,
        name=crystal.name,
    )


def _values(spectrum: PhononSpectrum, temperatures: list[float]) -> dict[str, float | list[float]]:
    """What is printed of one spectrum; lists go with the temperatures."""
    from ase.data import chemical_symbols

    values: dict[str, float | list[float]] = {
        "average frequency (cm^-1)": spectrum.mean_wavenumber,
        "upper edge (cm^-1)": float(spectrum.describe()["upper_edge"]),
        "zero-point energy (kJ/mol)": spectrum.zero_point_energy,
        "C_V (J/(K mol))": [float(spectrum.heat_capacity(t)) for t in temperatures],
        "entropy (J/(K mol))": [float(spectrum.entropy(t)) for t in temperatures],
        "free energy (kJ/mol)": [float(spectrum.free_energy(t)) for t in temperatures],
    }
    if spectrum.site_density is not None:
        numbers = spectrum.crystal.numbers
        u = spectrum.u_iso(temperatures)
        for number in dict.fromkeys(numbers.tolist()):
            mean = u[numbers == number].mean(axis=0)
            values[f"U_iso of {chemical_symbols[number]} (Å^2)"] = [float(x) for x in mean]
    return values


def _draw(spectra: list[PhononSpectrum], ax: Any, units: FrequencyUnit) -> None:
    from ase_e3dos.export.plots import COLOURS, plot_spectrum
    from ase_e3dos.export.plots.styles import legend_above

    names = ("standard masses", "changed")
    for spectrum, colour, name in zip(spectra, COLOURS, names, strict=False):
        plot_spectrum(spectrum, ax, units=units, label=name, color=colour)
    legend_above(ax)
