"""Training the paper's control network: the comparison of table S3 and figure S16."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from safetensors.torch import save_file
from torch import Tensor

from ase_e3dos.data.labelled_set import LabelledSet
from ase_e3dos.data.labels import PAPER_GRID
from ase_e3dos.errors import TrainingError
from ase_e3dos.evaluation.metrics import format_errors, spectrum_errors
from ase_e3dos.network.device import resolve_device
from ase_e3dos.network.precision import float32_on
from ase_e3dos.training.checkpoint import History
from ase_e3dos.training.config import DataConfig
from ase_e3dos.training.loss import paper_loss
from ase_e3dos.training.run import Report, data_directory, load_part, quiet
from ase_e3dos.training.selection import select
from e3dos_paper.cnn_network import GRID, DensityCNN, densities, translated
from e3dos_paper.examples_by_error import examples_by_error

PAPER_DATA = "dfpt_petretto.parquet"


class CNNSettings(BaseModel):
    """What the supplement leaves open is our choice: batch size, rate, number of epochs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    epochs: int = Field(40, ge=1)
    batch: int = Field(32, ge=1)
    learning_rate: float = Field(1e-3, gt=0)
    translations: int = Field(4, ge=0)
    seed: int = Field(0, ge=0)


def train_cnn(
    data_dir: str | Path | None = None,
    settings: CNNSettings | None = None,
    file: str = PAPER_DATA,
    report: Report = quiet,
    directory: str | Path | None = None,
    device: str = "auto",
) -> tuple[DensityCNN, dict[str, float]]:
    """Train the control on the paper's data and measure it on the validation materials.

    Each crystal is shown with its own origin and with `translations` random ones. Validation is
    at the crystals' own origins.

    Parameters
    ----------
    data_dir : str or Path, optional
        Folder of the data; None for E3DOS_DATA.
    settings : CNNSettings, optional
        Defaults if not given.
    file : str, optional
        Parquet file with raw labels and the splits train and valid; relative to the folder.
    report : callable, optional
        Gets a line of text after each epoch.
    directory : str or Path, optional
        Folder for `history.jsonl` (a row an epoch), `results.json` (settings and the errors
        of the best epoch), `network.safetensors` and `figure-s16.png` (validation crystals by
        their error); None writes nothing.
    device : str, optional
        "auto", "cpu", "cuda", ...

    Returns
    -------
    network, errors
        The network of the best epoch, and the measures of `spectrum_errors` on validation.

    Raises
    ------
    TrainingError, DataError
        The file is missing or holds no raw spectra.
    """
    settings = settings or CNNSettings()
    folder = Path.cwd() if Path(file).is_absolute() else data_directory(data_dir)
    where = resolve_device(device)
    parts: list[tuple[Tensor, Tensor, LabelledSet]] = []
    for split in ("train", "valid"):
        part = DataConfig(path=file, split=split, per_batch=1)
        labelled = select(load_part(part, folder), part)
        if labelled.label is None or labelled.kind != "raw":
            raise TrainingError(
                f"{file}: the control network learns from raw spectra, and these are "
                f"{labelled.kind} ones. Give a file with the column dos_per_cm1."
            )
        grids = torch.from_numpy(np.stack([densities(c) for c in labelled.crystals]))
        parts.append((grids, torch.from_numpy(labelled.label), labelled))
    (grids, label, _), (valid_grids, _, valid) = parts
    scale = grids.std(dim=(0, 2, 3, 4), keepdim=True)
    torch.manual_seed(settings.seed)
    with float32_on("cpu"):
        network = DensityCNN(label.shape[1]).to(where)
    optimizer = torch.optim.AdamW(network.parameters(), settings.learning_rate)
    rng = np.random.default_rng(settings.seed)
    steps = rng.integers(0, GRID, (settings.translations + 1, len(grids), 3))
    steps[0] = 0
    best: tuple[float, dict[str, Any], dict[str, float]] = (np.inf, {}, {})
    history = History()
    output = None if directory is None else Path(directory)
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
    for epoch in range(settings.epochs):
        network.train()
        order = rng.permutation(len(grids) * len(steps))
        losses = []
        for start in range(0, len(order), settings.batch):
            copy, index = np.divmod(order[start : start + settings.batch], len(grids))
            moved = torch.stack(
                [
                    translated(grids[i], tuple(steps[c, i].tolist()))
                    for c, i in zip(copy, index, strict=True)
                ]
            )
            wanted = label[torch.from_numpy(index)].to(where)
            loss = paper_loss(network((moved / scale[0]).to(where)), wanted)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
        errors = evaluate_cnn(network, valid_grids / scale[0], valid)
        row = {"epoch": float(epoch), "loss": float(np.mean(losses))}
        row |= {f"valid_{k}": v for k, v in errors.items() if k != "n"}
        history.add(row, None if output is None else output / "history.jsonl")
        report(format_errors(row))
        if errors["MSE"] < best[0]:
            state = {k: v.clone() for k, v in network.state_dict().items()}
            best = (errors["MSE"], state, errors)
    network.load_state_dict(best[1])
    if output is not None:
        results = {"settings": settings.model_dump(), "data": file, "errors": best[2]}
        text = json.dumps(results, indent=1) + "\n"
        (output / "results.json").write_text(text, encoding="utf-8")
        tensors = {**network.cpu().state_dict(), "scale": scale[0].contiguous()}
        save_file(tensors, output / "network.safetensors")
        network.to(where)
        figure_s16(network, valid_grids / scale[0], valid, output / "figure-s16.png")
    return network, best[2]


def evaluate_cnn(network: DensityCNN, grids: Tensor, labelled: LabelledSet) -> dict[str, float]:
    """The usual measures of the control network's spectra."""
    assert labelled.label is not None
    predicted = _predicted(network, grids)
    return spectrum_errors(predicted, labelled.label, labelled.n_sites, PAPER_GRID)


def figure_s16(network: DensityCNN, grids: Tensor, labelled: LabelledSet, path: Path) -> None:
    """Examples of the control network's spectra, the smallest error first."""
    assert labelled.label is not None
    predicted, reference = _predicted(network, grids).astype(float), labelled.label.astype(float)
    title = "CNN of table S3"
    examples_by_error(PAPER_GRID, predicted, reference, labelled.formulas, title, path, 60)


@torch.no_grad()
def _predicted(network: DensityCNN, grids: Tensor) -> NDArray[np.float32]:
    network.eval()
    device = next(network.parameters()).device
    spectra: NDArray[np.float32] = network(grids.to(device)).cpu().numpy()
    return spectra
