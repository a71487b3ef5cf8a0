"""Numbers as structure files write them: 5.64(3), 1/3, 1.0D0."""

from __future__ import annotations

import re
from math import isfinite

__all__ = ["decimals_in", "error_in", "number_in"]

_NUMBER = re.compile(
    r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eEdD][+-]?\d+)?)(?:/(\d+(?:\.\d*)?))?(?:\(\d+\.?\d*\)?)?"
)
_ERROR = re.compile(r"[+-]?(?:\d+\.?|\.(?=\d))(\d*)\((\d{1,9})\)")
_LONGEST = 60


def number_in(text: str) -> float:
    """Value of a number with an estimated error, as a fraction or with a Fortran exponent.

    Parameters
    ----------
    text : str

    Returns
    -------
    float

    Raises
    ------
    ValueError
        It is not a finite number.

    Examples
    --------
    >>> number_in("5.64(3)"), number_in("-1/4"), number_in(".5D0")
    (5.64, -0.25, 0.5)
    """
    try:
        value = float(text)
        if isfinite(value) and "_" not in text:
            return value
    except ValueError:
        pass
    if len(text) > _LONGEST:
        raise ValueError(f"{text[:20]}... is not a number")
    found = _NUMBER.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is not a number")
    value = float(found[1].replace("D", "e").replace("d", "e"))
    if found[2] is not None:
        denominator = float(found[2])
        value = value / denominator if denominator else float("nan")
    if not isfinite(value):
        raise ValueError(f"{text!r} is not a finite number")
    return value


def error_in(text: str) -> float:
    """Estimated error of a number, as the digits in its brackets say: 0.03 of 1.02(3); else 0.

    Parameters
    ----------
    text : str

    Returns
    -------
    float
        In the unit of the number.
    """
    found = _ERROR.fullmatch(text.strip())
    return int(found[2]) * 10.0 ** -len(found[1]) if found else 0.0


def decimals_in(text: str) -> int:
    """Digits behind the point of a number; many for a fraction, which is exact.

    Parameters
    ----------
    text : str

    Returns
    -------
    int
    """
    if "/" in text or "e" in text.lower():
        return 99
    return len(text.partition("(")[0].partition(".")[2].strip())
