"""`e3dos predict FILE...`: spectra and thermal properties of the crystals in some files."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ase_e3dos.cli.options import (
    DEFAULT_TEMPERATURES,
    AsJson,
    Device,
    EncoderName,
    Model,
    Per,
    Temperatures,
    Uncertainty,
    Units,
    kelvin,
)
from ase_e3dos.cli.output import check_figure, check_file, check_folder, writing
from ase_e3dos.cli.prediction_figure import (
    PAGES,
    Drawing,
    EnergyUnits,
    FigureLayout,
    ProjectionKind,
    overlay_of,
    panels_of,
)
from ase_e3dos.cli.prediction_report import Outcome, show_json, show_table, view
from ase_e3dos.errors import E3DOSError, E3DOSWarning
from ase_e3dos.structures.paths import is_file

if TYPE_CHECKING:
    from ase_e3dos.phonon_spectrum import PhononSpectrum
    from ase_e3dos.prediction.pipeline import Predictor
    from ase_e3dos.structures.crystal import Crystal


def predict(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="CIF, POSCAR, extxyz, ... files, or folders."),
    ],
    model: Model = "default",
    temperature: Temperatures = DEFAULT_TEMPERATURES,
    per: Annotated[
        Per,
        typer.Option(
            help="What C_V, S and F are per mole of; figures of several crystals are per atom."
        ),
    ] = Per.CELL,
    plot: Annotated[
        Path | None,
        typer.Option(
            help="Write a figure of the DoS and C_V(T): png, pdf, svg, ..., or html for a page to "
            "hover over."
        ),
    ] = None,
    units: Annotated[Units, typer.Option(help="Frequency axis of the figure.")] = Units.THZ,
    panels: Annotated[
        str | None,
        typer.Option(
            help="Of the figure, separated by commas: dos, cv, s, f, u. dos,cv by default; a page "
            "has buttons for all."
        ),
    ] = None,
    projection: Annotated[
        ProjectionKind, typer.Option(help="Parts in the figure; auto: the elements of one crystal.")
    ] = ProjectionKind.AUTO,
    stacked: Annotated[bool, typer.Option("--stacked", help="Parts upon each other.")] = False,
    layout: Annotated[
        FigureLayout,
        typer.Option(help="Of several spectra; auto: overlay of up to six, else a grid."),
    ] = FigureLayout.AUTO,
    overlay: Annotated[
        list[str] | None,
        typer.Option(
            "--with",
            metavar="FILE[:UNIT]",
            help="Lay a DFT or measured spectrum over them: total_dos.dat, or columns, whose unit "
            "their header or UNIT (THz, cm-1, meV) says; repeatable.",
        ),
    ] = None,
    smoothing: Annotated[
        float, typer.Option(min=0, help="Gaussian width in cm^-1 for the figure; 0: none.")
    ] = 0.0,
    style: Annotated[
        str, typer.Option(help="Of the figure: publication, phonopy, dark, or one of Matplotlib's.")
    ] = "publication",
    energy_units: Annotated[
        EnergyUnits, typer.Option(help="Of the thermal panels: C_V and S follow suit.")
    ] = EnergyUnits.KJ,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Write total_dos.dat, thermal_properties.yaml and spectrum.json of each "
            "structure into a folder of its own in this one. thermal_properties.yaml has the "
            "temperatures of -T if these are three or more in even steps, else 0 to 1000 K by 10.",
        ),
    ] = None,
    as_csv: Annotated[
        bool,
        typer.Option(
            "--csv",
            help="With -o: also dos.csv and thermal.csv (at the temperatures of -T, per what --per "
            "says) in each folder, and one thermal.csv of all.",
        ),
    ] = False,
    as_json: AsJson = False,
    device: Device = "auto",
    encoder: EncoderName = None,
    uncertainty: Uncertainty = True,
    relax: Annotated[
        str | None,
        typer.Option(
            metavar="CALCULATOR",
            help="Relax positions and cell before, with a calculator that `e3dos plugins` lists "
            "(NAME=WEIGHTS for weights of your own).",
        ),
    ] = None,
    fmax: Annotated[
        float | None,
        typer.Option(min=1e-6, help="Largest force after --relax, eV/Å; 0.01 if not given."),
    ] = None,
) -> None:
    """Predict the phonon DoS and thermal properties of crystals.

    Exits with 2 if a structure could not be predicted; the others are printed all the same.
    """
    temperatures = kelvin(temperature)
    if plot is not None and plot.suffix.lower() in PAGES:
        check_file(plot, PAGES, "--plot")
    else:
        check_figure(plot, others=PAGES)
    check_folder(
        output,
        instead="Of files, --plot FILE writes a figure or page, --csv with -o FOLDER tables, and "
        "--json prints JSON (> FILE).",
    )
    if as_csv and output is None:
        raise E3DOSError("--csv writes into the folder of --output: give -o FOLDER, too.")
    if overlay and plot is None:
        raise E3DOSError("--with lays a spectrum over those of a figure: give --plot FILE, too.")
    if plot is None:
        _refuse_without_figure(
            units=units is not Units.THZ,
            panels=panels is not None,
            projection=projection is not ProjectionKind.AUTO,
            stacked=stacked,
            layout=layout is not FigureLayout.AUTO,
            smoothing=smoothing > 0,
            style=style != "publication",
            energy_units=energy_units is not EnergyUnits.KJ,
        )
    drawing = Drawing(
        plot, units.value, None if panels is None else panels_of(panels), projection.value,
        stacked, layout.value, [overlay_of(text) for text in overlay or ()], smoothing, style,
        energy_units.value, temperatures,
    )  # fmt: skip
    drawing.check(files)
    if fmax is not None and relax is None:
        raise E3DOSError("--fmax ends a relaxation: give --relax CALCULATOR, too.")
    from ase_e3dos.prediction.pipeline import load_predictor

    if relax is not None:
        from ase_e3dos.potentials.choice import check_calculator

        check_calculator(relax)
    force = {} if fmax is None else {"fmax": fmax}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", E3DOSWarning)
        predictor = load_predictor(model, device, encoder)
        drawing.check_model(predictor)
    _show(caught)
    outcomes = list(_outcomes(predictor, files, uncertainty, relax, **force))
    spectra = [o.result for o in outcomes if not isinstance(o.result, E3DOSError)]
    if output is not None:
        _write_files(outcomes, output, temperatures, per, as_csv)
    if as_json:
        show_json(outcomes, temperatures, per)
    else:
        show_table(outcomes, temperatures, per)
    for outcome in outcomes:
        if isinstance(outcome.result, E3DOSError):
            typer.echo(f"error: {outcome.result}", err=True)
    if spectra:  # last, so that an error in drawing loses no result
        drawing.write([view(s, per) for s in spectra])
    if len(spectra) < len(outcomes):
        raise typer.Exit(2)


def _refuse_without_figure(**options: bool) -> None:
    given = [f"--{name.replace('_', '-')}" for name, is_given in options.items() if is_given]
    if given:
        raise E3DOSError(
            f"{', '.join(given)}: of a figure, and none is asked for. Give --plot FILE, too."
        )


def _outcomes(
    predictor: Predictor,
    files: list[Path],
    uncertainty: bool,
    relax: str | None,
    **force: float,
) -> Iterator[Outcome]:
    from ase_e3dos.prediction.relaxed import stream

    sources: list[tuple[str, tuple[E3DOSWarning, ...]]] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", E3DOSWarning)

        def crystals() -> Iterator[Crystal | E3DOSError]:
            for file in files:
                for source, item in _crystals_in(file):
                    ours = tuple(w.message for w in caught if isinstance(w.message, E3DOSWarning))
                    _show([w for w in caught if not isinstance(w.message, E3DOSWarning)])
                    caught.clear()
                    sources.append((source, ours))
                    yield item

        for k, result in enumerate(stream(predictor, crystals(), uncertainty, relax, **force)):
            source, about = sources[k]
            if not isinstance(result, E3DOSError):
                about = (*about, *result.warnings)
            yield Outcome(source, result, about)


def _crystals_in(path: Path) -> Iterator[tuple[str, Crystal | E3DOSError]]:
    """Crystals of a file, folder or pattern with the file of each, and what is not a crystal."""
    from ase_e3dos.structures import read_each

    one_file = is_file(path)
    try:
        for reading in read_each(path):
            yield str(path) if one_file else reading.id, reading.crystal
    except E3DOSError as error:
        yield str(path), error


def _show(caught: list[warnings.WarningMessage]) -> None:
    """Print warnings of the libraries that read files, each once, and drop them."""
    for text in dict.fromkeys(str(w.message) for w in caught):
        typer.echo(f"warning: {text}", err=True)
    caught.clear()


def _write_files(
    outcomes: list[Outcome], folder: Path, temperatures: list[float], per: Per, as_csv: bool
) -> None:
    """Files of each structure, and tables over the temperatures where they are asked for."""
    taken: set[str] = set()
    even = _even(temperatures)
    for outcome in outcomes:
        if isinstance(outcome.result, E3DOSError):
            continue
        place = folder / _folder_name(outcome.result, outcome.source, taken)
        with writing(folder):
            place.mkdir(parents=True, exist_ok=True)
            for name in ("total_dos.dat", "spectrum.json"):
                outcome.result.write(place / name)
            outcome.result.write(place / "thermal_properties.yaml", **even)
            if outcome.result.origin is not None:  # relaxed: the structure that it is of
                outcome.result.crystal.to_atoms().write(place / "relaxed.vasp", format="vasp")
            if outcome.result.site_density is not None:
                outcome.result.write(place / "projected_dos.dat")
            if as_csv:
                outcome.result.write(place / "dos.csv")
                view(outcome.result, per).write(place / "thermal.csv", temperatures=temperatures)
    spectra = [view(o.result, per) for o in outcomes if not isinstance(o.result, E3DOSError)]
    if as_csv and spectra:
        from ase_e3dos.export.tables import write_thermal_csv

        with writing(folder):
            write_thermal_csv(spectra, folder / "thermal.csv", temperatures)


def _even(temperatures: list[float]) -> dict[str, list[float]]:
    """Temperatures of phonopy's file: those given, if they are three or more in even steps.

    Phonopy's tools take derivatives over them; else the file has its own (0 to 1000 K).
    """
    at = sorted(temperatures)
    steps = [b - a for a, b in pairwise(at)]
    even = len(steps) > 1 and max(steps) - min(steps) <= 1e-6 * max(steps)
    return {"temperatures": at} if even else {}


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
