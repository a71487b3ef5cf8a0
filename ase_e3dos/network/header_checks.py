"""What the header of a weights file may say, checked before anything is made of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

_TEXT = ("network", "encoder", "parent", "units", "licence", "citation", "description")
_TABLES = (
    "settings",
    "encoder_settings",
    "other_settings",
    "elements",
    "own_elements",
    "trust",
    "trained_on",
    "own_files",
    "parts",
    "companion",
)
_FLAGS = ("label_like", "distilled")

#: Largest size of one dimension of a network; smaller limits of some settings.
MOST_CHANNELS = 100_000
_MOST = {"n_layers": 64, "n_gated": 64, "l_max": 8, "dropout": 1}
#: Numbers in each list under "trust"; lists of any length there.
_TRUST = {"filling": 2, "disagreement": 1}
_TRUST_LISTS = ("alone", "bonds")


def header_fault(content: Mapping[str, Any]) -> str | None:
    """What is wrong with a header (as read from JSON), or None.

    Types and sizes are checked, so that a file made by somebody else ends in a message and not in
    a failure later, and cannot ask for more memory than its own tensors need.
    """
    for names, kind in ((_TEXT, str), (_TABLES, dict), (_FLAGS, bool)):
        for name in names:
            if name in content and not isinstance(content[name], kind):
                return f"{name} is no {kind.__name__}"
    if not isinstance(content.get("calibration"), (dict, type(None))):
        return "calibration is not a dict"
    sources = content.get("sources", ["dfpt"])
    if not isinstance(sources, list) or not sources or not all(map(_is_name, sources)):
        return "sources is not a list of names"
    if not _whole(content["members"], 1, 999) or not _whole(content["encoder_version"], 0, 10**6):
        return "members or encoder_version is not a plausible number"
    grid = content["grid"]
    if not (_real(grid["start"]) and _real(grid["step"]) and _whole(grid["n"], 2, MOST_CHANNELS)):
        return "the grid is not valid"
    if not (abs(grid["start"]) < 1e6 and 0 < grid["step"] < 1e4):
        return "the grid is not plausible"
    if not all(map(_is_part, content.get("parts", {}).values())):
        return "parts are not names of files with their digests"
    if not all(map(_is_name, content.get("companion", {}).values())):
        return "companion is not a table of names"
    for name in ("elements", "own_elements"):
        if not all(_whole(n, 0, 10**12) for n in content.get(name, {}).values()):
            return f"{name} are not counts"
    for name, length in _TRUST.items():
        limits = content.get("trust", {}).get(name, [0] * length)
        if not isinstance(limits, list) or len(limits) != length or not all(map(_real, limits)):
            return f"trust[{name!r}] is not a list of {length} numbers"
    for name in _TRUST_LISTS:
        numbers = content.get("trust", {}).get(name, [])
        if not isinstance(numbers, list) or not all(map(_real, numbers)):
            return f"trust[{name!r}] is not a list of numbers"
    bonds = content.get("trust", {}).get("bonds", [])
    if not all(0 < n // 1000 < 119 and 0 < n % 1000 < 119 for n in bonds):
        return "trust['bonds'] are not pairs of elements"
    others = content.get("other_settings", {}).values()
    for settings in (content["settings"], *others):
        if (fault := _settings_fault(settings)) is not None:
            return fault
    return None


def _settings_fault(settings: Any, parts: bool = True) -> str | None:
    """What is wrong with the sizes of a network; those of its parts may be dicts among them."""
    if not isinstance(settings, dict):
        return "settings are not a dict"
    for name, value in settings.items():
        if parts and isinstance(value, dict):
            if (fault := _settings_fault(value, parts=False)) is not None:
                return fault
            continue
        most = _MOST.get(name, MOST_CHANNELS)
        if not _real(value) or not 0 <= value <= most:
            return f"the setting {name!r} is not a number from 0 to {most}"
    return None


def _is_part(value: Any) -> bool:
    """A plain file name, so that a header cannot point elsewhere, and a digest."""
    if not isinstance(value, dict) or set(value) != {"file", "sha256"}:
        return False
    name, digest = value["file"], value["sha256"]
    if not isinstance(name, str) or not isinstance(digest, str):
        return False
    return name.endswith(".safetensors") and not set(name) & set("/\\\0:")


def _is_name(value: Any) -> bool:
    return isinstance(value, str)


def _real(value: Any) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and abs(value) < 1e300 and math.isfinite(value)


def _whole(value: Any, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most
