"""How the time of a prediction scales: cell size, batch size, threads, processes, memory."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from collections.abc import Sequence

import numpy as np
import torch
from ase import Atoms
from ase.build import bulk
from clock import best

from ase_e3dos.prediction import batcher
from ase_e3dos.prediction.pipeline import Predictor
from ase_e3dos.structures.crystal import Crystal

_CHILD = """
import json, sys, time, warnings
from pathlib import Path
warnings.simplefilter("ignore")
import torch
torch.set_num_threads(1)
from ase.build import bulk
from ase_e3dos.structures.crystal import Crystal
from ase_e3dos.prediction.pipeline import Predictor
predictor = Predictor(sys.argv[1], "cpu")
lattice = [4 + k / 2000 for k in range(int(sys.argv[2]))]
crystals = (Crystal.from_any(bulk("NaCl", "rocksalt", a=a).repeat((2, 1, 1))) for a in lattice)
for _ in predictor.stream([Crystal.from_any(bulk("NaCl", "rocksalt", a=5.6))] * 20):
    pass
print("ready", flush=True)
input()
wall, cpu = time.perf_counter(), time.process_time()
for _ in predictor.stream(crystals):
    pass
wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
# Not ru_maxrss, in which Linux counts the parent's memory before the new program starts.
status = Path("/proc/self/status")
lines = status.read_text().splitlines() if status.exists() else []
peak = next((int(l.split()[1]) / 1024 for l in lines if l.startswith("VmHWM")), None)
print(json.dumps({
    "wall": wall,
    "cpu": cpu,
    "peak_MiB": peak,
}))
"""


def together(n_processes: int, model: str, n_crystals: int) -> list[dict[str, float]]:
    """Fresh processes that predict at the same time; wall and processor time, peak memory.

    The peak is None where there is no /proc.
    """
    command = [sys.executable, "-c", _CHILD, model, str(n_crystals)]
    children = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(n_processes)
    ]
    for child in children:
        assert child.stdout is not None
        child.stdout.readline()  # all are ready before the first begins
    for child in children:
        assert child.stdin is not None
        child.stdin.write("\n")
        child.stdin.flush()
    return [json.loads(child.communicate()[0]) for child in children]


def processes(n_crystals: int, rounds: int = 2) -> dict[str, float]:
    """Throughput of two processes over that of one, by wall time and as the cores allow.

    `cpu` compares processor time for one crystal: what two processes cost each other in caches
    and memory, whatever else the cores do.
    """
    one = [together(1, "paper", n_crystals)[0] for _ in range(rounds)]
    two = [together(2, "paper", n_crystals) for _ in range(rounds)]
    return {
        clock: 2 * min(o[clock] for o in one) / min(max(c[clock] for c in t) for t in two)
        for clock in ("wall", "cpu")
    }


def memory(n_crystals: int) -> dict[str, dict[str, float]]:
    """Peak memory (MiB) of a process after few and after ten times as many crystals."""
    counts = (n_crystals, 10 * n_crystals)
    return {
        model: {str(n): together(1, model, n)[0]["peak_MiB"] for n in counts}
        for model in ("paper", "default")
    }


_KEEPER = """
import json, pickle, sys, warnings
from pathlib import Path
warnings.simplefilter("ignore")
import torch
torch.set_num_threads(1)
from ase_e3dos import predict, predict_iter
def memory():  # resident, kB
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(l.split()[1]) for l in lines if l.startswith("VmRSS"))
atoms = pickle.loads(sys.stdin.buffer.read())
n = int(sys.argv[1])
several = lambda: (atoms[k % len(atoms)] for k in range(n))
predict(atoms[:64], device="cpu")
for _ in predict_iter(atoms, device="cpu"):
    pass
found = {}
before = memory()
kept = predict(several(), device="cpu")
found["as predicted"] = (memory() - before) / n
for s in kept:
    s.density
found["with densities"] = (memory() - before) / n
for s in kept:
    s.site_density, s.members
found["with densities of sites and members"] = (memory() - before) / n
print(json.dumps(found))
"""


def kept(atoms: list[Atoms], n: int = 2000) -> dict[str, float | int]:
    """Memory in kB for each spectrum that `predict` returns, of n crystals in a fresh process."""
    command = [sys.executable, "-c", _KEEPER, str(n)]
    done = subprocess.run(command, input=pickle.dumps(atoms), capture_output=True, check=True)
    return {"crystals": n, **json.loads(done.stdout)}


def cell_sizes(model: str) -> list[dict[str, float]]:
    """Time against sites: rock-salt supercells from 2 to 500 sites, one crystal at a time."""
    predictor = Predictor(model, "cpu")
    rows = []
    for repeat in (1, (2, 1, 1), 2, 3, 4, 5, 6, (6, 6, 7)):
        atoms = bulk("NaCl", "rocksalt", a=5.64).repeat(repeat)
        crystal = Crystal.from_any(atoms)
        graph = predictor.graph(crystal)
        seconds = best({"run": lambda c=crystal: predictor.spectra([c], False)})["run"]
        ms = {clock: 1e3 * s for clock, s in seconds.items()}
        rows.append({"sites": len(atoms), "edges": graph.n_edges, **ms})  # type: ignore[union-attr]
    return rows


def batch_sizes(model: str, crystals: Sequence[Crystal]) -> list[dict[str, float]]:
    """Microseconds a crystal against the edges that a batch may have."""
    predictor = Predictor(model, "cpu")
    usual = batcher.EDGE_BUDGET["cpu"]
    rows = []
    for budget in (1, 1_000, 4_000, 16_000, 24_000, 64_000):
        batcher.EDGE_BUDGET["cpu"] = budget
        try:
            task = {"run": lambda: list(predictor.stream(crystals, False))}
            seconds = best(task, rounds=2)["run"]
        finally:
            batcher.EDGE_BUDGET["cpu"] = usual
        rows.append({"edges": budget, **{k: 1e6 * s / len(crystals) for k, s in seconds.items()}})
    return rows


def threads(model: str, crystals: Sequence[Crystal]) -> list[dict[str, float]]:
    """Structures a second by wall time against the threads of PyTorch."""
    predictor = Predictor(model, "cpu")
    rows = []
    for n in (1, 2):
        torch.set_num_threads(n)
        seconds = best({"run": lambda: list(predictor.stream(crystals, False))}, rounds=2)["run"]
        rows.append({"threads": n, "per_second": len(crystals) / seconds["wall"]})
    torch.set_num_threads(1)
    return rows


def linear_fit(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    """Time of one crystal as a constant and a part proportional to its edges.

    Fitted to relative deviations, of which the largest is given. The exponent is that of a power
    of the edges, fitted to the cells with at least a third of the largest number of edges.
    """
    edges, ms = (np.array([r[k] for r in rows]) for k in ("edges", "cpu"))
    design = np.stack([1.0 / ms, edges / ms], axis=1)
    fixed, slope = np.linalg.lstsq(design, np.ones(len(ms)), rcond=None)[0]
    large = edges >= edges.max() / 3
    return {
        "fixed_ms": float(fixed),
        "us_per_edge": float(1e3 * slope),
        "largest_deviation": float(np.abs(design @ (fixed, slope) - 1.0).max()),
        "exponent_of_the_largest": float(np.polyfit(np.log(edges[large]), np.log(ms[large]), 1)[0]),
    }
