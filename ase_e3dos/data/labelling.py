"""Labels from any ASE calculator: phonopy finite displacements, in parallel, to be resumed."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    Future,
    ProcessPoolExecutor,
    wait,
)
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ase_e3dos.data.journal import Journal
from ase_e3dos.data.labelled_file import LabelledEntry, Reject, check_output, stated, write_labelled
from ase_e3dos.data.lock import only_process
from ase_e3dos.data.phonopy_labels import site_labels
from ase_e3dos.data.splits import SplitBy, split_names
from ase_e3dos.errors import DataError, E3DOSError
from ase_e3dos.structures.crystal import Crystal
from ase_e3dos.version import __version__

if TYPE_CHECKING:
    from ase import Atoms
    from ase.calculators.calculator import Calculator

CalculatorFactory = Callable[[], "Calculator"]
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
    relax: Literal["none", "positions", "cell"] = "none"
    fmax: float = 1e-3


def calculator_factory(name: str) -> CalculatorFactory:
    """A calculator by name: "emt", "lj", or "package.module:factory" (called without arguments).

    Modules are looked for in the working directory too.

    Raises
    ------
    DataError
        There is no such thing.
    """
    module, _, attribute = {
        "emt": "ase.calculators.emt:EMT",
        "lj": "ase.calculators.lj:LennardJones",
    }.get(name, name).partition(":")
    if str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))
    try:
        factory = getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise DataError(
            f"calculator {name!r}: {error}. Give emt, lj, or package.module:function, where the "
            "function returns an ASE calculator."
        ) from error
    made: CalculatorFactory = factory
    return made


def supercell_of(crystal: Crystal, length: float) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Repetitions along each lattice vector so that parallel faces are `length` Å apart."""
    heights = 1.0 / np.linalg.norm(np.linalg.inv(crystal.cell), axis=0)
    return np.asarray(np.maximum(1, np.ceil(length / heights - 1e-6)), dtype=np.int64)


def finite_displacements(atoms: Atoms, calculator: Calculator, settings: LabelSettings) -> Any:
    """A phonopy.Phonopy of the cell given (not its primitive cell), with force constants.

    Parameters
    ----------
    atoms : Atoms
        Structure at which forces are expanded.
    calculator : Calculator
        Gives the forces.
    settings : LabelSettings
        Supercell and displacement.
    """
    from ase import Atoms
    from phonopy import Phonopy
    from phonopy.structure.atoms import PhonopyAtoms

    cell = PhonopyAtoms(
        numbers=atoms.numbers, cell=atoms.cell.array, scaled_positions=atoms.get_scaled_positions()
    )
    repeat = supercell_of(Crystal.from_any(atoms), settings.supercell)
    phonon = Phonopy(cell, supercell_matrix=np.diag(repeat), primitive_matrix=np.eye(3))
    phonon.generate_displacements(distance=settings.displacement)
    forces = []
    for displaced in phonon.supercells_with_displacements or []:
        image = Atoms(
            numbers=displaced.numbers,
            cell=displaced.cell,
            scaled_positions=displaced.scaled_positions,
            pbc=True,
        )
        image.calc = calculator
        f = image.get_forces()
        forces.append(f - f.mean(axis=0))
    phonon.forces = np.array(forces)
    phonon.produce_force_constants()
    phonon.symmetrize_force_constants()
    return phonon


def relaxed(atoms: Atoms, calculator: Calculator, settings: LabelSettings) -> Atoms:
    """The structure after the relaxation that the settings ask for.

    Raises
    ------
    DataError
        It does not converge in 500 steps.
    """
    from ase.filters import FrechetCellFilter
    from ase.optimize import FIRE

    if settings.relax == "none":
        return atoms
    atoms = atoms.copy()
    atoms.calc = calculator
    target = FrechetCellFilter(atoms) if settings.relax == "cell" else atoms
    if not FIRE(target, logfile=None).run(fmax=settings.fmax, steps=500):
        raise DataError(f"the relaxation did not reach {settings.fmax:g} eV/Å in 500 steps.")
    return atoms


def label(
    crystal: Crystal, calculator: Calculator, settings: LabelSettings, strain: float = 0.0
) -> LabelledEntry:
    """Site spectra of one crystal at one strain.

    Raises
    ------
    E3DOSError
        The relaxation or the frequencies are not usable; whatever the calculator raises.
    """
    atoms = relaxed(crystal.to_atoms(), calculator, settings)
    if strain:
        atoms.set_cell(atoms.cell.array * (1 + strain), scale_atoms=True)
        if settings.relax != "none":
            fixed = LabelSettings(relax="positions", fmax=settings.fmax)
            atoms = relaxed(atoms, calculator, fixed)
    phonon = finite_displacements(atoms, calculator, settings)
    values, lowest, highest = site_labels(phonon, settings.mesh)
    scalars = {"strain": strain, "min_wavenumber": lowest, "max_wavenumber": highest}
    return LabelledEntry(
        crystal.name, Crystal.from_any(atoms, crystal.name), values, scalars=scalars
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
    workers: int = 1,
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
        Name (see `calculator_factory`), or a picklable function that returns one.
    output : str or Path
        Parquet file.
    settings : LabelSettings, optional
        Defaults if not given.
    source : str, optional
        Name of the potential or method; if not given, that which the output has already, or
        the calculator's (see `calculator_name`).
    licence, citation : str, optional
        Of the labels, for the file's metadata; if not given, those which the output has already.
    workers : int, optional
        Processes; one works in this process.
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
    basis = {"calculator": calculator_identity(calculator), **asdict(settings)}
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
        known = row.get("basis", {})
        what = f"{row['id']} at strain {row['strain']:g}"
        differing = [
            f"{key} ({_short(known.get(key, 'unknown'))}, now {_short(value)})"
            for key, value in basis.items()
            if known.get(key) != value
        ]
        if differing and "error" not in row:
            raise DataError(
                f"{file} holds labels that were made otherwise and are not asked for now, such as "
                f"{what}; they differ in {', '.join(differing)}. Write to another file, or give "
                "all its structures and strains, to label them again."
            )
        if row.get("structure") != structures.get(row["id"], row.get("structure")):
            raise DataError(
                f"{file} holds {what}, which is another structure than the one of this name "
                "given now. Rename the new one, write to another file, or label it at all strains "
                "that the file has."
            )
    return [row for row in kept if row.get("basis") == basis]


def _short(value: Any) -> str:
    """A value in a message; of an identity the name and the first digits of the hash."""
    words = str(value).split()
    return " ".join([*words[:-1], words[-1][:8]]) if len(words) > 1 else str(value)


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


def calculator_name(calculator: str | CalculatorFactory) -> str:
    """What a calculator is called in files: its name, or module and name of the function."""
    if isinstance(calculator, str):
        return calculator
    return f"{calculator.__module__}:{getattr(calculator, '__qualname__', 'custom')}"


def calculator_identity(calculator: str | CalculatorFactory) -> str:
    """What tells a calculator from an edited one: its name, and a hash of its module's file.

    Raises
    ------
    DataError
        There is no such calculator.
    """
    name = calculator_name(calculator)
    if name in ("emt", "lj"):
        return name
    factory = calculator_factory(calculator) if isinstance(calculator, str) else calculator
    arguments = ""
    if isinstance(factory, partial):
        arguments = repr((factory.args, sorted(factory.keywords.items())))
        factory = factory.func
    module = sys.modules.get(factory.__module__)
    file = Path(getattr(module, "__file__", None) or "")
    source = file.read_bytes() if file.is_file() else b""
    return f"{name} {arguments} {hashlib.sha256(source).hexdigest()}"


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
    if workers == 1:
        for job in jobs:
            yield _work(job, calculator, settings)
        return
    # Processes share the cores: libraries in them should not start a thread for each core.
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // workers)))
    waiting = list(jobs)
    while waiting:
        suspects: list[Job] = []
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            running: dict[Future[dict[str, Any]], Job] = {}
            while waiting or running:
                while waiting and len(running) < workers and not suspects:
                    job = waiting.pop(0)
                    try:
                        running[pool.submit(_work, job, calculator, settings)] = job
                    except BrokenExecutor:
                        suspects.append(job)
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    job = running.pop(future)
                    try:
                        row = future.result()
                    except BrokenExecutor:
                        suspects.append(job)  # its process died, or another one's
                    else:
                        yield row
                if suspects and not running:
                    break
        for job in suspects:
            yield _alone(job, calculator, settings)


def _alone(
    job: Job, calculator: str | CalculatorFactory, settings: LabelSettings
) -> dict[str, Any]:
    """One job in a process of its own, so that nothing else dies with it."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        try:
            return pool.submit(_work, job, calculator, settings).result()
        except BrokenExecutor:
            key, crystal, strain = job
            error = "its process died (out of memory, or a crash inside the calculator)"
            return {"key": key, "id": crystal.name, "strain": strain, "error": error}


#: Calculators of this process by name; loading a potential can take longer than using it.
_CALCULATORS: dict[str, Calculator] = {}


def _work(job: Job, calculator: str | CalculatorFactory, settings: LabelSettings) -> dict[str, Any]:
    key, crystal, strain = job
    name = calculator_name(calculator)
    row = {"key": key, "id": crystal.name, "strain": strain}
    try:
        if name not in _CALCULATORS:
            make = calculator_factory(calculator) if isinstance(calculator, str) else calculator
            _CALCULATORS[name] = make()
        entry = label(crystal, _CALCULATORS[name], settings, strain)
    except Exception as error:  # noqa: BLE001 - calculators raise anything; a row says what
        _CALCULATORS.pop(name, None)
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
