"""Errors against training set size, and a chemistry that is held out."""

from __future__ import annotations

import json

import yaml
from e3dos_paper.command_line import paper
from e3dos_paper.experiments import held_out_chemistry
from typer.testing import CliRunner

from ase_e3dos.errors import TrainingError
from ase_e3dos.network.weights import read_header
from ase_e3dos.training.config import TrainingConfig


def test_data_efficiency(data_dir, tiny_paper, tmp_path):
    file = tmp_path / "tiny.yaml"
    file.write_text(yaml.safe_dump(tiny_paper | {"epochs": 1}))
    command = [
        "experiment", str(file), "--sizes", "3,600", "-o", str(tmp_path / "out"),
        "--data-dir", str(data_dir), "--set", "weight_decay=0.0",
    ]  # fmt: skip
    result = CliRunner().invoke(paper, command)
    assert result.exit_code == 0, result.output
    rows = json.loads((tmp_path / "out" / "results.json").read_text())["tiny"]
    assert [r["n_train"] for r in rows] == [3, 9]  # the file has no more
    assert all(r["n"] == 3 for r in rows)
    assert (tmp_path / "out" / "errors.png").stat().st_size > 1000
    again = CliRunner().invoke(paper, command)
    assert "resuming after epoch 0 of 1" in again.output
    both = CliRunner().invoke(paper, [*command, "--hold-out", "O"])
    assert isinstance(both.exception, TrainingError)
    blind = CliRunner().invoke(paper, [*command, "--set", "validation=[]"])
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
