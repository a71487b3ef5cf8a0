"""The built site in a browser: E3DOS_SITE names the folder of `tox -e docs` (docs/_build/html)."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"
SITE = Path(os.environ.get("E3DOS_SITE", DOCS / "_build/html"))
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
    "theory/network.html",
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (SITE / "index.html").exists(), reason="the site is not built"),
]


@pytest.fixture(scope="module")
def screens() -> Any:
    """docs/screenshots.py, which makes the pictures of the pages, too."""
    pytest.importorskip("selenium", reason="selenium is not installed")
    spec = importlib.util.spec_from_file_location("screenshots", DOCS / "screenshots.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def browser(screens: Any) -> Iterator[Any]:
    try:
        with screens.browser() as driver:
            yield driver
    except FileNotFoundError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("screen", [(1440, 1000), (390, 844)])
def test_pages_have_no_errors_no_overflow_and_need_no_network(
    screens: Any, browser: Any, screen: tuple[int, int], theme: str
) -> None:
    for page in PAGES:
        screens.open_page(browser, SITE / page, screen, theme)
        assert screens.faults(browser, screen[0]) == [], page
