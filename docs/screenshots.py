"""Open the built site in headless Chromium: what is wrong with its pages, and the screenshots.

python docs/screenshots.py [SITE]     SITE: the folder of `tox -e docs`, docs/_build/html by default

Every page is opened at the widths of a desktop and of a phone, light and dark; printed is what is
wider than the screen, pictures that are not there, errors in the console, and what is fetched from
the network. Then page.png, notebook.png and site.png in docs/figures/gallery are made. It needs
Chromium with its driver (Debian: chromium, chromium-driver), selenium and Pillow.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parent
FIGURES = DOCS / "figures" / "gallery"
#: Widths and heights of a desktop and of a phone.
SCREENS = ((1440, 1000), (390, 844))
THEMES = ("light", "dark")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
_BROKEN = "return [...document.images].filter(i => i.complete && !i.naturalWidth).map(i => i.src)"
_FETCHED = (
    "return performance.getEntriesByType('resource').map(e => e.name)"
    ".filter(name => name.startsWith('http'))"
)


@contextmanager
def browser() -> Iterator[Any]:
    """Headless Chromium with a profile of its own; FileNotFoundError where there is none."""
    from selenium import webdriver

    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    driver = shutil.which("chromedriver")
    if chromium is None or driver is None:
        raise FileNotFoundError("There is no Chromium with its driver: chromium, chromium-driver.")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = chromium
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        found = webdriver.Chrome(options, webdriver.ChromeService(driver))
        found.command_executor.client_config.timeout = 600
        try:
            yield found
        finally:
            found.quit()


def open_page(driver: Any, page: Path, screen: tuple[int, int], theme: str = "light") -> None:
    """Open a page on a screen of this width and height, in the light or the dark."""
    width, height = screen
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600},
    )
    driver.execute_cdp_cmd(
        "Emulation.setEmulatedMedia",
        {"features": [{"name": "prefers-color-scheme", "value": theme}]},
    )
    driver.get_log("browser")  # of the page before
    driver.get(page.resolve().as_uri())


def faults(driver: Any, width: int) -> list[str]:
    """What is wrong with the page that is open."""
    wide = driver.execute_script("return document.documentElement.scrollWidth")
    found = [f"is {wide} wide at {width}"] if wide > width else []
    found += [f"lacks the picture {source}" for source in driver.execute_script(_BROKEN)]
    found += [f"fetches {name}" for name in driver.execute_script(_FETCHED)]
    severe = (line for line in driver.get_log("browser") if line["level"] == "SEVERE")
    return found + [f"says {line['message']}" for line in severe]


def check(driver: Any, site: Path) -> list[str]:
    """Faults of all pages on both screens, in the light and the dark."""
    found = []
    pages = sorted(p for p in site.rglob("*.html") if "_static" not in p.parts)
    for theme in THEMES:
        for screen in SCREENS:
            for page in pages:
                open_page(driver, page, screen, theme)
                said = faults(driver, screen[0])
                found += [f"{page.relative_to(site)}, {theme}: {fault}" for fault in said]
            print(f"{len(pages)} pages, {screen[0]} wide, {theme}: {len(found)} faults so far")
    return found


def pictures(driver: Any, site: Path) -> None:
    """The interactive page, the first notebook and the gallery, as a reader sees them."""
    open_page(driver, site / "gallery.html", (1360, 900))
    save(driver, "site.png")
    open_page(driver, site / "notebooks" / "first_spectrum.html", (900, 1150))
    driver.execute_script("window.scrollTo(0, document.querySelector('h1').offsetTop - 72)")
    save(driver, "notebook.png")
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page.html"
        files = [str(DOCS / "crystals" / name) for name in ("NaCl.cif", "SrTiO3.cif")]
        run = "from ase_e3dos.cli import main; main()"
        words = [sys.executable, "-W", "ignore", "-c", run, "predict", *files, "--plot", str(page)]
        subprocess.run(words, check=True, capture_output=True)
        open_page(driver, page, (1100, 880))
        for fault in faults(driver, 1100):
            sys.exit(f"the interactive page {fault}")
        save(driver, "page.png")


def save(driver: Any, name: str) -> None:
    """Write what is seen, with the few colours that such pages have."""
    from PIL import Image

    path = FIGURES / name
    driver.save_screenshot(str(path))
    with Image.open(path) as image:
        few = image.convert("RGB").quantize(128, dither=Image.Dither.NONE)
    few.save(path, optimize=True)
    print(f"{path.relative_to(DOCS.parent)}: {path.stat().st_size // 1000} kB")


def main() -> None:
    """Check all pages, then make the pictures; exit with 1 where pages have faults."""
    site = Path(sys.argv[1]) if len(sys.argv) > 1 else DOCS / "_build" / "html"
    if not (site / "gallery.html").is_file():
        sys.exit(f"{site}: there is no site. Build it: tox -e docs")
    with browser() as driver:
        found = check(driver, site)
        pictures(driver, site)
    for fault in found:
        print(fault)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
