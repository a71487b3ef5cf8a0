"""Weights files: what is written comes back, and what is damaged or foreign is refused."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ase.build import bulk
from safetensors import safe_open
from safetensors.torch import save_file

from ase_e3dos.errors import E3DOSError, WeightsError
from ase_e3dos.network.ensemble import Model
from ase_e3dos.network.site import SiteNetwork
from ase_e3dos.network.site_trunk import SiteSettings
from ase_e3dos.network.weights import (
    GridHeader,
    WeightsHeader,
    load_weights,
    read_header,
    save_weights,
)

SETTINGS = SiteSettings(n_bins=20, scalars=16, vectors=4, hidden=16)


@pytest.fixture
def header() -> WeightsHeader:
    network = SiteNetwork(SETTINGS)
    return WeightsHeader(
        network="site",
        settings=network.config(),
        members=2,
        grid=GridHeader(5.0, 10.0, 20),
        encoder="mass_one_hot",
        encoder_version=1,
        sources=["dfpt", "jarvis", "mlip"],
        elements={"11": 30, "17": 31},
        trained_on={"some.parquet": "0" * 64},
        licence="CC-BY-4.0",
    )


@pytest.fixture
def networks() -> list[SiteNetwork]:
    return [SiteNetwork(SETTINGS), SiteNetwork(SETTINGS)]


@pytest.fixture
def file(tmp_path: Path, header: WeightsHeader, networks: list[SiteNetwork]) -> Path:
    path = tmp_path / "small.safetensors"
    save_weights(path, header, [n.state_dict() for n in networks])
    return path


def test_round_trip(
    file: Path, header: WeightsHeader, networks: list[SiteNetwork], batch_of: Callable[..., Any]
) -> None:
    loaded, states = load_weights(file)
    assert loaded == header == read_header(file)
    for network, state in zip(networks, states, strict=True):
        assert {k: v.tolist() for k, v in state.items()} == {
            k: v.tolist() for k, v in network.state_dict().items()
        }
    batch = batch_of(bulk("Cu"), self_edges=False)
    before = Model(header, list(networks), torch.device("cpu")).densities(batch, ["Cu"])
    after = Model.load(file, "cpu").densities(batch, ["Cu"])
    np.testing.assert_array_equal(after.members, before.members)


def test_the_same_weights_are_the_same_file(
    tmp_path: Path, header: WeightsHeader, networks: list[SiteNetwork]
) -> None:
    """The library writes its two keys of metadata in random order."""
    states = [n.state_dict() for n in networks]
    contents = set()
    for _ in range(12):
        save_weights(tmp_path / "w.safetensors", header, states)
        contents.add((tmp_path / "w.safetensors").read_bytes())
    assert len(contents) == 1


def test_a_grid_survives_in_full(file: Path) -> None:
    np.testing.assert_array_equal(read_header(file).grid.wavenumbers, 5.0 + 10.0 * np.arange(20))


@pytest.mark.parametrize("keep", [0, 4, 100, 0.5, -1])
def test_truncated_file_is_refused(file: Path, keep: float) -> None:
    content = file.read_bytes()
    size = keep if isinstance(keep, int) else int(keep * len(content))
    file.write_bytes(content[:size])
    with pytest.raises(WeightsError, match=str(file.name)):
        load_weights(file)


def test_a_changed_number_is_refused(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-3] ^= 0x01
    file.write_bytes(content)
    with pytest.raises(WeightsError, match="checksum"):
        load_weights(file)


def rewritten(file: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """The same tensors and checksum, another header."""
    with safe_open(file, framework="pt") as handle:
        metadata = dict(handle.metadata())
        tensors = {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118
    content = json.loads(metadata["ase_e3dos"])
    change(content)
    save_file(tensors, file, metadata=metadata | {"ase_e3dos": json.dumps(content, sort_keys=True)})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda h: h["grid"].update(step=11.0), "checksum"),
        (lambda h: h["elements"].update({"92": 5}), "checksum"),
        (lambda h: h.update(format="ase-e3dos-weights/99"), "Update ase-e3dos"),
        (lambda h: h.pop("grid"), "not one of ase-e3dos"),
        (lambda h: h["grid"].update(n=-3), "impossible sizes"),
    ],
)
def test_a_changed_header_is_refused(
    file: Path, change: Callable[[dict[str, Any]], None], message: str
) -> None:
    rewritten(file, change)
    with pytest.raises(WeightsError, match=message):
        load_weights(file)


def test_foreign_safetensors_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "foreign.safetensors"
    save_file({"weight": torch.ones(3)}, path)
    for read in (load_weights, read_header):
        with pytest.raises(WeightsError, match="not one of ase-e3dos"):
            read(path)


class Bomb:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("write", [torch.save, lambda o, p: p.write_bytes(pickle.dumps(o))])
@pytest.mark.parametrize("ending", [".safetensors", ".pt"])
def test_a_pickle_is_refused_and_never_run(
    tmp_path: Path, write: Callable[[Any, Path], None], ending: str
) -> None:
    mark = tmp_path / "was run"
    path = tmp_path / f"model{ending}"
    write(Bomb(mark), path)
    for read in (load_weights, read_header, Model.load):
        with pytest.raises(WeightsError, match="not a readable safetensors file"):
            read(path)
    assert not mark.exists()
    with path.open("rb") as stream:  # the bomb was live
        torch.load(stream, weights_only=False) if write is torch.save else pickle.load(stream)
    assert mark.exists()


def test_tensors_that_do_not_fit_the_settings_are_refused(
    tmp_path: Path, header: WeightsHeader, networks: list[SiteNetwork]
) -> None:
    path = tmp_path / "misfit.safetensors"
    states = [n.state_dict() for n in networks]
    save_weights(path, replace(header, settings=header.settings | {"hidden": 32}), states)
    with pytest.raises(WeightsError, match="do not fit"):
        Model.load(path)
    save_weights(path, replace(header, settings=header.settings | {"colour": 3}), states)
    with pytest.raises(WeightsError, match="settings that do not fit"):
        Model.load(path)
    save_weights(path, replace(header, network="transformer"), states)
    with pytest.raises(WeightsError, match="transformer"):
        Model.load(path)


def test_saving_refuses_what_could_not_be_used(
    tmp_path: Path, header: WeightsHeader, networks: list[SiteNetwork]
) -> None:
    path = tmp_path / "never.safetensors"
    states = [n.state_dict() for n in networks]
    with pytest.raises(WeightsError, match="1 networks given"):
        save_weights(path, header, states[:1])
    broken = dict(states[0])
    broken["read_out.bias"] = torch.full_like(broken["read_out.bias"], float("nan"))
    with pytest.raises(WeightsError, match="not finite"):
        save_weights(path, header, [broken, states[1]])
    assert not list(tmp_path.iterdir())


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(E3DOSError, match="no such weights file"):
        load_weights(tmp_path / "nothing.safetensors")


def test_half_precision_halves_the_file_and_keeps_the_function(
    tmp_path: Path, header: WeightsHeader, networks: list[SiteNetwork], file: Path
) -> None:
    small = tmp_path / "half.safetensors"
    states = [n.state_dict() for n in networks]
    save_weights(small, header, states, half=True)
    assert small.stat().st_size < 0.6 * file.stat().st_size
    for state, back in zip(states, load_weights(small)[1], strict=True):
        for name, value in state.items():
            assert back[name].dtype == torch.float32
            rounding = 0.0 if value.dim() < 2 else 2.0**-11
            torch.testing.assert_close(back[name], value, rtol=rounding, atol=1e-7)
    huge = {k: v * 1e6 for k, v in states[0].items()}
    with pytest.raises(WeightsError, match="not finite"):
        save_weights(small, header, [huge, states[1]], half=True)
