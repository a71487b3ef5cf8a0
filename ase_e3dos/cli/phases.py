"""`e3dos phases A B ...`: free energies of polymorphs and where they cross."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ase_e3dos.cli.inputs import named_crystals
from ase_e3dos.cli.options import (
    AsJson,
    Device,
    Model,
    Per,
    Plot,
    TableFile,
    Temperatures,
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
from ase_e3dos.structures.paths import is_file

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ase_e3dos.analysis.phases import PhaseComparison
    from ase_e3dos.spectrum.grid import Array

#: Transitions are looked for between these temperatures.
_RANGE = ["0:2000:5"]


def phases_command(
    files: Annotated[
        list[Path], typer.Argument(metavar="A B ...", help="Structures of one composition.")
    ],
    energies: Annotated[
        str | None,
        typer.Option(help="Energies in eV, one for each structure: -10.31,-10.27. [default: 0]"),
    ] = None,
    per: Annotated[Per, typer.Option(help="What the energies are per.")] = Per.CELL,
    energy_error: Annotated[
        float,
        typer.Option(min=0, help="Half the 90 % interval of an energy difference, eV per atom."),
    ] = 0.0,
    temperature: Temperatures = _RANGE,
    output: TableFile = None,
    plot: Plot = None,
    as_json: AsJson = False,
    model: Model = "default",
    device: Device = "auto",
) -> None:
    """Compare the free energies of polymorphs, and find their transition temperatures."""
    import numpy as np

    from ase_e3dos.analysis.phases import compare_phases
    from ase_e3dos.export.plots import plot_phases
    from ase_e3dos.prediction import predict

    temperatures = sorted(kelvin(temperature))
    if len(temperatures) < 2:
        raise E3DOSError(
            "--temperature: transitions are looked for between temperatures, and there is one. "
            "Give a range, such as 0:2000:5."
        )
    check_figure(plot)
    check_file(output, inputs=files)
    values = None
    if energies is not None:
        try:
            values = [float(v) for v in energies.replace(",", " ").split()]
        except ValueError:
            raise E3DOSError(
                f"--energies {energies}: give numbers in eV separated by commas."
            ) from None
    sources, crystals = named_crystals(files)
    spectra = predict(crystals, model=model, device=device)
    found = compare_phases(
        spectra,
        values,
        per=per.value,
        temperatures=np.array(temperatures),
        names=_names(sources),
        energy_error=energy_error,
    )
    if output is not None:
        write_table(output, _rows(found))
    if plot is not None:
        write_panel(plot, lambda ax: plot_phases(found, ax))
    if as_json:
        print_json({"model": spectra[0].model} | found.to_dict())
        return
    _show(found, spectra[0].model, energies is None)


def _names(sources: list[str]) -> list[str]:
    """Stems of files where they differ, else paths, numbered where a file is given twice."""
    names = [Path(s).stem if is_file(s) else s for s in sources]
    if len(set(names)) < len(names):
        names = sources
    counts = [names[: k + 1].count(name) for k, name in enumerate(names)]
    return [n if c == 1 else f"{n} ({c})" for n, c in zip(names, counts, strict=True)]


def _rows(found: PhaseComparison) -> list[dict[str, Any]]:
    """A row for each phase and temperature; free energies relative to the first phase."""
    free, half, stable = found.free_energy, found.half_width, found.stable
    return [
        {
            "phase": name,
            "formula": found.formula,
            "temperature_K": float(t),
            "free_energy_kJ_per_mol": float(free[i, k]),
            "half_width_kJ_per_mol": None if half is None else float(half[i, k]),
            "stable": stable[k] == name,
            "decided": None if found.decided is None else bool(found.decided[k]),
        }
        for i, name in enumerate(found.names)
        for k, t in enumerate(found.temperatures)
    ]


def _show(found: PhaseComparison, model: str, without_energies: bool) -> None:
    import numpy as np

    t, decided = found.temperatures, found.decided
    rows = []
    for k in np.unique(np.linspace(0, len(t) - 1, 9).round().astype(int)):
        cells = []
        for i in range(len(found.names)):
            text = f"{found.free_energy[i, k]:.2f}"
            if i and found.half_width is not None:
                text += f" ±{found.half_width[i, k]:.2f}"
            cells.append(text)
        mark = "?" if decided is not None and not decided[k] else ""
        rows.append([f"{t[k]:g}", *cells, f"{found.stable[k]}{mark}"])
    print_table(["T\nK", *found.names, "stable"], rows, left={"stable"})
    print_notes(
        f"{found.formula}, model {model}; free energy relative to {found.names[0]}, "
        "kJ/mol of formula units"
    )
    if found.half_width is not None:
        print_notes("± about half a 90 % interval of the difference, see docs/howto/phases.md")
    if without_energies:
        print_notes("no energies were given: only the vibrations are compared")
    for transition in found.transitions:
        text = transition.interval_text
        typer.echo(
            f"{transition.low_phase} -> {transition.high_phase} at "
            f"{transition.temperature:.0f} K{text and f' ({text})'}, "
            f"entropy change {transition.entropy:.2f} J/(K mol of formula units)"
        )
    if not found.transitions:
        best = "predicted " if decided is not None and not decided.all() else ""
        typer.echo(f"no {best}transition up to {t[-1]:.0f} K")
    if decided is not None and not decided.all():
        typer.echo(f"? another phase is within the error: undecided {_ranges(t, decided)}")


def _ranges(t: Array, decided: NDArray[np.bool_]) -> str:
    """Temperatures where the stable phase is not decided, in words."""
    import numpy as np

    if not decided.any():
        return "at all temperatures"
    steps = np.diff(np.concatenate([[0], (~decided).astype(int), [0]]))
    ends = zip(np.flatnonzero(steps == 1), np.flatnonzero(steps == -1) - 1, strict=True)
    return "from " + ", ".join(f"{t[a]:.0f} to {t[b]:.0f} K" for a, b in ends)
