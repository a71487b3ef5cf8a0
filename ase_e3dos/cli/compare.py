"""`e3dos compare CRYSTAL MEASURED`: a prediction beside a measured spectrum."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ase_e3dos.cli.output import write_figure
from ase_e3dos.errors import E3DOSError

if TYPE_CHECKING:
    from ase_e3dos.analysis.measurement import MeasurementComparison


def compare_command(
    crystal: Annotated[Path, typer.Argument(metavar="CRYSTAL", help="CIF, POSCAR, ... file.")],
    measured: Annotated[
        Path,
        typer.Argument(metavar="MEASURED", help="Columns of energy, intensity and maybe error."),
    ],
    unit: Annotated[
        str | None,
        typer.Option(help="Of the energies: meV, THz or cm-1; from the header if not given."),
    ] = None,
    weighting: Annotated[
        str, typer.Option(help="neutron, xray, none, or an element whose sites alone are seen.")
    ] = "neutron",
    resolution: Annotated[
        float | None,
        typer.Option(min=0, help="Full width at half maximum, in the unit of the energies."),
    ] = None,
    resolution_slope: Annotated[
        float,
        typer.Option(help="Added to the resolution for each unit of energy: W(E) = W + slope E."),
    ] = 0.0,
    plot: Annotated[Path | None, typer.Option(help="Write a figure: png, pdf, svg.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    model: Annotated[str, typer.Option(help="A model's name or a weights file.")] = "default",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:1.")] = "auto",
) -> None:
    """Compare a predicted spectrum with a measured one: peaks, gaps, widths, overlap."""
    from ase_e3dos.analysis.measurement import compare, read_measurement
    from ase_e3dos.export.plots import plot_comparison
    from ase_e3dos.prediction import predict

    if plot is not None and not plot.parent.is_dir():
        raise E3DOSError(f"--plot {plot}: there is no folder {plot.parent}. Make it first.")
    data = read_measurement(measured, unit)
    (spectrum,) = predict([str(crystal)], model=model, device=device)
    width = resolution or None
    if resolution_slope and width is None:
        raise E3DOSError("--resolution-slope needs --resolution, the width at zero energy.")
    found = compare(
        spectrum,
        data,
        resolution=(
            (lambda e: (width or 0.0) + resolution_slope * abs(e)) if resolution_slope else width
        ),
        weighting=weighting,
    )
    if plot is not None:
        write_figure(plot, lambda ax: plot_comparison(found, ax))
    if as_json:
        about = {"crystal": str(crystal), "measured": str(measured), "model": spectrum.model}
        about["warnings"] = [str(w) for w in spectrum.warnings]  # type: ignore[assignment]
        typer.echo(json.dumps(about | found.to_dict(), indent=1))
        return
    typer.echo(f"{spectrum.crystal.formula}, model {spectrum.model}; {data.name} in {data.unit}")
    for line in _lines(found):
        typer.echo(line)
    if width is None:
        typer.echo("no --resolution: peaks are those of the unbroadened prediction, bin by bin")


def _lines(c: MeasurementComparison) -> list[str]:
    from ase_e3dos.analysis.neutron import unit_in_cm

    unit = c.measurement.unit
    scale = unit_in_cm("cm-1") / unit_in_cm(unit)
    digits = 0 if unit == "cm-1" else 2

    def shown(values: object) -> str:
        parts = [f"{v * scale:.{digits}f}" for v in values]  # type: ignore[attr-defined]
        return ", ".join(parts) or "none"

    def ranges(values: list[tuple[float, float]]) -> str:
        return "; ".join(shown(v).replace(", ", "-") for v in values) or "none"

    rows = [
        (f"peaks ({unit})", shown(c.peaks[0]), shown(c.peaks[1])),
        (f"gaps ({unit})", ranges(c.gaps[0]), ranges(c.gaps[1])),
        (f"mean ({unit})", shown([c.mean[0]]), shown([c.mean[1]])),
        (f"width ({unit})", shown([c.width[0]]), shown([c.width[1]])),
        (f"cut-off ({unit})", shown([c.cutoff[0]]), shown([c.cutoff[1]])),
    ]
    head = ("", "predicted", "measured")
    sizes = [max(len(r[k]) for r in [head, *rows]) for k in range(3)]
    lines = [
        "  ".join(v.ljust(n) for v, n in zip(r, sizes, strict=True)).rstrip() for r in [head, *rows]
    ]
    lines.append(
        f"overlap {c.overlap:.3f}, cosine {c.cosine:.3f}, weight moves by "
        f"{c.wasserstein * scale:.{digits}f} {unit} on average; {c.covered:.1%} of the predicted "
        f"modes are in the measured range; weighting {c.predicted.weighting}"
    )
    if c.within_band is not None:
        lines.append(
            f"{c.within_band:.0%} of the points with intensity within two standard deviations of "
            "the ensemble (not calibrated)"
        )
    return lines
