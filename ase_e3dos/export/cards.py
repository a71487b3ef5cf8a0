"""What notebooks show of spectra: a card for one, a table of cards for many."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np

from ase_e3dos.errors import SpectrumError
from ase_e3dos.export.curves import curve
from ase_e3dos.export.names import names_of
from ase_e3dos.spectrum.density_of_states import DensityOfStates

#: Rows of a list that a notebook shows.
MOST_ROWS = 20
_TEMPERATURE = 300.0
_QUANTITIES = (
    ("heat_capacity", "C<sub>V</sub>", "J/(K mol)"),
    ("entropy", "S", "J/(K mol)"),
    ("free_energy", "F", "kJ/mol"),
)


def card(spectrum: DensityOfStates) -> str:
    """One spectrum as HTML: formula, thumbnail, C_V, S and F with error bars, warnings."""
    rows = "".join(
        f"<tr><td>{name}({_TEMPERATURE:g} K)</td><td>{value(spectrum, quantity)} {unit}</td></tr>"
        for quantity, name, unit in _QUANTITIES
    )
    mean = f"<tr><td>mean</td><td>{value(spectrum, 'mean_wavenumber')} cm⁻¹</td></tr>"
    return (
        "<div style='display:flex;flex-wrap:wrap;gap:1em;align-items:center'>"
        f"{thumbnail(spectrum)}<div><b>{formula(spectrum.crystal.formula)}</b>, "
        f"{spectrum.n_modes:g} modes per {escape(spectrum.normalization)}"
        f"<table>{rows}{mean}</table>"
        f"<small>{_bars(spectrum)}{escape(spectrum.provenance)}</small></div></div>"
        f"{_warnings(spectrum)}"
    )


def table(spectra: Sequence[DensityOfStates]) -> str:
    """Many spectra as an HTML table, the first `MOST_ROWS` of them, per atom."""
    heads = "".join(
        f"<th>{name}({_TEMPERATURE:g} K)<br>{unit}</th>" for _, name, unit in _QUANTITIES
    )
    lines = []
    for name, spectrum in zip(names_of(spectra)[:MOST_ROWS], spectra, strict=False):
        atom = spectrum.per_atom()
        cells = "".join(f"<td>{value(atom, quantity)}</td>" for quantity, _, _ in _QUANTITIES)
        warned = "; ".join(type(w).__name__ for w in spectrum.warnings)
        lines.append(
            f"<tr><td>{formula(name)}</td><td>{thumbnail(spectrum, 120, 34)}</td>"
            f"<td>{value(atom, 'mean_wavenumber')}</td>{cells}<td>{escape(warned)}</td></tr>"
        )
    more = len(spectra) - len(lines)
    return (
        f"<table><thead><tr><th>{len(spectra)} spectra, per atom</th><th>DoS</th>"
        f"<th>mean<br>cm⁻¹</th>{heads}<th>warnings</th></tr></thead>"
        f"<tbody>{''.join(lines)}</tbody></table>" + (f"<p>and {more} more</p>" if more > 0 else "")
    )


def value(spectrum: DensityOfStates, quantity: str) -> str:
    """A quantity at 300 K with the half width of its calibrated interval, where there is one."""
    if quantity == "mean_wavenumber":
        number = spectrum.mean_wavenumber
    else:
        number = float(getattr(spectrum, quantity)(_TEMPERATURE))
    half = _half_width(spectrum, quantity, number)
    if half is None:
        return f"{number:.4g}"
    return with_error(number, half)


def with_error(value: float, half: float, sign: str = " ± ") -> str:
    """A value and its error bar with the digits that mean something: never an error bar of zero.

    Parameters
    ----------
    value, half : float
        The value, and the half width of its interval.
    sign : str, optional
        What stands between them.
    """
    if 0 < half < 1e-5:
        return f"{value:.2g}{sign}{half:.1g}"
    if half >= 0.1:
        digits = 1 if half < 10 else 0
    else:
        digits = max(2, math.ceil(-math.log10(half))) if half > 0 else 2
    return f"{value:.{digits}f}{sign}{half:.{digits}f}"


def _half_width(spectrum: DensityOfStates, quantity: str, number: float) -> float | None:
    if spectrum.members is None or spectrum.calibration is None:
        return None
    try:
        low, high = spectrum.interval(quantity, temperature=_TEMPERATURE)
    except SpectrumError:  # a quantity that this model is not calibrated for
        return None
    return float(max(high - number, number - low))


def thumbnail(spectrum: DensityOfStates, width: int = 220, height: int = 80) -> str:
    """The density of states as a small SVG picture in the colour of the text."""
    shown = curve(spectrum, units="cm-1", band=None)
    span = float(shown.x[-1] - shown.x[0])
    x = (shown.x - shown.x[0]) / span * (width - 2) + 1
    y = height - 14 - shown.y / shown.y.max() * (height - 18)
    line = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
    ground = height - 14
    ends = [(1, "start", shown.x[0]), (width - 1, "end", shown.x[-1])]
    labels = "".join(
        f"<text x='{at}' y='{height - 2}' text-anchor='{anchor}'>{_rounded(number)}</text>"
        for at, anchor, number in ends
    )
    return (
        f"<svg width='{width}' height='{height}' viewBox='0 0 {width} {height}' role='img' "
        f"aria-label='Density of states of {escape(spectrum.crystal.formula, quote=True)}'>"
        f"<polygon points='1,{ground} {line} {width - 1},{ground}' fill='#0072B2' opacity='.25'/>"
        f"<polyline points='{line}' fill='none' stroke='#0072B2' stroke-width='1.3'/>"
        f"<g fill='currentColor' font-size='10' font-family='sans-serif'>{labels}"
        f"<text x='{width / 2:.0f}' y='{height - 2}' text-anchor='middle'>cm⁻¹</text></g></svg>"
    )


def _rounded(number: Any) -> str:
    return f"{0.0 if abs(number) < 1 else np.round(number):.0f}"


def formula(name: str) -> str:
    """A name as HTML, with the numbers of a formula at its beginning as subscripts."""
    first, comma, rest = name.partition(",")
    marked = "".join(f"<sub>{c}</sub>" if c.isdigit() or c == "." else escape(c) for c in first)
    return marked.replace("</sub><sub>", "") + escape(comma + rest)


def _bars(spectrum: DensityOfStates) -> str:
    calibrated = spectrum.members is not None and spectrum.calibration is not None
    return "± half a calibrated 90 % interval; " if calibrated else ""


def _warnings(spectrum: DensityOfStates) -> str:
    lines = "".join(
        f"<li><b>{type(w).__name__}</b>: {escape(str(w))}</li>" for w in spectrum.warnings
    )
    return f"<ul style='color:#b35900'>{lines}</ul>" if lines else ""
