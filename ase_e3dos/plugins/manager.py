"""The registry of what plug-ins offer: loads each once, by itself, and finds by name."""

from __future__ import annotations

import json
import os
import re
import threading
import warnings
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points
from os import PathLike, fspath
from typing import Any

from ase_e3dos.encoders.contract import Encoder
from ase_e3dos.errors import (
    EncoderError,
    PluginError,
    PluginWarning,
    PotentialError,
    UnknownModelError,
)
from ase_e3dos.plugins import hookspecs
from ase_e3dos.plugins.offers import Offers
from ase_e3dos.plugins.specs import (
    CalculatorSpec,
    CommandSpec,
    EncoderSpec,
    ModelSpec,
    PluginStatus,
)
from ase_e3dos.structures.paths import expanded, is_file

__all__ = ["PluginRegistry", "get_registry"]

_DISABLED, _ONLY = "E3DOS_PLUGINS_DISABLED", "E3DOS_PLUGINS_ONLY"


class PluginRegistry:
    """Encoders, models, commands and calculators by name, from this package and from plug-ins.

    Nothing is loaded before the first question. A plug-in that fails to import, implements an
    unknown hook, was made for another API version, or claims a name that is taken is skipped
    with one `PluginWarning` that names its distribution; the others are not touched. Threads that
    ask while plug-ins are loaded wait until all are; loading that is interrupted leaves nothing
    behind and starts anew with the next question.

    Parameters
    ----------
    plugins : iterable of EntryPoint, optional
        The plug-ins to load; those of the group ``ase_e3dos`` that are installed if not given.
    environ : mapping, optional
        In place of `os.environ`: ``E3DOS_PLUGINS_DISABLED`` and ``E3DOS_PLUGINS_ONLY`` are lists
        of names of plug-ins or distributions, separated by commas and compared as pip compares
        names (case, and "-" or "_", do not matter); a name that is not installed gets a
        `PluginWarning`. What is built in is always there.

    Examples
    --------
    >>> sorted(PluginRegistry(plugins=[]).encoders())
    ['alloy_multi_hot', 'mass_one_hot']
    """

    def __init__(
        self,
        plugins: Iterable[EntryPoint] | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._entry_points = None if plugins is None else tuple(plugins)
        self._environ = os.environ if environ is None else environ
        self._lock = threading.RLock()
        self._clear()

    def _clear(self) -> None:
        self._loaded = self._loading = False
        self._offers = Offers()
        self._made: dict[tuple[str, str], Encoder] = {}  # (name, settings) -> encoder
        self._status: list[PluginStatus] = []

    # Questions -----------------------------------------------------------------------------

    def encoders(self) -> Mapping[str, EncoderSpec]:
        """Encoders by name."""
        self._load()
        return self._offers.of(EncoderSpec)

    def models(self) -> Mapping[str, ModelSpec]:
        """Models by name."""
        self._load()
        return self._offers.of(ModelSpec)

    def commands(self) -> Mapping[str, CommandSpec]:
        """Commands by name, those of the package first."""
        self._load()
        return self._offers.of(CommandSpec)

    def calculators(self) -> Mapping[str, CalculatorSpec]:
        """Calculators of forces by name, those whose packages are not installed too."""
        self._load()
        return self._offers.of(CalculatorSpec)

    def calculator(self, name: str) -> CalculatorSpec:
        """Calculator of a name.

        Parameters
        ----------
        name : str

        Returns
        -------
        CalculatorSpec

        Raises
        ------
        PotentialError
            If there is none; the message lists those that are known.
        """
        specs = self.calculators()
        if name not in specs:
            raise PotentialError(
                _unknown("calculator", name, specs)
                + " One of your own is package.module:function, which returns an ASE calculator."
            )
        return specs[name]

    def command(self, name: str) -> Callable[..., object]:
        """Function or `typer.Typer` of a command, imported if it has to be.

        Parameters
        ----------
        name : str

        Returns
        -------
        callable

        Raises
        ------
        PluginError
            If no plug-in offers one of this name, or its plug-in fails.
        """
        specs = self.commands()
        if name not in specs:
            raise PluginError(_unknown("command", name, specs))
        try:
            return specs[name].load()
        except PluginError as error:
            owner = self._offers.owner(CommandSpec, name)
            raise PluginError(f"{error} It comes from {owner}: tell its authors.") from error

    def encoder(self, name: str, settings: Mapping[str, Any] | None = None) -> Encoder:
        """Encoder of a name.

        Parameters
        ----------
        name : str
        settings : mapping, optional
            As the encoder's `settings` gave them when a model was trained.

        Returns
        -------
        Encoder

        Raises
        ------
        EncoderError
            If no plug-in offers it, it cannot be made, or it is not what its plug-in declared.
        """
        specs = self.encoders()
        if name not in specs:
            meant = (
                f" {name!r} is a model, with an encoder of its own: write model={name!r} instead."
                if name in self.models()
                else ""
            )
            raise EncoderError(_unknown("encoder", name, specs) + meant)
        key = name, json.dumps(dict(settings), sort_keys=True, default=repr) if settings else ""
        known = self._made.get(key)
        if known is not None:
            return known
        spec = specs[name]
        owner = self._offers.owner(EncoderSpec, name)
        try:
            encoder = spec.factory(**dict(settings or {}))
            made = (encoder.name, encoder.version, encoder.accepts_mixed)
        except Exception as error:
            raise EncoderError(
                f"the encoder {name!r} of {owner} could not be made ({type(error).__name__}: "
                f"{error}). Check its settings {dict(settings or {})}, or tell its authors."
            ) from error
        declared = (spec.name, spec.version, spec.accepts_mixed)
        if made != declared:
            raise EncoderError(
                f"the encoder {name!r} of {owner} says (name, version, accepts_mixed) = {made}, "
                f"but its EncoderSpec says {declared}. They must agree: tell its authors."
            )
        return self._made.setdefault(key, encoder)  # another thread may have been faster

    def model(self, name: str) -> ModelSpec:
        """Model of a name.

        Parameters
        ----------
        name : str

        Returns
        -------
        ModelSpec

        Raises
        ------
        UnknownModelError
            If no plug-in offers it; the message lists those that are there.
        """
        models = self.models()
        if name not in models:
            hint = " A weights file is given by its path, ending in .safetensors."
            raise UnknownModelError(_unknown("model", name, models) + hint)
        return models[name]

    def resolve_model(self, model: str | PathLike[str]) -> ModelSpec:
        """Model of a name, or of the path of a weights file.

        Parameters
        ----------
        model : str or path

        Returns
        -------
        ModelSpec

        Raises
        ------
        UnknownModelError
            If it is neither.
        """
        if isinstance(model, str) and model in self.models():
            return self.models()[model]
        try:
            path = expanded(fspath(model))
        except TypeError as error:
            raise UnknownModelError(
                f"model={model!r} is neither a name nor the path of a weights file. There are: "
                f"{_in_words(self.models())}."
            ) from error
        if is_file(path):
            return ModelSpec(name=path.stem, weights=path, description="a weights file")
        if not isinstance(model, str) or path.suffix == ".safetensors":
            raise UnknownModelError(
                f"there is no weights file {path}. Check the path, or give the name of a model: "
                f"{_in_words(self.models())}."
            )
        return self.model(model)

    def status(self) -> list[PluginStatus]:
        """A row for each plug-in, those that were skipped or disabled too."""
        self._load()
        return list(self._status)

    # Registration --------------------------------------------------------------------------

    def register(self, plugin: Any, name: str | None = None) -> None:
        """Add a module or object with hook implementations, for a test or a notebook.

        Parameters
        ----------
        plugin : module or object
        name : str, optional
            What messages call it.

        Raises
        ------
        PluginError
            If it is broken, or claims a name that is taken.
        """
        self._load()
        name = name or str(getattr(plugin, "__name__", type(plugin).__name__))
        with self._lock:
            offers = self._offers.add(plugin, name, f"{name} (registered by hand)")
            self._status.append(PluginStatus(name, "", "", "loaded", "", *offers))

    def unregister(self, plugin: Any) -> None:
        """Take away what `register` added.

        Parameters
        ----------
        plugin : module or object

        Raises
        ------
        PluginError
            If it is not registered.
        """
        self._load()
        with self._lock:
            name = self._offers.name_of(plugin)
            by_hand = {row.name for row in self._status if not row.distribution}
            if name is None or name not in by_hand:
                raise PluginError(
                    f"{plugin!r} was not added with register, so it cannot be taken away. "
                    "Installed plug-ins are switched off with E3DOS_PLUGINS_DISABLED."
                )
            gone = self._offers.remove(plugin, f"{name} (registered by hand)")
            self._made = {made: e for made, e in self._made.items() if made[0] not in gone}
            self._status = [
                row for row in self._status if (row.name, row.distribution) != (name, "")
            ]

    def _load(self) -> None:
        if self._loaded:
            return
        with self._lock:
            if self._loaded or self._loading:  # a plug-in that asks while it is imported
                return
            self._loading = True
            try:
                self._load_all()
            except BaseException:  # Ctrl-C, or a warning that is an error
                self._clear()
                raise
            self._loading, self._loaded = False, True

    def _load_all(self) -> None:
        from ase_e3dos.plugins import builtin
        from ase_e3dos.version import __version__

        offers = self._offers.add(builtin, "builtin", "ase-e3dos")
        row = PluginStatus("builtin", "ase-e3dos", __version__, "loaded", "", *offers)
        self._status.append(row)
        found = self._entry_points
        if found is None:
            found = tuple(entry_points(group=hookspecs.GROUP))
        installed = {name for p in found for name in _normal(p.name, _distribution(p)[0])}
        for variable, also in ((_DISABLED, set()), (_ONLY, {"builtin", "ase-e3dos"})):
            for name in sorted(self._listed_in(variable) - installed - also):
                warnings.warn(
                    f"{variable} names {name!r}, but no plug-in and no distribution with plug-ins "
                    f"of this name is installed. There are: {_in_words(installed)}.",
                    PluginWarning,
                    stacklevel=5,
                )
        for point in sorted(found, key=lambda p: (_distribution(p)[0], p.name)):
            self._status.append(self._load_one(point))

    def _listed_in(self, variable: str) -> set[str]:
        names = self._environ.get(variable, "").split(",")
        return _normal(*(name.strip() for name in names)) - {""}

    def _load_one(self, point: EntryPoint) -> PluginStatus:
        distribution, version = _distribution(point)
        row = (point.name, distribution, version)
        names = _normal(point.name, distribution)
        only = self._listed_in(_ONLY)
        if names & self._listed_in(_DISABLED):
            return PluginStatus(*row, "disabled", f"by {_DISABLED}")
        if only and not names & only:
            return PluginStatus(*row, "disabled", f"by {_ONLY}")
        try:
            offers = self._offers.add(point.load(), f"{distribution}:{point.name}", distribution)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - one broken plug-in stops nothing
            own = isinstance(error, PluginError)
            reason = str(error) if own else f"{type(error).__name__}: {error}"
            reason = " ".join(reason.split())  # one line in lists and warnings
            warnings.warn(
                f"the plug-in {point.name!r} of {distribution} {version} is skipped: "
                f"{reason.rstrip('.')}. Update or uninstall it, or set "
                f"E3DOS_PLUGINS_DISABLED={point.name}.",
                PluginWarning,
                stacklevel=6,
            )
            return PluginStatus(*row, "skipped", reason)
        return PluginStatus(*row, "loaded", "", *offers)


_common: PluginRegistry | None = None
_common_lock = threading.Lock()


def get_registry() -> PluginRegistry:
    """The registry of this process, with the installed plug-ins."""
    global _common
    with _common_lock:
        if _common is None:
            _common = PluginRegistry()
        return _common


def _distribution(point: EntryPoint) -> tuple[str, str]:
    if point.dist is None:
        return "unknown", ""
    return point.dist.name, point.dist.version


def _normal(*names: str) -> set[str]:
    """Names as packaging tools compare them (PEP 503)."""
    return {re.sub(r"[-_.]+", "-", name).lower() for name in names}


def _in_words(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none is installed"


def _unknown(what: str, name: str, there: Iterable[str]) -> str:
    there = sorted(there)
    close = get_close_matches(str(name), there, n=2, cutoff=0.6)
    meant = f" Did you mean {' or '.join(map(repr, close))}?" if close else ""
    return (
        f"no installed plug-in offers the {what} {name!r}.{meant} There are: {_in_words(there)}. "
        "`e3dos plugins` shows what was loaded and what was skipped."
    )
