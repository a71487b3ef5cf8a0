"""Settings of PyTorch that another program in the process made: MACE's float64, autocast, ..."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

# In a process of its own: what is loaded under these settings stays loaded. The weights are read,
# the networks made and run under them, and a training step is made of a new network.
SCRIPT = """
import contextlib, sys
import numpy as np, torch
from ase.build import bulk
{setting}
from ase_e3dos import predict
from ase_e3dos.plugins import get_registry

crystals = [bulk("NaCl", "rocksalt", a=5.64), bulk("Si", "diamond", a=5.43)]
found = {{}}
with {context}:
    for model in get_registry().models():
        found[model] = np.array([s.density for s in predict(crystals, model=model, device="cpu")])
    from ase_e3dos.encoders import MassOneHot
    from ase_e3dos.training.config import read_config
    from ase_e3dos.training.new_network import make_network
    for preset in ("paper", "default"):
        network = make_network(read_config(preset), MassOneHot())
        kinds = {{(str(t.dtype), t.device.type)
                  for t in [*network.parameters(), *network.buffers()] if t.is_floating_point()}}
        assert kinds == {{("torch.float32", "cpu")}}, kinds
np.savez(sys.argv[1], **found)
"""

SETTINGS = {
    "float64": ("torch.set_default_dtype(torch.float64)", "contextlib.nullcontext()"),
    "float16": ("torch.set_default_dtype(torch.float16)", "contextlib.nullcontext()"),
    "bfloat16": ("torch.set_default_dtype(torch.bfloat16)", "contextlib.nullcontext()"),
    "meta": ("torch.set_default_device('meta')", "contextlib.nullcontext()"),
    "autocast": ("", "torch.autocast('cpu', torch.bfloat16)"),
}


def predicted(tmp_path, setting: str = "", context: str = "contextlib.nullcontext()"):
    script = SCRIPT.format(setting=setting, context=context)
    path = tmp_path / "found.npz"
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, path], capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr[-2000:]
    return np.load(path)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return predicted(tmp_path_factory.mktemp("plain"))


@pytest.mark.parametrize("name", SETTINGS)
def test_other_programs_settings_of_torch_do_not_enter_a_prediction(name, plain, tmp_path):
    found = predicted(tmp_path, *SETTINGS[name])
    assert set(found) == set(plain) >= {"default", "paper", "imaginary", "alloy"}
    for model, density in plain.items():
        assert np.array_equal(found[model], density), model


def test_torch_is_left_as_it_was_set(rocksalt):
    import torch

    from ase_e3dos import predict
    from ase_e3dos.prediction.pipeline import Predictor

    torch.set_default_dtype(torch.float64)
    try:
        predictor = Predictor("paper", "cpu")
        assert torch.get_default_dtype() == torch.float64
        assert torch.empty(1).dtype == torch.float64
        with torch.autocast("cpu", torch.bfloat16):
            predict([rocksalt], model="paper", device="cpu")
            assert torch.is_autocast_enabled("cpu")
        assert predictor.model.members[0].embedding.dtype == torch.float32
    finally:
        torch.set_default_dtype(torch.float32)
