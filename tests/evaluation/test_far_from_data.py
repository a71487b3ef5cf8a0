"""The shipped model is less sure of strained cells and of random atoms, and says so."""

from __future__ import annotations

import importlib.util
import warnings
from pathlib import Path

import pytest

from ase_e3dos import predict
from ase_e3dos.prediction.pipeline import load_predictor

SCRIPT = Path(__file__).parents[2] / "docs" / "benchmarks" / "far_from_data.py"


@pytest.fixture(scope="module")
def far():
    if not SCRIPT.is_file():
        pytest.skip("the documentation's scripts are not in this copy")
    spec = importlib.util.spec_from_file_location("far_from_data", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_uncertainty_rises_with_the_distance_from_the_data(far, default_model):
    if load_predictor(default_model).model.header.members < 2:
        pytest.skip("the installed default model is not an ensemble")
    crystals = [c for c in far.ordered_crystals() if c.n_sites <= 4]

    def summary(changed):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return far.summary(predict(changed, model=default_model))

    at_rest = summary(crystals)
    assert at_rest["warned"] == 0
    for strain in (-0.15, 0.15):
        changed = summary([far.strained(c, strain) for c in crystals])
        assert changed["spread"] > 2 * at_rest["spread"]
    random = summary([far.scrambled(c) for c in crystals if c.n_sites > 1])
    assert random["spread"] > 2 * at_rest["spread"]
    assert random["warned"] > 0.5
