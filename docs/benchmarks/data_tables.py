"""Write the tables of docs/benchmarks/data-efficiency.md and "What made it faster" of index.md.

    python docs/benchmarks/data_tables.py [--control runs/cnn] [--sizes runs/efficiency]
        [--held-out runs/held-out] [--data dfpt_petretto.parquet] [--figures]

Numbers stand in data_efficiency.json and changes.csv beside this script, with the commit that they
were measured with. A run that is named (the folder that `e3dos paper control` or `e3dos paper
experiment` wrote) replaces its numbers first, and `paired.py --record CHANGE` adds rows to
changes.csv. --data evaluates the shipped models anew. --figures draws both figures of the page from
the record; it needs the plug-in plugins/e3dos-paper. Numbers of runs that were not repeated since
their commit are what its page said, with its digits.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from paired import commit_of

HERE = Path(__file__).resolve().parent
RECORD, CHANGES = HERE / "data_efficiency.json", HERE / "changes.csv"
PAGE, INDEX = HERE / "data-efficiency.md", HERE / "index.md"

# key, heading, format
MEASURES = {
    "R2": ("R²", "{:.3f}"),
    "MAE": ("MAE", "{:.3f}"),
    "MSE": ("MSE", "{:.4f}"),
    "WD": ("Wasserstein (cm⁻¹)", "{:.1f}"),
    "Cv_atom": ("C_V (J/K per mol of atoms)", "{:.2f}"),
    "wbar": ("average frequency (cm⁻¹)", "{:.1f}"),
    "within10": ("within 10 %", "{:.0%}"),
}
Row = dict[str, Any]


def table(heads: list[str], rows: list[list[str]], left: int = 1) -> str:
    """Markdown; the first columns are aligned to the left."""
    marks = ["---"] * left + ["---:"] * (len(heads) - left)
    return "\n".join("| " + " | ".join(row) + " |" for row in [heads, marks, *rows])


def measures(row: Row, keys: list[str], digits: dict[str, str] | None = None) -> list[str]:
    """Cells of a row."""
    return [((digits or {}).get(key) or MEASURES[key][1]).format(row[key]) for key in keys]


def control(record: Row) -> str:
    """The CNN beside models that ship."""
    keys = list(MEASURES)
    rows = [[name, *measures(row, keys)] for name, row in record["control"].items()]
    text = table(["", *(MEASURES[key][0] for key in keys)], rows)
    return f"{text}\n\nThe CNN was trained with {_commit(record, 'control')}."


def sizes(record: Row) -> str:
    """Errors against the number of crystals."""
    keys = ["R2", "MAE", "WD", "Cv_atom", "wbar"]
    rows = []
    for name, series in record["sizes"].items():
        for k, row in enumerate(series):
            cells = measures(row, keys)
            rows.append([f"`{name}`" if k == 0 else "", f"{row['n_train']:.0f}", *cells])
    text = table(["", "crystals", *(MEASURES[key][0] for key in keys)], rows)
    return f"{text}\n\nRun with {_commit(record, 'sizes')}."


def held_out(record: Row) -> str:
    """A chemistry that is held out."""
    keys = ["R2", "MAE", "WD", "Cv_atom", "wbar", "within10"]
    rows = []
    for name, series in record["held_out"].items():
        for row in series:
            label = "base" if row["n_train"] == 0 else name
            cells = measures(row, keys, {"MAE": "{:.4f}"})
            rows.append([label, f"{row['n_train']:.0f}", *cells])
    n = record["held_out"]["fine-tuned"][0]["n"]
    text = table(["", "examples", *(MEASURES[key][0] for key in keys)], rows)
    return f"On {n:.0f} validation crystals, with {_commit(record, 'held_out')}:\n\n{text}"


def elsewhere(record: Row) -> str:
    """What the same networks do on crystals without the elements."""
    n = record["held_out"]["fine-tuned"][0]["elsewhere_n"]
    rows = []
    for row in record["elsewhere"]:
        spread = f"{100 * row['spread']:.1f} %" if "spread" in row else ""
        rows.append([row["name"], f"{row['MAE']:.3f}", spread])
    text = table(["", "MAE", "median spread of the average frequency"], rows)
    return f"On {n:.0f} validation crystals without S, Se and Te:\n\n{text}"


def rows_elsewhere(held_out: Row) -> list[Row]:
    """The base and the most examples, of a run that `e3dos paper experiment --hold-out` wrote."""
    rows = []
    for name, series in held_out.items():
        for row in (series[0], series[-1]) if name == "fine-tuned" else series[-1:]:
            n = row["n_train"]
            label = f"{name}, {n:.0f} examples" if n else "base"
            rows.append({"name": label, "MAE": row["elsewhere_MAE"]})
            if "elsewhere_spread" in row:
                rows[-1]["spread"] = row["elsewhere_spread"]
    return rows


def unseen(record: Row) -> str:
    """Spread and warnings on elements that the weights never saw."""
    base, first = record["held_out"]["fine-tuned"][:2]
    rows = [
        ["base, crystals without S, Se, Te", base["elsewhere_spread"], base["elsewhere_unseen"]],
        ["base, crystals with them", base["spread"], base["unseen"]],
        [f"after {first['n_train']:.0f} examples, crystals with them", first["spread"],
         first["unseen"]],
    ]  # fmt: skip
    heads = [
        "",
        "median spread of the average frequency",
        "crystals with a warning of unseen elements",
    ]
    return table(heads, [[name, f"{100 * a:.1f} %", f"{100 * b:.3g} %"] for name, a, b in rows])


def _commit(record: Row, part: str) -> str:
    return f"commit {record['commits'][part]}"


def draw(record: Row) -> None:
    """Both figures of the page."""
    from e3dos_paper.experiment_figure import experiment_figure

    folder = HERE.parent / "figures"
    experiment_figure(record["sizes"], folder / "data_efficiency.png")
    experiment_figure(record["held_out"], folder / "held_out.png")


def changes() -> str:
    """What made it faster."""
    with CHANGES.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    cells, last = [], ""
    for row in rows:
        change = "" if row["change"] == last else row["change"]
        last = row["change"]
        measured = [row[key] for key in ("measured", "how", "commit", "before", "after")]
        cells.append([change, *measured])
    return table(["change", "measured", "how", "commit", "before", "after"], cells, left=4)


def written(
    page: Path, tables: dict[str, str], script: str = "docs/benchmarks/data_tables.py"
) -> None:
    """Put tables between the marks of a page, which name the script.

    Raises
    ------
    SystemExit
        A mark is missing.
    """
    text = page.read_text(encoding="utf-8")
    for name, content in tables.items():
        begin = f"<!-- {name}: begin (written by {script}) -->"
        marks = re.compile(rf"{re.escape(begin)}\n.*?\n<!-- {name}: end -->", re.DOTALL)
        if not marks.search(text):
            sys.exit(f"{page.name} has no marks of {name!r}")
        whole = f"{begin}\n\n{content}\n\n<!-- {name}: end -->"
        text = marks.sub(lambda _, whole=whole: whole, text)
        print(f"-- {page.name}, {name}\n{content}")
    page.write_text(text, encoding="utf-8")


def of_model(data: Path, model: str) -> Row:
    """Errors of a shipped model on the validation crystals."""
    command = [sys.executable, "-c", "from ase_e3dos.cli import main; main()", "evaluate"]
    command += ["--data", str(data), "-m", model, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    errors: Row = json.loads(done.stdout)[0]["errors"]
    return errors


def main() -> None:
    """Take in what was run, and write the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--control", type=Path, help="folder of `e3dos paper control`")
    parser.add_argument("--sizes", type=Path, help="folder of `e3dos paper experiment --sizes`")
    parser.add_argument("--held-out", type=Path, help="folder of `... experiment --hold-out`")
    parser.add_argument("--data", type=Path, help="DFPT spectra: evaluate `paper`, `default` anew")
    parser.add_argument("--figures", action="store_true", help="draw the figures, too")
    options = parser.parse_args()
    record: Row = json.loads(RECORD.read_text(encoding="utf-8"))
    if options.control:
        found = json.loads((options.control / "results.json").read_text(encoding="utf-8"))
        record["control"]["CNN, table S3"] = found["errors"]
    if options.data:
        for model in ("paper", "default"):
            record["control"][f"`{model}`"] = of_model(options.data, model)
    if options.sizes:
        record["sizes"] = json.loads((options.sizes / "results.json").read_text(encoding="utf-8"))
    if options.held_out:
        text = (options.held_out / "results.json").read_text(encoding="utf-8")
        record["held_out"] = json.loads(text)
        record["elsewhere"] = rows_elsewhere(record["held_out"])
    for part in record["commits"]:
        if getattr(options, part):
            record["commits"][part] = commit_of(HERE)
    RECORD.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    written(PAGE, {
        "control": control(record), "sizes": sizes(record), "held-out": held_out(record),
        "elsewhere": elsewhere(record), "unseen": unseen(record),
    })  # fmt: skip
    written(INDEX, {"changes": changes()})
    if options.figures:
        draw(record)


if __name__ == "__main__":
    main()
