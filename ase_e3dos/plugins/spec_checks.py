"""Checks that specs of every kind share, and the version that they carry."""

from __future__ import annotations

from typing import Any

from ase_e3dos.errors import PluginError

__all__ = ["API_VERSION", "check_common", "check_field"]

API_VERSION = 1
"""Version of the hooks and specs; a plug-in made for another one is skipped."""


def check_common(spec: Any) -> None:
    """Check the fields that all kinds have.

    Parameters
    ----------
    spec : EncoderSpec, ModelSpec, CommandSpec or CalculatorSpec

    Raises
    ------
    PluginError
        One is of the wrong type.
    """
    name: Any = spec.name
    named = isinstance(name, str) and bool(name) and name == name.strip() and name.isprintable()
    check_field(spec, "name", named, "a name without space around it")
    check_field(spec, "description", isinstance(spec.description, str), "a string")
    check_field(spec, "api_version", type(spec.api_version) is int, "an integer")


def check_field(spec: Any, field: str, holds: bool, wanted: str) -> None:
    """Refuse a field of a spec that is not what it has to be.

    Parameters
    ----------
    spec : EncoderSpec, ModelSpec, CommandSpec or CalculatorSpec
    field : str
        Name of the field.
    holds : bool
        Whether it is what it has to be.
    wanted : str
        What that is, for the message.

    Raises
    ------
    PluginError
        It is something else.
    """
    if not holds:
        raise PluginError(
            f"{type(spec).__name__}: {field} has to be {wanted}, not {getattr(spec, field)!r}."
        )
