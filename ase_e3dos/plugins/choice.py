"""Which encoder a crystal gets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ase_e3dos.encoders.contract import Encoder
from ase_e3dos.errors import DisorderError
from ase_e3dos.plugins.manager import PluginRegistry, get_registry

if TYPE_CHECKING:
    from ase_e3dos.structures.crystal import Crystal

__all__ = ["encoder_for"]


def encoder_for(
    crystal: Crystal,
    model_encoder_name: str,
    registry: PluginRegistry | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Encoder:
    """Encoder for a crystal and a model: the model's own, or for mixed sites one that serves it.

    Parameters
    ----------
    crystal : Crystal
    model_encoder_name : str
        The encoder that the model was trained with.
    registry : PluginRegistry, optional
        Where encoders are looked up; the common registry if not given.
    settings : mapping, optional
        Of the encoder, as the model's weights recorded them.

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
        registry = get_registry()
    encoder = registry.encoder(model_encoder_name, settings)
    if encoder.accepts_mixed or crystal.is_ordered:
        return encoder
    for name, spec in registry.encoders().items():
        if spec.accepts_mixed and model_encoder_name in spec.serves:
            return registry.encoder(name, settings)
    raise DisorderError(
        f"{crystal.name}: the crystal has mixed or partly occupied sites, the model's encoder "
        f"{model_encoder_name!r} takes one element for each site, and no installed encoder serves "
        "it on mixed ones. Use a model whose encoder takes mixed sites (`e3dos plugins` lists "
        "them; the default model does), or an ordered approximant of the structure."
    )
