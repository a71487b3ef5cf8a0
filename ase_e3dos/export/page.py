"""Interactive figures: one self-contained page of one or many spectra."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import ArrayLike

from ase_e3dos.errors import MissingExtraError, SpectrumError
from ase_e3dos.export.curves import (
    MOST_SITES,
    Curve,
    FrequencyUnit,
    Projection,
    beyond,
    common_range,
    curve,
    refuse_no_parts,
)
from ase_e3dos.export.names import names_of
from ase_e3dos.export.overlays import Overlay, refuse_overlays
from ase_e3dos.export.plots.styles import COLOURS, DARK_COLOURS
from ase_e3dos.export.plots.summary import MOST_OVERLAID
from ase_e3dos.export.thermal_curves import (
    PANELS,
    SYMBOLS,
    EnergyUnit,
    Panel,
    ascending_temperatures,
    check_panels,
)
from ase_e3dos.export.traces import UNITS, Traces
from ase_e3dos.export.writing import writing
from ase_e3dos.spectrum.density_of_states import DensityOfStates
from ase_e3dos.spectrum.uncertainty import INTERVAL_LEVEL

if TYPE_CHECKING:
    import plotly.graph_objects as go

#: Width in pixels that a legend has on a phone, on which the figure is as high as it then needs.
_PHONE = 270.0
_FIT = """
const figure = document.getElementById('{plot_id}');
function fit() {
  const height = window.innerWidth < 600 ? %d : %d;
  if (figure.layout.height !== height) {
    figure.style.height = height + 'px';
    Plotly.relayout(figure, {height: height});
  }
}
fit();
window.addEventListener('resize', fit);
"""
PageLayout = Literal["overlay", "waterfall", "auto"]


class _Theme(NamedTuple):
    """Colours of a page, and Plotly's template for the rest."""

    template: str
    ink: str
    ground: str
    colours: Sequence[str]


_THEMES = {
    "publication": _Theme("plotly_white", "#1f2933", "#fff", COLOURS),
    "dark": _Theme("plotly_dark", "#cfd0d0", "#131416", DARK_COLOURS),
}


def figure(
    spectra: DensityOfStates | Sequence[DensityOfStates],
    *,
    units: FrequencyUnit = "THz",
    projection: Projection | Literal["auto"] | None = "auto",
    stacked: bool = False,
    panels: Sequence[Panel] = PANELS,
    layout: PageLayout = "overlay",
    style: str | None = "publication",
    temperatures: ArrayLike | None = None,
    energy_units: EnergyUnit = "kJ/mol",
    band: float | None = INTERVAL_LEVEL,
    smoothing: float = 0.0,
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
        "auto": the sites of one spectrum of at most twelve, else the elements, for models that
        have sites; nothing for more than six spectra, unless it is to be stacked.
    stacked : bool
        Parts as areas upon each other instead of lines.
    panels : sequence of {"dos", "heat_capacity", "entropy", "free_energy", "internal_energy"}
        The density, and the thermal properties that buttons choose from.
    layout : {"overlay", "waterfall", "auto"}
        Several densities on one another, or one above the other; "auto" is "overlay".
    style : {"publication", "dark"}, optional
        Light or dark.
    temperatures : array_like, optional
        K, ascending; 0 to 1000 if not given.
    energy_units : {"kJ/mol", "meV", "eV", "kB"}
    band : float, optional
        Level of the calibrated intervals; None for no bands.
    smoothing : float
        As for `ase_e3dos.export.plots.plot_spectrum`.
    labels : sequence of str, optional
        Formulas, with the files' names where they repeat, if not given.
    overlays : sequence of Overlay, optional
        Spectra of others, scaled to the same area.

    Returns
    -------
    plotly.graph_objects.Figure

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
    check_page(
        len(chosen), projection=projection, stacked=stacked, panels=panels, layout=layout,
        style=style, smoothing=smoothing, overlays=overlays,
    )  # fmt: skip
    kelvin = np.linspace(0.0, 1000.0, 101)
    if temperatures is not None:
        kelvin = ascending_temperatures(temperatures)
    names = names_of(chosen) if labels is None else list(labels)
    if len(names) != len(chosen):
        raise SpectrumError(f"There are {len(names)} labels for {len(chosen)} spectra.")
    shown = chosen if len(chosen) == 1 else [s.per_atom() for s in chosen]
    curves = [
        curve(s, units=units, projection=_parts(s, projection, len(shown), stacked), band=band,
              smoothing=smoothing, name=name)
        for s, name in zip(shown, names, strict=True)
    ]  # fmt: skip
    theme = _THEMES[style or "publication"]
    thermal = [panel for panel in SYMBOLS if panel in panels]
    page = _panels(make_subplots, "dos" in panels, bool(thermal))
    traces = Traces(page, go, theme.colours, n_spectra=len(curves))
    if "dos" in panels:
        step = 0.75 * max(float(c.y.max()) for c in curves) if layout == "waterfall" else 0.0
        for k, c in enumerate(curves):
            traces.add_density(c, k, stacked, k * step)
        traces.add_overlays(overlays, curves[0], theme.ink)
        _label_density(page, curves, step, theme.ink)
    if thermal:
        row = 2 if "dos" in panels else 1
        traces.add_thermal(shown, names, thermal, kelvin, energy_units, band, row)
        page.update_xaxes(title="Temperature (K)", row=row, col=1)
    page.update_layout(
        template=theme.template,
        hovermode="x unified" if len(curves) <= MOST_OVERLAID else "closest",
        height=_height(page),
        margin={"l": 64, "r": 40, "t": 44, "b": 48},
        modebar={"orientation": "v", "bgcolor": "rgba(0,0,0,0)"},  # beside the legend, not on it
        legend={
            "orientation": "h",
            "y": 1.0,
            "yanchor": "bottom",
            "x": 0.0,
            "groupclick": "togglegroup",
        },
    )
    traces.add_switch_of_bands()
    if style == "dark":
        page.update_layout(paper_bgcolor=theme.ground, plot_bgcolor=theme.ground)
    return page


def _height(page: Any, width: float = 1000.0) -> int:
    """Pixels at which the legend, in this width, leaves the panels their room."""
    entries = [trace.name for trace in page.data if trace.showlegend is not False]
    left, rows = 0.0, 0
    for entry in entries:
        wide = 44.0 + 7.0 * len(entry)
        if left < wide:
            left, rows = width, rows + 1
        left -= wide
    panels = 680 if any(trace.xaxis == "x2" for trace in page.data) else 400
    panels += 160 if len(entries) > 2 * MOST_OVERLAID else 0
    legend = 29 * rows
    return max(panels + legend + 50, 2 * legend + 60)  # a legend scrolls beyond half of it all


def check_page(
    n_spectra: int = 1,
    *,
    projection: Projection | Literal["auto"] | None = "auto",
    stacked: bool = False,
    panels: Sequence[str] = PANELS,
    layout: str = "overlay",
    style: str | None = "publication",
    smoothing: float = 0.0,
    overlays: Sequence[Overlay] = (),
) -> None:
    """Refuse what an interactive page has not, and options that would have no effect.

    Parameters
    ----------
    n_spectra : int
    projection, stacked, panels, layout, style, smoothing, overlays
        As for `figure`.

    Raises
    ------
    SpectrumError
        If style, layout or panels are none of `figure`'s, or options do not go with each other.
    """
    if style is not None and style not in _THEMES:
        raise SpectrumError(
            f"style={style!r}: an interactive page is 'publication' (light) or 'dark'. Other "
            "styles are Matplotlib's: write a png, pdf or svg."
        )
    if layout not in get_args(PageLayout):
        raise SpectrumError(
            f"layout={layout!r}: an interactive page has all spectra on one pair of axes, as "
            "'overlay' or 'waterfall'. A click on a name hides and shows one; write a png, pdf or "
            "svg for a grid."
        )
    check_panels(
        panels, projection=projection, stacked=stacked, layout=layout, smoothing=smoothing,
        overlays=overlays,
    )  # fmt: skip
    refuse_no_parts(projection, stacked)
    if layout == "waterfall":
        refuse_overlays(n_spectra, overlays)
        if stacked and n_spectra > 1:
            raise SpectrumError(
                "Areas (stacked) begin at zero, but spectra of a waterfall above one another: "
                "choose the layout 'overlay', or parts as lines."
            )


def _parts(
    spectrum: DensityOfStates,
    asked: Projection | Literal["auto"] | None,
    n_spectra: int,
    stacked: bool,
) -> Projection | None:
    if asked != "auto":
        return asked
    if (spectrum.site_density is None or n_spectra > MOST_OVERLAID) and not stacked:
        return None
    few = n_spectra == 1 and spectrum.crystal.n_sites <= MOST_SITES
    return "site" if few else "element"


def _panels(make_subplots: Any, density: bool, thermal: bool) -> Any:
    if density and thermal:
        return make_subplots(rows=2, cols=1, vertical_spacing=0.25, row_heights=[0.58, 0.42])
    return make_subplots(rows=1, cols=1)


def _label_density(page: Any, curves: Sequence[Curve], step: float, ink: str) -> None:
    """Range and names of the axes, and what lies beyond the range."""
    low, high = common_range(curves)
    first = curves[0]
    unit = UNITS.get(first.unit, first.unit)
    title = f"states/{unit} per {first.per}"
    if step:
        title += f", each {step:.2g} higher"
    if first.smoothing:
        title += f"<br>smoothed by {first.smoothing:g} cm<sup>−1</sup>"
    page.update_xaxes(title=f"Frequency ({unit})", range=[min(low, 0.0), 1.02 * high], row=1, col=1)
    page.update_yaxes(title=title, rangemode="tozero", row=1, col=1)
    said = [escape(line) for line in beyond(curves, high, mathtext=False)]
    if said:
        page.add_annotation(
            text="<br>".join([*said, "(a double click shows all)"]), x=1.0, y=1.0, xref="x domain",
            yref="y domain", xanchor="right", yanchor="top", showarrow=False, align="right",
            font={"size": 11, "color": ink},
        )  # fmt: skip


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
    shown = figure(chosen, **options)
    body = shown.to_html(
        full_html=False,
        include_plotlyjs=True,
        config={"responsive": True, "displaylogo": False},
        default_height=f"{shown.layout.height}px",
        post_script=_FIT % (_height(shown, _PHONE), shown.layout.height),
    )
    theme = _THEMES[options.get("style") or "publication"]
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
        f"color:{theme.ink};background:{theme.ground}"
        "}h1{font-size:1.2rem}footer{color:#7b8794;font-size:.8rem}"
        "</style></head><body>"
        f"<h1>{escape(names)}</h1>{body}"
        + (f"<h2>Warnings</h2><ul>{said}</ul>" if said else "")
        + f"<footer>{escape(made_by)}</footer></body></html>\n"
    )
    with writing(path):
        Path(path).write_text(page, encoding="utf-8")
