"""A journal of finished jobs: what lets a long calculation go on after an interruption."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


class Journal:
    """Results as JSON lines, one a job; a torn last line is dropped."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: dict[str, dict[str, Any]] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        whole = text[: text.rfind("\n") + 1]
        if whole != text:
            path.write_text(whole, encoding="utf-8")
        for line in whole.splitlines():
            row = json.loads(line)
            self.rows[row["key"]] = row

    def add(self, row: dict[str, Any]) -> None:
        """Write a row to the file."""
        self.rows[row["key"]] = row
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
