"""A journal of finished jobs: what lets a long calculation go on after an interruption."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ase_e3dos.errors import DataError
from ase_e3dos.structures.json_text import parse_json


class Journal:
    """Results as JSON lines, one a job; a torn last line is dropped.

    Attributes
    ----------
    path
        The file, made with its folder where it is not there.
    rows
        By their `key`, in the order in which they were written last.

    Raises
    ------
    DataError
        A line is damaged; the message names it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: dict[str, dict[str, Any]] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        data = path.read_bytes() if path.is_file() else b""
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            with path.open("r+b") as file:
                file.truncate(whole)
        for number, line in enumerate(data[:whole].split(b"\n")[:-1], 1):
            try:
                row = parse_json(line)
                key = row["key"]
            except (ValueError, TypeError, KeyError) as error:
                raise DataError(
                    f"{path}, line {number}: damaged, not a result ({type(error).__name__}). "
                    "Delete this line, and what it held is calculated again."
                ) from error
            self._place(key, row)

    def add(self, row: dict[str, Any]) -> None:
        """Write a row to the file.

        Parameters
        ----------
        row : dict
            With its "key"; plain values.
        """
        self._place(row["key"], row)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    def _place(self, key: str, row: dict[str, Any]) -> None:
        self.rows.pop(key, None)
        self.rows[key] = row


def differing(known: Mapping[str, Any], basis: Mapping[str, Any]) -> list[str]:
    """What tells the basis of a result (calculator, settings) from another one, for messages.

    Parameters
    ----------
    known : mapping
        Basis of the result.
    basis : mapping
        Basis that is asked for.

    Returns
    -------
    list of str
    """
    return [
        f"{key} ({_short(known.get(key, 'unknown'))}, now {_short(value)})"
        for key, value in basis.items()
        if known.get(key) != value
    ]


def _short(value: Any) -> str:
    """A value in a message; of an identity the name and the first digits of the hash."""
    words = str(value).split()
    return " ".join([*words[:-1], words[-1][:8]]) if len(words) > 1 else str(value)
