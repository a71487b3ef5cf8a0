"""The built site in a browser: E3DOS_SITE names the folder of `tox -e docs` (docs/_build/html)."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

SITE = Path(os.environ.get("E3DOS_SITE", Path(__file__).resolve().parents[2] / "docs/_build/html"))
PAGES = (
    "index.html",
    "gallery.html",
    "start.html",
    "reference/every-option.html",
    "models/index.html",
    "models/default.html",
    "notebooks/first_spectrum.html",
    "notebooks/alloy.html",
    "notebooks/screening_a_data_frame.html",
    "howto/screening.html",
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (SITE / "index.html").exists(), reason="the site is not built"),
]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    driver = shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("no Chromium with its driver here (Debian: chromium, chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in (
        "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        f"--user-data-dir={tmp_path_factory.mktemp('browser') / 'profile'}",
    ):  # fmt: skip
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    found = webdriver.Chrome(options, webdriver.ChromeService(driver))
    found.command_executor.client_config.timeout = 600
    try:
        yield found
    finally:
        found.quit()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(1440, 1000), (390, 844)])
def test_pages_have_no_errors_and_no_overflow(
    browser: Any, width: int, height: int, theme: str
) -> None:
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600},
    )
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia",
        {"features": [{"name": "prefers-color-scheme", "value": theme}]},
    )
    for page in PAGES:
        browser.get_log("browser")
        browser.get((SITE / page).as_uri())
        if "E3DOS_SCREENSHOTS" in os.environ:
            folder = Path(os.environ["E3DOS_SCREENSHOTS"])
            name = f"{page.replace('/', '-').removesuffix('.html')}-{width}-{theme}.png"
            browser.save_screenshot(str(folder / name))
        wide = browser.execute_script("return document.documentElement.scrollWidth")
        assert wide <= width, f"{page} is {wide} wide at {width}"
        broken = browser.execute_script(
            "return [...document.images].filter(i => i.complete && !i.naturalWidth).map(i => i.src)"
        )
        assert broken == [], page
        errors = [line for line in browser.get_log("browser") if line["level"] == "SEVERE"]
        # mathematics is typeset by MathJax from its own address, which may be out of reach here
        errors = [line for line in errors if "mathjax" not in line["message"].lower()]
        assert errors == [], page
