"""Interactive figures: one self-contained page of one or many spectra."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ase_e3dos.errors import MissingExtraError, SpectrumError
from ase_e3dos.export.curves import (
    Curve,
    FrequencyUnit,
    Projection,
    common_range,
    curve,
    names_of,
)
from ase_e3dos.export.overlays import Overlay
from ase_e3dos.export.plots.styles import COLOURS
from ase_e3dos.export.thermal_curves import SYMBOLS, EnergyUnit, thermal_curve
from ase_e3dos.export.writing import writing
from ase_e3dos.spectrum.density_of_states import DensityOfStates
from ase_e3dos.spectrum.uncertainty import INTERVAL_LEVEL

if TYPE_CHECKING:
    import plotly.graph_objects as go

_HTML = {"heat_capacity": "C<sub>V</sub>", "entropy": "S", "free_energy": "F",
         "internal_energy": "U"}  # fmt: skip
_UNITS = {"cm-1": "cm<sup>−1</sup>", "k_B": "k<sub>B</sub>", "k_B K": "k<sub>B</sub> K"}


def figure(
    spectra: DensityOfStates | Sequence[DensityOfStates],
    *,
    units: FrequencyUnit = "THz",
    projection: Projection | Literal["auto"] | None = "auto",
    energy_units: EnergyUnit = "kJ/mol",
    band: float | None = INTERVAL_LEVEL,
    labels: Sequence[str] | None = None,
    overlays: Sequence[Overlay] = (),
) -> go.Figure:
    """Plotly figure of densities of states above thermal properties.

    A click on a name of the legend hides and shows it; the parts of each spectrum are hidden at
    first where there are several spectra. Buttons choose the thermal property.

    Parameters
    ----------
    spectra : DensityOfStates or sequence of them
        One is shown per what it is normalised to, several per atom.
    units : {"THz", "cm-1", "meV"}
    projection : {"auto", "element", "site", "species"}, mapping, or None
        "auto": the sites of one spectrum, the elements of several, for models that have sites.
    energy_units : {"kJ/mol", "meV", "eV", "kB"}
    band : float, optional
        Level of the calibrated intervals; None for no bands.
    labels : sequence of str, optional
        Formulas, with the files' names where they repeat, if not given.
    overlays : sequence of Overlay, optional
        Spectra of others, scaled to the same area.

    Raises
    ------
    MissingExtraError
        Plotly is not installed.
    SpectrumError
        If there are no spectra, or an option is not one of those above.
    """
    try:
        import plotly.graph_objects as go
        from plotly.subplots import make_subplots
    except ImportError as error:
        raise MissingExtraError(
            "The interactive figure needs plotly: pip install 'ase-e3dos[report]'."
        ) from error
    chosen = [spectra] if isinstance(spectra, DensityOfStates) else list(spectra)
    if not chosen:
        raise SpectrumError("There is no spectrum to show: give one or more.")
    names = names_of(chosen) if labels is None else list(labels)
    if len(names) != len(chosen):
        raise SpectrumError(f"There are {len(names)} labels for {len(chosen)} spectra.")
    shown = chosen if len(chosen) == 1 else [s.per_atom() for s in chosen]
    curves = []
    for spectrum, name in zip(shown, names, strict=True):
        parts = projection
        if parts == "auto":
            kind: Projection = "site" if len(shown) == 1 else "element"
            parts = kind if spectrum.site_density is not None else None
        curves.append(curve(spectrum, units=units, projection=parts, band=band, name=name))
    page = make_subplots(rows=2, cols=1, vertical_spacing=0.25, row_heights=[0.58, 0.42])
    colours = {k: COLOURS[k % len(COLOURS)] for k in range(len(curves))}
    for k, c in enumerate(curves):
        _add_density(page, go, c, colours[k], hidden=len(curves) > 1)
    for overlay in overlays:
        x, y = overlay.scaled(curves[0].n_modes, units)
        line = {"color": "#444", "dash": "dash", "width": 1.5}
        page.add_scatter(x=x, y=y, name=f"{escape(overlay.name)} (same area)", line=line, row=1,
                         col=1)  # fmt: skip
    _add_thermal(page, go, shown, names, colours, energy_units, band)
    low, high = common_range(curves)
    unit = _UNITS.get(units, units)
    page.update_xaxes(title=f"Frequency ({unit})", range=[min(low, 0.0), high], row=1, col=1)
    page.update_yaxes(title=f"states/{unit} per {curves[0].per}", rangemode="tozero", row=1, col=1)
    page.update_xaxes(title="Temperature (K)", row=2, col=1)
    page.update_layout(
        template="plotly_white",
        hovermode="x unified",
        height=760,
        margin={"l": 64, "r": 16, "t": 44, "b": 48},
        legend={
            "orientation": "h",
            "y": 1.0,
            "yanchor": "bottom",
            "x": 0.0,
            "groupclick": "togglegroup",
        },
    )
    return page


def write_page(
    spectra: DensityOfStates | Sequence[DensityOfStates],
    path: str | Path,
    *,
    title: str | None = None,
    **options: Any,
) -> None:
    """Write the figure as one HTML file that needs no network.

    Parameters
    ----------
    spectra : DensityOfStates or sequence of them
    path : str or Path
    title : str, optional
        Of the page; the names of the spectra if not given.
    **options
        Of `figure`.

    Raises
    ------
    MissingExtraError
        Plotly is not installed.
    OutputError
        The file cannot be written.
    SpectrumError
        If there are no spectra, or an option is unknown.
    """
    chosen = [spectra] if isinstance(spectra, DensityOfStates) else list(spectra)
    body = figure(chosen, **options).to_html(
        full_html=False,
        include_plotlyjs=True,
        config={"responsive": True, "displaylogo": False},
        default_height="760px",
    )
    names = title or ", ".join(names_of(chosen)[:6]) + (" ..." if len(chosen) > 6 else "")
    said = "".join(
        f"<li><b>{escape(name)}</b>: {escape(str(w))}</li>"
        for name, s in zip(names_of(chosen), chosen, strict=True)
        for w in s.warnings
    )
    made_by = " · ".join(dict.fromkeys(s.provenance for s in chosen))
    page = (
        "<!doctype html><html lang=en><head><meta charset=utf-8>"
        '<meta name=viewport content="width=device-width, initial-scale=1">'
        f"<title>{escape(names)}</title>"
        "<style>body{font:15px system-ui,sans-serif;margin:0 auto;max-width:1100px;padding:12px;"
        "color:#1f2933;background:#fff}h1{font-size:1.2rem}footer{color:#7b8794;font-size:.8rem}"
        "</style></head><body>"
        f"<h1>{escape(names)}</h1>{body}"
        + (f"<h2>Warnings</h2><ul>{said}</ul>" if said else "")
        + f"<footer>{escape(made_by)}</footer></body></html>\n"
    )
    with writing(path):
        Path(path).write_text(page, encoding="utf-8")


def _add_density(page: Any, go: Any, c: Curve, colour: str, hidden: bool) -> None:
    name = escape(c.name)
    group = {"legendgroup": name}
    x, y = _digits(c.x), _digits(c.y)
    if c.low is not None and c.high is not None:
        page.add_trace(
            go.Scatter(
                x=np.concatenate([x, x[::-1]]),
                y=_digits(np.concatenate([c.high, c.low[::-1]])),
                fill="toself",
                fillcolor=colour,
                opacity=0.2,
                line={"width": 0},
                name=f"{name}: {escape(c.band)}",
                hoverinfo="skip",
                **group,
            ),
            row=1,
            col=1,
        )
    page.add_trace(
        go.Scatter(x=x, y=y, name=name, line={"color": colour, "width": 2}, **group), row=1, col=1
    )
    for part, row in c.parts:
        page.add_trace(
            go.Scatter(
                x=x,
                y=_digits(row),
                name=f"{name}: {escape(part)}" if hidden else escape(part),
                line={"width": 1.2},
                visible="legendonly" if hidden else True,
            ),
            row=1,
            col=1,
        )


def _add_thermal(
    page: Any,
    go: Any,
    spectra: Sequence[DensityOfStates],
    names: Sequence[str],
    colours: dict[int, str],
    energy_units: EnergyUnit,
    band: float | None,
) -> None:
    """One thermal property at a time, with buttons to choose it."""
    first = len(page.data)
    kelvin = np.linspace(0.0, 1000.0, 101)
    kinds: list[str] = []
    titles: dict[str, str] = {}
    for quantity in SYMBOLS:
        for k, (spectrum, name) in enumerate(zip(spectra, names, strict=True)):
            t = thermal_curve(
                spectrum, quantity, kelvin, energy_units=energy_units, band=band, name=name
            )
            titles[quantity] = f"{_HTML[quantity]} ({_UNITS.get(t.unit, t.unit)} per {t.per})"
            common = {
                "showlegend": False,
                "visible": quantity == "heat_capacity",
                "legendgroup": escape(name),
            }
            if t.low is not None and t.high is not None:
                page.add_trace(
                    go.Scatter(
                        x=np.concatenate([kelvin, kelvin[::-1]]),
                        y=_digits(np.concatenate([t.high, t.low[::-1]])),
                        fill="toself",
                        fillcolor=colours[k],
                        opacity=0.2,
                        line={"width": 0},
                        hoverinfo="skip",
                        **common,
                    ),
                    row=2,
                    col=1,
                )
                kinds.append(quantity)
            line = {"color": colours[k], "width": 2}
            page.add_trace(
                go.Scatter(x=kelvin, y=_digits(t.values), name=escape(name), line=line, **common),
                row=2,
                col=1,
            )
            kinds.append(quantity)
    which = list(range(first, len(page.data)))
    buttons = [
        {
            "label": _HTML[q],
            "method": "update",
            "args": [
                {"visible": [kind == q for kind in kinds]},
                {"yaxis2.title.text": titles[q]},
                which,
            ],
        }
        for q in SYMBOLS
    ]
    page.update_yaxes(title=titles["heat_capacity"], row=2, col=1)
    page.update_layout(
        updatemenus=[
            {"type": "buttons", "direction": "right", "buttons": buttons, "x": 0.0, "y": 0.33,
             "xanchor": "left", "yanchor": "bottom", "showactive": True}
        ]
    )  # fmt: skip


def _digits(values: Any) -> list[float]:
    """As many digits as a screen shows, so that pages stay small."""
    return [float(f"{v:.5g}") for v in values]
