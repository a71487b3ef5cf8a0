"""What was asked of the default model, what version 0.1 had, and what its card says now.

    python docs/models/targets.py

reads ase_e3dos/models/default.md, which `make_cards.py` writes from what `e3dos evaluate` prints,
and puts the table into docs/models/default-training.md, between its marks.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

MODELS = Path(__file__).resolve().parents[2] / "ase_e3dos" / "models"
PAGE = Path(__file__).with_name("default-training.md")
DFPT, DATABASE, POTENTIAL = "dfpt_petretto", "dft_phonondb", "mlip_nequix"
# Version 0.1 is typed in: the figures of its card, ase_e3dos/models/default.md of commit 5716a68,
# and at 10 and 20 K those of docs/theory/low_temperatures.txt of the same commit. Its pairs at two
# strains are those of another potential (mlip_site_phonons.parquet, 139 pairs). Where it has none
# the card did not have the measure.
#: Row, what was asked for, the value of version 0.1, set, section, measures, form.
ROWS: list[tuple[str, str, str, str, str, tuple[str, ...], str]] = [
    ("R², DFPT", "0.87", "0.824", DFPT, "", ("R2",), "{:.3f}"),
    ("MAE, DFPT", "0.048", "0.059", DFPT, "", ("MAE",), "{:.3f}"),
    ("Wasserstein, DFPT (cm⁻¹)", "9.0", "11.8", DFPT, "", ("WD",), "{:.1f}"),
    ("C_V(300 K), DFPT, per cell (J/(K mol))", "0.75", "1.05", DFPT, "", ("Cv_cell",), "{:.2f}"),
    ("the same per atom", "0.11", "0.149", DFPT, "", ("Cv_atom",), "{:.3f}"),
    ("average frequency, DFPT (cm⁻¹)", "5.2", "6.9", DFPT, "", ("wbar",), "{:.1f}"),
    ("average frequency within 10 %, DFPT", "98 %", "97 %", DFPT, "", ("within10",), "{:.1%}"),
    (
        "entropy at 298 K, phonon database: median, 95th percentile",
        "1.2 %, 5 %",
        "",
        DATABASE,
        "stable",
        ("S_median", "S_q95"),
        "{:.1%}",
    ),
    (
        "average frequency within 10 %, phonon database",
        "98 %",
        "",
        DATABASE,
        "stable",
        ("within10",),
        "{:.1%}",
    ),
    (
        "U_iso(300 K), phonon database: median",
        "10 %",
        "",
        DATABASE,
        "tensors 300 K",
        ("U_median",),
        "{:.1%}",
    ),
    (
        "rank correlation of longest over shortest axis, 300 K",
        "0.85",
        "",
        DATABASE,
        "tensors 300 K",
        ("axes_rank",),
        "{:.2f}",
    ),
    (
        "C_V and S at 10 K, DFPT: median",
        "10 %, 12 %",
        "22 %, 28 %",
        DFPT,
        "10 K",
        ("Cv_median", "S_median"),
        "{:.0%}",
    ),
    (
        "C_V and S at 20 K, DFPT: median",
        "5 %, 7 %",
        "11 %, 15 %",
        DFPT,
        "20 K",
        ("Cv_median", "S_median"),
        "{:.0%}",
    ),
    (
        "area under the ROC curve of stability, phonon database",
        "0.9",
        "",
        DATABASE,
        "stability",
        ("roc_area",),
        "{:.2f}",
    ),
    (
        "imaginary share predicted for stable crystals",
        "0.2 %",
        "",
        DATABASE,
        "stability",
        ("leak",),
        "{:.2%}",
    ),
    (
        "strain, stable pairs: correlation, slope, signs",
        "0.88, 0.85 to 1.1, 98 %",
        "0.81, 0.71, 0.99 (another potential's)",
        POTENTIAL,
        "strain",
        ("correlation", "slope", "sign"),
        "{:.2f}",
    ),
]
#: Quantities whose 90 % intervals are asked about: the model's own. Rows of the card named `U_iso`
#: are of intervals that are fitted on half of the same validation set.
ASKED = ("heat_capacity", "entropy", "free_energy", "mean_wavenumber", "u_iso")


def sections(card: str) -> dict[str, dict[str, dict[str, float]]]:
    """Measures by data file and section; the section of all crystals is ""."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    data = ""
    for line in card.splitlines():
        if match := re.match(r"\$ e3dos evaluate .*--data (\w+)\.parquet", line):
            data = match[1]
            found[data] = {}
        values = {k: float(v) for k, v in re.findall(r"(\w+)=([-+.\deE]+|nan)", line)}
        if data and values:
            name = re.match(r"  ([^:=]+): ", line)
            found[data][name[1] if name else ""] = values
    return found


def covered(section: dict[str, dict[str, float]]) -> str:
    """Lowest and highest coverage of the 90 % intervals."""
    values = [
        row["cover90"]
        for name, row in section.items()
        if name.startswith("interval ") and name.removeprefix("interval ").startswith(ASKED)
    ]
    return f"{min(values):.0%} to {max(values):.0%}"


def table() -> list[str]:
    """The rows as Markdown."""
    found = sections((MODELS / "default.md").read_text(encoding="utf-8"))
    lines = ["| | asked for | version 0.1 | now |", "| --- | ---: | ---: | ---: |"]
    for name, asked, before, data, section, measures, form in ROWS:
        values = found[data][section]
        now = ", ".join(form.format(values[m]) for m in measures)
        lines.append(f"| {name} | {asked} | {before} | {now} |")
    for name, data, before in (
        ("90 % intervals cover, DFPT", DFPT, "91 % to 99 %"),
        ("90 % intervals cover, phonon database", DATABASE, ""),
    ):
        lines.append(f"| {name} | 87 to 93 % | {before} | {covered(found[data])} |")
    return [line.replace("%", " %").replace("  %", " %") for line in lines]


def main() -> None:
    """Print the table and put it into the page."""
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    text = "\n".join(table())
    begin, end = (
        "<!-- targets: begin (printed by docs/models/targets.py) -->",
        "<!-- targets: end -->",
    )
    page = PAGE.read_text(encoding="utf-8")
    before, rest = page.split(begin)
    after = rest.split(end)[1]
    PAGE.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
