"""The command line: `e3dos predict | screen | report | alloy | train | evaluate | ...`.

Each command lives in a module of its own that offers ``register(app)`` and imports nothing
heavy before it runs, so that ``e3dos --help`` answers at once.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec

import typer

from ase_e3dos import __version__
from ase_e3dos.errors import E3DOSError

#: Modules in the order in which their commands are listed.
_MODULES = (
    "predict",
    "compare",
    "adp",
    "describe",
    "phases",
    "alloy",
    "screen",
    "report",
    "train",
    "evaluate",
    "label",
    "data",
    "registry",
)

#: Exit code of an error that the user can mend; 1 is left to what nobody foresaw.
USER_ERROR = 2


def build_app() -> typer.Typer:
    """The application with all commands that are installed."""
    app = typer.Typer(
        name="e3dos",
        help="Phonon density of states and thermal properties from a crystal structure alone.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )

    @app.callback(invoke_without_command=True)
    def _version(
        version: bool = typer.Option(False, "--version", help="Show the version."),
    ) -> None:
        if version:
            typer.echo(f"ase-e3dos {__version__}")
            raise typer.Exit

    for name in _MODULES:
        if find_spec(f"{__name__}.{name}") is not None:
            import_module(f"{__name__}.{name}").register(app)
    return app


def main() -> None:
    """Run the command line; errors of the package's own are printed without a traceback."""
    try:
        build_app()()
    except E3DOSError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(USER_ERROR)
    except BrokenPipeError:
        sys.exit(0)
