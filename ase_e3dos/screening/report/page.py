"""The report as one HTML page that needs no network: data, figures, plotly and script inside."""

from __future__ import annotations

import base64
import json
import os
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from ase_e3dos.screening.report.figures import WARNED, all_figures, top_range
from ase_e3dos.screening.report.statistics import HIGH, MAX_ROWS, TOP, ScreenedSet
from ase_e3dos.spectrum.constants import constants
from ase_e3dos.structures.json_text import parse_json

#: Columns of the table: key, name, unit, digits.
_TABLE = (
    ("formula", "Formula", "", 0),
    ("id", "Id", "", 0),
    ("n_sites", "Sites", "", 0),
    ("specific_heat", "C_V", "J/(kg K)", 0),
    ("heat_capacity_per_atom", "C_V per atom", "J/(K mol)", 2),
    ("uncertainty", "± (90 %)", "J/(K mol)", 2),
    ("specific_heat_refined", "C_V refined", "J/(kg K)", 0),
    ("heat_capacity_per_atom_refined", "C_V per atom, refined", "J/(K mol)", 2),
    ("difference_in_errors", "Refined − predicted, in errors", "", 2),
    ("mean_wavenumber", "Mean wavenumber", "cm⁻¹", 0),
    ("imaginary_fraction", "Imaginary share", "", 4),
    ("average_mass", "Average mass", "amu", 1),
    ("warnings", "Warnings", "", 0),
)
_TEXTS = ("formula", "id", "warnings")
#: Columns that are shown where they have values.
_OPTIONAL = (
    "uncertainty",
    "specific_heat_refined",
    "heat_capacity_per_atom_refined",
    "difference_in_errors",
)
#: Failures that the page lists at most.
_FAILURES = 500


def write_page(screened: ScreenedSet, path: Path, title: str = "Phonon screening") -> None:
    """Write the report.

    Parameters
    ----------
    screened : ScreenedSet
        The screening's output.
    path : Path
        Of the HTML file.
    title : str, optional
        Of the page.

    Raises
    ------
    MissingExtraError
        Plotly is not installed.
    """
    from plotly.offline import get_plotlyjs

    figures = {name: parse_json(f.to_json()) for name, f in all_figures(screened).items()}
    data = {
        "columns": _columns(screened),
        "spectra": _spectra(screened),
        "figures": figures,
        "facts": {"csv_name": f"{path.stem}.csv"},
    }
    low, high = top_range(screened)
    page = Template(_part("page.html")).substitute(
        title=escape(title),
        css=_part("page.css"),
        js=_part("page.js"),
        plotly=get_plotlyjs(),
        data=_inert(json.dumps(data, separators=(",", ":"), allow_nan=False)),
        lead=_lead(screened),
        numbers=_numbers(screened),
        top_text=f"The first {min(TOP, len(screened.table))}, each spectrum from {low:.0f} to "
        f"{high:.0f} cm<sup>−1</sup>, with C<sub>V</sub> in J/(kg K); {WARNED} marks predictions "
        "with warnings. Click one to see it large.",
        fit_text=_fit(screened),
        failures=_failures(screened),
        footer=_footer(screened),
        step=f"{screened.wavenumbers[1] - screened.wavenumbers[0]:g}",
    )
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    with temporary.open("x", encoding="utf-8") as stream:
        stream.write(page)
    temporary.replace(path)  # a link is replaced, and not what it stands for


def _part(name: str) -> str:
    return files("ase_e3dos.screening.report").joinpath(name).read_text(encoding="utf-8")


def _inert(text: str) -> str:
    """JSON that cannot end its script element, whatever a user calls a structure."""
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _columns(screened: ScreenedSet) -> list[dict[str, Any]]:
    shown = screened.table.iloc[screened.shown]
    columns = []
    for key, name, unit, digits in _TABLE:
        if key in _OPTIONAL and (key not in shown or not shown[key].notna().any()):
            continue
        values: list[Any] = shown[key].tolist()
        if key in _TEXTS:
            values = [str(v) for v in values]
        elif key != "n_sites":
            values = [float(f"{v:.6g}") if np.isfinite(v) else None for v in values]
        columns.append(
            {"key": key, "name": name, "unit": unit, "digits": digits, "values": values}
            | {"text": key in _TEXTS}
        )
    return columns


def _spectra(screened: ScreenedSet) -> dict[str, Any]:
    """One byte for each point of the range where any spectrum shows; enough for the eye."""
    levels = np.rint(screened.densities * 255).astype(np.uint8)
    there = np.flatnonzero(levels.any(axis=0))
    x = screened.wavenumbers
    first, stop = (int(there[0]), int(there[-1]) + 1) if len(there) else (0, len(x))
    step = float(x[1] - x[0])
    return {
        "start": float(x[first]),
        "step": step,
        "n": stop - first,
        "step_thz": step / constants().thz_to_cm,
        "values": base64.b64encode(levels[:, first:stop].tobytes()).decode(),
    }


def _lead(screened: ScreenedSet) -> str:
    about = screened.about
    sample = ""
    if len(screened.table) > MAX_ROWS:
        sample = (
            f" Means, fits and the distribution are over all of them; points and table hold the "
            f"top {TOP} and a random sample, {MAX_ROWS:,} in all."
        )
    return (
        f"Specific heat at {screened.temperature:g} K and phonon spectra predicted with the model "
        f"<b>{escape(about['model'])}</b>.{sample}{_refined(screened)} "
        "Hover over a point to see its crystal, click it to see its spectrum."
    )


_SYMBOLS = {
    "heat_capacity_per_atom": "C<sub>V</sub>",
    "entropy_per_cell": "S",
    "free_energy_per_cell": "F",
    "mean_wavenumber": "average frequency",
}


def _refined(screened: ScreenedSet) -> str:
    """What was calculated again, and how the error bars fared."""
    if not screened.refined:
        return ""
    by = " and ".join(f"{n:,} with <b>{escape(c)}</b>" for c, n in screened.refined.items())
    said = f" Refined by finite displacements: {by}; rows are ranked by the refined value if any."
    bars = screened.error_bars
    if bars:
        fared = ", ".join(
            f"{_SYMBOLS[name]} of {inside:.0%} of {count:,} crystals (median difference: "
            f"{median:.2f} of half of it)"
            for name, (count, inside, median) in bars.items()
        )
        said += f" Within the predicted 90 % interval lies the refined {fared}."
    return said


def _fit(screened: ScreenedSet) -> str:
    """What is said about the line through the mean wavenumbers."""
    if screened.has_mass_trend:
        return "the line is the least-squares fit."
    quality = screened.rigidity[1]
    if np.isnan(quality):
        return "one material gives no fit."
    return (
        f"no line is drawn, as the fit of C m̄<sup>−1/2</sup> is worse than the mean of all "
        f"(R<sup>2</sup> = {quality:.2f})."
    )


def _numbers(screened: ScreenedSet) -> str:
    constant = f"{screened.rigidity[0]:,.0f}" if screened.has_mass_trend else "–"
    best = screened.table.iloc[0] if len(screened.table) else None
    shown = [
        (f"{screened.n_structures:,}", "structures"),
        (f"{100 * screened.high_share:.1f} %", f"above {HIGH:,.0f} J/(kg K)"),
        (
            "" if best is None else f"{best['specific_heat']:,.0f}",
            "highest C<sub>V</sub>, J/(kg K)" + _mark(best),
        ),
        (constant, "C of C m̄<sup>−1/2</sup>, cm<sup>−1</sup> amu<sup>1/2</sup>"),
        (f"{len(screened.failures):,}", "failures"),
        (f"{sum(screened.n_warned.values()):,}", "warnings"),
    ]
    return "".join(f"<div><b>{number}</b><span>{name}</span></div>" for number, name in shown)


def _mark(row: Any) -> str:
    """Which warnings the headline's material carries."""
    if row is None or not row["warnings"]:
        return ""
    return f"<br><em>{WARNED} {escape(row['formula'])}: {escape(row['warnings'])}</em>"


def _failures(screened: ScreenedSet) -> str:
    parts = []
    if screened.n_warned:
        lines = "".join(
            f"<tr><td class=text>{escape(kind)}</td><td>{count:,}</td></tr>"
            for kind, count in sorted(screened.n_warned.items(), key=lambda item: -item[1])
        )
        parts.append(
            "<table style='width:auto'><thead><tr><th class=text>Warning</th><th>Number</th></tr>"
            f"</thead><tbody>{lines}</tbody></table>"
        )
    if len(screened.failures):
        first = screened.failures.head(_FAILURES)
        lines = "".join(
            f"<tr><td>{escape(str(i))}</td><td>{escape(str(e))}</td></tr>"
            for i, e in zip(first["id"], first["error"], strict=True)
        )
        more = len(screened.failures) - len(first)
        parts.append(
            "<div class=failures><table><thead><tr><th class=text>Id</th><th class=text>Error</th>"
            f"</tr></thead><tbody>{lines}</tbody></table></div>"
            + (f"<p>and {more:,} more in the column <code>error</code>.</p>" if more else "")
        )
    return "".join(parts) or "<p>None.</p>"


def _footer(screened: ScreenedSet) -> str:
    about = screened.about
    return (
        f"Rows in <code>{escape(str(screened.directory))}</code>, written by ase-e3dos "
        f"{escape(about['version'])}, model fingerprint <code>{about['model_hash']}</code>. "
        "Imaginary modes are left out of heat capacities. Figures after Chen et al., "
        "<i>Adv. Sci.</i> <b>8</b>, 2004214 (2021)."
    )
