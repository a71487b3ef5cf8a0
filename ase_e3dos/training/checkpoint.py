"""The state of a run on the disk: the checkpoint, and the history of its epochs."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from ase_e3dos.errors import TrainingError
from ase_e3dos.structures.paths import is_file
from ase_e3dos.training.config import TrainingConfig

CHECKPOINT = "checkpoint.pt"


@dataclass
class History:
    """One row of numbers for each epoch, kept as JSON lines beside the checkpoint."""

    rows: list[dict[str, float]] = field(default_factory=list)

    def add(self, row: dict[str, float], path: Path | None) -> None:
        """Append a row, to the file too."""
        self.rows.append(row)
        if path is not None:
            path.write_text("".join(json.dumps(r) + "\n" for r in self.rows))


def write_checkpoint(directory: Path, state: dict[str, Any]) -> None:
    """Write the whole state, replacing the former file only when the new one is complete.

    Parameters
    ----------
    directory : Path
    state : dict
        As `read_checkpoint` gives it back.
    """
    temporary = directory / "checkpoint.tmp"
    torch.save(state, temporary)
    temporary.replace(directory / CHECKPOINT)


def read_checkpoint(
    path: Path, device: torch.device | str = "cpu"
) -> tuple[dict[str, Any], TrainingConfig]:
    """The state of a run and the configuration that it was made with.

    Raises
    ------
    TrainingError
        There is no such file, or it is not a checkpoint.
    """
    if not is_file(path):
        raise TrainingError(f"{path}: no such checkpoint, so there is no run to go on with.")
    try:
        state = torch.load(path, map_location=device, weights_only=True)
        return state, TrainingConfig.model_validate_json(state["config"])
    except Exception as error:  # damage shows in many ways
        raise TrainingError(no_checkpoint(path)) from error


def no_checkpoint(path: Path) -> str:
    """What to say of a file that is none."""
    return (
        f"{path}: not a checkpoint that can be read; it is damaged, or another program or version "
        "wrote it. Restore it from a copy, or delete it to start anew."
    )
