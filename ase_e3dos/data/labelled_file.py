"""Writing labelled crystals: the Parquet form that importers and labelling share.

docs/reference/data-format.md describes the columns.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ase_e3dos.data.labels import JARVIS_GRID
from ase_e3dos.errors import DataError, need_pyarrow
from ase_e3dos.structures.crystal import Crystal
from ase_e3dos.structures.json_text import parse_json
from ase_e3dos.structures.paths import is_file, is_folder

FORMAT = "ase-e3dos-labels/1"
#: Site labels: bins of 10 cm^-1 that begin at -400 cm^-1.
SITE_START, SITE_STEP, SITE_BINS, SITE_BINS_WIDE = -400.0, 10.0, 200, 480
#: Largest relative deviation of a raw spectrum's integral from 3N.
INTEGRAL_TOLERANCE = 0.05
_COLUMN = {"raw": "dos_per_cm1", "sampled": "dos_max_normalised", "site": "site_dos"}
_UNITS = {
    "cell": "Å",
    "dos_start_cm1": "cm^-1",
    "dos_step_cm1": "cm^-1",
    "dos_per_cm1": "states/cm^-1 and cell",
    "dos_max_normalised": "1 at the maximum; -300, -280, ..., 1000 cm^-1",
    "site_dos": "modes per bin density; 10 cm^-1 bins from -400 cm^-1, each site integrates to 3",
}


@dataclass(frozen=True)
class LabelledEntry:
    """One labelled crystal.

    Attributes
    ----------
    id : str
        Its name in its source.
    crystal : Crystal
        The structure; every site one element.
    values : ndarray
        Raw: states/cm^-1 and cell, shape (n,); sampled: 66 values; site: (n_sites, n_bins).
    start, step : float
        Of a raw spectrum, cm^-1.
    scalars : dict
        Further columns (flag_..., ..._300K, strain, ...).
    provenance : str
        Where it came from: a file, a record, a calculator.
    split : str
        Part it plays, if it is known already.
    """

    id: str
    crystal: Crystal
    values: NDArray[np.float64]
    start: float = 0.0
    step: float = 1.0
    scalars: dict[str, Any] = field(default_factory=dict)
    provenance: str = ""
    split: str = "train"


@dataclass(frozen=True)
class Reject:
    """An entry that was not taken, and why."""

    id: str
    reason: str


def counted(rejects: Sequence[Reject]) -> list[str]:
    """Lines of an account: how often each reason occurs, the most frequent first.

    Reasons that differ in their numbers only are one kind; the first stands for all.
    """
    by_kind: dict[str, list[Reject]] = {}
    for reject in rejects:
        kind = re.sub(r"[-+]?\d+(\.\d+)?", "#", reject.reason.replace(reject.id, "#"))
        by_kind.setdefault(kind, []).append(reject)
    lines = []
    for same in sorted(by_kind.values(), key=len, reverse=True):
        shown = ", ".join(r.id for r in same[:3]) + (", ..." if len(same) > 3 else "")
        lines.append(f"  {len(same)} x {' '.join(same[0].reason.split())} ({shown})")
    return lines


def label_kind(entries: Sequence[LabelledEntry]) -> str:
    """Kind of the labels by the shape of the values: "raw", "sampled" or "site"."""
    first = entries[0].values
    if first.ndim == 2:
        return "site"
    return "sampled" if len(first) == len(JARVIS_GRID) and entries[0].step == 20.0 else "raw"


def problem(entry: LabelledEntry) -> str | None:
    """What is wrong with an entry; None where it is sound.

    Checked: one element on each site, no two atoms closer than half a bond, finite and
    non-negative values with some weight, the grid, the integral (raw: 3N to 5 %; site: 3 for
    each site).
    """
    values, n_sites = entry.values, entry.crystal.n_sites
    if values.ndim not in (1, 2):
        return f"a spectrum of shape {values.shape}"
    if not entry.crystal.is_ordered:
        return "sites with mixed occupation; labels are for ordered crystals"
    distance = _too_close(entry.crystal)
    if distance is not None:
        return f"structure: two atoms are {distance:.2f} Å apart, less than half a bond"
    if not np.isfinite(values).all():
        return "values that are not finite"
    if values.size == 0 or values.max() <= 0:
        return "no weight in the spectrum"
    if values.min() < -0.01 * values.max():
        return f"negative density ({values.min():.3g}, maximum {values.max():.3g})"
    if values.ndim == 2:
        totals = values.clip(0).sum(axis=1) * SITE_STEP
        if values.shape[0] != n_sites or values.shape[1] not in (SITE_BINS, SITE_BINS_WIDE):
            return f"site spectra of shape {values.shape} for {n_sites} sites"
        worst = float(totals[np.argmax(np.abs(totals - 3))])
        return f"a site integrates to {worst:.3f}, not 3" if abs(worst - 3) > 0.05 else None
    if label_kind([entry]) == "sampled":
        return None
    if not 0 < entry.step <= 25:
        return f"a grid step of {entry.step:g} cm^-1 (up to 25 are taken)"
    if entry.start > 100 or entry.start + entry.step * len(values) < 50:
        return f"a grid from {entry.start:g} cm^-1 with {len(values)} points cannot hold a spectrum"
    integral = float(values.clip(0).sum() * entry.step)
    if abs(integral / (3 * n_sites) - 1) > INTEGRAL_TOLERANCE:
        return f"the spectrum integrates to {integral:.3f}, not 3N = {3 * n_sites} (to 5 %)"
    return None


def _too_close(crystal: Crystal) -> float | None:
    """Distance in Å of two atoms within half a bond of each other, if there are any."""
    from ase.neighborlist import natural_cutoffs, neighbor_list

    atoms = crystal.to_atoms()
    distances = neighbor_list("d", atoms, natural_cutoffs(atoms, mult=0.5))
    return float(distances.min()) if len(distances) else None


def check_output(path: str | Path) -> None:
    """Refuse, before any work, a path at which no file can be written.

    Raises
    ------
    DataError
        It is a folder.
    """
    if is_folder(path):
        raise DataError(f"{path}: a folder; give the name of the Parquet file to write.")


def write_labelled(
    path: str | Path,
    entries: Sequence[LabelledEntry],
    source: str,
    provenance: dict[str, Any] | None = None,
) -> None:
    """Write entries of one kind as a Parquet file.

    A file that holds the same already, whenever it was written, is left alone: trainings know
    their data by a hash of the file.

    Parameters
    ----------
    path : str or Path
        File; replaced only when the new one is complete.
    entries : sequence of LabelledEntry
        At least one.
    source : str
        Name of the functional and method, or of the potential: networks keep sources apart.
    provenance : dict, optional
        Kept in the file's metadata with units and format; `written` says when.

    Raises
    ------
    DataError
        There is no entry, or the entries have labels of different kinds.
    """
    need_pyarrow("a file of labelled crystals")
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not entries:
        raise DataError(f"{path}: no entry is left to write; see what was rejected and why.")
    kind = label_kind(entries)
    if any(label_kind([e]) != kind for e in entries):
        raise DataError(f"{path}: the entries have labels of different kinds; write one file each.")
    columns: dict[str, Any] = {
        "id": [e.id for e in entries],
        "formula": [e.crystal.formula for e in entries],
        "split": [e.split for e in entries],
        "source": [source] * len(entries),
        "provenance": [e.provenance for e in entries],
        "numbers": pa.array([e.crystal.numbers.tolist() for e in entries], pa.list_(pa.uint8())),
        "cell": [e.crystal.cell.ravel().tolist() for e in entries],
        "positions_frac": [e.crystal.scaled_positions.ravel().tolist() for e in entries],
    }
    if kind == "raw":
        columns["dos_start_cm1"] = [float(e.start) for e in entries]
        columns["dos_step_cm1"] = [float(e.step) for e in entries]
    for name in sorted({k for e in entries for k in e.scalars}):
        columns[name] = [e.scalars.get(name) for e in entries]
    values = [e.values.clip(0).astype(np.float32).ravel() for e in entries]
    columns[_COLUMN[kind]] = pa.array(values, pa.list_(pa.float32()))
    about = {"format": FORMAT, "source": source, "units": _UNITS, **(provenance or {})}
    table = pa.table(columns).replace_schema_metadata({"ase_e3dos": json.dumps(about)})
    file = Path(path)
    if _holds(file, table):
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(file.name + ".tmp")
    pq.write_table(table, temporary, compression="zstd")
    temporary.replace(file)


def _holds(file: Path, table: Any) -> bool:
    """Whether a file has these columns and metadata, but for the time at which it was written."""
    need_pyarrow("a file of labelled crystals")
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file) as there:
            old = there.read()
    except (pa.ArrowException, OSError):
        return False
    about, known = (dict(_about(t.schema), written=None) for t in (table, old))
    return about == known and bool(old.equals(table))


def split_counts(path: str | Path) -> dict[str, int]:
    """Entries of each split of a file, without reading its spectra.

    Raises
    ------
    DataError
        The file is missing or is not a Parquet file.
    """
    need_pyarrow("a file of labelled crystals")
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = Path(path)
    if not is_file(file):
        raise DataError(f"{file}: no such file. Give the path of a Parquet file of spectra.")
    try:
        schema = pq.read_schema(file)
        if "split" not in schema.names:
            return {"train": pq.read_metadata(file).num_rows}
        names = pq.read_table(file, columns=["split"])["split"].to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{file}: not a readable Parquet file ({error}).") from error
    return dict(Counter(str(name) for name in names))


def stated(path: str | Path) -> dict[str, Any]:
    """What a file's metadata state: source, licence, citation and more; empty where nothing."""
    need_pyarrow("a file of labelled crystals")
    import pyarrow.parquet as pq

    return _about(pq.read_schema(path))


def _about(schema: Any) -> dict[str, Any]:
    about = (schema.metadata or {}).get(b"ase_e3dos")
    return dict(parse_json(about)) if about else {}
