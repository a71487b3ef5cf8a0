"""Entry point: what this package offers to ase-e3dos."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ase_e3dos.plugins import EncoderSpec, ModelSpec, hookimpl
from e3dos_element_properties.encoder import ElementProperties

WEIGHTS = Path(__file__).parent / "element_properties.safetensors"


@hookimpl
def ase_e3dos_encoders() -> Iterator[EncoderSpec]:
    """Offer the encoder."""
    yield EncoderSpec(
        name=ElementProperties.name,
        factory=ElementProperties,
        version=ElementProperties.version,
        accepts_mixed=ElementProperties.accepts_mixed,
        description="physical properties of the elements, weighted with the fractions",
    )


@hookimpl
def ase_e3dos_models() -> Iterator[ModelSpec]:
    """Offer the model trained with the encoder, if its weights are in the package."""
    if WEIGHTS.is_file():
        yield ModelSpec(
            name="element_properties",
            weights=WEIGHTS,
            encoder=ElementProperties.name,
            description="trained with element properties in place of one-hot vectors",
            licence="CC-BY-4.0",
            citation="G. Petretto et al., Sci. Data 5, 180065 (2018)",
        )
