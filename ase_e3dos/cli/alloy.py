"""`e3dos alloy A B`: spectra and thermal properties of an alloy over its composition."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ase_e3dos.cli.inputs import named_crystals
from ase_e3dos.cli.options import (
    DEFAULT_TEMPERATURES,
    AsJson,
    Device,
    Model,
    Temperatures,
    Uncertainty,
    Units,
    kelvin,
)
from ase_e3dos.cli.output import (
    MIXED_SITES,
    check_figure,
    check_folder,
    print_notes,
    print_table,
    print_warnings,
    write_figure,
    writing,
)
from ase_e3dos.errors import AlloyError, E3DOSWarning, PotentialError
from ase_e3dos.structures.paths import is_file

if TYPE_CHECKING:
    from ase_e3dos.alloy import AlloyComparison, CompositionSweep
    from ase_e3dos.alloy.report import AlloyReport, ReportEntry
    from ase_e3dos.structures.crystal import Crystal


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
    temperature: Temperatures = DEFAULT_TEMPERATURES,
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
        Path | None,
        typer.Option(
            help="Write the waterfall figure, with properties at the first temperature: png, pdf, "
            "svg, ..."
        ),
    ] = None,
    units: Annotated[Units, typer.Option(help="Frequency axis of the figure.")] = Units.CM,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Write table.csv, alloy.json, and each composition's CIF and spectrum into this "
            "folder.",
        ),
    ] = None,
    as_json: AsJson = False,
    model: Model = "default",
    device: Device = "auto",
    uncertainty: Uncertainty = True,
) -> None:
    """Predict an alloy between end members of one structure type, at one pure cell a composition.

    The cell and the positions follow Vegard's law. All values are per atom.
    """
    import numpy as np

    wanted = tuple(dict.fromkeys(compare or []))
    temperatures = kelvin(temperature)
    check_figure(plot)
    check_folder(
        output,
        instead="table.csv and alloy.json are written into it; --plot FILE writes a figure, and "
        "--json prints JSON (> FILE).",
    )
    names, members = named_crystals(files)
    _check(names, wanted, calculator, plot)
    if len(members) == 1 and fractions:
        raise AlloyError(
            f"{names[0]}: --fractions mixes end members, and there is one structure. Give the "
            "files of the end members, or write the fractions into the structure's occupations."
        )
    options = {"model": model, "device": device, "uncertainty": uncertainty}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", E3DOSWarning)  # printed below, each kind once
        if len(members) == 1:
            report = _single(members[0], wanted, temperatures, options)
        else:
            from ase_e3dos.alloy import SolidSolution, composition_sweep, plot_sweep
            from ase_e3dos.alloy.report import AlloyReport

            solution = SolidSolution(members)
            chosen = [np.array(_numbers(text)).squeeze() for text in fractions or []]
            sweep = composition_sweep(solution, chosen or n, **options)  # type: ignore[arg-type]
            comparisons = [_comparison(sweep, what, calculator) for what in wanted]
            report = AlloyReport.of_sweep(sweep, comparisons, temperatures)
            if plot is not None:
                figure = plot_sweep(
                    sweep,
                    comparisons=comparisons,
                    temperature=temperatures[0],
                    units=units.value,
                )
                write_figure(plot, figure)
    if output is not None:
        with writing(output):
            report.write(output)
    if as_json:
        typer.echo(report.to_json())
    else:
        _show(report)


def _check(
    members: list[str],
    wanted: tuple[str, ...],
    calculator: str | None,
    plot: Path | None,
) -> None:
    for what in wanted:
        if what not in ("linear", "vca") and not is_file(what):
            raise AlloyError(
                f"--compare {what}: this is neither 'linear' nor 'vca' nor a file. Give one of "
                "them, or the path of a supercell."
            )
    if len(members) == 1 and (set(wanted) & {"linear", "vca"} or plot is not None):
        raise AlloyError(
            f"{members[0]}: with one structure there are no end members to mix or to draw between. "
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


def _numbers(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise AlloyError(
            f"--fractions {text}: these are not numbers. Write 0.25 (of the second end member) or "
            "one fraction for each end member, as in 0.5,0.3,0.2."
        ) from error


def _single(
    crystal: Crystal, wanted: tuple[str, ...], temperatures: list[float], options: dict[str, object]
) -> AlloyReport:
    """A disordered structure by itself, with supercells of the same composition."""
    from ase_e3dos.alloy.report import AlloyReport
    from ase_e3dos.alloy.sweep import single_structure

    spectrum = single_structure(crystal, **options)
    others = [(what, single_structure(what, **options)) for what in wanted]
    return AlloyReport.of_structure(spectrum, others, temperatures)


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

    from ase_e3dos.plugins import get_registry
    from ase_e3dos.potentials.choice import calculator_of

    find: Any = calculator.get_calculator_class
    known = name.partition("=")[0].lower()
    try:
        if ":" in name or known in get_registry().calculators():
            return calculator_of(name if ":" in name or "=" in name else known)
        return find(name.lower())()
    except PotentialError:
        raise
    except Exception as error:
        raise AlloyError(
            f"--calculator {name}: there is no such calculator that works here "
            f"({type(error).__name__}: {error}). Install its package, or use "
            "ase_e3dos.alloy.VirtualCrystal with a calculator of your own."
        ) from error


def _show(report: AlloyReport) -> None:
    """Print tables of the predictions and of the comparisons, then warnings."""
    from ase_e3dos.alloy.report import PREDICTION

    predictions = [e for e in report.entries if e.method == PREDICTION]
    others = [e for e in report.entries if e.method != PREDICTION]
    _show_entries(report, predictions, with_method=False)
    if others:
        _show_entries(report, others, with_method=True)
    bars = ""
    if any(e.row.intervals for e in predictions):
        calibrated = all(e.row.calibrated for e in predictions)
        meaning = "calibrated 90% interval" if calibrated else "one ensemble std"
        bars = f"± or +/-: to the ends of the {meaning}"
    print_notes(
        f"model {predictions[0].spectrum.model}; C_V and S per mole of atoms",
        bars,
        "distance: Wasserstein, from the prediction at the same composition" if others else "",
    )
    if bars and any(not e.spectrum.crystal.is_ordered for e in predictions):
        print_notes(MIXED_SITES)
    print_warnings(report.warnings)


def _show_entries(
    report: AlloyReport, entries: Sequence[ReportEntry], *, with_method: bool
) -> None:
    from ase_e3dos.alloy.sweep import QUANTITIES

    members = report.fraction_names()
    columns = [*(["comparison"] if with_method else []), *(f"fraction\n{m}" for m in members)]
    columns += ["crystal", "T\nK", "mean freq.\ncm^-1", "C_V\nJ/(K mol)", "S\nJ/(K mol)"]
    rows = []
    for entry in entries:
        row = entry.row
        cells = [entry.method] if with_method else []
        cells += [f"{p:.4g}" for p in row.fractions[len(row.fractions) - len(members) :]]
        cells += [row.formula, f"{row.temperature:g}"]
        cells += [
            _with_bar(getattr(row, name), row.intervals.get(name), digits)
            for name, digits in zip(QUANTITIES, (1, 3, 2), strict=True)
        ]
        if with_method:
            cells.append("" if entry.distance is None else f"{entry.distance:.2f}")
        rows.append(cells)
    distance = ["distance\ncm^-1"] if with_method else []
    print_table([*columns, *distance], rows, left={"comparison", "crystal"})


def _with_bar(value: float, interval: tuple[float, float] | None, digits: int) -> str:
    """The value, and how far the ends of its interval are above and below."""
    text = f"{value:.{digits}f}"
    if interval is None:
        return text
    below, above = (f"{abs(end - value):.{digits}f}" for end in interval)
    return f"{text} ±{above}" if above == below else f"{text} +{above}/-{below}"
