"""Refined rows of a screen as labelled crystals, to learn from."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from ase_e3dos.data.importers import Account, sort_out
from ase_e3dos.data.labelled_file import (
    SITE_BINS,
    SITE_BINS_WIDE,
    SITE_STEP,
    LabelledEntry,
    Reject,
    check_output,
    write_labelled,
)
from ase_e3dos.data.labelled_set import UNSTABLE_SHARE
from ase_e3dos.data.splits import SplitBy, split_names
from ase_e3dos.errors import DataError
from ase_e3dos.potentials.mode_counts import STOP
from ase_e3dos.screening.refined_rows import one_refined_file, read_refined
from ase_e3dos.structures.crystal import Crystal
from ase_e3dos.structures.json_text import parse_json
from ase_e3dos.version import __version__


def labels_from_screen(
    directory: str | Path,
    output: str | Path,
    *,
    calculator: str | None = None,
    source: str | None = None,
    by: SplitBy = "composition",
    seed: int = 0,
    licence: str = "",
    citation: str = "",
) -> Account:
    """Write the refined rows of a screen as a file of labelled crystals.

    Parameters
    ----------
    directory : str or Path
        Of the screen, whose rows `refine` calculated.
    output : str or Path
        Parquet file.
    calculator : str, optional
        Name of the file of refined rows, where there are several: the calculator's, unless
        `refine` was given one.
    source : str, optional
        Name of the potential or method; the calculator's if not given.
    by, seed
        How to divide, as for `ase_e3dos.data.splits.split_names`.
    licence, citation : str, optional
        Of the labels, for the file's metadata.

    Returns
    -------
    Account
        What was taken and what was left out, with reasons.

    Raises
    ------
    ScreeningError
        The screen has no refined rows, or those of several calculators and none is named.
    DataError
        Nothing usable is among them.
    """
    check_output(output)
    about, table = read_refined(one_refined_file(directory, calculator))
    name = str(about["calculator"])
    # Beside the predictions of several models the same rows stand several times.
    rows = list({(row["id"], row["content"]): row for row in table.to_pylist()}.values())
    taken, rejects = sort_out(_entry(row, name) for row in rows)
    if not taken:
        raise DataError(f"{directory}: none of its {len(rejects)} refined rows is usable.")
    parts = split_names([e.crystal for e in taken], by, seed=seed)
    taken = [replace(e, split=part) for e, part in zip(taken, parts, strict=True)]
    provenance: dict[str, Any] = {
        "calculator": name,
        "settings": about["settings"],
        "licence": licence,
        "split": f"{by}, seed {seed}",
        "written": f"ase-e3dos {__version__}, {datetime.now(UTC):%Y-%m-%d}",
    }
    if citation:
        provenance["citation"] = citation
    write_labelled(output, taken, source or name, provenance)
    splits = {part: parts.count(part) for part in set(parts)}
    ids = {e.id for e in taken}
    notes = _notes([row for row in rows if row["id"] in ids])
    return Account(Path(output), len(taken), rejects, splits, (), by, notes)


def _notes(rows: list[dict[str, Any]]) -> tuple[str, ...]:
    """What is unusual about rows that are labels all the same, with their numbers."""
    shares = [row["imaginary_fraction_refined"] for row in rows]
    unstable = sum(share > UNSTABLE_SHARE for share in shares)
    kinds = Counter(
        warning.partition(":")[0] for row in rows for warning in row["warnings_refined"]
    )
    kinds.pop("ImaginaryWeightWarning", None)
    notes = [f"{unstable} of them have imaginary modes (more than {UNSTABLE_SHARE:.0%} of all)"]
    notes += [f"{count} of them have a {kind}" for kind, count in sorted(kinds.items())]
    return tuple(notes)


def _entry(row: dict[str, Any], name: str) -> LabelledEntry | Reject:
    if row["error_refined"] is not None:
        return Reject(row["id"], row["error_refined"])
    n = len(row["numbers"])
    crystal = Crystal(
        np.reshape(row["cell_refined"], (3, 3)),
        np.reshape(row["positions_frac_refined"], (n, 3)),
        np.arange(n),
        row["numbers"],
        name=row["id"],
    )
    origin = parse_json(row["origin_refined"])
    highest = float(origin.get("highest_wavenumber", STOP))
    bins = SITE_BINS if highest < 1590 else SITE_BINS_WIDE
    values = np.reshape(np.array(row["site_dos_refined"], float), (n, SITE_BINS_WIDE))[:, :bins]
    values = 3.0 * values / (values.sum(axis=1, keepdims=True) * SITE_STEP)
    scalars = {
        "strain": 0.0,
        "min_wavenumber": origin.get("lowest_wavenumber"),
        "max_wavenumber": origin.get("highest_wavenumber"),
    }
    return LabelledEntry(row["id"], crystal, values, scalars=scalars, provenance=name)
