"""Plug-ins: encoders, models, commands and calculators from other packages, found by name.

A plug-in package has an entry point in the group ``ase_e3dos`` that names a module whose
functions, marked with `hookimpl`, yield `EncoderSpec`, `ModelSpec`, `CommandSpec` and
`CalculatorSpec` objects.
"""

from __future__ import annotations

from ase_e3dos.plugins.choice import encoder_for
from ase_e3dos.plugins.hookspecs import hookimpl
from ase_e3dos.plugins.manager import PluginRegistry, get_registry
from ase_e3dos.plugins.specs import (
    API_VERSION,
    CalculatorSpec,
    CommandSpec,
    EncoderSpec,
    ModelSpec,
    PluginStatus,
)

__all__ = [
    "API_VERSION",
    "CalculatorSpec",
    "CommandSpec",
    "EncoderSpec",
    "ModelSpec",
    "PluginRegistry",
    "PluginStatus",
    "encoder_for",
    "get_registry",
    "hookimpl",
]
