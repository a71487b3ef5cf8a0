"""Plug-in export, and the command line of training."""

from __future__ import annotations

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
import yaml
from ase.build import bulk
from typer.testing import CliRunner

import ase_e3dos
from ase_e3dos import predict
from ase_e3dos.cli import build_app
from ase_e3dos.errors import DataError, E3DOSError, TrainingError
from ase_e3dos.evaluation.figures import find_histories, learning_curves
from ase_e3dos.network.weights import load_weights, read_header, save_weights
from ase_e3dos.plugins import PluginStatus, get_registry
from ase_e3dos.training.config import DataConfig, TrainingConfig
from ase_e3dos.training.ensemble import train_ensemble
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
    assert "is not a folder" in str(in_the_way.exception)
    empty = invoke(str(tmp_path))
    assert "nor the folder of a run" in str(empty.exception)


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
    histories = find_histories([tmp_path / "run"])
    loss, squared, _ = learning_curves(histories, measures=["MSE"]).axes[:3]
    assert (loss.get_ylabel(), squared.get_ylabel()) == ("training loss", "mean squared error")
    rows = histories["member-0"]
    np.testing.assert_array_equal(squared.lines[0].get_ydata(), [r["valid_MSE"] for r in rows])
    with pytest.raises(DataError, match=r"no run knows RMSE; there are .*MSE"):
        learning_curves(histories, measures=["RMSE"])
    with pytest.raises(DataError, match=r"no history\.jsonl"):
        find_histories([data_dir])
