"""What ase-e3dos asks this package for: one command, with commands of its own."""

from __future__ import annotations

from collections.abc import Iterator

from ase_e3dos.plugins import CommandSpec, hookimpl


@hookimpl
def ase_e3dos_commands() -> Iterator[CommandSpec]:
    """`e3dos paper`."""
    yield CommandSpec(
        name="paper",
        command="e3dos_paper.command_line:paper",
        description="Figures, control network and experiments of the paper.",
    )
