"""Feed damaged files to the package and count what comes out.

    python tests/robustness/fuzz.py KIND [N [SEED]]

prints one JSON line: outcomes and how often, the slowest input, the peak of memory, and every input
that ended in anything but a finite spectrum or an error of the package. A limit on memory and an
alarm for each input turn a leak or a hang into such a failure.

KIND is cif, poscar, extxyz, json, parquet, weights, forged or spectrum; or read-cif, read-extxyz,
read-poscar or read-yaml: files that are read without a network, in 5 s and 1 GiB each.
"""

from __future__ import annotations

import base64
import json
import resource
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from mutations import damaged, damaged_json, dumps, odd

from ase_e3dos.errors import E3DOSError
from ase_e3dos.network import weights as weights_module
from ase_e3dos.network.construction import build_network
from ase_e3dos.network.site_trunk import SiteSettings
from ase_e3dos.network.weights import GridHeader, WeightsHeader, save_weights
from ase_e3dos.phonon_spectrum import PhononSpectrum
from ase_e3dos.prediction.pipeline import Predictor
from ase_e3dos.screening.inputs import iter_entries
from ase_e3dos.structures.crystal import Crystal, read_crystals

CRYSTALS = Path(__file__).resolve().parents[2] / "docs" / "crystals"
CASES = Path(__file__).resolve().parents[1] / "structures" / "cases"
SECONDS, GIGABYTES, MOST_STRUCTURES = 60, 6, 20
#: Limits of a single file that is only read: processor time, and memory beyond the start.
READ_SECONDS, READ_GIGABYTES = 5, 1
SMALL = {"scalars": 16, "vectors": 8, "message_scalars": 8, "message_vectors": 4, "n_layers": 1,
         "hidden": 16, "sources": 1}  # fmt: skip


class TooLongError(Exception):
    """The alarm rang."""


def tiny_weights(path: Path) -> Path:
    """A network that was never trained, on the default model's grid."""
    import torch

    torch.manual_seed(0)
    header = WeightsHeader(
        network="site",
        settings=asdict(SiteSettings(**SMALL)),
        members=1,
        grid=GridHeader(-395.0, 10.0, 480),
        encoder="mass_one_hot",
        encoder_version=1,
        elements={str(z): 5 for z in range(1, 84)},
        trust={"filling": [0.1, 3.0], "disagreement": [0.2]},
    )
    save_weights(path, header, [build_network(header).state_dict()])
    return path


def check_spectrum(spectrum: PhononSpectrum) -> None:
    values = [spectrum.density, spectrum.heat_capacity([0, 5, 300]), spectrum.entropy([0, 5, 300]),
              spectrum.free_energy([0, 300]), spectrum.mean_wavenumber]  # fmt: skip
    if not all(np.isfinite(v).all() for v in values):
        raise FloatingPointError("a spectrum that is not finite")


class Reading:
    """Files that are read and counted as a screening does, without a network."""

    def __init__(self, folder: Path, kind: str) -> None:
        self.folder = folder
        self.seeds = read_seeds(kind)

    def trial(self, name: str, data: bytes) -> str:
        """Crystals, or the first error."""
        from ase_e3dos.structures import read_each
        from ase_e3dos.structures.reading import count

        path = self.folder / name
        path.write_bytes(data)
        count(path)
        found = [reading.crystal for reading in read_each(path)]
        errors = [item for item in found if not isinstance(item, Crystal)]
        for error in errors:
            if not isinstance(error, E3DOSError):
                raise error
        for crystal in found:
            if isinstance(crystal, Crystal):
                check_crystal(crystal)
        if errors:
            raise errors[0]
        return "crystal"


def check_crystal(crystal: Crystal) -> None:
    """What every crystal promises."""
    total = np.bincount(crystal.species_site, crystal.species_fraction, crystal.n_sites)
    if not (np.isfinite(crystal.cell).all() and np.isfinite(crystal.scaled_positions).all()):
        raise FloatingPointError("a crystal that is not finite")
    if (total <= 0).any() or (total > 1 + 1e-9).any() or (crystal.species_mass <= 0).any():
        raise FloatingPointError("a crystal whose sites do not hold what they may")


def read_seeds(kind: str) -> list[tuple[str, bytes]]:
    """Names and contents of sound files, and of odd ones."""
    ending = {"cif": ".cif", "extxyz": ".extxyz", "poscar": ".vasp", "yaml": ".yaml"}[kind]
    files = [p for folder in (CRYSTALS, CASES) for p in sorted(folder.glob(f"*{ending}"))]
    if kind == "poscar":
        files += sorted(CASES.glob("POSCAR*"))
    seeds = [(p.name, p.read_bytes()) for p in files]
    if kind == "extxyz":
        from ase.build import bulk
        from ase.io import write

        with tempfile.TemporaryDirectory() as folder:
            salt = bulk("NaCl", "rocksalt", a=5.64)
            salt.arrays["forces"] = np.zeros((2, 3))
            salt.info.update(material_id="x", occupancy={"0": {"Na": 1.0}, "1": {"Cl": 1.0}})
            salt.set_masses()
            write(Path(folder) / "b.extxyz", [salt, salt.repeat(2)])
            seeds.append(("b.extxyz", (Path(folder) / "b.extxyz").read_bytes()))
    return seeds


class Fuzz:
    """One kind of input: how to damage it, and what to do with it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.predictor = Predictor(tiny_weights(folder / "tiny.safetensors"), device="cpu")

    def predict(self, crystals: Iterable[Crystal | E3DOSError | None]) -> str:
        """Spectra of the first few; the worst outcome names all of them."""
        outcome = "nothing in it"
        for count, item in enumerate(self.predictor.stream(c for c in crystals if c is not None)):
            if isinstance(item, E3DOSError):
                raise item
            check_spectrum(item)
            outcome = "spectrum"
            if count >= MOST_STRUCTURES:
                break
        return outcome

    def file(self, name: str, data: bytes) -> str:
        path = self.folder / name
        path.write_bytes(data)
        return self.predict(read_crystals(path))

    def entries(self, name: str, data: bytes) -> str:
        """As in screening, where an unreadable structure is a row with an error."""
        path = self.folder / name
        path.write_bytes(data)
        errors = []
        found = []
        for count, entry in enumerate(iter_entries(path)):
            crystal = entry.crystal
            (found if isinstance(crystal, Crystal) else errors).append(crystal)
            if count >= MOST_STRUCTURES:
                break
        for error in errors:
            if not isinstance(error, E3DOSError):
                raise error
        if not found and errors:
            raise errors[0]
        return self.predict(found)

    def weights(self, data: bytes) -> str:
        path = self.folder / "weights.safetensors"
        path.write_bytes(data)
        predictor = Predictor(path, device="cpu")
        check_spectrum(predictor.spectra([Crystal.from_any(CRYSTALS / "NaCl.cif")])[0])
        return "spectrum"

    def forged(self, content: dict[str, Any]) -> str:
        """Weights whose checksum fits a header of somebody's own making."""
        from safetensors.torch import load_file, save_file

        path = self.folder / "forged.safetensors"
        tensors = load_file(self.folder / "tiny.safetensors")
        digest = weights_module._digest(content, tensors)
        save_file(
            tensors, path, {"ase_e3dos": json.dumps(content, sort_keys=True), "sha256": digest}
        )
        return self.weights(path.read_bytes())

    def spectrum_json(self, value: Any) -> str:
        check_spectrum(PhononSpectrum.from_dict(json.loads(json.dumps(value))))
        return "spectrum"


def texts(*names: str) -> list[tuple[str, bytes]]:
    return [(name, (CRYSTALS / name).read_bytes()) for name in names]


def structure_dict() -> dict[str, Any]:
    from pymatgen.core import Structure

    return dict(json.loads(Structure.from_file(CRYSTALS / "SrTiO3.cif").to_json()))


def table() -> bytes:
    """A Parquet table in the package's own form."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    crystals = [Crystal.from_any(CRYSTALS / n) for n in ("NaCl.cif", "TiO2.cif", "GaN.cif")]
    columns = {
        "id": ["a", "b", "../c"],
        "numbers": [c.numbers.tolist() for c in crystals],
        "cell": [c.cell.ravel().tolist() for c in crystals],
        "positions_frac": [c.scaled_positions.ravel().tolist() for c in crystals],
    }
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink)
    return bytes(sink.getvalue())


def forged_table(rng: np.random.Generator) -> bytes:
    """A sound Parquet file whose rows make no sense."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    row: dict[str, Any] = {
        "id": "x",
        "numbers": [11, 17],
        "cell": [0, 2.8, 2.8, 2.8, 0, 2.8, 2.8, 2.8, 0],
        "positions_frac": [0, 0, 0, 0.5, 0.5, 0.5],
    }
    for key in ("cell", "positions_frac"):
        row[key] = [float(x) for x in row[key]]
    odd: list[Any] = [None, [], [float("nan")] * 9, [1e308] * 9, [0.0] * 6, [-1.0] * 6, [1e9] * 9]
    for key in rng.choice(["numbers", "cell", "positions_frac"], 2):
        value = odd[int(rng.integers(len(odd)))]
        if key == "numbers":
            value = [[0, 17], [119, 1], [-5, 3], [11], [], None, [2**40, 1]][int(rng.integers(7))]
        row[str(key)] = value
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist([row]), sink)
    return bytes(sink.getvalue())


def inputs(
    kind: str, fuzz: Fuzz | Reading, n: int, seed: int
) -> Iterator[tuple[bytes, Callable[[], str]]]:
    """What is tried: its bytes, for the record, and the trial."""
    rng = np.random.default_rng(seed)
    if isinstance(fuzz, Reading):
        for _ in range(n):
            name, data = fuzz.seeds[int(rng.integers(len(fuzz.seeds)))]
            data = odd(data, rng) if rng.uniform() < 0.7 else damaged(data, rng)
            yield data, lambda name=name, data=data: fuzz.trial(name, data)
        return
    several = {
        "cif": texts("SrTiO3.cif", "NaCl.cif", "Si0.5Ge0.5.cif", "TiO2.cif"),
        "poscar": texts("Si.vasp", "GaAs.vasp", "Cu.vasp"),
        "extxyz": texts("several.extxyz"),
        "parquet": [("t.parquet", table())],
        "json": [("s.json", dumps(structure_dict()))],
        "weights": [("w", (fuzz.folder / "tiny.safetensors").read_bytes())],
    }
    spectrum = fuzz.predictor.spectra([Crystal.from_any(CRYSTALS / "TiO2.cif")])[0].to_dict()
    header = asdict(weights_module.read_header(fuzz.folder / "tiny.safetensors"))
    header = json.loads(json.dumps(header))
    for _ in range(n):
        if kind in ("cif", "poscar", "extxyz"):
            name, data = several[kind][int(rng.integers(len(several[kind])))]
            data = damaged(data, rng)
            yield data, lambda name=name, data=data: fuzz.file(name, data)
        elif kind == "json":
            if rng.uniform() < 0.5:
                data = damaged(several[kind][0][1], rng)
            else:
                data = dumps(damaged_json(structure_dict(), rng))
            yield data, lambda data=data: fuzz.file("s.json", data)
        elif kind == "parquet":
            sound = rng.uniform() < 0.5
            data = forged_table(rng) if sound else damaged(several[kind][0][1], rng)
            yield data, lambda data=data: fuzz.entries("t.parquet", data)
        elif kind == "weights":
            data = damaged(several[kind][0][1], rng)
            yield data, lambda data=data: fuzz.weights(data)
        elif kind == "forged":
            value = damaged_json(header, rng)
            yield dumps(value), lambda value=value: fuzz.forged(value)
        elif kind == "spectrum":
            value = damaged_json(spectrum, rng)
            yield dumps(value)[:2000], lambda value=value: fuzz.spectrum_json(value)
        else:
            raise SystemExit(f"unknown kind {kind}")


def run(kind: str, n: int, seed: int) -> dict[str, Any]:
    outcomes: Counter[str] = Counter()
    failures: list[dict[str, str]] = []
    slowest = 0.0
    with tempfile.TemporaryDirectory() as folder:
        reading = kind.startswith("read-")
        seconds = READ_SECONDS if reading else SECONDS
        fuzz = Reading(Path(folder), kind[5:]) if reading else Fuzz(Path(folder))
        here = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        if reading:
            limit_memory()
        for data, trial in inputs(kind, fuzz, n, seed):
            start = time.process_time()
            signal.alarm(10 * seconds)  # of the clock: the machine may be busy
            try:
                outcome = trial()
            except E3DOSError as error:
                outcome = type(error).__name__
            except BaseException as error:
                if isinstance(error, KeyboardInterrupt):
                    raise
                outcome = f"FAILURE {type(error).__name__}"
                failures.append(
                    {"error": repr(error)[:300], "input": base64.b64encode(data[:4000]).decode()}
                )
            finally:
                signal.alarm(0)
            used = time.process_time() - start
            if used > seconds:
                failures.append(
                    {"error": f"{used:.0f} s", "input": base64.b64encode(data[:4000]).decode()}
                )
            slowest = max(slowest, used)
            outcomes[outcome] += 1
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "kind": kind,
        "inputs": n,
        "outcomes": dict(outcomes.most_common()),
        "slowest_s": round(slowest, 2),
        "memory_over_start_MB": round((peak - here) / 1024),
        "failures": failures,
    }


def limit_memory() -> None:
    """Let nothing allocate more than READ_GIGABYTES beyond what the process has now."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + (READ_GIGABYTES << 30)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _ring(*_: Any) -> None:
    raise TooLongError("the input took too long")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    signal.signal(signal.SIGALRM, _ring)
    resource.setrlimit(resource.RLIMIT_AS, (GIGABYTES << 30, GIGABYTES << 30))
    given = [*sys.argv[2:], *("100", "0")[len(sys.argv) - 2 :]]
    sys.stdout.write(json.dumps(run(sys.argv[1], int(given[0]), int(given[1]))) + "\n")
