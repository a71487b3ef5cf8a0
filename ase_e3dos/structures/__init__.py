"""Structures: from what users have to the crystal that every later stage works on."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ase_e3dos.structures.crystal import Crystal
    from ase_e3dos.structures.reading import Reading, read, read_each

__all__ = ["Crystal", "Reading", "read", "read_each"]

_HOMES = {"Crystal": "crystal", "Reading": "reading", "read": "reading", "read_each": "reading"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
