"""Labels from any ASE calculator: phonopy finite displacements, in parallel, to be resumed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ase_e3dos.data.labelled_file import (
    SITE_BINS,
    SITE_BINS_WIDE,
    SITE_STEP,
    LabelledEntry,
    Reject,
    check_output,
    stated,
    write_labelled,
)
from ase_e3dos.data.labels import DEFAULT_GRID
from ase_e3dos.data.lock import only_process
from ase_e3dos.data.splits import SplitBy, split_names
from ase_e3dos.errors import DataError, E3DOSError
from ase_e3dos.phonon_spectrum import PhononSpectrum
from ase_e3dos.potentials.choice import (
    CalculatorFactory,
    calculator_identity,
    calculator_name,
    calculator_of,
    kept_calculator,
    make_ready,
)
from ase_e3dos.potentials.journal import Journal, differing
from ase_e3dos.potentials.processes import in_processes
from ase_e3dos.potentials.reference import ReferenceSettings, calculated
from ase_e3dos.potentials.relaxation import Relax, relax_crystal, with_cell
from ase_e3dos.spectrum.constants import constants
from ase_e3dos.structures.crystal import Crystal
from ase_e3dos.version import __version__

if TYPE_CHECKING:
    from ase.calculators.calculator import Calculator

Job = tuple[str, Crystal, float]


@dataclass(frozen=True)
class LabelSettings:
    """How labels are calculated.

    Attributes
    ----------
    supercell : float
        Least distance in Å between a site and its image in the supercell.
    displacement : float
        Å.
    mesh : float
        Density of the mesh: the length that phonopy takes, Å.
    strains : tuple of float
        Isotropic strains at which each crystal is calculated.
    relax : {"none", "positions", "cell"}
        "none", "positions" at the fixed cell, or "cell" too (before straining).
    fmax : float
        Largest force after relaxation, eV/Å.
    """

    supercell: float = 9.0
    displacement: float = 0.03
    mesh: float = 40.0
    strains: tuple[float, ...] = (0.0,)
    relax: Relax = "none"
    fmax: float = 1e-3

    def reference(self, relax: Relax) -> ReferenceSettings:
        """Settings of the spectrum at one strain."""
        return ReferenceSettings(
            self.supercell, self.displacement, self.mesh, relax, self.fmax, SITE_STEP
        )


def label(
    crystal: Crystal,
    calculator: str | Calculator | CalculatorFactory,
    settings: LabelSettings,
    strain: float = 0.0,
) -> LabelledEntry:
    """Site spectra of one crystal at one strain, as `ase_e3dos.reference_spectrum` has them.

    Raises
    ------
    E3DOSError
        The calculator fails, or the relaxation or the frequencies are not usable.
    """
    forces = calculator_of(calculator)
    name = calculator_name(calculator)
    relax = settings.relax
    if strain:
        if relax != "none":
            crystal = relax_crystal(crystal, forces, name, relax, settings.fmax).crystal
            relax = "positions"
        atoms = crystal.to_atoms()
        atoms.set_cell(atoms.cell.array * (1 + strain), scale_atoms=True)
        crystal = with_cell(crystal, atoms)
    spectrum = calculated(crystal, forces, settings.reference(relax))
    return entry_of(crystal.name, spectrum, {"strain": strain})


def entry_of(id_: str, spectrum: PhononSpectrum, scalars: dict[str, Any]) -> LabelledEntry:
    """A calculated spectrum as a labelled entry, in bins of 10 cm^-1.

    Raises
    ------
    DataError
        The spectrum has no site densities or other bins.
    """
    origin = spectrum.origin or {}
    sites = spectrum.site_density
    if sites is None or not np.array_equal(spectrum.wavenumbers, DEFAULT_GRID):
        raise DataError(
            f"{id_}: labels need site densities in bins of 10 cm^-1 from -400 cm^-1, as "
            "reference_spectrum gives them with step=10."
        )
    highest = origin.get("highest_wavenumber", np.inf)
    bins = SITE_BINS if highest < 1590 else SITE_BINS_WIDE
    values = sites[:, :bins] / constants().thz_to_cm
    values = 3.0 * values / (values.sum(axis=1, keepdims=True) * SITE_STEP)
    range_ = {
        "min_wavenumber": origin.get("lowest_wavenumber"),
        "max_wavenumber": origin.get("highest_wavenumber"),
    }
    return LabelledEntry(
        id_,
        spectrum.crystal,
        values,
        scalars={**scalars, **range_},
        provenance=str(origin.get("calculator", "")),
    )


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
        structure with the same name; it is a folder or no file of this function; its journal is
        damaged.
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
        _report_replaced(file, journal, jobs, report)
        kept = _kept(file, journal, jobs, basis)
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


def _latest(journal: Journal) -> dict[tuple[str, float], dict[str, Any]]:
    """The rows that count: of each name and strain the one that was written last."""
    return {(row["id"], row["strain"]): row for row in journal.rows.values()}


def _report_replaced(
    file: Path, journal: Journal, jobs: list[Job], report: Callable[[str], None]
) -> None:
    """Say where a structure takes the place of another one of its name.

    Raises
    ------
    DataError
        The other one is of another composition, hence another crystal and no edited file.
    """
    latest = _latest(journal)
    for _, crystal, strain in jobs:
        row = latest.get((crystal.name, strain), {})
        if "structure" not in row or row["structure"] == structure_digest(crystal):
            continue
        if sorted(row.get("numbers", [])) not in ([], sorted(crystal.numbers.tolist())):
            raise DataError(
                f"{file} holds {crystal.name} already, with another composition. Rename one of "
                "the two, or write to another file."
            )
        report(f"{crystal.name} strain {strain:g} takes the place of another structure's")


def _kept(
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
    kept = [row for asking, row in _latest(journal).items() if asking not in asked]
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
    latest = _latest(journal)
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
        entry = label(crystal, kept_calculator(calculator), settings, strain)
    except Exception as error:  # noqa: BLE001 - calculators raise anything; a row says what
        kind = "" if isinstance(error, E3DOSError) else f"{type(error).__name__}: "
        return {**row, "error": f"{kind}{error}"}
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
