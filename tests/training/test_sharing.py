"""Plug-in export, the control network, experiments on data, the command line of training."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
import yaml
from ase.build import bulk
from typer.testing import CliRunner

from ase_e3dos.cli import build_app
from ase_e3dos.crystal import Crystal
from ase_e3dos.errors import TrainingError
from ase_e3dos.network.cnn import GRID, DensityCNN, densities, translated
from ase_e3dos.training.cnn_baseline import CNNSettings, train_cnn
from ase_e3dos.training.config import TrainingConfig
from ase_e3dos.training.experiments import data_efficiency, held_out_chemistry
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
    config = TrainingConfig.model_validate(tiny_paper | {"epochs": 1})
    rows = data_efficiency(config, [3, 6], data_dir, tmp_path)
    assert [r["n_train"] for r in rows] == [3, 6]
    assert all(r["n"] == 3 for r in rows)


def test_held_out_chemistry(data_dir, tiny_paper, tmp_path):
    config = TrainingConfig.model_validate(tiny_paper | {"epochs": 1})
    config.validation[0] = config.validation[0].model_copy(update={"split": None})
    rows = held_out_chemistry(config, ["O"], [1], data_dir, tmp_path, epochs=2)
    assert [r["n_train"] for r in rows] == [0, 1]
    assert rows[0]["n"] == 2  # MgO and CaO
    header = json.loads((tmp_path / "base" / "history.jsonl").read_text().splitlines()[0])
    assert "valid_MSE" in header
