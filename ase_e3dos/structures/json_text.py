"""JSON that others wrote: the one place where it is parsed."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from traceback import walk_stack
from typing import Any

__all__ = ["parse_json", "shallow_recursion"]

#: Levels of nesting that are read, as by Python's usual limit. symfc, which phonopy uses, raises
#: that limit beyond what the stack of a thread holds, and the interpreter would crash.
_DEEPEST = 1000


@contextmanager
def shallow_recursion() -> Iterator[None]:
    """Python's usual limit of recursion, from here on, for a reader of foreign text.

    Raises
    ------
    ValueError
        Instead of a RecursionError.
    """
    former, frames = sys.getrecursionlimit(), sum(1 for _ in walk_stack(None))
    try:
        sys.setrecursionlimit(min(former, frames + _DEEPEST))
        yield
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    finally:
        sys.setrecursionlimit(former)


def parse_json(text: str | bytes | bytearray) -> Any:
    """Content of a JSON text.

    Parameters
    ----------
    text : str, bytes or bytearray

    Returns
    -------
    object
        Dictionaries, lists, texts, numbers, booleans or None.

    Raises
    ------
    ValueError
        It is not valid, not in a Unicode encoding, or nested too deeply.
    """
    with shallow_recursion():
        return json.loads(text)
