"""A freshly initialised network of the kind and sizes that a configuration asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ase_e3dos.errors import TrainingError
from ase_e3dos.network.paper import PaperNetwork, PaperSettings
from ase_e3dos.network.precision import float32_on
from ase_e3dos.network.site import SiteNetwork
from ase_e3dos.network.site_trunk import SiteSettings
from ase_e3dos.structures.masses import STANDARD_MASSES
from ase_e3dos.training.config import TrainingConfig

if TYPE_CHECKING:
    from ase_e3dos.encoders import Encoder

Network = PaperNetwork | SiteNetwork


def make_network(config: TrainingConfig, encoder: Encoder) -> Network:
    """A freshly initialised network of the kind and sizes that the configuration asks for.

    Raises
    ------
    TrainingError
        Settings of which no network can be made.
    """
    settings = {"n_features": encoder.n_features, **config.settings}
    try:
        with float32_on("cpu"):
            if config.network == "paper":
                return PaperNetwork(PaperSettings(**settings))
            masses = (
                torch.tensor(STANDARD_MASSES[1 : encoder.n_features + 1])
                if encoder.name in ("mass_one_hot", "alloy_multi_hot")
                else None
            )
            return SiteNetwork(SiteSettings(**settings), masses)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TrainingError(
            f"no {config.network} network can be made with the settings {settings}. Start from "
            "those of a preset and change one at a time."
        ) from error
