"""`e3dos compare CRYSTAL MEASURED`: a prediction beside a measured spectrum."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ase_e3dos.cli.options import AsJson, Device, Model, Plot, TableFile, Units
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
    from ase_e3dos.analysis.measurement import MeasurementComparison


def compare_command(
    crystal: Annotated[Path, typer.Argument(metavar="CRYSTAL", help="CIF, POSCAR, ... file.")],
    measured: Annotated[
        Path,
        typer.Argument(metavar="MEASURED", help="Columns of energy, intensity and maybe error."),
    ],
    units: Annotated[
        Units | None,
        typer.Option(help="Of the energies of MEASURED; as its header says if not given."),
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
    output: TableFile = None,
    plot: Plot = None,
    as_json: AsJson = False,
    model: Model = "default",
    device: Device = "auto",
) -> None:
    """Compare a predicted spectrum with a measured one: peaks, gaps, widths, overlap."""
    from ase_e3dos.analysis.measurement import compare, read_measurement
    from ase_e3dos.cli.inputs import one_crystal
    from ase_e3dos.export.plots import plot_comparison
    from ase_e3dos.prediction import predict

    check_figure(plot)
    check_file(output, inputs=[crystal, measured])
    width = resolution or None
    if resolution_slope and width is None:
        raise E3DOSError("--resolution-slope needs --resolution, the width at zero energy.")
    data = read_measurement(measured, units and units.value)
    (spectrum,) = predict([one_crystal(crystal)], model=model, device=device)
    found = compare(
        spectrum,
        data,
        resolution=(
            (lambda e: (width or 0.0) + resolution_slope * abs(e)) if resolution_slope else width
        ),
        weighting=weighting,
    )
    if output is not None:
        write_table(output, _rows(found))
    if plot is not None:
        write_panel(plot, lambda ax: plot_comparison(found, ax))
    if as_json:
        about = {
            "crystal": str(crystal),
            "measured": str(measured),
            "model": spectrum.model,
            "warnings": [str(w) for w in spectrum.warnings],
        }
        print_json(about | found.to_dict())
        return
    _show(found)
    print_notes(f"{spectrum.crystal.formula}, model {spectrum.model}; {data.name} in {data.unit}")
    if width is None:
        print_notes("no --resolution: peaks are those of the unbroadened prediction, bin by bin")


def _rows(c: MeasurementComparison) -> list[dict[str, Any]]:
    """A row for each measured point, areas made equal over the measured range."""
    import numpy as np

    points, predicted = c.measurement.wavenumbers, c.predicted
    return [
        {
            "wavenumber_cm-1": float(x),
            "measured_states_per_THz": float(c.scale * y),
            "predicted_states_per_THz": float(p),
        }
        for x, y, p in zip(
            points,
            c.measurement.intensity,
            np.interp(points, predicted.wavenumbers, predicted.weighted),
            strict=True,
        )
    ]


def _show(c: MeasurementComparison) -> None:
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
    columns = ("", "predicted", "measured")
    print_table(columns, rows, left=set(columns))
    print_notes(
        f"overlap {c.overlap:.3f}, cosine {c.cosine:.3f}, weight moves by "
        f"{c.wasserstein * scale:.{digits}f} {unit} on average; {c.covered:.1%} of the predicted "
        f"modes are in the measured range; weighting {c.predicted.weighting}"
    )
    if c.within_band is not None:
        print_notes(
            f"{c.within_band:.0%} of the points with intensity within two standard deviations of "
            "the ensemble (not calibrated)"
        )
