"""refine(): the rows of a screen that matter, again by finite displacements with a potential."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ase_e3dos.errors import E3DOSError, PotentialError, ScreeningError
from ase_e3dos.potentials.choice import (
    CalculatorFactory,
    calculator_identity,
    calculator_name,
    check_calculator,
    kept_calculator,
    make_ready,
)
from ase_e3dos.potentials.journal import Journal, differing
from ase_e3dos.potentials.mode_counts import STEP
from ase_e3dos.potentials.processes import in_processes
from ase_e3dos.potentials.reference import (
    ReferenceSettings,
    calculated,
    check_settings,
    settings_dict,
)
from ase_e3dos.screening.entries import entries_of, with_unique_ids
from ase_e3dos.screening.inputs import check_inputs, iter_unread
from ase_e3dos.screening.refined_rows import (
    best_first,
    check_column,
    refined_file,
    refined_table,
    screened_models,
    screened_rows,
    write_refined,
)
from ase_e3dos.structures.crystal import Crystal
from ase_e3dos.structures.json_text import parse_json

if TYPE_CHECKING:
    import pyarrow as pa

Job = tuple[str, str, Crystal]

#: Positions are relaxed in the cell as it is: frequencies belong to a minimum, and the cell to
#: what was screened.
SETTINGS = ReferenceSettings(relax="positions")


@dataclass(frozen=True)
class RefineSummary:
    """What a run did.

    Attributes
    ----------
    file : Path
        Parquet file with predictions and refined values beside each other.
    refined, failed : int
        Rows of the file with values, and with a reason why there are none; of one model.
    new : int
        Rows that this run calculated.
    unranked : int
        Rows of the screen that have no value in the column that decides.
    """

    file: Path
    refined: int
    failed: int
    new: int
    unranked: int = 0


def refine(
    directory: str | Path,
    calculator: str | CalculatorFactory,
    *,
    top: int = 100,
    by: str = "specific_heat",
    lowest: bool = False,
    model: str | None = None,
    settings: ReferenceSettings = SETTINGS,
    structures: Any = None,
    processes: int = 0,
    dask: str | None = None,
    device: str = "cpu",
    name: str | None = None,
    retry_errors: bool = False,
    report: Callable[[str], None] = lambda line: None,
) -> RefineSummary:
    """Calculate the first rows of a finished screen by finite displacements.

    Results are written down one by one, so that the same call goes on after any interruption, and
    a calculation that fails is a row with its reason. What is refined already is never calculated
    again: a larger `top` or another column adds. All rows of a file come from one calculator and
    the same settings; what is calculated stands beside the predictions of every model of the
    screen.

    Parameters
    ----------
    directory : str or Path
        That `screen` wrote. The file goes into its folder `_refined`, which readers of the
        directory pass over.
    calculator : str or callable
        Name of a registered calculator, or a picklable function that returns an ASE calculator.
    top : int, optional
        Rows to refine.
    by : str, optional
        Column that decides which come first, the largest values before others: specific_heat,
        heat_capacity_per_atom, uncertainty, mean_wavenumber, ...; of several temperatures the
        first counts.
    lowest : bool, optional
        The smallest values first.
    model : str, optional
        Whose rows; needed where there are several models'.
    settings : ReferenceSettings, optional
        By default positions are relaxed in the cell as it is.
    structures : optional
        The inputs of the screen, for rows whose structures its shards do not hold.
    processes : int, optional
        That calculate at the same time; a calculator that crashes costs one row there, with its
        reason. In a script they need the usual ``if __name__ == "__main__":``. 0 calculates in
        this process, which a crash ends. With `dask`, workers or jobs to start.
    dask : str, optional
        Address or file of a Dask scheduler, "local", or "slurm", as for `screen`.
    device : str, optional
        "cpu", "cuda" or "cuda:1", of a registered calculator.
    name : str, optional
        Of the file, so that rows of other settings stand beside those that are there; the
        calculator's by default.
    retry_errors : bool, optional
        Calculate rows with an error again.
    report : callable, optional
        Gets a line of text for each result.

    Returns
    -------
    RefineSummary

    Raises
    ------
    ScreeningError
        There are no rows, no such column or model; another process refines here; the file holds
        rows of other settings or of another calculator; no Dask scheduler answers.
    PotentialError
        There is no such calculator, it cannot be made, or settings have no meaning.
    """
    from filelock import FileLock, Timeout

    if not isinstance(top, Integral) or top < 1 or processes < 0:
        raise ScreeningError("top has to be a whole number, at least 1, and processes at least 0.")
    check_settings(settings)
    if settings.step != STEP:
        raise PotentialError(
            f"step={settings.step!r}: what is refined stands beside predictions in bins of "
            f"{STEP:g} cm^-1. Leave the step out; `reference_spectrum` takes others."
        )
    directory = Path(directory)
    models = screened_models(directory, model)
    check_column(directory, by)
    if isinstance(calculator, str):
        check_calculator(calculator, device)
    basis = {"calculator": calculator_identity(calculator), **settings_dict(settings)}
    basis = parse_json(json.dumps(basis))  # as the journal has it
    ranked = screened_rows(directory, models[0]["model"], [by])
    if not len(ranked):
        raise ScreeningError(f"{directory}: no row of {models[0]['model']!r} has a prediction.")
    identities = _identities(ranked)
    known, unknown = best_first(ranked, by, lowest)
    if unknown:
        report(f"{len(unknown)} rows have no {by}, and are not among those to refine")
    file = refined_file(directory, name or calculator_name(calculator))
    file.parent.mkdir(exist_ok=True)
    try:
        with FileLock(file.with_name(f".{file.name}.lock"), timeout=0):
            journal = Journal(file.with_suffix(".journal.jsonl"))
            _check_basis(file, journal, basis)
            jobs = _jobs(
                directory, [identities[k] for k in known[:top]], models[0]["model"], structures,
                basis, journal, retry_errors,
            )  # fmt: skip
            before = min(top, len(known)) - len(jobs)
            if before:
                report(f"{before} of {before + len(jobs)} were done before, or have no structure")
            work = partial(_calculated, calculator=calculator, settings=settings, device=device)
            ready = partial(make_ready, calculator, device)
            if dask is None:
                rows = in_processes(work, jobs, processes, _died, ready)
            else:
                from ase_e3dos.screening.cluster import in_cluster

                rows = in_cluster(work, jobs, dask, processes or None, _died, ready)
            for count, row in enumerate(rows, 1):
                journal.add({**row, "basis": basis})
                report(f"{count}/{len(jobs)} {row['id']}: {row.get('error', 'done')}")
            failed, refined = _write(
                file, directory, models, journal, basis, by, lowest, calculator
            )
    except Timeout as error:
        raise ScreeningError(
            f"{file}: another process refines these rows. Wait for it, or stop it."
        ) from error
    return RefineSummary(file, refined, failed, len(jobs), len(unknown))


def _check_basis(file: Path, journal: Journal, basis: dict[str, Any]) -> None:
    """Refuse to mix what was calculated otherwise; failures are no reason.

    Raises
    ------
    ScreeningError
        The journal has values of another calculator or of other settings.
    """
    for row in journal.rows.values():
        found = differing(row.get("basis", {}), basis)
        if found and "error" not in row:
            raise ScreeningError(
                f"{file} holds rows that were calculated otherwise; they differ in "
                f"{', '.join(found)}. Give these a file of their own beside them (--name), or "
                f"remove {file} and {journal.path.name} to begin anew."
            )


def _jobs(
    directory: Path,
    chosen: list[tuple[str, str]],
    model: str,
    inputs: Any,
    basis: dict[str, Any],
    journal: Journal,
    retry_errors: bool,
) -> list[Job]:
    """What is to be calculated; rows without a structure get their reason in the journal."""
    missing = []
    for id_, content in chosen:
        known = journal.rows.get(_key(id_, content, basis))
        again = known is not None and "error" in known
        if known is None or (again and (retry_errors or known["error"] == _NO_STRUCTURE)):
            missing.append((id_, content))
    crystals = _structures(directory, model, missing, inputs)
    jobs = []
    for id_, content in missing:
        key = _key(id_, content, basis)
        if content in crystals:
            jobs.append((key, id_, crystals[content]))
        elif journal.rows.get(key, {}).get("error") != _NO_STRUCTURE:
            journal.add({"key": key, "id": id_, "error": _NO_STRUCTURE, "basis": basis})
    return jobs


def _write(
    file: Path,
    directory: Path,
    models: list[dict[str, Any]],
    journal: Journal,
    basis: dict[str, Any],
    by: str,
    lowest: bool,
    calculator: str | CalculatorFactory,
) -> tuple[int, int]:
    """Write all that is calculated, beside the rows of each model; failed and refined of the first.

    What an earlier call with another `top` or column refined stays in the file.
    """
    import pyarrow as pa

    ids = {row["id"] for row in journal.rows.values()}
    tables, counts = [], []
    for about in models:
        screened = screened_rows(directory, about["model"], None, ids)
        known, unknown = best_first(screened, by, lowest)
        identities = _identities(screened)
        places, rows = [], []
        for k in [*known, *unknown]:
            row = journal.rows.get(_key(*identities[k], basis))
            if row is not None:
                places.append(k)
                rows.append(row)
        failed = sum("error" in row for row in rows)
        counts.append((failed, len(rows) - failed))
        tables.append(refined_table(screened.take(pa.array(places, pa.int64())), rows, about))
    table = pa.concat_tables(tables, promote_options="default")
    write_refined(file, table, models, calculator_name(calculator), basis)
    return counts[0]


_NO_STRUCTURE = (
    "the screen does not hold its structure (mixed sites, other masses, or written by an older "
    "version): give the structures that were screened"
)


def _identities(table: pa.Table) -> list[tuple[str, str]]:
    return list(zip(table["id"].to_pylist(), table["content"].to_pylist(), strict=True))


def _key(id_: str, content: str, basis: dict[str, Any]) -> str:
    """Hash of what determines a result: crystal, calculator and settings."""
    text = json.dumps([id_, content, basis], sort_keys=True)
    return sha256(text.encode()).hexdigest()[:24]


def _structures(
    directory: Path, model: str, wanted: list[tuple[str, str]], inputs: Any
) -> dict[str, Crystal]:
    """Crystals by their content, from the shards, else from the inputs."""
    found: dict[str, Crystal] = {}
    if not wanted:
        return found
    columns = ("numbers", "cell", "positions_frac")
    rows = screened_rows(directory, model, columns, {id_ for id_, _ in wanted})
    for row in rows.to_pylist() if set(columns) <= set(rows.column_names) else []:
        if row["numbers"] is not None:
            found[row["content"]] = Crystal(
                np.reshape(row["cell"], (3, 3)),
                np.reshape(row["positions_frac"], (-1, 3)),
                np.arange(len(row["numbers"])),
                row["numbers"],
                name=row["id"],
            )
    if inputs is not None:
        missing = {content for _, content in wanted} - set(found)
        check_inputs(inputs)
        for entry in _entries(inputs):
            if entry.content in missing and isinstance(entry.crystal, Crystal):
                found[entry.content] = entry.crystal
    return found


def _entries(inputs: Any) -> Iterator[Any]:
    for block in with_unique_ids(iter_unread(inputs)):
        for unread in block:
            yield from entries_of(unread)


def _calculated(
    job: Job, calculator: str | CalculatorFactory, settings: ReferenceSettings, device: str
) -> dict[str, Any]:
    """Row of the journal for one crystal; whatever goes wrong is its reason."""
    key, id_, crystal = job
    try:
        # Under its name in files; an object would be called by its class.
        spectrum = calculated(
            crystal,
            kept_calculator(calculator, device),
            settings,
            name=calculator_name(calculator),
        )
    except (Exception, SystemExit) as error:  # noqa: BLE001 - calculators raise anything; a row says what
        kind = "" if isinstance(error, E3DOSError) else f"{type(error).__name__}: "
        text = f"{kind}{' '.join(str(error).split())}".removeprefix(f"{crystal.name}: ")
        return {"key": key, "id": id_, "error": text}
    assert spectrum.site_density is not None
    return {
        "key": key,
        "id": id_,
        "cell": spectrum.crystal.cell.ravel().tolist(),
        "positions_frac": spectrum.crystal.scaled_positions.ravel().tolist(),
        "numbers": spectrum.crystal.numbers.tolist(),
        "site_density": spectrum.site_density.tolist(),
        "origin": spectrum.origin,
        "warnings": [f"{type(w).__name__}: {w}" for w in spectrum.warnings],
    }


def _died(job: Job, reason: str) -> dict[str, Any]:
    return {"key": job[0], "id": job[1], "error": reason}
