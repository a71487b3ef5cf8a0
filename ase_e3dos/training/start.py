"""Where fine-tuning begins: the weights of a trained model, fitted to the new data sources."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ase_e3dos.errors import TrainingError
from ase_e3dos.network.weights import WeightsHeader, load_weights
from ase_e3dos.training.config import TrainingConfig


@dataclass(frozen=True)
class StartingPoint:
    """Weights to start from.

    Attributes
    ----------
    header
        Of the weights file.
    state
        One member's tensors.
    source
        Index of the source that the model speaks for; new sources begin as copies of it.
    """

    header: WeightsHeader
    state: dict[str, Any]
    source: int

    def check(self, config: TrainingConfig, settings: dict[str, Any]) -> None:
        """Refuse a configuration of another network.

        Raises
        ------
        TrainingError
            Kind, encoder or a size differ.
        """
        if config.network != self.header.network:
            raise TrainingError(
                f"start_from={config.start_from!r} is a network of kind {self.header.network!r}, "
                f"the configuration wants {config.network!r}."
            )
        if config.encoder != self.header.encoder:
            raise TrainingError(
                f"start_from={config.start_from!r} was trained with the encoder "
                f"{self.header.encoder!r}, not {config.encoder!r}."
            )
        free = {"dropout", "sources"}
        differing = [
            f"{k} ({settings[k]}, not {v})"
            for k, v in self.header.settings.items()
            if k not in free and settings.get(k, v) != v
        ]
        if differing:
            raise TrainingError(
                f"start_from={config.start_from!r} has other sizes: {', '.join(differing)}. "
                "Leave them out of the settings."
            )

    def state_for(self, network: Any, sources: list[str]) -> dict[str, Any]:
        """Tensors for a network with these sources; the rows of its embedding are rearranged."""
        state = dict(self.state)
        if "source.weight" in state:
            old = state["source.weight"]
            rows = network.state_dict()["source.weight"].clone()
            for number in range(len(rows)):
                name = sources[number] if number < len(sources) else ""
                known = self.header.sources
                rows[number] = old[known.index(name) if name in known else self.source]
            state["source.weight"] = rows
        return state


def starting_point(config: TrainingConfig) -> StartingPoint | None:
    """The weights that a configuration starts from; None to start from random ones.

    The members of an ensemble start from different members: that of the seed.
    """
    if config.start_from is None:
        return None
    from ase_e3dos.plugins import get_registry

    spec = get_registry().resolve_model(config.start_from)
    header, states = load_weights(spec.weights_path())
    source = header.sources.index(spec.source) if spec.source else 0
    return StartingPoint(header, states[config.seed % header.members], source)
