"""Trials of the paper's recipe: what the text leaves open or the published code does otherwise.

Three trials more are of ours: the ReLU that ends the network gives no gradient where it is zero. A
frequency that early steps make zero for every crystal can stay so, and costs all of its squared
error; seeds differ in how many there are (`network_errors`). The trial "gradient" passes the
gradient of these zeros in training; what the network predicts from its weights is unchanged.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ase_e3dos.data.labelled_set import LabelledSet
from ase_e3dos.errors import DataError, TrainingError
from ase_e3dos.evaluation.predictions import evaluate
from ase_e3dos.structures.json_text import parse_json
from ase_e3dos.training.config import TrainingConfig, overridden
from ase_e3dos.training.run import Report, data_directory, load_part, quiet, train
from ase_e3dos.training.selection import select

Row = dict[str, float]

#: What the code that the authors published does otherwise than the preset `paper`, one by one.
CHANGES: dict[str, tuple[str, dict[str, Any]]] = {
    "preset": ("as the preset", {}),
    "embedding": ("bias and ReLU after the embedding", {"settings.embedding_activation": 1}),
    "neighbors": ("sums over neighbours over sqrt(40), not sqrt(30)", {"settings.neighbors": 40.0}),
    "radial": ("100 hidden units in the radial functions, not 16", {"settings.radial_hidden": 100}),
    "average": ("no averaging of the weights", {"weight_average": 0.0}),
}
CHANGES["published"] = (
    "all four, as the published code",
    {key: value for _, fields in CHANGES.values() for key, value in fields.items()},
)
CHANGES["gradient"] = (
    "gradients pass the last ReLU where it is zero (ours)",
    {"settings.output_gradient": 1},
)
CHANGES["together"] = (
    "gradients pass, and the first three changes of the published code; weights averaged",
    {
        key: value
        for name in ("embedding", "neighbors", "radial", "gradient")
        for key, value in CHANGES[name][1].items()
    },
)
CHANGES["narrow"] = (
    "as the last, with the preset's 16 hidden units in the radial functions",
    {k: v for k, v in CHANGES["together"][1].items() if k != "settings.radial_hidden"},
)
#: Columns of the table: measure, heading, format.
COLUMNS = (
    ("R2", "R²", "{:.3f}"),
    ("MSE", "MSE", "{:.4f}"),
    ("MAE", "MAE", "{:.3f}"),
    ("WD", "Wasserstein (cm⁻¹)", "{:.1f}"),
    ("wbar", "average frequency (cm⁻¹)", "{:.1f}"),
    ("within10", "within 10 %", "{:.1%}"),
    ("silent", "silent points", "{:.1f}"),
)


@dataclass(frozen=True)
class Trial:
    """One change of the recipe, and what its networks reached on validation.

    Attributes
    ----------
    name, change : str
        Short name, and what is changed in words.
    rows : dict of int to dict
        Measures of `spectrum_errors` by the seed.
    """

    name: str
    change: str
    rows: dict[int, Row] = field(default_factory=dict)


def finished_trials(directory: str | Path) -> list[Trial]:
    """Trials with the networks that are finished in the folder of a run, in the order of `CHANGES`.

    Raises
    ------
    DataError
        No network is finished.
    """
    trials = []
    for name, (change, _) in CHANGES.items():
        found = {
            int(path.parent.name.removeprefix("seed-")): parse_json(path.read_text("utf-8"))
            for path in Path(directory).glob(f"{name}/seed-*/errors.json")
        }
        if found:
            trials.append(Trial(name, change, dict(sorted(found.items()))))
    if not trials:
        raise DataError(f"{directory}: no finished network; `e3dos paper recipes` trains some.")
    return trials


def write_trials(trials: Sequence[Trial], path: str | Path) -> None:
    """Write trials as JSON, which `read_trials` reads."""
    content = {t.name: {"change": t.change, "seeds": t.rows} for t in trials}
    Path(path).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def read_trials(path: str | Path) -> list[Trial]:
    """Trials from a file of `write_trials`, such as the `results.json` of a run."""
    found = parse_json(Path(path).read_text(encoding="utf-8"))
    return [
        Trial(name, trial["change"], {int(seed): row for seed, row in trial["seeds"].items()})
        for name, trial in found.items()
    ]


def best_network(trials: Sequence[Trial]) -> tuple[Trial, int] | None:
    """Trial and seed of the network with the smallest MSE; None where no network is finished."""
    every = [(row["MSE"], t.name, seed, t) for t in trials for seed, row in t.rows.items()]
    if not every:
        return None
    _, _, seed, trial = min(every, key=lambda found: found[0])
    return trial, seed


def network_errors(path: str | Path, labelled: LabelledSet, device: str = "auto") -> Row:
    """Measures of `spectrum_errors` of a weights file, and its silent points.

    Silent are the points of the label grid at which the spectra of all crystals are zero.
    """
    found = evaluate(path, labelled, "all", device)
    assert found.predictions is not None
    _, predicted, _ = found.predictions.on_label_grid()
    return {**found.errors, "silent": float((predicted.max(axis=0) <= 0).sum())}


def judged(config: TrainingConfig, data_dir: str | Path | None) -> LabelledSet:
    """The first validation set of a configuration."""
    part = config.validation[0]
    return select(load_part(part, data_directory(data_dir, config)), part)


def varied(config: TrainingConfig, name: str) -> TrainingConfig:
    """The configuration of a trial.

    Raises
    ------
    TrainingError
        There is no trial of this name.
    """
    if name not in CHANGES:
        raise TrainingError(f"no trial is called {name!r}; there are {', '.join(CHANGES)}.")
    fields = CHANGES[name][1]
    return TrainingConfig.model_validate(overridden(config.model_dump(), fields))


def recipe_trials(
    config: TrainingConfig,
    names: Sequence[str],
    seeds: Sequence[int],
    data_dir: str | Path | None,
    directory: str | Path,
    device: str = "auto",
    report: Report = quiet,
) -> list[Trial]:
    """Train every trial with every seed, one network after the other, and judge it.

    A network whose folder holds its errors is not trained again, and one that was stopped goes
    on at its last full epoch. The best network is that with the smallest MSE: the
    validation crystals choose it, and flatter it by that.

    Parameters
    ----------
    config : TrainingConfig
        That is changed; the preset `paper` for the paper's own question.
    names : sequence of str
        Keys of `CHANGES`.
    seeds : sequence of int
        Of each trial.
    data_dir, device, report
        As for `ase_e3dos.training.run.train`.
    directory : str or Path
        Networks in NAME/seed-N; `results.json` after each of them.

    Raises
    ------
    TrainingError
        A name is unknown, or there are no validation data to judge by.
    """
    if not config.validation:
        raise TrainingError("trials need validation data to judge by: list a file under it.")
    trials = {name: (varied(config, name), Trial(name, CHANGES[name][0], {})) for name in names}
    folder = Path(directory)
    judge = judged(config, data_dir)
    for seed in seeds:  # a whole round first: a run that is stopped has compared something
        for name, (run, trial) in trials.items():
            where = folder / name / f"seed-{seed}"
            known = where / "errors.json"
            if not known.is_file():
                seeded = run.model_copy(update={"seed": seed})
                path = where / "weights.safetensors"
                trained = train(seeded, data_dir, where, device, report)
                trained.save(path)
                errors = network_errors(path, judge, device)
                known.write_text(json.dumps(errors, indent=1) + "\n", encoding="utf-8")
            trial.rows[seed] = parse_json(known.read_text(encoding="utf-8"))
            row = trial.rows[seed]
            report(f"{name}, seed {seed}: R2={row['R2']:.3f} within10={row['within10']:.3f}")
            write_trials(finished_trials(folder), folder / "results.json")
    return [trial for _, trial in trials.values()]


def trial_table(trials: Sequence[Trial]) -> str:
    """Markdown: a row for each trial, mean and standard deviation over its seeds; then the best."""
    lines = [
        "| trial | seeds | " + " | ".join(heading for _, heading, _ in COLUMNS) + " |",
        "| --- | ---: |" + " ---: |" * len(COLUMNS),
    ]
    for trial in trials:
        cells = []
        for key, _, form in COLUMNS:
            values = np.array([row[key] for row in trial.rows.values() if key in row])
            spread = f" ± {form.format(values.std(ddof=1))}" if len(values) > 1 else ""
            cells.append(form.format(values.mean()) + spread if len(values) else "")
        lines.append(f"| {trial.change} | {len(trial.rows)} | " + " | ".join(cells) + " |")
    best = best_network(trials)
    if best is not None:
        trial, seed = best
        row = trial.rows[seed]
        lines += [
            "",
            f"Best single network by the validation MSE: {trial.name}, seed {seed}, R² "
            f"{row['R2']:.3f}, {row['within10']:.1%} within 10 %.",
        ]
    return "\n".join(lines)
