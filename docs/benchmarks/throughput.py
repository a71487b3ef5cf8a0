"""Throughput, latency and scaling against the published pipeline and against phonopy.

    python docs/benchmarks/throughput.py CRYSTALS.parquet -o docs/benchmarks

CRYSTALS is a Parquet file with numbers, cell and positions_frac. All pipelines get the same
crystals in the same run on one thread, in interleaved rounds. Every figure is there by wall time
and by processor time; on a machine that does other work the ratios of processor times are what
to quote, which stand there with their spread over the rounds. Writes throughput.json and
throughput.png; with --only PART ... it prints these parts alone.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import devices
import numpy as np
import scaling
import torch
from arithmetic import share_of_limit
from ase import Atoms
from ase.build import bulk
from clock import ROUNDS, best, spread, timed
from inputs import read_both
from reference_pipeline import PeriodicNetwork, build_data, join
from speed_trials import recorded

from ase_e3dos import predict
from ase_e3dos.network.graph import CrystalGraph
from ase_e3dos.prediction.pipeline import Predictor
from ase_e3dos.structures.crystal import Crystal
from ase_e3dos.structures.reading import read_ahead

#: What the ratios are taken to: the published pipeline, one crystal at a time as in its notebook,
#: and in batches, which it does not do itself.
REFERENCE = "reference, one at a time"
REFERENCE_BATCHES = "reference, batches of 16"

#: Keys of the two sets of ratios.
OVER_SINGLE = "ratio_to_reference_one_at_a_time"
LIKE_FOR_LIKE = "ratio_like_for_like"


def pipelines(atoms: list[Atoms]) -> dict[str, Callable[[], Any]]:
    """End to end: Atoms in, spectra out, by what users call."""
    reference = PeriodicNetwork().eval()

    def reference_single() -> None:
        with torch.inference_mode():
            for a in atoms:
                reference(build_data(a))

    def reference_batches() -> None:
        with torch.inference_mode():
            for k in range(0, len(atoms), 16):
                reference(join([build_data(a) for a in atoms[k : k + 16]]))

    def single(model: str, error_bars: bool) -> None:
        for a in atoms:
            predict(a, model, "cpu", error_bars)

    tasks = {REFERENCE: reference_single, REFERENCE_BATCHES: reference_batches}
    for model, error_bars in (
        ("paper", False), ("paper", True), ("default", True), ("combined", True),
    ):  # fmt: skip
        # Only of `paper` are error bars further networks, which can be left out, if it has them.
        if model == "paper" and error_bars and Predictor(model, "cpu").model.header.members == 1:
            continue
        label = f"{model}, {'both' if error_bars else 'one'}" if model == "paper" else model
        tasks[f"{label}, one at a time"] = lambda m=model, e=error_bars: single(m, e)
        tasks[f"{label}, lists"] = lambda m=model, e=error_bars: predict(atoms, m, "cpu", e)
    return tasks


def stages(atoms: list[Atoms], table: Any, model: str) -> dict[str, float]:
    """Microseconds of processor time a crystal in each stage; the results are the remainder."""
    predictor = Predictor(model, "cpu")
    size = predictor.batcher.usual_crystals

    def graphs_of(crystals: list[Crystal]) -> list[list[CrystalGraph]]:
        items = ((None, crystal) for crystal in crystals)
        groups = predictor.batcher.grouped(items)
        return [[g for _, g in group if isinstance(g, CrystalGraph)] for group in groups]

    crystals = [r.crystal for r in read_ahead(atoms, size)]
    groups = graphs_of(crystals)
    joined = [predictor.collated(g) for g in groups]
    times = best(
        {
            "reading": lambda: list(read_ahead(atoms, size)),
            "reading a table": lambda: list(read_ahead(table, size)),
            "graphs": lambda: graphs_of(crystals),
            "batches": lambda: [predictor.collated(g) for g in groups],
            "network": lambda: [predictor.model.start(b) for b in joined],
            "all": lambda: predict(atoms, model, "cpu"),
        },
        rounds=5,
    )
    cpu = {k: 1e6 * v["cpu"] / len(atoms) for k, v in times.items()}
    stages = ("reading", "graphs", "batches", "network")
    cpu["results and rest"] = cpu["all"] - sum(cpu[k] for k in stages)
    cpu["host"] = cpu["all"] - cpu["network"]
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


def one_crystal() -> dict[str, dict[str, float]]:
    """Rock salt alone: where the time of one prediction goes, and what it cannot fall below.

    Microseconds of processor time, each the median of the rounds. `recorded` is the network with
    no Python between its operations, for this crystal alone; `weights` reads each of its weights
    once.
    """
    predictor = Predictor("default", "cpu")
    network = predictor.model.members[0]
    salt = bulk("NaCl", "rocksalt", a=5.64)
    batch = predictor.collated([predictor.graph(Crystal.quietly(salt))])
    reference, graph = PeriodicNetwork().eval(), build_data(salt)
    weights = list(network.parameters())
    tasks: dict[str, Callable[[], Any]] = {
        "default": lambda: predict(salt, "default", "cpu"),
        "default, network": lambda: predictor.model.start(batch),
        "default, network, recorded": recorded(predictor, [batch]),
        "default, weights": lambda: [w.sum() for w in weights],
        "reference": lambda: reference(build_data(salt)),
        "reference, network": lambda: reference(graph),
    }
    with torch.inference_mode():
        rounds = timed(tasks, rounds=100)
    found = {name: 1e6 * statistics.median(r["cpu"] for r in rounds[name]) for name in tasks}
    return {"cpu_us": found}


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


def measure(path: Path, n: int, only: list[str]) -> dict[str, Any]:
    """The parts of the benchmark; says on the error stream which one is at work."""
    atoms, table = read_both(path, n)
    crystals = [Crystal.from_any(a) for a in atoms]
    parts: dict[str, Callable[[], Any]] = {
        "seconds": lambda: timed(pipelines(atoms), rounds=5),
        "stages_cpu_us": lambda: {m: stages(atoms, table, m) for m in ("paper", "default")},
        "arithmetic": lambda: {
            m: share_of_limit(Predictor(m, "cpu"), crystals) for m in ("paper", "default")
        },
        "latency_s": latency,
        "one_crystal": one_crystal,
        "cell_size": lambda: scaling.cell_sizes("default"),
        "batch_size": lambda: scaling.batch_sizes("paper", crystals),
        "threads": lambda: scaling.threads("default", crystals),
        "two_processes_over_one": lambda: scaling.processes(1000),
        "peak_memory_MiB": lambda: scaling.memory(300),
        "kept_kB_per_crystal": lambda: scaling.kept(atoms),
        "phonopy_emt_s": phonopy_seconds,
        "cuda": lambda: devices.compared(atoms),
    }
    load = os.getloadavg()[0]
    found = {}
    for name, part in parts.items():
        if only and name not in only:
            continue
        start = time.perf_counter()
        found[name] = part()
        print(f"{name}: {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
    about = {
        "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, "
        f"torch {torch.__version__}, one thread",
        "load_average": load,
        "crystals": len(atoms),
        "sites_mean": float(np.mean([len(a) for a in atoms])),
    }
    if "seconds" in found:
        seconds = found.pop("seconds")
        about["structures_per_second"] = {
            name: {clock: len(atoms) / min(r[clock] for r in rounds) for clock in ("wall", "cpu")}
            for name, rounds in seconds.items()
        }
        about |= ratios(seconds)
    if "cell_size" in found:
        about["cell_size_fit"] = scaling.linear_fit(found["cell_size"])
    return {**about, **found}


def ratios(seconds: dict[str, list[dict[str, float]]]) -> dict[str, dict[str, Any]]:
    """Over the reference one at a time, and over it in the same way of working; with spreads."""
    found: dict[str, dict[str, Any]] = {OVER_SINGLE: {}, LIKE_FOR_LIKE: {}}
    for name, rounds in seconds.items():
        alike = REFERENCE if name.endswith("one at a time") else REFERENCE_BATCHES
        for kind, reference in ((OVER_SINGLE, REFERENCE), (LIKE_FOR_LIKE, alike)):
            found[kind][name] = spread(seconds[reference], rounds)
    return found


def report(result: dict[str, Any]) -> None:
    """Print rates and ratios, then everything else as it is."""
    rates = result.get("structures_per_second", {})
    if rates:
        width = max(map(len, rates))
        print(f"{'':{width}s} structures a second    x reference, processor time (least to most)")
        print(f"{'':{width}s}     wall      cpu         one at a time         like for like")
    for name, rate in rates.items():
        single, alike = (
            "{cpu:.1f} ({least:.1f} to {most:.1f})".format(**result[kind][name])
            for kind in (OVER_SINGLE, LIKE_FOR_LIKE)
        )
        print(f"{name:{width}s} {rate['wall']:8.1f} {rate['cpu']:8.1f} {single:>21s} {alike:>21s}")
    for key, value in result.items():
        if key not in ("structures_per_second", OVER_SINGLE, LIKE_FOR_LIKE):
            print(f"{key}: {json.dumps(value)}")


def main() -> None:
    """Run everything, print ratios, write throughput.json and the figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("crystals", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=Path("docs/benchmarks"))
    parser.add_argument("-n", type=int, default=96, help="crystals (96 if not given)")
    parser.add_argument(
        "--only", nargs="*", default=[], help="parts such as seconds or latency_s; writes no files"
    )
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    result = measure(options.crystals, options.n, options.only)
    report(result)
    if options.only:
        return
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "throughput.json").write_text(json.dumps(result, indent=1) + "\n")
    from throughput_figure import draw

    draw(result, options.output / "throughput.png")


if __name__ == "__main__":
    main()
