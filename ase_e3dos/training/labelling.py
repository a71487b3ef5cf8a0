"""Labels from any ASE calculator: phonopy finite displacements, in parallel, to be resumed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import asdict, dataclass
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ase_e3dos.crystal import Crystal
from ase_e3dos.errors import DataError, E3DOSError
from ase_e3dos.training.journal import Journal
from ase_e3dos.training.labelled_file import Entry, write_labelled
from ase_e3dos.training.phonopy_labels import site_labels

if TYPE_CHECKING:
    from ase import Atoms
    from ase.calculators.calculator import Calculator

CalculatorFactory = Callable[[], "Calculator"]


@dataclass(frozen=True)
class LabelSettings:
    """How labels are calculated.

    Attributes
    ----------
    supercell
        Least distance in Å between a site and its image in the supercell.
    displacement
        Å.
    mesh
        Density of the mesh: the length that phonopy takes, Å.
    strains
        Isotropic strains at which each crystal is calculated.
    relax
        "none", "positions" at the fixed cell, or "cell" too (before straining).
    fmax
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

    Raises
    ------
    DataError
        There is no such thing.
    """
    module, _, attribute = {
        "emt": "ase.calculators.emt:EMT",
        "lj": "ase.calculators.lj:LennardJones",
    }.get(name, name).partition(":")
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
    atoms
        Structure at which forces are expanded.
    calculator
        Gives the forces.
    settings
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
) -> Entry:
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
    return Entry(crystal.name, Crystal.from_any(atoms, crystal.name), values, scalars=scalars)


def label_all(
    crystals: Iterable[Crystal],
    calculator: str | CalculatorFactory,
    output: str | Path,
    settings: LabelSettings | None = None,
    *,
    source: str = "mlip",
    workers: int = 1,
    retry: bool = False,
    report: Callable[[str], None] = lambda line: None,
) -> tuple[int, int]:
    """Label crystals and write them to a Parquet file.

    Each result is written down at once in `output`.journal.jsonl, so that the same call goes
    on after an interruption. A crystal that fails becomes a row of `output`.errors.jsonl and
    stops nothing.

    Parameters
    ----------
    crystals
        Structures with names.
    calculator
        Name (see `calculator_factory`), or a picklable function that returns one.
    output
        Parquet file.
    settings
        Defaults if not given.
    source
        Name of the potential or method.
    workers
        Processes; one works in this process.
    retry
        Try again what failed before.
    report
        Gets a line of text for each result.

    Returns
    -------
    n_labelled, n_failed : int
    """
    settings = settings or LabelSettings()
    file = Path(output)
    journal = Journal(file.with_name(file.name + ".journal.jsonl"))
    jobs = [
        (job_key(c, settings, strain), c, strain) for c in crystals for strain in settings.strains
    ]
    waiting = [
        job
        for job in jobs
        if job[0] not in journal.rows or (retry and "error" in journal.rows[job[0]])
    ]
    if len(waiting) < len(jobs):
        report(f"{len(jobs) - len(waiting)} of {len(jobs)} were done before")
    for row in _run(waiting, calculator, settings, workers):
        journal.add(row)
        done = f"failed: {row['error']}" if "error" in row else "done"
        report(f"{row['id']} strain {row['strain']:g}: {done}")
    rows = [journal.rows[key] for key, _, _ in jobs if key in journal.rows]
    failed = [r for r in rows if "error" in r]
    entries = [_entry(r) for r in rows if "error" not in r]
    errors = file.with_name(file.name + ".errors.jsonl")
    errors.write_text("".join(json.dumps(r) + "\n" for r in failed), encoding="utf-8")
    name = calculator if isinstance(calculator, str) else getattr(calculator, "__name__", "custom")
    about = {"calculator": name, "settings": asdict(settings)}
    if entries or not failed:
        write_labelled(file, entries, source, about)
    return len(entries), len(failed)


def job_key(crystal: Crystal, settings: LabelSettings, strain: float) -> str:
    """Hash of what determines a label."""
    content = json.dumps({**asdict(settings), "strains": strain}, sort_keys=True).encode()
    digest = hashlib.sha256(content + crystal.name.encode())
    for array in (crystal.cell, crystal.scaled_positions, crystal.numbers):
        digest.update(np.round(np.asarray(array, dtype=float), 8).tobytes())
    return digest.hexdigest()[:24]


Job = tuple[str, Crystal, float]


def _run(
    jobs: Sequence[Job],
    calculator: str | CalculatorFactory,
    settings: LabelSettings,
    workers: int,
) -> Iterator[dict[str, Any]]:
    if workers == 1:
        for job in jobs:
            yield _work(job, calculator, settings)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        running: set[Future[dict[str, Any]]] = set()
        queue = iter(jobs)
        while True:
            for job in queue:
                running.add(pool.submit(_work, job, calculator, settings))
                if len(running) >= 2 * workers:
                    break
            if not running:
                return
            finished, running = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                yield future.result()


def _work(job: Job, calculator: str | CalculatorFactory, settings: LabelSettings) -> dict[str, Any]:
    key, crystal, strain = job
    row = {"key": key, "id": crystal.name, "strain": strain}
    try:
        made = calculator_factory(calculator)() if isinstance(calculator, str) else calculator()
        entry = label(crystal, made, settings, strain)
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
    }


def _entry(row: dict[str, Any]) -> Entry:
    n = len(row["numbers"])
    crystal = Crystal(row["cell"], row["positions"], np.arange(n), row["numbers"], name=row["id"])
    return Entry(row["id"], crystal, np.array(row["values"]), scalars=row["scalars"])
