"""Spectra as the objects and files of phonopy, pymatgen, ASE and others."""

from __future__ import annotations
