"""`e3dos alloy A B`: spectra and thermal properties of an alloy over its composition."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ase_e3dos.cli.output import figure_at
from ase_e3dos.errors import AlloyError, DataError, E3DOSWarning

if TYPE_CHECKING:
    from ase_e3dos.alloy import AlloyComparison, CompositionSweep
    from ase_e3dos.alloy.report import AlloyReport

_FIGURES = {".png", ".pdf", ".svg", ".eps", ".jpg", ".jpeg", ".tif", ".tiff", ".webp"}


def alloy(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="A B...", help="Structures of the end members, or one disordered structure."
        ),
    ],
    n: Annotated[
        int, typer.Option("-n", help="Compositions from one end member to another, both counted.")
    ] = 21,
    fractions: Annotated[
        list[str] | None,
        typer.Option(
            help="Instead of -n: a composition as the fraction of B, or fractions of all end "
            "members with commas (0.5,0.3,0.2); repeatable."
        ),
    ] = None,
    temperature: Annotated[
        float, typer.Option("--temperature", "-T", help="Temperature in K.")
    ] = 300.0,
    compare: Annotated[
        list[str] | None,
        typer.Option(
            help="linear (mixture of the end members' spectra), vca (virtual crystal, needs "
            "--calculator), or the file of an SQS or ordered supercell; repeatable."
        ),
    ] = None,
    calculator: Annotated[
        str | None,
        typer.Option(
            help="For vca: ASE's name of a calculator (emt, lj, gpaw, ...), or "
            "package.module:function returning one (chgnet.model.dynamics:CHGNetCalculator)."
        ),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Write the waterfall figure: png, pdf, svg.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Write table.csv, alloy.json, and each composition's CIF and spectrum."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON instead of the table.")
    ] = False,
    model: Annotated[
        str, typer.Option(help="A model's name (see `e3dos models`) or a weights file.")
    ] = "default",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:1.")] = "auto",
    uncertainty: Annotated[
        bool,
        typer.Option(
            help="Error bars. Without them one network that was distilled from the ensemble "
            "answers, where the model has one: several times faster, with slightly other values."
        ),
    ] = True,
) -> None:
    """Predict an alloy between end members of one structure type, at one pure cell a composition.

    The cell and the positions follow Vegard's law. All values are per atom.
    """
    import numpy as np

    wanted = tuple(dict.fromkeys(compare or []))
    _check(files, wanted, temperature, calculator, plot)
    if len(files) == 1 and fractions:
        raise AlloyError(
            f"{files[0]}: --fractions mixes end members, and there is one structure. Give the "
            "files of the end members, or write the fractions into the structure's occupations."
        )
    options = {"model": model, "device": device, "uncertainty": uncertainty}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", E3DOSWarning)  # printed below, each kind once
        if len(files) == 1:
            report = _single(files[0], wanted, temperature, options)
        else:
            from ase_e3dos.alloy import SolidSolution, composition_sweep, plot_sweep
            from ase_e3dos.alloy.report import AlloyReport

            solution = SolidSolution(files)
            chosen = [np.array(_numbers(text)).squeeze() for text in fractions or []]
            sweep = composition_sweep(solution, chosen or n, **options)  # type: ignore[arg-type]
            comparisons = [_comparison(sweep, what, calculator) for what in wanted]
            report = AlloyReport.of_sweep(sweep, comparisons, temperature)
            if plot is not None:
                with figure_at(plot):
                    plot_sweep(sweep, plot, comparisons=comparisons, temperature=temperature)
    if out is not None:
        _write_files(report, out)
    if as_json:
        typer.echo(report.to_json())
    else:
        report.show()


def _check(
    files: list[Path],
    wanted: tuple[str, ...],
    temperature: float,
    calculator: str | None,
    plot: Path | None,
) -> None:
    from ase_e3dos.spectrum.thermal import checked_temperatures

    checked_temperatures([temperature])
    for what in wanted:
        if what not in ("linear", "vca") and not Path(what).is_file():
            raise AlloyError(
                f"--compare {what}: this is neither 'linear' nor 'vca' nor a file. Give one of "
                "them, or the path of a supercell."
            )
    if len(files) == 1 and (set(wanted) & {"linear", "vca"} or plot is not None):
        raise AlloyError(
            f"{files[0]}: with one structure there are no end members to mix or to draw between. "
            "Give the end members' files, or leave out --compare linear, --compare vca and --plot "
            "(`e3dos predict FILE --plot` draws a single spectrum)."
        )
    if "vca" in wanted and calculator is None:
        raise AlloyError(
            "--compare vca: the virtual crystal needs forces in the end members. Name an ASE "
            "calculator that knows their elements: --calculator emt for Al, Ni, Cu, Pd, Ag, Pt "
            "and Au, or an installed potential as package.module:function, such as "
            "chgnet.model.dynamics:CHGNetCalculator."
        )
    if plot is not None and plot.suffix.lower() not in _FIGURES:
        raise AlloyError(
            f"--plot {plot}: a figure's name ends in one of {', '.join(sorted(_FIGURES))}."
        )
    if plot is not None and not plot.parent.is_dir():
        raise AlloyError(f"--plot {plot}: there is no folder {plot.parent}. Make it first.")


def _numbers(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise AlloyError(
            f"--fractions {text}: these are no numbers. Write 0.25 (of the second end member) or "
            "one fraction for each end member, as in 0.5,0.3,0.2."
        ) from error


def _single(
    file: Path, wanted: tuple[str, ...], temperature: float, options: dict[str, object]
) -> AlloyReport:
    """A disordered structure by itself, with supercells of the same composition."""
    from ase_e3dos.alloy.report import AlloyReport
    from ase_e3dos.alloy.sweep import single_structure

    spectrum = single_structure(file, **options)
    others = [(what, single_structure(what, **options)) for what in wanted]
    return AlloyReport.of_structure(spectrum, others, temperature)


def _comparison(sweep: CompositionSweep, what: str, calculator: str | None) -> AlloyComparison:
    from ase_e3dos.alloy import VirtualCrystal, linear_mixture, supercell_comparison

    if what == "linear":
        return linear_mixture(sweep)
    if what == "vca":
        assert calculator is not None
        label = calculator.rpartition(":")[2].removesuffix("Calculator")
        virtual = VirtualCrystal(sweep.solution, _calculator(calculator), name=label)
        return virtual.compare(sweep)
    return supercell_comparison(sweep, [what])


def _calculator(name: str) -> object:
    """Make a calculator from ASE's name of it, or from package.module:function."""
    from ase.calculators import calculator

    from ase_e3dos.data.labelling import calculator_factory

    find: Any = calculator.get_calculator_class
    try:
        return calculator_factory(name)() if ":" in name else find(name.lower())()
    except DataError:
        raise
    except Exception as error:
        raise AlloyError(
            f"--calculator {name}: there is no such calculator that works here "
            f"({type(error).__name__}: {error}). Install its package, or use "
            "ase_e3dos.alloy.VirtualCrystal with a calculator of your own."
        ) from error


def _write_files(report: AlloyReport, folder: Path) -> None:
    try:
        report.write(folder)
    except OSError as error:
        raise AlloyError(
            f"--out {folder}: the files cannot be written ({error.strerror or error}). Choose a "
            "folder that can be written to and has room."
        ) from error
