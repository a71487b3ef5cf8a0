"""What modules export has numpydoc docstrings: parameters, what is returned, and errors."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ase_e3dos
from ase_e3dos.errors import MissingExtraError

REPOSITORY = Path(__file__).resolve().parents[2]
DIRECTIVE = re.compile(r"\.\. auto(module|class|function):: ([\w.]+)((?:\n +:.*)*)")


def shown() -> Iterator[tuple[str, Any]]:
    """Functions, classes and their public methods that pages of the reference show, by name."""
    for page in sorted((REPOSITORY / "docs" / "reference").glob("*.md")):
        for kind, name, options in DIRECTIVE.findall(page.read_text(encoding="utf-8")):
            if kind == "module":
                module = importlib.import_module(name)
                listed = re.search(r":members: (\w.*)", options)
                names = listed[1].split(", ") if listed else getattr(module, "__all__", None)
                for member in names or vars(module):
                    found = getattr(module, member)
                    if getattr(found, "__module__", "").startswith("ase_e3dos") and (
                        names or (found.__module__ == name and not member.startswith("_"))
                    ):
                        yield from with_methods(f"{name}.{member}", found)
                continue
            path, _, last = name.rpartition(".")
            yield from with_methods(name, getattr(importlib.import_module(path), last))


def exported() -> Iterator[tuple[str, Any]]:
    """What modules list in ``__all__``, but for commands, whose options have help of their own."""
    for found in pkgutil.walk_packages(ase_e3dos.__path__, "ase_e3dos."):
        if found.name.startswith(("ase_e3dos.cli", "ase_e3dos.training.force_")):
            continue
        try:
            module = importlib.import_module(found.name)
        except MissingExtraError:
            continue  # an interface to a package that is not installed
        for member in getattr(module, "__all__", ()):
            value = getattr(module, member)
            if getattr(value, "__module__", None) == found.name:
                yield from with_methods(f"{found.name}.{member}", value)


def with_methods(name: str, found: Any) -> Iterator[tuple[str, Any]]:
    if inspect.isclass(found):
        if not issubclass(found, Exception):
            for member, value in vars(found).items():
                function = getattr(value, "__func__", value)
                if not member.startswith("_") and inspect.isfunction(function):
                    yield f"{name}.{member}", function
    elif callable(found):
        yield name, found


def lacking(function: Any) -> list[str]:
    """Codes of numpydoc's validation for what the docstring lacks; none if it refers to another.

    A docstring that names in backticks the function to which it hands its arguments on is not to
    repeat that one's sections; without arguments, the first line says what is returned.
    """
    doc = inspect.getdoc(function) or ""
    signature = inspect.signature(function)
    source = inspect.getsource(function)
    tree: Any = ast.parse(f"if 1:\n{source}" if source[0] == " " else source).body[0]
    tree = tree.body[0] if isinstance(tree, ast.If) else tree
    asked = [p for p in signature.parameters if p not in ("self", "cls")]
    returned = ast.unparse(tree.returns) if tree.returns is not None else "None"
    raises = any(isinstance(n, ast.Raise) and n.exc is not None for n in ast.walk(tree))
    heads = set(re.findall(r"^(\w+)\n-+$", doc, re.MULTILINE))
    if not heads and re.search(r"`[\w.]+`", doc):
        return []
    found = []
    if asked and "Parameters" not in heads:
        found.append("PR01")
    if asked and returned not in ("None", "NoReturn") and not heads & {"Returns", "Yields"}:
        found.append("RT01")
    return found + (["RS01"] if raises and "Raises" not in heads else [])


def test_functions_of_the_reference_and_of_exports_are_documented() -> None:
    named = {**dict(shown()), **dict(exported())}
    assert len(named) > 400
    found = {name: codes for name, f in named.items() if (codes := lacking(f))}
    assert not found, "\n".join(f"{name}: {', '.join(c)}" for name, c in found.items())
