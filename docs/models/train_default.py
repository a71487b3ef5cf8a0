"""Train, calibrate and join the shipped ensemble `default` from the Parquet files.

    python docs/models/train_default.py --data-dir DATA --output runs/default

Every part resumes, so the same command goes on after a stop. With ``--only member-2`` or
``--only calibration-1`` parts run on several cores at once; without it all are done and joined.

Members are trained jointly on DFPT, JARVIS and strained site-resolved spectra (preset
`default`); they differ in seed and in sizes.

The error model is fitted inside the training data, by four-fold cross-validation by composition.
Networks are pre-trained on the other two sources without any composition of the DFPT training
set, then trained four times on all three sources without the compositions of one fold, which the
ensemble of such networks then predicts.

Last, a small network is distilled from the first five members, for predictions without error bars,
and `calibrate_displacements.py` writes the error bars of displacements into the joined file.

The shipped file is not this script run once. Members 0 to 3 were trained by an earlier revision,
which displaced the two strains of a crystal independently; member 4 was planned for 18 epochs and
its schedule shortened to 14 after the tenth. A rerun gives an ensemble of the same kind, not the
same numbers.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ase_e3dos.crystal import Crystal
from ase_e3dos.network.site import SiteNetwork
from ase_e3dos.network.weights import save_weights
from ase_e3dos.plugins import get_registry
from ase_e3dos.predictor import Predictor
from ase_e3dos.screening.tables import parquet_pairs
from ase_e3dos.training.calibration import CalibratedModel, calibrate
from ase_e3dos.training.config import DataConfig, TrainingConfig, read_config
from ase_e3dos.training.dataset import LabelledSet, read_labelled
from ase_e3dos.training.distillation import taught_set
from ase_e3dos.training.ensemble import join_members
from ase_e3dos.training.evaluation import predictions
from ase_e3dos.training.fit import Trainer, make_network
from ase_e3dos.training.labels import DEFAULT_GRID
from ase_e3dos.training.run import train
from ase_e3dos.training.sampler import GraphSet
from ase_e3dos.training.selection import select, without_compositions
from ase_e3dos.training.weights_header import make_header

SOURCES = ["dfpt", "jarvis", "mlip"]
FOLDS = 4

WIDE = {
    "n_layers": 3,
    "scalars": 256,
    "vectors": 96,
    "message_scalars": 64,
    "message_vectors": 32,
    "hidden": 320,
}
DEEP = {
    "n_layers": 3,
    "scalars": 128,
    "message_scalars": 40,
    "message_vectors": 20,
    "dropout": 0.12,
}
#: The first four members: shorter epochs, fewer crystals of the other sources, and less weight
#: on the response to strain than the preset has.
FIRST = {"steps_per_epoch": 300, "epochs": 45, "data": {"jarvis": 24, "mlip": 5}}
#: What each member changes in the preset.
MEMBERS: list[dict[str, Any]] = [
    {**FIRST, "seed": 5, "positions_noise": 0.02, "epochs": 30, "loss": {"strain": 0.05}},
    {**FIRST, "seed": 6, "loss": {"strain": 0.05}},
    {**FIRST, "seed": 7, "epochs": 28, "settings": DEEP, "loss": {"strain": 0.05}},
    {**FIRST, "seed": 8, "positions_noise": 0.05, "epochs": 36, "loss": {"strain": 0.25}},
    {"seed": 11, "settings": WIDE, "positions_noise": 0.03, "epochs": 14},
    {"seed": 13, "positions_noise": 0.05, "steps_per_epoch": 600, "epochs": 18},
]

#: The networks of the calibration, smaller and trained for less long than the members.
FOLD_SETTINGS = {
    "scalars": 160,
    "vectors": 64,
    "message_scalars": 48,
    "message_vectors": 24,
    "hidden": 192,
    "dropout": 0.1,
}
#: Seed of the pre-training -> its epochs.
PRETRAINING_EPOCHS = {1: 12, 2: 8}
#: Seed -> seed of the pre-training, then of each stage on all sources: epochs, and crystals of
#: each source in a batch.
CALIBRATION: dict[int, tuple[int, list[tuple[int, list[int]]]]] = {
    1: (1, [(5, [12, 16, 4]), (4, [12, 24, 5])]),
    2: (2, [(4, [12, 16, 4]), (4, [12, 24, 5])]),
    3: (1, [(6, [12, 24, 5])]),
    4: (2, [(6, [12, 24, 5])]),
}
STEPS = 500

#: Members that teach the distilled network.
TEACHERS = 5
#: The network that stands for the ensemble where no error bars are wanted: it learns from the
#: ensemble's spectra of unlabelled crystals (source -> number of crystals) and from the labels.
TAUGHT = {"dfpt": 12_000, "jarvis": 5_000, "mlip": 3_000}
LARGEST_TAUGHT = 20
DISTILLATION = {"epochs": 20, "steps_per_epoch": 500, "learning_rate": 2e-3}


def member_config(number: int) -> TrainingConfig:
    """Configuration of a member: the preset `default` with its changes."""
    changes = dict(MEMBERS[number])
    preset = read_config("default")
    settings = preset.settings | changes.pop("settings", {})
    per_batch = changes.pop("data", {})
    data = [
        part.model_copy(update={"per_batch": per_batch.get(source, part.per_batch)}).model_dump()
        for source, part in zip(SOURCES, preset.data, strict=True)
    ]
    return read_config("default", {**changes, "settings": settings, "data": data})


def train_member(number: int, data_dir: Path, output: Path) -> Path:
    """Train one member and write its weights."""
    folder = output / f"member-{number}"
    trained = train(member_config(number), data_dir, folder, report=print)
    return trained.save(folder / "weights.safetensors")


def folds(labelled: LabelledSet) -> NDArray[np.int64]:
    """Fold of each entry, by composition."""
    names = sorted(set(labelled.formulas))
    order = np.random.default_rng(2026).permutation(len(names))
    number = {names[k]: i % FOLDS for i, k in enumerate(order)}
    return np.array([number[f] for f in labelled.formulas])


def fit_network(
    sets: list[GraphSet],
    sizes: list[int],
    schedule: dict[str, Any],
    folder: Path,
    seed: int,
    start: dict[str, Any] | None = None,
    noise: float = 0.03,
) -> tuple[TrainingConfig, SiteNetwork]:
    """Train a network of `FOLD_SETTINGS` on sets of graphs, `sizes` crystals of each a batch."""
    config = TrainingConfig(
        network="site",
        grid="default",
        settings=FOLD_SETTINGS,
        data=[
            DataConfig(path=s.labelled.source, per_batch=n)
            for s, n in zip(sets, sizes, strict=True)
        ],
        weight_decay=0.02,
        weight_average=0.999,
        positions_noise=noise,
        loss={"strain": 0.3},
        seed=seed,
        **schedule,
    )
    torch.manual_seed(seed)
    network = make_network(config, get_registry().encoder("mass_one_hot"))
    assert isinstance(network, SiteNetwork)
    if start is not None:
        network.load_state_dict(start)
    trainer = Trainer(config, network, sets, [], folder, "cpu", print)
    trainer.resume()
    trained = trainer.run()
    assert isinstance(trained, SiteNetwork)
    return config, trained


def graph_set(labelled: LabelledSet) -> GraphSet:
    """Graphs of a labelled set, numbered by its source."""
    encoder = get_registry().encoder("mass_one_hot")
    return GraphSet.build(labelled, 5.0, False, encoder, SOURCES.index(labelled.source))


def training_sets(data_dir: Path) -> list[LabelledSet]:
    """What the preset `default` trains on: DFPT, JARVIS, strained site spectra."""
    parts = read_config("default").data
    return [select(read_labelled(data_dir / part.path), part) for part in parts]


def calibration_weights(seed: int, data_dir: Path, output: Path) -> list[Path]:
    """Weights of the networks of one seed, one file for each fold left out."""
    first, stages = CALIBRATION[seed]
    dfpt, *others = training_sets(data_dir)
    strangers = [graph_set(without_compositions(s, dfpt)) for s in others]
    schedule = {"epochs": PRETRAINING_EPOCHS[first], "steps_per_epoch": STEPS}
    _, pretrained = fit_network(
        strangers,
        [36, 6],
        {**schedule, "learning_rate": 2e-3},
        output / f"pretrained-{first}",
        first,
    )
    start = {k: v.clone() for k, v in pretrained.state_dict().items()}
    fold_of = folds(dfpt)
    files = []
    for fold in range(FOLDS):
        held_out = dfpt.subset(fold_of == fold)
        sets = [graph_set(dfpt.subset(fold_of != fold))]
        sets += [graph_set(without_compositions(s, held_out)) for s in others]
        folder, state = output / f"fold-{seed}-{fold}", start
        for stage, (epochs, sizes) in enumerate(stages):
            schedule = {"epochs": epochs, "steps_per_epoch": STEPS, "learning_rate": 1.5e-3}
            number = 100 * seed + fold + 10 * stage
            where = folder if stage == 0 else folder / "finished"
            config, network = fit_network(sets, sizes, schedule, where, number, state)
            state = network.state_dict()
        encoder = get_registry().encoder("mass_one_hot")
        header = make_header(config, network, encoder, sets, SOURCES, DEFAULT_GRID)
        path = folder / "weights.safetensors"
        save_weights(path, header, [state])
        files.append(path)
    return files


def distil(ensemble: Path, data_dir: Path, output: Path) -> Path:
    """Train the network that stands for the ensemble in a weights file."""
    encoder = get_registry().encoder("mass_one_hot")
    pairs = parquet_pairs(data_dir / "structures_mp.parquet")
    crystals = [c for _, c in pairs if isinstance(c, Crystal) and c.n_sites <= LARGEST_TAUGHT]
    order = np.random.default_rng(2026).permutation(len(crystals))
    sets, first = [graph_set(s) for s in training_sets(data_dir)[:2]], 0
    for source, n in TAUGHT.items():
        teacher = Predictor(ensemble, "cpu")
        teacher.model.source = SOURCES.index(source)
        chosen = [crystals[k] for k in order[first : first + n]]
        first += n
        sets.append(graph_set(taught_set(teacher, chosen, source)))
    folder = output / "distilled"
    config, network = fit_network(sets, [8, 8, 20, 8, 4], DISTILLATION, folder, 1, noise=0.0)
    header = make_header(config, network, encoder, sets, SOURCES, DEFAULT_GRID)
    path = folder / "weights.safetensors"
    save_weights(path, header, [network.state_dict()])
    return path


def fit_error_model(files: list[list[Path]], data_dir: Path, output: Path) -> CalibratedModel:
    """Out-of-fold predictions of all folds, and the error model that they give."""
    dfpt = select(read_labelled(data_dir / "dfpt_petretto.parquet"), read_config("default").data[0])
    fold_of = folds(dfpt)
    out_of_fold = []
    for fold in range(FOLDS):
        joined = join_members([f[fold] for f in files], output / f"fold-{fold}.safetensors")
        held_out = dfpt.subset(fold_of == fold)
        out_of_fold.append(predictions(Predictor(joined, "cpu"), held_out))
    return calibrate(
        out_of_fold, f"{FOLDS}-fold cross-validation by composition, DFPT training set"
    )


def main() -> None:
    """Do what is asked, and join everything when all of it is there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--output", type=Path, default=Path("runs/default"))
    parser.add_argument("--only", help="member-K or calibration-SEED")
    options = parser.parse_args()
    torch.set_num_threads(1)
    data_dir, output = options.data_dir, options.output
    if options.only:
        kind, _, number = options.only.partition("-")
        task = train_member if kind == "member" else calibration_weights
        print(task(int(number), data_dir, output))
        return
    members = [train_member(k, data_dir, output) for k in range(len(MEMBERS))]
    ensemble = join_members(members[:TEACHERS], output / "ensemble.safetensors")
    files = [calibration_weights(seed, data_dir, output) for seed in CALIBRATION]
    model = fit_error_model(files, data_dir, output)
    path = join_members(
        members,
        output / "default.safetensors",
        calibration=model.calibration,
        disagreement=model.disagreement,
        distilled=distil(ensemble, data_dir, output),
        description="site-resolved spectra, DFPT, JARVIS and strained potential phonons",
        half=True,
    )
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
