"""The command line: `e3dos predict | screen | report | alloy | train | evaluate | ...`.

Each command lives in a module of its own that offers ``register(app)`` and imports nothing
heavy before it runs, so that ``e3dos --help`` answers at once.
"""

from __future__ import annotations

import sys
import warnings
from importlib import import_module
from importlib.util import find_spec
from typing import TextIO

import typer

from ase_e3dos.errors import E3DOSError, E3DOSWarning
from ase_e3dos.version import __version__

#: Modules in the order in which their commands are listed.
_MODULES = (
    "predict",
    "compare",
    "adp",
    "isotopes",
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
    """Run the command line; errors and warnings of the package's own are printed as one line."""
    warnings.showwarning = _show_warning
    try:
        build_app()()
    except E3DOSError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(USER_ERROR)
    except BrokenPipeError:
        sys.exit(0)


_show_others = warnings.showwarning


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Print a warning of the package without the place in its source that raised it."""
    if issubclass(category, E3DOSWarning):
        typer.echo(f"warning: {message}", err=True)
    else:
        _show_others(message, category, filename, lineno, file, line)
