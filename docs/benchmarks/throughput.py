"""Throughput, latency and scaling against the published pipeline and against phonopy.

    python docs/benchmarks/throughput.py CRYSTALS.parquet --out docs/benchmarks

CRYSTALS is a Parquet file with numbers, cell and positions_frac. All pipelines get the same
crystals in the same run on one thread; each figure is the best of a few interleaved rounds, so
that a busy machine disturbs all of them alike. Ratios are what to quote.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.build import bulk
from reference_pipeline import PeriodicNetwork, build_data, join

from ase_e3dos.crystal import Crystal
from ase_e3dos.graph import build_graph, collate
from ase_e3dos.predictor import Predictor

ROUNDS = 3


def read(path: Path, n: int) -> list[Atoms]:
    """The first n crystals of a Parquet file as ASE Atoms."""
    import pyarrow.parquet as pq

    columns = ["numbers", "cell", "positions_frac"]
    rows = pq.read_table(path, columns=columns).slice(0, n).to_pydict()
    return [
        Atoms(
            numbers,
            cell=np.reshape(cell, (3, 3)),
            pbc=True,
            scaled_positions=np.reshape(positions, (-1, 3)),
        )
        for numbers, cell, positions in zip(*(rows[c] for c in columns), strict=True)
    ]


def best(tasks: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """Shortest time of each task in seconds, rounds interleaved."""
    times: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(ROUNDS):
        for name, task in tasks.items():
            start = time.perf_counter()
            task()
            times[name].append(time.perf_counter() - start)
    return {name: min(t) for name, t in times.items()}


def pipelines(atoms: list[Atoms]) -> dict[str, Callable[[], Any]]:
    """End to end: Atoms in, spectra out."""
    reference = PeriodicNetwork().eval()
    predictors = {name: Predictor(name, "cpu") for name in ("paper", "default")}

    def reference_single() -> None:
        with torch.inference_mode():
            for a in atoms:
                reference(build_data(a))

    def reference_batches() -> None:
        with torch.inference_mode():
            for k in range(0, len(atoms), 16):
                reference(join([build_data(a) for a in atoms[k : k + 16]]))

    def single(name: str, uncertainty: bool) -> Callable[[], None]:
        def run() -> None:
            for a in atoms:
                predictors[name].spectra([Crystal.from_any(a)], uncertainty)

        return run

    def batches(name: str, uncertainty: bool) -> Callable[[], None]:
        def run() -> None:
            for _ in predictors[name].stream(map(Crystal.from_any, atoms), uncertainty):
                pass

        return run

    return {
        "reference, one at a time": reference_single,
        "reference, batches of 16": reference_batches,
        "paper, one at a time": single("paper", False),
        "paper, batches": batches("paper", False),
        "default, one network, one at a time": single("default", False),
        "default, one network, batches": batches("default", False),
        "default, with uncertainty, one at a time": single("default", True),
        "default, with uncertainty, batches": batches("default", True),
    }


def stages(atoms: list[Atoms], model: str, uncertainty: bool) -> dict[str, float]:
    """Microseconds a crystal in each stage."""
    predictor = Predictor(model, "cpu")
    crystals = [Crystal.from_any(a) for a in atoms]
    self_edges = predictor.model.self_edges
    graphs = [build_graph(c, predictor.model.cutoff, self_edges=self_edges) for c in crystals]
    groups = [graphs[k : k + 32] for k in range(0, len(graphs), 32)]
    encoder = predictor.encoder_of(crystals[0])
    joined = [collate(g, np.concatenate([encoder.encode(x.crystal) for x in g])) for g in groups]
    names = [[g.crystal.name for g in group] for group in groups]
    evaluate = predictor.model.evaluate
    times = best(
        {
            "reading": lambda: [Crystal.from_any(a) for a in atoms],
            "graphs": lambda: [
                build_graph(c, predictor.model.cutoff, self_edges=self_edges) for c in crystals
            ],
            "network": lambda: [
                evaluate(b, n, uncertainty) for b, n in zip(joined, names, strict=True)
            ],
            "all": lambda: list(predictor.stream(map(Crystal.from_any, atoms), uncertainty)),
        }
    )
    times["results"] = times["all"] - sum(times[k] for k in ("reading", "graphs", "network"))
    return {k: 1e6 * v / len(atoms) for k, v in times.items()}


def latency() -> dict[str, float]:
    """Seconds until the first spectrum in a fresh process, and for one more crystal."""
    code = (
        "import time; t = time.perf_counter()\n"
        "from ase.build import bulk; from ase_e3dos import predict\n"
        "predict([bulk('NaCl', 'rocksalt', a=5.64)]); first = time.perf_counter() - t\n"
        "more = []\n"
        "for a in (5.6, 5.61, 5.62, 5.63, 5.65):\n"
        "    t = time.perf_counter(); predict([bulk('NaCl', 'rocksalt', a=a)])\n"
        "    more.append(time.perf_counter() - t)\n"
        "print(first, min(more))"
    )
    runs = []
    for _ in range(ROUNDS):
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True
        )
        runs.append([float(x) for x in done.stdout.split()])
    first, more = np.min(runs, axis=0)
    return {"first_s": float(first), "one_more_s": float(more)}


def scaling(model: str) -> list[dict[str, float]]:
    """Time against cell size: rock-salt supercells from 2 to 500 sites and more."""
    predictor = Predictor(model, "cpu")
    cell = bulk("NaCl", "rocksalt", a=5.64)
    rows = []
    for repeat in (1, 2, 3, 4, 5, 6, 7):
        atoms = cell.repeat(repeat) if repeat < 7 else cell.repeat((6, 6, 7))
        crystal = Crystal.from_any(atoms)
        seconds = best({"run": lambda c=crystal: predictor.spectra([c], False)})["run"]
        rows.append({"sites": float(len(atoms)), "ms": 1e3 * seconds})
    return rows


def two_processes(atoms: list[Atoms]) -> float:
    """Throughput of two processes at once over that of one."""
    code = (
        "import sys, time, warnings; warnings.simplefilter('ignore'); import torch\n"
        "torch.set_num_threads(1)\n"
        "from ase.build import bulk; from ase_e3dos.crystal import Crystal\n"
        "from ase_e3dos.predictor import Predictor\n"
        "p = Predictor('paper', 'cpu')\n"
        "c = [Crystal.from_any(bulk('NaCl', 'rocksalt', a=5 + k / 1000)) for k in range(2000)]\n"
        "list(p.stream(c[:50])); input(); t = time.perf_counter(); list(p.stream(c))\n"
        "print(time.perf_counter() - t)"
    )

    def run(n: int) -> float:
        children = [
            subprocess.Popen(
                [sys.executable, "-c", code],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(n)
        ]
        time.sleep(12)  # until all have loaded their weights and wait for the start
        for child in children:
            assert child.stdin is not None
            child.stdin.write("\n")
            child.stdin.flush()
        return max(float(child.communicate()[0]) for child in children)

    return 2 * min(run(1) for _ in range(2)) / min(run(2) for _ in range(2))


def phonopy_seconds() -> dict[str, float]:
    """Finite displacements with EMT, as cheap a calculator as there is, for its metals."""
    from ase.calculators.emt import EMT
    from phonopy import Phonopy
    from phonopy.structure.atoms import PhonopyAtoms

    out = {}
    for symbol in ("Cu", "Al", "Ag"):
        atoms = bulk(symbol)
        start = time.perf_counter()
        cell = PhonopyAtoms(
            symbols=atoms.get_chemical_symbols(),
            cell=atoms.cell,
            scaled_positions=atoms.get_scaled_positions(),
        )
        phonon = Phonopy(cell, supercell_matrix=np.diag([4, 4, 4]), primitive_matrix=np.eye(3))
        phonon.generate_displacements(distance=0.03)
        forces = []
        for supercell in phonon.supercells_with_displacements:
            moved = Atoms(
                supercell.symbols,
                cell=supercell.cell,
                pbc=True,
                scaled_positions=supercell.scaled_positions,
                calculator=EMT(),
            )
            forces.append(moved.get_forces())
        phonon.forces = forces
        phonon.produce_force_constants()
        phonon.run_mesh(20)
        phonon.run_total_dos()
        out[symbol] = time.perf_counter() - start
    return out


def main() -> None:
    """Run everything, print ratios, write throughput.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("crystals", type=Path)
    parser.add_argument("--out", type=Path, default=Path("docs/benchmarks"))
    parser.add_argument("-n", type=int, default=256)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    atoms = read(options.crystals, options.n)
    tasks = pipelines(atoms)
    for task in tasks.values():
        task()
    seconds = best(tasks)
    rates = {name: len(atoms) / s for name, s in seconds.items()}
    result: dict[str, Any] = {
        "machine": f"{platform.processor() or platform.machine()}, torch {torch.__version__}, "
        "one thread",
        "crystals": len(atoms),
        "sites_mean": float(np.mean([len(a) for a in atoms])),
        "structures_per_second": rates,
        "ratio_to_reference": {
            name: rate
            / rates["reference, one at a time" if "one at" in name else "reference, batches of 16"]
            for name, rate in rates.items()
        },
        "stages_us": {
            "paper": stages(atoms, "paper", False),
            "default, one network": stages(atoms, "default", False),
            "default, with uncertainty": stages(atoms, "default", True),
        },
        "latency": latency(),
        "cell_size": scaling("default"),
        "two_processes_over_one": two_processes(atoms),
        "phonopy_emt_s": phonopy_seconds(),
        "peak_memory_MiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "cuda": "measured" if torch.cuda.is_available() else "not measured: no device here",
    }
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "throughput.json").write_text(json.dumps(result, indent=1) + "\n")
    width = max(map(len, rates))
    for name, rate in rates.items():
        ratio = result["ratio_to_reference"][name]
        print(f"{name:{width}s} {rate:8.1f} structures/s   {ratio:6.1f} x reference")
    for key in (
        "stages_us",
        "latency",
        "cell_size",
        "two_processes_over_one",
        "phonopy_emt_s",
        "peak_memory_MiB",
        "cuda",
    ):
        print(f"{key}: {result[key]}")


if __name__ == "__main__":
    main()
