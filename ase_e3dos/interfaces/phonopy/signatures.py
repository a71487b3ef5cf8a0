"""Arguments by their places where versions of phonopy differ in these."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

__all__ = ["in_phonopys_order"]

_Method = TypeVar("_Method", bound=Callable[..., Any])


def in_phonopys_order(method: _Method) -> _Method:
    """A method that takes arguments by their places as the installed phonopy's method does.

    Parameters
    ----------
    method : function
        Of the name of a method of `phonopy.Phonopy`, with all of its arguments in any order.

    Returns
    -------
    function

    Raises
    ------
    TypeError
        When it is called: an argument stands both at its place and by its name, or phonopy's method
        has no such place.
    """

    @wraps(method)
    def called(self: Any, *args: Any, **options: Any) -> Any:
        from phonopy import Phonopy

        theirs = inspect.signature(getattr(Phonopy, method.__name__))
        placed = theirs.bind_partial(self, *args).arguments
        for name in list(placed)[1:]:
            if name in options:
                raise TypeError(f"{method.__name__}() got multiple values for argument {name!r}")
            options[name] = placed[name]
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            result = method(self, **options)
        for warning in said:  # at the line that calls, not at this one
            warnings.warn(warning.message, stacklevel=2)
        return result

    return called  # type: ignore[return-value]
