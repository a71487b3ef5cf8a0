"""The paper's screen: its crystals that are at hand, and every number that it is compared by.

Needs the plug-in plugins/e3dos-paper.

    python docs/examples/paper_screen.py --data DIRECTORY -o paper_screen

predicts the crystals marked `in_paper_screen` in DIRECTORY/structures_mp.parquet (4,012 of the
paper's 4,346), prints the numbers, and writes paper_screen/report.html. A second run reads the
rows that are there; `--fresh` starts anew, for the timing. `--screenshot FILE` opens the report in
Chromium (with its driver, and selenium) for a picture of it.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import time
from pathlib import Path

import pyarrow.parquet as pq
from e3dos_paper.table_s2 import TABLE_S2

from ase_e3dos import screen
from ase_e3dos.screening import PAPER_TEMPERATURE
from ase_e3dos.screening.report import read_screen
from ase_e3dos.screening.report.page import write_page

PAPER_SHARE = "about 2 %"


def main() -> None:
    """Screen, report, compare."""
    options = arguments()
    if options.fresh:
        shutil.rmtree(options.output, ignore_errors=True)
    table = pq.read_table(options.data / "structures_mp.parquet")
    table = table.filter(table["in_paper_screen"])
    started = time.perf_counter()
    summary = screen(
        table, options.output, model=options.model, device=options.device,
        processes=options.processes, uncertainty=not options.single,
        temperature=PAPER_TEMPERATURE,
    )  # fmt: skip
    wall = time.perf_counter() - started
    screened = read_screen(options.output)
    report = options.output.with_suffix(".html")
    write_page(screened, report, "The paper's screen")

    print(f"model                  {screened.about['model']} ({screened.about['model_hash']})")
    print(
        f"structures             {summary.total} (the paper: 4346), {len(screened.failures)} failed"
    )
    print(f"cores here, load       {os.cpu_count()}, {os.getloadavg()[0]:.1f}")
    print(
        f"new rows               {summary.new} in {summary.seconds:.1f} s ({summary.rate:.0f}/s), "
        f"with loading {wall:.1f} s; processor time {processor_time():.1f} s"
    )
    print(
        f"peak memory            {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB"
    )
    constant, quality = screened.rigidity
    print(f"C_V > 1000 J/(kg K)    {100 * screened.high_share:.2f} % (the paper: {PAPER_SHARE})")
    print(f"mean wavenumber        C = {constant:.0f} cm^-1 amu^(1/2), R^2 {quality:.3f}")
    explained = 100 * screened.components.explained
    print(f"principal components   {explained[0]:.1f} and {explained[1]:.1f} % of the variance")
    print(f"warnings               {screened.n_warned or 'none'}")
    compare(screened)
    print(f"\nreport                 {Path(report).name}")
    if options.screenshot:
        screenshot(report, options.screenshot)


def compare(screened: object) -> None:
    """Where the materials of table S2 rank, and their heat capacities."""
    ranked = screened.table  # type: ignore[attr-defined]
    print(
        "\nTable S2            rank   C_V here   paper's network   DFPT to 1000 cm^-1   DFPT, all"
    )
    errors: dict[str, list[float]] = {"here": [], "paper": []}
    for formula, (network, confined, full) in TABLE_S2.items():
        rows = ranked.index[ranked["formula"].map(amounts) == amounts(formula)]
        if len(rows) == 0:
            print(f"{formula:18s} {'not at hand':>16s}")
            continue
        for rank in rows:
            heat = ranked["specific_heat"][rank]
            print(
                f"{formula:18s} {rank + 1:5d} {heat:10.0f} {network:17.0f} "
                f"{confined:20.0f} {full:11.0f}"
            )
        mean = sum(ranked["specific_heat"][rank] for rank in rows) / len(rows)
        errors["here"].append(abs(mean - full))
        errors["paper"].append(abs(network - full))
    if errors["here"]:
        means = {name: sum(values) / len(values) for name, values in errors.items()}
        print(
            f"mean distance from DFPT over all frequencies: here {means['here']:.0f}, "
            f"the paper's network {means['paper']:.0f} J/(kg K)"
        )


def screenshot(report: Path, picture: Path) -> None:
    """The first screen of the report, as Chromium shows it."""
    from selenium import webdriver
    from selenium.webdriver.support.wait import WebDriverWait

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for argument in ("--headless", "--no-sandbox", "--hide-scrollbars", "--window-size=1600,1260"):
        options.add_argument(argument)
    browser = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
    try:
        browser.get(report.resolve().as_uri())
        ready = "return document.body.dataset.ready === 'yes'"
        WebDriverWait(browser, 120).until(lambda b: b.execute_script(ready))
        browser.save_screenshot(str(picture))
    finally:
        browser.quit()


def amounts(formula: str) -> frozenset[tuple[str, float]]:
    """What a formula is made of, whatever the order."""
    from pymatgen.core import Composition

    return frozenset(Composition(formula).reduced_composition.get_el_amt_dict().items())


def processor_time() -> float:
    """Seconds of all cores, of this process and its workers."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


def arguments() -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("E3DOS_DATA", ".")))
    parser.add_argument("-o", "--output", type=Path, default=Path("paper_screen"))
    parser.add_argument("--model", default="default")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--processes", type=int, default=None)
    parser.add_argument("--single", action="store_true", help="one network, no error bars")
    parser.add_argument("--fresh", action="store_true", help="remove the output first")
    parser.add_argument("--screenshot", type=Path, help="PNG file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
