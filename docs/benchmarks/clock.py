"""Wall and processor time of tasks, in interleaved rounds."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

ROUNDS = 3


def timed(
    tasks: dict[str, Callable[[], Any]], rounds: int = ROUNDS
) -> dict[str, list[dict[str, float]]]:
    """Wall and processor time of each task in seconds, of each round.

    One untimed round comes first; then the tasks take turns, so that a busy machine disturbs all
    of them alike. Processor time is what the process itself used, and what ratios should be
    taken from where other work shares the cores; it means little with several threads.
    """
    for task in tasks.values():
        task()
    times: dict[str, list[dict[str, float]]] = {name: [] for name in tasks}
    for _ in range(rounds):
        for name, task in tasks.items():
            wall, cpu = time.perf_counter(), time.process_time()
            task()
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            times[name].append({"wall": wall, "cpu": cpu})
    return times


def best(tasks: dict[str, Callable[[], Any]], rounds: int = ROUNDS) -> dict[str, dict[str, float]]:
    """Shortest wall and processor time of each task in seconds, of the rounds of `timed`."""
    return {
        name: {clock: min(r[clock] for r in of_rounds) for clock in ("wall", "cpu")}
        for name, of_rounds in timed(tasks, rounds).items()
    }


def spread(slow: list[dict[str, float]], fast: list[dict[str, float]]) -> dict[str, float]:
    """How many times as fast, round by round in processor time: median, least and most."""
    ratios = [s["cpu"] / f["cpu"] for s, f in zip(slow, fast, strict=True)]
    return {"cpu": statistics.median(ratios), "least": min(ratios), "most": max(ratios)}
