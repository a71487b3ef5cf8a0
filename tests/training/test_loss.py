"""Terms of the loss, against what they stand for."""

import numpy as np
import pytest
import torch
from ase.thermochemistry import HarmonicThermo
from ase.units import invcm

from ase_e3dos.data.labels import DEFAULT_GRID
from ase_e3dos.training.loss import LOW_TEMPERATURES, LossWeights, SiteLoss

LOW = SiteLoss(LossWeights(low_temperature=1.0))


def spectrum(center, width=15.0):
    weights = np.exp(-0.5 * ((DEFAULT_GRID - center) / width) ** 2)
    return torch.tensor(weights / weights.sum(), dtype=torch.float32)[None]


def heat_capacity(energy, temperature):
    """Of one mode in eV/K, from ASE's internal energy."""
    mode, step = HarmonicThermo([energy]), 0.01
    above, below = (mode.get_internal_energy(temperature + s, verbose=False) for s in (step, -step))
    return (above - below) / (2 * step)


def test_low_temperatures_compare_heat_capacities():
    p, q = spectrum(60.0), spectrum(70.0)
    logs = []
    for t in LOW_TEMPERATURES:
        each = np.array([heat_capacity(e, t) if e > 0 else 0.0 for e in DEFAULT_GRID * invcm])
        logs.append(np.log((p.numpy() @ each) / (q.numpy() @ each)).item())
    assert min(logs) > 0.1  # beyond beta: the loss is |x| - beta / 2
    assert LOW.low_temperatures(p, q).item() == pytest.approx(np.mean(logs) - 0.05, rel=1e-4)


def test_low_temperatures_are_of_stable_crystals_that_have_low_modes():
    p, soft, hard = spectrum(60.0), spectrum(-120.0) * 0.5 + spectrum(80.0) * 0.5, spectrum(900.0)
    plain = SiteLoss(LossWeights())
    for q in (soft, hard, p):
        assert torch.equal(LOW.raw(p, q, None), plain.raw(p, q, None))
    assert LOW.raw(p, spectrum(70.0), None) > plain.raw(p, spectrum(70.0), None)
