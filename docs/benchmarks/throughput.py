"""Throughput, latency and scaling against the published pipeline and against phonopy.

    python docs/benchmarks/throughput.py CRYSTALS.parquet -o docs/benchmarks

CRYSTALS is a Parquet file with numbers, cell and positions_frac. All pipelines get the same
crystals in the same run on one thread, in interleaved rounds. Every figure is there by wall time
and by processor time; on a machine that does other work the ratios of processor times are what
to quote. Writes throughput.json and throughput.png.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scaling
import torch
from arithmetic import share_of_limit
from ase import Atoms
from ase.build import bulk
from clock import ROUNDS, best
from reference_pipeline import PeriodicNetwork, build_data, join

from ase_e3dos.prediction.pipeline import Predictor
from ase_e3dos.structures.crystal import Crystal

#: What the ratios are taken to: the published pipeline, one crystal at a time as in its notebook,
#: and in batches, which it does not do itself.
REFERENCE = "reference, one at a time"
REFERENCE_BATCHES = "reference, batches of 16"

#: Keys of the two sets of ratios.
OVER_SINGLE = "ratio_to_reference_one_at_a_time"
LIKE_FOR_LIKE = "ratio_like_for_like"


def read_both(path: Path, n: int) -> tuple[list[Atoms], Any]:
    """n crystals of a Parquet file, evenly spaced over all of it: as ASE Atoms and as a table."""
    import pyarrow.parquet as pq

    columns = ["numbers", "cell", "positions_frac"]
    table = pq.read_table(path, columns=columns)
    n = min(n, table.num_rows)
    picked = table.take(np.arange(n) * table.num_rows // max(n, 1)).combine_chunks()
    rows = picked.to_pydict()
    atoms = [
        Atoms(
            numbers,
            cell=np.reshape(cell, (3, 3)),
            pbc=True,
            scaled_positions=np.reshape(positions, (-1, 3)),
        )
        for numbers, cell, positions in zip(*(rows[c] for c in columns), strict=True)
    ]
    return atoms, picked


def read(path: Path, n: int) -> list[Atoms]:
    """n crystals of a Parquet file, evenly spaced over all of it, as ASE Atoms."""
    return read_both(path, n)[0]


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

    tasks = {REFERENCE: reference_single, REFERENCE_BATCHES: reference_batches}
    for name, predictor in predictors.items():
        for uncertainty in (False, True):
            label = f"{name}, {'all networks' if uncertainty else 'one network'}"
            tasks[f"{label}, one at a time"] = lambda p=predictor, u=uncertainty: [
                p.spectra([Crystal.from_any(a)], u) for a in atoms
            ]
            tasks[f"{label}, batches"] = lambda p=predictor, u=uncertainty: list(
                p.stream(map(Crystal.from_any, atoms), u)
            )
    return tasks


def stages(atoms: list[Atoms], model: str, uncertainty: bool) -> dict[str, float]:
    """Microseconds of processor time a crystal in each stage; the results are the remainder."""
    predictor = Predictor(model, "cpu")
    crystals = [Crystal.from_any(a) for a in atoms]
    graphs: list[Any] = [predictor.graph(c) for c in crystals]
    groups = [graphs[k : k + 64] for k in range(0, len(graphs), 64)]
    joined = [predictor.collated(g) for g in groups]
    names = [[g.crystal.name for g in group] for group in groups]
    evaluate = predictor.model.densities
    times = best(
        {
            "reading": lambda: [Crystal.from_any(a) for a in atoms],
            "graphs": lambda: [predictor.graph(c) for c in crystals],
            "batches": lambda: [predictor.collated(g) for g in groups],
            "network": lambda: [
                evaluate(b, n, uncertainty) for b, n in zip(joined, names, strict=True)
            ],
            "all": lambda: list(predictor.stream(map(Crystal.from_any, atoms), uncertainty)),
        }
    )
    cpu = {k: 1e6 * v["cpu"] / len(atoms) for k, v in times.items()}
    cpu["results and rest"] = cpu["all"] - sum(v for k, v in cpu.items() if k != "all")
    return cpu


def latency() -> dict[str, dict[str, float]]:
    """Seconds until the first spectrum in a fresh process, and for one more crystal.

    Of the first, the shortest of some processes; of one more, the median of twenty in each
    process and of the processes.
    """
    code = (
        "import json, statistics, time, warnings; warnings.simplefilter('ignore')\n"
        "def now(): return time.perf_counter(), time.process_time()\n"
        "a = now()\n"
        "from ase.build import bulk; import torch; b = now()\n"
        "from ase_e3dos import predict\n"
        "predict([bulk('NaCl', 'rocksalt', a=5.64)]); c = now(); more = []\n"
        "for x in range(20):\n"
        "    d = now(); predict([bulk('NaCl', 'rocksalt', a=5.6 + x / 1000)]); e = now()\n"
        "    more.append([e[0] - d[0], e[1] - d[1]])\n"
        "print(json.dumps([[b[i] - a[i] for i in (0, 1)], [c[i] - a[i] for i in (0, 1)],\n"
        "    [statistics.median(m[i] for m in more) for i in (0, 1)]]))"
    )
    runs = []
    for _ in range(ROUNDS):
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        runs.append(json.loads(done.stdout))
    names = ("imports of torch and ase alone", "first prediction", "one more crystal")
    seconds = [*np.min(runs, axis=0)[:2].tolist(), np.median(runs, axis=0)[2].tolist()]
    return {
        n: dict(zip(("wall", "cpu"), s, strict=True)) for n, s in zip(names, seconds, strict=True)
    }


def phonopy_seconds() -> dict[str, dict[str, dict[str, float]]]:
    """Finite displacements with EMT, as cheap a calculator as there is, for its metals.

    Seconds of each metal by phonopy and by this package, one crystal at a time, and their ratio.
    """
    from ase.calculators.emt import EMT
    from phonopy import Phonopy
    from phonopy.structure.atoms import PhonopyAtoms

    def displacements(atoms: Atoms) -> None:
        cell = PhonopyAtoms(
            symbols=atoms.get_chemical_symbols(),
            cell=atoms.cell,
            scaled_positions=atoms.get_scaled_positions(),
        )
        phonon = Phonopy(cell, supercell_matrix=np.diag([4, 4, 4]), primitive_matrix=np.eye(3))
        phonon.generate_displacements(distance=0.03)
        phonon.forces = [
            Atoms(
                supercell.symbols,
                cell=supercell.cell,
                pbc=True,
                scaled_positions=supercell.scaled_positions,
                calculator=EMT(),
            ).get_forces()
            for supercell in phonon.supercells_with_displacements
        ]
        phonon.produce_force_constants()
        phonon.run_mesh(20)
        phonon.run_total_dos()

    predictor = Predictor("default", "cpu")
    tasks: dict[str, Callable[[], Any]] = {}
    symbols = ("Cu", "Al", "Ag", "Au", "Ni", "Pd", "Pt")
    for symbol in symbols:
        atoms = bulk(symbol)
        tasks[f"{symbol}, phonopy"] = lambda a=atoms: displacements(a)
        tasks[f"{symbol}, default"] = lambda a=atoms: predictor.spectra([Crystal.from_any(a)])
    times = best(tasks, rounds=2)
    found = {}
    for symbol in symbols:
        slow, fast = times[f"{symbol}, phonopy"], times[f"{symbol}, default"]
        ratio = {clock: slow[clock] / fast[clock] for clock in slow}
        found[symbol] = {"phonopy": slow, "default": fast, "phonopy over default": ratio}
    return found


def cuda(atoms: list[Atoms]) -> Any:
    """Structures a second on the first GPU, and the largest difference from the CPU."""
    if not torch.cuda.is_available():
        return "not measured: no CUDA device here"
    many = [Crystal.from_any(a) for a in atoms] * max(1, 20_000 // len(atoms))
    found: dict[str, Any] = {"device": torch.cuda.get_device_name()}
    for model in ("paper", "default"):
        on_gpu, on_cpu = Predictor(model, "cuda"), Predictor(model, "cpu")
        some = many[: len(atoms)]
        pairs = zip(on_gpu.spectra(some, False), on_cpu.spectra(some, False), strict=True)
        difference = max(
            float(np.abs(g.density - c.density).max() / c.density.max()) for g, c in pairs
        )
        start = time.perf_counter()
        for _ in on_gpu.stream(many, False):
            pass
        rate = len(many) / (time.perf_counter() - start)
        found[model] = {"per_second": rate, "largest_difference_from_cpu": difference}
    return found


def measure(atoms: list[Atoms]) -> dict[str, Any]:
    """All parts of the benchmark; says on the error stream which one is at work."""
    crystals = [Crystal.from_any(a) for a in atoms]
    parts: dict[str, Callable[[], Any]] = {
        "seconds": lambda: best(pipelines(atoms)),
        "stages_cpu_us": lambda: {
            "paper, one network": stages(atoms, "paper", False),
            "default, one network": stages(atoms, "default", False),
            "default, all networks": stages(atoms, "default", True),
        },
        "arithmetic": lambda: {
            m: share_of_limit(Predictor(m, "cpu"), crystals) for m in ("paper", "default")
        },
        "latency_s": latency,
        "cell_size": lambda: scaling.cell_sizes("default"),
        "batch_size": lambda: scaling.batch_sizes("paper", crystals),
        "threads": lambda: scaling.threads("default", crystals),
        "two_processes_over_one": lambda: scaling.processes(1000),
        "peak_memory_MiB": lambda: scaling.memory(300),
        "phonopy_emt_s": phonopy_seconds,
        "cuda": lambda: cuda(atoms),
    }
    load = os.getloadavg()[0]
    found = {}
    for name, part in parts.items():
        start = time.perf_counter()
        found[name] = part()
        print(f"{name}: {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
    rates = {
        name: {clock: len(atoms) / s for clock, s in times.items()}
        for name, times in found.pop("seconds").items()
    }
    for model, row in found["arithmetic"].items():
        reached = rates[f"{model}, one network, batches"]["cpu"]
        row["end_to_end_crystals_per_second"] = reached
        row["end_to_end_share"] = reached / row["limit_crystals_per_second"]
    return {
        "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, "
        f"torch {torch.__version__}, one thread",
        "load_average": load,
        "crystals": len(atoms),
        "sites_mean": float(np.mean([len(a) for a in atoms])),
        "structures_per_second": rates,
        **ratios(rates),
        "cell_size_fit": scaling.linear_fit(found["cell_size"]),
        **found,
    }


def ratios(rates: dict[str, dict[str, float]]) -> dict[str, dict[str, dict[str, float]]]:
    """Of all rates, over the reference one at a time, and over it in the same way of working."""
    found: dict[str, dict[str, dict[str, float]]] = {OVER_SINGLE: {}, LIKE_FOR_LIKE: {}}
    for name, rate in rates.items():
        alike = REFERENCE if name.endswith("one at a time") else REFERENCE_BATCHES
        for kind, reference in ((OVER_SINGLE, REFERENCE), (LIKE_FOR_LIKE, alike)):
            found[kind][name] = {clock: rate[clock] / rates[reference][clock] for clock in rate}
    return found


def report(result: dict[str, Any]) -> None:
    """Print rates and ratios, then everything else as it is."""
    rates = result["structures_per_second"]
    width = max(map(len, rates))
    print(f"{'':{width}s} structures a second    x reference (cpu)")
    print(f"{'':{width}s}     wall      cpu   one at a time  like for like")
    for name, rate in rates.items():
        single, alike = (result[kind][name]["cpu"] for kind in (OVER_SINGLE, LIKE_FOR_LIKE))
        print(
            f"{name:{width}s} {rate['wall']:8.1f} {rate['cpu']:8.1f} {single:15.1f} {alike:14.1f}"
        )
    for key, value in result.items():
        if key not in ("structures_per_second", OVER_SINGLE, LIKE_FOR_LIKE):
            print(f"{key}: {json.dumps(value)}")


def main() -> None:
    """Run everything, print ratios, write throughput.json and the figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("crystals", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=Path("docs/benchmarks"))
    parser.add_argument("-n", type=int, default=96, help="crystals (96 if not given)")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    result = measure(read(options.crystals, options.n))
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "throughput.json").write_text(json.dumps(result, indent=1) + "\n")
    report(result)
    from throughput_figure import draw

    draw(result, options.output / "throughput.png")


if __name__ == "__main__":
    main()
