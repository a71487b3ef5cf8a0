"""The report's figures, as plotly figures; points carry the row of their structure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from ase.data import atomic_numbers
from numpy.typing import NDArray

from ase_e3dos.errors import MissingExtraError
from ase_e3dos.screening.report.periodic_table import PLACES
from ase_e3dos.screening.report.statistics import HIGH, TOP, ScreenedSet

if TYPE_CHECKING:
    import plotly.graph_objects as go

INK, MUTED, GRID, ACCENT, WARM = "#1f2933", "#7b8794", "#e4e7eb", "#2f6f8f", "#d1603d"
SCALE = "Viridis"
_HEAT = "C<sub>V</sub> / J kg<sup>−1</sup> K<sup>−1</sup>"
_WAVENUMBER = "wavenumber / cm<sup>−1</sup>"
#: Before the name of a crystal whose prediction carries warnings.
WARNED = "⚠"
#: A legend in one line above its figure, over neither curves nor axes.
_ABOVE: dict[str, Any] = {
    "orientation": "h", "x": 0.0, "y": 1.0, "xanchor": "left", "yanchor": "bottom",
    "bgcolor": "rgba(0,0,0,0)",
}  # fmt: skip
_BELOW_LEGEND = {"l": 62, "r": 12, "t": 40, "b": 52}
#: More points than this are drawn by the graphics card.
_SVG_POINTS = 6000


def all_figures(screened: ScreenedSet) -> dict[str, go.Figure]:
    """Every figure of the page by its name.

    Raises
    ------
    MissingExtraError
        Plotly is not installed.
    """
    try:
        import plotly  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(
            "the report needs plotly. Install it with `pip install ase-e3dos[report]`."
        ) from error
    return {
        "elements": periodic_table(screened),
        "histogram": histogram(screened),
        "components": principal_components(screened),
        "top": top_spectra(screened),
        "mass": mass_trend(screened),
        "ratio": mass_ratio(screened),
    }


def periodic_table(screened: ScreenedSet) -> go.Figure:
    """Mean specific heat of the materials that contain each element (figure 5a)."""
    import plotly.graph_objects as go

    shape = (10, 18)
    empty = np.full(shape, np.nan)
    heat = np.full(shape, np.nan)
    text = np.full(shape, "", dtype=object)
    hover = np.full(shape, "", dtype=object)
    for symbol, place in PLACES.items():
        empty[place] = 0.0
        text[place] = symbol
        mean, count = screened.by_element.get(atomic_numbers[symbol], (np.nan, 0))
        heat[place] = mean
        hover[place] = f"<b>{symbol}</b>: no material here contains it"
        if count:
            hover[place] = f"<b>{symbol}</b><br>mean C<sub>V</sub> {mean:,.0f}<br>{count} materials"
    common: dict[str, Any] = {"xgap": 2, "ygap": 2, "customdata": text, "text": hover}
    common["hovertemplate"] = "%{text}<extra></extra>"
    figure = go.Figure(
        [
            go.Heatmap(
                z=empty, colorscale=[[0, "#f0f2f4"], [1, "#f0f2f4"]], showscale=False, **common
            ),
            go.Heatmap(z=heat, colorscale=SCALE, colorbar=_colorbar(_HEAT), **common),
        ]
    )
    known = heat[np.isfinite(heat)]
    dark_below = known.min() + 0.55 * np.ptp(known) if len(known) else 0.0
    for symbol, (row, column) in PLACES.items():
        value = heat[row, column]
        color = MUTED if np.isnan(value) else ("white" if value < dark_below else INK)
        figure.add_annotation(
            x=column, y=row, text=symbol, showarrow=False, font={"size": 11, "color": color}
        )
    figure.update_xaxes(visible=False, fixedrange=True)
    figure.update_yaxes(visible=False, fixedrange=True, autorange="reversed")
    return _styled(figure, 380, {"l": 4, "r": 4, "t": 4, "b": 4})


def histogram(screened: ScreenedSet) -> go.Figure:
    """Numbers of materials by specific heat, with mean spectra of all and of the highest (5b)."""
    import plotly.graph_objects as go

    heat = screened.table["specific_heat"].to_numpy()
    width = 50.0
    last = width * np.ceil((heat.max(initial=HIGH) + 1) / width)
    counts, edges = np.histogram(heat, np.arange(0.0, last + width, width))
    middle = (edges[1:] + edges[:-1]) / 2
    figure = go.Figure(
        go.Bar(
            x=middle,
            y=counts,
            width=width * 0.94,
            marker={"color": np.where(edges[:-1] >= HIGH, WARM, ACCENT)},
            customdata=np.column_stack([edges[:-1], edges[1:]]),
            hovertemplate="%{customdata[0]:.0f} to %{customdata[1]:.0f}: %{y} materials"
            "<extra></extra>",
            showlegend=False,
        )
    )
    figure.add_shape(
        type="line", x0=HIGH, x1=HIGH, y0=0.0, y1=0.36, yref="paper",
        line={"color": WARM, "width": 1, "dash": "dot"},
    )  # fmt: skip
    figure.add_annotation(
        x=HIGH, y=0.30, yref="paper", xanchor="left", xshift=6, showarrow=False,
        text=f"{100 * screened.high_share:.1f} % above {HIGH:,.0f}",
        font={"color": WARM, "size": 13},
    )  # fmt: skip
    found = screened.components
    x = screened.wavenumbers
    seen = visible_range(x, found.mean_high)
    means = [(found.mean_all, "mean of all", ACCENT)]
    if screened.has_top:
        means.insert(0, (found.mean_high, f"mean of the top {TOP}", WARM))
    for y, name, color in means:
        figure.add_scatter(
            x=x[seen], y=y[seen] / max(y.max(), 1e-30), name=name, xaxis="x2", yaxis="y2",
            line={"color": color, "width": 2}, hoverinfo="skip", showlegend=True,
        )  # fmt: skip
    figure.update_layout(
        xaxis={"title": _HEAT},
        # Materials are counted in whole numbers.
        yaxis={"title": "materials", "range": [0.0, histogram_height(counts)]}
        | ({"dtick": 1} if counts.max(initial=0) < 6 else {}),
        xaxis2={"domain": [0.46, 0.99], "anchor": "y2", "title": _small(_WAVENUMBER)},
        yaxis2={"domain": [0.52, 0.98], "anchor": "x2", "visible": False},
        legend=_ABOVE | {"x": 1.0, "xanchor": "right"},
        bargap=0.04,
    )
    return _styled(figure, 520, _BELOW_LEGEND)


def histogram_height(counts: NDArray[np.int64]) -> float:
    """Upper end of the histogram's axis: bars of its right half stay below the inset."""
    right = counts[int(0.42 * len(counts)) :]
    return float(max(1.05 * counts.max(initial=1), 2.6 * right.max(initial=0)))


def principal_components(screened: ScreenedSet) -> go.Figure:
    """Spectra along their first two principal components, coloured by specific heat (5c)."""
    found = screened.components
    figure = _points(screened, found.scores[:, 0], found.scores[:, 1], "specific_heat", _HEAT)
    x = screened.wavenumbers
    seen = visible_range(x, np.abs(found.axes).max(axis=0))
    for k, color in ((0, INK), (1, WARM)):
        share = 100 * found.explained[k]
        figure.add_scatter(
            x=x[seen], y=found.axes[k][seen], xaxis="x2", yaxis="y2", hoverinfo="skip",
            name=f"axis {k + 1} ({share:.0f} %)", line={"color": color, "width": 1.6},
        )  # fmt: skip
    figure.update_layout(
        xaxis={"title": "first principal component"},
        yaxis={"title": "second principal component", "domain": [0.0, 0.68]},
        xaxis2={"domain": [0.0, 1.0], "anchor": "y2", "title": _small(_WAVENUMBER)},
        yaxis2={"domain": [0.84, 1.0], "anchor": "x2", "showticklabels": False},
        legend=_ABOVE,
    )
    return _styled(figure, 520, _BELOW_LEGEND)


def mass_trend(screened: ScreenedSet) -> go.Figure:
    """Mean wavenumber against average mass, with the hyperbolic fit if it is one (figure S1a)."""
    shown = screened.table.iloc[screened.shown]
    mass = shown["average_mass"].to_numpy()
    y = shown["mean_wavenumber"].to_numpy()
    figure = _points(screened, mass, y, "specific_heat", _HEAT)
    constant, quality = screened.rigidity
    if screened.has_mass_trend:
        line = np.geomspace(mass.min(), mass.max(), 200)
        figure.add_scatter(
            x=line, y=constant / np.sqrt(line), mode="lines", hoverinfo="skip",
            line={"color": INK, "width": 2}, showlegend=True,
            name=f"C m̄<sup>−1/2</sup>, C = {constant:,.0f} cm<sup>−1</sup> amu<sup>1/2</sup>, "
            f"R² = {quality:.2f}",
        )  # fmt: skip
    figure.update_layout(
        xaxis={"title": "average mass m̄ / amu"},
        yaxis={"title": "mean wavenumber / cm<sup>−1</sup>", "rangemode": "tozero"},
        legend=_ABOVE,
    )
    return _styled(figure, 420, _BELOW_LEGEND)


def mass_ratio(screened: ScreenedSet) -> go.Figure:
    """Mean wavenumber against the ratio of lightest to average mass (figure S1b)."""
    shown = screened.table.iloc[screened.shown]
    ratio = (shown["minimum_mass"] / shown["average_mass"]).to_numpy()
    y = shown["mean_wavenumber"].to_numpy()
    figure = _points(screened, ratio, y, "average_mass", "m̄ / amu")
    figure.update_layout(
        xaxis={"title": "m<sub>min</sub> / m̄"},
        yaxis={"title": "mean wavenumber / cm<sup>−1</sup>", "rangemode": "tozero"},
    )
    return _styled(figure, 420)


def top_spectra(screened: ScreenedSet, n_columns: int = 10) -> go.Figure:
    """Spectra of the highest specific heats in one field of small panels (figure S14).

    All panels share one pair of axes, in which each is moved to its place: a hundred pairs of
    axes would take seconds to draw.
    """
    import plotly.graph_objects as go

    figure = go.Figure()
    rows = screened.table.iloc[: min(TOP, len(screened.table))]
    densities = screened.densities[: len(rows)]
    seen = visible_range(
        screened.wavenumbers, densities.mean(axis=0) if len(rows) else screened.wavenumbers
    )
    x = np.linspace(0.04, 0.94, max(int(seen.sum()), 1))
    columns = (rows[name] for name in ("formula", "specific_heat", "warnings"))
    for k, (formula, heat, warnings) in enumerate(zip(*columns, strict=True)):
        mark = f"{WARNED} " if warnings else ""
        column, line = k % n_columns, k // n_columns
        y = densities[k][seen] * 0.62 - line
        figure.add_scatter(
            x=np.concatenate([[x[0]], x, [x[-1]]]) + column,
            y=np.concatenate([[-line], y, [-line]]),
            mode="lines",
            line={"color": ACCENT, "width": 1.1},
            fill="toself",
            fillcolor="rgba(47,111,143,0.18)",
            customdata=np.full(len(x) + 2, k),
            hoveron="points+fills",
            text=f"{k + 1}. {formula}: {heat:,.0f}" + (f"<br>{mark}{warnings}" if mark else ""),
            hoverinfo="text",
            showlegend=False,
        )
        figure.add_annotation(
            x=column + 0.04, y=-line + 0.86, xanchor="left", yanchor="middle", showarrow=False,
            text=f"{mark}<b>{_subscripted(formula)}</b> {heat:,.0f}",
            font={"size": 10.5, "color": WARM if mark else INK},
        )  # fmt: skip
    n_lines = max(-(-len(rows) // n_columns), 1)
    figure.update_xaxes(visible=False, range=[0, n_columns], fixedrange=True)
    figure.update_yaxes(visible=False, range=[-n_lines + 0.9, 1.05], fixedrange=True)
    return _styled(figure, 40 + 84 * n_lines, {"l": 4, "r": 4, "t": 4, "b": 4})


def top_range(screened: ScreenedSet) -> tuple[float, float]:
    """Wavenumbers that the panels of `top_spectra` span, in cm^-1."""
    x = screened.wavenumbers
    top = screened.densities[:TOP]
    seen = x[visible_range(x, top.mean(axis=0) if len(top) else x)]
    return float(seen[0]), float(seen[-1])


def _points(
    screened: ScreenedSet, x: NDArray[Any], y: NDArray[Any], color: str, title: str
) -> go.Figure:
    """Scatter of the shown rows; the row stands in `customdata`."""
    import plotly.graph_objects as go

    shown = screened.table.iloc[screened.shown]
    values = shown[color].to_numpy()
    kind = go.Scatter if len(shown) <= _SVG_POINTS else go.Scattergl
    heat = shown["specific_heat"].to_numpy()
    columns = (shown["formula"], shown["id"].map(_escaped), heat, shown["warnings"])
    text = [
        f"<b>{_subscripted(f)}</b> ({i})<br>C<sub>V</sub> {c:,.0f}"
        + (f"<br>{WARNED} {w}" if w else "")
        for f, i, c, w in zip(*columns, strict=True)
    ]
    limits = np.percentile(values, [1, 99]) if len(values) else (0.0, 1.0)
    # Drawn from low to high, so that the few high ones are not hidden.
    order = np.argsort(values, kind="stable")
    return go.Figure(
        kind(
            x=np.asarray(x)[order],
            y=np.asarray(y)[order],
            mode="markers",
            marker={
                "size": 5,
                "opacity": 0.8,
                "color": values[order],
                "colorscale": SCALE,
                "cmin": float(limits[0]),
                "cmax": float(limits[1]),
                "colorbar": _colorbar(title),
            },
            customdata=order,
            text=[text[k] for k in order],
            hovertemplate="%{text}<extra></extra>",
            showlegend=False,
        )
    )


def visible_range(x: NDArray[Any], y: NDArray[Any]) -> NDArray[np.bool_]:
    """The range of the grid from zero (or lower) that holds all but a hundredth of `y`."""
    weight = np.cumsum(y, dtype=np.float64)
    if weight[-1] <= 0:
        return np.ones(len(x), dtype=bool)
    low, high = np.searchsorted(weight, [0.005 * weight[-1], 0.99 * weight[-1]])
    seen = np.arange(len(x)) <= high + 1
    seen &= (x >= 0) | (np.arange(len(x)) >= low)
    return np.asarray(seen)


def _styled(figure: go.Figure, height: int, margin: dict[str, int] | None = None) -> go.Figure:
    axis = {"gridcolor": GRID, "zeroline": False, "linecolor": MUTED, "ticks": "outside"}
    axis |= {"tickcolor": MUTED}
    figure.update_layout(
        template="none",
        height=height,
        margin=margin or {"l": 62, "r": 12, "t": 12, "b": 52},
        font={"family": "system-ui, 'Segoe UI', Roboto, sans-serif", "size": 12.5, "color": INK},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        hoverlabel={"bgcolor": "white", "font": {"color": INK}},
    )
    figure.update_xaxes(**axis)
    figure.update_yaxes(**axis)
    return figure


def _colorbar(title: str) -> dict[str, Any]:
    return {"title": {"text": title, "side": "right"}, "thickness": 12, "outlinewidth": 0}


def _small(text: str) -> dict[str, Any]:
    return {"text": text, "font": {"size": 11}, "standoff": 4}


def _escaped(text: str) -> str:
    return str(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _subscripted(formula: str) -> str:
    """Formula with its numbers as subscripts, in the marks that plotly knows."""
    pieces, number = [], ""
    for sign in f"{formula} ":
        if sign.isdigit() or (sign == "." and number):
            number += sign
            continue
        if number:
            pieces.append(f"<sub>{number}</sub>")
            number = ""
        pieces.append(sign)
    return "".join(pieces).strip()
