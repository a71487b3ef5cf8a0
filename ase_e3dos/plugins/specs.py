"""What a plug-in yields: typed descriptions of encoders, models, commands and calculators."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from os import PathLike, environ, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ase_e3dos.encoders.contract import Encoder
from ase_e3dos.errors import PluginError, PotentialError, WeightsError

if TYPE_CHECKING:
    from ase.calculators.calculator import Calculator

__all__ = [
    "API_VERSION",
    "CalculatorSpec",
    "CommandSpec",
    "EncoderSpec",
    "ModelSpec",
    "PluginStatus",
]

API_VERSION = 1
"""Version of the hooks and specs; a plug-in made for another one is skipped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderSpec:
    """An encoder that a plug-in offers.

    Parameters
    ----------
    name : str
        Unique over all plug-ins; models and weights files refer to it.
    factory : callable
        Makes the encoder; called without arguments, or with the settings that a weights file
        recorded as keywords.
    version : int
        As the encoder's own `version`.
    accepts_mixed : bool
        As the encoder's own `accepts_mixed`.
    serves : tuple of str
        Other encoders with which it agrees, feature by feature, on pure sites: models trained with
        them take it, and mixed sites get it where theirs takes none. The factory gets the
        settings recorded for them.
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
    factory: Callable[..., Encoder]
    version: int = 1
    accepts_mixed: bool = False
    serves: tuple[str, ...] = ()
    description: str = ""
    api_version: int = API_VERSION

    def __post_init__(self) -> None:
        _check_common(self)
        _check(self, "factory", callable(self.factory), "a function or class")
        _check(self, "version", type(self.version) is int and self.version >= 1, _COUNT)
        _check(self, "accepts_mixed", isinstance(self.accepts_mixed, bool), "True or False")
        listed = isinstance(self.serves, tuple) and all(isinstance(s, str) for s in self.serves)
        _check(self, "serves", listed, "a tuple of names")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """A trained model that a plug-in offers.

    Parameters
    ----------
    name : str
        Unique over all plug-ins; what users give as ``model=``.
    weights : str, path or callable
        The weights file (safetensors), or a function without arguments that returns its path,
        called when the model is first used (to download it, say).
    description : str
        One line for lists.
    encoder : str or None
        Name of the encoder it was trained with; None: as the weights file says.
    source : str or None
        Which of the data sources that the weights know it speaks for, such as "dfpt" or
        "jarvis"; None: the weights' own default.
    licence, citation : str
        Terms of use, and what to cite.
    api_version : int, optional
        The `API_VERSION` that the plug-in was written for.

    Raises
    ------
    PluginError
        If a field is of the wrong type.
    """

    name: str
    weights: str | PathLike[str] | Callable[[], str | PathLike[str]]
    description: str = ""
    encoder: str | None = None
    source: str | None = None
    licence: str = ""
    citation: str = ""
    api_version: int = API_VERSION

    def __post_init__(self) -> None:
        _check_common(self)
        given = isinstance(self.weights, (str, PathLike)) or callable(self.weights)
        _check(self, "weights", given, "a path, or a function that returns one")
        for field in ("encoder", "source"):
            _check(self, field, isinstance(getattr(self, field), str | None), "a name or None")
        for field in ("licence", "citation"):
            _check(self, field, isinstance(getattr(self, field), str), "a string")

    def weights_path(self) -> Path:
        """Path of the weights file, which exists.

        Raises
        ------
        WeightsError
            If there is no such file, or the plug-in's function fails.
        """
        weights: Any = self.weights
        if callable(weights):
            try:
                weights = weights()
            except Exception as error:
                raise WeightsError(
                    f"model {self.name!r}: the plug-in could not provide its weights "
                    f"({type(error).__name__}: {error}). Tell its authors, or use another model."
                ) from error
            if not isinstance(weights, (str, PathLike)):
                raise WeightsError(
                    f"model {self.name!r}: the plug-in's function has to return the path of its "
                    f"weights, not {weights!r}. Tell its authors, or use another model."
                )
        path = Path(fspath(weights))
        if not path.is_file():
            raise WeightsError(
                f"model {self.name!r}: there is no weights file {path}. Check the path, or install "
                "the package that offers the model again."
            )
        return path


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandSpec:
    """A command of the command line that a plug-in offers, as in ``e3dos NAME ...``.

    Parameters
    ----------
    name : str
        Unique over all plug-ins: lower-case letters, digits and "-".
    command : str or callable
        A function whose annotated parameters `typer` makes into arguments and options, or a
        `typer.Typer` with commands of its own; better ``"package.module:attribute"``, where to
        find it, so that its module is imported when the command runs and not for a list.
    description : str
        One line for ``e3dos --help``; the function's docstring is what ``e3dos NAME --help``
        shows.
    api_version : int, optional
        The `API_VERSION` that the plug-in was written for.

    Raises
    ------
    PluginError
        If a field is of the wrong type.
    """

    name: str
    command: str | Callable[..., object]
    description: str
    api_version: int = API_VERSION

    def __post_init__(self) -> None:
        _check_common(self)
        plain = re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", self.name) is not None
        _check(self, "name", plain, "lower-case words joined by '-', such as my-command")
        place: Any = self.command
        given = (
            re.fullmatch(r"\w+(\.\w+)*:\w+", place) if isinstance(place, str) else callable(place)
        )
        _check(self, "command", bool(given), "a function, or 'package.module:function'")

    def load(self) -> Callable[..., object]:
        """The function or `typer.Typer`, imported if only its place is given.

        Raises
        ------
        PluginError
            If it cannot be imported, or cannot be called.
        """
        if not isinstance(self.command, str):
            return self.command
        module, _, attribute = self.command.partition(":")
        try:
            found = getattr(import_module(module), attribute)
        except Exception as error:
            raise PluginError(
                f"the command {self.name!r}: {self.command} could not be imported "
                f"({type(error).__name__}: {error})."
            ) from error
        if not callable(found):
            raise PluginError(
                f"the command {self.name!r}: {self.command} has to be a function or a "
                f"typer.Typer, not {found!r}."
            )
        loaded: Callable[..., object] = found
        return loaded


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
        _check_common(self)
        plain = re.fullmatch(r"[a-z0-9]+([-.][a-z0-9]+)*", self.name) is not None
        _check(self, "name", plain, "lower-case words joined by '-', such as my-potential")
        place: Any = self.factory
        given = (
            re.fullmatch(r"\w+(\.\w+)*:\w+", place) if isinstance(place, str) else callable(place)
        )
        _check(self, "factory", bool(given), "a function, or 'package.module:function'")
        for field in ("requires", "devices", "weights_folders"):
            values = getattr(self, field)
            listed = isinstance(values, tuple) and all(isinstance(v, str) for v in values)
            _check(self, field, listed, "a tuple of strings")
        for field in ("install", "trained_on", "licence", "weights", "weights_url"):
            _check(self, field, isinstance(getattr(self, field), str), "a string")

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
            path = Path(given).expanduser()
            if not path.exists():
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
                f"calculator {self.name!r}: its factory gave {type(made).__name__}, which is no "
                "calculator of ASE. Tell its authors."
            )
        return made


#: Where weights of potentials are looked for first; `POTENTIALS_VARIABLE` names another folder.
POTENTIALS_FOLDER = "~/.cache/e3dos/potentials"
POTENTIALS_VARIABLE = "E3DOS_POTENTIALS"

Spec = EncoderSpec | ModelSpec | CommandSpec | CalculatorSpec
_COUNT = "an integer from 1 on"


def _check_common(spec: Spec) -> None:
    """The fields that all kinds have."""
    name: Any = spec.name
    named = isinstance(name, str) and bool(name) and name == name.strip() and name.isprintable()
    _check(spec, "name", named, "a name without space around it")
    _check(spec, "description", isinstance(spec.description, str), "a string")
    _check(spec, "api_version", type(spec.api_version) is int, "an integer")


def _check(spec: Spec, field: str, holds: bool, wanted: str) -> None:
    if not holds:
        raise PluginError(
            f"{type(spec).__name__}: {field} has to be {wanted}, not {getattr(spec, field)!r}."
        )


@dataclass(frozen=True, slots=True)
class PluginStatus:
    """A row of `PluginRegistry.status`.

    `status` is "loaded", "disabled" (by the environment) or "skipped" (`error` says why);
    `encoders`, `models`, `commands` and `calculators` are the names that it offers.
    """

    name: str
    distribution: str
    version: str
    status: str
    error: str = ""
    encoders: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    calculators: tuple[str, ...] = ()


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # its parent package is absent
        return False
