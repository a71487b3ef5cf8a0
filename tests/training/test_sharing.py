"""Plug-in export, the control network, experiments on data, the command line of training."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from dataclasses import replace
from importlib.metadata import distributions
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import yaml
from ase.build import bulk
from typer.testing import CliRunner

import ase_e3dos
from ase_e3dos import predict
from ase_e3dos.cli import build_app
from ase_e3dos.data.labelled_set import read_labelled
from ase_e3dos.errors import DataError, E3DOSError, TrainingError
from ase_e3dos.evaluation.figures import find_histories, learning_curves
from ase_e3dos.network.weights import load_weights, read_header, save_weights
from ase_e3dos.plugins import PluginStatus, get_registry
from ase_e3dos.structures.crystal import Crystal
from ase_e3dos.training.cnn_baseline import CNNSettings, train_cnn
from ase_e3dos.training.cnn_network import GRID, DensityCNN, densities, translated
from ase_e3dos.training.config import DataConfig, TrainingConfig
from ase_e3dos.training.ensemble import train_ensemble
from ase_e3dos.training.experiments import held_out_chemistry
from ase_e3dos.training.plugin_export import export_plugin
from ase_e3dos.training.run import train


@pytest.fixture(scope="module")
def weights(data_dir, tmp_path_factory, tiny_configs):
    config = TrainingConfig.model_validate(tiny_configs["site"] | {"epochs": 1})
    folder = tmp_path_factory.mktemp("weights")
    return train(config, data_dir, None).save(folder / "w.safetensors")


@pytest.mark.filterwarnings("ignore::ase_e3dos.errors.E3DOSWarning")
def test_exported_plugin_is_built_installed_and_found(weights, tmp_path):
    """The package's own pyproject makes a wheel; pip installs it; entry points find the model."""
    pytest.importorskip("hatchling", reason="the package is built with hatchling: pip install it")
    folder = export_plugin("my-model", weights, tmp_path)
    assert folder.name == "e3dos-model-my-model"
    assert "Licence: dfpt: CC-BY-4.0; jarvis: not given" in (folder / "README.md").read_text()
    wheels, site = tmp_path / "wheels", tmp_path / "site"
    pip("wheel", "--no-build-isolation", "--no-index", "-w", wheels, folder)
    (wheel,) = wheels.iterdir()
    pip("install", "--no-index", "--target", site, wheel)
    shutil.rmtree(folder)  # nothing may lead back to it
    (installed,) = distributions(name="e3dos-model-my-model", path=[str(site)])
    assert f"ase-e3dos>={ase_e3dos.__version__}" in (installed.requires or [])
    assert "# Model `my-model`" in installed.read_text("METADATA")
    code = (
        "from ase.build import bulk\n"
        "from ase_e3dos import predict\n"
        "s, = predict([bulk('Cu')], model='my-model')\n"
        "print(s.model, repr(float(s.heat_capacity(300.0))))"
    )
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env={**os.environ, "PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    name, heat = run.stdout.split() or ("", "nan")
    assert name == "my-model", run.stderr
    (expected,) = predict([bulk("Cu")], model=weights)
    assert float(heat) == pytest.approx(float(expected.heat_capacity(300.0)), rel=1e-5)


def pip(command: str, *arguments: object) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "pip", command, "-q", "--no-deps", *map(str, arguments)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("name", ["", "1st", "a b", "../x", "class", "end-"])
def test_bad_names(name, weights, tmp_path):
    with pytest.raises(TrainingError, match="name of a model"):
        export_plugin(name, weights, tmp_path)


@pytest.mark.parametrize("name", ["default", "Default", "paper"])
def test_name_of_an_installed_model(name, weights, tmp_path):
    with pytest.raises(TrainingError, match=f"'{name.lower()}' is installed already"):
        export_plugin(name, weights, tmp_path)
    assert not any(tmp_path.iterdir())


def test_export_is_checked_before_the_training(data_dir, tiny_paper, tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text(yaml.safe_dump(tiny_paper))
    taken = tmp_path / "run" / "e3dos-model-there"
    taken.mkdir(parents=True)
    command = ["train", str(file), "--data-dir", str(data_dir), "-o", str(tmp_path / "run")]
    for name, message in {
        "default": "installed already",
        "a b": "name of a model",
        "there": "is there already",
    }.items():
        result = CliRunner().invoke(build_app(), [*command, "--export-plugin", name])
        assert isinstance(result.exception, TrainingError), result.output
        assert message in str(result.exception)
        assert result.output == ""
    assert list((tmp_path / "run").iterdir()) == [taken]


def test_card_of_a_fine_tuned_model_tells_its_own_data_apart(data_dir, tiny_site, tmp_path):
    config = TrainingConfig.model_validate(tiny_site | {"epochs": 1, "steps_per_epoch": 1})
    start = train(config, data_dir, None).save(tmp_path / "parent.safetensors")
    first = config.data[1].model_copy(update={"with_elements": ["O"], "per_batch": 1})
    tuned = config.model_copy(update={"start_from": str(start), "data": [first], "validation": []})
    path = train_ensemble(tuned, 2, data_dir, tmp_path / "run")
    card = (export_plugin("oxides", path, tmp_path) / "README.md").read_text()
    assert "* Elements of the training data: 2 (O Mg)." in card.splitlines()  # CaO validates
    parents = next(x for x in card.splitlines() if "Fine-tuned from `parent`" in x)
    assert " Cu " in parents
    assert " O " not in parents
    data, _, rest = card.partition("## Training data")[2].partition("Of `parent`:")
    assert "sampled.parquet" in data
    assert "raw.parquet" not in data
    assert "raw.parquet" in rest
    # What warns of unseen elements still knows those of the start.
    assert {"8", "29"} <= set(read_header(path).elements)


def test_a_package_that_is_there_is_kept(weights, tmp_path):
    folder = export_plugin("twice", weights, tmp_path)
    (folder / "README.md").write_text("mine")
    assert export_plugin("twice", weights, tmp_path) == folder
    header, states = load_weights(weights)
    other = tmp_path / "other.safetensors"
    save_weights(other, replace(header, description="other"), states)
    with pytest.raises(TrainingError, match="there already, with other weights"):
        export_plugin("twice", other, tmp_path)
    assert (folder / "README.md").read_text() == "mine"
    assert sorted(p.name for p in tmp_path.iterdir()) == [folder.name, other.name]


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
    table = pq.read_table(data_dir / "raw.parquet").to_pydict()
    table["split"][0] = "test"
    mine = tmp_path / "mine.parquet"
    pq.write_table(pa.table(table), mine)
    file = tmp_path / "c.yaml"
    file.write_text(yaml.safe_dump(tiny_paper | {"epochs": 1}))
    result = CliRunner().invoke(
        build_app(),
        ["train", str(file), "--data", str(mine), "-o", str(tmp_path / "run"),
         "--export-plugin", "mine", "--set", "weight_decay=0.0"],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "valid_MSE=" in result.output
    card = (tmp_path / "run" / "e3dos-model-mine" / "README.md").read_text()
    errors = card.partition("## Errors")[2]
    assert errors.index("split valid") < errors.index("n=3 R2=")
    assert errors.index("split test") < errors.index("n=1 R2=")
    assert (tmp_path / "run" / "learning-curves.png").is_file()
    again = CliRunner().invoke(
        build_app(), ["train", str(tmp_path / "run"), "--export-plugin", "mine"]
    )
    assert again.exit_code == 0, again.output
    assert "resuming" in again.output


@pytest.mark.parametrize(
    ("preset", "changes", "options", "message"),
    [
        ("paper", {"settings": {"n_bins": 3}}, [], "n_bins is 3"),
        ("site", {"settings": {"scalrs": 7}}, [], "has no scalrs"),
        ("site", {"start_from": "paper"}, [], "network of kind 'paper'"),
        (
            "paper",
            {"data": [{"path": "sites.parquet", "per_batch": 1}], "validation": []},
            [],
            "raw spectra",
        ),
        ("paper", {"data": [{"path": "raw.parquet", "split": "no", "per_batch": 1}]}, [], "'no'"),
        ("paper", {}, ["--device", "nowhere"], "nowhere"),
    ],
)
@pytest.mark.parametrize("members", ["1", "2"])
def test_a_refused_training_leaves_nothing_behind(
    preset, changes, options, message, members, data_dir, tiny_configs, tmp_path
):
    file = tmp_path / "c.yaml"
    file.write_text(yaml.safe_dump(tiny_configs[preset] | changes))
    command = ["train", str(file), "--data-dir", str(data_dir), "-o", str(tmp_path / "a" / "run")]
    result = CliRunner().invoke(build_app(), [*command, "--members", members, *options])
    assert isinstance(result.exception, E3DOSError), result.output
    assert message in str(result.exception)
    assert list(tmp_path.iterdir()) == [file]


def test_a_refused_control_network_leaves_nothing_behind(data_dir, tmp_path):
    command = ["train", "cnn", "--data", str(data_dir / "sampled.parquet"), "-o"]
    result = CliRunner().invoke(build_app(), [*command, str(tmp_path / "run")])
    assert isinstance(result.exception, TrainingError), result.output
    assert not any(tmp_path.iterdir())


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


def test_control_network_learns(data_dir, tmp_path):
    """The training loss falls well below that of the mean spectrum, the best without structure."""
    settings = CNNSettings(epochs=60, batch=4, translations=2)
    _, errors = train_cnn(data_dir, settings, "raw.parquet", directory=tmp_path, device="cpu")
    rows = find_histories([tmp_path])[tmp_path.name]
    label = read_labelled(data_dir / "raw.parquet").split("train").label
    assert rows[-1]["loss"] < 0.5 * float(((label - label.mean(axis=0)) ** 2).mean())
    # What comes back is the network of the best epoch.
    assert errors["MSE"] == min(row["valid_MSE"] for row in rows)
    assert errors["n"] == 3


def test_control_network_takes_the_options(data_dir, tmp_path):
    def losses(*options: str) -> list[float]:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        command = ["train", "cnn", "-o", str(folder), "--data", str(data_dir / "raw.parquet"),
                   "--epochs", "1", "--set", "translations=0", *options]  # fmt: skip
        result = CliRunner().invoke(build_app(), command)
        assert result.exit_code == 0, result.output
        known = json.loads((folder / "results.json").read_text())
        assert known["settings"]["translations"] == 0
        assert known["data"] == str(data_dir / "raw.parquet")
        return [row["loss"] for row in find_histories([folder])[folder.name]]

    first = losses()
    assert losses() == first
    assert losses("--seed", "1") != first
    assert losses("--set", "learning_rate=0.5", "--set", "batch=2") != first


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--members", "2"], "takes no --members"),
        (["--from", "paper"], "takes no --from"),
        (["--export-plugin", "mine"], "takes no --export-plugin"),
        (["--data", "a.parquet", "--data", "b.parquet"], "a second --data"),
        (["--set", "patience=3"], "no field patience (there are epochs, batch"),
        (["--set", "batch=0"], "batch should be greater than or equal to 1, but is 0"),
    ],
)
def test_control_network_refuses_what_it_has_not(options, message, tmp_path):
    command = ["train", "cnn", "-o", str(tmp_path / "run"), *options]
    result = CliRunner().invoke(build_app(), command)
    assert isinstance(result.exception, TrainingError), result.output
    assert message in str(result.exception)
    assert not (tmp_path / "run").exists()


def test_a_run_goes_on_with_all_its_members(data_dir, tiny_paper, tmp_path):
    file, run = tmp_path / "c.yaml", tmp_path / "run"
    file.write_text(yaml.safe_dump(tiny_paper | {"epochs": 1}))

    def invoke(*arguments: str):
        return CliRunner().invoke(build_app(), ["train", *arguments, "--data-dir", str(data_dir)])

    assert invoke(str(file), "-o", str(run), "--members", "2").exit_code == 0
    (run / "weights.safetensors").unlink()
    shutil.rmtree(run / "member-1")
    (run / "member-1").mkdir()  # as a run leaves it that was killed during the first member
    again = invoke(str(run))
    assert again.exit_code == 0, again.output
    assert read_header(run / "weights.safetensors").members == 2
    alone = invoke(str(run), "--members", "1")
    assert "holds an ensemble of 2" in str(alone.exception)
    wrong = invoke(str(run), "--set", "lerning_rate=1")
    assert isinstance(wrong.exception, TrainingError)
    assert "did you mean learning_rate" in str(wrong.exception)
    in_the_way = invoke(str(file), "-o", str(file))
    assert "no folder can be made here" in str(in_the_way.exception)
    empty = invoke(str(tmp_path))
    assert "nor the folder of a run" in str(empty.exception)


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
    blind = CliRunner().invoke(build_app(), [*command, "--set", "validation=[]"])
    assert isinstance(blind.exception, TrainingError)
    assert "validation data to judge by" in str(blind.exception)


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
