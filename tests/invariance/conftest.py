"""Predictors, and a table of the largest deviations at the end."""

from __future__ import annotations

from typing import Any

import pytest
from random_crystals import WORST, random_weights

from ase_e3dos.plugins import get_registry
from ase_e3dos.prediction.pipeline import Predictor


@pytest.fixture(scope="session", params=["default", "paper"])
def predictor(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Predictor:
    """The shipped model; where its weights are absent, a network that was never trained."""
    name = request.param
    if name not in get_registry().models():
        kind = {"default": "site", "paper": "paper"}[name]
        name = random_weights(tmp_path_factory.mktemp("weights"), kind)
    return Predictor(name, device="cpu")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if not WORST:
        return
    terminalreporter.section("largest share of modes in other bins")
    for (network, what), distance in sorted(WORST.items()):
        terminalreporter.write_line(f"{network:8}{what:24}{distance:.1e}")
