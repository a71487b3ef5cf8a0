"""Entry point: the commands that this package adds to `e3dos`."""

from __future__ import annotations

from collections.abc import Iterator

from ase_e3dos.plugins import CommandSpec, hookimpl


@hookimpl
def ase_e3dos_commands() -> Iterator[CommandSpec]:
    """Offer the commands; their modules are imported when they run."""
    place = "e3dos_thermochemistry.commands"
    yield CommandSpec(
        name="reaction",
        command=f"{place}.reaction:reaction_command",
        description="Enthalpy, entropy and Gibbs energy of a reaction of solids and gases.",
    )
    yield CommandSpec(
        name="hull",
        command=f"{place}.hull:hull_command",
        description="Convex hulls at temperature, from pymatgen's computed entries.",
    )
    yield CommandSpec(
        name="coefficients",
        command=f"{place}.coefficients:coefficients_command",
        description="Coefficients for pycalphad (TDB), Cantera and burnman.",
    )
