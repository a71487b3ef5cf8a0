"""Crystals -> graphs with the features that a model was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ase_e3dos.encoders import Encoder, encode_batch
from ase_e3dos.errors import DisorderError, EncoderError, WeightsError
from ase_e3dos.network.graph import CrystalGraph, GraphBatch, build_graphs, collate
from ase_e3dos.plugins import encoder_for
from ase_e3dos.structures.crystal import Crystal

if TYPE_CHECKING:
    from ase_e3dos.network.ensemble import Model
    from ase_e3dos.plugins import PluginRegistry

__all__ = ["GraphMaker"]


class GraphMaker:
    """Makes the graphs of a model, and batches of them with the features of its encoder.

    Parameters
    ----------
    model : Model
        Its header says which encoder it was trained with.
    model_name : str
        For messages.
    registry : PluginRegistry
        Of the encoders.
    encoder : str, optional
        Name of an encoder to use instead of the one chosen by the model and the crystal.

    Raises
    ------
    EncoderError, WeightsError
        The encoder is not there, or does not fit the weights.
    """

    def __init__(
        self, model: Model, model_name: str, registry: PluginRegistry, encoder: str | None = None
    ) -> None:
        self._header = model.header
        self._cutoff, self._self_edges = model.cutoff, model.self_edges
        self._model_name = model_name
        self._registry = registry
        header = model.header
        self._check(registry.encoder(header.encoder, header.encoder_settings))
        self._encoder = None if encoder is None else self._serving(encoder)

    def graph(self, crystal: Crystal) -> CrystalGraph:
        """The graph of a crystal.

        Parameters
        ----------
        crystal : Crystal

        Returns
        -------
        CrystalGraph

        Raises
        ------
        DisorderError
            The crystal has mixed sites and the encoder does not take them.
        """
        return self.graphs([crystal])[0]

    def graphs(self, crystals: Sequence[Crystal]) -> list[CrystalGraph]:
        """The graphs of several crystals, few enough for one batch.

        Parameters
        ----------
        crystals : sequence of Crystal

        Returns
        -------
        list of CrystalGraph
            In their order.

        Raises
        ------
        DisorderError
            As `graph`, for the first of them that it is true of.
        """
        if not _all_ordered(crystals):
            for crystal in crystals:
                self.encoder_of(crystal)
        return build_graphs(crystals, self._cutoff, self_edges=self._self_edges)

    def collated(self, graphs: Sequence[CrystalGraph]) -> GraphBatch:
        """Graphs (at least one) with their encoder features as one batch, on the CPU.

        Parameters
        ----------
        graphs : sequence of CrystalGraph

        Returns
        -------
        GraphBatch

        Raises
        ------
        EncoderError
            The encoder fails.
        """
        return collate(graphs, self._features([g.crystal for g in graphs]))

    def encoder_of(self, crystal: Crystal) -> Encoder:
        """The encoder that a crystal gets.

        Parameters
        ----------
        crystal : Crystal

        Returns
        -------
        Encoder

        Raises
        ------
        DisorderError
            The crystal has mixed sites and the encoder does not take them.
        """
        if self._encoder is None:
            settings = self._header.encoder_settings
            return encoder_for(crystal, self._header.encoder, self._registry, settings)
        if not (crystal.is_ordered or self._encoder.accepts_mixed):
            raise DisorderError(
                f"{crystal.name}: sites with mixed or partial occupation, which encoder "
                f"{self._encoder.name!r} does not take. Leave the encoder to be chosen, or use "
                "encoder='alloy_multi_hot'."
            )
        return self._encoder

    def _features(self, crystals: list[Crystal]) -> NDArray[np.float32]:
        if _all_ordered(crystals):  # they have the same encoder
            return encode_batch(self.encoder_of(crystals[0]), crystals)
        encoders = [self.encoder_of(c) for c in crystals]
        if all(e is encoders[0] for e in encoders):
            return encode_batch(encoders[0], crystals)
        return np.concatenate([e.encode(c) for e, c in zip(encoders, crystals, strict=True)])

    def _serving(self, name: str) -> Encoder:
        """The encoder that a user asks for, if it fits the weights."""
        header = self._header
        encoder = self._registry.encoder(name, header.encoder_settings)
        serves = self._registry.encoders()[name].serves
        if name != header.encoder and header.encoder not in serves:
            raise EncoderError(
                f"model {self._model_name!r} was trained with the encoder {header.encoder!r}, and "
                f"{name!r} gives other features, so that the result would be wrong. Leave the "
                "encoder to be chosen, or train a model with this one. (One that agrees on pure "
                f"sites says so in its EncoderSpec: serves=({header.encoder!r},).)"
            )
        self._check(encoder)
        return encoder

    def _check(self, encoder: Encoder) -> None:
        header, name = self._header, self._model_name
        if encoder.n_features != header.settings["n_features"]:
            raise EncoderError(
                f"model {name!r} takes {header.settings['n_features']} features a site, "
                f"encoder {encoder.name!r} gives {encoder.n_features}. Leave the encoder to be "
                f"chosen, or use {header.encoder!r}."
            )
        if encoder.name == header.encoder and encoder.version != header.encoder_version:
            raise WeightsError(
                f"model {name!r} was trained with version {header.encoder_version} of the "
                f"encoder {encoder.name!r}, version {encoder.version} is installed. Install the "
                "matching package, or train again."
            )
        settings = dict(encoder.settings())
        if encoder.name == header.encoder and settings != header.encoder_settings:
            raise WeightsError(
                f"model {name!r} was trained with the settings {header.encoder_settings} of "
                f"the encoder {encoder.name!r}, which now says {settings}. Install the matching "
                "package, or train again."
            )


def _all_ordered(crystals: Sequence[Crystal]) -> bool:
    """Whether each site of each crystal holds one species with fraction one."""
    fractions = np.concatenate([c.species_fraction for c in crystals])
    return bool((fractions == 1.0).all())
