"""Experiments on data: error against training set size, fine-tuning on a chemistry held out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ase_e3dos.training.config import DataConfig, TrainingConfig
from ase_e3dos.training.ensemble import train_ensemble
from ase_e3dos.training.evaluation import evaluate
from ase_e3dos.training.run import Report, data_directory, load_part, quiet
from ase_e3dos.training.selection import contains, select

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

    Runs with equal numbers of steps differ in the data only: `steps_per_epoch` should be set.

    Returns
    -------
    list of dict
        One row for each size: `n_train` and the measures of `spectrum_errors`.
    """
    rows = []
    for size in sizes:
        first = config.data[0].model_copy(update={"limit": size})
        run = config.model_copy(update={"data": [first, *config.data[1:]]})
        path = train_ensemble(run, 1, data_dir, Path(directory) / f"n-{size}", device, report)
        rows.append({"n_train": float(size), **_validation_errors(path, run, data_dir, device)})
        report(_text(rows[-1]))
    return rows


def held_out_chemistry(
    config: TrainingConfig,
    elements: Sequence[str],
    examples: Sequence[int],
    data_dir: str | Path | None,
    directory: str | Path,
    *,
    epochs: int = 20,
    learning_rate: float = 5e-4,
    device: str = "auto",
    report: Report = quiet,
) -> list[Row]:
    """Train without crystals that contain some elements, then fine-tune with a few of them.

    Parameters
    ----------
    config
        Of the base model; every file of it loses the elements.
    elements
        Symbols, such as S, Se, Te.
    examples
        Numbers of crystals with the elements to fine-tune on.
    data_dir, directory, device, report
        As for `ase_e3dos.training.run.train`.
    epochs, learning_rate
        Of the fine-tuning.

    Returns
    -------
    list of dict
        Errors on the validation crystals that contain the elements, before (`n_train` 0) and
        after fine-tuning on each number of examples.
    """
    folder = Path(directory)
    parts = [d.model_copy(update={"without_elements": list(elements)}) for d in config.data]
    base = config.model_copy(update={"data": parts})
    start = train_ensemble(base, 1, data_dir, folder / "base", device, report)
    held = [d.model_copy(update={"with_elements": list(elements)}) for d in config.validation[:1]]
    rows = [{"n_train": 0.0, **_errors(start, held[0], data_dir, device)}]
    report(_text(rows[-1]))
    for n in examples:
        update = {"with_elements": list(elements), "limit": n}
        first = config.data[0].model_copy(update=update)
        per_batch = min(first.per_batch, n)
        tuned = config.model_copy(
            update={
                "data": [first.model_copy(update={"per_batch": per_batch})],
                "validation": held,
                "epochs": epochs,
                "steps_per_epoch": max(1, n // per_batch),
                "learning_rate": learning_rate,
                "start_from": str(start),
            }
        )
        path = train_ensemble(tuned, 1, data_dir, folder / f"tuned-{n}", device, report)
        rows.append({"n_train": float(n), **_errors(path, held[0], data_dir, device)})
        report(_text(rows[-1]))
    return rows


def _validation_errors(
    path: Path, config: TrainingConfig, data_dir: str | Path | None, device: str
) -> Row:
    return _errors(path, config.validation[0], data_dir, device)


def _errors(path: Path, part: DataConfig, data_dir: str | Path | None, device: str) -> Row:
    labelled = select(load_part(part, data_directory(data_dir)), part)
    if part.with_elements:
        labelled = labelled.subset(contains(labelled.crystals, part.with_elements))
    return evaluate(path, labelled, "all", device).errors


def _text(row: Row) -> str:
    shown = ("n_train", "n", "R2", "MAE", "MSE", "WD", "Cv_cell", "wbar")
    return " ".join(f"{k}={row[k]:.4g}" for k in shown)
