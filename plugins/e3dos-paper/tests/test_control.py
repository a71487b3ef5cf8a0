"""The control network of table S3."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from ase.build import bulk
from e3dos_paper.cnn_baseline import CNNSettings, train_cnn
from e3dos_paper.cnn_network import GRID, DensityCNN, densities, translated
from e3dos_paper.command_line import paper
from typer.testing import CliRunner

from ase_e3dos.data.labelled_set import read_labelled
from ase_e3dos.errors import TrainingError
from ase_e3dos.evaluation.figures import find_histories
from ase_e3dos.structures.crystal import Crystal


def test_a_refused_control_network_leaves_nothing_behind(data_dir, tmp_path):
    command = ["control", "--data", str(data_dir / "sampled.parquet"), "-o"]
    result = CliRunner().invoke(paper, [*command, str(tmp_path / "run")])
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
    settings = CNNSettings(epochs=30, batch=4, translations=2)
    _, errors = train_cnn(data_dir, settings, "raw.parquet", directory=tmp_path, device="cpu")
    rows = find_histories([tmp_path])[tmp_path.name]
    label = read_labelled(data_dir / "raw.parquet").split("train").label
    assert rows[-1]["loss"] < 0.75 * float(((label - label.mean(axis=0)) ** 2).mean())
    # What comes back is the network of the best epoch.
    assert errors["MSE"] == min(row["valid_MSE"] for row in rows)
    assert errors["n"] == 3


def test_control_network_takes_the_options(data_dir, tmp_path):
    def losses(*options: str) -> list[float]:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        command = ["control", "-o", str(folder), "--data", str(data_dir / "raw.parquet"),
                   "--epochs", "1", "--set", "translations=0", *options]  # fmt: skip
        result = CliRunner().invoke(paper, command)
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
        (["--set", "patience=3"], "no field patience (there are epochs, batch"),
        (["--set", "batch=0"], "batch should be greater than or equal to 1, but is 0"),
    ],
)
def test_control_network_refuses_what_it_does_not_have(options, message, tmp_path):
    command = ["control", "-o", str(tmp_path / "run"), *options]
    result = CliRunner().invoke(paper, command)
    assert isinstance(result.exception, TrainingError), result.output
    assert message in str(result.exception)
    assert not (tmp_path / "run").exists()
