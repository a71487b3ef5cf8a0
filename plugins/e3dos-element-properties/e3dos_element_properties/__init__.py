"""Physical properties of the elements as site features for ase-e3dos."""

from __future__ import annotations

from e3dos_element_properties.encoder import ElementProperties

__all__ = ["ElementProperties"]
__version__ = "0.1.0"
