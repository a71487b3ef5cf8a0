"""What was tried to make predictions faster, kept or not, measured on this machine.

    python docs/benchmarks/speed_trials.py CRYSTALS.parquet > docs/benchmarks/speed_trials.txt

Both ways of each trial take turns on one thread; ratios are of processor time: the median of the
rounds, with the smallest and the largest.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import spglib
import torch
from ase import Atoms
from clock import spread, timed
from inputs import read

from ase_e3dos.network import site
from ase_e3dos.network.alike import Groups
from ase_e3dos.network.graph import GraphBatch, build_graph, build_graphs
from ase_e3dos.prediction.pipeline import Predictor
from ase_e3dos.structures.crystal import Crystal
from ase_e3dos.structures.reading import read_ahead, read_each

Task = Callable[[], Any]


def line(what: str, slow: Task, fast: Task, rounds: int) -> str:
    """How many times as fast the second is as the first."""
    times = timed({"slow": slow, "fast": fast}, rounds)
    found = spread(times["slow"], times["fast"])
    return f"{what:66s} {found['cpu']:5.2f} ({found['least']:.2f} to {found['most']:.2f})"


@contextmanager
def every_site_by_itself() -> Iterator[None]:
    """The default network without groups of alike sites."""
    usual = site.groups_of_alike
    site.groups_of_alike = lambda features, batch: None
    try:
        yield
    finally:
        site.groups_of_alike = usual


def trials(atoms: list[Atoms], rounds: int) -> Iterator[str]:
    """A line for each trial."""
    predictor = Predictor("default", "cpu")
    crystals = [Crystal.quietly(a) for a in atoms]
    grouped = predictor.batcher.grouped((None, c) for c in crystals)
    groups = [[graph for _, graph in group] for group in grouped]
    batches = [predictor.collated(graphs) for graphs in groups]
    single = [predictor.collated([predictor.graph(c)]) for c in crystals[:16]]

    def network(some: list[GraphBatch]) -> None:
        for batch in some:
            predictor.model.start(batch)

    def plain(some: list[GraphBatch]) -> None:
        with every_site_by_itself():
            network(some)

    yield "Kept: the new way over the old one"
    yield line("reading ASE objects together", lambda: list(read_each(atoms)),
               lambda: list(read_ahead(atoms, 64)), rounds)  # fmt: skip
    yield line("neighbours of a batch together", lambda: [build_graph(c, 5.0) for c in crystals],
               lambda: [build_graphs(crystals[k : k + 64], 5.0) for k in range(0, len(atoms), 64)],
               rounds)  # fmt: skip
    yield line("alike sites once, batches", lambda: plain(batches), lambda: network(batches),
               rounds)  # fmt: skip
    left, sites = _groups(predictor, batches)
    yield f"  sites for each group of alike ones: {sites / left:.2f}"
    yield ""
    yield "Not kept: what it would gain, at most"
    symmetry = timed({"spglib": lambda: _orbits(crystals), "network": lambda: network(batches)},
                     rounds)  # fmt: skip
    share = spread(symmetry["spglib"], symmetry["network"])
    yield f"orbits found by spglib, over the time of the whole network: {share['cpu']:5.2f}"
    yield line("one crystal as a recorded graph of operations, fixed shapes",
               lambda: network(single), recorded(predictor, single), rounds)  # fmt: skip
    if torch.backends.cpu.get_cpu_capability().startswith("AVX512") and _has_bfloat16():
        yield line("products in bfloat16", *_products(), rounds)
    else:
        yield "products in bfloat16: not measurable, this processor has none"
    yield "ONNX Runtime: not measured; the recorded graph is how much Python costs"


def _has_bfloat16() -> bool:
    about = Path("/proc/cpuinfo")
    text = about.read_text() if about.exists() else ""
    return "avx512_bf16" in text or "amx_bf16" in text


def _products() -> tuple[Task, Task]:
    a = torch.randn(768, 768)
    b = a.to(torch.bfloat16)
    return lambda: a @ a, lambda: b @ b


def _orbits(crystals: list[Crystal]) -> None:
    for c in crystals:
        spglib.get_symmetry_dataset((c.cell, c.scaled_positions, c.numbers), symprec=1e-3)


def _groups(predictor: Predictor, batches: list[GraphBatch]) -> tuple[int, int]:
    """Groups of alike sites where the spectra are read out, and sites."""
    found: list[tuple[int, int]] = []
    usual = site.groups_of_alike

    def look(features: torch.Tensor, batch: GraphBatch) -> Groups | None:
        groups = usual(features, batch)
        n = len(features) if groups is None else len(groups.chosen)
        found.append((n, len(features)))
        return groups

    site.groups_of_alike = look
    try:
        for batch in batches:
            predictor.model.start(batch)
    finally:
        site.groups_of_alike = usual
    last = found[len(found) // len(batches) - 1 :: len(found) // len(batches)]
    return sum(n for n, _ in last), sum(n for _, n in last)


def recorded(predictor: Predictor, batches: list[GraphBatch]) -> Task:
    """The network recorded for each batch and its sizes: no Python between the operations."""
    network: Any = predictor.model.members[0]
    recordings = []
    with torch.inference_mode():
        for batch in batches:
            given = (batch.features, batch.vectors, batch.lengths)
            traced = torch.jit.trace(_spectra_of(network, batch), given, check_trace=False)
            recordings.append((traced, given))
            for _ in range(3):  # it is optimised at its first calls
                traced(*given)

    def task() -> None:
        with torch.inference_mode():
            for traced, given in recordings:
                traced(*given)

    return task


def _spectra_of(network: Any, batch: GraphBatch) -> Callable[..., tuple[torch.Tensor, ...]]:
    """The network as a function of features, vectors and lengths."""

    def run(*given: torch.Tensor) -> tuple[torch.Tensor, ...]:
        features, vectors, lengths = given
        own = replace(batch, features=features, vectors=vectors, lengths=lengths)
        found = network.spectra(own)
        sides = (found.log_displacements, found.log_sound, found.log_odds_unstable)
        return found.crystals, found.sites, *(s for s in sides if s is not None)

    return run


def main() -> None:
    """Print all trials."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("crystals", type=Path)
    parser.add_argument("-n", type=int, default=128, help="crystals (128)")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    for text in trials(read(options.crystals, options.n), options.rounds):
        print(text, flush=True)


if __name__ == "__main__":
    main()
