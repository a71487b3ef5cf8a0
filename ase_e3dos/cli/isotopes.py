"""`e3dos isotopes CRYSTAL --mass H=2.014`: what other masses of some elements change."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ase_e3dos.cli.output import write_figure
from ase_e3dos.errors import E3DOSError

if TYPE_CHECKING:
    from ase_e3dos.phonon_spectrum import PhononSpectrum
    from ase_e3dos.structures.crystal import Crystal


def isotopes_command(
    crystal: Annotated[Path, typer.Argument(metavar="CRYSTAL", help="CIF, POSCAR, ... file.")],
    mass: Annotated[
        list[str],
        typer.Option(help="Element and mass in amu: H=2.014, Li=6.015, Si=27.977; repeatable."),
    ],
    temperature: Annotated[float, typer.Option("--temperature", "-T", min=0, help="K.")] = 300.0,
    plot: Annotated[Path | None, typer.Option(help="Write a figure: png, pdf, svg.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    model: Annotated[str, typer.Option(help="A model's name or a weights file.")] = "default",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:1.")] = "auto",
) -> None:
    """Compare the spectra of a crystal with standard masses and with other ones."""
    from ase_e3dos.prediction import predict
    from ase_e3dos.structures.crystal import Crystal
    from ase_e3dos.structures.masses import STANDARD_MASSES

    if plot is not None and not plot.parent.is_dir():
        raise E3DOSError(f"--plot {plot}: there is no folder {plot.parent}. Make it first.")
    given = Crystal.from_any(str(crystal))
    before = _with_masses(given, STANDARD_MASSES[given.species_number])
    after = _with_masses(given, _masses(given, mass))
    spectra = predict([before, after], model=model, device=device)
    values = [_values(s, temperature) for s in spectra]
    if plot is not None:
        write_figure(plot, lambda ax: _draw(spectra, ax))
    if as_json:
        about = {"crystal": str(crystal), "formula": given.formula, "model": spectra[0].model}
        about["warnings"] = [str(w) for w in spectra[1].warnings]  # type: ignore[assignment]
        typer.echo(json.dumps(about | dict(zip(("standard", "changed"), values, strict=True))))
        return
    typer.echo(f"{given.formula}, model {spectra[0].model}, {temperature:g} K, per mole of cells")
    size = max(map(len, values[0]))
    typer.echo(f"{'':{size}s}   standard    changed     ratio")
    for name, (old, new) in _pairs(*values):
        ratio = f"{new / old:9.4f}" if old else ""
        typer.echo(f"{name:{size}s} {old:10.4g} {new:10.4g} {ratio}")
    if spectra[0].site_density is not None:
        typer.echo("each site's <w^2> follows 1/mass, exactly; see docs/howto/isotopes.md")


def _pairs(old: dict[str, float], new: dict[str, float]) -> list[tuple[str, tuple[float, float]]]:
    return [(name, (old[name], new[name])) for name in old]


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


def _values(spectrum: PhononSpectrum, temperature: float) -> dict[str, float]:
    """What is printed of one spectrum."""
    from ase.data import chemical_symbols

    found = spectrum.describe()
    values = {
        "average frequency (cm^-1)": spectrum.mean_wavenumber,
        "upper edge (cm^-1)": found["upper_edge"],
        "C_V (J/(K mol))": float(spectrum.heat_capacity(temperature)),
        "entropy (J/(K mol))": float(spectrum.entropy(temperature)),
        "zero-point energy (kJ/mol)": spectrum.zero_point_energy,
        "free energy (kJ/mol)": float(spectrum.free_energy(temperature)),
    }
    if spectrum.site_density is not None:
        numbers = spectrum.crystal.numbers
        u = spectrum.u_iso(temperature)
        for number in dict.fromkeys(numbers.tolist()):
            here = numbers == number
            values[f"U_iso of {chemical_symbols[number]} (Å^2)"] = float(u[here].mean())
    return values


def _draw(spectra: list[PhononSpectrum], ax: Any) -> None:
    from ase_e3dos.export.plots import COLOURS

    for spectrum, colour, name in zip(
        spectra, COLOURS, ("standard masses", "changed"), strict=False
    ):
        ax.plot(spectrum.wavenumbers, spectrum.density, color=colour, lw=1, label=name)
    top = max(s.describe()["upper_edge"] for s in spectra)
    ax.set(xlim=(0, 1.15 * top), xlabel="Wavenumber (cm$^{-1}$)", ylabel="DoS (states/THz)")
    ax.set_ylim(bottom=0)
    ax.legend()
