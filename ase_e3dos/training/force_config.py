"""What a training of force constants is made of: data, and stages."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ase_e3dos.training.config import DataConfig

__all__ = ["ForceConstantConfig", "Stage"]


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
        None,
        description="model to begin with: the trunk of a site model, or all of force constants",
    )
    seed: int = Field(0, ge=0)
