"""Calculators of forces: found by name, relaxing structures, and giving reference spectra."""

from __future__ import annotations
