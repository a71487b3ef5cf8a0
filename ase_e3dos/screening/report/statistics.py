"""What the report shows, read from the shards in pieces: columns, trends, principal components."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from ase.data import atomic_numbers
from numpy.typing import NDArray

from ase_e3dos.errors import ScreeningError, need_pyarrow
from ase_e3dos.screening.refined_rows import DIFFERENCES, read_refined, refined_files
from ase_e3dos.screening.shards import list_shards, read_metadata, reading

if TYPE_CHECKING:
    import pandas as pd

    need_pyarrow("the report of a screening")
    import pyarrow as pa

Array = NDArray[np.float64]

#: Structures above this specific heat in J/(kg K) are the paper's find.
HIGH = 1000.0
#: Length of the paper's list of high heat capacities (its figure S14).
TOP = 100
#: The report's spectra are averaged over the paper's step, in cm^-1, where the grid is finer.
STEP = 20.0
#: Rows that the page holds at most (the table, the points, the spectra).
MAX_ROWS = 20_000

_COLUMNS = (
    "id",
    "formula",
    "n_sites",
    "specific_heat",
    "heat_capacity_per_atom",
    "uncertainty",
    "mean_wavenumber",
    "imaginary_fraction",
    "average_mass",
    "minimum_mass",
    "warnings",
    "error",
)

#: Columns of refined rows that the page shows.
_REFINED = ("specific_heat_refined", "heat_capacity_per_atom_refined", *DIFFERENCES)


@dataclass
class ScreenedSet:
    """Rows of one model, with what follows from all of them together.

    Attributes
    ----------
    about : dict
        The shards' metadata.
    table : pd.DataFrame
        Columns but the density of all structures with a prediction, highest specific heat
        first; warnings are their kinds in one text.
    failures : pd.DataFrame
        Columns id and error of those without.
    n_warned : dict of str to int
        Structures with a warning, by its kind.
    temperature : float
        In K, of the thermal columns.
    directory : Path
        Of the shards.
    refined : dict
        Files of refined rows by name (the calculator's, unless the user gave one), with the
        number of rows; empty where there are none.
    """

    about: dict[str, Any]
    table: pd.DataFrame
    failures: pd.DataFrame
    n_warned: dict[str, int]
    temperature: float
    directory: Path
    refined: dict[str, int] = field(default_factory=dict)

    @property
    def error_bars(self) -> dict[str, tuple[int, float, float]]:
        """How the error bars fared against refined values.

        By predicted column: rows with an error bar and a refined value, the share of them
        within the predicted 90 % interval, and the median of the difference in units of half that
        interval. Empty where nothing is refined.
        """
        found = {}
        for difference, column in DIFFERENCES.items():
            if difference in self.table:
                ratio = self.table[difference].dropna().abs()
                if len(ratio):
                    found[column] = len(ratio), float((ratio <= 1.0).mean()), float(ratio.median())
        return found

    @property
    def n_joined(self) -> int:
        """Points of the model's grid that make one point of the report's."""
        return max(round(STEP / float(self.about["grid"]["step"])), 1)

    @property
    def wavenumbers(self) -> Array:
        """Grid of the report's spectra in cm^-1, shape (n_bins,)."""
        grid, k = self.about["grid"], self.n_joined
        step = grid["step"] * k
        start = grid["start"] + (step - grid["step"]) / 2
        return np.asarray(start + step * np.arange(-(-grid["n"] // k)), dtype=np.float64)

    @property
    def n_structures(self) -> int:
        """All rows, failures included."""
        return len(self.table) + len(self.failures)

    @property
    def high_share(self) -> float:
        """Share of the predicted structures with a specific heat above `HIGH`."""
        return float((self.table["specific_heat"] > HIGH).mean()) if len(self.table) else 0.0

    @cached_property
    def by_element(self) -> dict[int, tuple[float, int]]:
        """Mean specific heat of the materials that contain an element, and their number."""
        heat = self.table["specific_heat"].to_numpy()
        members: dict[int, list[int]] = {}
        for row, formula in enumerate(self.table["formula"]):
            for symbol in set(re.findall(r"[A-Z][a-z]?", formula)):
                members.setdefault(atomic_numbers[symbol], []).append(row)
        return {z: (float(heat[rows].mean()), len(rows)) for z, rows in sorted(members.items())}

    @cached_property
    def rigidity(self) -> tuple[float, float]:
        """C of mean wavenumber = C / sqrt(average mass) by least squares, and the fit's R^2.

        In cm^-1 amu^(1/2); the fit of the paper's figure S1(a).
        """
        y = self.table["mean_wavenumber"].to_numpy()
        x = self.table["average_mass"].to_numpy() ** -0.5
        if len(x) < 2:
            return float("nan"), float("nan")
        constant = float(x @ y / (x @ x))
        spread = float(((y - y.mean()) ** 2).sum())
        return constant, 1.0 - float(((y - constant * x) ** 2).sum()) / max(spread, 1e-300)

    @property
    def has_mass_trend(self) -> bool:
        """Whether the fit of `rigidity` says more about these materials than their mean does."""
        return self.rigidity[1] >= 0.0

    @property
    def has_top(self) -> bool:
        """Whether the `TOP` highest specific heats are a part, and not all."""
        return len(self.table) > TOP

    @cached_property
    def shown(self) -> NDArray[np.int64]:
        """Rows of the table that the page holds: the top ones, and a fair sample of the others."""
        n = len(self.table)
        if n <= MAX_ROWS:
            return np.arange(n)
        # The same sample each time.
        rest = np.random.default_rng(0).choice(np.arange(TOP, n), MAX_ROWS - TOP, replace=False)
        return np.concatenate([np.arange(TOP), np.sort(rest)])

    @cached_property
    def components(self) -> PrincipalComponents:
        """Principal components of the spectra, each divided by its maximum."""
        return _principal_components(self)

    @cached_property
    def densities(self) -> NDArray[np.float32]:
        """Spectra of the `shown` rows, divided by their maxima, shape (n_shown, n_bins)."""
        return self.components.densities


@dataclass(frozen=True)
class PrincipalComponents:
    """First two principal components of all spectra.

    Attributes
    ----------
    axes : ndarray
        In the frequency basis, shape (2, n_bins); the first points to low frequencies, as the
        paper's does.
    scores : ndarray
        Of the shown rows, shape (n_shown, 2).
    explained : ndarray
        Share of the variance along each axis, shape (2,).
    densities : ndarray of float32
        Spectra of the shown rows, divided by their maxima, shape (n_shown, n_bins).
    mean_high : ndarray
        Mean spectrum of the `TOP` highest specific heats, shape (n_bins,).
    mean_all : ndarray
        Mean spectrum of all, shape (n_bins,).
    """

    axes: Array
    scores: Array
    explained: Array
    densities: NDArray[np.float32]
    mean_high: Array
    mean_all: Array


def read_screen(
    directory: str | Path, model: str | None = None, temperature: float | None = None
) -> ScreenedSet:
    """Read a screening's output.

    Parameters
    ----------
    directory : str or Path
        Of the shards.
    model : str, optional
        Whose rows; needed where there are several models'.
    temperature : float, optional
        In K, one of the run's; the first of them by default.

    Returns
    -------
    ScreenedSet

    Raises
    ------
    ScreeningError
        There are no rows, or the model or the temperature is not among them.
    """
    import pandas as pd

    directory = Path(directory)
    about = _chosen(read_metadata(directory), model, directory)
    temperatures = about["temperatures_K"]
    wanted = temperatures[0] if temperature is None else temperature
    if wanted not in temperatures:
        raise ScreeningError(
            f"{directory}: there are no values for {wanted:g} K, only for "
            f"{', '.join(f'{t:g}' for t in temperatures)} K. Choose one of these."
        )
    frames = []
    for batch in _batches(directory, [*_COLUMNS, "model"], about["model"]):
        frame = batch.to_pandas().drop(columns="model")
        for column in ("specific_heat", "heat_capacity_per_atom", "uncertainty"):
            if frame[column].map(lambda v: isinstance(v, np.ndarray)).any():
                k = temperatures.index(wanted)
                frame[column] = [np.nan if v is None else v[k] for v in frame[column]]
            frame[column] = frame[column].astype(float)
        frame["warnings"] = [[w.partition(":")[0] for w in row] for row in frame["warnings"]]
        frames.append(frame)
    # While rows are being replaced, the last one of an id counts.
    rows = pd.concat(frames, ignore_index=True).drop_duplicates("id", keep="last")
    warned = rows["warnings"].explode().dropna().value_counts().to_dict()
    rows["warnings"] = [
        ", ".join(kind.removesuffix("Warning") for kind in w) for w in rows["warnings"]
    ]
    bad = rows["error"].notna()
    failed = rows.loc[bad, ["id", "formula", "error"]].reset_index(drop=True)
    table = rows[~bad].drop(columns="error")
    table, refined = _with_refined(table, directory, about, temperatures.index(wanted))
    best = table["specific_heat"]
    if refined:
        best = table["specific_heat_refined"].fillna(best)
    order = best.sort_values(ascending=False, kind="stable").index
    table = table.loc[order].reset_index(drop=True)
    return ScreenedSet(about, table, failed, warned, float(wanted), directory, refined)


def _with_refined(
    table: pd.DataFrame, directory: Path, about: dict[str, Any], k: int
) -> tuple[pd.DataFrame, dict[str, int]]:
    """The table with refined values where rows were calculated; of several calculators the last.

    Rows of crystals or models that the screen has replaced since are passed over.
    """
    import pandas as pd

    refined: dict[str, int] = {}
    several = []
    for file in sorted(refined_files(directory), key=lambda f: f.stat().st_mtime):
        _, rows = read_refined(file)
        frame = rows.select([*_REFINED, "id", "model_hash"]).to_pandas()
        frame = frame[(frame["model_hash"] == about["model_hash"]) & frame["id"].isin(table["id"])]
        for column in _REFINED:
            values = [v[k] if isinstance(v, np.ndarray) else v for v in frame[column]]
            frame[column] = pd.Series(values, index=frame.index, dtype=float)
        frame = frame.dropna(subset=["specific_heat_refined"]).drop(columns="model_hash")
        if len(frame):
            refined[file.stem] = len(frame)
            several.append(frame)
    if not several:
        return table, {}
    latest = pd.concat(several).drop_duplicates("id", keep="last")
    return table.merge(latest, on="id", how="left"), refined


def _chosen(found: list[dict[str, Any]], model: str | None, directory: Path) -> dict[str, Any]:
    names = ", ".join(about["model"] for about in found)
    if model is None and len(found) > 1:
        raise ScreeningError(
            f"{directory}: rows of several models ({names}). Choose one (--model)."
        )
    for about in found:
        if model in (None, about["model"]):
            return about
    raise ScreeningError(f"{directory}: no rows of model {model!r}, only of {names}.")


def _batches(directory: Path, columns: list[str], model: str) -> Any:
    need_pyarrow("the report of a screening")
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    for shard in list_shards(directory):
        with reading(shard), pq.ParquetFile(shard, page_checksum_verification=True) as file:
            batches = file.iter_batches(4096, columns=columns)
            # Only the reading, and not what is done with a batch, is in the shard's account.
            while (batch := next(batches, None)) is not None:
                yield batch.filter(pc.equal(batch.column("model"), model))


def _principal_components(screened: ScreenedSet) -> PrincipalComponents:
    """Covariance in one pass over the shards, with the spectra of the shown rows kept."""
    n = len(screened.wavenumbers)
    place = {screened.table["id"][row]: k for k, row in enumerate(screened.shown)}
    kept = np.zeros((len(place), n), dtype=np.float32)
    total, square, count = np.zeros(n), np.zeros((n, n)), 0
    for batch in _batches(
        screened.directory, ["id", "density", "error", "model"], screened.about["model"]
    ):
        good = batch.filter(batch.column("error").is_null())
        y = _rows(good.column("density"), screened.about["grid"]["n"], screened.n_joined)
        y /= np.maximum(y.max(axis=1, keepdims=True, initial=0.0), 1e-30)
        total += y.sum(axis=0, dtype=np.float64)
        square += (y.T @ y).astype(np.float64)
        count += len(y)
        for row, id_ in enumerate(good.column("id").to_pylist()):
            if id_ in place:
                kept[place[id_]] = y[row]
    mean = total / max(count, 1)
    covariance = square / max(count, 1) - np.outer(mean, mean)
    values, vectors = np.linalg.eigh(covariance)
    axes = vectors[:, ::-1][:, :2].T.copy()
    # Fixed signs: the first axis is large at low frequencies, so that high heat capacities lie
    # to its negative side as in the paper; the second one at its own largest value.
    low = screened.wavenumbers < np.average(screened.wavenumbers, weights=np.maximum(mean, 1e-12))
    axes[0] *= 1.0 if axes[0][low].sum() >= axes[0][~low].sum() else -1.0
    axes[1] *= np.sign(axes[1][np.abs(axes[1]).argmax()]) or 1.0
    scores = (kept - mean) @ axes.T
    explained = np.maximum(values[::-1][:2], 0.0) / max(float(values.sum()), 1e-300)
    high = kept[: min(TOP, len(kept))].mean(axis=0) if len(kept) else mean
    return PrincipalComponents(axes, scores, explained, kept, np.asarray(high, float), mean)


def _rows(column: pa.Array, n: int, n_joined: int) -> NDArray[np.float32]:
    """Densities, shape (n_rows, n / n_joined), each point the mean of some."""
    values = np.array(column.flatten().to_numpy(zero_copy_only=False), dtype=np.float32)
    values = values.reshape(-1, n)
    values = np.pad(values, ((0, 0), (0, -n % n_joined)))
    means: NDArray[np.float32] = values.reshape(
        len(values), values.shape[1] // n_joined, n_joined
    ).mean(axis=2)
    return means
