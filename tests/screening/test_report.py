from __future__ import annotations

import csv
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from ase.build import bulk
from small_screen import crystals

from ase_e3dos import screen
from ase_e3dos.errors import ScreeningError
from ase_e3dos.screening.report import read_screen

pytest.importorskip("plotly", reason="plotly is not installed (extra: screening)")


@pytest.fixture(scope="module")
def screened(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty salts, one failure, one id that tries to break out of the page."""
    out = tmp_path_factory.mktemp("screened")
    molecule = bulk("Si")
    molecule.pbc = False
    evil = "</script><script>document.title='broken'</script><b>\u2028"
    pairs = [*crystals(60), ("molecule", molecule), (evil, bulk("LiH", "rocksalt", a=4.0))]
    screen(pairs, out, model=weights, device="cpu")
    return out


@pytest.fixture(scope="module")
def page(screened: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from ase_e3dos.screening.report.page import write_page

    path = tmp_path_factory.mktemp("page") / "report.html"
    write_page(read_screen(screened), path)
    return path


# Numbers --------------------------------------------------------------------------------------


def test_means_by_element_and_shares(screened: Path) -> None:
    rows = [r for r in pq.read_table(screened).to_pylist() if r["error"] is None]
    found = read_screen(screened)
    assert (len(found.table), len(found.failures)) == (61, 1)
    for z, symbol in ((3, "Li"), (17, "Cl"), (20, "Ca")):
        heats = [
            r["specific_heat"] for r in rows if symbol in re.findall("[A-Z][a-z]?", r["formula"])
        ]
        assert found.by_element[z] == (pytest.approx(np.mean(heats)), len(heats))
    high = np.mean([r["specific_heat"] > 1000 for r in rows])
    assert found.high_share == pytest.approx(high)
    assert found.table["specific_heat"].is_monotonic_decreasing


def test_the_fit_of_frequency_and_mass(screened: Path) -> None:
    from scipy.optimize import curve_fit

    found = read_screen(screened)
    (constant,), _ = curve_fit(
        lambda m, c: c / np.sqrt(m), found.table["average_mass"], found.table["mean_wavenumber"]
    )
    assert found.rigidity[0] == pytest.approx(constant, rel=1e-6)


def names_in(figure: Any) -> list[str]:
    return [trace.name or "" for trace in figure.data]


def test_a_fit_worse_than_the_mean_is_not_drawn_but_said(screened: Path, tmp_path: Path) -> None:
    from ase_e3dos.screening.report.figures import mass_trend
    from ase_e3dos.screening.report.page import write_page

    found = read_screen(screened)
    # Wavenumbers that fall with the square root of mass, then ones that rise with it.
    mass = found.table["average_mass"]
    falling = replace(found, table=found.table.assign(mean_wavenumber=2000.0 / mass**0.5))
    rising = replace(found, table=found.table.assign(mean_wavenumber=20.0 * mass))
    assert falling.rigidity == (pytest.approx(2000.0), pytest.approx(1.0))
    assert rising.rigidity[1] < 0.0
    assert any("R² = 1.00" in name for name in names_in(mass_trend(falling)))
    assert not any("R²" in name for name in names_in(mass_trend(rising)))
    write_page(rising, tmp_path / "report.html")
    assert "worse than the mean of all" in (tmp_path / "report.html").read_text()


def test_the_mean_of_the_top_is_shown_where_it_is_not_that_of_all(
    screened: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ase_e3dos.screening.report import figures, statistics

    assert "mean of the top" not in " ".join(names_in(figures.histogram(read_screen(screened))))
    for module in (figures, statistics):
        monkeypatch.setattr(module, "TOP", 5)
    assert "mean of the top 5" in names_in(figures.histogram(read_screen(screened)))


def test_warnings_mark_the_headline_and_the_panels(screened: Path, tmp_path: Path) -> None:
    from ase_e3dos.screening.report.figures import WARNED, top_spectra
    from ase_e3dos.screening.report.page import write_page

    found = read_screen(screened)
    marked = [WARNED in a.text for a in top_spectra(found).layout.annotations]
    assert marked == [bool(w) for w in found.table["warnings"]]
    assert any(marked)
    for warning in ("", "ImaginaryWeight"):
        table = found.table.assign(warnings=warning)
        write_page(replace(found, table=table), tmp_path / "report.html")
        numbers = (tmp_path / "report.html").read_text().partition('class="numbers">')[2]
        headline = numbers.partition("highest C<sub>V</sub>")[2].partition("</div>")[0]
        assert (f"{WARNED} {table['formula'][0]}: ImaginaryWeight" in headline) == bool(warning)


def test_the_command_says_which_temperature(weights: Path, tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from ase_e3dos.cli import build_app

    screen(crystals(3), tmp_path / "out", model=weights, device="cpu", temperature=[100.0, 300.0])
    arguments = ["report", str(tmp_path / "out"), "-o", str(tmp_path / "report.html")]
    done = CliRunner().invoke(build_app(), arguments)
    assert "3 structures at 100 K; there are also 300 K" in done.output
    assert "at 300 K" in CliRunner().invoke(build_app(), [*arguments, "-T", "300"]).output


def test_principal_components_are_those_of_the_whole_matrix(screened: Path) -> None:
    found = read_screen(screened)
    components = found.components
    y = found.densities.astype(float)
    assert y.max(axis=1) == pytest.approx(1.0)
    _, singular, axes = np.linalg.svd(y - y.mean(axis=0), full_matrices=False)
    for k in range(2):
        assert abs(axes[k] @ components.axes[k]) == pytest.approx(1.0, abs=1e-3)
    shares = singular**2 / (singular**2).sum()
    np.testing.assert_allclose(components.explained, shares[:2], rtol=1e-2)


def test_a_temperature_and_a_model_are_chosen(weights: Path, tmp_path: Path) -> None:
    screen(crystals(3), tmp_path, model=weights, device="cpu", temperature=[100.0, 300.0])
    cold, warm = (read_screen(tmp_path, temperature=t).table for t in (100.0, 300.0))
    assert (cold["specific_heat"] < warm["specific_heat"]).all()
    with pytest.raises(ScreeningError, match="no values for 5 K"):
        read_screen(tmp_path, temperature=5.0)
    with pytest.raises(ScreeningError, match="no rows of model"):
        read_screen(tmp_path, model="absent")
    with pytest.raises(ScreeningError, match="no rows of a screening"):
        read_screen(tmp_path / "absent")


def test_more_rows_than_the_page_holds_are_sampled(
    screened: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ase_e3dos.screening.report import figures, page, statistics

    for module in (figures, page, statistics):
        monkeypatch.setattr(module, "TOP", 5)
    monkeypatch.setattr(statistics, "MAX_ROWS", 20)
    monkeypatch.setattr(page, "MAX_ROWS", 20)
    found = read_screen(screened)
    assert len(found.shown) == 20
    assert found.shown[:5].tolist() == [0, 1, 2, 3, 4]
    assert len(found.densities) == 20
    page.write_page(found, tmp_path / "report.html")
    assert "random sample" in (tmp_path / "report.html").read_text()


def test_figures_as_files(screened: Path, tmp_path: Path) -> None:
    from ase_e3dos.screening.report.plots import write_plots

    made = write_plots(read_screen(screened), tmp_path, "svg")
    assert {p.stem for p in made} == {"elements", "histogram", "components", "mass", "top"}
    assert all(p.stat().st_size > 5000 for p in made)


def test_a_screen_where_all_failed_has_a_report(weights: Path, tmp_path: Path) -> None:
    from ase_e3dos.screening.report.page import write_page

    screen([("bad", {})], tmp_path / "out", model=weights, device="cpu")
    write_page(read_screen(tmp_path / "out"), tmp_path / "report.html")
    assert "lattice" in (tmp_path / "report.html").read_text()


def test_the_page_asks_for_nothing(page: Path) -> None:
    text = page.read_text()
    own = re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)
    assert not re.findall(r"""(?:src|href)\s*=\s*["']?(?!data:)[^"'>\s]+""", own)
    assert "document.title='broken'</script>" not in text


# In a browser -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    driver = shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("no Chromium with its driver here (Debian: chromium, chromium-driver)")
    folder = tmp_path_factory.mktemp("browser")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in (
        "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        "--hide-scrollbars", "--window-size=1600,1200", f"--user-data-dir={folder / 'profile'}",
    ):  # fmt: skip
        options.add_argument(argument)
    options.add_experimental_option("prefs", {"download.default_directory": str(folder)})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    found = started(webdriver, options, driver)
    found.downloads = folder
    found.command_executor.client_config.timeout = 600
    try:
        yield found
    finally:
        found.quit()


def started(webdriver: Any, options: Any, driver: str) -> Any:
    """A browser; on a busy machine it may not be up within the driver's minute, so tried thrice."""
    from selenium.common.exceptions import SessionNotCreatedException

    for _ in range(2):
        try:
            return webdriver.Chrome(options, webdriver.ChromeService(driver))
        except SessionNotCreatedException:
            continue
    return webdriver.Chrome(options, webdriver.ChromeService(driver))


@pytest.fixture
def opened(browser: Any, page: Path) -> Any:
    browser.get_log("browser")
    browser.get_log("performance")  # of its own first page
    browser.get(page.as_uri())
    wait_until(lambda: browser.execute_script("return document.body.dataset.ready === 'yes'"), 600)
    return browser


def wait_until(condition: Any, seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the page did not get there"
        time.sleep(0.05)


def texts(browser: Any, selector: str) -> list[str]:
    script = "return [...document.querySelectorAll(arguments[0])].map(e => e.textContent)"
    return browser.execute_script(script, selector)


def click_point(browser: Any, figure: str, row: int) -> None:
    """A mouse click where the figure has drawn the point of a row."""
    place = browser.execute_script(
        """
        const figure = document.getElementById(arguments[0]), row = arguments[1];
        figure.scrollIntoView({block: "center"});
        const trace = figure._fullData.findIndex(t => t.customdata && t.mode === "markers");
        const data = figure._fullData[trace], layout = figure._fullLayout;
        const index = Array.from(data.customdata).indexOf(row);
        const box = figure.querySelector(".nsewdrag").getBoundingClientRect();
        const x = layout.xaxis.d2p(data.x[index]), y = layout.yaxis.d2p(data.y[index]);
        return [box.left + x, box.top + y];
        """,
        figure,
        row,
    )
    for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
        browser.execute_cdp_cmd(
            "Input.dispatchMouseEvent",
            {"type": kind, "x": place[0], "y": place[1], "button": "none" if kind == "mouseMoved"
             else "left", "clickCount": 0 if kind == "mouseMoved" else 1},
        )  # fmt: skip
        time.sleep(0.3)


@pytest.mark.slow
def test_the_page_in_a_browser(opened: Any, screened: Path) -> None:
    browser = opened
    table = read_screen(screened).table

    # Sorted by specific heat, highest first; a click on a heading sorts by it.
    assert texts(browser, "#materials tbody tr:first-child td")[1] == table["id"][0]
    heads = {
        e.get_attribute("data-key"): e
        for e in browser.find_elements("css selector", "th[data-key]")
    }
    heads["id"].click()
    first_ids = texts(browser, "#materials tbody td:nth-child(2)")
    assert first_ids[1:4] == ["salt-0", "salt-1", "salt-2"]
    heads["specific_heat"].click()

    # A filter by text, by element and by range.
    browser.find_element("id", "filter-text").send_keys("salt-1")
    assert texts(browser, "#count") == ["11 of 61"]
    browser.find_element("id", "filter-clear").click()
    browser.find_element("id", "filter-elements").send_keys("Li")
    assert texts(browser, "#count") == ["13 of 61"]
    assert set(texts(browser, "#materials tbody td:first-child")) == {"LiF", "LiH"}

    browser.find_element("id", "filter-elements").clear()
    browser.find_element("id", "filter-text").send_keys("imaginary")
    warned = table["warnings"].str.contains("ImaginaryWeight").sum()
    assert warned > 0
    assert texts(browser, "#count") == [f"{warned} of 61"]
    browser.find_element("id", "filter-clear").click()
    browser.find_element("id", "filter-elements").send_keys("Li")

    # The CSV has what is filtered.
    browser.find_element("id", "export").click()
    file = browser.downloads / "report.csv"
    wait_until(file.exists)
    with file.open(newline="", encoding="utf-8") as stream:
        lines = list(csv.DictReader(stream))
    assert len(lines) == 13
    heats = [float(line["specific_heat (J/(kg K))"]) for line in lines]
    assert heats == sorted(heats, reverse=True)
    browser.find_element("id", "filter-clear").click()

    # A row, and a point of a figure, show their spectra.
    browser.find_elements("css selector", "#materials tbody tr")[4].click()
    assert table["id"][4] in texts(browser, "#selected-name")[0]
    # (Points of the same salt lie on each other; that of the lowest heat capacity is another one.)
    last = len(table) - 1
    formula = table["formula"][last]
    assert formula != table["formula"][4]
    click_point(browser, "mass", last)
    wait_until(lambda: texts(browser, "#selected-name")[0].startswith(formula), 20)
    modes = browser.execute_script(
        "const t = document.getElementById('spectrum')._fullData[0];"
        "return t.y.reduce((a, b) => a + b, 0) * 20 * 0.0299792458"
    )
    assert modes == pytest.approx(6.0, rel=1e-3)

    # What hovering shows is the crystal.
    assert formula in "".join(texts(browser, "#mass .hoverlayer"))

    # No errors, no requests, nothing broken out of the data.
    errors = [line for line in browser.get_log("browser") if line["level"] in ("SEVERE", "WARNING")]
    assert errors == []
    requests = re.findall(
        r'"method":"Network.requestWillBeSent".*?"url":"(.{0,80})',
        " ".join(line["message"] for line in browser.get_log("performance")),
    )
    assert [r for r in requests if not r.startswith(("file:", "data:", "blob:", "chrome:"))] == []
    assert browser.title == "Phonon screening"
