"""Potentials that work in double precision, and predictions after them in the same process."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms

from ase_e3dos import predict


def mace_calculator() -> object:
    """MACE's calculator in float64 with a small network that nobody trained.

    Its weights are downloaded, which tests do not do; the code that runs is the same. The repulsion
    of the nuclei (ZBL), which needs no training, keeps the atoms apart.
    """
    import torch

    torch.serialization.add_safe_globals([slice])  # which the e3nn that MACE pins has to load
    pytest.importorskip("mace", reason="mace-torch is not installed (tox -e float64)")
    import mace.modules
    from e3nn import o3
    from mace.calculators import MACECalculator
    from mace.tools import torch_tools

    torch_tools.set_default_dtype("float64")  # as MACE's own scripts do
    torch.manual_seed(0)
    network = mace.modules.ScaleShiftMACE(
        r_max=4.0,
        num_bessel=4,
        num_polynomial_cutoff=5,
        max_ell=2,
        interaction_cls=mace.modules.RealAgnosticResidualInteractionBlock,
        interaction_cls_first=mace.modules.RealAgnosticInteractionBlock,
        num_interactions=2,
        num_elements=2,
        hidden_irreps=o3.Irreps("8x0e + 8x1o"),
        MLP_irreps=o3.Irreps("8x0e"),
        atomic_energies=np.zeros(2),
        avg_num_neighbors=18,
        atomic_numbers=[11, 17],
        correlation=2,
        gate=torch.nn.functional.silu,
        atomic_inter_scale=50.0,
        atomic_inter_shift=0.0,
        pair_repulsion=True,
    )
    return MACECalculator(models=[network], device="cpu", default_dtype="float64")


def test_relaxed_with_mace_in_float64_and_predicted(rocksalt: Atoms) -> None:
    """MACE leaves PyTorch's default type at float64, and the prediction is what it is without."""
    import torch
    from ase.optimize import BFGS

    (before,) = predict([rocksalt], device="cpu")
    relaxed = rocksalt.copy()
    relaxed.rattle(0.1, seed=1)
    try:
        relaxed.calc = mace_calculator()
        forces = relaxed.get_forces()
        BFGS(relaxed, logfile=None).run(fmax=0.1 * np.abs(forces).max(), steps=20)
        assert forces.dtype == np.float64
        assert np.abs(relaxed.get_forces()).max() < np.abs(forces).max()
        assert torch.get_default_dtype() == torch.float64
        (after,) = predict([rocksalt], device="cpu")
        (of_relaxed,) = predict([relaxed], device="cpu")
    finally:
        torch.set_default_dtype(torch.float32)
    assert np.array_equal(after.density, before.density)
    (alone,) = predict([relaxed], device="cpu")
    assert np.array_equal(of_relaxed.density, alone.density)
