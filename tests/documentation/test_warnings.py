"""The page of warnings names every class of them."""

from __future__ import annotations

import inspect
from pathlib import Path

from ase_e3dos import errors

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "warnings.md"


def test_every_warning_is_on_the_page_of_warnings() -> None:
    classes = {
        name
        for name, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, errors.E3DOSWarning) and kind is not errors.E3DOSWarning
    }
    text = PAGE.read_text(encoding="utf-8")
    assert classes
    assert not {name for name in classes if f"| `{name}` |" not in text}
