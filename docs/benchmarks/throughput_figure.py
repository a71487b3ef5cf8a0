"""The figure of the benchmark, from throughput.json.

python docs/benchmarks/throughput_figure.py docs/benchmarks/throughput.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.ticker import NullFormatter, ScalarFormatter

mpl.use("Agg")


def draw(result: dict[str, Any], path: Path) -> None:
    """Ratios to the reference, the stages of a prediction, time against cell size."""
    fig, (left, middle, right) = plt.subplots(1, 3, figsize=(12, 3.8), layout="constrained")
    single, alike = result["ratio_to_reference_one_at_a_time"], result["ratio_like_for_like"]
    names = list(single)[::-1]
    rows = range(len(names))
    for ratios, shift, label in (
        (single, 0.2, "over it one at a time"),
        (alike, -0.2, "like for like"),
    ):
        left.barh([k + shift for k in rows], [ratios[n]["cpu"] for n in names], 0.4, label=label)
    left.set_yticks(rows, names)
    left.legend(frameon=False, fontsize=8, loc="upper right")
    left.set_xlabel("structures a second over the reference's\n(processor time, one core)")
    left.tick_params(axis="y", labelsize=8)
    parts = ("reading", "graphs", "batches", "network", "results and rest")
    labels = list(result["stages_cpu_us"])
    bottom = [0.0] * len(labels)
    for part in parts:
        heights = [result["stages_cpu_us"][label][part] for label in labels]
        middle.bar(
            [label.replace(", ", "\n") for label in labels], heights, 0.6, bottom, label=part
        )
        bottom = [b + h for b, h in zip(bottom, heights, strict=True)]
    middle.set_ylabel("µs a crystal (processor time)")
    middle.legend(frameon=False, fontsize=8)
    sizes = result["cell_size"]
    right.loglog([r["sites"] for r in sizes], [r["cpu"] for r in sizes], "o-", label="default")
    fit = result["cell_size_fit"]
    right.loglog(
        [r["sites"] for r in sizes],
        [fit["fixed_ms"] + fit["us_per_edge"] * r["edges"] / 1e3 for r in sizes],
        "k:",
        label=f"{fit['fixed_ms']:.1f} ms + {fit['us_per_edge']:.1f} µs an edge",
    )
    right.set_xlabel("sites in the cell (one at a time)")
    right.set_ylabel("ms a crystal (processor time)")
    for axis in (right.xaxis, right.yaxis):
        axis.set_major_formatter(ScalarFormatter())
    right.yaxis.set_minor_formatter(NullFormatter())
    right.set_ylim(bottom=1)
    right.legend(frameon=False, fontsize=8)
    fig.savefig(path, dpi=150)


if __name__ == "__main__":
    source = Path(sys.argv[1])
    draw(json.loads(source.read_text()), source.with_suffix(".png"))
