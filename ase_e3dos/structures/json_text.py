"""JSON that others wrote."""

from __future__ import annotations

import json
import sys
from traceback import walk_stack
from typing import Any

#: Levels of nesting that are read, as by Python's usual limit. symfc, which phonopy uses, raises
#: that limit beyond what the stack of a thread holds, and the interpreter would crash.
_DEEPEST = 1000


def parse_json(text: str | bytes) -> Any:
    """Content of a JSON text.

    Raises
    ------
    ValueError
        It is not valid, not in a Unicode encoding, or nested too deeply.
    """
    former, frames = sys.getrecursionlimit(), sum(1 for _ in walk_stack(None))
    try:
        sys.setrecursionlimit(min(former, frames + _DEEPEST))
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    finally:
        sys.setrecursionlimit(former)
