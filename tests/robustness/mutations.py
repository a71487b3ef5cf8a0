"""Damage to files: bytes, lines, numbers and JSON values, the same for the same seed."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

import numpy as np

NASTY_NUMBERS = (
    "nan", "inf", "-inf", "0", "-0.0", "-1", "1e308", "-1e308", "1e-308", "999999999", "1e9",
    "2147483648", "0x10", "1.0.0", "one", "", "1e", "NaN(1)",
)  # fmt: skip
NASTY_VALUES: tuple[Any, ...] = (
    None, True, "", "x", "../../../tmp/e3dos", [], {}, [[]], -1, 0, 1e308, -1e308, float("nan"),
    float("inf"), 10**9, 10**30, [float("nan")] * 3, "9" * 40, [None], {"a": {}},
)  # fmt: skip
ODD_WORDS = (
    "?", ".", "'P 1'", "'F d -3 m'", "'R -3 c'", "P21/n", "'-F 4 2 3'", "'-P 2ybc (x-1/4,y,z)'",
    "0", "1", "-1", "230", "1/3", "0.333", "0.3333(2)", ".5", "1e5", "1e-5", "90", "120",
    "179.999", "0.02", "'x,y,z'", "'-x,-y,-z'", "'x+1/2,y,z'", "'y,x,z'", "'-y,x-y,z'",
    "x,y,z,-1", "H", "D", "T", "NA", "Fe3+", "OH", "CO", "Uuo", "Og", "dum",
    "_atom_site_occupancy", "_atom_site_calc_flag", "loop_", "_symmetry_Int_Tables_number",
    "_atom_site_symmetry_multiplicity", "_chemical_formula_sum", "_cell_formula_units_Z",
    "data_b", "Lattice=\"1 0 0 0 1 0 0 0 1\"", "species:S:1:pos:R:3", "T", "pos:R:9",
    "pbc=\"T T T\"", "3", "2000000", "occupancy={}", "Na1", "''", "\"", "'", ";", "#",
)  # fmt: skip
_WORD = re.compile(rb"\"[^\"\n]*\"|'[^'\n]*'|[^\s\"']+")
_NUMBER = re.compile(rb"[-+]?\d+\.?\d*(?:[eE][-+]?\d+)?")


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """One to three kinds of damage to a file."""
    for _ in range(int(rng.integers(1, 4))):
        data = _DAMAGE[int(rng.integers(len(_DAMAGE)))](data, rng)
    return data


def odd(data: bytes, rng: np.random.Generator) -> bytes:
    """One to four words replaced by others of the file, or by words that mean something."""
    for _ in range(int(rng.integers(1, 5))):
        words = list(_WORD.finditer(data))
        if not words:
            return data
        hit = words[int(rng.integers(len(words)))]
        new = (
            words[int(rng.integers(len(words)))][0]
            if rng.uniform() < 0.5
            else ODD_WORDS[int(rng.integers(len(ODD_WORDS)))].encode()
        )
        data = data[: hit.start()] + new + data[hit.end() :]
    return data


def damaged_json(value: Any, rng: np.random.Generator) -> Any:
    """A copy of a JSON value with one to three leaves or branches replaced or removed."""
    value = copy.deepcopy(value)
    for _ in range(int(rng.integers(1, 4))):
        places = list(_places(value))
        if not places:
            return value
        parent, key = places[int(rng.integers(len(places)))]
        if isinstance(parent, dict) and rng.uniform() < 0.2:
            del parent[key]
        else:
            parent[key] = copy.deepcopy(NASTY_VALUES[int(rng.integers(len(NASTY_VALUES)))])
    return value


def dumps(value: Any) -> bytes:
    return json.dumps(value).encode()


def _places(value: Any) -> Any:
    """Every (container, key) below a value; of long lists of numbers only a few."""
    if isinstance(value, dict):
        keys: list[Any] = list(value)
    elif isinstance(value, list):
        keys = list(range(min(len(value), 4)))
    else:
        return
    for key in keys:
        yield value, key
        yield from _places(value[key])


def _flip(data: bytes, rng: np.random.Generator) -> bytes:
    out = bytearray(data)
    for k in rng.integers(0, max(len(out), 1), int(rng.integers(1, 9))):
        if k < len(out):
            out[k] = int(rng.integers(256))
    return bytes(out)


def _cut(data: bytes, rng: np.random.Generator) -> bytes:
    return data[: int(rng.integers(0, len(data) + 1))]


def _remove(data: bytes, rng: np.random.Generator) -> bytes:
    a, b = np.sort(rng.integers(0, len(data) + 1, 2))
    return data[:a] + data[b:]


def _lines(data: bytes, rng: np.random.Generator) -> bytes:
    """Drop, double, swap or empty a line."""
    lines = data.split(b"\n")
    i, j = rng.integers(0, len(lines), 2)
    how = int(rng.integers(4))
    if how == 0:
        del lines[i]
    elif how == 1:
        lines.insert(j, lines[i])
    elif how == 2:
        lines[i], lines[j] = lines[j], lines[i]
    else:
        lines[i] = b""
    return b"\n".join(lines)


def _number(data: bytes, rng: np.random.Generator) -> bytes:
    found = list(_NUMBER.finditer(data))
    if not found:
        return data
    hit = found[int(rng.integers(len(found)))]
    new = NASTY_NUMBERS[int(rng.integers(len(NASTY_NUMBERS)))].encode()
    return data[: hit.start()] + new + data[hit.end() :]


def _insert(data: bytes, rng: np.random.Generator) -> bytes:
    k = int(rng.integers(0, len(data) + 1))
    piece = (
        rng.bytes(int(rng.integers(1, 40))),
        b"\x00" * 20,
        b"\xff\xfe",
        b"(" * 3000,
        b"9" * 5000,
        "é中\u202e".encode(),
        b"' ; loop_ _x",
    )[int(rng.integers(7))]
    return data[:k] + piece + data[k:]


def _repeat(data: bytes, rng: np.random.Generator) -> bytes:
    a, b = np.sort(rng.integers(0, len(data) + 1, 2))
    return data[:b] + data[a:b] * int(rng.integers(1, 4)) + data[b:]


_DAMAGE = (_flip, _cut, _remove, _lines, _lines, _number, _number, _number, _insert, _repeat)
