"""refine(): the rows of a screen that matter, again by finite displacements with a potential."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ase_e3dos.errors import E3DOSError, ScreeningError
from ase_e3dos.potentials.choice import (
    CalculatorFactory,
    calculator_identity,
    calculator_name,
)
from ase_e3dos.potentials.journal import Journal
from ase_e3dos.potentials.processes import in_processes
from ase_e3dos.potentials.reference import ReferenceSettings, calculated, settings_dict
from ase_e3dos.screening.entries import entries_of, with_unique_ids
from ase_e3dos.screening.inputs import check_inputs, iter_unread
from ase_e3dos.screening.refined_rows import (
    best_first,
    refined_file,
    refined_table,
    screened_table,
    write_refined,
)
from ase_e3dos.structures.crystal import Crystal

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
        Rows of the file with values, and with a reason why there are none.
    new : int
        Rows that this run calculated.
    """

    file: Path
    refined: int
    failed: int
    new: int


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
    processes: int = 1,
    retry_errors: bool = False,
    report: Callable[[str], None] = lambda line: None,
) -> RefineSummary:
    """Calculate the first rows of a finished screen by finite displacements.

    Results are written down one by one, so that the same call goes on after any interruption, and
    a calculation that fails, or kills its process (with `processes` of 2 or more), is a row with
    its reason. What is refined
    already, with the same calculator and settings, is never calculated again: a larger `top` adds.

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
        That calculate at the same time. With 1 the calculator runs in this process, and one that
        crashes ends the run, at each try at the same row: take 2 or more for such a calculator.
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
        There are no rows, no such column or model, another process refines here, or no structure
        is known.
    PotentialError
        There is no such calculator.
    """
    from filelock import FileLock, Timeout

    if top < 1 or processes < 1:
        raise ScreeningError("top and processes have to be whole numbers, at least 1.")
    directory = Path(directory)
    about, table = screened_table(directory, model)
    chosen = table.take(best_first(table, by, lowest)[:top])
    name = calculator_name(calculator)
    basis = {"calculator": calculator_identity(calculator), **settings_dict(settings)}
    file = refined_file(directory, name)
    file.parent.mkdir(exist_ok=True)
    try:
        with FileLock(file.with_name(f".{file.name}.lock"), timeout=0):
            journal = Journal(file.with_suffix(".journal.jsonl"))
            crystals = _structures(chosen, structures)
            jobs, rows = [], {}
            for id_, content in _identities(chosen):
                key = _key(id_, content, basis)
                known = journal.rows.get(key)
                if known is not None and not (retry_errors and "error" in known):
                    rows[key] = known
                elif content not in crystals:
                    rows[key] = {"key": key, "id": id_, "error": _NO_STRUCTURE}
                else:
                    jobs.append((key, id_, crystals[content]))
            if rows:
                report(f"{len(rows)} of {len(chosen)} were done before, or have no structure")
            work = partial(_calculated, calculator=calculator, settings=settings)
            for count, row in enumerate(in_processes(work, jobs, processes, _died), 1):
                journal.add(row)
                rows[row["key"]] = row
                report(f"{count}/{len(jobs)} {row['id']}: {row.get('error', 'done')}")
            # What an earlier call with another `top` or column refined stays in the file.
            for id_, content in _identities(table):
                key = _key(id_, content, basis)
                if key in journal.rows:
                    rows.setdefault(key, journal.rows[key])
            keys = [_key(*pair, basis) for pair in _identities(table)]
            places = [k for k, key in enumerate(keys) if key in rows]
            order = best_first(table.take(places), by, lowest)
            places = [places[k] for k in order]
            found = [rows[keys[k]] for k in places]
            write_refined(file, refined_table(table.take(places), found, about), about, name, basis)
    except Timeout as error:
        raise ScreeningError(
            f"{file}: another process refines these rows. Wait for it, or stop it."
        ) from error
    failed = sum("error" in row for row in found)
    return RefineSummary(file, len(found) - failed, failed, len(jobs))


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


def _structures(chosen: pa.Table, inputs: Any) -> dict[str, Crystal]:
    """Crystals by their content, from the shards, else from the inputs."""
    found: dict[str, Crystal] = {}
    if "numbers" in chosen.column_names:
        columns = ("id", "content", "numbers", "cell", "positions_frac")
        for row in chosen.select(columns).to_pylist():
            if row["numbers"] is not None:
                found[row["content"]] = Crystal(
                    np.reshape(row["cell"], (3, 3)),
                    np.reshape(row["positions_frac"], (-1, 3)),
                    np.arange(len(row["numbers"])),
                    row["numbers"],
                    name=row["id"],
                )
    if inputs is not None:
        missing = set(chosen["content"].to_pylist()) - set(found)
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
    job: Job, calculator: str | CalculatorFactory, settings: ReferenceSettings
) -> dict[str, Any]:
    """Row of the journal for one crystal; whatever goes wrong is its reason."""
    key, id_, crystal = job
    try:
        spectrum = calculated(crystal, calculator, settings)
    except Exception as error:  # noqa: BLE001 - calculators raise anything; a row says what
        kind = "" if isinstance(error, E3DOSError) else f"{type(error).__name__}: "
        return {"key": key, "id": id_, "error": f"{kind}{' '.join(str(error).split())}"}
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
