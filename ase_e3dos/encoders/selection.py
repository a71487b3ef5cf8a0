"""Which encoder a crystal gets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ase_e3dos.encoders.contract import Encoder
from ase_e3dos.errors import DisorderError

if TYPE_CHECKING:
    from ase_e3dos.crystal import Crystal
    from ase_e3dos.plugins.manager import PluginRegistry

__all__ = ["ALLOY_ENCODERS", "encoder_for"]

ALLOY_ENCODERS = {"mass_one_hot": "alloy_multi_hot"}
"""Encoders that take mixed sites, by the encoder with which they agree on pure sites."""


def encoder_for(
    crystal: Crystal, model_encoder_name: str, registry: PluginRegistry | None = None
) -> Encoder:
    """Encoder for a crystal and a model: the model's own, or for mixed sites its alloy form.

    Parameters
    ----------
    crystal : Crystal
    model_encoder_name : str
        The encoder that the model was trained with.
    registry : PluginRegistry, optional
        Where encoders are looked up; the common registry if not given.

    Returns
    -------
    Encoder

    Raises
    ------
    EncoderError
        If there is no encoder of this name.
    DisorderError
        If the crystal has mixed sites and no encoder takes them for this model.
    """
    if registry is None:
        from ase_e3dos.plugins import get_registry

        registry = get_registry()
    encoder = registry.encoder(model_encoder_name)
    if encoder.accepts_mixed or crystal.is_ordered:
        return encoder
    if model_encoder_name in ALLOY_ENCODERS:
        return registry.encoder(ALLOY_ENCODERS[model_encoder_name])
    raise DisorderError(
        f"{crystal.name}: the crystal has mixed or partly occupied sites, and the model's encoder "
        f"{model_encoder_name!r} takes one element for each site. Use a model whose encoder takes "
        f"mixed sites (those trained with {', '.join(ALLOY_ENCODERS)} do), or an ordered "
        "approximant of the structure."
    )
