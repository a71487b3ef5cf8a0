"""Labels that a file holds already: which of them stay, and which are replaced."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ase_e3dos.errors import DataError
from ase_e3dos.potentials.journal import Journal, differing
from ase_e3dos.structures.crystal import Crystal

#: Its key, the crystal, and the strain.
Job = tuple[str, Crystal, float]


def latest_rows(journal: Journal) -> dict[tuple[str, float], dict[str, Any]]:
    """The rows that count: of each name and strain the one that was written last."""
    return {(row["id"], row["strain"]): row for row in journal.rows.values()}


def report_replaced(
    file: Path,
    journal: Journal,
    jobs: list[Job],
    basis: dict[str, Any],
    replace_others: bool,
    report: Callable[[str], None],
) -> None:
    """Say where a label takes the place of another structure's, or of one that was made otherwise.

    Parameters
    ----------
    file : Path
        The labels, for messages.
    journal : Journal
        What was calculated before.
    jobs : list of Job
        What is asked for now.
    basis : dict
        Calculator and settings of the jobs.
    replace_others : bool
        Whether labels that were made otherwise may be replaced.
    report : callable
        Gets a line of text for each structure, and one for all that were made otherwise.

    Raises
    ------
    DataError
        The other structure is of another composition, hence another crystal and no edited file;
        or a label was made otherwise and may not be replaced.
    """
    latest = latest_rows(journal)
    otherwise: list[str] = []
    for _, crystal, strain in jobs:
        row = latest.get((crystal.name, strain), {})
        found = [] if not row or "error" in row else differing(row.get("basis", {}), basis)
        if found and not replace_others:
            raise DataError(
                f"{file} holds {crystal.name} as it was calculated otherwise; it differs in "
                f"{', '.join(found)}. Write to another file, or move this one and its journal away."
            )
        otherwise += found[:1]
        if "structure" not in row or row["structure"] == structure_digest(crystal):
            continue
        if sorted(row.get("numbers", [])) not in ([], sorted(crystal.numbers.tolist())):
            raise DataError(
                f"{file} holds {crystal.name} already, with another composition. Rename one of "
                "the two, or write to another file."
            )
        report(f"{crystal.name} strain {strain:g} takes the place of another structure's")
    if otherwise:
        report(
            f"{len(otherwise)} labels of {file.name} give way to others: they differ in "
            f"{otherwise[0]}"
        )


def kept_rows(
    file: Path, journal: Journal, jobs: list[Job], basis: dict[str, Any]
) -> list[dict[str, Any]]:
    """Rows of the journal that stay beside those of the jobs.

    Raises
    ------
    DataError
        One has another basis, or is of another structure with the name of a job.
    """
    asked = {(crystal.name, strain) for _, crystal, strain in jobs}
    structures = {crystal.name: structure_digest(crystal) for _, crystal, _ in jobs}
    kept = [row for asking, row in latest_rows(journal).items() if asking not in asked]
    for row in kept:
        what = f"{row['id']} at strain {row['strain']:g}"
        found = differing(row.get("basis", {}), basis)
        if found and "error" not in row:
            raise DataError(
                f"{file} holds labels that were made otherwise and are not asked for now, such as "
                f"{what}; they differ in {', '.join(found)}. Write to another file, or give "
                "all its structures and strains, to label them again."
            )
        if row.get("structure") != structures.get(row["id"], row.get("structure")):
            raise DataError(
                f"{file} holds {what}, which is another structure than the one of this name "
                "given now. Rename the new one, write to another file, or label it at all strains "
                "that the file has."
            )
    return [row for row in kept if row.get("basis") == basis]


def job_key(crystal: Crystal, basis: dict[str, Any], strain: float) -> str:
    """Hash of what determines a label: structure and name, calculator and settings, strain."""
    values = [crystal.name, structure_digest(crystal), basis, strain]
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:24]


def structure_digest(crystal: Crystal) -> str:
    """Hash of cell, positions and elements."""
    digest = hashlib.sha256()
    for array in (crystal.cell, crystal.scaled_positions, crystal.numbers):
        digest.update((np.round(np.asarray(array, dtype=float), 8) + 0.0).tobytes())
    return digest.hexdigest()[:24]
