"""Processor time of two checkouts of this repository, in alternation.

    python docs/benchmarks/paired.py BEFORE AFTER CRYSTALS.parquet

BEFORE and AFTER are folders with a checkout each (`git worktree add ../before COMMIT`). A process
for each holds the same crystals and does the same task in turn, so that what else the machine
does disturbs both alike. Printed are medians in microseconds of processor time a crystal, and the
median of the ratios of all rounds with the smallest and the largest. The checks of both checkouts'
inner parts are those of this script: it compares commits whose parts have the same names.
`--record CHANGE` adds them to changes.csv under this name, from which data_tables.py writes the
table "What made it faster". `--output FILE` writes all as JSON, with the ratios to the notebook's
pipeline of the same rounds (before_after.json, of which speed_table.py makes a table).
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

_WORKER = """
import sys, time, warnings
warnings.simplefilter("ignore")
import torch
torch.set_num_threads(1)
import ase_e3dos
print(ase_e3dos.__file__, flush=True)
from inputs import read_both
from pathlib import Path
from ase_e3dos.prediction.pipeline import Predictor
from ase_e3dos import predict
from ase_e3dos.prediction import _crystals as read_crystals
import inspect
several = len(inspect.signature(read_crystals).parameters) > 1
rest = (Predictor("default", "cpu"),) if several else ()
def _crystals(given):
    return read_crystals(given, *rest)
from ase.build import bulk
from reference_pipeline import PeriodicNetwork, build_data
reference = PeriodicNetwork().eval()
def notebook():
    with torch.inference_mode():
        for a in some:
            reference(build_data(a))
salts = [bulk("NaCl", "rocksalt", a=5.6 + x / 1000) for x in range(20)]
atoms, table = read_both(Path(sys.argv[1]), int(sys.argv[2]))
crystals = list(_crystals(atoms))
some = atoms[:: max(1, len(atoms) // 24)]
tasks = {
    "notebook: one at a time": notebook,
    "reading, ASE": lambda: list(_crystals(atoms)),
    "reading, table": lambda: list(_crystals(table)),
}
for name in ("default", "paper"):
    p = Predictor(name, "cpu")
    grouped = getattr(p.batcher, "grouped", None) or p.batcher._grouped  # of older commits
    groups = [[g for _, g in group] for group in grouped((None, c) for c in crystals)]
    joined = [p.collated(g) for g in groups]
    names = [[g.crystal.name for g in group] for group in groups]
    batches = list(zip(joined, names))
    predict(some, model=name)
    tasks |= {
        f"{name}: graphs": lambda g=grouped: list(g((None, c) for c in crystals)),
        f"{name}: batches": lambda p=p, groups=groups: [p.collated(g) for g in groups],
        f"{name}: network": lambda p=p, batches=batches: [
            p.model.densities(b, n, True) for b, n in batches],
        f"{name}: crystals to spectra": lambda p=p: list(p.stream(crystals)),
        f"{name}: ASE to spectra": lambda n=name: predict(atoms, model=n),
        f"{name}: table to spectra": lambda n=name: predict(table, model=n),
        f"{name}: ASE to heat capacities": lambda n=name: [
            s.heat_capacity(300.0) for s in predict(atoms, model=n)],
        f"{name}: one at a time": lambda n=name: [predict(a, model=n) for a in some],
        f"{name}: one more salt": lambda n=name: [predict(a, model=n) for a in salts],
    }
sizes = {"time": len(some), "salt": len(salts)}
per_task = {t: sizes.get(t.split()[-1], len(atoms)) for t in tasks}
print("|".join(tasks), flush=True)
for line in sys.stdin:
    task = tasks[line.strip()]
    start = time.process_time()
    task()
    print(1e6 * (time.process_time() - start) / per_task[line.strip()], flush=True)
"""


#: The task that ratios are taken to.
NOTEBOOK = "notebook: one at a time"


class Checkout:
    """A process that runs tasks with the package of one checkout."""

    def __init__(self, folder: Path, crystals: Path, n: int) -> None:
        here = Path(__file__).parent
        paths = os.pathsep.join(map(str, (folder.resolve(), here.resolve())))
        self.child = subprocess.Popen(
            [sys.executable, "-c", _WORKER, str(crystals.resolve()), str(n)],
            cwd=folder,  # which comes first where Python looks for packages
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": paths},
        )
        package = Path(self._line()).parent.parent
        if package != folder.resolve():
            raise SystemExit(f"{folder} was asked for, and the package comes from {package}.")
        self.tasks = self._line().split("|")  # written when all is loaded

    def _line(self) -> str:
        assert self.child.stdout is not None
        return self.child.stdout.readline().strip()

    def time(self, task: str) -> float:
        """Microseconds of processor time a crystal."""
        assert self.child.stdin is not None
        self.child.stdin.write(task + "\n")
        self.child.stdin.flush()
        return float(self._line())


def record(change: str, task: str, times: tuple[float, float], n: int, commit: str) -> None:
    """Add a row to changes.csv: medians before and after, of so many crystals."""
    path = Path(__file__).with_name("changes.csv")
    with path.open("a", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        how = f"paired medians, {n} crystals"
        cells = [f"{time:.0f}" for time in times]
        writer.writerow([change, f"{task}, µs a crystal", *cells, how, commit])


Pairs = list[tuple[float, float]]


def with_hosts(found: dict[str, Pairs]) -> dict[str, Pairs]:
    """All but the network of lists, round by round: what a GPU would leave to the host."""
    for name in ("default", "paper"):
        for given in ("ASE", "table"):
            whole, network = (found.get(f"{name}: {t}") for t in (f"{given} to spectra", "network"))
            if whole and network:
                rest = [(a - c, b - d) for (a, b), (c, d) in zip(whole, network, strict=True)]
                found[f"{name}: host, {given}"] = rest
    return found


def spread(ratios: list[float]) -> dict[str, float]:
    """Median, least and most."""
    return {"median": statistics.median(ratios), "least": min(ratios), "most": max(ratios)}


def summary(found: dict[str, Pairs]) -> dict[str, dict[str, object]]:
    """Of each task: medians in microseconds, and the spread of ratios."""
    notebook = found.get(NOTEBOOK)
    tasks: dict[str, dict[str, object]] = {}
    for task, pairs in found.items():
        old, new = (statistics.median(times) for times in zip(*pairs, strict=True))
        tasks[task] = {"before_us": old, "after_us": new}
        tasks[task]["times as fast"] = spread([a / b for a, b in pairs])
        if notebook and task.endswith(("to spectra", "one at a time")):
            for k, tree in enumerate(("before", "after")):
                both = zip(notebook, pairs, strict=True)
                tasks[task][f"over the notebook, {tree}"] = spread([n[k] / p[k] for n, p in both])
    return tasks


def commit_of(folder: Path) -> str:
    """Short name of the commit of a checkout."""
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def main() -> None:
    """Print one line for each task."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("crystals", type=Path)
    parser.add_argument("-n", type=int, default=96)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", default="", help="tasks whose names begin with this")
    parser.add_argument("--record", metavar="CHANGE", help="what was changed, for changes.csv")
    parser.add_argument(
        "--task", help="record this task alone, such as 'paper, one network: network'"
    )
    parser.add_argument("-o", "--output", type=Path, help="write all as JSON")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    before, after = (
        Checkout(folder, options.crystals, options.n) for folder in (options.before, options.after)
    )
    found: dict[str, Pairs] = {}
    chosen = [t for t in before.tasks if t.startswith(options.only)]
    for number in range(options.rounds + 1):  # the first is not counted
        for task in chosen:
            pair = before.time(task), after.time(task)
            if number:
                found.setdefault(task, []).append(pair)
    for task, pairs in with_hosts(found).items():
        old, new = (statistics.median(times) for times in zip(*pairs, strict=True))
        ratios = sorted(a / b for a, b in pairs)
        print(
            f"{task:34s} {old:7.0f} -> {new:7.0f} us   {statistics.median(ratios):5.2f} times as "
            f"fast ({ratios[0]:.2f} to {ratios[-1]:.2f})",
            flush=True,
        )
        if options.record and options.task in (None, task):
            commit = commit_of(options.after)
            record(options.record, task, (old, new), options.n, commit)
    before.child.kill()
    after.child.kill()
    if options.output:
        about = {
            "before": commit_of(options.before), "after": commit_of(options.after),
            "crystals": options.n, "rounds": options.rounds, "load_average": load,
        }  # fmt: skip
        record_of_all = {**about, "tasks": summary(found)}
        options.output.write_text(json.dumps(record_of_all, indent=1) + "\n")


if __name__ == "__main__":
    main()
