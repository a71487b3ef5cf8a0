from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from ase_e3dos.cli import build_app
from ase_e3dos.data.labelled_set import read_labelled
from ase_e3dos.errors import DataError
from ase_e3dos.evaluation.comparison import comparison_page
from ase_e3dos.evaluation.metrics import spectrum_errors
from ase_e3dos.evaluation.predictions import evaluate
from ase_e3dos.training.config import TrainingConfig
from ase_e3dos.training.run import train


@pytest.fixture(scope="module")
def weights(data_dir, tmp_path_factory, tiny_configs):
    folder = tmp_path_factory.mktemp("weights")
    paths = {}
    for name, values in tiny_configs.items():
        config = TrainingConfig.model_validate(values | {"epochs": 2})
        paths[name] = train(config, data_dir, None).save(folder / f"{name}.safetensors")
    return paths


@pytest.fixture(scope="module")
def their_metrics():
    file = Path(__file__).parents[3] / "shared" / "checks" / "metrics.py"
    if not file.is_file():
        pytest.skip("the reference implementation of the measures is not here")
    spec = importlib.util.spec_from_file_location("reference_metrics", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("n_points", [51, 66])
def test_measures_are_those_of_the_reference(n_points, their_metrics):
    rng = np.random.default_rng(0)
    grid = their_metrics.GRID51 if n_points == 51 else their_metrics.GRID66
    p, y = rng.random((2, 20, n_points)) ** 3
    n = rng.integers(1, 20, 20)
    ours = spectrum_errors(p, y, n, grid)
    theirs = their_metrics.report(p, y, n, grid)
    assert ours.keys() == theirs.keys()
    for key, value in theirs.items():
        assert ours[key] == pytest.approx(value, rel=1e-5), key


def test_labels_are_those_of_the_reference(their_metrics, real_data):
    data = read_labelled(real_data / "dfpt_petretto.parquet").subset(range(5))
    for (start, step, values), label in zip(data.raw, data.label, strict=True):
        theirs = their_metrics.paper_label(start, step, values)
        np.testing.assert_allclose(label, theirs / theirs.max(), atol=1e-6)


@pytest.mark.parametrize("model", ["paper", "site"])
@pytest.mark.parametrize("file", ["raw.parquet", "sampled.parquet"])
def test_evaluate(model, file, weights, data_dir, their_metrics):
    found = evaluate(weights[model], data_dir / file)
    labelled = read_labelled(data_dir / file).split("valid")
    grid, predicted, reference = found.predictions.on_label_grid()
    assert len(grid) == (51 if file == "raw.parquet" else 66)
    theirs = their_metrics.report(predicted, reference, labelled.n_sites, grid)
    for key, value in theirs.items():
        assert found.errors[key] == pytest.approx(value, rel=1e-5), key


def test_command(weights, data_dir):
    result = CliRunner().invoke(
        build_app(),
        ["evaluate", "-m", str(weights["paper"]), "-m", str(weights["site"]), "--json",
         "--data", str(data_dir / "raw.parquet")],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    rows = json.loads(result.output)
    assert [r["model"] for r in rows] == ["paper", "site"]
    assert rows[0]["errors"]["n"] == 3


def test_several_models_on_one_page(weights, data_dir, tmp_path):
    """Weights of runs go by their folders; the page needs no other file."""
    command = ["evaluate", "--data", str(data_dir / "raw.parquet")]
    for name, path in weights.items():
        (tmp_path / name).mkdir()
        copied = tmp_path / name / "weights.safetensors"
        copied.write_bytes(path.read_bytes())
        command += ["-m", str(copied)]
    page = tmp_path / "page.html"
    result = CliRunner().invoke(build_app(), [*command, "--page", str(page)])
    assert result.exit_code == 0, result.output
    rows = [line.split("|")[1].strip() for line in result.output.splitlines() if "|" in line]
    assert rows == ["model", "---", "paper", "site"]
    text = page.read_text()
    assert text.count("<th>paper</th><th>site</th>") >= 2
    assert "class=best" in text
    assert text.count("data:image/png") == 2
    assert "src='http" not in text
    twice = CliRunner().invoke(build_app(), [*command, "-m", command[-1], "--json"])
    names = [r["model"] for r in json.loads(twice.output)]
    assert names == ["paper", "site", command[-1]]


def test_pages_compare_the_same_crystals(weights, data_dir, tmp_path):
    results = [evaluate(weights["site"], data_dir / f"{n}.parquet") for n in ("raw", "sampled")]
    results[1].predictions.labelled.ids[0] = "other"
    with pytest.raises(DataError, match="same crystals"):
        comparison_page(results, tmp_path / "page.html")


def test_unknown_source(weights, data_dir):
    with pytest.raises(DataError, match="vasp"):
        evaluate(weights["site"], data_dir / "raw.parquet", source="vasp")
