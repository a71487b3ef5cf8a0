"""phonopy runs: folders, yaml files (also compressed) and archives of them.

With force constants (in the yaml, FORCE_CONSTANTS or force_constants.hdf5) or forces (in the yaml
or FORCE_SETS) site spectra are calculated for the primitive cell, with the charges of a BORN file
that lies beside them, and displacement tensors, sound velocity and imaginary share with them; a
folder with `phonopy.yaml` and `total_dos.dat` only gives the total spectrum. A folder without yaml
needs SPOSCAR (or a POSCAR that is the supercell), or POSCAR with `phonopy.conf`, since FORCE_SETS
and FORCE_CONSTANTS do not say which supercell they are for. Archives of phonopy yaml files
(Alexandria, the MDR phonon database) are read member by member.
"""

from __future__ import annotations

import tarfile
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import chdir
from pathlib import Path
from typing import Any

import ase.io
import numpy as np

from ase_e3dos.data.importers.grids import on_fine_grid
from ase_e3dos.data.importers.records import DAMAGED, rejecting
from ase_e3dos.data.labelled_file import (
    SITE_BINS,
    SITE_BINS_WIDE,
    SITE_STEP,
    LabelledEntry,
    Reject,
)
from ase_e3dos.errors import DataError, E3DOSError
from ase_e3dos.potentials.mode_counts import mode_counts
from ase_e3dos.potentials.thermal_motion import (
    displacement_tensors,
    imaginary_share,
    sound_velocity,
)
from ase_e3dos.structures.crystal import Crystal

_NAMES = ("phonopy_params.yaml", "phonopy.yaml", "phonopy_disp.yaml")
#: Settings of a run, which say how the supercell of a unit cell lies; names of the latter.
CONFIGURATION, UNIT_CELLS = "phonopy.conf", ("POSCAR-unitcell", "POSCAR")
_FORCES = ("FORCE_SETS", "FORCE_CONSTANTS", "force_constants.hdf5")
_ENDINGS = (".yaml", ".yaml.xz", ".yaml.bz2", ".yaml.gz", ".yaml.lzma")

#: Why a folder gave nothing.
NO_RUN = (
    f"no phonopy run: none of {', '.join(_NAMES)}, no other yaml file, and none of "
    f"{', '.join(_FORCES)}"
)


def read(paths: Sequence[Path]) -> Iterator[LabelledEntry | Reject]:
    """Entries of folders, files and archives; named by folder, or by file where it says more."""
    for path in paths:
        if path.is_dir():
            yield from _folder(path, path.name)
        elif zipfile.is_zipfile(path) or (path.is_file() and _is_tar(path)):
            yield from _archive(path)
        elif path.name in (*_FORCES, "SPOSCAR", "POSCAR"):
            folder = path.resolve().parent
            yield from _folder(folder, folder.name)
        elif path.name.startswith(_NAMES):
            yield _run(path.resolve().parent.name, path)
        else:
            yield _run(_without_ending(path.name), path)


def _is_tar(path: Path) -> bool:
    try:
        return not path.name.endswith(_ENDINGS) and tarfile.is_tarfile(path)
    except DAMAGED:  # of a compressed file that is cut off
        return False


def _without_ending(name: str) -> str:
    ending = next((e for e in sorted(_ENDINGS, key=len, reverse=True) if name.endswith(e)), "")
    return name.removesuffix(ending) if ending else name


def _folder(path: Path, name: str, prefix: str = "") -> Iterator[LabelledEntry | Reject]:
    """A run, or a folder of runs or of yaml files.

    Parameters
    ----------
    path : Path
        The folder.
    name : str
        What it is called if it is a run.
    prefix : str, optional
        Of the names of what lies in it: runs in runs/Cu/300K go by Cu/300K.
    """
    for usual in _NAMES:
        files = [path / (usual + ending) for ending in ("", ".xz", ".bz2", ".gz")]
        for file in filter(Path.is_file, files):
            yield _run(name, file)
            return
    if any((path / forces).is_file() for forces in _FORCES):
        yield _without_yaml(name, path)
        return
    empty: list[Reject] = []
    inside = False
    for child in sorted(path.iterdir()):
        if child.name.startswith("."):
            continue
        if child.is_dir():
            inner = f"{prefix}{child.name}"
            for item in _folder(child, inner, f"{inner}/"):
                if isinstance(item, Reject) and item.reason == NO_RUN:
                    empty.append(item)
                else:
                    inside = True
                    yield item
        elif child.name.endswith(_ENDINGS):
            inside = True
            yield _run(prefix + _without_ending(child.name), child)
    # A folder of folders without any run (those of single displacements, say) is one reject.
    yield from empty if inside else [Reject(name, NO_RUN)]


def _archive(path: Path) -> Iterator[LabelledEntry | Reject]:
    with tempfile.TemporaryDirectory() as folder:
        try:
            if zipfile.is_zipfile(path):
                with zipfile.ZipFile(path) as archive:
                    archive.extractall(folder)  # zipfile keeps members inside the folder
            else:
                with tarfile.open(path) as archive:
                    archive.extractall(folder, filter="data")
        except DAMAGED as error:
            yield Reject(path.name, f"the archive is damaged ({error}); what could be read is used")
        yield from _folder(Path(folder), path.name.split(".")[0])


@rejecting
def _without_yaml(name: str, folder: Path) -> LabelledEntry | Reject:
    """A run of structure and forces: the supercell, or the unit cell with a configuration."""
    settings = folder / CONFIGURATION
    unit_cell = next((folder / f for f in UNIT_CELLS if (folder / f).is_file()), None)
    if settings.is_file() and unit_cell is not None:
        return _loaded(name, unit_cell, settings)
    structure = next((f for f in (folder / "SPOSCAR", folder / "POSCAR") if f.is_file()), None)
    if structure is None:
        return Reject(
            name,
            "forces, but no phonopy yaml file, no SPOSCAR that says for what, and no "
            f"{CONFIGURATION} with a POSCAR",
        )
    sets = folder / "FORCE_SETS"
    if structure.name == "POSCAR":
        try:
            n_cell = len(ase.io.read(structure, format="vasp"))
            n_forces = int(sets.read_text(encoding="utf-8").split(None, 1)[0])
        except (OSError, ValueError, IndexError):
            return Reject(name, "forces and POSCAR, but not which supercell: add SPOSCAR")
        if n_forces != n_cell:
            return Reject(
                name,
                f"FORCE_SETS are for a supercell of {n_forces} atoms, POSCAR has {n_cell}: add "
                "phonopy_disp.yaml or SPOSCAR, which say how it lies",
            )
    return _run(name, structure)


@rejecting
def _run(name: str, file: Path) -> LabelledEntry | Reject:
    return _loaded(name, file, None)


def _loaded(name: str, file: Path, settings: Path | None) -> LabelledEntry | Reject:
    """What phonopy makes of a yaml file, a supercell, or a unit cell with its settings."""
    import phonopy

    file = file.resolve()
    folder = file.parent
    is_supercell = settings is None and file.name in ("SPOSCAR", "POSCAR")
    is_run = settings is not None or is_supercell or file.name.startswith(_NAMES)

    def beside(other: str) -> str | None:
        path = folder / other
        return str(path) if path.is_file() and is_run else None

    try:
        cell: dict[str, Any] = {"phonopy_yaml": str(file)}
        if settings is not None:
            cell = {"unitcell_filename": str(file), **_cells_of(settings)}
        elif is_supercell:
            cell = {"supercell_filename": str(file)}
        # What a run lacks phonopy takes from the working directory, whosever it is: give it none.
        with tempfile.TemporaryDirectory() as empty, chdir(empty):
            phonon = phonopy.load(
                **cell,
                log_level=0,
                force_constants_filename=beside("FORCE_CONSTANTS")
                or beside("force_constants.hdf5"),
                force_sets_filename=beside("FORCE_SETS"),
                born_filename=beside("BORN"),
            )
        crystal = Crystal.from_any(phonon.primitive, name)
    except E3DOSError as error:
        return Reject(name, f"structure: {error}")
    except Exception as error:  # noqa: BLE001 - phonopy raises anything; the account says what
        said = " ".join(str(error).split())[:120]
        return Reject(name, f"phonopy cannot load it ({type(error).__name__}: {said})")
    if phonon.force_constants is None:
        return _total(name, crystal, folder / "total_dos.dat")
    try:
        counts, lowest, highest = mode_counts(phonon)
    except E3DOSError as error:
        return Reject(name, str(error))
    values = counts[:, : SITE_BINS if highest < 1590 else SITE_BINS_WIDE] / SITE_STEP
    scalars = {
        "min_wavenumber": lowest,
        "max_wavenumber": highest,
        "imaginary_fraction": imaginary_share(phonon),
        "born_charges": phonon.nac_params is not None,
        "sound_velocity": sound_velocity(phonon),
        "u_tensor": displacement_tensors(phonon).ravel().tolist(),
    }
    return LabelledEntry(name, crystal, values, scalars=scalars, provenance=file.name)


def _cells_of(settings: Path) -> dict[str, Any]:
    """Supercell and primitive cell of a phonopy configuration, read by phonopy itself."""
    from phonopy.cui.settings import PhonopyConfParser

    found = PhonopyConfParser(filename=str(settings)).settings
    if found.supercell_matrix is None:
        raise DataError(f"{settings.name} says no DIM: add it, or SPOSCAR")
    cells: dict[str, Any] = {"supercell_matrix": found.supercell_matrix}
    if found.primitive_matrix is not None:
        cells["primitive_matrix"] = found.primitive_matrix
    return cells


def _total(name: str, crystal: Crystal, file: Path) -> LabelledEntry | Reject:
    """The spectrum of total_dos.dat, resampled at 1 cm^-1."""
    if not file.is_file():
        return Reject(name, "neither force constants nor total_dos.dat")
    try:
        frequencies, density = np.loadtxt(file, unpack=True, ndmin=2)[:2]
    except ValueError:
        return Reject(name, "total_dos.dat is not two columns of numbers")
    found = on_fine_grid(name, frequencies, density)
    if isinstance(found, Reject):
        return found
    return LabelledEntry(name, crystal, found[1], found[0], 1.0, provenance=file.name)
