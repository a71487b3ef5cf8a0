"""Screening: a stream of crystals into Parquet shards, and the report that people read."""

from __future__ import annotations

from ase_e3dos.screening.run import ScreenSummary, screen
from ase_e3dos.screening.settings import PAPER_TEMPERATURE
from ase_e3dos.screening.shards import read_metadata

__all__ = ["PAPER_TEMPERATURE", "ScreenSummary", "read_metadata", "screen"]
