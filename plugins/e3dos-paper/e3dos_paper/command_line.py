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
from ase_e3dos.errors import PredictionError, TrainingError

paper = typer.Typer(
    help="Figures, control network and experiments of the paper.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@paper.command("overview", no_args_is_help=True)
def overview_command(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the figure.")],
    device: Device = "auto",
) -> None:
    """Draw figures 1 and S2, and print tables S1 and S3 beside what is here."""
    from e3dos_paper.overview import figure_1, table_s1_text, table_s3_text

    check_folder(output)
    typer.echo(f"{table_s1_text()}\n\n{table_s3_text()}")
    output.mkdir(parents=True, exist_ok=True)
    figure_1(output / "figure-1.png", device)
    typer.echo(f"figure: {output / 'figure-1.png'}")


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
    """Draw figures 2 and S11 to S13, and S7 to S10 for a model with imaginary modes."""
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


@paper.command("data", no_args_is_help=True)
def data_command(
    data: Annotated[Path, typer.Option(help="Parquet file of raw spectra.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the figures.")],
) -> None:
    """Draw figures S3 (raw and filtered spectra) and S6 (their mean with its imaginary part)."""
    from ase_e3dos.data.labelled_set import read_labelled
    from e3dos_paper.data_figures import figure_s3, figure_s6, mean_spectrum

    check_folder(output)
    labelled = read_labelled(data)
    found = mean_spectrum(labelled)
    output.mkdir(parents=True, exist_ok=True)
    figure_s3(labelled, output / "figure-s3.png")
    figure_s6(found, output / "figure-s6.png")
    typer.echo(
        f"{len(labelled)} spectra; average frequency of the part below zero, none counted as 0: "
        f"{found.imaginary.mean():.2f} cm^-1, standard deviation {found.imaginary.std():.2f}\n"
        f"below zero: {100 * found.shares.mean():.2f} % of the modes on average; "
        f"{100 * (found.shares > 0.01).mean():.1f} % of the materials have more than 1 %"
    )
    for name in ("s3", "s6"):
        typer.echo(f"figure: {output / f'figure-{name}.png'}")


@paper.command("materials")
def materials_command(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the figures.")],
    data_dir: DataDirectory = None,
    model: Annotated[
        str, typer.Option("--model", "-m", help="Beside the model `paper`: a name or a file.")
    ] = "default",
    device: Device = "auto",
) -> None:
    """Draw figures 5d, 5e and S15 and print table S2, with and without structures seen before."""
    from ase_e3dos import predict
    from ase_e3dos.data.labelled_set import read_labelled
    from ase_e3dos.evaluation.predictions import evaluate
    from ase_e3dos.training.run import data_directory
    from e3dos_paper.known_crystals import trained_on
    from e3dos_paper.table_s2 import (
        figure_5d,
        figure_5e,
        figure_s15,
        materials,
        table_text,
        validation_text,
    )

    label = Path(model).stem  # of a weights file, too
    if label == "paper":
        raise PredictionError("`paper` is compared already: name the model that stands beside it.")
    check_folder(output)
    folder = data_directory(data_dir)
    known = trained_on(model, folder)
    found = materials(folder, known)
    for name in (model, "paper"):
        predicted = predict([m.crystal for m in found], model=name, device=device)
        for material, spectrum in zip(found, predicted, strict=True):
            material.spectra[Path(name).stem] = spectrum
    typer.echo(table_text(found, label))
    output.mkdir(parents=True, exist_ok=True)
    labelled = read_labelled(folder / "dfpt_petretto.parquet")
    names = list(dict.fromkeys((model, "paper", "combined")))
    judged = [evaluate(name, labelled, "valid", device).predictions for name in names]
    valid = [predictions for predictions in judged if predictions is not None]
    seen = [known, *(trained_on(name, folder) for name in names[1:])]
    typer.echo(f"\n{validation_text(valid, seen)}")
    written = [output / f"figure-{name}.png" for name in ("5d", "5e", "s15")]
    figure_5d(found, written[0])
    figure_5e(found, written[1])
    figure_s15(found, valid[0], written[2])
    for path in written:
        typer.echo(f"figure: {path}")


@paper.command("measured", no_args_is_help=True)
def measured_command(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the figure.")],
    data: Annotated[
        Path | None, typer.Option(help="Parquet file of the paper's DFPT spectra, to draw them.")
    ] = None,
    points: Annotated[
        Path | None,
        typer.Option(help="Folder with points that you digitised: UO2.csv, SrTiO3.csv, ..."),
    ] = None,
    models: Annotated[
        list[str] | None, typer.Option("--model", "-m", help="May be given several times.")
    ] = None,
    device: Device = "auto",
) -> None:
    """Draw figure 3: six materials that were measured, and your points of them."""
    from e3dos_paper.measured_spectra import figure_3, measured_materials, measured_text

    check_folder(output)
    found = measured_materials(models or ["default", "paper"], data, points, device)
    typer.echo(measured_text(found))
    output.mkdir(parents=True, exist_ok=True)
    figure_3(found, output / "figure-3.png")
    typer.echo(f"figure: {output / 'figure-3.png'}")


@paper.command("screening", no_args_is_help=True)
def screening_command(
    screened: Annotated[Path, typer.Argument(help="Output of `e3dos screen`.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the figures.")],
    data_dir: DataDirectory = None,
) -> None:
    """Draw figures 5a to 5c, S1 and S14 of a screening; with the data, what was known before."""
    from ase_e3dos.screening.report import read_screen
    from ase_e3dos.training.run import data_directory
    from e3dos_paper.known_crystals import trained_on
    from e3dos_paper.screen_figures import figure_5, figure_s1, figure_s14, known_text

    check_folder(output)
    rows = read_screen(screened)
    output.mkdir(parents=True, exist_ok=True)
    for draw, name in ((figure_5, "5"), (figure_s1, "s1"), (figure_s14, "s14")):
        draw(rows, output / f"figure-{name}.png")
        typer.echo(f"figure: {output / f'figure-{name}.png'}")
    if data_dir is not None:
        folder = data_directory(data_dir)
        known = trained_on(rows.about["model"], folder)
        typer.echo(known_text(rows, known, folder / "structures_mp.parquet"))


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
