"""Wall and processor time of tasks, in interleaved rounds."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

ROUNDS = 3


def best(tasks: dict[str, Callable[[], Any]], rounds: int = ROUNDS) -> dict[str, dict[str, float]]:
    """Shortest wall and processor time of each task in seconds.

    One untimed round comes first; then the tasks take turns, so that a busy machine disturbs all
    of them alike. Processor time is what the process itself used, and what ratios should be
    taken from where other work shares the cores; it means little with several threads.
    """
    for task in tasks.values():
        task()
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in tasks}
    for _ in range(rounds):
        for name, task in tasks.items():
            wall, cpu = time.perf_counter(), time.process_time()
            task()
            times[name].append((time.perf_counter() - wall, time.process_time() - cpu))
    return {
        name: {"wall": min(w for w, _ in t), "cpu": min(c for _, c in t)}
        for name, t in times.items()
    }
