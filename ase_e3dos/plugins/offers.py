"""What plug-ins offer, by kind and name: taken from each as a whole or not at all."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, TypeVar

import pluggy

from ase_e3dos.errors import PluginError
from ase_e3dos.plugins import hookspecs
from ase_e3dos.plugins.specs import (
    API_VERSION,
    CalculatorSpec,
    CommandSpec,
    EncoderSpec,
    ModelSpec,
    Spec,
)

__all__ = ["Offers"]

#: Kinds of specs with the word for one of them, in the order of `PluginStatus`.
_KINDS: dict[type[Spec], str] = {
    EncoderSpec: "encoder",
    ModelSpec: "model",
    CommandSpec: "command",
    CalculatorSpec: "calculator",
}

Kind = TypeVar("Kind", EncoderSpec, ModelSpec, CommandSpec, CalculatorSpec)


class Offers:
    """The specs of all plug-ins that were added, and which plug-in each comes from."""

    def __init__(self) -> None:
        self._pluggy = pluggy.PluginManager(hookspecs.GROUP)
        self._pluggy.add_hookspecs(hookspecs)
        self._specs: dict[type[Spec], dict[str, Any]] = {kind: {} for kind in _KINDS}
        self._owners: dict[tuple[type[Spec], str], str] = {}

    def of(self, kind: type[Kind]) -> Mapping[str, Kind]:
        """Specs of a kind by name, in the order in which they were added.

        Parameters
        ----------
        kind : type
            Class of the specs.

        Returns
        -------
        mapping
            It stays as it is when a plug-in is added or taken away.
        """
        return MappingProxyType(self._specs[kind])

    def owner(self, kind: type[Spec], name: str) -> str:
        """Who offers a spec.

        Parameters
        ----------
        kind : type
        name : str

        Returns
        -------
        str
            As `add` was told.
        """
        return self._owners[kind, name]

    def add(self, plugin: Any, name: str, owner: str) -> tuple[tuple[str, ...], ...]:
        """Register a plug-in and its specs, all or nothing.

        Parameters
        ----------
        plugin : module or object
        name : str
            Of the plug-in.
        owner : str
            What messages call it.

        Returns
        -------
        tuple of tuples of str
            Names of encoders, models, commands and calculators, as in `PluginStatus`.

        Raises
        ------
        PluginError
            If it is broken, or claims a name that is taken.
        """
        if inspect.isclass(plugin):
            raise PluginError(f"{owner} is a class. Register an instance of it, or a module.")
        try:
            self._pluggy.register(plugin, name)
        except ValueError as error:
            raise PluginError(f"{owner} is registered already ({error}).") from error
        except pluggy.PluginValidationError as error:
            if self._pluggy.get_plugin(name) is not None:
                self._pluggy.unregister(name=name)
            raise PluginError(f"{owner} does not fit the hooks: {error}") from error
        try:
            self._pluggy.check_pending()
            if not self._pluggy.get_hookcallers(plugin):
                raise PluginError(
                    f"{owner} implements no hook. Mark its functions ase_e3dos_encoders, "
                    "ase_e3dos_models, ase_e3dos_commands or ase_e3dos_calculators with "
                    "ase_e3dos.plugins.hookimpl."
                )
            found = {kind: self._yielded(plugin, kind, owner) for kind in _KINDS}
        except pluggy.PluginValidationError as error:
            self._pluggy.unregister(plugin)
            raise PluginError(f"{owner} implements a hook that does not exist: {error}") from error
        except BaseException:
            self._pluggy.unregister(plugin)
            raise
        # new objects: whoever looks at the old ones in another thread is not disturbed
        self._specs = {kind: specs | found[kind] for kind, specs in self._specs.items()}
        self._owners |= {(kind, n): owner for kind, specs in found.items() for n in specs}
        return tuple(tuple(specs) for specs in found.values())

    def remove(self, plugin: Any, owner: str) -> set[str]:
        """Take a plug-in and all its specs away.

        Parameters
        ----------
        plugin : module or object
        owner : str
            As `add` was told.

        Returns
        -------
        set of str
            Names of its specs, of all kinds.
        """
        self._pluggy.unregister(plugin)
        theirs = {key for key, who in self._owners.items() if who == owner}
        self._specs = {
            kind: {name: spec for name, spec in specs.items() if (kind, name) not in theirs}
            for kind, specs in self._specs.items()
        }
        for key in theirs:
            del self._owners[key]
        return {name for _, name in theirs}

    def name_of(self, plugin: Any) -> str | None:
        """Name of a plug-in that was added, None of any other.

        Parameters
        ----------
        plugin : module or object

        Returns
        -------
        str or None
        """
        return self._pluggy.get_name(plugin)

    def _yielded(self, plugin: Any, kind: type[Spec], owner: str) -> dict[str, Any]:
        hook = f"ase_e3dos_{_KINDS[kind]}s"
        others = [p for p in self._pluggy.get_plugins() if p is not plugin]
        specs: dict[str, Any] = {}
        for result in self._pluggy.subset_hook_caller(hook, remove_plugins=others)():
            for spec in result:
                if not isinstance(spec, kind):
                    raise PluginError(
                        f"{owner}: {hook} gave {spec!r}, but {kind.__name__} objects are needed."
                    )
                if spec.api_version != API_VERSION:
                    raise PluginError(
                        f"{owner}: {spec.name!r} was made for version {spec.api_version} of the "
                        f"plug-in API, and this package has version {API_VERSION}. Install "
                        "versions of the two that fit."
                    )
                taken = owner if spec.name in specs else self._owners.get((kind, spec.name))
                if taken is not None:
                    raise PluginError(
                        f"{owner} offers the {_KINDS[kind]} {spec.name!r}, but {taken} offers one "
                        "of this name already."
                    )
                specs[spec.name] = spec
        return specs
