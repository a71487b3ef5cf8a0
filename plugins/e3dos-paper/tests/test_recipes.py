"""Trials of the recipe: each differs from the preset in one thing, and learns."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from e3dos_paper.command_line import paper
from e3dos_paper.recipes import CHANGES, best_network, read_trials, trial_table, varied
from typer.testing import CliRunner

from ase_e3dos.errors import TrainingError
from ase_e3dos.network.weights import load_weights
from ase_e3dos.plugins import get_registry
from ase_e3dos.training.config import differences, read_config
from ase_e3dos.training.new_network import make_network


def test_each_trial_changes_one_thing_of_the_preset():
    preset = read_config("paper")
    changed = {name: differences(preset, varied(preset, name)) for name in CHANGES}
    assert [len(changed[name]) for name in CHANGES] == [0, 1, 1, 1, 1, 4, 1, 4, 3]
    singly = [line for name in list(CHANGES)[:5] for line in changed[name]]
    assert sorted(singly) == sorted(changed["published"])
    with pytest.raises(TrainingError, match="no trial is called 'relu'; there are preset, emb"):
        varied(preset, "relu")
    # the numbers of parameters by the paper's own sizes
    encoder = get_registry().encoder("mass_one_hot")
    size = {
        name: sum(p.numel() for p in make_network(varied(preset, name), encoder).parameters())
        for name in CHANGES
    }
    assert size["embedding"] - size["preset"] == 64
    assert size["neighbors"] == size["average"] == size["preset"] < size["radial"] / 4
    assert size["gradient"] == size["preset"]


def test_every_trial_trains_and_goes_on(data_dir, tiny_paper, tmp_path):
    file = tmp_path / "tiny.yaml"
    file.write_text(yaml.safe_dump(tiny_paper | {"epochs": 2, "weight_average": 0.9, "seed": 0}))
    command = ["recipes", "--config", str(file), "--data-dir", str(data_dir), "--device", "cpu"]
    out = tmp_path / "runs"
    result = CliRunner().invoke(paper, [*command, "--seeds", "0", "-o", str(out)])
    assert result.exit_code == 0, result.output
    assert "| bias and ReLU after the embedding | 1 |" in result.output
    assert "Best single network by the validation MSE" in result.output
    found = json.loads((out / "results.json").read_text())
    errors = {name: found[name]["seeds"]["0"]["MSE"] for name in CHANGES}
    assert len(set(errors.values())) == len(CHANGES)  # no two are the same network
    header, (state,) = load_weights(out / "embedding" / "seed-0" / "weights.safetensors")
    assert header.settings["embedding_activation"] == 1
    assert state["embedding_bias"].abs().max() > 0  # it was stepped
    before = {p: p.stat().st_mtime_ns for p in out.rglob("weights.safetensors")}
    more = ["--seeds", "0,1", "--trial", "preset", "--trial", "radial", "-o", str(out)]
    again = CliRunner().invoke(paper, [*command, *more])
    assert again.exit_code == 0, again.output
    assert all(p.stat().st_mtime_ns == t for p, t in before.items())
    assert "| as the preset | 2 |" in again.output
    kept = read_trials(out / "results.json")  # with the trials that were not asked for again
    assert [t.name for t in kept] == list(CHANGES)
    assert [sorted(t.rows) for t in kept][:2] == [[0, 1], [0]]
    rows = {(t.name, seed): row["MSE"] for t in kept for seed, row in t.rows.items()}
    best, seed = best_network(kept)
    assert (best.name, seed) == min(rows, key=rows.get)
    refused = CliRunner().invoke(paper, [*command, "--trial", "relu", "-o", str(tmp_path / "no")])
    assert isinstance(refused.exception, TrainingError)
    assert not (tmp_path / "no").exists()


def test_the_page_shows_the_record():
    docs = Path(__file__).resolve().parents[3] / "docs"
    trials = read_trials(docs / "models" / "paper-recipes.json")
    page = (docs / "benchmarks" / "paper.md").read_text(encoding="utf-8")
    assert trial_table(trials) in page
    best, seed = best_network(trials)
    assert (docs / "models" / "paper-training" / best.name / f"seed-{seed}").is_dir()
