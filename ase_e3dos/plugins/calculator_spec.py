"""What a plug-in yields for a calculator of forces, and how one is made of it."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from os import PathLike, environ
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ase_e3dos.errors import PotentialError
from ase_e3dos.plugins.spec_checks import API_VERSION, check_common, check_field
from ase_e3dos.structures.paths import exists, expanded

if TYPE_CHECKING:
    from ase.calculators.calculator import Calculator

__all__ = ["POTENTIALS_FOLDER", "POTENTIALS_VARIABLE", "CalculatorSpec"]

#: Where weights of potentials are looked for first; `POTENTIALS_VARIABLE` names another folder.
POTENTIALS_FOLDER = "~/.cache/e3dos/potentials"
POTENTIALS_VARIABLE = "E3DOS_POTENTIALS"


@dataclass(frozen=True, slots=True, kw_only=True)
class CalculatorSpec:
    """A calculator of forces that a plug-in offers: a potential of ASE's kind, found by name.

    Parameters
    ----------
    name : str
        Unique over all plug-ins: lower-case letters, digits, "-" and ".".
    factory : str or callable
        Makes the calculator; called with the keywords `device` ("cpu", "cuda", "cuda:1") and
        `weights` (a Path, or None). Better ``"package.module:function"``, where to find it, so
        that nothing is imported for a list.
    requires : tuple of str
        Modules without which it cannot work; where one is not installed the name is listed, and
        asking for it says what to install.
    install : str
        How to install them, such as ``"pip install mace-torch"``.
    trained_on : str
        Data and functional, for it decides what its frequencies and volumes agree with.
    licence : str
        Of code and weights.
    devices : tuple of str
        What it can run on: "cpu", "cuda".
    weights : str
        Name of the file (or folder) with the weights; "" where the installed package holds them.
    weights_url : str
        Where that file comes from. It is never fetched: machines that calculate are often offline.
    weights_folders : tuple of str
        Where it is looked for besides `POTENTIALS_FOLDER`, such as the cache of its own package.
    description : str
        One line for lists.
    api_version : int, optional
        The `API_VERSION` that the plug-in was written for.

    Raises
    ------
    PluginError
        If a field is of the wrong type.
    """

    name: str
    factory: str | Callable[..., Calculator]
    requires: tuple[str, ...] = ()
    install: str = ""
    trained_on: str = ""
    licence: str = ""
    devices: tuple[str, ...] = ("cpu",)
    weights: str = ""
    weights_url: str = ""
    weights_folders: tuple[str, ...] = ()
    description: str = ""
    api_version: int = API_VERSION

    def __post_init__(self) -> None:
        check_common(self)
        plain = re.fullmatch(r"[a-z0-9]+([-.][a-z0-9]+)*", self.name) is not None
        check_field(self, "name", plain, "lower-case words joined by '-', such as my-potential")
        place: Any = self.factory
        given = (
            re.fullmatch(r"\w+(\.\w+)*:\w+", place) if isinstance(place, str) else callable(place)
        )
        check_field(self, "factory", bool(given), "a function, or 'package.module:function'")
        for field in ("requires", "devices", "weights_folders"):
            values = getattr(self, field)
            listed = isinstance(values, tuple) and all(isinstance(v, str) for v in values)
            check_field(self, field, listed, "a tuple of strings")
        for field in ("install", "trained_on", "licence", "weights", "weights_url"):
            check_field(self, field, isinstance(getattr(self, field), str), "a string")

    def missing(self) -> tuple[str, ...]:
        """Modules that it requires and that are not installed."""
        return tuple(name for name in self.requires if not _is_installed(name))

    def weights_path(self, given: str | PathLike[str] | None = None) -> Path | None:
        """Weights, which exist; None where the installed package holds them.

        Parameters
        ----------
        given : str or path, optional
            A file of the user's own; else it is looked for by its name.

        Returns
        -------
        Path or None

        Raises
        ------
        PotentialError
            It is not there; the message says which file goes where.
        """
        if given is not None:
            path = expanded(given)
            if not exists(path):
                raise PotentialError(f"calculator {self.name!r}: there are no weights {path}.")
            return path
        if not self.weights:
            return None
        own = Path(environ.get(POTENTIALS_VARIABLE, POTENTIALS_FOLDER)).expanduser()
        folders = [own, *(Path(f).expanduser() for f in self.weights_folders)]
        for folder in folders:
            if (folder / self.weights).exists():
                return folder / self.weights
        source = f" from {self.weights_url}" if self.weights_url else ""
        raise PotentialError(
            f"calculator {self.name!r}: its weights are not at hand, and nothing is downloaded "
            f"here. Get {self.weights}{source} and put it into {own} (or name another folder in "
            f"{POTENTIALS_VARIABLE}, or give the file: {self.name}=PATH)."
        )

    def make(self, device: str = "cpu", weights: str | PathLike[str] | None = None) -> Calculator:
        """The calculator, ready to be attached.

        Parameters
        ----------
        device : str, optional
            "cpu", "cuda" or "cuda:1".
        weights : str or path, optional
            Other weights than its usual ones.

        Returns
        -------
        ase.calculators.calculator.Calculator

        Raises
        ------
        PotentialError
            Its package or weights are not there, it cannot run on the device, or it fails.
        """
        missing = self.missing()
        if missing:
            how = f" Install it: {self.install}" if self.install else ""
            raise PotentialError(
                f"calculator {self.name!r} needs {', '.join(missing)}, not installed here.{how}"
            )
        if device.partition(":")[0] not in self.devices:
            raise PotentialError(
                f"calculator {self.name!r} runs on {' or '.join(self.devices)}, not on {device!r}."
            )
        path = self.weights_path(weights)
        try:
            factory: Any = self.factory
            if isinstance(factory, str):
                module, _, attribute = factory.partition(":")
                factory = getattr(import_module(module), attribute)
            with redirect_stdout(sys.stderr):  # some greet there, where commands print results
                made: Calculator = factory(device=device, weights=path)
        except PotentialError:
            raise
        except Exception as error:
            raise PotentialError(
                f"calculator {self.name!r} could not be made ({type(error).__name__}: {error}). "
                f"Check its installation{f' ({self.install})' if self.install else ''} and weights."
            ) from error
        if not callable(getattr(made, "get_property", None)):
            raise PotentialError(
                f"calculator {self.name!r}: its factory gave {type(made).__name__}, which is not "
                "an ASE calculator. Tell its authors."
            )
        return made


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # its parent package is absent
        return False
