"""Labelled crystals from Parquet files: what training and evaluation read.

The columns are described in docs/reference/data-format.md. Three kinds of labels are told
apart by their column: ``dos_per_cm1`` (a raw spectrum on a 1 cm^-1 grid, states per cm^-1 and
cell), ``dos_max_normalised`` (66 values on -300, -280, ..., 1000 cm^-1) and ``site_dos``
(n_sites x 200 values in 10 cm^-1 bins from -400 to 1600 cm^-1, or n_sites x 480 to 4400 cm^-1,
each site integrating to 3).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ase_e3dos.data.labelled_file import stated
from ase_e3dos.data.labels import DEFAULT_GRID, IMAGINARY_GRID, PAPER_GRID, bin_weights, paper_label
from ase_e3dos.data.published import UNKNOWN, Origin, origin
from ase_e3dos.errors import CrystalError, DataError, need_pyarrow
from ase_e3dos.spectrum.displacement_tensors import log_components, tensor_matrices
from ase_e3dos.structures.crystal import Crystal
from ase_e3dos.structures.json_text import parse_json
from ase_e3dos.structures.paths import is_file

LabelKind = Literal["raw", "sampled", "site"]
#: First wavenumber and step in cm^-1, values in states/cm^-1 and cell.
RawSpectrum = tuple[float, float, NDArray[np.float64]]
_KIND_OF_COLUMN: dict[str, LabelKind] = {
    "dos_per_cm1": "raw",
    "dos_max_normalised": "sampled",
    "site_dos": "site",
}
#: Data source that each kind of label speaks for, where a file does not say.
_SOURCE_OF_KIND = {"raw": "dfpt", "sampled": "jarvis", "site": "mlip"}
#: Columns of scalars that evaluation and selection may need.
_SCALARS = ("in_petretto_valid", "imaginary_fraction")
#: km/s; slower is not the sound of a stable crystal but rounding.
SLOWEST_SOUND = 0.2
#: Share of imaginary modes up to which displacements are taken as those of a stable crystal.
_STABLE = 0.002
#: Share of imaginary modes above which a crystal counts as unstable.
UNSTABLE_SHARE = 0.01
#: Site labels: bins of 10 cm^-1 from -400 to 1600 cm^-1, or 480 where modes lie above.
SITE_BINS = 200


@dataclass(frozen=True)
class LabelledSet:
    """Crystals with spectra of one kind.

    Attributes
    ----------
    kind : LabelKind
        "raw", "sampled" or "site".
    source : str
        Name of the data source (functional and method) the spectra come from.
    ids, formulas, splits : list of str
        One string for each crystal.
    crystals : list of Crystal
        The structures.
    bins
        Weight in each bin of `DEFAULT_GRID`: raw labels, shape (n, 480), rows sum to one;
        site labels, a list of (n_sites, 480), rows sum to one; None for sampled labels.
    label : ndarray of float32 or None
        Raw labels: paper labels on 51 points; sampled labels: the 66 values. Divided by their
        maximum, shape (n, n_points). Site labels: None.
    label_imaginary : ndarray of float32 or None
        Raw labels on the 61 points from -200 cm^-1, divided by their maximum; else None.
    strain : ndarray
        Isotropic strain of each crystal (site labels); zero elsewhere, shape (n,).
    reference : dict of str to ndarray
        Columns of scalars that the file gives (heat_capacity_300K and the like), shape (n,).
    sha256 : str
        Hash of the file.
    raw : list of RawSpectrum or None
        Raw labels: (start, step, values) of each spectrum, in cm^-1 and states/cm^-1 a cell;
        else None.
    origin : Origin
        Licence and citation of the file.
    log_displacements : list of ndarray of float32 or None or None
        Site labels: logarithms of the displacement tensors at 100, 300 and 600 K, of each crystal
        (n_sites, 3, 6) as `ase_e3dos.spectrum.displacement_tensors` has them, or None where they
        are not known or the crystal is not stable; None without the column `u_tensor`.
    sound_velocity : ndarray or None
        Debye mean of the sound velocities in km/s, NaN where it is not known, shape (n,); None
        without the column.
    """

    kind: LabelKind
    source: str
    ids: list[str]
    formulas: list[str]
    splits: list[str]
    crystals: list[Crystal]
    bins: Any
    label: NDArray[np.float32] | None
    label_imaginary: NDArray[np.float32] | None
    strain: NDArray[np.float64]
    reference: dict[str, NDArray[Any]]
    sha256: str
    raw: list[RawSpectrum] | None = None
    origin: Origin = UNKNOWN
    log_displacements: list[NDArray[np.float32] | None] | None = None
    sound_velocity: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.crystals)

    @property
    def n_sites(self) -> NDArray[np.int64]:
        """Sites of each crystal, shape (n,)."""
        return np.array([c.n_sites for c in self.crystals])

    @cached_property
    def unstable(self) -> NDArray[np.float32]:
        """1 where more than 1 % of the modes are imaginary, else 0, shape (n,).

        By `imaginary_fraction` where the file states it, else by the bins below -5 cm^-1. Of
        raw and site labels; sampled ones are too coarse and noisy near zero to tell.
        """
        share = self.reference.get("imaginary_fraction")
        if share is None:
            below = DEFAULT_GRID < -5.0
            share = np.array([np.atleast_2d(b)[:, below].sum(1).mean() for b in self.bins])
        return np.asarray(share > UNSTABLE_SHARE, dtype=np.float32)

    def subset(self, keep: Sequence[int] | NDArray[Any]) -> LabelledSet:
        """The entries with these indices (or where a boolean mask is true)."""
        index = np.asarray(keep)
        if index.dtype == bool:
            index = np.flatnonzero(index)
        index = index.astype(int)
        take = lambda values: None if values is None else values[index]  # noqa: E731
        bins = [self.bins[i] for i in index] if isinstance(self.bins, list) else take(self.bins)
        return LabelledSet(
            self.kind,
            self.source,
            [self.ids[i] for i in index],
            [self.formulas[i] for i in index],
            [self.splits[i] for i in index],
            [self.crystals[i] for i in index],
            bins,
            take(self.label),
            take(self.label_imaginary),
            self.strain[index],
            {k: v[index] for k, v in self.reference.items()},
            self.sha256,
            None if self.raw is None else [self.raw[i] for i in index],
            self.origin,
            None if self.log_displacements is None else [self.log_displacements[i] for i in index],
            take(self.sound_velocity),
        )

    def split(self, name: str) -> LabelledSet:
        """The entries of one split ("train", "valid", ...).

        Raises
        ------
        DataError
            No entry belongs to that split.
        """
        mask = np.array([s == name for s in self.splits], dtype=bool)
        if not mask.any():
            raise DataError(
                f"no entry has split={name!r}; the file has {sorted(set(self.splits))}. "
                "Choose one of these, or set the 'split' column."
            )
        return self.subset(mask)


def read_labelled(path: str | Path) -> LabelledSet:
    """Read a Parquet file of labelled crystals.

    Parameters
    ----------
    path : str or Path
        File with the columns `id`, `formula`, `numbers`, `cell`, `positions_frac` and one of
        the label columns; `split`, `source` and `strain` where there are any.

    Raises
    ------
    DataError
        The file is missing or unreadable, a column is missing, or a structure or label in it
        is not valid; the message names the entry.
    """
    need_pyarrow("a file of labelled crystals")
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = Path(path)
    if not is_file(file):
        raise DataError(f"{file}: no such file. Give the path of a Parquet file of spectra.")
    try:
        table = pq.read_table(file)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{file}: not a readable Parquet file ({error}).") from error
    names = set(table.column_names)
    label_column = next((c for c in _KIND_OF_COLUMN if c in names), None)
    missing = {"id", "numbers", "cell", "positions_frac"} - names
    if missing or label_column is None:
        wanted = ", ".join(sorted(missing)) or " or ".join(_KIND_OF_COLUMN)
        raise DataError(f"{file}: lacks the column {wanted}; see docs/reference/data-format.md.")
    rows = table.to_pydict()
    kind = _KIND_OF_COLUMN[label_column]
    ids = [str(i) for i in rows["id"]]
    crystals = [
        _crystal(i, *entry)
        for i, *entry in zip(
            ids, rows["numbers"], rows["cell"], rows["positions_frac"], strict=True
        )
    ]
    bins, label, imaginary = _labels(kind, rows, ids, crystals)
    n = len(ids)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    scalars = {
        name: _column(rows[name])
        for name in table.column_names
        if name.startswith("flag_")
        or name in ("in_petretto_valid", "imaginary_fraction")
        or (name.endswith("_300K"))
    }
    return LabelledSet(
        kind,
        str(rows["source"][0]) if "source" in names and n else _SOURCE_OF_KIND[kind],
        ids,
        [str(f) for f in rows.get("formula", [c.formula for c in crystals])],
        [str(s) for s in rows.get("split", ["train"] * n)],
        crystals,
        bins,
        label,
        imaginary,
        np.array(rows.get("strain", np.zeros(n)), dtype=float),
        scalars,
        digest,
        _raw_spectra(rows) if kind == "raw" else None,
        origin(digest, stated(file)),
        _log_displacements(rows, crystals) if kind == "site" and "u_tensor" in names else None,
        _column(rows["sound_velocity"]) if "sound_velocity" in names else None,
    )


def _log_displacements(
    rows: dict[str, list[Any]], crystals: list[Crystal]
) -> list[NDArray[np.float32] | None]:
    """Logarithms of the tensors of stable crystals, one batch for all sites of the file."""
    imaginary = rows.get("imaginary_fraction", [0.0] * len(crystals))
    known = [
        k
        for k, values in enumerate(rows["u_tensor"])
        if values is not None
        and len(values) == 18 * crystals[k].n_sites
        and (imaginary[k] or 0.0) <= _STABLE
    ]
    found: list[NDArray[np.float32] | None] = [None] * len(crystals)
    if not known:
        return found
    tensors = [np.reshape(rows["u_tensor"][k], (3, -1, 6)).transpose(1, 0, 2) for k in known]
    logs = log_components(tensor_matrices(np.concatenate(tensors))).astype(np.float32)
    ends = np.cumsum([len(t) for t in tensors])[:-1]
    for k, part in zip(known, np.split(logs, ends), strict=True):
        found[k] = part if np.isfinite(part).all() else None
    return found


def _raw_spectra(rows: dict[str, list[Any]]) -> list[RawSpectrum]:
    return [
        (float(start), float(step), np.clip(np.asarray(values, dtype=np.float64), 0.0, None))
        for start, step, values in zip(
            rows["dos_start_cm1"], rows["dos_step_cm1"], rows["dos_per_cm1"], strict=True
        )
    ]


def _column(values: list[Any]) -> NDArray[Any]:
    """Booleans as they are, numbers as floats with NaN for null."""
    if all(isinstance(v, bool) for v in values):
        return np.array(values, dtype=bool)
    return np.array([np.nan if v is None else v for v in values], dtype=float)


def append_sampled(labelled: LabelledSet, path: str | Path) -> LabelledSet:
    """A labelled set of raw spectra with one more crystal, whose spectrum is sampled.

    Parameters
    ----------
    labelled : LabelledSet
        Raw spectra.
    path : str or Path
        JSON file with `formula`, `numbers`, `cell`, `positions_frac`, `wavenumbers_cm1` (the
        51 points of the paper) and `dos_max_normalised`, and perhaps `citation`. The crystal joins
        the split "train".

    Raises
    ------
    DataError
        The file is missing, or is not of that form.
    """
    file = Path(path)
    try:
        entry = parse_json(file.read_text(encoding="utf-8"))
        points = np.asarray(entry["wavenumbers_cm1"], dtype=float)
        values = _checked(file.stem, entry["dos_max_normalised"])
        crystal = _crystal(file.stem, entry["numbers"], entry["cell"], entry["positions_frac"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{file}: not a crystal with a sampled spectrum ({error!r}).") from error
    if labelled.label is None or labelled.label_imaginary is None or labelled.bins is None:
        raise DataError(f"{file}: a sampled spectrum can join raw spectra only.")
    step = points[1] - points[0]
    imaginary = np.interp(IMAGINARY_GRID, points, values, left=0.0, right=0.0)
    rows = (
        bin_weights(points[0], step, values, DEFAULT_GRID),
        _by_maximum(file.stem, np.interp(PAPER_GRID, points, values, left=0.0, right=0.0)),
        _by_maximum(file.stem, imaginary),
    )
    bins, label, label_imaginary = (
        np.concatenate([known, row[None].astype(np.float32)])
        for known, row in zip(
            (labelled.bins, labelled.label, labelled.label_imaginary), rows, strict=True
        )
    )
    return replace(
        labelled,
        ids=[*labelled.ids, file.stem],
        formulas=[*labelled.formulas, str(entry.get("formula", crystal.formula))],
        splits=[*labelled.splits, "train"],
        crystals=[*labelled.crystals, crystal],
        bins=bins,
        label=label,
        label_imaginary=label_imaginary,
        raw=None if labelled.raw is None else [*labelled.raw, (points[0], step, values)],
        strain=np.append(labelled.strain, 0.0),
        reference={
            k: np.concatenate([v, np.array([None], dtype=object)])
            for k, v in labelled.reference.items()
        },
    )


def _crystal(name: str, numbers: list[int], cell: list[float], positions: list[float]) -> Crystal:
    try:
        return Crystal(
            np.reshape(cell, (3, 3)),
            np.reshape(positions, (-1, 3)),
            np.arange(len(numbers)),
            np.asarray(numbers, dtype=np.int64),
            name=name,
        )
    except (CrystalError, ValueError) as error:
        raise DataError(f"entry {name}: {error}") from error


def _labels(
    kind: LabelKind, rows: dict[str, list[Any]], ids: list[str], crystals: list[Crystal]
) -> tuple[Any, NDArray[np.float32] | None, NDArray[np.float32] | None]:
    if kind == "raw":
        bins, label, imaginary = [], [], []
        for name, start, step, density in zip(
            ids, rows["dos_start_cm1"], rows["dos_step_cm1"], rows["dos_per_cm1"], strict=True
        ):
            raw = _checked(name, density)
            bins.append(bin_weights(start, step, raw, DEFAULT_GRID))
            label.append(_by_maximum(name, paper_label(start, step, raw, PAPER_GRID)))
            imaginary.append(_by_maximum(name, paper_label(start, step, raw, IMAGINARY_GRID)))
        return (
            np.array(bins, dtype=np.float32),
            np.array(label, dtype=np.float32),
            np.array(imaginary, dtype=np.float32),
        )
    if kind == "sampled":
        sampled = [
            _by_maximum(name, _checked(name, values))
            for name, values in zip(ids, rows["dos_max_normalised"], strict=True)
        ]
        return None, np.array(sampled, dtype=np.float32), None
    per_site = []
    for name, crystal, values in zip(ids, crystals, rows["site_dos"], strict=True):
        density = _checked(name, values)
        n_bins, rest = divmod(density.size, crystal.n_sites)
        if rest or n_bins not in (SITE_BINS, len(DEFAULT_GRID)):
            raise DataError(
                f"entry {name}: site_dos has {density.size} values, not {SITE_BINS} or "
                f"{len(DEFAULT_GRID)} for each of {crystal.n_sites} sites."
            )
        sites = np.zeros((crystal.n_sites, len(DEFAULT_GRID)), dtype=np.float32)
        sites[:, :n_bins] = density.reshape(crystal.n_sites, n_bins)
        per_site.append(sites / sites.sum(axis=1, keepdims=True))
    return per_site, None, None


def _checked(name: str, values: Any) -> NDArray[np.float64]:
    density = np.asarray(values, dtype=float)
    if not np.isfinite(density).all() or density.sum() <= 0:
        raise DataError(f"entry {name}: its spectrum is empty, zero or not finite. Leave it out.")
    return np.asarray(np.clip(density, 0.0, None))


def _by_maximum(name: str, values: NDArray[np.float64]) -> NDArray[np.float64]:
    top = values.max()
    if top <= 0:
        raise DataError(f"entry {name}: no weight on the grid from {PAPER_GRID[0]} cm^-1.")
    return np.asarray(values / top)
