"""Write what docs/benchmarks/index.md says of speed from the records beside it.

python docs/benchmarks/speed_table.py

The records are throughput.json (throughput.py), before_after.json (paired.py) and scale.json
(scale.py).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PAGE = HERE / "index.md"
#: Key in the record -> what it is called on the page.
ROWS = {
    "reference, one at a time": "reference, one at a time",
    "reference, batches of 16": "reference, batches of 16",
    "paper, one, one at a time": "`paper`, one network, one at a time",
    "paper, one, lists": "`paper`, one network, lists",
    "paper, both, lists": "`paper`, both networks, lists",
    "default, one at a time": "`default` with error bars, one at a time",
    "default, lists": "`default` with error bars, lists",
    "combined, one at a time": "`combined` with error bars, one at a time",
    "combined, lists": "`combined` with error bars, lists",
}


#: Task in the record of two commits -> what it is called on the page.
TASKS = {
    "default: one at a time": "`default` with error bars, one at a time",
    "default: one more salt": "`default`, one more crystal of rock salt",
    "default: ASE to spectra": "`default` with error bars, lists of ASE objects",
    "default: table to spectra": "`default` with error bars, table",
    "default: network": "`default`, network",
    "default: host, ASE": "`default`, all but the network, ASE objects",
    "default: host, table": "`default`, all but the network, table",
    "paper: one at a time": "`paper` with error bars, one at a time",
    "paper: ASE to spectra": "`paper` with error bars, lists of ASE objects",
}


def record_of(name: str) -> Any:
    """What a command has written."""
    return json.loads((HERE / name).read_text(encoding="utf-8"))


def before_after() -> str:
    """Two commits in alternation."""
    record = record_of("before_after.json")
    rows = []
    for key, name in TASKS.items():
        task = record["tasks"][key]
        cells = [name, f"{task['before_us']:.0f}", f"{task['after_us']:.0f}"]
        cells.append(_with_spread(task["times as fast"]))
        for tree in ("before", "after"):
            over = task.get(f"over the notebook, {tree}")
            cells.append("" if over is None else _with_spread(over))
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(
        [
            f"Commits {record['before']} and {record['after']} in alternation on "
            f"{record['crystals']} crystals, {record['rounds']} rounds, load "
            f"{record['load_average']:.1f}, processor time in µs a crystal (medians; least and "
            "most of the rounds in brackets):",
            "",
            "| | before | after | times as fast | over the notebook, before | after |",
            "| --- | ---: | ---: | ---: | ---: | ---: |",
            *rows,
        ]
    )


def _with_spread(ratio: dict[str, float]) -> str:
    return "{median:.2f} ({least:.2f} to {most:.2f})".format(**ratio)


def scale() -> str:
    """A screening of many rows."""
    record = record_of("scale.json")
    few, many = record["few"], record["many"]
    million = record["extrapolated to a million rows"]
    return "\n".join(
        [
            f"{few['rows']:,} rows took {few['peak_MiB']:.0f} MiB at the peak and "
            f"{many['rows']:,} took {many['peak_MiB']:.0f}, with a load of "
            f"{record['load_average']:.1f} at",
            f"{million['rows_per_second']:.0f} rows a second of processor time of one process, for "
            "crystals of any size up to the largest of the file. A million",
            f"would take {million['core_hours']:.1f} core-hours and {million['GB_on_disk']:.1f} GB "
            "of shards: an extrapolation from the difference of the two.",
        ]
    )


def one_crystal(record: Any) -> list[str]:
    """Where the time of a single crystal goes."""
    us = record["one_crystal"]["cpu_us"]
    ours, network, recorded = (
        us[f"default{key}"] for key in ("", ", network", ", network, recorded")
    )
    theirs = us["reference"]
    return [
        "",
        f"Of rock salt alone `predict` takes {ours / 1e3:.1f} ms, {network / 1e3:.1f} of them the",
        f"network, where the notebook takes {theirs / 1e3:.1f} ms, "
        f"{us['reference, network'] / 1e3:.1f} of them its network. Recorded for this one",
        f"crystal, with no Python between its operations, the network would take "
        f"{recorded / 1e3:.1f} ms; to read its weights once takes",
        f"{us['default, weights'] / 1e3:.1f}. So the ratio to the notebook, "
        f"{theirs / ours:.1f} for this crystal, would be {theirs / network:.1f} if all but the",
        f"network cost nothing, and {theirs / recorded:.1f} with a recorded network besides.",
    ]


def speed() -> str:
    """The table and the sentences under it."""
    record = record_of("throughput.json")
    rows = []
    for key, name in ROWS.items():
        if key not in record["structures_per_second"]:  # `paper` may be one network
            continue
        ratios = [
            record[kind][key]["cpu"]
            for kind in ("ratio_to_reference_one_at_a_time", "ratio_like_for_like")
        ]
        rate = record["structures_per_second"][key]["cpu"]
        cells = [name, f"{rate:.0f}", f"{1e3 / rate:.1f}", *(f"{r:.1f}" for r in ratios)]
        rows.append(f"| {' | '.join(cells)} |")
    latency, host = record["latency_s"], record["stages_cpu_us"]["default"]
    memory = record["peak_memory_MiB"]["default"]
    phonopy = [v["phonopy over default"]["cpu"] for v in record["phonopy_emt_s"].values()]
    first, imports, more = (
        latency[key]["cpu"]
        for key in ("first prediction", "imports of torch and ase alone", "one more crystal")
    )
    share = record["arithmetic"]["default"]["share"]
    return "\n".join(
        [
            f"{record['crystals']} crystals of {record['sites_mean']:.1f} sites on average, two "
            f"cores with a load of {record['load_average']:.1f}, one thread, processor time:",
            "",
            "| | a second | ms each | over the reference one at a time | like for like |",
            "| --- | ---: | ---: | ---: | ---: |",
            *rows,
            "",
            f"A first prediction in a fresh process takes {first:.1f} s ({imports:.1f} s for the",
            f"imports of PyTorch and ASE), one more crystal {1e3 * more:.1f} ms; two processes",
            f"make {record['two_processes_over_one']['wall']:.2f} times the rate of one;",
            f"peak memory grows from {memory['300']:.0f} to {memory['3000']:.0f} MiB",
            "between 300 and 3,000",
            f"crystals. In lists a crystal costs the host {host['reading']:.0f} µs for reading,",
            f"{host['graphs']:.0f} for its graph, {host['batches']:.0f} for its batch and",
            f"{host['results and rest']:.0f} for its results; the network reaches {share:.0%} of",
            "the rate of the processor's own matrix products. phonopy with EMT takes",
            f"{min(phonopy):.0f} to {max(phonopy):.0f} times as long for a metal with one atom,",
            "where a force costs nothing.",
            *(one_crystal(record) if "one_crystal" in record else []),
        ]
    )


def main() -> None:
    """Put each part between its marks on the page."""
    page = PAGE.read_text(encoding="utf-8")
    for name, part in (("speed", speed), ("before and after", before_after), ("scale", scale)):
        begin = f"<!-- {name}: begin (written by docs/benchmarks/speed_table.py) -->"
        end = f"<!-- {name}: end -->"
        if begin not in page:
            raise SystemExit(f"{PAGE} has no part {name!r}.")
        before, _, rest = page.partition(begin)
        _, _, after = rest.partition(end)
        page = f"{before}{begin}\n\n{part()}\n\n{end}{after}"
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
