"""`e3dos paper ...`: the commands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from ase_e3dos.cli.options import Device
from ase_e3dos.cli.output import check_folder
from ase_e3dos.cli.training_options import (
    DataDirectory,
    DataFiles,
    Overrides,
    Threads,
    configuration,
    fields_to_set,
    set_threads,
)
from ase_e3dos.errors import TrainingError

paper = typer.Typer(
    help="Figures, control network and experiments of the paper.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@paper.command("figures", no_args_is_help=True)
def figures_command(
    data: Annotated[Path, typer.Option(help="Parquet file of labelled crystals.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the figures.")],
    model: Annotated[
        str, typer.Option("--model", "-m", help="A model's name or a weights file.")
    ] = "paper",
    split: Annotated[str, typer.Option(help="Crystals to judge by: valid, test, all.")] = "valid",
    source: Annotated[str | None, typer.Option(help="Data source to speak for.")] = None,
    device: Device = "auto",
) -> None:
    """Draw figures 2, S12 and S13, and S7 to S10 for a model with imaginary modes."""
    from ase_e3dos.data.labelled_set import read_labelled
    from ase_e3dos.evaluation.predictions import evaluate
    from e3dos_paper.figures import write_figures

    check_folder(output)
    parts = {}
    if split == "valid" and "train" in read_labelled(data).splits:
        parts["train"] = evaluate(model, data, "train", device, source, False).predictions
    parts[split] = evaluate(model, data, split, device, source).predictions
    for path in write_figures({k: v for k, v in parts.items() if v is not None}, output):
        typer.echo(f"figure: {path}")


@paper.command("control")
def control_command(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the run.")] = Path(
        "runs/cnn"
    ),
    data_dir: DataDirectory = None,
    data: Annotated[
        Path | None, typer.Option(help="Parquet file, instead of the paper's data.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of the network and the origins.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Length of the run.")] = None,
    overrides: Overrides = None,
    device: Device = "auto",
    threads: Threads = None,
) -> None:
    """Train the control of table S3, a CNN on densities; each time anew."""
    from ase_e3dos.evaluation.metrics import format_errors
    from ase_e3dos.training.config import checked
    from ase_e3dos.training.folders import new_folders
    from e3dos_paper.cnn_baseline import PAPER_DATA, CNNSettings, train_cnn

    check_folder(output)
    set_threads(threads)
    given = {"seed": seed, "epochs": epochs}
    values = fields_to_set(overrides) | {k: v for k, v in given.items() if v is not None}
    settings = checked(CNNSettings, values, "the control network")
    file = str(data.expanduser().resolve()) if data else PAPER_DATA
    with new_folders(output):
        _, errors = train_cnn(data_dir, settings, file, typer.echo, output, device)
    typer.echo(f"control network of table S3, best epoch: {format_errors(errors)}")


@paper.command("experiment", no_args_is_help=True)
def experiment_command(
    configs: Annotated[
        list[str],
        typer.Argument(help="Presets or YAML files; several are compared in one figure."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the runs.")],
    data_dir: DataDirectory = None,
    data: DataFiles = None,
    sizes: Annotated[
        str | None, typer.Option(help="Training set sizes: 100,300,1000. Error against size.")
    ] = None,
    hold_out: Annotated[
        str | None,
        typer.Option(help="Elements to hold out: S,Se,Te. Learning them from a few examples."),
    ] = None,
    examples: Annotated[
        str, typer.Option(help="Crystals with the elements held out to learn from.")
    ] = "50,100,500",
    members: Annotated[
        int, typer.Option(min=1, help="Networks in each ensemble of --hold-out.")
    ] = 1,
    overrides: Overrides = None,
    device: Device = "auto",
    threads: Threads = None,
) -> None:
    """Validation error against training set size, or learning a chemistry that was held out.

    Stop it at any time; the same command goes on where it was. Writes results.json and a figure.
    """
    from e3dos_paper.experiment_figure import experiment_figure
    from e3dos_paper.experiments import data_efficiency, held_out_chemistry

    set_threads(threads)
    if (sizes is None) == (hold_out is None):
        raise TrainingError("choose one experiment: --sizes 100,300,1000 or --hold-out S,Se,Te.")
    check_folder(output)
    series: dict[str, list[dict[str, float]]] = {}
    file = output / "results.json"
    for config in configs:
        run = configuration(config, fields_to_set(overrides), data)
        name, where = Path(config).stem, output / Path(config).stem
        if sizes is not None:
            numbers = _integers(sizes)
            series[name] = data_efficiency(run, numbers, data_dir, where, device, typer.echo)
        elif hold_out is not None:
            elements = [s.strip() for s in hold_out.split(",")]
            found = held_out_chemistry(
                run, elements, _integers(examples), data_dir, where,
                members=members, device=device, report=typer.echo,
            )  # fmt: skip
            series |= {f"{name}, {k}" if len(configs) > 1 else k: v for k, v in found.items()}
        file.write_text(json.dumps(series, indent=1) + "\n", encoding="utf-8")
    typer.echo(f"results: {file}")
    experiment_figure(series, output / "errors.png")
    typer.echo(f"figure: {output / 'errors.png'}")


@paper.command("recipes")
def recipes_command(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the runs.")] = Path(
        "runs/recipes"
    ),
    config: Annotated[
        str, typer.Option(help="Preset or YAML file that the trials change.")
    ] = "paper",
    trial: Annotated[
        list[str] | None,
        typer.Option(help="A trial by its name; may be given several times. All without it."),
    ] = None,
    seeds: Annotated[str, typer.Option(help="Seeds of each trial: 1,2,3.")] = "1,2,3",
    data_dir: DataDirectory = None,
    data: DataFiles = None,
    overrides: Overrides = None,
    device: Device = "auto",
    threads: Threads = None,
) -> None:
    """Train the paper's network with what its text leaves open set otherwise, one by one.

    Stop it at any time; the same command goes on where it was. Prints the table, and writes
    results.json.
    """
    from ase_e3dos.training.folders import new_folders
    from e3dos_paper.recipes import CHANGES, recipe_trials, trial_table, varied

    check_folder(output)
    set_threads(threads)
    run = configuration(config, fields_to_set(overrides), data)
    names = trial or list(CHANGES)
    for name in names:
        varied(run, name)
    with new_folders(output):
        trials = recipe_trials(run, names, _integers(seeds), data_dir, output, device, typer.echo)
    typer.echo(f"\n{trial_table(trials)}")


def _integers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        raise TrainingError(f"{text!r}: write whole numbers separated by commas.") from error
