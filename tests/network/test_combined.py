"""The model `combined`: what the shipped networks say, in the shares that it states."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk, molecule

from ase_e3dos import predict
from ase_e3dos.errors import WeightsError
from ase_e3dos.network.construction import build_network
from ase_e3dos.network.ensemble import Model
from ase_e3dos.network.weights import load_weights, read_header, save_weights
from ase_e3dos.plugins import get_registry

CELLS = [
    bulk("MgO", "rocksalt", a=4.21),
    bulk("Si"),
    bulk("ZnO", "wurtzite", a=3.25, c=5.2),
]


def test_spectra_are_three_quarters_force_constants_and_all_else_is_default() -> None:
    together = predict(CELLS, model="combined")
    constants = predict(CELLS, model="force-constants")
    default = predict(CELLS, model="default")
    for one, other, both in zip(constants, default, together, strict=True):
        above = both.wavenumbers > 80  # below, the sound velocity of default sets the law
        expected = 0.75 * one.density + 0.25 * other.density
        assert np.allclose(both.density[above], expected[above], atol=3e-3 * expected.max())
        assert both.sound_velocity == pytest.approx(other.sound_velocity, rel=1e-5)
        assert np.allclose(both.u_tensor(300.0), other.u_tensor(300.0), rtol=1e-4, atol=1e-7)
    assert together[0].instability == pytest.approx(default[0].instability, rel=1e-4)


def test_members_mean_the_prediction_and_spread_as_the_networks_differ() -> None:
    (spectrum,) = predict([CELLS[0]], model="combined")
    assert spectrum.members is not None
    assert np.allclose(spectrum.members.mean(0), spectrum.density, rtol=1e-4, atol=1e-7)
    means = [
        predict([CELLS[0]], model=m)[0].mean_wavenumber for m in ("force-constants", "default")
    ]
    apart = abs(means[0] - means[1])
    # The standard deviation of two values in shares of 3/4 and 1/4, and a little of the heads.
    assert spectrum.spread("mean_wavenumber") >= np.sqrt(3) / 4 * apart * 0.95


def test_a_molecule_in_a_box_is_no_failure() -> None:
    water = molecule("H2O", vacuum=5.0, pbc=True)
    (spectrum,) = predict([water], model="combined")
    assert np.isfinite(spectrum.density).all()


def test_impossible_shares_and_sizes_are_refused(tmp_path: Path) -> None:
    header, _ = load_weights(get_registry().resolve_model("combined").weights_path())
    with pytest.raises(WeightsError, match="quarters"):
        build_network(replace(header, settings={**header.settings, "quarters": 4}))
    site = {**header.settings["site"], "n_features": 7}
    with pytest.raises(WeightsError, match="same features"):
        build_network(replace(header, settings={**header.settings, "site": site}))
    deep = {**header.settings, "site": {"scalars": {"scalars": 3}}}
    save_weights(tmp_path / "deep.safetensors", replace(header, settings=deep), [{}])
    with pytest.raises(WeightsError, match="scalars"):
        Model.load(tmp_path / "deep.safetensors", "cpu")


def test_parts_are_there_and_the_ones_it_was_made_of(tmp_path: Path) -> None:
    file = get_registry().resolve_model("combined").weights_path()
    alone = Path(shutil.copy(file, tmp_path))
    with pytest.raises(WeightsError, match="not beside it"):
        load_weights(alone)
    for name in ("default", "force-constants"):
        shutil.copy(file.with_name(f"{name}.safetensors"), tmp_path)
    assert len(load_weights(alone)[1][0]) > 100
    header, states = load_weights(tmp_path / "default.safetensors")
    save_weights(tmp_path / "default.safetensors", replace(header, description="other"), states)
    with pytest.raises(WeightsError, match="not the file that it was made of"):
        load_weights(alone)
    for name in ("../default.safetensors", "/etc/passwd", "default.pt"):
        parts = {"site": {"file": name, "sha256": ""}}
        save_weights(alone, replace(read_header(file), parts=parts), [{}])
        with pytest.raises(WeightsError, match="parts"):
            load_weights(alone)
