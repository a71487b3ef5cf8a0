"""Labels of many crystals from any ASE calculator: in parallel, to be resumed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ase_e3dos.data.calculated_label import LabelSettings, label
from ase_e3dos.data.kept_labels import (
    Job,
    job_key,
    kept_rows,
    latest_rows,
    report_replaced,
    structure_digest,
)
from ase_e3dos.data.labelled_file import (
    LabelledEntry,
    Reject,
    check_output,
    stated,
    write_labelled,
)
from ase_e3dos.data.lock import only_process
from ase_e3dos.data.splits import SplitBy, split_names
from ase_e3dos.errors import DataError, E3DOSError
from ase_e3dos.potentials.choice import (
    CalculatorFactory,
    calculator_identity,
    calculator_name,
    kept_calculator,
    make_ready,
)
from ase_e3dos.potentials.journal import Journal
from ase_e3dos.potentials.processes import in_processes
from ase_e3dos.structures.crystal import Crystal
from ase_e3dos.version import __version__


def label_all(
    structures: Iterable[Crystal | Reject],
    calculator: str | CalculatorFactory,
    output: str | Path,
    settings: LabelSettings | None = None,
    *,
    source: str | None = None,
    licence: str | None = None,
    citation: str | None = None,
    workers: int = 0,
    retry: bool = False,
    by: SplitBy = "composition",
    seed: int = 0,
    replace_others: bool = True,
    report: Callable[[str], None] = lambda line: None,
) -> tuple[int, int]:
    """Label crystals and write them to a Parquet file.

    Each result is written down at once in `output`.journal.jsonl, so that the same call goes
    on after an interruption. A crystal that fails becomes a row of `output`.errors.jsonl and
    stops nothing. What the output holds already is kept where this call does not ask for it
    again; all entries of a file come from one calculator and the same settings. They are in the
    order of their names and strains, and where nothing is new the file stays as it is, byte for
    byte.

    Parameters
    ----------
    structures : iterable of Crystal or Reject
        Crystals with names; a `Reject` (a file that is not readable, say) becomes an error row.
    calculator : str or CalculatorFactory
        Name, as for `ase_e3dos.potentials.choice.calculator_factory`, or a picklable function that
        returns one.
    output : str or Path
        Parquet file.
    settings : LabelSettings, optional
        Defaults if not given.
    source : str, optional
        Name of the potential or method; if not given, that which the output has already, or
        the calculator's.
    licence, citation : str, optional
        Of the labels, for the file's metadata; if not given, those which the output has already.
    workers : int, optional
        Processes, in which a calculator that crashes costs one row; 0 calculates in this process,
        which it then ends.
    retry : bool, optional
        Try again what failed before.
    by, seed
        How to divide into train, valid and test, as for `ase_e3dos.data.splits.split_names`.
        By composition a crystal's strains stay together. All entries are divided anew.
    replace_others : bool, optional
        Whether labels of the same structures by another calculator or with other settings give
        way to those that are asked for now; it is reported. The journal keeps them.
    report : callable, optional
        Gets a line of text for each result.

    Returns
    -------
    n_labelled, n_failed : int
        In the output, kept ones included.

    Raises
    ------
    DataError
        The output would hold labels of another calculator, of other settings or of another
        structure with the same name, or would lose them without `replace_others`; it is a folder
        or no file of this function; its journal is damaged.
    TrainingError
        Another process writes to this output.
    """
    settings = settings or LabelSettings()
    file = Path(output)
    check_output(file)
    name = calculator_name(calculator)
    basis = {
        "calculator": calculator_identity(calculator),
        **asdict(settings),
        "bins": "tetrahedra",  # labels of before were sampled at 2 cm^-1
    }
    del basis["strains"]
    jobs, rejects = _jobs(structures, basis, settings.strains)
    with only_process(file):
        place = file.with_name(file.name + ".journal.jsonl")
        if file.exists() and not place.exists():
            raise DataError(
                f"{file} is there already, without {place.name}: it was written by something "
                "else. Choose another output, or move it away."
            )
        journal = Journal(place)
        report_replaced(file, journal, jobs, basis, replace_others, report)
        kept = kept_rows(file, journal, jobs, basis)
        if kept:
            report(f"{len(kept)} of {file.name} are kept")
        before = stated(file) if file.exists() else {}
        if not _same_method(before, name, settings):
            before = {}
        rows = kept + _rows(journal, jobs, calculator, basis, settings, workers, retry, report)
        failed = [{"id": r.id, "error": r.reason} for r in rejects]
        failed += [r for r in rows if "error" in r]
        errors = file.with_name(file.name + ".errors.jsonl")
        errors.write_text("".join(json.dumps(r) + "\n" for r in failed), encoding="utf-8")
        entries = [_entry(r) for r in rows if "error" not in r]
        entries.sort(key=lambda e: (e.id, e.scalars["strain"]))
        parts = split_names([e.crystal for e in entries], by, seed=seed)
        entries = [replace(e, split=part) for e, part in zip(entries, parts, strict=True)]
        strains = tuple(sorted({float(e.scalars["strain"]) for e in entries}))
        about = {
            "calculator": name,
            "settings": asdict(replace(settings, strains=strains)),
            "licence": before.get("licence", "") if licence is None else licence,
            "split": f"{by}, seed {seed}",
            "written": f"ase-e3dos {__version__}, {datetime.now(UTC):%Y-%m-%d}",
        }
        if article := before.get("citation", "") if citation is None else citation:
            about["citation"] = article
        if entries:
            write_labelled(file, entries, source or before.get("source") or name, about)
    return len(entries), len(failed)


def _same_method(about: dict[str, Any], name: str, settings: LabelSettings) -> bool:
    """Whether what a file states about its labels is the same calculator and settings."""
    known = dict(about.get("settings", {}), strains=None)
    return about.get("calculator") == name and known == dict(asdict(settings), strains=None)


def _rows(
    journal: Journal,
    jobs: list[Job],
    calculator: str | CalculatorFactory,
    basis: dict[str, Any],
    settings: LabelSettings,
    workers: int,
    retry: bool,
    report: Callable[[str], None],
) -> list[dict[str, Any]]:
    """Results of all jobs: those of the journal, and what is calculated now."""
    latest = latest_rows(journal)
    waiting = [
        job
        for job in jobs
        if job[0] not in journal.rows or (retry and "error" in journal.rows[job[0]])
    ]
    if len(waiting) < len(jobs):
        report(f"{len(jobs) - len(waiting)} of {len(jobs)} were done before")
    todo = {key for key, _, _ in waiting}
    for key, crystal, strain in jobs:
        if key not in todo and latest[crystal.name, strain]["key"] != key:
            journal.add(journal.rows[key])  # it was superseded and is wanted again
    structures = {key: structure_digest(crystal) for key, crystal, _ in waiting}
    for count, row in enumerate(_run(waiting, calculator, settings, workers), 1):
        journal.add({**row, "basis": basis, "structure": structures[row["key"]]})
        done = f"failed: {row['error']}" if "error" in row else "done"
        report(f"{count}/{len(waiting)} {row['id']} strain {row['strain']:g}: {done}")
    return [journal.rows[key] for key, _, _ in jobs if key in journal.rows]


def _jobs(
    structures: Iterable[Crystal | Reject], basis: dict[str, Any], strains: Sequence[float]
) -> tuple[list[Job], list[Reject]]:
    """What is to be calculated; of two different crystals with one name the second gets #2."""
    jobs: list[Job] = []
    rejects: list[Reject] = []
    taken: dict[str, int] = {}
    for structure in structures:
        if isinstance(structure, Reject):
            rejects.append(structure)
            continue
        name = structure.name or structure.formula
        taken[name] = taken.get(name, 0) + 1
        if taken[name] > 1:
            name = f"{name}#{taken[name]}"
        crystal = Crystal.from_any(structure, name)
        jobs += [(job_key(crystal, basis, s), crystal, s) for s in dict.fromkeys(strains)]
    return jobs, rejects


def _run(
    jobs: Sequence[Job],
    calculator: str | CalculatorFactory,
    settings: LabelSettings,
    workers: int,
) -> Iterator[dict[str, Any]]:
    """Rows as they are finished; a job whose process dies (twice) is a row with an error."""
    work = partial(_work, calculator=calculator, settings=settings)
    yield from in_processes(work, jobs, workers, _died, partial(make_ready, calculator))


def _died(job: Job, reason: str) -> dict[str, Any]:
    key, crystal, strain = job
    return {"key": key, "id": crystal.name, "strain": strain, "error": reason}


def _work(job: Job, calculator: str | CalculatorFactory, settings: LabelSettings) -> dict[str, Any]:
    key, crystal, strain = job
    name = calculator_name(calculator)
    row = {"key": key, "id": crystal.name, "strain": strain}
    try:
        entry = label(crystal, kept_calculator(calculator), settings, strain, name)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - calculators raise anything; a row says what
        kind = "" if isinstance(error, E3DOSError) else f"{type(error).__name__}: "
        return {**row, "error": f"{kind}{error}".removeprefix(f"{crystal.name}: ")}
    return {
        **row,
        "numbers": entry.crystal.numbers.tolist(),
        "cell": entry.crystal.cell.tolist(),
        "positions": entry.crystal.scaled_positions.tolist(),
        "values": np.round(entry.values, 7).tolist(),
        "scalars": entry.scalars,
        "provenance": name,
    }


def _entry(row: dict[str, Any]) -> LabelledEntry:
    n = len(row["numbers"])
    crystal = Crystal(row["cell"], row["positions"], np.arange(n), row["numbers"], name=row["id"])
    return LabelledEntry(
        row["id"],
        crystal,
        np.array(row["values"]),
        scalars=row["scalars"],
        provenance=row["provenance"],
    )
