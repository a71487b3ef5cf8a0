"""Plug-in export, the control network, experiments on data, the command line of training."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from ase.build import bulk
from typer.testing import CliRunner

import ase_e3dos
from ase_e3dos.cli import build_app
from ase_e3dos.crystal import Crystal
from ase_e3dos.errors import DataError, TrainingError
from ase_e3dos.network.cnn import GRID, DensityCNN, densities, translated
from ase_e3dos.network.weights import load_weights, read_header, save_weights
from ase_e3dos.plugins import PluginStatus, get_registry
from ase_e3dos.training.cnn_baseline import CNNSettings, train_cnn
from ase_e3dos.training.config import DataConfig, TrainingConfig
from ase_e3dos.training.ensemble import train_ensemble
from ase_e3dos.training.experiments import held_out_chemistry
from ase_e3dos.training.figures import find_histories, learning_curves
from ase_e3dos.training.plugin_export import export_plugin
from ase_e3dos.training.run import train


@pytest.fixture(scope="module")
def weights(data_dir, tmp_path_factory, tiny_configs):
    config = TrainingConfig.model_validate(tiny_configs["site"] | {"epochs": 1})
    folder = tmp_path_factory.mktemp("weights")
    return train(config, data_dir, None).save(folder / "w.safetensors")


def test_exported_plugin_is_installed_and_found(weights, tmp_path):
    """Installed as pip lays it out: package and metadata side by side on the path."""
    folder = export_plugin("my-model", weights, tmp_path)
    assert folder.name == "e3dos-model-my-model"
    assert "Licence: CC-BY-4.0" in (folder / "README.md").read_text()
    info = tmp_path / "site" / "e3dos_model_my_model-0.1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: e3dos-model-my-model\nVersion: 0.1.0\n"
    )
    (info / "entry_points.txt").write_text("[ase_e3dos]\nmy_model = e3dos_model_my_model\n")
    (folder / "e3dos_model_my_model").rename(tmp_path / "site" / "e3dos_model_my_model")
    code = (
        "from ase.build import bulk\n"
        "from ase_e3dos import predict\n"
        "s, = predict([bulk('Cu')], model='my-model')\n"
        "print(s.model, round(s.n_modes))"
    )
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env={"PYTHONPATH": str(tmp_path / "site"), "OMP_NUM_THREADS": "1", "PATH": "/usr/bin"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.stdout.split() == ["my-model", "3"], run.stderr


@pytest.mark.parametrize("name", ["", "1st", "a b", "../x", "class"])
def test_bad_names(name, weights, tmp_path):
    with pytest.raises(TrainingError, match="name of a model"):
        export_plugin(name, weights, tmp_path)


def test_a_package_that_is_there_is_kept(weights, tmp_path):
    export_plugin("twice", weights, tmp_path)
    with pytest.raises(TrainingError, match="already"):
        export_plugin("twice", weights, tmp_path)


def test_exported_plugin_depends_on_the_package_of_its_encoder(weights, tmp_path, monkeypatch):
    def dependencies(name: str, path: Path) -> list[str]:
        text = (export_plugin(name, path, tmp_path) / "pyproject.toml").read_text()
        return tomllib.loads(text)["project"]["dependencies"]

    own = f"ase-e3dos>={ase_e3dos.__version__}"
    assert dependencies("plain", weights) == [own]
    header, states = load_weights(weights)
    path = tmp_path / "w.safetensors"
    save_weights(path, replace(header, encoder="theirs"), states)
    with pytest.raises(TrainingError, match="no installed package offers it"):
        export_plugin("lost", path, tmp_path)
    assert not (tmp_path / "e3dos-model-lost").exists()
    rows = [
        *get_registry().status(),
        PluginStatus("theirs", "their-package", "2.1", "loaded", "", ("theirs",)),
    ]
    monkeypatch.setattr(type(get_registry()), "status", lambda self: rows)
    assert dependencies("theirs", path) == [own, "their-package>=2.1"]


def test_train_command_exports(data_dir, tiny_paper, tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text(yaml.safe_dump(tiny_paper | {"epochs": 1}))
    result = CliRunner().invoke(
        build_app(),
        ["train", str(file), "--data-dir", str(data_dir), "-o", str(tmp_path / "run"),
         "--export-plugin", "mine", "--set", "weight_decay=0.0"],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "valid_MSE=" in result.output
    card = (tmp_path / "run" / "e3dos-model-mine" / "README.md").read_text()
    assert "R2=" in card
    assert (tmp_path / "run" / "learning-curves.png").is_file()
    again = CliRunner().invoke(
        build_app(), ["train", str(tmp_path / "run"), "--data-dir", str(data_dir)]
    )
    assert again.exit_code == 0, again.output
    assert "resuming" in again.output


def test_densities_are_sums_of_gaussians():
    """Against the sum over images on the grid points."""
    crystal = Crystal.from_any(bulk("NaCl", "rocksalt", a=5.64))
    ours = densities(crystal)
    f = np.stack(np.meshgrid(*[np.arange(GRID) / GRID] * 3, indexing="ij"), -1)
    images = np.stack(np.meshgrid(*[np.arange(-3, 4)] * 3, indexing="ij"), -1).reshape(-1, 3)
    expected = np.zeros((GRID, GRID, GRID))
    for z, position in zip(crystal.numbers, crystal.scaled_positions, strict=True):
        for image in images:
            r = (f - position - image) @ crystal.cell
            expected += z * np.exp(-(r**2).sum(-1))
    np.testing.assert_allclose(ours[0], expected, rtol=1e-3, atol=1e-3)
    assert ours[1].sum() / ours[0].sum() == pytest.approx(
        crystal.masses.sum() / crystal.numbers.sum(), rel=1e-3
    )


def test_translation_is_a_roll():
    crystal = Crystal.from_any(bulk("NaCl", "rocksalt", a=5.64))
    moved = Crystal(
        crystal.cell, crystal.scaled_positions + np.array([3, 0, 5]) / GRID, [0, 1], crystal.numbers
    )
    rolled = translated(torch.from_numpy(densities(crystal)), (3, 0, 5))
    np.testing.assert_allclose(rolled.numpy(), densities(moved), atol=1e-3)


def test_layers_have_the_shapes_of_table_s3():
    shapes = []
    x = torch.zeros(1, 2, 32, 32, 32)
    for layer in DensityCNN().layers:
        x = layer(x)
        shapes.append(tuple(x.shape[1:]))
    for shape in [(1, 16, 16, 16), (2, 8, 8, 8), (4, 4, 4, 4), (8, 2, 2, 2), (64,), (51,)]:
        assert shape in shapes


def test_control_network_learns(data_dir):
    settings = CNNSettings(epochs=2, batch=8, translations=1)
    _, errors = train_cnn(data_dir, settings, "raw.parquet")
    assert errors["n"] == 3
    assert 0 < errors["MSE"] < 1


def test_data_efficiency(data_dir, tiny_paper, tmp_path):
    file = tmp_path / "tiny.yaml"
    file.write_text(yaml.safe_dump(tiny_paper | {"epochs": 1}))
    command = [
        "experiment", str(file), "--sizes", "3,600", "-o", str(tmp_path / "out"),
        "--data-dir", str(data_dir), "--set", "weight_decay=0.0",
    ]  # fmt: skip
    result = CliRunner().invoke(build_app(), command)
    assert result.exit_code == 0, result.output
    rows = json.loads((tmp_path / "out" / "results.json").read_text())["tiny"]
    assert [r["n_train"] for r in rows] == [3, 9]  # the file has no more
    assert all(r["n"] == 3 for r in rows)
    assert (tmp_path / "out" / "errors.png").stat().st_size > 1000
    again = CliRunner().invoke(build_app(), command)
    assert "resuming after epoch 0 of 1" in again.output
    both = CliRunner().invoke(build_app(), [*command, "--hold-out", "O"])
    assert isinstance(both.exception, TrainingError)


def test_held_out_chemistry(data_dir, tiny_site, tmp_path):
    """The base never sees the elements and says so; a few examples end that."""
    config = TrainingConfig.model_validate(tiny_site | {"epochs": 1})
    config.validation[0] = config.validation[0].model_copy(update={"split": None})
    found = held_out_chemistry(config, ["O"], [1], data_dir, tmp_path, members=2, epochs=2)
    base, tuned = found["fine-tuned"]
    (alone,) = found["from scratch"]
    assert [base["n_train"], tuned["n_train"], alone["n_train"]] == [0, 1, 1]
    assert base["n"] == tuned["n"] == 2  # MgO and CaO
    assert base["elsewhere_n"] == 10
    assert base["unseen"] == 1
    assert base["elsewhere_unseen"] == 0
    assert base["spread"] > 0
    assert tuned["elsewhere_unseen"] == 0  # what the start has seen is not forgotten
    header = read_header(tmp_path / "tuned-1" / "weights.safetensors")
    start = read_header(tmp_path / "base" / "weights.safetensors")
    assert "8" not in start.elements
    assert set(start.elements) < set(header.elements)
    assert "8" in header.elements


def test_learning_curves_of_two_runs(data_dir, tiny_site, tmp_path):
    both = [{"path": f"{n}.parquet", "split": "valid"} for n in ("raw", "sampled")]
    config = TrainingConfig.model_validate(tiny_site | {"epochs": 2})
    config.validation[:] = [DataConfig(**p, leave_out_petretto_valid=False) for p in both]
    train_ensemble(config, 2, data_dir, tmp_path / "run")
    image = tmp_path / "curves.png"
    result = CliRunner().invoke(build_app(), ["curves", str(tmp_path / "run"), "-o", str(image)])
    assert result.exit_code == 0, result.output
    assert "member-0, member-1" in result.output
    figure = learning_curves(find_histories([tmp_path / "run"]))
    shown = [ax for ax in figure.axes if ax.lines]
    assert len(shown) == 7  # the loss, three measures of two validation sets
    assert all(len(ax.lines) == 2 for ax in shown)
    np.testing.assert_array_equal(shown[0].lines[0].get_xdata(), [1, 2])
    with pytest.raises(DataError, match=r"no history\.jsonl"):
        find_histories([data_dir])
