"""`e3dos evaluate`: the errors of models on a file of labelled crystals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ase_e3dos.cli.options import AsJson, Device, Grouping, TableFile
from ase_e3dos.cli.output import check_file, check_folder, print_json, write_table, writing
from ase_e3dos.errors import DataError

if TYPE_CHECKING:
    from ase_e3dos.evaluation.predictions import Evaluation, Section


def evaluate_command(
    data: Annotated[
        Path,
        typer.Option(
            help="Parquet file of labelled crystals; with --against-calculator it is written, and "
            "goes on where it stopped."
        ),
    ],
    structures: Annotated[
        list[Path] | None,
        typer.Argument(help="With --against-calculator: structure files, or folders of them."),
    ] = None,
    against_calculator: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Judge by finite displacements with a calculator that `e3dos plugins` lists "
            "(NAME=WEIGHTS, package.module:function), positions relaxed in the cells given.",
        ),
    ] = None,
    processes: Annotated[
        int, typer.Option(min=0, help="That calculate with --against-calculator; 0: this one.")
    ] = 1,
    models: Annotated[
        list[str] | None,
        typer.Option("--model", "-m", help="Name or weights file; several are compared."),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            help="Entries to use: a split of the file (valid, the default; test; train), all, or "
            "kept-out (the default for site spectra without a split valid: formulas that training "
            "left out)."
        ),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(help="Data source to speak for, such as jarvis; default the model's own."),
    ] = None,
    output: TableFile = None,
    figures: Annotated[
        Path | None,
        typer.Option(
            help="Folder for figures: coverage of the intervals, or how spectra follow strain. "
            "(Those of the paper: `e3dos paper figures` of plugins/e3dos-paper.)"
        ),
    ] = None,
    page: Annotated[
        Path | None,
        typer.Option(help="HTML file: all models on one page, with distributions and examples."),
    ] = None,
    uncertainty: Annotated[
        bool,
        typer.Option(help="Run the whole ensemble; otherwise the one network that stands for it."),
    ] = True,
    by: Annotated[
        list[Grouping] | None,
        typer.Option(
            help="A table by class of anion (anion) or by element (element) besides, of the "
            "stable crystals; may be given twice."
        ),
    ] = None,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Print the error measures of one or several models on one file."""
    from ase_e3dos.evaluation.predictions import evaluate
    from ase_e3dos.evaluation.sections import with_sections

    check_file(output, inputs=[data])
    if (against_calculator is None) != (not structures):
        raise DataError(
            "--against-calculator NAME and structures go together: it calculates their spectra "
            "into --data. Without it, --data holds labelled crystals."
        )
    check_folder(figures, "--figures")
    check_file(page, (".html", ".htm"), "--page")
    if against_calculator is not None:
        _calculate(structures or [], against_calculator, data, processes, as_json)
        split = split or "all"
    results: list[Evaluation] = []
    for model in models or ["default"]:
        found = with_sections(evaluate(model, data, split, device, source, uncertainty))
        if any(found.model == r.model for r in results):
            found = _renamed(found, str(model))
        tables = _by_chemistry(found, by or [])
        found = replace(found, sections={**found.sections, **_flat(tables)})
        results.append(found)
        if not as_json:
            _show(found, tables)
        if figures is not None:
            from ase_e3dos.evaluation.figures import write_figures

            assert found.predictions is not None
            with writing(figures, "--figures"):
                for path in write_figures(found.predictions, figures):
                    typer.echo(f"figure: {path}", err=as_json)
    if output is not None:
        write_table(output, _rows(results))
    if page is not None:
        from ase_e3dos.evaluation.comparison import comparison_page

        with writing(page, "--page"):
            comparison_page(results, page)
        typer.echo(f"page: {page}", err=as_json)
    if as_json:
        print_json([r.to_dict() for r in results])
    elif len(results) > 1:
        typer.echo(_table(results))


def _calculate(
    structures: list[Path], calculator: str, data: Path, processes: int, as_json: bool
) -> None:
    """Reference spectra of structures, into a file of labelled crystals."""
    from ase_e3dos.cli.label import crystals_of
    from ase_e3dos.data.calculated_label import LabelSettings
    from ase_e3dos.data.labelling import label_all
    from ase_e3dos.potentials.choice import check_calculator

    check_file(data, (".parquet",), "--data")
    check_calculator(calculator)
    settings = LabelSettings(displacement=0.01, relax="positions")
    crystals = [c for path in structures for c in crystals_of(path)]
    done, failed = label_all(
        crystals, calculator, data, settings, workers=processes, replace_others=False,
        report=lambda line: typer.echo(line, err=True),
    )  # fmt: skip
    typer.echo(f"{done} crystals calculated with {calculator}; {failed} failed", err=as_json)
    if not done:
        raise DataError(f"nothing could be calculated; the reasons are in {data}.errors.jsonl.")


def _renamed(found: Evaluation, name: str) -> Evaluation:
    """The same under another name, where two models have the same."""
    known = found.predictions
    predictions = None if known is None else replace(known, model=name.replace("/", "-"))
    return replace(found, model=name, predictions=predictions)


def _by_chemistry(found: Evaluation, by: list[Grouping]) -> dict[str, dict[str, Section]]:
    """Sections of each class, by what the classes tell apart."""
    from ase_e3dos.evaluation.chemistry import chemistry_sections

    assert found.predictions is not None
    return {name.value: chemistry_sections(found.predictions, name.value) for name in by}


def _flat(tables: dict[str, dict[str, Section]]) -> dict[str, Section]:
    return {f"{by} {name}": row for by, rows in tables.items() for name, row in rows.items()}


def _show(found: Evaluation, tables: dict[str, dict[str, Section]]) -> None:
    from ase_e3dos.evaluation.metrics import format_errors

    typer.echo(f"{found.model} on {found.data}, split {found.split}")
    typer.echo(format_errors(found.errors))
    in_tables = _flat(tables)
    for name, section in found.sections.items():
        if name not in in_tables:
            typer.echo(f"  {name}: {format_errors(section)}")
    for by, rows in tables.items():
        typer.echo(f"stable crystals by {by}:")
        typer.echo(_class_table(by, rows))


def _class_table(by: str, rows: dict[str, Section]) -> str:
    """A Markdown table, one row a class."""
    columns = list(next(iter(rows.values()), {}))
    lines = [f"| {by} | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for name, row in rows.items():
        cells = [f"{row[c]:.3g}" for c in columns]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _rows(results: list[Evaluation]) -> list[dict[str, Any]]:
    """A row for each model and section of the data; the first of a model is of all crystals."""
    return [
        {"model": r.model, "data": str(r.data), "split": r.split, "section": name, **errors}
        for r in results
        for name, errors in {"all": r.errors, **r.sections}.items()
    ]


def _table(results: list[Evaluation]) -> str:
    """A Markdown table, one row a model."""
    names = list(results[0].errors)
    lines = ["| model | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for found in results:
        cells = [f"{found.errors[name]:.4g}" for name in names]
        lines.append(f"| {found.model} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
