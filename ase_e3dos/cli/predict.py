"""`e3dos predict FILE...`: spectra and thermal properties of the crystals in some files."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ase_e3dos.cli.options import Per
from ase_e3dos.cli.output import figure_at
from ase_e3dos.cli.prediction_report import Outcome, print_json, print_table
from ase_e3dos.errors import E3DOSError, E3DOSWarning

if TYPE_CHECKING:
    from ase_e3dos.phonon_spectrum import PhononSpectrum
    from ase_e3dos.structures.crystal import Crystal

#: Endings that matplotlib writes without further packages.
_FIGURES = {".png", ".pdf", ".svg", ".eps", ".jpg", ".jpeg", ".tif", ".tiff", ".webp"}


class Units(StrEnum):
    """Units of the frequency axis."""

    THZ = "THz"
    CM = "cm-1"
    MEV = "meV"


def predict(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="CIF, POSCAR, extxyz, ... files.")
    ],
    model: Annotated[
        str, typer.Option(help="A model's name (see `e3dos models`) or a weights file.")
    ] = "default",
    temperature: Annotated[
        list[float] | None,
        typer.Option("--temperature", "-T", help="Temperature in K; repeatable. [default: 300]"),
    ] = None,
    per: Annotated[Per, typer.Option(help="What C_V, S and F are per mole of.")] = Per.CELL,
    plot: Annotated[
        Path | None, typer.Option(help="Write a figure of the DoS and C_V(T): png, pdf, svg.")
    ] = None,
    units: Annotated[Units, typer.Option(help="Frequency axis of the figure.")] = Units.THZ,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Write total_dos.dat, thermal_properties.yaml and spectrum.json of each "
            "structure into a folder of its own in this one."
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON instead of the table.")
    ] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:1.")] = "auto",
    encoder: Annotated[
        str | None, typer.Option(help="An encoder's name; chosen by the model if not given.")
    ] = None,
    uncertainty: Annotated[
        bool, typer.Option(help="Error bars; without them it is several times faster.")
    ] = True,
) -> None:
    """Predict the phonon DoS and thermal properties of crystals.

    Exits with 2 if a structure could not be predicted; the others are printed all the same.
    """
    from ase_e3dos.export.plots import plot_summary
    from ase_e3dos.spectrum.thermal import checked_temperatures

    temperatures = [float(t) for t in checked_temperatures(temperature or [300.0])]
    if plot is not None:
        _check_figure(plot)
    outcomes = list(_outcomes(files, model, device, encoder, uncertainty))
    spectra = [o.result for o in outcomes if not isinstance(o.result, E3DOSError)]
    if plot is not None and spectra:
        with figure_at(plot):
            plot_summary(spectra, plot, units=units.value)
    if out is not None:
        _write_files(outcomes, out)
    if as_json:
        print_json(outcomes, temperatures, per)
    else:
        print_table(outcomes, temperatures, per)
    for outcome in outcomes:
        if isinstance(outcome.result, E3DOSError):
            typer.echo(f"error: {outcome.result}", err=True)
    if len(spectra) < len(outcomes):
        raise typer.Exit(2)


def _outcomes(
    files: list[Path], model: str, device: str, encoder: str | None, uncertainty: bool
) -> Iterator[Outcome]:
    from ase_e3dos.prediction.pipeline import load_predictor

    sources: list[tuple[str, tuple[E3DOSWarning, ...]]] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", E3DOSWarning)
        predictor = load_predictor(model, device, encoder)
        _show(caught)

        def crystals() -> Iterator[Crystal | E3DOSError]:
            for file in files:
                for item in _crystals_in(file):
                    ours = tuple(w.message for w in caught if isinstance(w.message, E3DOSWarning))
                    _show([w for w in caught if not isinstance(w.message, E3DOSWarning)])
                    caught.clear()
                    sources.append((str(file), ours))
                    yield item

        for k, result in enumerate(predictor.stream(crystals(), uncertainty)):
            source, about = sources[k]
            if not isinstance(result, E3DOSError):
                about = (*about, *result.warnings)
            yield Outcome(source, result, about)


def _crystals_in(file: Path) -> Iterator[Crystal | E3DOSError]:
    """Crystals of a file, and the error that ends it if there is one."""
    from ase_e3dos.structures.crystal import read_crystals

    try:
        yield from read_crystals(file)
    except E3DOSError as error:
        yield error


def _show(caught: list[warnings.WarningMessage]) -> None:
    """Print warnings of the libraries that read files, each once, and drop them."""
    for text in dict.fromkeys(str(w.message) for w in caught):
        typer.echo(f"warning: {text}", err=True)
    caught.clear()


def _check_figure(path: Path) -> None:
    if path.suffix.lower() not in _FIGURES:
        raise E3DOSError(
            f"--plot {path}: a figure's name ends in one of {', '.join(sorted(_FIGURES))}."
        )
    if not path.parent.is_dir():
        raise E3DOSError(f"--plot {path}: there is no folder {path.parent}. Make it first.")


def _write_files(outcomes: list[Outcome], folder: Path) -> None:
    taken: set[str] = set()
    for outcome in outcomes:
        if isinstance(outcome.result, E3DOSError):
            continue
        place = folder / _folder_name(outcome.result, outcome.source, taken)
        try:
            place.mkdir(parents=True, exist_ok=True)
            for name in ("total_dos.dat", "thermal_properties.yaml", "spectrum.json"):
                outcome.result.write(place / name)
            if outcome.result.site_density is not None:
                outcome.result.write(place / "projected_dos.dat")
        except OSError as error:
            raise E3DOSError(
                f"--out {folder}: {place} cannot be written ({error.strerror or error}). Choose "
                "a folder that can be written to and has room."
            ) from error


def _folder_name(spectrum: PhononSpectrum, source: str, taken: set[str]) -> str:
    """A plain name that stays inside the folder and is not taken yet."""
    index = spectrum.crystal.name.removeprefix(source)  # "[3]" where a file holds several
    words = f"{Path(source).stem}{index.replace('[', '-').replace(']', '')}"
    plain = "".join(c if c.isalnum() or c in "._+-" else "_" for c in words).strip("._")[:100]
    plain = plain or spectrum.crystal.formula
    name, number = plain, 1
    while name.casefold() in taken:
        number += 1
        name = f"{plain}-{number}"
    taken.add(name.casefold())
    return name
