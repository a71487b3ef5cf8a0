"""The commands of `e3dos`, from the package and from plug-ins, imported when they run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperGroup

from ase_e3dos.plugins import CommandSpec, get_registry
from ase_e3dos.plugins.builtin import COMMANDS

__all__ = ["CommandGroup"]


class CommandGroup(TyperGroup):
    """Commands that the hook ``ase_e3dos_commands`` gave.

    Those of the package are found without loading a plug-in, so that a broken one is in nobody's
    way. Lists show names and descriptions; a command's module is imported when it runs, when
    its own help is asked for, or when a shell completes its options.
    """

    def list_commands(self, ctx: Any) -> list[str]:
        """Names, those of the package first."""
        self.commands = {n: _stand_in(spec) for n, spec in get_registry().commands().items()}
        return list(self.commands)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """What a list shows of a command, or None."""
        if cmd_name in COMMANDS:
            return _stand_in(COMMANDS[cmd_name])
        self.list_commands(ctx)  # `commands` is also what misspelled names are compared with
        return self.commands.get(cmd_name)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[Any, Any, list[str]]:
        """Name, imported command and its arguments."""
        name, command, rest = super().resolve_command(ctx, args)
        if name is None or command is None:
            return name, command, rest
        own = COMMANDS.get(name)
        return name, _imported(name, own.load() if own else get_registry().command(name)), rest


def _stand_in(spec: CommandSpec) -> Any:
    """A command that has a name and a description, and does nothing."""

    def nothing() -> None:
        pass

    app = typer.Typer(add_completion=False)
    app.command(spec.name, help=spec.description)(nothing)
    return typer.main.get_command(app)


def _imported(name: str, found: Callable[..., object]) -> Any:
    app = typer.Typer(add_completion=False)
    if isinstance(found, typer.Typer):
        app.add_typer(found, name=name)
        return typer.main.get_command(app).commands[name]  # type: ignore[attr-defined]
    app.command(name)(found)
    command = typer.main.get_command(app)
    command.no_args_is_help = any(parameter.required for parameter in command.params)
    return command
