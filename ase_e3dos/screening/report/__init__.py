"""The report of a screening: one page to read offline, or the same figures as files."""

from __future__ import annotations

from ase_e3dos.screening.report.statistics import ScreenedSet, read_screen

__all__ = ["ScreenedSet", "read_screen"]
