"""Experiments on data: error against training set size, and a chemistry that is held out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ase_e3dos.data.labelled_set import LabelledSet
from ase_e3dos.errors import TrainingError, UnseenElementWarning
from ase_e3dos.evaluation.predictions import Evaluation, evaluate
from ase_e3dos.training.config import DataConfig, TrainingConfig
from ase_e3dos.training.ensemble import train_ensemble
from ase_e3dos.training.run import Report, data_directory, load_part, quiet
from ase_e3dos.training.selection import select

Row = dict[str, float]


def data_efficiency(
    config: TrainingConfig,
    sizes: Sequence[int],
    data_dir: str | Path | None,
    directory: str | Path,
    device: str = "auto",
    report: Report = quiet,
) -> list[Row]:
    """Validation errors after training on the first n crystals of the first file.

    Smaller sets are part of the larger ones. Runs with equal numbers of steps differ in the data
    only: `steps_per_epoch` should be set. With `patience` the validation data choose the epoch,
    which flatters every size alike.

    Returns
    -------
    list of dict
        One row for each size: `n_train` (what there was, where fewer than asked) and the
        measures of `spectrum_errors`.

    Raises
    ------
    TrainingError
        There are no validation data to judge by, or a size leaves nothing to train on.
    """
    rows = []
    judge = _judge(config)
    folder = data_directory(data_dir, config)
    for size in sizes:
        first = config.data[0].model_copy(update={"limit": size})
        run = config.model_copy(update={"data": [first, *config.data[1:]]})
        path = train_ensemble(run, 1, data_dir, Path(directory) / f"n-{size}", device, report)
        n_train = float(len(select(load_part(first, folder), first)))
        labelled = select(load_part(judge, folder), judge)
        errors = evaluate(path, labelled, "all", device).errors
        rows.append({"n_train": n_train, **errors})
        report(_text(rows[-1]))
    return rows


def held_out_chemistry(
    config: TrainingConfig,
    elements: Sequence[str],
    examples: Sequence[int],
    data_dir: str | Path | None,
    directory: str | Path,
    *,
    members: int = 1,
    epochs: int = 20,
    learning_rate: float = 5e-4,
    scratch: bool = True,
    device: str = "auto",
    report: Report = quiet,
) -> dict[str, list[Row]]:
    """Train without crystals that contain some elements, then learn them from a few examples.

    Parameters
    ----------
    config : TrainingConfig
        Of the base model; every file of it loses the elements. Examples come from the first
        file, and the first validation file is the judge, so nothing stops early by it.
    elements : sequence of str
        Symbols, such as S, Se, Te.
    examples : sequence of int
        Numbers of crystals with the elements to learn from.
    data_dir, directory, device, report
        As for `ase_e3dos.training.run.train`.
    members : int, optional
        Networks of each ensemble; two or more show what the uncertainty does.
    epochs, learning_rate
        Of the fine-tuning.
    scratch : bool, optional
        Train on the examples alone too, with the schedule of the base model: the control.

    Returns
    -------
    dict
        "fine-tuned": rows with `n_train` 0 (the base model) and each number of examples;
        "from scratch": rows for each number. Measures of `spectrum_errors` on the validation
        crystals that contain the elements; `elsewhere_...` on those that do not.
        With several members also `spread`, the median over crystals of the members' relative
        spread of the average frequency, and `unseen`, the share of crystals whose prediction
        warns of elements that the weights never saw.

    Raises
    ------
    TrainingError
        There are no validation data to judge by, or no crystals with (or without) the elements.
    """
    folder, where = Path(directory), data_directory(data_dir, config)
    symbols = list(elements)
    parts = [d.model_copy(update={"without_elements": symbols}) for d in config.data]
    judge = _judge(config)
    held = judge.model_copy(update={"with_elements": symbols})
    rest = judge.model_copy(update={"without_elements": symbols})
    sets = [select(load_part(p, where), p) for p in (held, rest)]

    def trained(run: TrainingConfig, name: str, n_train: int) -> tuple[Path, Row]:
        path = train_ensemble(run, members, data_dir, folder / name, device, report)
        row = {"n_train": float(n_train), **_held_and_rest(path, sets, device)}
        report(f"{name}: {_text(row)}")
        return path, row

    config = config.model_copy(update={"patience": None})
    base = config.model_copy(update={"data": parts, "validation": [rest]})
    start, row = trained(base, "base", 0)
    rows: dict[str, list[Row]] = {"fine-tuned": [row]}
    for n in examples:
        first = _examples(config.data[0], symbols, n)
        found = len(select(load_part(first, where), first))
        only: dict[str, Any] = {"data": [first], "validation": [held]}
        tuning = {
            "epochs": epochs,
            "steps_per_epoch": max(1, found // first.per_batch),
            "learning_rate": learning_rate,
            "start_from": str(start),
        }
        rows["fine-tuned"].append(
            trained(config.model_copy(update=only | tuning), f"tuned-{n}", found)[1]
        )
        if scratch:
            alone = config.model_copy(update=only)
            rows.setdefault("from scratch", []).append(trained(alone, f"scratch-{n}", found)[1])
    return rows


def _judge(config: TrainingConfig) -> DataConfig:
    """The validation part that errors are measured on."""
    if not config.validation:
        raise TrainingError(
            "an experiment needs validation data to judge by, and the configuration has none: "
            "give a file with a split valid (`e3dos data show` tells), or list it under validation."
        )
    return config.validation[0]


def _examples(part: DataConfig, symbols: list[str], n: int) -> DataConfig:
    """The first n crystals with the elements."""
    per_batch = min(part.per_batch, n)
    return part.model_copy(update={"with_elements": symbols, "limit": n, "per_batch": per_batch})


def _held_and_rest(path: Path, sets: list[LabelledSet], device: str) -> Row:
    row: Row = {}
    for prefix, labelled in zip(("", "elsewhere_"), sets, strict=True):
        found = evaluate(path, labelled, "all", device)
        values = found.errors | uncertainty(found)
        row |= {f"{prefix}{key}": value for key, value in values.items()}
    return row


def uncertainty(found: Evaluation) -> Row:
    """How sure the model says it is: median spread, and the share of unseen elements.

    Returns
    -------
    dict
        `spread`, the median of the members' relative spread of the average frequency (absent
        for one network); `unseen`, the share of crystals with an `UnseenElementWarning`.
    """
    assert found.predictions is not None
    spectra = found.predictions.spectra
    row = {
        "unseen": float(
            np.mean([any(isinstance(w, UnseenElementWarning) for w in s.warnings) for s in spectra])
        )
    }
    if all(s.members is not None and len(s.members) > 1 for s in spectra):
        spreads = [s.spread("mean_wavenumber") / max(abs(s.mean_wavenumber), 1.0) for s in spectra]
        row["spread"] = float(np.median(spreads))
    return row


def _text(row: Row) -> str:
    shown = ("n_train", "n", "R2", "MAE", "WD", "Cv_atom", "wbar", "spread", "unseen")
    known = [k for k in (*shown, "elsewhere_MAE", "elsewhere_spread") if k in row]
    return " ".join(f"{k}={row[k]:.4g}" for k in known)
