"""Errors by sign and verdicts on spectra that are known by construction."""

from __future__ import annotations

import numpy as np
import pytest

from ase_e3dos.data.labels import IMAGINARY_GRID
from ase_e3dos.evaluation.stability import Stability, roc_area, roc_interval, verdict_curves

BELOW = IMAGINARY_GRID < 0


def verdicts(predicted_share, reference_share, predicted=None, reference=None) -> Stability:
    n = len(predicted_share)
    flat = np.ones((n, len(IMAGINARY_GRID)))
    return Stability(
        "m",
        [f"X{i}" for i in range(n)],
        IMAGINARY_GRID,
        flat if predicted is None else predicted,
        flat if reference is None else reference,
        np.array(predicted_share),
        np.array(reference_share),
    )


def test_errors_are_told_apart_by_sign():
    reference = np.ones((2, len(IMAGINARY_GRID)))
    predicted = np.where(BELOW, 0.5, 0.9) * reference
    found = verdicts([0, 0], [0, 0.1], predicted, reference)
    section = found.section()
    assert section["MSE_negative"] == pytest.approx(0.25)
    assert section["MSE_positive"] == pytest.approx(0.01)
    assert section["MSE_negative_of_nothing"] == pytest.approx(1.0)


def test_examples_come_by_their_weight_below_zero():
    reference = np.outer([0.1, 0.3, 0.0, 0.2], BELOW) + 1.0 * ~BELOW
    assert verdicts([0] * 4, [0] * 4, None, reference).order().tolist() == [1, 3, 0, 2]


def test_verdicts_at_one_percent():
    section = verdicts([0.02, 0.02, 0.0, 0.0, 0.0], [0.5, 0.0, 0.5, 0.0, 0.005]).section()
    assert section["n_unstable"] == 2
    assert section["precision"] == 0.5
    assert section["recall"] == 0.5
    assert section["leak"] == pytest.approx(0.01)  # of the two that have none


def test_curves_pass_through_every_verdict():
    score, positive = [0.9, 0.8, 0.8, 0.1, 0.0], [True, True, False, True, False]
    thresholds, alarms, recall, precision = verdict_curves(score, positive)
    np.testing.assert_allclose(thresholds, [0.9, 0.8, 0.1, 0.0])
    np.testing.assert_allclose(alarms, [0, 0.5, 0.5, 1])
    np.testing.assert_allclose(recall, [1 / 3, 2 / 3, 1, 1])
    np.testing.assert_allclose(precision, [1, 2 / 3, 3 / 4, 3 / 5])
    # ties count half in the area, as straight pieces of the curve do
    area = np.trapezoid([0, *recall], [0, *alarms])
    assert area == pytest.approx(roc_area(score, positive))


def test_interval_of_the_area():
    rng = np.random.default_rng(3)
    positive = np.arange(200) < 20
    score = rng.normal(size=200) + 1.0 * positive  # area 0.76 by theory
    low, high = roc_interval(score, positive)
    assert low < roc_area(score, positive) < high
    assert low < 0.7602 < high
    assert 0.1 < high - low < 0.4
    assert roc_interval([1, 1, 0, 0], [True, True, False, False]) == (1.0, 1.0)
