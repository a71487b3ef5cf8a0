"""What a plug-in yields: typed descriptions of encoders, models, commands and calculators."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from ase_e3dos.encoders.contract import Encoder
from ase_e3dos.errors import PluginError, WeightsError
from ase_e3dos.plugins.calculator_spec import CalculatorSpec
from ase_e3dos.plugins.spec_checks import API_VERSION, check_common, check_field

__all__ = [
    "API_VERSION",
    "CalculatorSpec",
    "CommandSpec",
    "EncoderSpec",
    "ModelSpec",
    "PluginStatus",
    "Spec",
]


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
        check_common(self)
        check_field(self, "factory", callable(self.factory), "a function or class")
        check_field(self, "version", type(self.version) is int and self.version >= 1, _COUNT)
        check_field(self, "accepts_mixed", isinstance(self.accepts_mixed, bool), "True or False")
        listed = isinstance(self.serves, tuple) and all(isinstance(s, str) for s in self.serves)
        check_field(self, "serves", listed, "a tuple of names")


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
        check_common(self)
        given = isinstance(self.weights, (str, PathLike)) or callable(self.weights)
        check_field(self, "weights", given, "a path, or a function that returns one")
        for field in ("encoder", "source"):
            check_field(self, field, isinstance(getattr(self, field), str | None), "a name or None")
        for field in ("licence", "citation"):
            check_field(self, field, isinstance(getattr(self, field), str), "a string")

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
        check_common(self)
        plain = re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", self.name) is not None
        check_field(self, "name", plain, "lower-case words joined by '-', such as my-command")
        place: Any = self.command
        given = (
            re.fullmatch(r"\w+(\.\w+)*:\w+", place) if isinstance(place, str) else callable(place)
        )
        check_field(self, "command", bool(given), "a function, or 'package.module:function'")

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


_COUNT = "an integer from 1 on"
Spec = EncoderSpec | ModelSpec | CommandSpec | CalculatorSpec


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
