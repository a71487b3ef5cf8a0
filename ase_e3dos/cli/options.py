"""Options that several commands share."""

from __future__ import annotations

from enum import StrEnum


class Per(StrEnum):
    """What extensive quantities are per."""

    CELL = "cell"
    FORMULA = "formula"
    ATOM = "atom"
