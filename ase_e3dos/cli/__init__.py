"""The command line: `e3dos predict | screen | report | alloy | train | evaluate | ...`.

Commands come through the hook ``ase_e3dos_commands``, those of the package (listed in
`ase_e3dos.plugins.builtin`) like those of plug-ins. Their modules are imported when they run, so
that ``e3dos --help`` answers at once.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
import warnings
from functools import partial
from typing import TextIO

import typer

from ase_e3dos.cli.command_group import CommandGroup
from ase_e3dos.cli.output import drop_output, finish_output, prepare_streams
from ase_e3dos.errors import E3DOSError, E3DOSWarning
from ase_e3dos.version import __version__

#: Exit code of an error that the user can mend; 1 is left to what nobody foresaw.
USER_ERROR = 2
#: Exit code of a command that Ctrl-C stopped, as shells have it.
INTERRUPTED = 128 + signal.SIGINT


def build_app() -> typer.Typer:
    """The application with all commands that are installed."""
    app = typer.Typer(
        name="e3dos",
        cls=CommandGroup,
        help="Phonon density of states and thermal properties from a crystal structure alone.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
    )

    @app.callback(invoke_without_command=True)
    def _version(
        version: bool = typer.Option(False, "--version", help="Show the version."),
    ) -> None:
        if version:
            typer.echo(f"ase-e3dos {__version__}")
            raise typer.Exit

    return app


def main() -> None:
    """Run the command line; errors and warnings of the package's own are printed as one line.

    The first Ctrl-C lets a command end in order (`screen` writes what it has), the second ends the
    process at once.
    """
    warnings.showwarning = partial(_show_warning, set())
    prepare_streams()
    before = signal.getsignal(signal.SIGINT)
    ours = (
        before is signal.default_int_handler
        and threading.current_thread() is threading.main_thread()
    )
    if ours:
        signal.signal(signal.SIGINT, _interrupt)
    code: int | str | None = 0
    try:
        try:
            build_app()()
        except SystemExit as stop:  # as typer ends every command
            code = stop.code
        finish_output()
    except E3DOSError as error:
        typer.echo(f"error: {error}", err=True)
        code = USER_ERROR
    except KeyboardInterrupt:  # outside of a command, which ends with this code, too
        code = INTERRUPTED
    except BrokenPipeError:  # `e3dos ... | head` has read enough
        drop_output()
        code = 1
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        drop_output()
        typer.echo(f"error: what was to be written has no room ({error}). Make some.", err=True)
        code = USER_ERROR
    if ours:  # after an interruption nothing may disturb the end of the interpreter
        signal.signal(signal.SIGINT, signal.SIG_IGN if code == INTERRUPTED else before)
    sys.exit(code)


def _interrupt(*_: object) -> None:
    signal.signal(signal.SIGINT, _end_now)
    raise KeyboardInterrupt


def _end_now(*_: object) -> None:
    os._exit(INTERRUPTED)


_show_others = warnings.showwarning


def _show_warning(
    shown: set[str],
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Print a warning of the package, each text once, without the place that raised it."""
    if issubclass(category, E3DOSWarning):
        if str(message) in shown:  # C_V, S and F of one crystal have the same to say
            return
        shown.add(str(message))
        typer.echo(f"warning: {message}", err=True)
    else:
        _show_others(message, category, filename, lineno, file, line)
