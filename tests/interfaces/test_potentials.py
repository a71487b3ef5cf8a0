"""Potentials that change the settings of PyTorch, and predictions after them."""

from __future__ import annotations

import numpy as np
import pytest

from ase_e3dos import predict


def test_relaxed_with_mace_in_float64_and_predicted(rocksalt) -> None:
    """MACE sets PyTorch's default type to float64, and leaves it so."""
    torch = pytest.importorskip("torch")
    mace = pytest.importorskip("mace.calculators", reason="mace-torch is not installed")
    from ase.filters import FrechetCellFilter
    from ase.optimize import FIRE

    (expected,) = predict([rocksalt], device="cpu")
    try:
        rocksalt.calc = mace.mace_mp("small", device="cpu", default_dtype="float64")
    except Exception as error:  # noqa: BLE001 - its weights are downloaded
        pytest.skip(f"MACE has no weights here: {error}")
    try:
        FIRE(FrechetCellFilter(rocksalt), logfile=None).run(fmax=0.05, steps=20)
        assert torch.get_default_dtype() == torch.float64
        (found,) = predict([rocksalt], device="cpu")
    finally:
        torch.set_default_dtype(torch.float32)
    assert abs(found.mean_wavenumber / expected.mean_wavenumber - 1) < 0.2
    assert np.isfinite(found.density).all()
