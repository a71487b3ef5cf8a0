"""The small made-up data of the repository's tests, which these share."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "tests"))

from small_data import data_dir, tiny_configs, tiny_paper, tiny_site  # noqa: F401
