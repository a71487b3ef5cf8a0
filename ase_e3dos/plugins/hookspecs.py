"""The hooks that a plug-in can implement.

Names and arguments are public: they change only with `ase_e3dos.plugins.API_VERSION`.
"""

from __future__ import annotations

from collections.abc import Iterable

import pluggy

from ase_e3dos.plugins.specs import CalculatorSpec, CommandSpec, EncoderSpec, ModelSpec

__all__ = [
    "GROUP",
    "ase_e3dos_calculators",
    "ase_e3dos_commands",
    "ase_e3dos_encoders",
    "ase_e3dos_models",
    "hookimpl",
    "hookspec",
]

GROUP = "ase_e3dos"
"""Name of the pluggy project and of the entry point group."""

hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)


@hookspec
def ase_e3dos_encoders() -> Iterable[EncoderSpec]:  # type: ignore[empty-body]
    """Yield the encoders of the plug-in.

    Examples
    --------
    In a module that the package names as its entry point::

        from ase_e3dos.plugins import EncoderSpec, hookimpl

        @hookimpl
        def ase_e3dos_encoders():
            yield EncoderSpec(name="my_encoder", factory=MyEncoder, description="...")
    """


@hookspec
def ase_e3dos_models() -> Iterable[ModelSpec]:  # type: ignore[empty-body]
    """Yield the trained models of the plug-in.

    Examples
    --------
    ::

        from pathlib import Path
        from ase_e3dos.plugins import ModelSpec, hookimpl

        @hookimpl
        def ase_e3dos_models():
            yield ModelSpec(
                name="my_model",
                weights=Path(__file__).parent / "my_model.safetensors",
                encoder="my_encoder",
                description="...",
            )
    """


@hookspec
def ase_e3dos_commands() -> Iterable[CommandSpec]:  # type: ignore[empty-body]
    """Yield the commands of the plug-in, which ``e3dos`` then offers beside its own.

    Examples
    --------
    ::

        from ase_e3dos.plugins import CommandSpec, hookimpl

        @hookimpl
        def ase_e3dos_commands():
            yield CommandSpec(
                name="my-command",
                command="my_package.command_line:my_command",
                description="...",
            )
    """


@hookspec
def ase_e3dos_calculators() -> Iterable[CalculatorSpec]:  # type: ignore[empty-body]
    """Yield calculators of forces, which ``--calculator NAME`` and ``relax=NAME`` then find.

    Examples
    --------
    ::

        from ase_e3dos.plugins import CalculatorSpec, hookimpl

        @hookimpl
        def ase_e3dos_calculators():
            yield CalculatorSpec(
                name="my-potential",
                factory="my_package.potential:calculator",
                requires=("my_package",),
                install="pip install my-package",
                trained_on="...",
                licence="MIT",
                devices=("cpu", "cuda"),
            )
    """
