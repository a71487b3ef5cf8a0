"""Shipped accuracy is held: spectra of ten crystals by every model, to 1e-3 of their maximum."""

from __future__ import annotations

import json

import numpy as np
import pytest
from spectra_of_models import FILE, NUMBERS, shape, shipped, spectra

GOLDEN = json.loads(FILE.read_text(encoding="utf-8"))
AGAIN = "if the weights are meant to differ: python tests/golden/spectra_of_models.py"


def test_every_shipped_model_is_there() -> None:
    assert set(GOLDEN) == set(shipped()), AGAIN


@pytest.mark.parametrize("model", GOLDEN)
def test_spectra_are_those_of_the_shipped_weights(model: str) -> None:
    golden = dict(GOLDEN[model])
    weights = golden.pop("weights")
    found = spectra(model)
    assert set(found) == set(golden)
    for name, spectrum in found.items():
        assert spectrum.weights == weights, AGAIN
        wanted = golden[name]
        error = np.abs(shape(spectrum) - np.array(wanted["density"]) / 1e5).max()
        assert error < 1e-3, (name, AGAIN)
        for quantity, value in NUMBERS.items():
            expected = pytest.approx(wanted[quantity], rel=1e-3, abs=1e-4)
            assert value(spectrum) == expected, (name, quantity)
