from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import yaml
from small_data import fold_configs

from ase_e3dos.data.composition import composition_key
from ase_e3dos.data.labelled_set import read_labelled
from ase_e3dos.data.lock import only_process
from ase_e3dos.errors import DataError, TrainingError
from ase_e3dos.evaluation.predictions import evaluate
from ase_e3dos.network.weights import load_weights, save_weights
from ase_e3dos.plugins import get_registry
from ase_e3dos.prediction.pipeline import Predictor
from ase_e3dos.training import fit
from ase_e3dos.training.config import TrainingConfig, own_data, read_config, read_fields
from ase_e3dos.training.ensemble import join_members, train_ensemble
from ase_e3dos.training.new_network import make_network
from ase_e3dos.training.run import (
    config_of_run,
    data_directory,
    load_data,
    select_training,
    train,
)
from ase_e3dos.training.sampler import GraphSet, join
from ase_e3dos.training.site_losses import forward_in_bfloat16
from ase_e3dos.training.weights_header import METHOD


def same_states(a, b):
    assert a.keys() == b.keys()
    for key in a:
        assert torch.equal(a[key], b[key]), key


PRESETS = sorted(
    p.stem
    for p in (Path(fit.__file__).parent / "presets").glob("*.yaml")
    if read_fields(p)["network"] != "force-constants"
)
NEEDS_CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device is here")


@pytest.mark.parametrize("preset", ["paper", "imaginary"])
def test_presets_of_the_paper(preset):
    config = read_config(preset)
    assert config.network == "paper"
    assert config.learning_rate == 0.005
    assert config.decay == 0.96
    assert config.weight_decay == 0.05


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_trains(preset, data_dir, tmp_path, request):
    """One step of the network as the preset has it, on the small crystals."""
    stand_ins = {
        "dfpt_petretto.parquet": "raw.parquet",
        "dft_jarvis.parquet": "sampled.parquet",
        "mlip_site_phonons.parquet": "sites.parquet",
        "mlip_nequix.parquet": "sites.parquet",
        "dft_phonondb.parquet": "sites.parquet",
        "mg3bi2.json": str(appended(tmp_path)),
    }
    own = own_data([data_dir / "raw.parquet"]) if preset == "fine-tune" else {}
    values = read_config(preset, own).model_dump()
    for part in (*values["data"], *values["validation"]):
        for key in ("path", "append"):
            part[key] = stand_ins.get(part[key], part[key])
        part["leave_out_petretto_valid"] = False  # the stand-ins for JARVIS have no others
    if values["start_from"] == "default":
        request.getfixturevalue("default_model")
    config = TrainingConfig.model_validate(values | {"epochs": 1, "steps_per_epoch": 1})
    (row,) = train(config, data_dir, None).history
    assert np.isfinite([row["loss"], row["valid_MSE"]]).all()
    assert row["loss"] > 0


def appended(folder: Path) -> Path:
    """A file with one more crystal and its spectrum."""
    grid = np.arange(0.0, 1001.0, 20.0)
    entry = {
        "formula": "Po",
        "numbers": [84],
        "cell": (3.3 * np.eye(3)).ravel().tolist(),
        "positions_frac": [0.0, 0.0, 0.0],
        "wavenumbers_cm1": grid.tolist(),
        "dos_max_normalised": np.exp(-(((grid - 80) / 30) ** 2)).tolist(),
        "citation": "A. Author (2018)",
    }
    file = folder / "po.json"
    file.write_text(json.dumps(entry))
    return file


def test_unknown_field_is_named(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump({"network": "paper", "lerning_rate": 1}))
    with pytest.raises(TrainingError, match=r"lerning_rate \(did you mean learning_rate\?") as info:
        read_config(file)
    assert "no training data are named" in str(info.value)
    assert "epochs is missing" in str(info.value)
    with pytest.raises(TrainingError, match=r"data\.0\.slit \(did you mean split\?"):
        read_config("paper", {"data": [{"path": "x", "slit": "all"}]})
    with pytest.raises(TrainingError, match="no term strainn; the terms are"):
        read_config("default", {"loss": {"strainn": 1.0}})
    with pytest.raises(TrainingError, match=r"seed should be greater .*, but is -1"):
        read_config("default", {"seed": -1})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dropuot": 0.1}, r"dropuot \(did you mean dropout\?"),
        ({"scalars": "many"}, "scalars is a whole number from 0 on, not 'many'"),
        ({"n_layers": 1.5}, "n_layers is a whole number"),
        ({"dropout": True}, "dropout is a number"),
    ],
)
def test_wrong_settings_are_named(settings, message):
    with pytest.raises(TrainingError, match=message):
        read_config("small", {"settings": settings})


def test_overrides_reach_into_fields():
    plain, preset = read_config("small"), {"path": "x.parquet", "per_batch": 3}
    changed = read_config(
        "small", {"data.0.limit": 7, "settings.dropout": 0.3, "loss.strain": 0.1, "data": [preset]}
    )
    assert changed.settings == plain.settings | {"dropout": 0.3}
    assert changed.loss == {"strain": 0.1}
    assert changed.data == [plain.data[0].model_copy(update=preset | {"limit": 7})]
    assert read_config("small") == plain
    for path in ("data.3.limit", "data.first.limit", "epochs.0", "data.0.path.x"):
        with pytest.raises(TrainingError, match=f"{path}: there is no such place"):
            read_config("small", {path: 1})


def test_sizes_of_which_no_network_can_be_made(data_dir, tiny_site):
    config = TrainingConfig.model_validate(tiny_site | {"settings": {"dropout": 1.5}})
    with pytest.raises(TrainingError, match=r"no site network can be made .*dropout"):
        train(config, data_dir, None)


def test_header_is_complete(data_dir, tiny_site):
    config = TrainingConfig.model_validate(tiny_site)
    header = train(config, data_dir, None).header
    assert header.sources == ["dfpt", "jarvis", "mlip"]
    assert header.grid.n == 480
    assert set(header.trained_on) == {"raw.parquet", "sampled.parquet", "sites.parquet"}
    assert header.trained_on["raw.parquet"] == read_labelled(data_dir / "raw.parquet").sha256
    low, high = header.trust["filling"]
    assert 0 < low < high
    assert header.licence.startswith("dfpt: CC-BY-4.0; ")
    assert "Chen" in header.citation
    chosen = select_training(config, data_dir)
    copper = sum(29 in c.numbers for s in chosen for c in s.crystals)
    assert header.elements.get("29", 0) == copper
    assert sum(header.elements.values()) == sum(
        len(set(c.numbers.tolist())) for s in chosen for c in s.crystals
    )


def test_header_keeps_files_of_one_name_apart(data_dir, tiny_site, tmp_path):
    (tmp_path / "mine").mkdir()
    table = pq.read_table(data_dir / "raw.parquet")
    paths = [data_dir / "raw.parquet", tmp_path / "mine" / "raw.parquet"]
    pq.write_table(table.slice(0, 8), paths[1])
    digests = [hashlib.sha256(p.read_bytes()).hexdigest() for p in paths]
    data = [{"path": str(p), "per_batch": 2} for p in paths]
    config = TrainingConfig.model_validate(tiny_site | {"data": data, "epochs": 1})
    config = config.model_copy(update={"validation": []})
    trained = train(config, data_dir, None)
    assert trained.header.trained_on == {"raw.parquet": digests[0], "raw.parquet#2": digests[1]}
    start = str(trained.save(tmp_path / "start.weights"))
    tuned = config.model_copy(update={"start_from": start, "data": config.data[1:]})
    known = train(tuned, data_dir, None).header.trained_on
    assert set(known.values()) == set(digests)


def test_header_names_spectra_that_were_appended(data_dir, tiny_paper, tmp_path):
    file = appended(tmp_path)
    first, *rest = tiny_paper["data"]
    config = TrainingConfig.model_validate(
        tiny_paper | {"data": [first | {"append": str(file)}, *rest]}
    )
    header = train(config, data_dir, None).header
    assert header.elements["84"] == 1
    assert header.trained_on["po.json"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert "raw.parquet" in header.trained_on
    assert header.citation.endswith("; A. Author (2018)")


def test_weights_predict(data_dir, tiny_paper, tmp_path):
    config = TrainingConfig.model_validate(tiny_paper)
    path = train(config, data_dir, None).save(tmp_path / "w.safetensors")
    data = read_labelled(data_dir / "raw.parquet")
    (spectrum,) = Predictor(path).spectra(data.crystals[:1])
    assert spectrum.label_like
    assert len(spectrum.wavenumbers) == 51


@pytest.mark.parametrize("kind", ["paper", "site"])
def test_deterministic_and_seeded(kind, data_dir, request):
    values = request.getfixturevalue(f"tiny_{kind}") | {"epochs": 1}
    config = TrainingConfig.model_validate(values)
    first, second = (train(config, data_dir, None).state for _ in range(2))
    same_states(first, second)
    other = train(config.model_copy(update={"seed": 1}), data_dir, None).state
    assert any(not torch.equal(first[k], other[k]) for k in first)


@pytest.mark.parametrize("kind", ["paper", "site"])
def test_killed_run_resumes_exactly(kind, data_dir, tmp_path, request):
    """SIGKILL somewhere in the middle, start again: bit-identical weights and history."""
    values = request.getfixturevalue(f"tiny_{kind}") | {"epochs": 25, "patience": 8}
    config = TrainingConfig.model_validate(values)
    undisturbed = train(config, data_dir, tmp_path / "calm")
    file = tmp_path / "c.yaml"
    file.write_text(yaml.safe_dump(values))
    command = [
        sys.executable, "-c", "from ase_e3dos.cli import main; main()", "train", str(file),
        "--data-dir", str(data_dir), "-o", str(tmp_path / "killed"), "--device", "cpu",
    ]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    history = tmp_path / "killed" / "history.jsonl"
    limit = time.monotonic() + 120
    while time.monotonic() < limit and process.poll() is None:
        if history.is_file() and len(history.read_text().splitlines()) >= 3:
            break
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert process.returncode == -signal.SIGKILL, "the run ended before it could be killed"
    done = config_of_run(tmp_path / "killed")
    assert done == config
    lines: list[str] = []
    resumed = train(config, data_dir, tmp_path / "killed", report=lines.append)
    assert any("resuming" in line for line in lines)
    same_states(undisturbed.state, resumed.state)
    for a, b in zip(undisturbed.history, resumed.history, strict=True):
        assert {k: v for k, v in a.items() if k != "seconds"} == {
            k: v for k, v in b.items() if k != "seconds"
        }


def test_other_configuration_in_the_same_folder(data_dir, tiny_paper, tmp_path):
    config = TrainingConfig.model_validate(tiny_paper | {"epochs": 1})
    train(config, data_dir, tmp_path)
    first, *others = config.data
    other = config.model_copy(
        update={"seed": 3, "data": [first.model_copy(update={"per_batch": 4}), *others]}
    )
    with pytest.raises(TrainingError, match="another configuration") as info:
        train(other, data_dir, tmp_path)
    assert ": data.0.per_batch is 3 there and 4 here; seed is 0 there and 3 here. " in str(
        info.value
    )


@pytest.mark.parametrize("content", [b"not a checkpoint", b"", "another"])
def test_a_file_that_is_no_checkpoint(content, data_dir, tiny_paper, tmp_path):
    path = tmp_path / "checkpoint.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save({"weights": torch.zeros(3)}, path)
    config = TrainingConfig.model_validate(tiny_paper | {"epochs": 1})
    for go_on in (lambda: train(config, data_dir, tmp_path), lambda: config_of_run(tmp_path)):
        with pytest.raises(
            TrainingError, match=r"not a checkpoint .* delete it to start anew"
        ) as e:
            go_on()
        assert str(e.value).count("\n") == 0
        assert "pickle" not in str(e.value)


def test_a_checkpoint_that_lacks_a_part(data_dir, tiny_paper, tmp_path):
    config = TrainingConfig.model_validate(tiny_paper | {"epochs": 1})
    train(config, data_dir, tmp_path)
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    del state["optimizer"]
    torch.save(state, tmp_path / "checkpoint.pt")
    with pytest.raises(TrainingError, match="not a checkpoint that can be read"):
        train(config, data_dir, tmp_path)


class Watched(fit.Trainer):
    """A trainer that keeps the averaged weights after each epoch."""

    def save_checkpoint(self):
        super().save_checkpoint()
        vars(self).setdefault("averages", []).append(deepcopy(self.average.state_dict()))


def watched(config: TrainingConfig, data_dir: Path) -> Watched:
    encoder = get_registry().encoder("mass_one_hot")
    torch.manual_seed(0)
    network = make_network(config, encoder)
    data = load_data(config, data_dir, network, encoder, ["dfpt", "jarvis", "mlip"])
    return Watched(config, network, data.training, data.validation)


def test_early_stopping_keeps_the_best_averaged_weights(data_dir, tiny_site):
    """A rate so high that validation gets worse after a while."""
    rate = {"learning_rate": 0.01, "schedule": "exponential", "decay": 1.0}
    changes = rate | {"epochs": 40, "patience": 5}
    trainer = watched(TrainingConfig.model_validate(tiny_site | changes), data_dir)
    returned = trainer.run().state_dict()
    errors = [row["valid_MSE"] for row in trainer.history.rows]
    best = int(np.argmin(errors))
    assert best > 0
    assert len(errors) == best + 1 + 5 < 40
    same_states(returned, trainer.averages[best])
    key = "source.weight"
    assert not torch.equal(returned[key], trainer.averages[-1][key])


def test_a_run_that_stopped_early_gives_the_same_weights_again(data_dir, tiny_site, tmp_path):
    """The best weights come from the checkpoint: no epoch is trained a second time."""
    rate = {"learning_rate": 0.01, "schedule": "exponential", "decay": 1.0}
    config = TrainingConfig.model_validate(tiny_site | rate | {"epochs": 40, "patience": 5})
    first, again = (train(config, data_dir, tmp_path) for _ in range(2))
    assert first.history == again.history
    same_states(first.state, again.state)


def test_without_patience_or_validation_the_last_average_is_kept(data_dir, tiny_site):
    changes = {"epochs": 12, "learning_rate": 0.05, "schedule": "exponential"}
    for extra in ({"patience": None}, {"patience": 1, "validation": []}):
        trainer = watched(TrainingConfig.model_validate(tiny_site | changes | extra), data_dir)
        returned = trainer.run().state_dict()
        assert len(trainer.averages) == 12
        same_states(returned, trainer.averages[-1])


def test_other_data_in_the_same_folder(data_dir, tiny_paper, tmp_path):
    """The header would call the new file what the weights were trained on."""
    config = TrainingConfig.model_validate(tiny_paper | {"epochs": 1})
    train(config, data_dir, tmp_path / "run")
    changed = tmp_path / "data"
    changed.mkdir()
    table = pq.read_table(data_dir / "raw.parquet")
    pq.write_table(table.slice(0, len(table) - 1), changed / "raw.parquet")
    with pytest.raises(TrainingError, match=r"other data: raw\.parquet changed"):
        train(config, changed, tmp_path / "run")


def test_leaving_out_a_fold_leaves_its_compositions_out_everywhere(data_dir, tiny_site):
    config = TrainingConfig.model_validate(tiny_site)
    seen = []
    for run in fold_configs(config, 3):
        first, *others = select_training(run, data_dir)
        whole = select_training(config, data_dir)[0]
        fold = {composition_key(c) for c in whole.crystals} - {
            composition_key(c) for c in first.crystals
        }
        assert fold
        seen += sorted(fold)
        for other in others:
            assert not fold & {composition_key(c) for c in other.crystals}
    assert len(seen) == len(set(seen)) == len(whole)


def test_filters(data_dir, tiny_paper):
    part = tiny_paper["data"][0]
    cases = {"with_elements": ["Cu"], "without_elements": ["Cu"], "limit": 2}
    chosen = {}
    for key, value in cases.items():
        config = TrainingConfig.model_validate(tiny_paper | {"data": [part | {key: value}]})
        chosen[key] = select_training(config, data_dir)[0]
    assert all(29 in c.numbers for c in chosen["with_elements"].crystals)
    assert not any(29 in c.numbers for c in chosen["without_elements"].crystals)
    assert len(chosen["limit"]) == 2
    nothing = TrainingConfig.model_validate(
        tiny_paper | {"data": [part | {"with_elements": ["U"]}]}
    )
    with pytest.raises(TrainingError, match="no entry is left"):
        select_training(nothing, data_dir)
    wrong = TrainingConfig.model_validate(tiny_paper | {"data": [part | {"split": "tset"}]})
    with pytest.raises(DataError, match="tset"):
        select_training(wrong, data_dir)


def test_ensemble_is_the_mean_of_its_members(data_dir, tiny_site, tmp_path):
    config = TrainingConfig.model_validate(tiny_site | {"epochs": 1})
    path = train_ensemble(config, 2, data_dir, tmp_path)
    header, states = load_weights(path)
    assert header.members == len(states) == 2
    crystal = read_labelled(data_dir / "raw.parquet").crystals[8]
    both = Predictor(path).spectra([crystal])[0]
    alone = [
        Predictor(tmp_path / f"member-{k}" / "weights.safetensors").spectra([crystal])[0].density
        for k in range(2)
    ]
    np.testing.assert_allclose(both.density, np.mean(alone, axis=0), rtol=1e-4, atol=1e-6)
    assert both.density_std is not None


def test_unlike_networks_are_not_joined(data_dir, tiny_site, tiny_paper, tmp_path):
    files = []
    for values in (tiny_site, tiny_paper):
        config = TrainingConfig.model_validate(values | {"epochs": 1})
        files.append(train(config, data_dir, None).save(tmp_path / f"{len(files)}.safetensors"))
    with pytest.raises(TrainingError, match="alike"):
        join_members(files, tmp_path / "both.safetensors")


def test_fine_tuning_starts_from_the_weights(data_dir, tiny_site, tmp_path):
    config = TrainingConfig.model_validate(tiny_site | {"epochs": 1})
    start = train(config, data_dir, None).save(tmp_path / "start.safetensors")
    tuned = TrainingConfig.model_validate(
        {
            "network": "site",
            "grid": "default",
            "data": [{"path": "sampled.parquet", "per_batch": 2}],
            "epochs": 1,
            "steps_per_epoch": 1,
            "learning_rate": 1e-12,
            "weight_decay": 0.0,
            "start_from": str(start),
        }
    )
    result = train(tuned, data_dir, None)
    # The source of the new data comes first; nothing else has moved.
    assert result.header.sources == ["jarvis", "dfpt", "mlip"]
    crystal = read_labelled(data_dir / "raw.parquet").crystals[0]
    path = result.save(tmp_path / "tuned.safetensors")
    before = Predictor(start)
    before.model.source = 1
    np.testing.assert_allclose(
        Predictor(path).spectra([crystal])[0].density,
        before.spectra([crystal])[0].density,
        atol=1e-5,
    )


def test_a_start_without_blocks_can_be_given_some(data_dir, tiny_site, tmp_path):
    """They begin as the identity; a file of a former version does not speak of them at all."""
    config = TrainingConfig.model_validate(tiny_site | {"epochs": 1, "steps_per_epoch": 1})
    trained = train(config, data_dir, None)
    settings = {k: v for k, v in trained.header.settings.items() if k != "read_blocks"}
    start = tmp_path / "former.safetensors"
    save_weights(start, replace(trained.header, settings=settings), [trained.state])

    def tuned(start, blocks):
        fields = {"epochs": 1, "steps_per_epoch": 1, "learning_rate": 1e-12, "weight_decay": 0.0}
        fields |= {"start_from": str(start), "settings": {"read_blocks": blocks}}
        return train(TrainingConfig.model_validate(tiny_site | fields), data_dir, None)

    path = tuned(start, 2).save(tmp_path / "tuned.safetensors")
    assert load_weights(path)[0].settings["read_blocks"] == 2
    crystal = read_labelled(data_dir / "raw.parquet").crystals[0]
    densities = [Predictor(file).spectra([crystal])[0].density for file in (start, path)]
    np.testing.assert_allclose(*densities, atol=1e-5)
    with pytest.raises(TrainingError, match="read_blocks is 2 there and 1"):
        tuned(path, 1)


def test_members_of_other_sizes_are_starts_too(data_dir, tiny_site, tmp_path):
    """The members of the shipped ensemble differ in size; each is a start by its own."""
    files = []
    for scalars in (8, 12):
        values = {**tiny_site, "settings": {**tiny_site["settings"], "scalars": scalars}}
        config = TrainingConfig.model_validate(values | {"epochs": 1, "steps_per_epoch": 1})
        files.append(train(config, data_dir, None).save(tmp_path / f"{scalars}.safetensors"))
    joined = join_members(files, tmp_path / "both.safetensors")
    base = {k: v for k, v in tiny_site.items() if k != "settings"} | {"epochs": 1}
    config = TrainingConfig.model_validate(base | {"start_from": str(joined)})
    header, _ = load_weights(train_ensemble(config, 2, data_dir, tmp_path / "tuned"))
    assert [header.settings_of(k)["scalars"] for k in (0, 1)] == [8, 12]


def test_own_site_spectra_alone(data_dir, tiny_site, tmp_path):
    """A file as `e3dos label` and the import of phonopy runs write it: train, validate, judge."""
    table = pq.read_table(data_dir / "sites.parquet").to_pydict()
    table["split"] = ["valid" if i % 6 > 3 else "train" for i in range(len(table["id"]))]
    table["source"] = ["mine"] * len(table["id"])
    about = {"ase_e3dos": '{"licence": "CC0-1.0"}'}
    file = tmp_path / "mine.parquet"
    pq.write_table(pa.table(table).replace_schema_metadata(about), file)
    config = TrainingConfig.model_validate(tiny_site | own_data([file], 4) | {"epochs": 3})
    assert config.data[0].per_batch == 4
    trained = train(config, None, tmp_path / "run")
    assert trained.header.sources == ["mine"]
    assert trained.header.licence == "CC0-1.0"
    assert trained.history[-1]["loss"] < trained.history[0]["loss"]
    path = trained.save(tmp_path / "run" / "weights.safetensors")
    found = evaluate(path, file)
    assert found.split == "valid"
    for key in ("R2", "WD", "Cv_atom"):  # training validates as evaluation does
        assert trained.history[-1][f"valid_{key}"] == pytest.approx(found.errors[key], rel=0.01)


def test_presets_for_own_data(data_dir):
    with pytest.raises(TrainingError, match="--data FILE") as info:
        read_config("fine-tune")
    assert "List should" not in str(info.value)
    file = str(data_dir / "raw.parquet")
    for preset, start in {"fine-tune": "default", "small": None}.items():
        config = read_config(preset, own_data([data_dir / "raw.parquet"]))
        assert (config.start_from, config.network, config.grid) == (start, "site", "default")
        assert [(p.path, p.split) for p in config.data] == [(file, "train")]
        assert [(p.path, p.split) for p in config.validation] == [(file, "valid")]
        assert config.patience is not None


def test_bfloat16_changes_little(data_dir, tiny_site):
    """What `precision: mixed` runs on a CUDA device, here on the CPU, against float32."""
    # From two layers on several paths lead to one irrep, and are added.
    settings = {**tiny_site["settings"], "n_layers": 2}
    config = TrainingConfig.model_validate(tiny_site | {"settings": settings})
    encoder = get_registry().encoder("mass_one_hot")
    torch.manual_seed(0)
    network = make_network(config, encoder).eval()
    labelled = read_labelled(data_dir / "raw.parquet")
    data = GraphSet.build(labelled, network.cutoff, network.self_edges, encoder, 0)
    batch = join([(0, data, [0, 5, 7, 8])])
    exact, rough = (
        network(batch.graph, batch.source),
        forward_in_bfloat16(network, batch.graph, batch.source),
    )
    rough, exact = rough.log_weights, exact.log_weights
    torch.testing.assert_close(rough, exact, rtol=0.02, atol=0.05)
    assert not torch.equal(rough, exact)
    rough.square().mean().backward()
    assert all(p.grad is None or p.grad.dtype == torch.float32 for p in network.parameters())


def test_mixed_precision_is_float32_without_cuda(data_dir, tiny_site):
    config = TrainingConfig.model_validate(tiny_site | {"epochs": 1, "steps_per_epoch": 1})
    mixed = config.model_copy(update={"precision": "mixed"})
    same_states(*(train(c, data_dir, None, "cpu").state for c in (config, mixed)))


@NEEDS_CUDA
@pytest.mark.parametrize("precision", ["float32", "mixed"])
def test_a_seed_gives_the_same_weights_on_cuda(precision, data_dir, tiny_site):
    config = TrainingConfig.model_validate(tiny_site | {"epochs": 2, "precision": precision})
    former = torch.are_deterministic_algorithms_enabled()
    first, second = (train(config, data_dir, None, "cuda").state for _ in range(2))
    same_states(first, second)
    assert torch.are_deterministic_algorithms_enabled() == former


@NEEDS_CUDA
def test_mixed_precision_on_cuda_is_close_to_float32(data_dir, tiny_site):
    config = TrainingConfig.model_validate(tiny_site | {"epochs": 1, "steps_per_epoch": 1})
    mixed = config.model_copy(update={"precision": "mixed"})
    exact, rough = (train(c, data_dir, None, "cuda").history[0]["loss"] for c in (config, mixed))
    assert rough != exact
    assert rough == pytest.approx(exact, rel=0.02)


def test_a_run_is_one_process_at_a_time(data_dir, tiny_paper, tmp_path):
    config = TrainingConfig.model_validate(tiny_paper | {"epochs": 1})
    with (
        only_process(tmp_path / "run", folder=True),
        pytest.raises(TrainingError, match="another process"),
    ):
        train(config, data_dir, tmp_path / "run")


def test_start_of_another_kind_is_refused(data_dir, tiny_site, tiny_paper, tmp_path):
    config = TrainingConfig.model_validate(tiny_paper | {"epochs": 1})
    start = train(config, data_dir, None).save(tmp_path / "start.safetensors")
    wrong = TrainingConfig.model_validate(tiny_site | {"start_from": str(start)})
    with pytest.raises(TrainingError, match=r"kind 'paper'.*Set network: paper"):
        train(wrong, data_dir, None)


def test_licence_and_citation_are_those_of_the_data(data_dir, tiny_site, tmp_path):
    """What a file says of itself counts, not the name of its source."""
    config = TrainingConfig.model_validate(tiny_site | {"epochs": 1, "steps_per_epoch": 1})
    start = train(config, data_dir, None)
    assert start.header.licence == "dfpt: CC-BY-4.0; jarvis: not given; mlip: not given"
    assert start.header.citation == f"{METHOD}; Peaks of ours (2026)"
    table = pq.read_table(data_dir / "sampled.parquet").drop_columns(["in_petretto_valid"])
    about = {"ase_e3dos": '{"licence": "CC0-1.0", "citation": "Others (2025)"}'}
    pq.write_table(table.replace_schema_metadata(about), tmp_path / "theirs.parquet")
    own = own_data([tmp_path / "theirs.parquet"], 2)
    path = start.save(tmp_path / "start.safetensors")
    tuned = train(
        config.model_copy(
            update=dict(TrainingConfig.model_validate(tiny_site | own))
            | {"start_from": str(path), "epochs": 1}
        ),
        None,
        None,
    ).header
    assert tuned.citation == f"{METHOD}; Others (2025); Peaks of ours (2026)"
    assert tuned.licence.startswith("jarvis: CC0-1.0; start: ")


@pytest.mark.parametrize(
    ("name", "citation"),
    [
        ("dfpt_petretto", "Petretto"),
        ("dft_jarvis", "Choudhary"),
        ("mlip_site_phonons", "TensorNet"),
    ],
)
def test_origin_of_the_published_data(name, citation, real_data):
    found = read_labelled(real_data / f"{name}.parquet").origin
    assert citation in found.citation
    assert found.licence == "CC-BY-4.0"


def test_start_of_other_sizes_names_the_preset_that_has_none(data_dir, tiny_site, tmp_path):
    config = TrainingConfig.model_validate(tiny_site | {"epochs": 1, "steps_per_epoch": 1})
    start = train(config, data_dir, None).save(tmp_path / "start.safetensors")
    settings = tiny_site["settings"] | {"scalars": 16, "dropout": 0.0}
    wrong = config.model_copy(update={"start_from": str(start), "settings": settings})
    with pytest.raises(TrainingError, match="scalars is 8 there and 16 in the settings") as info:
        train(wrong, data_dir, None)
    assert "dropout" not in str(info.value)
    assert f"e3dos train fine-tune --from {start} --data" in str(info.value)


def test_start_on_another_grid(data_dir, tiny_paper, tmp_path):
    config = TrainingConfig.model_validate(tiny_paper | {"epochs": 1, "steps_per_epoch": 1})
    start = train(config, data_dir, None).save(tmp_path / "start.safetensors")
    wrong = config.model_copy(update={"grid": "imaginary", "start_from": str(start)})
    with pytest.raises(TrainingError, match="has 51 points, the grid 'imaginary' has 61"):
        train(wrong, data_dir, None)


def test_no_data_folder(monkeypatch):
    monkeypatch.delenv("E3DOS_DATA", raising=False)
    with pytest.raises(TrainingError, match="E3DOS_DATA"):
        data_directory()
