from __future__ import annotations

import numpy as np
import pytest
from e3dos_thermochemistry import joint_errors
from e3dos_thermochemistry.error_bars import SAME_COMPOSITION, half_width
from e3dos_thermochemistry.errors import ThermochemistryError

from ase_e3dos.errors import SpectrumError


def _half(spectrum, quantity, t):
    low, high = spectrum.interval(quantity, 0.9, t)
    return (high - low) / 2


def test_errors_of_different_compounds_add_as_independent_ones(predicted):
    pair = [predicted["MgO"], predicted["CaO"]]
    a, b = (_half(s, "free_energy", 300.0) for s in pair)
    for errors, expected in (
        ("measured", np.hypot(a, b)),
        ("independent", np.hypot(a, b)),
        ("together", abs(a - b)),
    ):
        found = half_width(joint_errors(pair, errors), "free_energy", [300.0], [1, -1])
        # Half widths are interpolated between temperatures, to one or two thousandths.
        assert found == pytest.approx(expected, rel=3e-3, abs=1e-6)


def test_errors_of_one_crystal_cancel_and_of_polymorphs_half(predicted, rocksalt):
    from ase_e3dos import predict

    same = [predicted["MgO"], predicted["MgO"]]
    assert half_width(joint_errors(same), "entropy", [300.0], [1, -1]) == pytest.approx(0, abs=1e-6)
    strained = rocksalt["MgO"].copy()
    strained.scale_lattice(strained.volume * 1.06)
    pair = [predicted["MgO"], predict(strained)[0]]
    a, b = (_half(s, "free_energy", 298.15) for s in pair)
    expected = np.sqrt(a**2 + b**2 - 2 * SAME_COMPOSITION * a * b)
    found = half_width(joint_errors(pair), "free_energy", [298.15], [1, -1])
    assert found == pytest.approx(expected, rel=3e-3)


def test_third_law_and_anchor(predicted):
    model = joint_errors([predicted["CaO"]])
    assert half_width(model, "entropy", [0.0], [1]) == 0
    anchored = half_width(model, "anchored", [298.15, 1000.0], [1])
    assert anchored[0] == pytest.approx(
        0.29815 * _half(predicted["CaO"], "entropy", 298.15), rel=1e-3
    )
    assert anchored[1] > anchored[0]


class OneNetwork:
    """A spectrum with calibrated intervals and no ensemble behind it."""

    members = None

    def __init__(self, spectrum):
        self.crystal, self._spectrum = spectrum.crystal, spectrum

    def __getattr__(self, name):
        return getattr(self._spectrum, name)


def test_intervals_without_an_ensemble_do(predicted):
    pair = [OneNetwork(predicted[name]) for name in ("MgO", "CaO")]
    with_ensemble = joint_errors([predicted["MgO"], predicted["CaO"]])
    assert half_width(joint_errors(pair), "anchored", [800.0], [1, -1]) == pytest.approx(
        half_width(with_ensemble, "anchored", [800.0], [1, -1])
    )
    with pytest.raises(SpectrumError, match="ensemble"):
        joint_errors(pair, "members")


def test_without_calibration_there_are_no_bars_and_without_an_ensemble_no_members(debye, rocksalt):
    spectrum = debye(rocksalt["MgO"], 700.0)
    assert joint_errors([spectrum]) is None
    with pytest.raises(SpectrumError, match="ensemble"):
        joint_errors([spectrum], "members")
    with pytest.raises(ThermochemistryError, match="measured"):
        joint_errors([spectrum], "guessed")
