"""What a training of force constants is made of: data, and stages."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ase_e3dos.errors import TrainingError
from ase_e3dos.structures.json_text import parse_json
from ase_e3dos.structures.paths import is_file
from ase_e3dos.training.checkpoint import CHECKPOINT, no_checkpoint
from ase_e3dos.training.config import DataConfig

__all__ = ["ForceConstantConfig", "Stage", "config_of_force_run", "read_force_checkpoint"]


class Stage(BaseModel):
    """One stage of a training: a learning rate that rises, and falls to zero along a cosine."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    steps: int = Field(ge=1)
    learning_rate: float = Field(1e-3, gt=0)
    warm_up: int = Field(200, ge=1, description="steps over which the rate rises")
    matrices: int = Field(24, ge=1, description="crystals with force constants in a step")
    points: int = Field(2, ge=1, description="wave vectors of each of them")
    own_dipoles: bool = Field(
        False, description="add the dipoles of predicted charges, not those of the labels"
    )
    near: int = Field(0, ge=0, description="wave vectors near the zone's centre, with own_dipoles")
    entropy: float = Field(
        0.0, ge=0, description="cm^-1 of the loss for an error of k_B a mode, with own_dipoles"
    )
    softening: float = Field(
        0.0, ge=0, description="weight of imaginary modes of stable crystals, with own_dipoles"
    )
    charges: float = Field(1.0, ge=0, description="weight of Born charges and dielectric tensors")
    spectra: int = Field(0, ge=0, description="crystals with spectra in a step")
    spectrum_points: float = Field(84.0, gt=0, description="wave vectors times (sites + 2)")

    @model_validator(mode="after")
    def _losses_that_need_dipoles(self) -> Self:
        if not self.own_dipoles and (self.near or self.entropy or self.softening):
            raise ValueError("near, entropy and softening are of stages with own_dipoles: true")
        return self


class ForceConstantConfig(BaseModel):
    """A training run of a network of force constants."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    network: Literal["force-constants"]
    settings: dict[str, Any] = Field(default_factory=dict, description="sizes of the network")
    forces: str = Field(description="file of force sets, relative to --data-dir")
    leave_out: str | None = Field(
        None, description="file whose entries marked in_petretto_valid are left out by their id"
    )
    spectra: list[DataConfig] = Field(default_factory=list)
    shares: list[float] = Field(
        default_factory=list, description="share of each file of spectra in what a step draws"
    )
    scale: list[float] = Field(
        default_factory=list, description="factor on the frequencies of each file of spectra"
    )
    dipoles: list[bool] = Field(
        default_factory=list, description="whether the spectra of each file have LO-TO splitting"
    )
    stages: list[Stage] = Field(min_length=1)
    trunk_rate: float = Field(0.5, gt=0, description="learning rate of the trunk over the others'")
    weight_average: float = Field(0.998, ge=0, lt=1)
    start_from: str | None = Field(
        None, description="model of force constants to go on with, or of spectra: its trunk"
    )
    seed: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _files_of_spectra(self) -> Self:
        n = len(self.spectra)
        for name in ("shares", "scale", "dipoles"):
            if n and len(getattr(self, name)) not in (0, n):
                raise ValueError(
                    f"{name} has a value for each of the {n} files of spectra, or none"
                )
        if any(share < 0 for share in self.shares) or (self.shares and not sum(self.shares)):
            raise ValueError("shares are not negative, and not all zero")
        if not n and any(stage.spectra for stage in self.stages):
            raise ValueError("a stage trains on spectra, and there are no files of them")
        return self


def config_of_force_run(directory: str | Path) -> ForceConstantConfig | None:
    """The configuration of a run in a folder; None where there is none of this kind.

    Raises
    ------
    TrainingError
        Its checkpoint is damaged.
    """
    path = Path(directory) / CHECKPOINT
    if not is_file(path):
        return None
    return _config(path, _state(path))


def read_force_checkpoint(path: Path) -> tuple[dict[str, Any], ForceConstantConfig]:
    """The state of a run and the configuration that it was made with.

    Raises
    ------
    TrainingError
        The file is no checkpoint of such a run.
    """
    state = _state(path)
    config = _config(path, state)
    if config is None:
        raise TrainingError(
            f"{path}: the run of a network of spectra. Use another --output, or delete it to start "
            "anew."
        )
    return state, config


def _state(path: Path) -> dict[str, Any]:
    import torch

    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damage shows in many ways
        raise TrainingError(no_checkpoint(path)) from error
    return state


def _config(path: Path, state: dict[str, Any]) -> ForceConstantConfig | None:
    try:
        values = parse_json(state["config"])
        if values["network"] != "force-constants":
            return None
        return ForceConstantConfig.model_validate(values)
    except (KeyError, TypeError, ValueError) as error:
        raise TrainingError(no_checkpoint(path)) from error
