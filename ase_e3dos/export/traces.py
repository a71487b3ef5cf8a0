"""Traces of interactive figures: densities with bands and parts, thermal properties, overlays."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np

from ase_e3dos.export.curves import Curve
from ase_e3dos.export.overlays import Overlay, names_apart
from ase_e3dos.export.thermal_curves import EnergyUnit, ThermalCurve, thermal_curve
from ase_e3dos.spectrum.density_of_states import DensityOfStates
from ase_e3dos.spectrum.grid import Array
from ase_e3dos.spectrum.thermal import Quantity

#: Units and symbols in HTML.
UNITS = {"cm-1": "cm<sup>−1</sup>", "k_B": "k<sub>B</sub>", "k_B K": "k<sub>B</sub> K"}
_SYMBOLS = {"heat_capacity": "C<sub>V</sub>", "entropy": "S", "free_energy": "F",
            "internal_energy": "U"}  # fmt: skip
#: Lines of later rounds of the colours are told from those of the first, and overlays by these.
_DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
_BAND_OPACITY = 0.2


class Traces:
    """What is added to a Plotly figure.

    Parameters
    ----------
    page : plotly.graph_objects.Figure
        With one panel, or the density above the thermal property.
    go : module
        plotly.graph_objects.
    colours : sequence of str
    n_spectra : int
        Bands of several are switched on and off all at once; parts have the colours after theirs.
    """

    def __init__(self, page: Any, go: Any, colours: Sequence[str], n_spectra: int) -> None:
        self._page, self._go = page, go
        self._colours, self._several = colours, n_spectra > 1
        self._lines = n_spectra  # that have their colours and dashes
        self._bands: dict[int, str] = {}  # names by the numbers of their traces

    def add_density(self, c: Curve, k: int, stacked: bool, offset: float) -> None:
        """Add a density with its band and its parts.

        Parameters
        ----------
        c : Curve
        k : int
            Its number, for the colour.
        stacked : bool
            Parts as areas upon each other.
        offset : float
            How far above the axis it is drawn; what is read at the mouse is without it.
        """
        place = {"row": 1, "col": 1}
        name, x = escape(c.name), _digits(c.x)
        group = {"legendgroup": f"{k}"}
        if c.low is not None and c.high is not None:
            named = {"name": f"{name}: {escape(c.band)}", **group}
            self._add_band(c.x, c.low + offset, c.high + offset, k, c.band, named, place)
        as_drawn: dict[str, Any] = {}
        if offset:
            as_drawn = {"customdata": _digits(c.y), "hovertemplate": "%{customdata:.4g}"}
        self._page.add_trace(
            self._go.Scatter(
                x=x,
                y=_digits(c.y + offset),
                name=f"{name} ({c.note})" if c.note else name,
                line=self._line(k),
                **as_drawn,
                **group,
            ),
            **place,
        )
        areas = stacked and not offset
        for i, (part, row) in enumerate(c.parts if areas else c.lines):
            line = self._line(self._lines, 0.5 if areas else 1.2)
            self._lines += 1
            more: dict[str, Any] = {}
            if areas:
                more = {"stackgroup": f"{k}", "fillcolor": line["color"]}
                if i // len(self._colours) % 2:
                    more["fillpattern"] = {"shape": "/"}
            elif offset:
                more = {"customdata": _digits(row), "hovertemplate": "%{customdata:.4g}"}
            self._page.add_trace(
                self._go.Scatter(
                    x=x,
                    y=_digits(row + offset),
                    name=f"{name}: {escape(part)}" if self._several else escape(part),
                    line=line,
                    visible="legendonly" if self._several else True,
                    **more,
                ),
                **place,
            )

    def add_overlays(self, overlays: Sequence[Overlay], shown: Curve, ink: str) -> None:
        """Add spectra of others with the area, the unit and the smoothing of a curve.

        Parameters
        ----------
        overlays : sequence of Overlay
        shown : Curve
        ink : str
            Colour of all; dashes tell them apart.
        """
        for k, (overlay, name) in enumerate(zip(overlays, names_apart(overlays), strict=True)):
            x, y = overlay.scaled(shown.n_modes, shown.unit, shown.smoothing)
            dash = _DASHES[1 + k % (len(_DASHES) - 1)]
            self._page.add_scatter(
                x=_digits(x),
                y=_digits(y),
                line={"color": ink, "dash": dash, "width": 1.5},
                name=f"{escape(name)} (same area)",
                row=1,
                col=1,
            )

    def add_thermal(
        self,
        spectra: Sequence[DensityOfStates],
        names: Sequence[str],
        quantities: Sequence[Quantity],
        kelvin: Array,
        energy_units: EnergyUnit,
        band: float | None,
        row: int,
    ) -> None:
        """Add thermal properties, one shown at a time, with buttons where there are several.

        Parameters
        ----------
        spectra : sequence of DensityOfStates
        names : sequence of str
        quantities : sequence of str
            As for `thermal_curve`, like what follows.
        kelvin : ndarray, shape (n,)
        energy_units : {"kJ/mol", "meV", "eV", "kB"}
        band : float or None
        row : int
            Panel of the page, from 1.
        """
        first = len(self._page.data)
        kinds: list[str] = []
        titles: dict[str, str] = {}
        for quantity in quantities:
            for k, (spectrum, name) in enumerate(zip(spectra, names, strict=True)):
                t = thermal_curve(
                    spectrum, quantity, kelvin, energy_units=energy_units, band=band, name=name
                )
                titles[quantity] = f"{_SYMBOLS[quantity]} ({UNITS.get(t.unit, t.unit)} per {t.per})"
                self._add_property(t, k, row, quantity == quantities[0])
                kinds += [quantity] * (len(self._page.data) - first - len(kinds))
        self._page.update_yaxes(title=titles[quantities[0]], row=row, col=1)
        if len(quantities) < 2:
            return
        which = list(range(first, len(self._page.data)))
        axis = "yaxis2" if row == 2 else "yaxis"
        buttons = [
            {
                "label": _SYMBOLS[q],
                "method": "update",
                "args": [
                    {"visible": [kind == q for kind in kinds]},
                    {f"{axis}.title.text": titles[q]},
                    which,
                ],
            }
            for q in quantities
        ]
        self._add_menu(buttons, x=0.0, y=0.33 if row == 2 else 1.08, xanchor="left")

    def _add_property(self, t: ThermalCurve, k: int, row: int, visible: bool) -> None:
        place = {"row": row, "col": 1}
        group = {"legendgroup": f"{k}", "visible": visible}
        if t.low is not None and t.high is not None:
            self._add_band(t.temperatures, t.low, t.high, k, t.band, group, place)
        self._page.add_trace(
            self._go.Scatter(
                x=t.temperatures,
                y=_digits(t.values),
                name=escape(t.name),
                line=self._line(k),
                showlegend=row == 1,  # no densities, whose names the legend has else
                **group,
            ),
            **place,
        )

    def add_switch_of_bands(self) -> None:
        """A button that names the bands of several spectra, and shows and hides them all."""
        if not self._several or not self._bands:
            return
        names = " / ".join(escape(name) for name in dict.fromkeys(self._bands.values()))
        which = list(self._bands)
        button = {
            "label": f"shaded: {names}",
            "method": "restyle",
            "args": [{"opacity": 0.0}, which],
            "args2": [{"opacity": _BAND_OPACITY}, which],
        }
        below = {"y": -0.15, "yanchor": "top"}  # all else, on narrow screens, too
        self._add_menu([button], x=1.0, xanchor="right", showactive=False, **below)
        self._page.update_layout(margin={"b": 110})

    def _add_band(
        self,
        x: Array,
        low: Array,
        high: Array,
        k: int,
        band: str,
        options: dict[str, Any],
        place: dict[str, int],
    ) -> None:
        """A band, with an entry in the legend where it has a name and there is one spectrum."""
        if self._several:
            self._bands[len(self._page.data)] = band
        self._page.add_trace(
            self._go.Scatter(
                x=np.concatenate([x, x[::-1]]),
                y=_digits(np.concatenate([high, low[::-1]])),
                fill="toself",
                fillcolor=self._line(k)["color"],
                opacity=_BAND_OPACITY,
                line={"width": 0},
                showlegend="name" in options and not self._several,
                hoverinfo="skip",
                **options,
            ),
            **place,
        )

    def _line(self, k: int, width: float = 2.0) -> dict[str, Any]:
        turn, k = divmod(k, len(self._colours))
        return {"color": self._colours[k], "dash": _DASHES[turn % len(_DASHES)], "width": width}

    def _add_menu(self, buttons: list[dict[str, Any]], **place: Any) -> None:
        menu = {"type": "buttons", "direction": "right", "buttons": buttons, "yanchor": "bottom",
                "showactive": True, **place}  # fmt: skip
        self._page.update_layout(updatemenus=[*self._page.layout.updatemenus, menu])


def _digits(values: Any) -> list[float]:
    """As many digits as a screen shows, so that pages stay small."""
    return [float(f"{v:.5g}") for v in values]
