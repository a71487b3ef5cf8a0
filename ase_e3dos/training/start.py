"""Where fine-tuning begins: the weights of a trained model, fitted to the new data sources."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, replace
from typing import Any

from ase_e3dos.errors import TrainingError
from ase_e3dos.network.paper import PaperSettings
from ase_e3dos.network.site_trunk import SiteSettings
from ase_e3dos.network.weights import WeightsHeader, load_weights
from ase_e3dos.training.config import TrainingConfig
from ase_e3dos.training.weights_header import digests_by_name, joint_citation


@dataclass(frozen=True)
class StartingPoint:
    """Weights to start from.

    Attributes
    ----------
    name : str
        Of the model.
    header : WeightsHeader
        Of the weights file.
    settings : dict
        Sizes of the member.
    state : dict
        Its tensors.
    source : int
        Index of the source that the model speaks for; new sources begin as copies of it.
    """

    name: str
    header: WeightsHeader
    settings: dict[str, Any]
    state: dict[str, Any]
    source: int

    def check(self, config: TrainingConfig, settings: dict[str, Any]) -> None:
        """Refuse a configuration of another network.

        Raises
        ------
        TrainingError
            Kind, encoder or a size differ.
        """
        what = f"start_from={config.start_from!r}"
        if config.network != self.header.network:
            raise TrainingError(
                f"{what} is a network of kind {self.header.network!r}, the configuration wants "
                f"{config.network!r}. Set network: {self.header.network} and its grid, without "
                "settings, or start from another model."
            )
        if config.encoder != self.header.encoder:
            raise TrainingError(
                f"{what} was trained with the encoder {self.header.encoder!r}, the configuration "
                f"has {config.encoder!r}. Set encoder: {self.header.encoder}."
            )
        free = {"dropout", "sources", "output_gradient"}
        defaults = SiteSettings() if config.network == "site" else PaperSettings()
        known = {**asdict(defaults), **self.settings}  # files of former versions lack new sizes
        if settings.get("read_blocks", 0) > known.get("read_blocks", 0):
            free.add("read_blocks")  # those added begin as the identity
        differing = [
            f"{k} is {v} there and {settings[k]} in the settings"
            for k, v in known.items()
            if k not in free and settings.get(k, v) != v
        ]
        if differing:
            raise TrainingError(
                f"{what} keeps its sizes, and yours differ: {'; '.join(differing)}. Use the preset "
                f"fine-tune, which sets none (e3dos train fine-tune --from {config.start_from} "
                "--data FILE.parquet), or leave these sizes out of the settings."
            )

    def inherited(self, header: WeightsHeader) -> WeightsHeader:
        """The header of weights that began here: what the start has seen is known to them too.

        Elements, range of densities, training data and citations of both are joined; calibration
        is not, for the errors are no longer those that it was fitted to.
        """
        elements = Counter(self.header.elements) + Counter(header.elements)
        trust = dict(header.trust)
        if "filling" in trust and "filling" in self.header.trust:
            ranges = [trust["filling"], self.header.trust["filling"]]
            trust["filling"] = [min(r[0] for r in ranges), max(r[1] for r in ranges)]
        return replace(
            header,
            elements=dict(sorted(elements.items(), key=lambda item: int(item[0]))),
            trust=trust,
            trained_on=digests_by_name(
                [*header.trained_on.items(), *self.header.trained_on.items()]
            ),
            citation=joint_citation([header.citation, self.header.citation]),
            description=f"{header.description}, from {self.name}",
            parent=self.name,
            own_elements=header.elements,
            own_files=header.trained_on,
        )

    def state_for(self, network: Any, sources: list[str]) -> dict[str, Any]:
        """Tensors for a network with these sources; the rows of its embedding are rearranged.

        Blocks that the start lacks stay as they are in the network.
        """
        own = network.state_dict()
        state = {k: v for k, v in own.items() if k.startswith("read_blocks.")} | self.state
        if "source.weight" in state:
            old = state["source.weight"]
            rows = own["source.weight"].clone()
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
    number = config.seed % header.members
    return StartingPoint(spec.name, header, header.settings_of(number), states[number], source)
