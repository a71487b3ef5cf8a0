"""A network that is alone, and the model beside it that its error bars come from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from ase.build import bulk

from ase_e3dos import predict
from ase_e3dos.errors import E3DOSWarning, SpectrumError, WeightsError
from ase_e3dos.network.force_constants import ForceConstantNetwork, ForceConstantSettings
from ase_e3dos.network.weights import (
    GridHeader,
    WeightsHeader,
    read_header,
    replace_header,
    save_weights,
    weights_digest,
)
from ase_e3dos.plugins import get_registry
from ase_e3dos.spectrum.spread_fit import fit_spread
from ase_e3dos.spectrum.uncertainty import Calibration
from ase_e3dos.structures.masses import STANDARD_MASSES

SALTS = [bulk("NaCl", "rocksalt", a=5.64), bulk("MgO", "rocksalt", a=4.21)]


def beside() -> dict[str, str]:
    default = get_registry().resolve_model("default").weights_path()
    return {"model": "default", "sha256": weights_digest(default)}


@pytest.fixture
def weights(tmp_path: Path) -> Callable[..., Path]:
    """A network of force constants with random weights and what a header says."""

    def write(**header: object) -> Path:
        torch.manual_seed(4)
        settings = ForceConstantSettings(
            scalars=16, vectors=8, message_scalars=8, message_vectors=4, hidden=16, reach=3.6,
            n_negative=0,
        )  # fmt: skip
        masses = torch.tensor(STANDARD_MASSES[1:], dtype=torch.float32)
        network = ForceConstantNetwork(settings, masses)
        content = WeightsHeader(
            network="force-constants", settings=asdict(settings), members=1,
            grid=GridHeader(-395.0, 10.0, 480), encoder="mass_one_hot", encoder_version=1,
            sources=["a", "b", "c"],
        )  # fmt: skip
        path = tmp_path / "springs.safetensors"
        save_weights(path, replace(content, **header), [network.state_dict()])
        return path

    return write


def calibration() -> dict[str, object]:
    """Errors as large as the spreads, whatever the crystal."""
    rng = np.random.default_rng(2)
    spreads = rng.uniform(1, 30, 200)
    model = fit_spread(spreads * rng.normal(size=200), spreads)
    return Calibration({"mean_wavenumber": {0.0: model}}).to_dict()


def test_error_bars_are_the_difference_to_the_companion(weights: Callable[..., Path]) -> None:
    path = weights(companion=beside(), calibration=calibration())
    found = predict(SALTS, model=path)
    alone = predict(SALTS, model=path, uncertainty=False)
    theirs = predict(SALTS, model="default")
    for own, single, other in zip(found, alone, theirs, strict=True):
        assert np.array_equal(own.density, single.density)  # no part of the prediction
        assert own.members is not None
        # All but the lowest bins, which obey the velocity of sound.
        for member, density in zip(own.members, (own.density, other.density), strict=True):
            assert np.abs(member - density).sum() < 0.02 * density.sum()
        difference = abs(own.mean_wavenumber - other.mean_wavenumber)
        assert own.spread("mean_wavenumber") == pytest.approx(difference / np.sqrt(2), rel=0.02)
        low, high = own.interval("mean_wavenumber")
        assert low < own.mean_wavenumber < high
    with pytest.raises(SpectrumError, match="no ensemble"):
        alone[0].interval("mean_wavenumber")


def test_beside_other_weights_there_are_no_error_bars(weights: Callable[..., Path]) -> None:
    for companion in ({**beside(), "sha256": "0" * 64}, {"model": "nobody", "sha256": "0" * 64}):
        path = weights(companion=companion, calibration=calibration())
        with pytest.warns(E3DOSWarning, match="no error bars here"):
            (spectrum,) = predict(SALTS[:1], model=path)
        assert spectrum.members is None
    path = weights(companion=beside(), grid=GridHeader(-395.0, 20.0, 480))
    with pytest.raises(WeightsError, match="another grid"):
        predict(SALTS[:1], model=path)


def test_another_header_leaves_the_tensors_alone(weights: Callable[..., Path]) -> None:
    path = weights()
    before = path.read_bytes()
    replace_header(path, replace(read_header(path), description="the same"))
    after = path.read_bytes()
    assert read_header(path).description == "the same"

    def tensors(content: bytes) -> bytes:
        return content[8 + int.from_bytes(content[:8], "little") :]

    assert tensors(before) == tensors(after)
    path.write_bytes(after[:-4] + b"\0\0\0\1")
    with pytest.raises(WeightsError, match="checksum"):
        replace_header(path, read_header(path))


def test_the_model_that_ships_was_calibrated_beside_the_one_that_ships() -> None:
    shipped = get_registry().resolve_model("force-constants").weights_path()
    assert read_header(shipped).companion == beside()
