"""Weights of third parties, made here by changing the headers of shipped ones."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from ase.build import bulk
from typer.testing import CliRunner

from ase_e3dos import predict
from ase_e3dos.cli import build_app
from ase_e3dos.encoders import AlloyMultiHot, MassOneHot
from ase_e3dos.errors import EncoderError, WeightsError
from ase_e3dos.plugins import EncoderSpec, ModelSpec, get_registry, hookimpl

pytestmark = pytest.mark.filterwarnings("ignore::ase_e3dos.errors.E3DOSWarning")


class Scaled(AlloyMultiHot):
    """Equation 1 in another unit of mass, which the weights were trained with or not."""

    name = "scaled"

    def __init__(self, scale: float = 1.0) -> None:
        self.scale = scale

    def settings(self):
        return {"scale": self.scale}

    def encode_batch(self, crystals):
        return super().encode_batch(crystals) * np.float32(self.scale)

    def encode(self, crystal):
        return self.encode_batch([crystal])


class Lookalike(MassOneHot):
    name = "lookalike"


class ThirdParty:
    """Offers the encoders, and a model whose weights are written later."""

    def __init__(self) -> None:
        self.path: object = None

    def weights(self) -> object:
        return self.path

    @hookimpl
    def ase_e3dos_encoders(self):
        yield EncoderSpec(name="scaled", factory=Scaled, accepts_mixed=True)
        yield EncoderSpec(name="lookalike", factory=Lookalike)

    @hookimpl
    def ase_e3dos_models(self):
        yield ModelSpec(name="theirs", weights=self.weights, encoder="scaled")


@pytest.fixture
def third_party():
    """A fresh object each time: what was loaded for another one is not used again."""
    plugin, registry = ThirdParty(), get_registry()
    registry.register(plugin)
    yield plugin
    registry.unregister(plugin)


@pytest.fixture(scope="module")
def shipped():
    from ase_e3dos.network.weights import load_weights

    registry = get_registry()
    if "paper" not in registry.models():
        pytest.skip("the model 'paper' is not there")
    return load_weights(registry.model("paper").weights_path())


def written(path, shipped, **changes):
    from ase_e3dos.network.weights import save_weights

    header, members = shipped
    save_weights(path, replace(header, **changes), members)
    return path


def test_model_gets_its_encoder_with_the_settings_it_was_trained_with(
    third_party, shipped, tmp_path
):
    salt = bulk("NaCl", "rocksalt", a=5.64)
    expected = predict(salt, model="paper", device="cpu")[0].density

    def trained(scale: float, model: object) -> np.ndarray:
        settings = {"scale": scale}
        written(path, shipped, encoder="scaled", encoder_settings=settings)
        return predict(salt, model=model, device="cpu")[0].density

    path = third_party.path = tmp_path / "theirs.safetensors"
    np.testing.assert_array_equal(trained(1.0, "theirs"), expected)
    # the same path, written anew
    assert np.abs(trained(2.0, path) - expected).max() > 0.05 * expected.max()
    np.testing.assert_array_equal(trained(1.0, path), expected)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"encoder": "mass_one_hot"}, "its plug-in says .* 'scaled', its weights file"),
        ({"encoder": "scaled", "encoder_version": 2}, "trained with version 2 of the encoder"),
        ({"encoder": "scaled", "encoder_settings": {}}, r"settings \{\} of the encoder 'scaled'"),
    ],
)
def test_weights_that_do_not_fit_their_encoder_are_refused(
    third_party, shipped, tmp_path, changes, match
):
    third_party.path = written(tmp_path / "theirs.safetensors", shipped, **changes)
    with pytest.raises(WeightsError, match=match):
        predict(bulk("Cu"), model="theirs", device="cpu")


def test_weights_whose_encoder_is_not_installed(shipped, tmp_path):
    path = written(tmp_path / "lost.safetensors", shipped, encoder="lost")
    with pytest.raises(EncoderError, match="no installed plug-in offers the encoder 'lost'"):
        predict(bulk("Cu"), model=path, device="cpu")


def test_an_encoder_of_the_same_size_that_serves_no_such_model_is_refused(third_party):
    with pytest.raises(EncoderError, match="trained with the encoder 'mass_one_hot', and 'look"):
        predict(bulk("Cu"), model="paper", encoder="lookalike", device="cpu")
    alike = predict(bulk("Cu"), model="paper", encoder="alloy_multi_hot", device="cpu")[0]
    own = predict(bulk("Cu"), model="paper", device="cpu")[0]
    np.testing.assert_array_equal(alike.density, own.density)


def test_prediction_says_whose_encoder_failed(third_party, shipped, tmp_path):
    settings = {"scale": "large"}  # np.multiply will not have it
    path = written(tmp_path / "w.safetensors", shipped, encoder="scaled", encoder_settings=settings)
    with pytest.raises(
        EncoderError, match=r"the encoder 'scaled' of .* fails for .*Cu.*ValueError"
    ):
        predict(bulk("Cu"), model=path, device="cpu")


def test_list_of_models_says_which_are_unusable(third_party, shipped, tmp_path):
    path = written(tmp_path / "whole.safetensors", shipped)
    damaged = bytearray(path.read_bytes())
    damaged[-100] ^= 1
    (tmp_path / "damaged.safetensors").write_bytes(damaged)
    written(tmp_path / "orphan.safetensors", shipped, encoder="lost")
    names = ("whole", "damaged", "orphan", "absent")

    class Models:
        @hookimpl
        def ase_e3dos_models(self):
            for name in names:
                yield ModelSpec(name=name, weights=tmp_path / f"{name}.safetensors")

    plugin, registry = Models(), get_registry()
    registry.register(plugin, "four")
    try:
        result = CliRunner().invoke(build_app(), ["models", "--json"])
        table = CliRunner().invoke(build_app(), ["models"]).stdout
    finally:
        registry.unregister(plugin)
    rows = {row["name"]: row for row in json.loads(result.stdout)}
    assert rows["paper"]["status"] == rows["whole"]["status"] == "ready"
    assert rows["paper"]["distribution"] == "ase-e3dos"
    assert rows["whole"]["distribution"] == "four (registered by hand)"
    assert rows["theirs"]["status"] == "fetched on first use"
    for name, reason in zip(names[1:], ("checksum", "'lost'", "no weights file"), strict=True):
        assert rows[name]["status"] == "unusable"
        assert reason in rows[name]["error"]
        assert f"{name} is unusable: " in table
