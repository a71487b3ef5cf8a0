"""Write what docs/benchmarks/index.md says of speed from the record, throughput.json.

python docs/benchmarks/speed_table.py
"""

from __future__ import annotations

import json
from pathlib import Path

HERE = Path(__file__).resolve().parent
PAGE = HERE / "index.md"
BEGIN, END = (
    "<!-- speed: begin (written by docs/benchmarks/speed_table.py) -->",
    "<!-- speed: end -->",
)
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


def text() -> str:
    """The table and the sentences under it."""
    record = json.loads((HERE / "throughput.json").read_text(encoding="utf-8"))
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
        ]
    )


def main() -> None:
    """Put it between the page's marks."""
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n\n{text()}\n\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
